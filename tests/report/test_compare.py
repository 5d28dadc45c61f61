"""What changed from one fit to another, on fits whose numbers are known."""

import dataclasses
import itertools
import json
import math
import re

import pytest

from tb_trainspeed.profile import Epochs, Layer, Profile, Quantiles, Resources, Usage, Validation
from tb_trainspeed.report import compare, diagnose
from tb_trainspeed.report.compare import OTHERS
from tb_trainspeed.report.markdown import render_comparison as as_markdown
from tb_trainspeed.report.spread import epochs_s, t_975
from tb_trainspeed.report.terminal import render_comparison as as_text
from tb_trainspeed.summary import read_log
from tests.golden import make_report as golden
from tests.report.fits import fit


def compared(a, b):
    return compare(diagnose(a), diagnose(b))


def table_of(comparison):
    """The phases as Markdown shows them; the terminal shows the same."""
    lines = as_markdown(comparison, "a", "b").split("\n\n|")[1].replace("\n|", "\n").splitlines()
    cells = [[cell.strip() for cell in line.strip(" |").split("|")] for line in lines if "---" not in line]
    text = " ".join(as_text(comparison, "a", "b").split())
    assert all(" ".join(row[:4]) in text for row in cells)
    return {name: values for name, *values in cells}


SLOW, FAST = fit(jitter=0.05), fit(fit_id="later", step_s=0.02, wait_s=0.005, jitter=0.05)


def test_the_speed_up_is_of_a_steady_epoch_and_its_interval_holds_it():
    comparison = compared(SLOW, FAST)
    assert (comparison.per, comparison.phases_per) == ("epoch", "step")
    assert comparison.speedup == pytest.approx(2.0)
    low, high = comparison.interval
    assert 1.8 < low < 2.0 < high < 2.2
    assert comparison.verdict == "The second fit is 2× faster."
    assert comparison.explanation.startswith("Input wait went from 30 ms to 5 ms a step")


def test_the_other_way_round_it_is_slower():
    comparison = compared(FAST, SLOW)
    assert comparison.speedup == pytest.approx(0.5)
    assert comparison.verdict == "The second fit is 2× slower."


def test_phases_side_by_side():
    rows = {row.phase: row for row in compared(SLOW, FAST).phases}
    assert set(rows) == {"input_wait", "compute"}
    wait = rows["input_wait"]
    assert wait.step_s == pytest.approx((0.03, 0.005))
    assert wait.epoch_s == pytest.approx((3.0, 0.5))
    assert wait.difference_s == pytest.approx(-0.025)
    assert wait.interval_s == pytest.approx((-0.025, -0.025))
    low, high = rows["compute"].interval_s
    assert low < rows["compute"].difference_s < high


def test_a_phase_that_one_fit_did_not_measure_has_no_difference():
    rows = {row.phase: row for row in compared(SLOW, fit(fit_id="later", collectives=0.002)).phases}
    assert rows["collectives"].step_s == (None, pytest.approx(0.002))
    assert rows["collectives"].difference_s is None


def test_a_difference_within_the_noise_is_called_none():
    comparison = compared(fit(jitter=0.2), fit(fit_id="later", step_s=0.041, jitter=0.2))
    assert comparison.verdict.startswith("No difference can be told from chance: ")


def test_without_a_spread_there_is_no_interval():
    comparison = compared(fit(epochs=2), fit(fit_id="later", epochs=2, step_s=0.02, wait_s=0.01))
    assert comparison.speedup == pytest.approx(2.0)
    assert comparison.interval is None
    assert "two whole epochs" in comparison.not_measured["interval"]


@pytest.mark.parametrize("other", [Profile(), fit(fit_id="later", epochs=1, steps=3)], ids=["empty", "short"])
def test_a_fit_that_has_hardly_begun(other):
    comparison = compared(SLOW, other)
    assert comparison.speedup is None
    assert comparison.verdict == "They cannot be compared yet: the second fit has too few steps after its start."
    assert "nan" not in as_text(comparison, "a", "b") + as_markdown(comparison, "a", "b")
    json.dumps(comparison.to_dict(), allow_nan=False)


def test_epochs_of_different_size_are_compared_by_the_sample():
    comparison = compared(SLOW, fit(fit_id="later", steps=50, batch=128, step_s=0.08, wait_s=0.02, jitter=0.05))
    assert (comparison.per, comparison.phases_per) == ("sample", "sample")
    assert comparison.speedup == pytest.approx(2.0)  # twice the time a step for four times the samples
    assert comparison.verdict.endswith("by the sample.")
    assert comparison.changed["batch size"] == ("32", "128")
    assert comparison.explanation.startswith("Input wait went from 938 ms to 156 ms per 1,000 samples")
    assert table_of(comparison) == {
        "1,000 samples": ["first", "second", "difference", "95 % interval"],
        "input wait": ["938 ms", "156 ms", "-781 ms", "–"],
        "compute": ["344 ms", "484 ms", "+141 ms", "–"],
    }


def test_epochs_of_fewer_and_larger_batches_are_explained_by_the_epoch():
    comparison = compared(SLOW, fit(fit_id="later", steps=50, batch=64, step_s=0.05, wait_s=0.03, jitter=0.05))
    assert (comparison.per, comparison.phases_per) == ("epoch", "epoch")
    assert comparison.verdict == "The second fit is 1.6× faster."
    assert comparison.explanation == "Input wait went from 3 s to 1.5 s an epoch."
    assert table_of(comparison)["an epoch"] == ["first", "second", "difference", "95 % interval"]
    assert table_of(comparison)["input wait"] == ["3 s", "1.5 s", "-1.5 s", "–"]  # though a step waits as long


def test_unknown_batches_are_compared_by_the_step():
    comparison = compared(fit(batch=None), fit(fit_id="later", batch=None, steps=50))
    assert (comparison.per, comparison.phases_per) == ("step", "step")
    assert comparison.speedup == pytest.approx(1.0)
    assert table_of(comparison)["a step"]


def test_predicted_against_measured_for_what_is_gone():
    comparison = compared(SLOW, fit(fit_id="later", step_s=0.0105, wait_s=0.0002, jitter=0.05))
    (prediction,) = [one for one in comparison.predictions if one.code == "IP01"]
    assert prediction.outcome == "passed"
    together = comparison.together
    assert together.codes == ("IP01",)
    assert together.error == pytest.approx(together.speedup.expected / comparison.speedup - 1)
    assert together.within == (together.speedup.low <= comparison.speedup <= together.speedup.high)
    assert f"Measured: {comparison.speedup:.1f}×" in as_text(comparison, "a", "b")


def test_what_went_with_another_cause_is_not_counted_as_fixed():
    (slow,) = read_log(golden.RECORD).fits
    before = diagnose(slow.profile)
    assert [finding.code for finding in before.findings] == ["IP09", "IP01"]

    for workers, fixed in ((1, ("IP09",)), (2, ("IP09", "IP01"))):
        data = dataclasses.replace(slow.profile.data, workers=workers)
        after = diagnose(dataclasses.replace(slow.profile, fit_id="later", data=data, markers=()))
        checks = tuple(dataclasses.replace(done, outcome="passed", symptom_of="") for done in after.checks)
        comparison = compare(before, dataclasses.replace(after, checks=checks))
        assert comparison.together.codes == fixed


GONE = fit(fit_id="later", step_s=0.0105, wait_s=0.0002, jitter=0.05)


@pytest.mark.parametrize(
    "after",
    [
        fit(fit_id="later", step_s=0.038, wait_s=0.0002, jitter=0.1),
        fit(fit_id="later", step_s=0.0105, wait_s=0.0002, jitter=0.8),
    ],
    ids=["no difference", "wider than what was predicted"],
)
def test_what_chance_may_have_measured_judges_no_prediction(after):
    comparison = compared(SLOW, after)
    assert [one.outcome for one in comparison.predictions if one.code == "IP01"] == ["passed"]
    assert comparison.together is None
    for said in (as_text(comparison, "a", "b"), as_markdown(comparison, "a", "b")):
        assert "cannot be judged: what was measured is too unsure" in " ".join(said.split())
        assert "the range" not in said


def test_another_model_judges_no_prediction():
    def of(profile, *layers):
        built = dataclasses.replace(profile.model, layers=layers, parameters=sum(layer.parameters for layer in layers))
        return dataclasses.replace(profile, model=built)

    dense = Layer("dense", "Dense", 10, 10)
    same = compared(of(SLOW, dense), of(GONE, dataclasses.replace(dense, name="dense_1")))
    assert same.together.codes == ("IP01",)
    assert compared(of(SLOW, dense), GONE).together.codes == ("IP01",)  # which is not built yet
    for other in (of(GONE, dense, dataclasses.replace(dense, parameters=0)), of(GONE, dense, dense)):
        comparison = compared(of(SLOW, dense), other)
        assert comparison.together is None
        assert "the two models differ" in comparison.not_measured["predictions"]


def test_a_fit_is_not_compared_with_itself():
    comparison = compared(SLOW, dataclasses.replace(SLOW, updated_at_s=SLOW.updated_at_s + 1))
    assert comparison.verdict == "These are the same fit: choose another one to compare it with."
    assert comparison.speedup is None


def test_phases_that_differ_by_chance_explain_nothing():
    slower = fit(fit_id="later", step_s=0.041, jitter=0.2)  # all of that is computing, which varies by more
    assert compared(fit(jitter=0.2), slower).explanation == ""


def pausing(profile, pause_s):
    """The fit with a pause in each epoch after the first, as the autotuner of tf.data makes them."""

    def longer(ledger):
        paused_s = pause_s * (ledger.epochs - (ledger is profile.ledger))
        phases = {**ledger.phases, "epoch_restart": paused_s}
        return dataclasses.replace(ledger, wall_s=ledger.wall_s + paused_s, phases=phases)

    marks = [
        dataclasses.replace(mark, at_s=mark.at_s + pause_s * before) for before, mark in enumerate(profile.markers)
    ]
    release = Quantiles(9, pause_s, 0.0, pause_s, pause_s, pause_s, pause_s)
    return dataclasses.replace(
        profile,
        ledger=longer(profile.ledger),
        steady=longer(profile.steady),
        epochs=Epochs(release=release, restart=release),
        markers=tuple(marks),
    )


def test_pauses_by_chance_are_left_out_as_predictions_leave_them_out():
    before, after = pausing(SLOW, 2.0), pausing(dataclasses.replace(GONE, data=SLOW.data), 0.2)
    for profile in (before, after):
        assert diagnose(profile).typical_epoch_s < diagnose(profile).epoch_s - 0.1
    comparison = compared(before, after)
    assert comparison.a.epoch_s == pytest.approx(diagnose(before).typical_epoch_s)
    assert comparison.speedup == pytest.approx(diagnose(before).typical_epoch_s / diagnose(after).typical_epoch_s)
    assert sum(row.epoch_s[0] for row in comparison.phases) == pytest.approx(comparison.a.epoch_s)
    assert re.search(r"Left out are pauses .*: [\d.]+ s an epoch of the first fit, ", comparison.explanation)


def test_pauses_count_where_it_was_they_that_were_fixed():
    before = diagnose(pausing(GONE, 1.0))
    assert [finding.code for finding in before.findings] == ["IP27"]
    without = dataclasses.replace(GONE, fit_id="last", data=dataclasses.replace(GONE.data, workers=2))
    comparison = compare(before, diagnose(without))
    assert comparison.together.codes == ("IP27",)
    assert comparison.a.epoch_s == pytest.approx(before.epoch_s)
    assert "Left out" not in comparison.explanation


def test_workers_are_charged_once_where_they_end_the_pauses_as_well():
    report = diagnose(pausing(GONE, 1.0))
    lever = report.what_if([], {"workers": 2})
    assert lever["before_s"] == pytest.approx(report.epoch_s)
    assert lever["speedup"]["expected"] > 1.3
    both = report.what_if(["IP27"], {"workers": 2})
    assert both["notes"] == ["IP27 is left out: its remedy is what the lever “workers” turns."]
    assert both["speedup"] == lever["speedup"]


def test_validation_in_larger_batches_counts_as_fixed_where_its_frequency_stays():
    def validating(profile, each_s):
        def longer(ledger):
            phases = {**ledger.phases, "validation": each_s * ledger.epochs}
            return dataclasses.replace(ledger, wall_s=ledger.wall_s + each_s * ledger.epochs, phases=phases)

        facts = Validation(profile.ledger.epochs, 1000 * profile.ledger.epochs, each_s / 1000, 32, frequency=1)
        model = dataclasses.replace(profile.model, layers=(Layer("dense", "Dense", 10, 10, forward_flops=20),))
        marks = [dataclasses.replace(mark, at_s=mark.at_s + each_s * n) for n, mark in enumerate(profile.markers, 1)]
        return dataclasses.replace(
            profile, ledger=longer(profile.ledger), steady=longer(profile.steady), validation=facts, model=model,
            markers=tuple(marks),
        )  # fmt: skip

    before = diagnose(validating(SLOW, 4.0))
    remedies = {finding.code: finding.remedy.code for finding in before.findings}
    assert "validation_batch_size=512" in remedies["CB06"]
    with_workers = dataclasses.replace(GONE, data=dataclasses.replace(GONE.data, workers=4))
    comparison = compare(before, diagnose(validating(with_workers, 0.2)))
    assert comparison.together.codes == tuple(remedies)


def test_what_other_programs_used_is_told_where_it_is_much_and_why_a_prediction_may_be_off():
    def beside(profile, others):
        usage = Usage(1.0, {"machine_cores": (1.0 + others,), "process_cores": (1.0,)})
        return dataclasses.replace(profile, resources=Resources(usage=usage))

    assert OTHERS not in compared(beside(SLOW, 0.1), beside(GONE, 0.2)).changed
    comparison = compared(beside(SLOW, 0.1), beside(GONE, 2.8))
    assert comparison.changed[OTHERS] == ("0.1", "2.8")
    meanwhile = "Cores that other programs used meanwhile: 0.1 and then 2.8."
    for within in (True, False):
        judged = dataclasses.replace(comparison, together=dataclasses.replace(comparison.together, within=within))
        assert (meanwhile in " ".join(as_text(judged, "a", "b").split())) != within


def test_a_symptom_of_another_cause_is_not_gone():
    before, after = diagnose(SLOW), diagnose(fit(fit_id="later", step_s=0.0105, wait_s=0.0002, jitter=0.05))
    checks = tuple(
        dataclasses.replace(done, outcome="not_applicable", symptom_of="IP02") if done.rule.code == "IP01" else done
        for done in after.checks
    )
    comparison = compare(before, dataclasses.replace(after, checks=checks))
    assert [one.outcome for one in comparison.predictions if one.code == "IP01"] == ["found"]
    assert comparison.together is None


def test_what_is_still_there_predicts_nothing():
    comparison = compared(SLOW, dataclasses.replace(SLOW, fit_id="later"))
    assert [one.outcome for one in comparison.predictions] == ["found"]
    assert comparison.together is None


def test_what_else_differs_is_told_and_what_differs_anyway_is_not():
    eager = dataclasses.replace(FAST.model, run_eagerly=True, name="other")
    memory = dataclasses.replace(FAST.environment, memory_available_bytes=7, cores=8.0)
    comparison = compared(SLOW, dataclasses.replace(FAST, model=eager, environment=memory))
    assert comparison.changed == {"run eagerly": ("no", "yes"), "cores": ("4.0", "8.0")}


def test_epochs_of_a_long_fit_keep_every_other_mark_and_count_double():
    profile = fit(epochs=9, jitter=0.5)
    thinned = dataclasses.replace(profile, markers=profile.markers[::2])
    assert epochs_s(profile) == pytest.approx([6.0, 4.0] * 4)
    assert epochs_s(thinned) == pytest.approx([5.0, 5.0, 5.0])


def test_pauses_are_told_apart_by_the_epoch_where_the_time_line_is_fine_enough():
    """Of 100 steps each, on a line of stretches of 30, the epochs of which the second and fourth pause."""
    profile = fit(epochs=4)
    paused = {90: 5.0, 300: 2.0}  # by the first step of the stretch
    first = tuple(range(0, 400, 30))
    line = dataclasses.replace(
        profile.timeline,
        steps_per_bucket=30,
        first_step=first,
        steps=(*(30,) * 13, 10),
        phases={"epoch_restart": tuple(paused.get(begin, 0.0) for begin in first)},
    )
    late_s = (5.0, 5.0, 5.0)  # by which the marks after a pause are later
    markers = tuple(
        dataclasses.replace(mark, at_s=mark.at_s + late)
        for mark, late in zip(profile.markers, (0.0, *late_s), strict=False)
    )
    ledger = dataclasses.replace(profile.ledger, wall_s=profile.ledger.wall_s + 7.0)
    paused_fit = dataclasses.replace(profile, timeline=line, markers=markers, ledger=ledger)
    assert epochs_s(paused_fit) == pytest.approx([9.0, 4.0, 6.0])
    assert epochs_s(paused_fit, ("epoch_restart",)) == pytest.approx([4.0, 4.0, 4.0])
    coarse = dataclasses.replace(paused_fit, timeline=dataclasses.replace(line, steps_per_bucket=60))
    assert epochs_s(coarse, ("epoch_restart",)) == epochs_s(coarse)


def test_a_fit_that_was_resumed_begins_with_a_later_number():
    profile = fit(epochs=4, jitter=0.5)
    markers = tuple(
        dataclasses.replace(mark, label=f"epoch {number}") for number, mark in enumerate(profile.markers, start=12)
    )
    assert epochs_s(dataclasses.replace(profile, markers=markers)) == pytest.approx([6.0, 4.0, 6.0])


def test_an_epoch_that_was_broken_off_is_no_epoch():
    profile = fit(epochs=4)
    ledger = dataclasses.replace(profile.ledger, epochs=3, wall_s=profile.ledger.wall_s - 3.0)
    interrupted = dataclasses.replace(profile, status="interrupted", ledger=ledger)
    assert epochs_s(interrupted) == pytest.approx([4.0, 4.0])


def test_a_running_epoch_is_not_an_epoch():
    assert len(epochs_s(dataclasses.replace(fit(), status="running"))) == len(epochs_s(fit())) - 1


@pytest.mark.parametrize(
    ("freedom", "value"), [(1, 12.706), (2, 4.303), (3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042), (1e6, 1.960)]
)
def test_t_is_that_of_the_tables(freedom, value):
    assert t_975(freedom) == pytest.approx(value, rel=0.02)


def test_t_falls_without_a_jump():
    values = [t_975(1 + i / 50) for i in range(300)]
    assert all(a > b for a, b in itertools.pairwise(values))
    assert max(a - b for a, b in itertools.pairwise(values)) < 0.25
    assert not any(map(math.isnan, values))


def test_markdown_has_no_markup_but_ours():
    hostile = dataclasses.replace(FAST, data=dataclasses.replace(FAST.data, kind="<b>|`x`"))
    text = as_markdown(compared(SLOW, hostile), "<img>|", "b")
    assert "<b>" not in re.sub(r"\\.", "", text)
    assert "<img>" not in re.sub(r"\\.", "", text)
