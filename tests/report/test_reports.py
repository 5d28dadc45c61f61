"""The report: what it says in words, in JSON and in the terminal."""

import dataclasses
import io
import json
import re
import sys

import pytest

from tb_trainspeed.profile import (
    ONE_OFF_PHASES,
    Breakdown,
    Compilation,
    CompilationEvent,
    Data,
    Device,
    Environment,
    Epochs,
    HotSpot,
    Layer,
    LayerTime,
    Ledger,
    Model,
    Profile,
    Quantiles,
    Resources,
    Source,
    Steps,
    Validation,
)
from tb_trainspeed.profile import PHASES as ALL_PHASES
from tb_trainspeed.report import compare, diagnose
from tb_trainspeed.report.diagnose import in_users_names
from tb_trainspeed.report.terminal import render, render_comparison, say
from tb_trainspeed.rules import words
from tb_trainspeed.summary import read_log
from tests.golden import make_report as golden
from tests.rules import hardware
from tests.rules.hardware import using

PHASES = {
    "startup": 0.5,
    "compilation": 0.5,
    "input_wait": 6.0,
    "compute": 2.5,
    "epoch_restart": 0.5,
    "optimizer": None,
}
STARVED = Profile(
    fit_id="a",
    status="finished",
    environment=Environment("tensorflow", {"keras": "3.15.1"}, cores=4.0),
    model=Model(run_eagerly=False, steps_per_execution=1),
    data=Data("PyDatasetAdapter", "Photos", 32, workers=1, source=Source("Photos.__getitem__", 200, 8.0, 0.4)),
    ledger=Ledger(10.0, 200, 2, PHASES),
    steps=Steps(200, 6400, Quantiles(200, 0.04, 0.03, 0.04, 0.05, 0.06, 0.2), sampled=200, wait_s=0.03, cpu_s=0.01),
)
HEALTHY = dataclasses.replace(STARVED, ledger=Ledger(10.0, 200, 2, {**PHASES, "input_wait": 0.0, "compute": 8.5}))


def test_the_verdict_names_the_bound_and_the_gain():
    report = diagnose(STARVED)
    assert report.verdict.startswith("Waiting for data: 67 % of training. Safe fixes would make it ")
    assert report.findings[0].code == "IP01"
    assert report.attainable.expected == report.findings[0].speedup.expected


def test_a_healthy_fit_gets_a_verdict_too():
    report = diagnose(HEALTHY)
    assert report.findings == ()
    assert report.verdict == "Computing: 94 % of training. Nothing cheap to fix was found."


def test_the_costliest_layer_counts_with_what_it_is_made_of():
    times = LayerTime("rnn", 1.0, 0.5), LayerTime("rnn/lstm_cell", 3.0, 3.0), LayerTime("head", 2.0, 0.5)
    model = dataclasses.replace(HEALTHY.model, layers=(Layer("rnn", "LSTM", 9, 9), Layer("head", "Dense", 9, 9)))
    report = diagnose(dataclasses.replace(HEALTHY, model=model, breakdown=Breakdown(layers=times)))
    said = "Most of a step goes to `rnn` (75 % of all layers) and `head` (25 % of all layers)."
    assert report.explanation.endswith(said)


def test_a_fix_that_changes_training_leads_where_it_gives_clearly_more_than_all_others():
    draws = dataclasses.replace(STARVED.data, options={"random": "Photos.__getitem__"})
    validation = Validation(runs=2, steps=20, step_s=0.1, batch_size=64, frequency=1)
    for validation_s, said in ((3.0, "A fix that changes training would make it"), (9.0, "Safe fixes would make it")):
        ledger = Ledger(10.0 + validation_s, 200, 2, {**PHASES, "validation": validation_s})
        both = dataclasses.replace(STARVED, data=draws, ledger=ledger, validation=validation, epochs_planned=10)
        report = diagnose(both)
        assert {finding.code: finding.changes_results for finding in report.findings} == {
            "IP01": "training", "CB06": "no",
        }  # fmt: skip
        assert said in report.verdict
        assert (report.findings[0].changes_results == "no") == ("Safe" in said)
        assert report.explanation == next(
            one.message for one in report.findings if (one.code == "CB06") == ("Safe" in said)
        )


def test_what_others_compute_is_no_fix_of_ours():
    beside = {
        "resources": using(machine_cores=4.0, process_cores=0.5),
        "environment": dataclasses.replace(STARVED.environment, devices=(Device("CPU", "cpu"),)),
        "data": Data("ArrayDataAdapter", "", 32),
        "steps": dataclasses.replace(STARVED.steps, wait_s=0.0),
    }
    ledger = Ledger(10.0, 200, 2, {**PHASES, "input_wait": 0.0, "validation": 2.5, "compute": 6.0})
    validation = Validation(runs=2, steps=20, step_s=0.1, batch_size=64, frequency=1)
    both = diagnose(dataclasses.replace(HEALTHY, ledger=ledger, validation=validation, epochs_planned=10, **beside))
    assert [finding.code for finding in both.findings] == ["CB06", "HW06"]
    assert both.attainable.expected == both.findings[0].speedup.expected
    alone = diagnose(dataclasses.replace(HEALTHY, **beside))
    assert [finding.code for finding in alone.findings] == ["HW06"]
    assert alone.attainable is None
    assert re.fullmatch(
        r"Computing: 94 % of training. Alone on the machine it would be [\d.]+× faster\.", alone.verdict
    )


@pytest.mark.parametrize(
    ("card", "code", "said"),
    [
        ({"others": 0.5, "other_processes": 1}, "HW03", "Alone on the GPU"),
        ({"throttled": {"hardware_thermal": 0.9}}, "HW04", "At the full clock of the GPU"),
    ],
)
def test_what_holds_a_gpu_back_is_no_fix_of_ours(card, code, said):
    busy = dataclasses.replace(
        HEALTHY,
        environment=dataclasses.replace(HEALTHY.environment, devices=(Device("GPU", "T4"),)),
        resources=Resources(accelerators=hardware.card(**card)),
    )
    report = diagnose(busy)
    assert [finding.code for finding in report.findings] == [code]
    assert report.attainable is None
    assert f"{said} it would be " in report.verdict


def test_what_a_short_fit_pays_once_leads_where_it_saves_most_and_is_told_once():
    phases = {**PHASES, "compilation": 20.0}
    compiled = Compilation(9, 8, 2.0, 20.0, tuple(CompilationEvent(9, 1.0, 2.0, f"float32(32, {n})") for n in range(8)))
    short = dataclasses.replace(
        STARVED,
        environment=Environment("jax", {"keras": "3.15.1"}, cores=4.0, settings={"jax_compilation_cache_dir": "None"}),
        model=Model(run_eagerly=False, jit_compile=True, steps_per_execution=1),
        ledger=Ledger(29.5, 200, 2, phases),
        compilation=dataclasses.replace(compiled, alike=4),
    )
    report = diagnose(short)
    once = [finding for finding in report.findings if not finding.speedup]
    assert len(once) > 1
    assert sum(finding.saves_s for finding in once) > 20
    said = re.fullmatch(
        r"Starting and compiling: 69 % of this short fit. The fit would end ([\d.]+) s earlier.", report.verdict
    )
    assert max(finding.saves_s for finding in once) < float(said[1]) <= sum(phases[name] for name in ONE_OFF_PHASES)


@pytest.mark.parametrize(
    ("status", "steps", "said"),
    [
        ("running", 0, "No step has finished yet: the fit is starting and compiling."),
        ("interrupted", 0, "The fit ended before its first step."),
        ("finished", 1, "Only 1 step was recorded: too few to say where their time goes."),
        ("running", 9, "Only 9 steps were recorded: too few to say where their time goes."),
    ],
)
def test_a_fit_of_few_steps_is_not_called_more_than_it_is(status, steps, said):
    ledger = Ledger(600.0, steps, 0, {"startup": 5.0, "compute": 595.0})
    assert diagnose(dataclasses.replace(STARVED, status=status, ledger=ledger, steady=None)).verdict == said


@pytest.mark.parametrize(
    ("first", "steady", "steps", "seconds"),
    [(60, None, 60, 60.0), (150, None, 150, 150.0), (230, 30, 30, 30.0), (300, 200, 200, 200.0)],
    ids=["in the first epoch", "in the second", "broken off in the second", "in the fourth"],
)
def test_an_epoch_that_is_not_over_is_not_taken_for_one(first, steady, steps, seconds):
    ledger = Ledger(float(first), first, first // 100, {"compute": float(first)})
    recurring = steady and Ledger(float(steady), steady, max(1, steady // 100), {"compute": float(steady)})
    data = dataclasses.replace(STARVED.data, batches_per_epoch=100)
    report = diagnose(dataclasses.replace(STARVED, data=data, ledger=ledger, steady=recurring))
    assert report.epoch_s == pytest.approx(100.0)
    assert report.steps_per_s == pytest.approx(1.0)


@pytest.mark.parametrize(("steps", "restarts"), [(25, 1), (200, 2), (225, 3)])
def test_the_beginning_of_an_epoch_is_of_all_of_its_steps(steps, restarts):
    """Also where these are not over yet."""
    phases = {"compute": 0.01 * steps, "epoch_restart": 0.25 * restarts}
    steady = Ledger(sum(phases.values()), steps, max(1, steps // 100), phases)
    data = dataclasses.replace(STARVED.data, batches_per_epoch=100)
    report = diagnose(dataclasses.replace(STARVED, data=data, ledger=Ledger(99.0, 999, 9, phases), steady=steady))
    assert report.epoch_s == pytest.approx(1.25)


def test_what_is_mostly_pauses_by_chance_is_called_so():
    ledger = Ledger(10.0, 200, 2, {**PHASES, "input_wait": 0.0, "compute": 4.0, "epoch_restart": 5.0})
    paused = Epochs(release=Quantiles(2, mean_s=2.4, p05_s=0.05, p50_s=2.4, p95_s=4.7, p99_s=4.7, max_s=4.7))
    report = diagnose(dataclasses.replace(HEALTHY, ledger=ledger, epochs=paused))
    assert report.verdict.startswith("Restarting epochs: 56 % of training, most of it pauses that come by chance. ")
    assert report.explanation.startswith("The pauses differ from fit to fit; without them ")
    steady = dataclasses.replace(paused, release=dataclasses.replace(paused.release, p05_s=2.3))
    unknown = dataclasses.replace(HEALTHY.data, source=None)  # so that it may be the loader's own
    assert "chance" not in diagnose(dataclasses.replace(HEALTHY, ledger=ledger, epochs=steady, data=unknown)).verdict


@pytest.mark.parametrize(
    "profile", [Profile(), Profile(ledger=Ledger(2.0, 1, 0, {"compute": 2.0}))], ids=["empty", "one"]
)
def test_a_fit_that_has_hardly_begun(profile):
    report = diagnose(profile)
    assert report.findings == ()
    json.loads(report.to_json())
    assert "nan" not in render(report)


def test_json_keeps_its_names_and_says_null_for_what_was_not_measured():
    values = json.loads(diagnose(STARVED).to_json())
    assert values["phases"]["optimizer"] is None
    assert values["phases"]["callbacks"] is None
    assert sum(value or 0 for value in values["phases"].values()) == pytest.approx(values["wall_s"])
    (finding,) = values["findings"]
    assert finding["speedup"]["low"] <= finding["speedup"]["expected"] <= finding["speedup"]["high"]
    assert {check["outcome"] for check in values["checks"]} <= {"found", "passed", "not_applicable", "not_measured"}


@pytest.mark.parametrize("phase", ALL_PHASES)
def test_whatever_takes_longest_the_verdict_says_so_in_words(phase):
    ledger = dataclasses.replace(STARVED.ledger, phases={phase: STARVED.ledger.wall_s})
    verdict = diagnose(dataclasses.replace(STARVED, ledger=ledger, steady=ledger)).verdict
    assert re.match(r"[A-Z][A-Za-z ,]+: ", verdict)
    assert "_" not in verdict


def test_findings_save_less_than_what_recurs():
    (finding,) = diagnose(STARVED).findings
    assert 0 < finding.saves_s < 9.0


def test_a_remedy_that_frees_the_steps_shows_what_the_last_ones_of_epochs_tell():
    (entry,) = read_log(golden.RECORD).fits
    steps = entry.profile.steps
    told = []
    for share in (0.5, 1.0):
        last = dataclasses.replace(steps.call, count=3, p50_s=share * steps.call.mean_s)
        report = diagnose(dataclasses.replace(entry.profile, steps=dataclasses.replace(steps, last=last)))
        told += [finding.evidence.get("computing a step") for finding in report.findings if finding.code == "IP09"]
    assert "in the last of an epoch" in told[0]
    assert told[1:] == [None]


def test_what_if_of_nothing_is_now():
    result = diagnose(STARVED).what_if([])
    assert result["speedup"]["expected"] == 1.0
    assert result["before_s"] == pytest.approx(4.5)


def test_what_if_of_everything_safe_is_what_is_attainable():
    report = diagnose(STARVED)
    assert report.what_if(["IP01"])["speedup"]["expected"] == report.attainable.expected


def test_what_if_levers_are_simulated_with_the_remedies():
    report = diagnose(STARVED)
    alone = report.what_if([], {"workers": 4})
    assert alone["levers"] == {"workers": 4}
    assert alone["speedup"]["expected"] > 1.5
    assert alone["step_s"]["after"] < alone["step_s"]["before"]
    assert alone["samples_per_s"]["after"] == pytest.approx(
        alone["samples_per_s"]["before"] * alone["speedup"]["expected"]
    )
    assert sum(alone["phases"]["after"].values()) == pytest.approx(alone["after_s"]["expected"])
    assert report.what_if([], {"workers": 1})["speedup"]["expected"] == 1.0


def test_what_if_tells_the_parts_of_computing_apart_as_the_ledger_does():
    phases = {**PHASES, "optimizer": 0.5, "compute": 2.0}
    profile = dataclasses.replace(STARVED, ledger=dataclasses.replace(STARVED.ledger, phases=phases))
    answer = diagnose(profile).what_if(["IP01"])
    assert answer["phases"]["before"]["optimizer"] == pytest.approx(0.25)
    assert answer["phases"]["before"]["compute"] == pytest.approx(1.0)
    assert sum(answer["phases"]["after"].values()) == pytest.approx(answer["after_s"]["expected"])


def test_a_lever_replaces_the_remedy_that_turns_the_same_quantity():
    both = diagnose(STARVED).what_if(["IP01"], {"workers": 2})
    assert both["apply"] == []
    assert both["notes"] == ["IP01 is left out: its remedy is what the lever “workers” turns."]
    assert both["speedup"] == diagnose(STARVED).what_if([], {"workers": 2})["speedup"]


@pytest.mark.parametrize(
    ("codes", "settings", "message"),
    [
        (["IP99"], {}, "not among the findings of this fit: IP99"),
        ([], {"precision": 16}, "this fit has no lever 'precision'"),
        ([], {"workers": 5}, "the lever 'workers' cannot be set to 5"),
    ],
)
def test_what_if_of_what_is_not_there(codes, settings, message):
    with pytest.raises(ValueError, match=message):
        diagnose(STARVED).what_if(codes, settings)


def test_what_if_without_a_model_has_no_numbers():
    answer = diagnose(Profile()).what_if([])
    assert answer["before_s"] is None
    assert answer["phases"] is None
    assert diagnose(Profile()).levers == ()


@pytest.mark.parametrize("profile", [STARVED, HEALTHY, Profile()], ids=["starved", "healthy", "empty"])
def test_the_terminal_report_fits_one_screen_and_needs_no_colour(profile):
    text = render(diagnose(profile), log_dir="logs", colour=False)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) <= 40
    assert "tensorboard --logdir logs" in text


@pytest.mark.parametrize(("columns", "width"), [("20", 40), ("40", 40), ("60", 60), ("200", 100)])
def test_the_terminal_report_is_as_wide_as_the_terminal_within_reason(columns, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    both = compare(diagnose(STARVED), diagnose(dataclasses.replace(STARVED, fit_id="b", started_at_s=1.0)))
    for text in (render(diagnose(STARVED), colour=False), render_comparison(both, "a", "b", colour=False)):
        lines = [line for line in text.splitlines() if not re.match(r" {5}[+-]", line)]  # that is code
        assert max(map(len, lines)) == width
        assert lines[1] == lines[1].ljust(width, "─")


def test_what_the_table_is_of_is_said_above_it():
    lines = render(diagnose(STARVED), colour=False).splitlines()
    heading = lines.index("Where the 10 s of this fit went, its start included:")
    assert lines[heading + 1].split()[:3] == ["startup", "500", "ms"]
    assert "Where" not in render(diagnose(Profile()), colour=False)


def test_further_findings_show_their_evidence_in_a_sentence():
    report = diagnose(STARVED)
    second = dataclasses.replace(report.findings[0], message="`load` takes 4 ms. It is called twice.")
    said = render(dataclasses.replace(report, findings=(report.findings[0], second)), colour=False)
    assert "   load takes 4 ms.\n" in said
    assert "twice" not in said
    assert report.findings[0].message.rpartition(". ")[2] in " ".join(said.split())


@pytest.mark.parametrize(("steps", "said"), [(1, "1 step ·"), (1200, "1,200 steps ·")])
def test_one_step_is_no_steps(steps, said):
    ledger = dataclasses.replace(STARVED.ledger, steps=steps)
    assert said in render(diagnose(dataclasses.replace(STARVED, ledger=ledger)), colour=False)


def test_where_nothing_is_found_what_makes_the_batches_is_told():
    spots = tuple(
        HotSpot(name, "a.py", line, "", "", 0.3) for line, name in enumerate(("_augment", "_load", "_augment"))
    )
    source = Source("Photos.__getitem__", 200, 8.0, 8.0, spots)
    busy = dataclasses.replace(STARVED, data=Data("TorchDataLoaderAdapter", "Photos", 32, source=source))
    assert diagnose(busy).explanation == (
        "The next lever is less work for a batch, or more cores to make batches on. `Photos.__getitem__` takes 40 ms a "
        "batch, 60 % of it in `_augment`."
    )
    unseen = dataclasses.replace(
        busy, data=dataclasses.replace(busy.data, source=dataclasses.replace(source, hot_spots=()))
    )
    assert diagnose(unseen).explanation.endswith("`Photos.__getitem__` takes 40 ms a batch.")


@pytest.mark.parametrize(
    ("called", "code"),
    [
        ({"x": "photos", "model": "net"}, "- photos = Photos(...)\n+ photos = Photos(..., "),
        ({"x": "self.photos"}, "- self.photos = Photos(...)\n+ self.photos = Photos(..., "),
        ({"x": "no name \\1"}, "- train = Photos(...)\n+ train = Photos(..., "),
        ({}, "- train = Photos(...)\n+ train = Photos(..., "),
    ],
)
def test_code_has_the_names_of_the_users_own(called, code):
    data = dataclasses.replace(STARVED.data, options={f"called_{what}": name for what, name in called.items()})
    report = diagnose(dataclasses.replace(STARVED, data=data))
    assert report.findings[0].remedy.code.startswith(code)


def test_arrays_and_models_have_their_names_too():
    data = Data("ArrayDataAdapter", options={"called_x": "images", "called_y": "labels", "called_model": "net"})
    assert in_users_names("- model.fit(x, y, ...)\n+ model.fit(x[:n], y[:n], ...)", data) == (
        "- net.fit(images, labels, ...)\n+ net.fit(images[:n], labels[:n], ...)"
    )
    bound = "+ class Rows:\n+     return self.x\n+ model.fit(Rows(x, y), models=1)"
    assert in_users_names(bound, data) == bound.replace("model.fit", "net.fit")


def test_a_hint_is_called_one():
    phases = {**PHASES, "input_wait": 1.5, "compute": 7.0}
    slow = dataclasses.replace(STARVED.data, inputs="float64(32, 90000)")
    report = diagnose(dataclasses.replace(STARVED, data=slow, ledger=Ledger(10.0, 200, 2, phases)))
    hints = [finding.code for finding in report.findings if finding.confidence == "hint"]
    said = render(report, None, colour=False)
    assert hints == ["TR01"]
    assert "TR01, a hint" in said
    assert "IP01, a hint" not in said
    assert "in what __getitem__ returns" in " ".join(said.split())


def test_code_is_not_broken_for_the_width_of_the_terminal(monkeypatch):
    report = diagnose(STARVED)
    line = "+ " + "a_long_name, " * 9
    monkeypatch.setenv("COLUMNS", "40")
    remedy = dataclasses.replace(report.findings[0].remedy, code=line)
    finding = dataclasses.replace(report.findings[0], remedy=remedy)
    path = "/a long path" * 9
    text = render(dataclasses.replace(report, findings=(finding,)), path, colour=False)
    assert f"     {line.rstrip()}" in text.splitlines()
    assert f"  tensorboard --logdir '{path}'" in text.splitlines()


def test_the_terminal_report_says_what_was_not_measured():
    text = render(diagnose(dataclasses.replace(STARVED, not_measured={"input_wait": "because"})), colour=False)
    assert "Not measured: input wait (because)." in text


def test_the_terminal_report_names_what_is_inside_computing_and_every_failure():
    phases = {**PHASES, "host_overhead": 0.1, "transfer": None, "collectives": None}
    failed = {"input_wait": "off", "resources": "off", "everything after the failure": "ValueError: a bug"}
    profile = dataclasses.replace(STARVED, ledger=Ledger(10.0, 200, 2, phases), not_measured=failed)
    text = render(diagnose(profile), colour=False)
    assert "Not told apart from compute: transfer, optimizer, collectives." in text.splitlines()
    assert "Not measured: everything after the failure (ValueError: a bug)." in text
    assert "told apart" not in render(diagnose(Profile()), colour=False)  # nothing was computed yet


def test_a_notebook_shows_the_report_as_escaped_text():
    hostile = dataclasses.replace(STARVED, data=dataclasses.replace(STARVED.data, kind="<script>"))
    page = diagnose(hostile)._repr_html_()
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_a_notebook_gets_the_report_in_one_piece(monkeypatch):
    text = str(diagnose(STARVED))
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert str(diagnose(STARVED)) == text


def test_values_in_a_notebook_are_one_short_line():
    report = diagnose(STARVED)
    faster = words.times(report.findings[0].speedup.expected)
    assert repr(report) == f"<Report: {report.verdict}>"
    assert repr(report.findings) == f"(<Finding IP01: Batches are made by one worker, {faster} faster>,)"
    assert repr(compare(report, report)).startswith("<Comparison: These are the same fit")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 s"),
        (7.31e-8, "73.1 ns"),
        (12e-6, "12 µs"),
        (0.0496, "49.6 ms"),
        (1.2, "1.2 s"),
        (45.6, "45.6 s"),
        (248, "4 min 08 s"),
        (7380, "2 h 03 min"),
    ],
)
def test_seconds(value, text):
    assert words.seconds(value) == text


def test_other_words():
    assert [words.share(x) for x in (0.624, 0.0041, 1.0, 0.0)] == ["62 %", "0.4 %", "100 %", "0 %"]
    assert [words.times(x) for x in (2.41, 1.043, 16.7)] == ["2.4×", "1.04×", "17×"]
    assert words.times_range(2.24, 2.61) == "2.2–2.6×"
    assert [words.size(x) for x in (500, 2_500_000)] == ["500 B", "2.5 MB"]
    assert words.number(1290.4) == "1,290"


def test_the_typical_epoch_is_without_pauses():
    pausing = Quantiles(4, mean_s=0.3, p05_s=0.1, p50_s=0.1, p95_s=0.9, p99_s=0.9, max_s=0.9)
    profile = dataclasses.replace(HEALTHY, epochs=Epochs(restart=pausing))
    assert diagnose(profile).typical_epoch_s == pytest.approx(diagnose(HEALTHY).typical_epoch_s - 0.2)
    assert diagnose(profile).what_if([])["before_s"] == pytest.approx(diagnose(profile).typical_epoch_s)
    (note,) = diagnose(profile).what_if([])["notes"]
    assert "200 ms an epoch" in note
    assert diagnose(HEALTHY).typical_epoch_s == pytest.approx(diagnose(HEALTHY).epoch_s)
    assert diagnose(HEALTHY).what_if([])["notes"] == []


def test_an_output_in_an_old_encoding_gets_the_report_all_the_same(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    say("─ 4.4× faster")
    sys.stdout.flush()
    assert written.getvalue().decode("latin-1").splitlines() == ["? 4.4× faster"]


def test_a_number_stays_in_the_line_of_its_unit():
    report = diagnose(STARVED)
    finding = dataclasses.replace(report.findings[0], message="of the time " * 6 + "is 50 % of it, and 12.5 ms")
    lines = str(dataclasses.replace(report, findings=(finding,))).splitlines()
    assert "   50 % of it, and 12.5 ms" in lines
