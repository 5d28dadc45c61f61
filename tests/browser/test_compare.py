"""Two fits compared and workers side by side, in a real browser inside a real TensorBoard."""

import pytest

from tb_trainspeed.report import compare, diagnose
from tests.browser.conftest import HOSTILE_RUN, faster
from tests.browser.drive import eventually, expect
from tests.browser.test_tab import seconds

SERVERS = ["fast", "prefix"]
CHOOSER = ".chooser > button[aria-haspopup]"


@pytest.fixture(scope="session")
def comparison(profile):
    return compare(diagnose(profile), diagnose(faster(profile)))


@pytest.mark.parametrize("server", SERVERS)
def test_the_older_fit_comes_first_whichever_is_on_screen(show, server, comparison):
    for run, other in (("fixed", "slow"), ("slow", "fixed")):
        tab = show(server, run=run)
        tab.pick(CHOOSER, other)
        expect(tab.find("h1")).to_have_text(comparison.verdict)
        expect(tab.find(".side b")).to_have_text(["slow", "fixed"])
        tab.find("button", has_text="back to the report").click()
        expect(tab.find(".ledger")).to_be_visible()


def test_phases_side_by_side(show, comparison):
    tab = show("prefix", run="fixed")
    tab.pick(CHOOSER, "slow")
    rows = tab.find(".differences").first.locator("tbody tr")
    expect(rows).to_have_count(len(comparison.phases))
    wait = rows.filter(has_text="input wait")
    cells = lambda: [seconds(wait.locator("td").nth(column).inner_text()) for column in (0, 1)]  # noqa: E731
    (of_wait,) = (row for row in comparison.phases if row.phase == "input_wait")
    assert of_wait.step_s[1] == pytest.approx(of_wait.step_s[0] / 10)
    eventually(cells, pytest.approx(of_wait.step_s, rel=0.01))
    tab.find(".switch button", has_text="an epoch").click()
    expect(tab.find(".switch button[aria-pressed=true]")).to_have_text("an epoch")
    eventually(cells, pytest.approx(of_wait.epoch_s, rel=0.01))
    bars = tab.find(".pair .bar")
    expect(bars).to_have_count(2)
    expect(bars.first).to_be_visible()
    widths = lambda: bars.nth(1).bounding_box()["width"] / bars.nth(0).bounding_box()["width"]  # noqa: E731
    eventually(widths, pytest.approx(1 / comparison.speedup, rel=0.02))


def test_a_comparison_survives_a_reload_and_can_be_left(show, comparison):
    tab = show("fast", run="fixed")
    tab.pick(CHOOSER, "slow")
    expect(tab.find("h1")).to_have_text(comparison.verdict)
    tab.page.reload()
    expect(tab.find("h1")).to_have_text(comparison.verdict, timeout=30_000)
    expect(tab.find(CHOOSER)).to_contain_text("slow")
    tab.find("button", has_text="back to the report").click()
    expect(tab.find(".ledger")).to_be_visible()
    eventually(lambda: "compare" in tab.page.url, False)


def test_a_hostile_run_can_be_compared_with(show):
    tab = show("prefix", run="slow")
    tab.pick(CHOOSER, "img onerror")
    expect(tab.find(".side b").first).to_have_text(HOSTILE_RUN)
    expect(tab.find("img")).to_have_count(0)


def test_a_fit_without_steps_says_why_it_cannot_be_compared(show):
    tab = show("fast", run="slow")
    tab.pick(CHOOSER, "one-step")
    expect(tab.find("h1")).to_contain_text("They cannot be compared yet")


@pytest.mark.parametrize("server", SERVERS)
def test_the_worker_that_holds_the_others_up_is_named_and_framed(show, server):
    tab = show(server, run="workers")
    section = tab.find(".workers")
    expect(section.locator("h2 small")).to_have_text("3 workers; worker 1 holds the others up")
    expect(section.locator(".strip")).to_have_count(3)
    expect(section.locator(".strip").nth(1).locator("i.slow").first).to_be_visible()
    expect(section.locator(".strip").nth(0).locator("i.slow")).to_have_count(0)
    section.locator("select").select_option("collectives")
    expect(section.locator(".strip[aria-label*=collectives]")).to_have_count(3)


def test_workers_are_one_fit(show):
    tab = show("prefix", run="workers")
    expect(tab.find("select[aria-label=fit]")).to_have_count(0)
