"""The sections of the tab below the verdict, in a real browser: time line, what-if, model, pipeline, callbacks."""

import pytest

from tb_trainspeed.report import diagnose
from tb_trainspeed.rules.rule import HEADINGS
from tests.browser.drive import eventually, expect
from tests.browser.test_tab import SERVERS, seconds


@pytest.fixture(scope="module")
def deep(deep_profile):
    return diagnose(deep_profile)


def test_phases_are_explained_to_keyboards_too(show, report):
    tab = show("fast", run="slow")
    row = tab.find(".legend button", has_text="input wait")
    row.focus()
    expect(tab.find(".tip")).to_contain_text(report["meanings"]["input_wait"])
    described = tab.find(f"#{row.get_attribute('aria-describedby')}")
    expect(described).to_contain_text(report["meanings"]["input_wait"])
    tab.page.keyboard.press("Escape")
    expect(tab.find(".tip")).to_have_count(0)


def test_the_time_line_zooms_and_runs_over_steps_or_wall_time(show):
    tab = show("prefix", run="deep", height=1100)
    chart = tab.find(".chart")
    reset = tab.find("button", has_text="reset zoom")
    chart.scroll_into_view_if_needed()
    for axis in ("wall time", "steps"):
        tab.find(".timeline .switch button", has_text=axis).click()
        expect(reset).to_have_count(0)
        over = chart.locator(".u-over")
        expect(over).to_be_visible()  # the chart is drawn anew for another axis
        box = over.bounding_box()
        tab.page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 50)
        tip = chart.locator(".tip")
        expect(tip).to_contain_text("step")
        expect(tip.locator("span.dim", has_text="after the start")).to_have_count(1 if axis == "wall time" else 0)
        tab.page.mouse.down()
        tab.page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 50, steps=4)
        tab.page.mouse.up()
        expect(reset).to_be_visible()
        reset.click()
        expect(reset).to_have_count(0)


def test_phases_of_the_time_line_are_switches(show):
    tab = show("fast", run="deep", height=1100)
    key = tab.find(".keys button", has_text="compute")
    chart = tab.find(".chart")
    expect(chart.locator("canvas")).to_be_visible()
    chart.get_by_role("slider").focus()
    tab.page.keyboard.press("ArrowRight")
    expect(chart.locator(".tip")).to_contain_text("compute")
    key.click()
    expect(key).to_have_attribute("aria-pressed", "false")
    chart.get_by_role("slider").focus()
    tab.page.keyboard.press("ArrowRight")
    expect(chart.locator(".tip")).not_to_contain_text("compute")
    tab.find(".keys button", has_text="show all").click()
    expect(key).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("server", SERVERS)
def test_ticks_and_levers_are_simulated_by_the_server(show, server, deep):
    tab = show(server, run="deep", height=1100)
    safe = [finding.code for finding in deep.findings if finding.changes_results == "no"]
    told = tab.find(".whatif .told")
    gained = lambda: float(told.last.locator(".gained").inner_text().rstrip("×"))  # noqa: E731
    for codes, settings in ((safe, {}), ([], {}), ([], {"workers": 3})):
        for finding in deep.findings:
            if finding.speedup is None:  # nothing recurs that could be simulated
                continue
            tick = tab.find(".finding", has_text=f"{finding.code} {finding.name}").locator(".tick input")
            tick.set_checked(finding.code in codes)
        if settings:
            tab.find(".lever", has_text="workers").locator("input").fill("2")
        answer = deep.what_if(codes, settings)
        expect(told.first).to_contain_text("an epoch")
        assert seconds(told.first.locator("b").inner_text()) == pytest.approx(answer["before_s"], rel=0.05)
        if answer["speedup"]["expected"] > 1.005:
            # An answer to the question before may still be on screen.
            eventually(gained, pytest.approx(answer["speedup"]["expected"], rel=0.05))  # two digits are shown
        else:
            expect(told.last).to_have_text("the same")


def test_the_size_of_a_layer_with_a_hostile_name_can_be_turned(show, deep):
    tab = show("prefix", run="deep", height=1100)
    lever = tab.find(".lever", has_text="size of a layer")
    name = next(lever.title for lever in deep.levers if "<b>" in lever.code)
    lever.locator("select").select_option(label=name)
    lever.locator("input").fill("0")
    expect(lever.locator("> b")).to_have_text("0.25× (now 1×)")
    expect(tab.find(".effects")).to_contain_text("changes training")


def test_the_table_of_layers_is_sorted_by_a_click(show, deep):
    tab = show("fast", run="deep")
    rows = deep.to_dict()["layers"]
    first = tab.find(".model tbody tr").first
    dearest = max(rows, key=lambda row: row["share"] or 0)
    expect(first).to_contain_text(dearest["path"])
    tab.find(".model th button", has_text="parameters").click()
    expect(first).to_contain_text(max(rows, key=lambda row: row["parameters"] or 0)["path"])
    tab.find(".model th button", has_text="layer").first.click()
    expect(first).to_contain_text(min((row["path"] for row in rows), key=str.lower))
    expect(tab.find(".icicle i").first).to_be_visible()


def test_the_pipeline_says_what_sets_the_pace(show, deep):
    tab = show("fast", run="deep")
    nodes = deep.to_dict()["pipeline"]
    expect(tab.find(".pipeline h3")).to_have_text([node["title"] for node in nodes])
    (slowest,) = (node["title"] for node in nodes if node["bottleneck"])
    expect(tab.find(".pipeline .bottleneck h3")).to_have_text(slowest)


@pytest.mark.parametrize("server", SERVERS)
def test_the_page_of_a_rule_comes_from_the_package(show, server, deep):
    tab = show(server, run="deep")
    summary = tab.find(".checks summary").first
    summary.click()
    passed = next(check for check in deep.checks if check.outcome == "passed").rule
    tab.find(".checks .opens", has_text=passed.code).click()
    page = tab.find(f"#page-{passed.code}")
    expect(page.locator("h4")).to_have_text(list(HEADINGS))
    expect(page.locator("p").first).to_have_text(passed.summary.replace("`", ""))
    summary.click()


def test_callbacks_compilations_and_checks(show, deep):
    tab = show("prefix", run="deep")
    hooks = sorted(deep.profile.hooks, key=lambda row: -row.total_s)
    expect(tab.find(".hooks tbody tr").first).to_contain_text(f"{hooks[0].callback}.{hooks[0].hook}")
    expect(tab.find(".compilation")).to_contain_text("float32(3, 4)")
    group = tab.find(".checks details").first
    expect(group.locator("table")).not_to_be_visible()
    group.locator("summary").click()
    passed = next(check for check in deep.checks if check.outcome == "passed")
    expect(group.locator("tr", has_text=passed.rule.code)).to_contain_text(passed.reason.replace("`", ""))


def test_what_was_used_follows_the_zoom_and_the_pointer(show, deep):
    tab = show("fast", run="deep", height=1100)
    (cpu, *_) = deep.to_dict()["usage"]
    chart = tab.find(".usage", has_text=cpu["title"])
    line = chart.locator("path").first
    before = line.get_attribute("d")
    chart.scroll_into_view_if_needed()
    expect(tab.find(".u-over")).to_be_visible()

    def ends(part):
        box = part.bounding_box()
        return box["x"], box["width"]

    eventually(lambda: ends(chart.locator("svg")), pytest.approx(ends(tab.find(".u-over")), abs=1.5))
    over = tab.find(".u-over").bounding_box()
    tab.page.mouse.move(over["x"] + over["width"] * 0.3, over["y"] + 50, steps=4)
    expect(chart.locator(".cursor")).to_have_count(1)
    tab.page.mouse.down()
    tab.page.mouse.move(over["x"] + over["width"] * 0.6, over["y"] + 50, steps=4)
    tab.page.mouse.up()
    expect(line).not_to_have_attribute("d", before)
    tab.find("button", has_text="reset zoom").click()
    expect(line).to_have_attribute("d", before)
