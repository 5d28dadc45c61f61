"""The tab does in a real browser, inside a real TensorBoard, what the panel's own tests promise."""

import re
import time

import pytest

from tb_trainspeed.report import diagnose
from tests.browser.conftest import HOSTILE_RUN
from tests.browser.drive import Server, Tab, eventually, expect, write

SERVERS = ["fast", "prefix"]
LABELS = {
    "startup": "startup",
    "compilation": "compilation",
    "input_wait": "input wait",
    "compute": "compute",
    "optimizer": "optimizer",
    "host_overhead": "host overhead",
    "callbacks": "callbacks",
    "epoch_restart": "epoch restart",
    "gc": "gc pauses",
    "trainspeed": "TrainSpeed",
    "other": "other",
}
DARK, LIGHT = "rgb(48, 48, 48)", "rgb(255, 255, 255)"


@pytest.mark.parametrize("server", SERVERS)
def test_a_fit_of_a_moment_ago_is_shown(show, server, profiles):
    tab = show(server, run="real")
    expect(tab.find("h1")).to_have_text(diagnose(profiles["real"]).verdict)
    expect(tab.find(".facts")).to_contain_text("fit, 60 steps")


@pytest.mark.parametrize("server", SERVERS)
def test_the_report_is_shown(show, server, report):
    tab = show(server, run="slow")
    expect(tab.find("h1")).to_have_text(report["verdict"])
    expect(tab.find(".sub").first).to_have_text(report["explanation"].replace("`", ""))
    facts = dict(zip(tab.find(".facts dt").all_text_contents(), tab.find(".facts dd").all_text_contents(), strict=True))
    assert number(facts["samples / s"]) == pytest.approx(report["samples_per_s"], rel=0.01)
    assert seconds(facts["epoch"]) == pytest.approx(report["epoch_s"], rel=0.05)
    assert number(facts["cost of TrainSpeed"]) == pytest.approx(report["overhead"]["share"] * 100, abs=0.51)
    assert seconds(facts[f"fit, {report['steps']} steps"]) == pytest.approx(report["wall_s"], rel=0.05)


def number(text):
    return float(re.search(r"[\d.,]+", text)[0].replace(",", ""))


def seconds(text):
    value, unit = text.split(" ")
    return float(value) * {"µs": 1e-6, "ms": 1e-3, "s": 1}[unit]


@pytest.mark.parametrize(
    ("button", "ledger_of"), [("steady training", lambda report: report["steady"]), ("whole fit", dict)]
)
def test_the_ledger(show, report, button, ledger_of):
    tab = show("prefix", run="slow")
    tab.find(".ledger .switch button", has_text=button).click()
    expect(tab.find(".ledger .switch button[aria-pressed=true]")).to_have_text(button)
    ledger = ledger_of(report)
    measured = {LABELS[name]: s / ledger["wall_s"] * 100 for name, s in ledger["phases"].items() if s and s > 0}
    shown = {
        row.locator("span").first.inner_text(): row.locator("b").inner_text() for row in tab.find(".legend li").all()
    }
    assert shown.keys() == measured.keys()
    for label, percent in shown.items():
        assert number(percent) == pytest.approx(measured[label], abs=0.51), label


def test_the_findings_and_their_code(show, report):
    tab = show("fast", run="slow")
    first = report["findings"][0]
    expect(tab.find(".finding")).to_have_count(len(report["findings"]))
    card = tab.find(".finding").first
    expect(card.locator("h3")).to_contain_text(f"{first['title']} {first['code']} {first['name']}")
    expect(card.locator(".big b")).to_have_text(re.compile(r"^\d+(\.\d+)?×$"))
    card.locator("button.copy").click()
    expect(card.locator("button.copy")).to_have_text("copied")
    lines = first["remedy"]["code"].splitlines()
    copied = tab.page.evaluate("navigator.clipboard.readText()")
    assert copied == "\n".join(line[2:] for line in lines if not line.startswith("- "))
    card.locator("summary").click()
    expect(card.locator("h4")).to_have_text(
        ["What it means", "Why it is slow", "What to change", "When this is wrong", "Sources"]
    )


@pytest.mark.parametrize("server", SERVERS)
def test_a_hostile_name_is_text_and_survives_a_reload(show, server):
    tab = show(server, run="slow")
    picker = tab.find(".picker > button")
    expect(picker).to_contain_text("slow")
    tab.pick(".picker > button", "img onerror")
    expect(picker).to_contain_text(HOSTILE_RUN)
    tab.page.reload()
    expect(picker).to_contain_text(HOSTILE_RUN)
    expect(tab.find("h1")).to_be_visible()
    expect(tab.find("img")).to_have_count(0)


def test_a_broken_record_is_told_and_harms_no_other(show):
    tab = show("fast", run="slow")
    expect(tab.find("h1")).to_be_visible()
    problems = tab.find(".problems")
    expect(problems.locator("summary")).to_have_text("2 records could not be read")
    problems.locator("summary").click()
    expect(problems.locator("li")).to_contain_text(["broken", "damaged"])


@pytest.mark.parametrize("server", SERVERS)
def test_of_a_damaged_file_the_last_readable_record_is_shown(show, server):
    tab = show(server, run="damaged")
    expect(tab.find(".banner")).to_contain_text(
        "the last one that can. damaged/trainspeed/damaged/events.out.tfevents."
    )
    expect(tab.find(".banner")).to_contain_text("is damaged; the one before it counts.")
    expect(tab.find(".facts")).to_contain_text("fit, 100 steps")


def test_a_fit_whose_records_stay_away_is_not_called_live(show):
    age = show("fast", run="silent").find(".age")
    expect(age).to_contain_text("due every 11 s, so the process may have been killed")
    expect(age).to_have_class("age warn")


def test_a_server_that_is_gone_is_told_wherever_one_has_scrolled_to(browser, tmp_path, profile):
    write(tmp_path / "going", profile, status="running", updated_at_s=time.time())
    server = Server(tmp_path, "--load_fast=true")
    tab = Tab(browser, server.url).show(run="going", height=600)
    expect(tab.find(".age")).to_contain_text("live")
    tab.find(".checks").scroll_into_view_if_needed()
    assert tab.frame.evaluate("scrollY") > 500
    server.stop()
    expect(tab.find(".banner")).to_be_in_viewport(timeout=60_000)
    expect(tab.find(".banner")).to_contain_text("TensorBoard does not answer")
    expect(tab.find(".age")).to_contain_text("no connection · last record")
    expect(tab.find(".age")).to_have_class("age warn")
    tab.page.close()


def test_it_follows_the_theme_of_tensorboard(show):
    tab = show("prefix", run="slow")
    body = tab.find("body")
    expect(body).to_have_css("background-color", LIGHT)
    for theme, colour in (("Dark", DARK), ("Light", LIGHT)):
        tab.choose_theme(theme)
        expect(body).to_have_css("background-color", colour)


@pytest.mark.parametrize("server", SERVERS)
def test_a_running_fit_updates_by_itself(show, server, running_fit):
    before = running_fit.steps
    tab = show(server, run="running")
    expect(tab.find(".facts")).to_contain_text(f"fit, {before:,} steps")
    running_fit.write(before + 1000)
    expect(tab.find(".facts")).to_contain_text(f"fit, {before + 1000:,} steps", timeout=60_000)
    expect(tab.find(".age")).to_contain_text("live")


@pytest.mark.parametrize("width", [360, 400, 700, 1280, 1920])
def test_nothing_sticks_out(show, width):
    tab = show("prefix", run="slow", width=width)
    expect(tab.find(".chart canvas")).to_be_visible()
    tab.settle()
    eventually(lambda: tab.find("html").evaluate("(html) => html.scrollWidth - html.clientWidth"), 0)


def test_an_empty_folder_shows_what_to_do_and_fills_by_itself(show, empty_log_dir, profile):
    tab = show("empty")
    expect(tab.find("h1")).to_have_text("No training recorded here yet")
    expect(tab.find("main")).to_contain_text("TrainSpeedCallback")
    expect(tab.find("main")).to_contain_text(str(empty_log_dir))
    write(empty_log_dir / "first", profile, updated_at_s=time.time())
    expect(tab.find(".picker")).to_contain_text("first", timeout=60_000)
