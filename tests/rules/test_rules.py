"""Every rule: where it speaks, just below, and what it says when a fact is missing. A test is a call with numbers."""

import contextlib
import dataclasses
import functools
import pathlib

import pytest

from tb_trainspeed.profile import (
    Breakdown,
    CallbackFacts,
    Data,
    Device,
    Environment,
    HotSpot,
    Ledger,
    Model,
    Profile,
    Quantiles,
    Source,
    Stage,
    StageTime,
    Steps,
)
from tb_trainspeed.rules import Check, catalogue, check, index, page, silence
from tb_trainspeed.rules.callbacks import validation
from tb_trainspeed.rules.distribution import devices
from tb_trainspeed.rules.facts import FACTS
from tb_trainspeed.rules.framework import compiling, debugging, eager
from tb_trainspeed.rules.hardware import host
from tb_trainspeed.rules.input_pipeline import decoding, python_code, side_by_side, workers
from tb_trainspeed.rules.missing import Missing, MissingFactError
from tb_trainspeed.rules.model_compute import batch, frozen, precision, switches
from tb_trainspeed.rules.optimizer import embedding, update
from tb_trainspeed.rules.rule import HEADINGS, Found, NotApplicable, Passed, Range, rule
from tests.rules import (
    callbacks,
    convergence,
    distribution,
    framework,
    hardware,
    input_pipeline,
    model_compute,
    optimizer,
    rows,
    transfer,
)

FIRES = [
    *input_pipeline.FIRES,
    *transfer.FIRES,
    *model_compute.FIRES,
    *optimizer.FIRES,
    *hardware.FIRES,
    *convergence.FIRES,
    *framework.FIRES,
    *callbacks.FIRES,
    *distribution.FIRES,
]

SILENT = [
    *input_pipeline.SILENT,
    *transfer.SILENT,
    *model_compute.SILENT,
    *optimizer.SILENT,
    *hardware.SILENT,
    *convergence.SILENT,
    *framework.SILENT,
    *callbacks.SILENT,
    *distribution.SILENT,
]


@pytest.mark.parametrize(("rule", "facts", "changed"), FIRES)
def test_found(rule, facts, changed):
    found = rule(**{**facts, **changed})
    assert isinstance(found, Found)
    assert found.code.strip()
    assert found.evidence
    assert found.change.factors or found.change.removes or found.change.sets
    for gain in found.change.removes.values():
        assert gain.low <= gain.expected <= gain.high
    for estimate in (*found.change.factors.values(), *found.change.sets.values()):
        assert estimate.low >= estimate.expected >= estimate.high  # less is left at the optimistic end


@pytest.mark.parametrize(("rule", "facts", "changed", "outcome"), SILENT)
def test_silent(rule, facts, changed, outcome):
    said = rule(**{**facts, **changed})
    assert isinstance(said, outcome)
    assert said.reason


def test_every_rule_is_in_both_tables():
    assert {param.values[0] for param in FIRES} == set(catalogue())
    assert {param.values[0] for param in SILENT} == set(catalogue())


@pytest.mark.parametrize("rule", catalogue(), ids=lambda rule: rule.code)
def test_the_page_of_a_rule_is_complete(rule):
    for heading in HEADINGS:
        assert f"\n{heading}: " in rule.doc, heading
    assert rule.summary.endswith(".")


@pytest.mark.parametrize("rule", catalogue(), ids=lambda rule: rule.code)
def test_the_docs_hold_the_page_of_every_rule(rule):
    """`trainspeed rules --write docs/rules` writes them anew."""
    written = pathlib.Path(__file__).parents[2] / "docs" / "rules" / f"{rule.code}.md"
    assert written.read_text(encoding="utf-8") == page(rule)


def test_the_docs_list_every_rule():
    written = pathlib.Path(__file__).parents[2] / "docs" / "rules" / "README.md"
    assert written.read_text(encoding="utf-8") == index()


def test_codes_and_names_are_unique():
    assert len({rule.code for rule in catalogue()}) == len({rule.name for rule in catalogue()}) == len(catalogue())


@pytest.mark.parametrize("rule", catalogue(), ids=lambda rule: rule.code)
def test_a_fact_that_was_not_measured_stops_the_rule_where_it_is_needed(rule):
    with pytest.raises(MissingFactError):
        rule(**{name: Missing(name) for name in rule.needs})


@pytest.mark.parametrize(("rule", "facts", "changed"), FIRES)
def test_each_fact_may_be_missing(rule, facts, changed):
    """The rule stops at it, or does without; it does not stumble over it."""
    facts = {**facts, **changed}
    for name in rule.needs:
        with contextlib.suppress(MissingFactError):
            assert isinstance(rule(**{**facts, name: Missing(name)}), (Found, Passed, NotApplicable))


def test_workers_are_numbered_by_what_a_batch_needs():
    found = workers.pydataset_serial(**input_pipeline.IP01)
    assert "workers=7" in found.code  # 40 ms a batch for a step of 7 ms once it need not wait, and one to spare


def test_the_batches_of_workers_come_in_waves_the_first_of_which_belongs_to_the_boundary_between_epochs():
    of = functools.partial(side_by_side.change_of_workers, input_pipeline.WAITING, 4, 0.7, 4.0)
    three_waves, one_wave = of(steps=10), of(steps=4)
    assert three_waves.sets["supply_s"].expected == pytest.approx(2 * 0.04 / 10, rel=0.02)
    assert one_wave.sets["supply_s"].expected < 0.002  # what holds the lock
    assert three_waves.removes["restart_s"].expected == pytest.approx(-0.145)
    processes = of(steps=10, processes=True)
    assert processes.sets["supply_s"].expected == pytest.approx(0.01, rel=0.02)


def test_what_lies_in_memory_still_has_to_be_taken():
    reading = {**input_pipeline.IP18, "hot_spots": input_pipeline.spending(1.0, "A.__getitem__", "load", "numpy")}
    read = python_code.open_file_per_batch(**reading)
    assert read.change.factors["supply_s"].expected == pytest.approx(60e-6 / 0.04)
    large = python_code.open_file_per_batch(**{**reading, "data": Data(batch_bytes=40_000_000)})
    assert large.change.factors["supply_s"].expected == pytest.approx((60e-6 + 0.04 / 6) / 0.04)


def test_code_that_only_runs_eagerly_goes_first():
    reads = Model(code=(rows.line("read", "numpy", text="print(loss.numpy())"),))
    found = eager.eager(**{**framework.FW01, "model": reads})
    assert found.code.startswith("- print(loss.numpy())\n- model.compile(..., run_eagerly=True)")
    assert "`numpy` in `Net.train_step`, line 12" in found.remedy


def test_the_cache_is_proposed_for_the_function_that_decodes():
    found = decoding.redecode_each_epoch(**input_pipeline.IP09)
    assert "@functools.cache" in found.code
    assert "def load(" in found.code
    assert found.change.factors["supply_s"].expected == pytest.approx(0.2)


def test_a_frozen_backbone_that_drops_out_is_only_a_hint():
    plain = frozen.frozen_backbone(**model_compute.MC09)
    assert (plain.confidence, plain.changes_results) == ("likely", "rounding")
    base, stem, output = model_compute.MC09["layers"]
    inside = model_compute.layer("Dropout", "drop", trainable=False, path="mobilenet/drop")
    behind = dataclasses.replace(stem, name="behind", path="mobilenet/behind")
    drops = frozen.frozen_backbone(**{**model_compute.MC09, "layers": (base, stem, inside, behind, output)})
    assert (drops.confidence, drops.changes_results) == ("hint", "training")


def test_a_batch_of_the_usual_size_is_only_a_hint():
    of = {size: batch.tiny_batch(**{**model_compute.MC00, "batch_size": size}) for size in (16, 17)}
    assert (of[16].confidence, of[17].confidence) == ("certain", "hint")


def test_a_strategy_takes_what_xla_gave_and_torch_needs_more_than_one():
    compiled, plain, torch = (
        devices.idle_accelerators(**{**distribution.DS09, "backend": backend, "jit_compile": jit_compile})
        for backend, jit_compile in (("tensorflow", True), ("tensorflow", False), ("torch", False))
    )
    assert compiled.change.factors["device_s"].low == pytest.approx(plain.change.factors["device_s"].low / 0.67)
    assert "jit_compile" in compiled.remedy
    assert "jit_compile" not in plain.remedy
    assert torch.confidence == "hint"
    assert torch.change.factors["device_s"].low == 4
    assert "torchrun" not in torch.code


def test_a_tpu_gains_the_padding_of_odd_batches_and_the_start_of_steps():
    odd = devices.tpu_misuse(**{**distribution.DS06, "backend": "jax", "batch_size": 800})
    assert odd.code == "- batch_size=800\n+ batch_size=1024"
    gains = odd.change.factors
    assert gains["steps"].expected * gains["device_s"].expected == pytest.approx(100 / 104)
    assert "dispatch_s" not in gains
    alone = devices.tpu_misuse(**distribution.DS06)
    assert (set(alone.change.factors), alone.changes_results) == ({"dispatch_s"}, "no")


V100 = {"accelerators": ("GPU",), "environment": Environment(devices=(model_compute.V100,))}


@pytest.mark.parametrize(
    ("rule", "facts"),
    [
        (precision.float32_on_tensor_cores, model_compute.MC04),
        (precision.low_precision_on_wrong_hardware, {**model_compute.MC05, **V100}),
        (devices.model_fills_memory, distribution.DS10),
    ],
)
def test_a_step_of_ones_own_scales_its_loss_under_float16_only(rule, facts):
    def found(policy, own):
        return rule(**{**facts, "mixed_policy": policy, "custom_train_step": own})

    scales = found("mixed_float16", True)
    assert "self.optimizer.scale_loss(loss)" in scales.code
    assert "train_step" in scales.remedy
    assert (scales.confidence, scales.changes_results) == ("hint", "training")
    assert "scale_loss" not in found("mixed_float16", False).code
    if rule is not precision.low_precision_on_wrong_hardware:  # which recommends no other
        assert "scale_loss" not in found("mixed_bfloat16", True).code


def test_a_schedule_counts_the_steps_that_are_accumulated():
    plain, scheduled = (
        update.needless_accumulation(**{**optimizer.OP07, "model": model})
        for model in (optimizer.ACCUMULATES, optimizer.SCHEDULED)
    )
    assert (plain.changes_results, scheduled.changes_results) == ("rounding", "training")
    assert "Divide the steps of `CosineDecay` by 4" in scheduled.remedy
    assert "schedule" not in plain.remedy


def test_the_other_weights_keep_their_optimizer_as_it_is():
    for versions in ({"keras": "3.15.0"}, {"keras": "3.14.1"}):
        found = embedding.adam_on_embedding(**{**optimizer.OP01, "versions": versions})
        assert "- model.compile(optimizer=keras.optimizers.Adam(...), ...)" in found.code
        assert "keras.optimizers.Adam()" not in found.code


def test_the_length_of_a_sequence_is_not_that_of_a_part_of_the_layer_before():
    cell = model_compute.layer("Dense", "dense", "(None, 32)", path="loop/dense")
    loop = model_compute.layer("Loop", "loop", "(None, 40, 32)", path="loop")
    found = compiling.rnn_unroll(**{**framework.FW11, "layers": (loop, cell, framework.UNROLLED)})
    assert found.evidence["time steps"] == "40"


def test_a_fit_that_runs_is_measured_by_all_the_epochs_that_were_asked_for():
    ledger = Ledger(wall_s=42.0, steps=300, epochs=3, phases={"compilation": 12.0, "compute": 30.0})
    steady = Ledger(wall_s=20.0, steps=200, epochs=2, phases={"compute": 20.0})
    running = Profile(status="running", epochs_planned=200, ledger=ledger, steady=steady)
    assert (FACTS["fit_s"](running), FACTS["fit_steps"](running)) == (12.0 + 200 * 10.0, 20_000)
    over = dataclasses.replace(running, status="finished")
    assert (FACTS["fit_s"](over), FACTS["fit_steps"](over)) == (42.0, 300)


def test_a_quota_that_stops_threads_all_the_time_leaves_something_of_a_step():
    found = host.threads_misconfigured(**{**hardware.HW05, "resources": hardware.using(throttled=60.0)})
    assert found.change.factors["device_s"].high > 0


def test_on_jax_a_call_of_many_steps_starts_them_one_by_one():
    def left(**changed):
        return eager.dispatch_bound(**{**framework.FW07, **changed}).change.factors["dispatch_s"]

    assert left() == Range(0.3125, 0.1625, 0.0625)
    assert left(backend="jax").expected == pytest.approx(0.7 + 0.3 * 0.1625)
    assert left(backend="jax", gap_s=0.002) == left()


def test_determinism_is_told_once_whatever_it_slows_down():
    settings = {"tf.config.experimental.enable_op_determinism": "True"}
    slow = {"settings": settings, "accelerators": ("GPU",), "input_share": 0.5}
    found = debugging.debug_flags(**{**framework.FW12, **slow})
    assert set(found.change.factors) == {"device_s", "supply_s", "source_cpu_s"}
    assert found.code == "- tf.config.experimental.enable_op_determinism()"
    assert found.message.startswith("`tf.config.experimental.enable_op_determinism` is on")
    assert found.changes_results == "training"


def test_tf32_speeds_up_the_products_alone():
    half = switches.tf32_off(**model_compute.MC21).change.factors["device_s"]
    assert half == Range(1.0, pytest.approx(0.85), pytest.approx(0.575))


def test_watched_validation_is_no_safe_change():
    assert validation.validation_dominates(**callbacks.CB06).changes_results == "no"
    watches = (CallbackFacts("EarlyStopping", "Callback"),)
    assert validation.validation_dominates(**{**callbacks.CB06, "callbacks": watches}).changes_results == "training"


def test_misspelt_fact_fails_at_import():
    with pytest.raises(TypeError, match="input_shares"):
        rule("XX01", "misspelt")(lambda input_shares: Passed(""))


def _outcome(function, profile=None):
    (done,) = check(profile or Profile(), (rule("XX01", "test")(function),))
    assert isinstance(done, Check)
    return done


def test_a_failing_rule_is_an_outcome():
    def fails(steps):
        return 1 / steps

    done = _outcome(fails)
    assert done.outcome == "failed"
    assert "ZeroDivisionError" in done.reason


def test_not_measured_is_said_and_never_guessed():
    def needs(input_share):
        return Passed("") if input_share < 0.5 else NotApplicable("")

    done = _outcome(needs)
    assert done.outcome == "not_measured"
    assert "input share" in done.reason


def test_a_cause_silences_its_symptoms():
    cause = rule("XX01", "eager", silences=("XX02",))(lambda steps: eager.eager(**framework.FW01))
    small = rule("XX02", "small")(lambda steps: eager.dispatch_bound(**framework.FW07))
    checks = check(Profile(), (cause, small))
    assert [done.outcome for done in silence(checks, {"XX01", "XX02"})] == ["found", "not_applicable"]
    assert silence(checks, {"XX01"})[1].symptom_of == "XX01"
    assert [done.outcome for done in silence(checks, {"XX02"})] == ["found", "found"]  # the cause is not told of


@pytest.mark.parametrize(
    ("cause", "symptom", "told"),
    [
        ({"subject": "Reads"}, {"subject": "Reads"}, "not_applicable"),
        ({"subject": "Reads"}, {"subject": "Writes"}, "found"),
        ({"subject": "Reads"}, {}, "found"),
        ({"confidence": "hint"}, {"confidence": "hint"}, "not_applicable"),
        ({"confidence": "hint"}, {"confidence": "likely"}, "found"),
    ],
)
def test_a_cause_silences_no_symptom_of_something_else_and_a_hint_no_finding(cause, symptom, told):
    def finding(values):
        return lambda steps: dataclasses.replace(eager.eager(**framework.FW01), **values)

    first = rule("XX01", "reads", silences=("XX02",))(finding(cause))
    checks = check(Profile(), (first, rule("XX02", "works")(finding(symptom))))
    assert silence(checks, {"XX01", "XX02"})[1].outcome == told


def test_facts_of_an_empty_profile_do_not_fail():
    for fact in FACTS.values():
        fact(Profile())


def test_cores_are_what_the_process_may_use():
    assert FACTS["cores"](Profile(environment=Environment(cores=1.5), ledger=Ledger())) == 1.5


def test_waiting_for_the_lock_of_a_loader_counts_as_being_held_up_by_it():
    ledger = Ledger(2.0, 100, 1, {"compute": 1.8, "input_wait": 0.2})
    waiting = Profile(
        environment=Environment(backend="tensorflow"),
        data=Data(source=Source("f", 100, 1.9, 1.8)),
        ledger=ledger,
        steps=Steps(count=100, gap_s=0.0053),
    )
    assert FACTS["held_up_share"](waiting) == pytest.approx(0.1 + 1.6 * 0.005 / 0.02)
    for quick in ({"steps": Steps(count=100, gap_s=0.0002)}, {"data": Data()}):
        assert FACTS["held_up_share"](dataclasses.replace(waiting, **quick)) == pytest.approx(0.1)


def test_what_makes_batches_takes_its_share_of_the_cores_from_the_steps_beside_it():
    beside = Profile(
        environment=Environment(backend="jax", devices=(Device("CPU", "cpu"),), cores=4.0),
        data=Data(source=Source("f", 100, 2.0, 1.6)),
        ledger=Ledger(2.0, 100, 1, {"compute": 1.8, "input_wait": 0.2}),
        steps=Steps(count=100),
    )
    of_the_cores = 0.016 / (0.02 * 4)
    assert FACTS["held_up_share"](beside) == pytest.approx(0.1 + 0.9 * of_the_cores)
    stages = Data(stages=(Stage("ParallelMap"), Stage("Batch")))
    busy = Breakdown(stages=(StageTime("MapAndBatch", 0.015, 32.0), StageTime("Shuffle", 0.001, 32.0)))
    pipeline = dataclasses.replace(beside, data=stages, breakdown=busy)
    assert FACTS["held_up_share"](pipeline) == pytest.approx(0.1 + 0.9 * of_the_cores)
    for elsewhere in (
        dataclasses.replace(pipeline, breakdown=None),
        dataclasses.replace(beside, data=Data()),
        dataclasses.replace(
            beside, environment=Environment("jax", devices=(Device("CPU", "cpu"), Device("GPU", "gpu")), cores=4.0)
        ),
    ):
        assert FACTS["held_up_share"](elsewhere) == pytest.approx(0.1)


def test_what_is_seen_on_the_line_that_opens_a_file_is_part_of_opening_it():
    read, rest = input_pipeline.spending(0.5, "Photos.__getitem__", "load", "numpy")
    beside = dataclasses.replace(read, callee="", library="", share=0.3)
    elsewhere = dataclasses.replace(beside, line=10)

    def left(*spots):
        found = python_code.open_file_per_batch(**{**input_pipeline.IP18, "hot_spots": (read, *spots, rest)})
        return found.change.factors["supply_s"].expected

    assert left(elsewhere) == pytest.approx(0.5)
    assert left(beside) == pytest.approx(0.2)


def test_the_function_around_a_comprehension_is_part_of_going_row_by_row_wherever_it_is_defined():
    nested = HotSpot("build.<locals>.make.<locals>.<listcomp>.<locals>.<listcomp>", "data.py", 9, "", "", 0.6)
    joins = dataclasses.replace(nested, function="build.<locals>.make", line=10, share=0.3)
    other = dataclasses.replace(joins, function="build.<locals>.check", share=0.1)
    found = python_code.python_row_assembly(**{**input_pipeline.IP19, "hot_spots": (nested, joins, other)})
    assert found.change.factors["supply_s"].expected == pytest.approx(0.1)


def on_torch(**changes):
    profile = Profile(
        environment=Environment(backend="torch"),
        data=Data("TFDatasetAdapter", stages=(Stage("Generator"),)),
        ledger=Ledger(2.0, 100, 1, {"compute": 1.8, "input_wait": 0.2}),
        steps=Steps(count=100, call=Quantiles(100, 0.01, 0.003, 0.01, 0.01, 0.01, 0.01)),
    )
    return dataclasses.replace(profile, **changes)


def test_on_torch_a_pipeline_that_slows_most_steps_down_holds_them_up():
    assert FACTS["held_up_share"](on_torch()) == pytest.approx(0.1 + 0.9 * (1 - 0.3 / 0.6))
    for quiet in (
        {"data": Data("TorchDataLoaderAdapter")},
        {"environment": Environment(backend="jax")},
        {"steps": Steps(count=100, call=Quantiles(100, *[0.01] * 6))},
        {"steps": Steps(count=19, call=Quantiles(19, 0.01, 0.003, 0.01, 0.01, 0.01, 0.01))},
    ):
        assert FACTS["held_up_share"](on_torch(**quiet)) == pytest.approx(0.1)


def test_what_is_left_of_computing_without_waits_is_told_by_the_calls_where_there_are_no_others():
    uneven = Steps(count=100, call=Quantiles(100, 0.01, 0.003, 0.006, 0.03, 0.03, 0.03))
    assert FACTS["awake"](on_torch(steps=uneven)) == pytest.approx(0.97 * 0.6)
    assert FACTS["awake"](on_torch()) == 0.97
    assert FACTS["awake"](on_torch(environment=Environment(backend="jax"))) == 0.7


def test_what_deep_samples_split_off_is_still_computing():
    phases = {"compute": 1.0, "optimizer": 0.5, "host_overhead": 0.5, "input_wait": 0.0}
    whole = {"compute": 2.0, "optimizer": None, "host_overhead": None, "input_wait": 0.0}
    for names in (phases, whole):
        profile = Profile(ledger=Ledger(2.0, 100, 1, names), steps=Steps(count=100, dispatch_s=0.01))
        assert FACTS["compute_s"](profile) == pytest.approx(0.02)
        assert FACTS["dispatch_share"](profile) == pytest.approx(0.5)
