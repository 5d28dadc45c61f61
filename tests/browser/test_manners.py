"""Keyboard, screen readers, hidden tabs, and many runs, in a real browser inside a real TensorBoard."""

import os
import pathlib
import re

import pytest

from tests.browser.conftest import HEBREW_RUN, HOSTILE_RUN
from tests.browser.drive import eventually, expect

AXE = pathlib.Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
STATES = ["slow", "fixed", "one-step", "workers", "compare", "picker", "share", "empty", HOSTILE_RUN]
# The first class of the part of the tab that has the focus.
_WHERE = """document.activeElement.closest(".picker, .chooser, .switch, .legend, .chart, .finding, .checks")
    ?.className.split(" ")[0] ?? "" """


@pytest.fixture(scope="session")
def axe():
    if not AXE.exists():
        message = "no axe-core: run `npm ci` in frontend/"
        pytest.fail(message, pytrace=False) if os.environ.get("CI") else pytest.skip(message)
    return AXE.read_text("utf-8")


def bring_about(show, state):
    if state == "empty":
        tab = show("empty")
        expect(tab.find("h1")).to_be_visible()
        return tab
    tab = show("prefix", run=state if state in ("deep", "fixed", "one-step", "workers", HOSTILE_RUN) else "slow")
    if state == "picker":
        tab.find(".picker > button").click()
        expect(tab.find("[role=combobox]")).to_be_focused()
    if state == "share":
        tab.find(".share > button").click()
        expect(tab.find("#share button").first).to_be_focused()
    if state == "compare":
        tab.pick(".chooser > button[aria-haspopup]", "fixed")
        expect(tab.find(".compare h1")).to_be_visible()
    tab.find("html").evaluate("(html) => html.querySelectorAll('details').forEach((one) => { one.open = true; })")
    return tab


@pytest.mark.parametrize("theme", ["Light", "Dark"])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing(show, axe, state, theme):
    tab = show("empty" if state == "empty" else "prefix")
    tab.choose_theme(theme)
    bring_about(show, state)
    tab.settle()
    tab.frame.evaluate(axe)
    result = tab.frame.evaluate("axe.run(document, {resultTypes: ['violations']})")
    found = [(one["id"], [node["html"][:200] for node in one["nodes"]][:3]) for one in result["violations"]]
    tab.page.keyboard.press("Escape")
    tab.choose_theme("Light")
    assert found == []


def test_axe_looks(show, axe):
    """What it finds nothing in would say little if it never found anything."""
    tab = show("fast", run="slow")
    tab.frame.evaluate(axe)
    tab.find("main").evaluate("(main) => main.append(document.createElement('img'))")
    found = tab.frame.evaluate("axe.run(document).then((result) => result.violations.map((one) => one.id))")
    tab.find("main > img").evaluate("(image) => image.remove()")
    assert found == ["image-alt"]


def test_everything_can_be_reached_and_used_by_keyboard(show):
    tab = show("fast", run="slow")
    tab.find(".picker > button").focus()
    reached = set()
    for _ in range(150):
        here = tab.frame.evaluate(_WHERE)
        if here:
            reached.add(here)
        tab.page.keyboard.press("Tab")
    assert {"picker", "chooser", "switch", "legend", "chart", "card", "checks"} <= reached
    tab.find(".share > button").focus()
    tab.page.keyboard.press("Enter")
    expect(tab.find("#share button").first).to_be_focused()
    tab.page.keyboard.press("End")
    expect(tab.find("#share button").last).to_be_focused()
    tab.page.keyboard.press("Escape")
    expect(tab.find(".share > button")).to_be_focused()


def test_the_code_of_a_finding_opens_the_page_of_its_rule_by_keyboard(show):
    tab = show("prefix", run="slow", height=600)
    card = tab.find(".finding").first
    card.locator(".opens").focus()
    tab.page.keyboard.press("Enter")
    expect(card.locator("h4").first).to_have_text("What it means")
    expect(card.locator("summary")).to_be_in_viewport()
    tab.page.keyboard.press("Enter")
    expect(card.locator("h4").first).not_to_be_visible()


def test_what_has_focus_is_seen(show):
    tab = show("prefix", run="slow")
    tab.find(".picker > button").focus()
    tab.page.keyboard.press("Tab")
    expect(tab.find(":focus")).to_have_css("outline-style", "solid")


def test_a_hidden_tab_asks_for_nothing_and_one_that_comes_back_is_up_to_date(show, running_fit):
    running_fit.write(running_fit.steps + 1)
    tab = show("fast", run="running")
    expect(tab.find(".age")).to_contain_text("live", timeout=60_000)
    asked = []
    listen = lambda request: asked.append(request.url) if "/plugin/trainspeed/" in request.url else None  # noqa: E731
    tab.page.on("request", listen)
    tab.page.get_by_role("tab", name="Scalars").click()
    tab.frame.wait_for_function("() => innerHeight === 0", polling=100)  # frames of what is hidden do not come
    tab.page.wait_for_timeout(3_000)  # an update under way ends
    asked.clear()
    tab.page.wait_for_timeout(12_000)  # twice as long as a visible tab waits
    assert asked == []
    running_fit.write(running_fit.steps + 1000)
    tab.page.get_by_role("tab", name="TrainSpeed").click()
    expect(tab.find(".facts")).to_contain_text(f"fit, {running_fit.steps:,} steps", timeout=60_000)
    tab.page.remove_listener("request", listen)


@pytest.mark.parametrize("width", [360, 400, 700, 1280, 2560])
@pytest.mark.parametrize("state", ["deep", "workers", "compare", "one-step", "picker", "share", HOSTILE_RUN])
def test_nothing_sticks_out(show, state, width):
    tab = bring_about(show, state)
    tab.page.set_viewport_size({"width": width, "height": 900})
    tab.settle()
    eventually(lambda: tab.find("html").evaluate("(html) => html.scrollWidth - html.clientWidth"), 0)
    tab.page.keyboard.press("Escape")


def test_at_400_px_names_are_whole_and_tags_in_their_card(show):
    tab = bring_about(show, "deep")
    tab.page.set_viewport_size({"width": 400, "height": 900})
    tab.settle()
    names = tab.find(".hooks .name, .model .path")
    assert names.count() > 5
    cut = """(all) => all.filter((one) => one.scrollWidth > one.clientWidth || one.clientHeight > 40)
        .map((one) => one.textContent)"""
    eventually(lambda: names.evaluate_all(cut), [])
    inside = """(card) => [...card.querySelectorAll(".tag, .range, pre, .copy")]
        .every((part) => part.getBoundingClientRect().right <= card.getBoundingClientRect().right)"""
    assert tab.find(".finding").first.evaluate(inside)


def test_the_picker_says_when_a_fit_began_and_how_it_went(show, running_fit):
    running_fit.write(running_fit.steps + 1)
    tab = show("fast", run="running")
    expect(tab.find(".age")).to_contain_text("live", timeout=60_000)
    tab.find(".picker > button").click()
    began = r"\d{4}-\d\d-\d\d \d\d:\d\d · "
    for run, status in (("running", "running"), ("one-step", "interrupted after "), ("silent", "last record ")):
        expect(tab.find(f"[role=option][title={run}]")).to_contain_text(re.compile(began + status))
    tab.page.keyboard.press("Escape")


def test_the_row_that_keys_have_reached_is_seen_in_the_picker(show):
    tab = bring_about(show, "picker")
    tab.page.keyboard.press("ArrowDown")
    row = tab.find("[role=option].active")
    link = "rgb(21, 101, 192)"
    expect(row).to_have_css("box-shadow", f"{link} 3px 0px 0px 0px inset")
    tab.page.emulate_media(forced_colors="active")
    expect(row).to_have_css("outline-style", "solid")
    tab.page.emulate_media(forced_colors="none")
    tab.page.keyboard.press("Escape")


def test_a_long_name_from_right_to_left_begins_on_the_right(show):
    tab = bring_about(show, "picker")
    row = tab.find("[role=option]", has_text=HEBREW_RUN[:10])
    start, end = (row.locator(f".cut span:{which}-child").bounding_box() for which in ("first", "last"))
    assert start["x"] == pytest.approx(end["x"] + end["width"], abs=1)
    first = tab.find("[role=option] .cut").first.bounding_box()
    assert first["x"] == pytest.approx(tab.find("[role=option] .name").first.bounding_box()["x"], abs=1)
    tab.page.keyboard.press("Escape")


def test_a_fit_of_one_step_says_what_is_missing(show):
    tab = show("prefix", run="one-step")
    expect(tab.find("h1")).to_be_visible()
    expect(tab.find("main")).to_contain_text("needs a second epoch")
