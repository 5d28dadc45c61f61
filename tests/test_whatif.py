"""The step-time model: it reproduces what was measured, and its remedies do what they say."""

import dataclasses
import math

import pytest

from tb_trainspeed import whatif
from tb_trainspeed.profile import (
    Breakdown,
    Data,
    Environment,
    Epochs,
    Hook,
    Ledger,
    Part,
    Profile,
    Quantiles,
    Source,
    Stage,
    Steps,
)
from tb_trainspeed.rules.rule import Change, Range, exactly

PHASES = {"input_wait": 3.0, "compute": 1.0, "callbacks": 0.5, "validation": 0.4, "epoch_restart": 0.1}
STARVED = Profile(
    environment=Environment(cores=4.0),
    data=Data(source=Source("f", 100, 4.4, 0.4)),
    ledger=Ledger(7.0, 130, 2, {"startup": 1.0, "compilation": 1.0, **PHASES}),
    steady=Ledger(5.0, 100, 1, PHASES),
    steps=Steps(count=130, dispatch_s=0.002, cpu_s=0.01),
    hooks=(
        Hook("A", "on_train_batch_end", "callbacks", 130, 0.4, 0.01),
        Hook("A", "on_epoch_end", "callbacks", 2, 0.1, 0.1),
    ),
)
BUSY = dataclasses.replace(STARVED, steady=Ledger(2.0, 100, 1, {**PHASES, "input_wait": 0.0}), data=Data())


@pytest.mark.parametrize("profile", [STARVED, BUSY], ids=["starved", "busy"])
def test_the_baseline_reproduces_the_measured_epoch(profile):
    assert whatif.baseline(profile).epoch_s(1.0) == pytest.approx(profile.steady.wall_s)


@pytest.mark.parametrize("profile", [STARVED, BUSY], ids=["starved", "busy"])
def test_the_phases_of_an_epoch_add_up_to_it_and_are_those_of_the_ledger(profile):
    model = whatif.baseline(profile)
    phases = model.phases(1.0)
    assert sum(phases.values()) == pytest.approx(model.epoch_s(1.0))
    assert {name: value for name, value in phases.items() if value} == pytest.approx(
        {name: value for name, value in profile.steady.phases.items() if value}
    )


def test_a_prediction_is_the_sum_of_its_phases():
    change = Change(sets={"supply_s": exactly(0.001)}, factors={"cpu_s": exactly(9.0)})
    foreseen = whatif.predict(whatif.baseline(STARVED), [change])
    assert sum(foreseen.after.phases.values()) == pytest.approx(foreseen.after.epoch_s)
    assert foreseen.after_s.expected == pytest.approx(foreseen.after.epoch_s)
    assert foreseen.after_s.low > foreseen.after_s.expected > foreseen.after_s.high


def test_what_makes_training_slower_is_predicted_to():
    foreseen = whatif.predict(whatif.baseline(BUSY), [Change(factors={"device_s": exactly(3.0)})])
    assert foreseen.speedup.expected < 0.7


def test_a_source_that_computes_more_takes_more_cpu_time():
    model = whatif.baseline(STARVED)
    after = whatif.apply(model, [Change(factors={"source_cpu_s": exactly(2.0)})], "expected")
    assert after.cpu_s == pytest.approx(model.cpu_s + model.source_cpu_s)


def test_a_slightly_late_supply_is_kept_and_does_not_set_the_pace():
    phases = {**PHASES, "input_wait": 0.1}
    model = whatif.baseline(dataclasses.replace(STARVED, steady=Ledger(2.1, 100, 1, phases), data=Data()))
    assert model.epoch_s(1.0) == pytest.approx(2.1)
    assert model.supply_s < model.busy_s()


def test_the_host_no_longer_waits_for_the_lock_of_a_source_that_is_gone():
    steps = dataclasses.replace(STARVED.steps, dispatch_s=0.009, gap_s=0.0043, least_dispatch_s=0.008)
    profile = dataclasses.replace(STARVED, environment=Environment(backend="tensorflow", cores=4.0), steps=steps)
    model = whatif.baseline(profile)
    assert model.locked_s == pytest.approx(1.6 * 0.004)
    gone = whatif.apply(model, [Change(factors={"source_cpu_s": exactly(0.0)})], "expected")
    assert model.least_dispatch_s <= gone.dispatch_s <= model.dispatch_s - model.locked_s
    stays = whatif.apply(model, [Change(factors={"supply_s": exactly(0.5)})], "expected")
    assert stays.dispatch_s == model.dispatch_s


def test_the_host_takes_no_less_than_in_its_quickest_steps():
    profile = dataclasses.replace(
        BUSY, steps=dataclasses.replace(BUSY.steps, dispatch_s=0.003, least_dispatch_s=0.0029)
    )
    after = whatif.apply(whatif.baseline(profile), [Change(factors={"device_s": exactly(0.001)})], "expected")
    assert after.dispatch_s == 0.0029


def test_too_few_steps_give_no_model():
    assert whatif.baseline(Profile(ledger=Ledger(1.0, 3, 1, {"compute": 1.0}))) is None


def test_no_change_gives_no_gain():
    gain = whatif.speedup(whatif.baseline(STARVED), [])
    assert gain.expected == 1.0
    assert gain.low == 1.0


def test_removing_the_wait_gives_what_the_rest_of_the_epoch_allows():
    gain = whatif.speedup(whatif.baseline(STARVED), [Change(sets={"supply_s": exactly(0.0)})])
    assert gain.low < gain.expected < gain.high
    assert gain.expected == pytest.approx(5.0 / 2.0, rel=0.05)


def test_cores_limit_what_workers_can_give():
    crowded = dataclasses.replace(
        STARVED,
        environment=Environment(cores=1.0),
        steps=Steps(130, cpu_s=0.03),
        data=Data(source=Source("f", 100, 4.4, 2.4)),
    )
    free = whatif.speedup(whatif.baseline(STARVED), [Change(sets={"supply_s": exactly(0.001)})])
    bound = whatif.speedup(whatif.baseline(crowded), [Change(sets={"supply_s": exactly(0.001)})])
    assert bound.expected < 1.4 < free.expected


def test_remedies_are_simulated_together_not_multiplied():
    model = whatif.baseline(STARVED)
    supply = Change(factors={"supply_s": exactly(0.1)})
    callback = Change(removes={"batch_callbacks_s": exactly(0.004)})
    alone = whatif.speedup(model, [supply]).expected, whatif.speedup(model, [callback]).expected
    assert alone[1] == pytest.approx(1.0)  # hidden behind the wait
    assert whatif.speedup(model, [supply, callback]).expected > alone[0] * alone[1] * 1.1


def test_the_ends_are_ordered():
    gain = whatif.speedup(whatif.baseline(BUSY), [Change(factors={"device_s": Range(0.9, 0.5, 0.1)})])
    assert 1.0 <= gain.low < gain.expected < gain.high


def test_on_torch_fetching_and_computing_take_turns_until_there_are_workers():
    """Half the fetching saves half of it; workers hide all of it behind computing."""
    environment = Environment(backend="torch", cores=4.0)
    model = whatif.baseline(dataclasses.replace(STARVED, environment=environment))
    wait_s, busy_s = model.supply_s, model.busy_s()
    half = whatif.apply(model, [Change(factors={"supply_s": exactly(0.5)})], "expected")
    assert half.step_s(1.0) == pytest.approx(busy_s + wait_s / 2)
    hidden = whatif.apply(model, [Change(sets={"supply_s": exactly(busy_s), "in_turn": exactly(0.0)})], "expected")
    assert hidden.step_s(1.0) == pytest.approx(busy_s)


def test_what_is_no_longer_computed_takes_its_cpu_time_along():
    """Else the cores would keep a step of two busy cores as long as before."""
    both_cores = dataclasses.replace(BUSY, environment=Environment(cores=2.0), steps=Steps(130, cpu_s=0.03))
    model = whatif.baseline(both_cores)
    after = whatif.apply(model, [Change(removes={"device_s": exactly(model.device_s / 2)})], "expected")
    assert after.cpu_s == pytest.approx(model.cpu_s / 2)
    assert after.step_s(1.0) < model.step_s(1.0)


def test_what_the_host_does_for_a_step_follows_what_the_device_does():
    model = whatif.baseline(dataclasses.replace(BUSY, steps=dataclasses.replace(BUSY.steps, dispatch_s=0.002)))
    after = whatif.apply(model, [Change(removes={"device_s": exactly(model.device_s / 2)})], "expected")
    assert after.dispatch_s == pytest.approx(0.5**0.08 * model.dispatch_s)
    told = Change(removes={"device_s": exactly(model.device_s / 2)}, sets={"dispatch_s": exactly(0.001)})
    assert whatif.apply(model, [told], "expected").dispatch_s == 0.001


def test_a_tf_data_iterator_that_is_let_go_late_is_a_pause_even_if_every_one_is():
    restart = Quantiles(4, mean_s=0.1, p05_s=0.09, p50_s=0.1, p95_s=0.11, p99_s=0.11, max_s=0.11)
    release = dataclasses.replace(restart, mean_s=0.08)
    epochs, data = Epochs(restart, release=release), Data(adapter="ArrayDataAdapter")
    arrays = dataclasses.replace(BUSY, epochs=epochs, data=data, environment=Environment("tensorflow", cores=4.0))
    assert whatif.baseline(arrays).pauses_s == pytest.approx(0.08)
    jax = dataclasses.replace(arrays, environment=Environment("jax", cores=4.0))
    assert whatif.baseline(jax).pauses_s == 0.0


def test_of_a_python_loader_on_tensorflow_a_pause_is_what_a_release_takes_beyond_the_least():
    restart = Quantiles(5, mean_s=0.5, p05_s=0.01, p50_s=0.7, p95_s=0.8, p99_s=0.8, max_s=0.8)
    release = dataclasses.replace(restart, mean_s=0.075, p05_s=0.005)
    epochs, data = Epochs(restart, release=release), Data(adapter="PyDatasetAdapter")
    loader = dataclasses.replace(BUSY, epochs=epochs, data=data, environment=Environment("tensorflow", cores=4.0))
    assert whatif.baseline(loader).pauses_s == pytest.approx(0.07)
    jax = dataclasses.replace(loader, environment=Environment("jax", cores=4.0))
    assert whatif.baseline(jax).pauses_s == 0.0  # no epoch has less than the median


def test_what_every_release_of_a_python_loader_takes_is_its_own_for_no_longer_than_a_batch():
    """All of a few epochs may wait for the autotuner; beside several workers, Keras switches it off."""
    restart = Quantiles(4, mean_s=0.08, p05_s=0.05, p50_s=0.08, p95_s=0.09, p99_s=0.09, max_s=0.09)
    data = Data(adapter="PyDatasetAdapter", source=Source("f", 100, 1.0, 1.0), workers=1)
    always = dataclasses.replace(
        BUSY, epochs=Epochs(restart, release=restart), data=data, environment=Environment("tensorflow", cores=4.0)
    )
    assert whatif.baseline(always).pauses_s == pytest.approx(0.07)
    several = dataclasses.replace(always, data=dataclasses.replace(data, workers=2))
    assert whatif.baseline(several).pauses_s == pytest.approx(0.03)


PAUSING = dataclasses.replace(
    STARVED, epochs=Epochs(restart=Quantiles(4, mean_s=0.1, p05_s=0.02, p50_s=0.02, p95_s=0.3, p99_s=0.3, max_s=0.3))
)


def test_pauses_of_a_few_epochs_are_measured_but_foretell_nothing():
    model, change = whatif.baseline(PAUSING), Change(sets={"supply_s": exactly(0.01)})
    assert model.epoch_s(1.0) == pytest.approx(PAUSING.steady.wall_s)
    assert whatif.predict(model, [change]).before.epoch_s == pytest.approx(PAUSING.steady.wall_s - 0.08)
    assert whatif.speedup(model, [change]).expected > whatif.speedup(whatif.baseline(STARVED), [change]).expected


CALLS = Quantiles(130, mean_s=0.01, p05_s=0.004, p50_s=0.01, p95_s=0.02, p99_s=0.02, max_s=0.02)
UNEVEN = dataclasses.replace(STARVED, steps=dataclasses.replace(STARVED.steps, call=CALLS, cpu_s=0.02))
PIPELINE = dataclasses.replace(UNEVEN, data=Data(stages=(Stage("Map"),)))
GENERATOR = Stage("FlatMap", operations=("GeneratorDataset",), elements_per_batch=10)
GENERATING = dataclasses.replace(
    UNEVEN, data=Data(stages=(GENERATOR,), generator=Source("samples", calls=100, wall_s=0.1, cpu_s=0.05))
)
SOURCE_GONE, SOURCE_HALVED = (Change(factors={"source_cpu_s": exactly(left)}) for left in (0.0, 0.5))


def test_computing_is_faster_than_its_least_disturbed_calls_once_the_pipeline_is_gone():
    model = whatif.baseline(PIPELINE)
    assert whatif.apply(model, [SOURCE_GONE], "expected").device_s == pytest.approx(0.4**2.1 * model.device_s)
    left = (1 + 0.4**2.1) / 2
    assert whatif.apply(model, [SOURCE_HALVED], "expected").device_s == pytest.approx(left * model.device_s)
    assert whatif.apply(model, [Change()], "expected").device_s == pytest.approx(model.device_s)


def test_beside_python_code_the_least_disturbed_calls_are_disturbed_by_the_cores_it_takes():
    model = whatif.baseline(UNEVEN)
    even = dataclasses.replace(model, undisturbed=1.0)
    by_cores = whatif.apply(even, [SOURCE_GONE], "expected").device_s / model.device_s
    assert by_cores < 1
    left = 0.48**1.1 * by_cores
    assert whatif.apply(model, [SOURCE_GONE], "expected").device_s == pytest.approx(left * model.device_s)
    assert whatif.apply(model, [Change()], "expected").device_s == pytest.approx(model.device_s)


PARTS = tuple(Part(name, seconds, seconds, seconds) for name, seconds in (("forward", 0.004), ("host_overhead", 0.1)))
ON_JAX = dataclasses.replace(
    UNEVEN, environment=Environment("jax", cores=4.0), breakdown=Breakdown(samples=1, steps=3, parts=PARTS)
)


def test_on_jax_deep_samples_tell_what_the_device_takes_once_the_source_is_gone():
    model = whatif.baseline(ON_JAX)
    gone, halved = (whatif.apply(model, [change], "expected") for change in (SOURCE_GONE, SOURCE_HALVED))
    assert gone.dispatch_s + gone.device_s == pytest.approx(0.8 * 0.004)
    assert gone.device_s < halved.device_s < model.device_s
    assert gone.cpu_s < halved.cpu_s < model.cpu_s
    dispatching = whatif.apply(dataclasses.replace(model, alone_s=0.0001), [SOURCE_GONE], "expected")
    assert dispatching.device_s == 0.0  # the host no longer waits for the device
    assert 0 < dispatching.dispatch_s < model.dispatch_s
    waiting = whatif.apply(dataclasses.replace(model, alone_s=1.0), [SOURCE_GONE], "expected")
    assert waiting.device_s == pytest.approx(model.device_s)  # nothing gets slower by it


def _with_last(profile, last_s, **changes):
    call, last = (Quantiles(count, *[seconds] * 6) for count, seconds in ((100, 0.01), (3, last_s)))
    return dataclasses.replace(profile, steps=dataclasses.replace(profile.steps, call=call, last=last, **changes))


def test_the_last_steps_of_epochs_tell_what_computing_takes_alone():
    profile = _with_last(STARVED, 0.004)
    gone, halved = (whatif.apply(whatif.baseline(profile), [it], "expected") for it in (SOURCE_GONE, SOURCE_HALVED))
    assert gone.dispatch_s + gone.device_s == pytest.approx(0.004)
    assert halved.dispatch_s + halved.device_s == pytest.approx(0.007)
    lone = _with_last(STARVED, 0.004)
    lone = dataclasses.replace(
        lone, steps=dataclasses.replace(lone.steps, last=dataclasses.replace(lone.steps.last, count=1))
    )
    assert whatif.baseline(lone).alone_s == 0


# Of Python code on JAX, and of a generator, the last step comes after a wait, here of 30 ms, and is cold.
@pytest.mark.parametrize(
    ("backend", "generates", "alone_s"),
    [("tensorflow", False, 0.005), ("jax", False, 0.0035), ("tensorflow", True, 0.0035)],
)
def test_short_ones_tell_nothing_beside_a_pipeline_that_is_yet_to_end(backend, generates, alone_s):
    changes = {"environment": Environment(backend=backend, cores=4.0)}
    if generates:
        changes["data"] = GENERATING.data
    short, long = (dataclasses.replace(_with_last(STARVED, last), **changes) for last in (0.003, 0.005))
    assert whatif.baseline(short).alone_s == 0
    assert whatif.baseline(long).alone_s == pytest.approx(alone_s, abs=1e-4)


def test_a_generator_takes_no_more_cpu_time_than_making_and_handing_over_its_elements():
    environment, steps = Environment("torch", cores=4.0), dataclasses.replace(STARVED.steps, cpu_s=0.15)
    spinning = dataclasses.replace(GENERATING, environment=environment, steps=steps)
    model = whatif.baseline(spinning)
    assert model.source_cpu_s == pytest.approx(10 * (0.0005 + 0.0007))
    pipeline = dataclasses.replace(spinning, data=PIPELINE.data)
    assert whatif.baseline(pipeline).source_cpu_s > 2 * model.source_cpu_s
    # Where the steps hardly wait for it, it is as fast as it computes.
    hidden = whatif.baseline(dataclasses.replace(spinning, steady=BUSY.steady))
    assert hidden.supply_s == pytest.approx(min(hidden.source_cpu_s, hidden.busy_s()))


def test_an_epoch_waits_for_the_first_batch_of_a_generator():
    tensorflow = dataclasses.replace(GENERATING, environment=Environment("tensorflow", cores=4.0))
    model = whatif.baseline(tensorflow)
    assert model.first_batches_s == pytest.approx(min(model.restart_s, 0.2 * model.supply_s))
    unread = dataclasses.replace(tensorflow, data=dataclasses.replace(tensorflow.data, generator=None))
    assert whatif.baseline(unread).first_batches_s == model.first_batches_s  # as in a record of an earlier version
    assert whatif.baseline(dataclasses.replace(tensorflow, data=PIPELINE.data)).first_batches_s == 0


def test_what_the_host_does_between_calls_is_not_in_the_last_one():
    environment = Environment(backend="tensorflow", cores=4.0)
    profile = dataclasses.replace(_with_last(STARVED, 0.004, dispatch_s=0.009, gap_s=0.0011), environment=environment)
    call = dataclasses.replace(profile.steps.call, mean_s=0.008)
    model = whatif.baseline(dataclasses.replace(profile, steps=dataclasses.replace(profile.steps, call=call)))
    assert model.alone_s == pytest.approx(0.004 + (0.01 - 0.008) - model.locked_s)


def test_torch_takes_no_turns_with_a_pipeline_of_tf_data_which_runs_ahead():
    torch = dataclasses.replace(STARVED, environment=Environment("torch", cores=4.0))
    assert whatif.baseline(torch).in_turn == 1
    pipeline = dataclasses.replace(_with_last(torch, 0.004), data=PIPELINE.data)
    model = whatif.baseline(pipeline)
    assert model.in_turn == 0
    assert model.supply_s == pytest.approx(model.busy_s() + 0.03)
    assert model.alone_s == pytest.approx(0.004)


def test_what_is_unsure_for_different_reasons_adds_up_by_squares():
    model = whatif.baseline(BUSY)
    one, other = (Change(factors={name: Range(0.9, 0.5, 0.2)}) for name in ("device_s", "validation_s"))
    apart = [
        math.log(foreseen.after_s.low / foreseen.after_s.expected)
        for foreseen in (whatif.predict(model, changes) for changes in ([one], [other], [one, other]))
    ]
    assert max(apart[:2]) < apart[2] < sum(apart[:2])
    sure = whatif.predict(model, [Change(factors={"validation_s": exactly(0.5)})])
    assert sure.after_s.low / sure.after_s.expected < math.exp(min(apart))
    assert sure.after_s.low > sure.after_s.expected > sure.after_s.high


def test_batches_that_python_code_makes_beside_the_step_are_late_now_and_then_on_tensorflow():
    fast = Change(sets={"supply_s": exactly(0.001)})
    assert whatif.apply(whatif.baseline(STARVED), [fast], "expected").late_s == 0
    tensorflow = dataclasses.replace(STARVED, environment=Environment("tensorflow", cores=4.0))
    model = whatif.baseline(tensorflow)
    after = whatif.apply(model, [fast], "expected")
    assert 0 < after.late_s < 0.1 * after.busy_s()
    assert whatif.apply(model, [Change()], "expected").late_s == 0  # it is the supply that is waited for
    pipeline = dataclasses.replace(tensorflow, data=PIPELINE.data)
    assert whatif.apply(whatif.baseline(pipeline), [fast], "expected").late_s == 0


def test_a_remedy_against_pauses_gains_their_time():
    foreseen = whatif.predict(whatif.baseline(PAUSING), [Change(removes={"pauses_s": exactly(0.08)})])
    assert foreseen.before.epoch_s == pytest.approx(PAUSING.steady.wall_s)
    assert foreseen.before.epoch_s - foreseen.after_s.expected == pytest.approx(0.08)


def test_fewer_epochs_save_whole_epochs_and_make_none_faster():
    model = whatif.baseline(STARVED)
    fewer = Change(removes={"epochs": exactly(1.0)})
    assert whatif.saves_once_s(STARVED, [fewer]) == pytest.approx(model.epoch_s(1.0))
    assert whatif.predict(model, [fewer]).after.epoch_s == pytest.approx(model.epoch_s(1.0))


@pytest.mark.parametrize(
    ("backend", "data", "waits"),
    [
        ("tensorflow", Data("PyDatasetAdapter", source=STARVED.data.source), 0.75),
        ("tensorflow", Data("PyDatasetAdapter", workers=2, source=STARVED.data.source), 0.0),
        ("tensorflow", Data("GeneratorDataAdapter", source=STARVED.data.source), 0.0),
        ("torch", Data("TFDatasetAdapter", stages=(Stage("Map"),)), 0.4),
        ("torch", Data("PyDatasetAdapter", source=STARVED.data.source), 0.0),
    ],
)
def test_an_epoch_that_goes_over_its_data_anew_waits_for_the_first_batch(backend, data, waits):
    profile = dataclasses.replace(STARVED, environment=Environment(backend, cores=4.0), data=data)
    model = whatif.baseline(profile)
    assert model.first_batches_s == pytest.approx(waits * model.supply_s)


def test_what_is_done_between_epochs_is_hidden_by_a_device_that_is_behind():
    model = dataclasses.replace(whatif.baseline(ON_JAX), device_s=0.01, dispatch_s=0.001, late_s=0.0)
    workers = Change(sets={"supply_s": exactly(0.009)}, removes={"restart_s": exactly(-0.5)})
    behind = whatif.apply(model, [workers], "expected")
    busy_s = behind.dispatch_s + behind.device_s
    hidden_s = model.steps * (busy_s - 0.009)
    assert 0 < hidden_s < 0.5
    assert behind.restart_s == pytest.approx(model.restart_s + 0.5 - hidden_s)
    at_once = whatif.apply(dataclasses.replace(model, runs_behind=0.0), [workers], "expected")
    assert at_once.restart_s == pytest.approx(model.restart_s + 0.5)
    starved = Change(sets={"supply_s": exactly(0.05)}, removes={"restart_s": exactly(-0.5)})
    assert whatif.apply(model, [starved], "expected").restart_s == pytest.approx(model.restart_s + 0.5)


def test_on_jax_the_first_batches_of_an_epoch_come_as_fast_as_the_others_do():
    boundary = Quantiles(4, *[0.02] * 6)
    model = whatif.baseline(dataclasses.replace(ON_JAX, epochs=Epochs(restart=boundary)))
    assert 0 < model.first_batches_s == pytest.approx(model.restart_s - 0.02)
    supplied = [Change(sets={"supply_s": exactly(model.supply_s / 4)})]
    assert whatif.apply(model, supplied, "expected").restart_s == pytest.approx(0.02 + model.first_batches_s / 4)
    assert whatif.apply(model, [Change()], "expected").restart_s == pytest.approx(model.restart_s)
    assert whatif.baseline(ON_JAX).first_batches_s == 0.0  # of how the boundary went nothing is known


def test_on_torch_computing_falls_to_the_median_call():
    calls = dataclasses.replace(CALLS, mean_s=CALLS.p50_s / 0.8)
    steps = dataclasses.replace(UNEVEN.steps, call=calls)
    alone = dataclasses.replace(UNEVEN, environment=Environment("torch", cores=4.0), steps=steps)
    model = whatif.baseline(alone)
    assert (model.in_turn, model.undisturbed) == (1.0, pytest.approx(0.8))
    assert whatif.apply(model, [SOURCE_GONE], "expected").device_s == pytest.approx(0.97 * 0.8 * model.device_s)
    assert whatif.apply(model, [SOURCE_HALVED], "expected").device_s > 0.97 * 0.8 * model.device_s
    few = dataclasses.replace(alone.steps, call=dataclasses.replace(alone.steps.call, count=19))
    assert whatif.baseline(dataclasses.replace(alone, steps=few)).undisturbed == 1.0


@pytest.mark.parametrize("hook", ["on_train_begin", "on_train_end"])
def test_what_a_callback_does_once_is_not_taken_for_work_in_epochs(hook):
    once = Hook("A", hook, "callbacks", 1, 60.0, 60.0)
    with_it = dataclasses.replace(STARVED, hooks=(*STARVED.hooks, once))
    assert whatif.baseline(with_it) == whatif.baseline(STARVED)
    # The ledger of a single epoch is that of the fit, and holds it.
    phases = {**PHASES, "callbacks": 60.5}
    single = dataclasses.replace(with_it, steady=None, ledger=Ledger(65.0, 130, 1, phases))
    model = whatif.baseline(single)
    assert (model.batch_callbacks_s, model.epoch_callbacks_s) == (pytest.approx(0.4 / 130), pytest.approx(0.1))
    assert model.epoch_s(1.0) == pytest.approx(5.0)


@pytest.mark.parametrize("alone_s", [0.0, 0.005])
@pytest.mark.parametrize("left_out", [{"supply_s": 0.0}, {"steps": 0.0}, {"cpu_s": 0.0}, {}])
def test_a_fit_that_hardly_computes_can_be_predicted(alone_s, left_out):
    nothing = dict.fromkeys(("dispatch_s", "device_s", "batch_callbacks_s", "other_step_s", "in_turn"), 0.0)
    model = dataclasses.replace(whatif.baseline(STARVED), alone_s=alone_s, **{**nothing, **left_out})
    for name in ("source_cpu_s", "supply_s", "compilation_s", "device_s", "dispatch_s"):
        for factor in (0.0, 0.5, 2.0):
            gain = whatif.speedup(model, [Change(factors={name: exactly(factor)})])
            assert all(math.isfinite(end) for end in dataclasses.astuple(gain))
