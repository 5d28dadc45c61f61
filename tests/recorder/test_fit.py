"""Time that passes in one phase shows up in that phase and in no other, and all phases add up."""

import dataclasses
import threading
import tracemalloc

import pytest

from tb_trainspeed.profile import PHASES, Breakdown, Part, Profile
from tb_trainspeed.recorder import DeviceWatch
from tb_trainspeed.recorder.markers import MARKERS_PER_KIND
from tb_trainspeed.recorder.timeline import BUCKETS

STEPS, EPOCHS = 20, 3
MS = 1_000_000


@dataclasses.dataclass
class Plan:
    """What a played fit spends, milliseconds. `*_once` is spent in one step only."""

    startup: float = 40.0
    trace: float = 200.0
    late_trace: float = 0.0
    wait: float = 2.0
    first_wait: float = 0.0
    compute: float = 10.0
    gap: float = 0.5
    hook: float = 1.0
    checkpoint: float = 5.0
    validation: float = 5.0
    validation_trace: float = 0.0
    restart: float = 4.0
    last_fetch: float = 0.0
    gc_in_fetch_once: float = 0.0
    gc_in_call_once: float = 0.0
    gc_in_trace: float = 0.0


def play(fit, plan):
    recorder = fit.recorder
    batch_end = recorder.row("Logger", "on_train_batch_end", "callbacks")
    saver = recorder.row("ModelCheckpoint", "on_epoch_end", "checkpointing")
    fit.spend(plan.startup)
    for epoch in range(EPOCHS):
        recorder.epoch_begin(epoch)
        fit.spend(plan.restart)
        for step in range(STEPS):
            first, middle = epoch == step == 0, epoch == 1 and step == 7
            extra = plan.trace if first else plan.late_trace if middle else 0.0
            fit.step(
                wait=plan.wait + (plan.first_wait if step == 0 else 0.0),
                compute=plan.compute + extra,
                traced=extra > 0,
                gc_in_fetch=plan.gc_in_fetch_once if middle else 0.0,
                gc_in_call=plan.gc_in_trace if first else plan.gc_in_call_once if middle else 0.0,
            )
            fit.hook(batch_end, plan.hook)
            fit.spend(plan.gap if step < STEPS - 1 else 0.0)
        if plan.last_fetch:
            fit.end_of_data(plan.last_fetch)
        fit.validation(call=plan.validation, first=plan.validation + (plan.validation_trace if epoch == 0 else 0.0))
        fit.hook(saver, plan.checkpoint)
        recorder.epoch_end()
    recorder.finish()
    return fit.profile()


def test_what_the_steady_epochs_spent_between_two_of_them_is_known_for_each(played):
    profile = play(played, Plan(restart=4.0, gc_in_call_once=30.0))
    assert profile.epochs.restart.count == profile.epochs.gc.count == profile.steady.epochs == EPOCHS - 1
    assert profile.epochs.restart.mean_s * 2 == pytest.approx(profile.steady.phases["epoch_restart"])
    assert profile.epochs.gc.p50_s == pytest.approx(0.0, abs=1e-8)
    assert profile.epochs.gc.max_s == pytest.approx(0.03)


def test_between_two_epochs_the_steady_ones_are_those_that_began_before(played):
    recorder, seen = played.recorder, []
    for epoch in range(4):
        recorder.epoch_begin(epoch)
        for _ in range(5):
            played.step()
        recorder.epoch_end()
        seen.append(played.profile().steady)
    recorder.finish()
    seen.append(played.profile().steady)
    assert seen[:2] == [None, None]
    assert [(steady.epochs, steady.steps) for steady in seen[2:]] == [(1, 5), (2, 10), (3, 15)]


def test_letting_the_last_iterator_go_is_what_passes_before_the_first_step_and_after_a_validation(played):
    recorder = played.recorder
    recorder.call_fetches = True
    for epoch in range(3):
        recorder.epoch_begin(epoch)
        played.spend(4.0)
        played.step()
        played.validation()
        played.spend(3.0)
        recorder.epoch_end()
    recorder.finish()
    release = played.profile().epochs.release
    assert release.count == 2
    assert release.mean_s == pytest.approx(0.007)


def test_the_quickest_steps_tell_what_the_host_needs_at_least(played):
    recorder = played.recorder
    recorder.epoch_begin(0)
    for gap in (9.0, 1.0, *[2.0] * 40):  # the first is none: no step of the epoch comes before
        played.step(ready=0.5, gap=gap)
    recorder.finish()
    steps = played.profile().steps
    assert steps.least_dispatch_s == pytest.approx(0.0025, rel=0.01)
    assert steps.dispatch_s > steps.least_dispatch_s


def test_waiting_for_the_device_in_a_call_is_no_dispatch(played):
    played.recorder.call_fetches = True
    played.computes = True
    for _ in range(20):
        played.recorder.step_begin(True)
        played.recorder.fetched(0, 0)
        played.spend(2.0)
        played.recorder.dispatched()
        played.spend(30.0)
        played.recorder.step_end(lambda: False)
    steps = played.profile().steps
    assert steps.dispatch_s == pytest.approx(0.002)
    assert steps.call.mean_s == pytest.approx(0.032)


def test_letting_an_iterator_go_is_told_where_the_host_fetches(played):
    recorder = played.recorder
    for epoch in range(3):
        recorder.epoch_begin(epoch)
        recorder.step_begin(False)
        played.spend(10.0)
        recorder.step_end(lambda: False)
        recorder.released(2_000_000)
        recorder.epoch_end()
    recorder.finish()
    assert played.profile().epochs.release.mean_s == pytest.approx(0.002)


def phases_ms(ledger):
    return {name: value * 1e3 for name, value in ledger.phases.items() if value}


def total(ledger):
    return sum(value for value in ledger.phases.values() if value is not None)


PLAIN_MS = {
    "startup": 40.0 + 4.0,  # the beginning of the first epoch is before the first step
    "compilation": 200.0,
    "input_wait": 60 * 2.0,
    "compute": 60 * (1.0 + 10.0) + 57 * 0.5,
    "callbacks": 60 * 1.0,
    "checkpointing": 3 * 5.0,
    "validation": 3 * 16.0,
    "epoch_restart": 2 * 4.0,
}


def test_the_plain_fit(played):
    profile = play(played, Plan())
    assert phases_ms(profile.ledger) == pytest.approx(PLAIN_MS, rel=0.002)
    assert set(profile.ledger.phases) == set(PHASES)
    assert profile.ledger.steps == profile.steps.count == STEPS * EPOCHS
    assert profile.ledger.epochs == EPOCHS
    assert profile.ledger.wall_s == pytest.approx(played.now_ns * 1e-9)
    assert profile.compilation.retraces == 0
    assert profile.compilation.first_step_s == pytest.approx(0.210)
    assert profile.steps.wait_s == pytest.approx(0.002)
    assert profile.steps.compute_s == pytest.approx(0.010, rel=0.01)
    assert profile.steps.step.p50_s == pytest.approx(0.0145, rel=0.01)


@pytest.mark.parametrize(
    ("change", "phase", "more_ms"),
    [
        ({"startup": 540.0}, "startup", 500.0),
        ({"trace": 900.0}, "compilation", 700.0),
        ({"late_trace": 300.0}, "compilation", 300.0),
        ({"validation_trace": 150.0}, "compilation", 150.0),
        ({"wait": 7.0}, "input_wait", 60 * 5.0),
        ({"first_wait": 80.0}, "epoch_restart", EPOCHS * 80.0),
        ({"compute": 30.0}, "compute", 60 * 20.0),
        ({"gap": 2.5}, "compute", 57 * 2.0),
        ({"hook": 6.0}, "callbacks", 60 * 5.0),
        ({"checkpoint": 105.0}, "checkpointing", EPOCHS * 100.0),
        ({"validation": 25.0}, "validation", EPOCHS * 3 * 20.0),
        ({"restart": 54.0}, {"startup": 50.0, "epoch_restart": 2 * 50.0}, None),
        ({"last_fetch": 30.0}, "epoch_restart", EPOCHS * 30.0),
        ({"gc_in_fetch_once": 60.0}, "gc", 60.0),
        ({"gc_in_call_once": 60.0}, "gc", 60.0),
        ({"gc_in_trace": 60.0}, "gc", 60.0),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_injected_time_shows_up_where_it_was_spent(played, change, phase, more_ms):
    more = phase if isinstance(phase, dict) else {phase: more_ms}
    expected = {name: PLAIN_MS.get(name, 0.0) + more.get(name, 0.0) for name in {*PLAIN_MS, *more}}
    profile = play(played, Plan(**change))
    assert phases_ms(profile.ledger) == pytest.approx(expected, abs=2.5)
    assert total(profile.ledger) == pytest.approx(profile.ledger.wall_s, rel=1e-9)


def test_steady_is_the_whole_less_the_first_epoch(played):
    profile = play(played, Plan(late_trace=300.0, last_fetch=3.0))
    steady = profile.steady
    assert (steady.steps, steady.epochs) == (STEPS * (EPOCHS - 1), EPOCHS - 1)
    assert total(steady) == pytest.approx(steady.wall_s, rel=1e-9)
    assert phases_ms(steady)["compilation"] == pytest.approx(300.0, rel=0.01)
    assert "startup" not in phases_ms(steady)
    first_epoch_ms = 44 + 200 + 20 * 14 + 19 * 0.5 + 3 + 16 + 5
    assert steady.wall_s * 1e3 == pytest.approx(profile.ledger.wall_s * 1e3 - first_epoch_ms)


def test_no_steady_training_in_one_epoch(played):
    played.recorder.epoch_begin(0)
    played.step()
    played.recorder.epoch_end()
    played.recorder.finish()
    assert played.profile().steady is None


def test_hooks_and_nested_calls(played):
    recorder = played.recorder
    row = recorder.row("Plots", "on_epoch_end", "callbacks")
    for duration in (3.0, 8.0):
        played.hook(row, duration)
        recorder.nested_call(row, "predict", 2_000_000)
    recorder.row("Plots", "on_train_end", "callbacks")
    recorder.finish()
    profile = played.profile()
    assert [(hook.hook, hook.calls) for hook in profile.hooks] == [("on_epoch_end", 2)]
    assert profile.hooks[0].total_s == pytest.approx(0.011)
    assert profile.hooks[0].max_s == pytest.approx(0.008)
    assert [(call.function, call.calls) for call in profile.nested_calls] == [("predict", 2)]
    assert profile.nested_calls[0].total_s == pytest.approx(0.004)


def call(method, arguments):
    return method(*arguments)


def test_what_is_added_up_later_is_not_weighed_again(played):
    clock, cost = played.recorder.clock, played.recorder.own_cost

    played.computes = True

    def tell():
        played.spend(1.0)
        clock.push("trainspeed")
        played.spend(3.0)
        clock.pop()

    for _ in range(34):
        call(cost.weigh, (tell, ())) if cost.weighs else tell()
        cost.step_over()
    assert cost.step_ns == 1.0 * MS


def test_a_long_first_wait_is_none_of_the_steady_epochs(played):
    recorder = played.recorder
    for epoch in range(4):
        recorder.epoch_begin(epoch)
        for step in range(STEPS):
            played.step(wait=2000.0 if epoch == step == 0 else 3.0 if step == 0 else 20.0)
        recorder.epoch_end()
    recorder.finish()
    profile = played.profile()
    steady = phases_ms(profile.steady)
    assert steady["input_wait"] == pytest.approx(3 * (3.0 + (STEPS - 1) * 20.0))
    assert steady.get("epoch_restart", 0.0) == pytest.approx(0.0, abs=1e-6)
    assert min(profile.timeline.phases.get("epoch_restart", (0.0,))) >= 0
    assert phases_ms(profile.ledger)["epoch_restart"] > 1900


@pytest.mark.parametrize(("whole", "steady_steps"), [(3, 2 * STEPS), (2, STEPS), (1, 5)])
def test_an_epoch_that_was_broken_off_is_no_steady_one_unless_there_is_no_other(played, whole, steady_steps):
    recorder = played.recorder
    for epoch in range(whole + 1):
        recorder.epoch_begin(epoch)
        for _ in range(STEPS if epoch < whole else 5):
            played.step()
        if epoch < whole:
            recorder.epoch_end()
    recorder.finish()
    steady = played.profile().steady
    assert (steady.epochs, steady.steps) == (max(1, whole - 1), steady_steps)


def test_our_own_cost_comes_out_of_compute(played):
    recorder = played.recorder
    step_begin, spent = recorder.step_begin, []

    def slow_to_tell(*arguments):
        step_begin(*arguments)
        played.computes = True
        played.spend(0.5)
        played.computes = False
        spent.append(0.5)

    recorder.step_begin = lambda *told: (recorder.own_cost.weigh if recorder.own_cost.weighs else call)(
        slow_to_tell, told
    )
    profile = play(played, Plan())
    own_ms = phases_ms(profile.ledger)["trainspeed"]
    assert len(spent) == EPOCHS * STEPS
    assert own_ms == pytest.approx(sum(spent))
    assert phases_ms(profile.ledger)["compute"] == pytest.approx(PLAIN_MS["compute"], rel=0.002)
    assert total(profile.ledger) == pytest.approx(profile.ledger.wall_s, rel=1e-9)


@pytest.mark.parametrize(("batches", "steps"), [(20, 20), (24, 24), (17, 17), (3, 3)])
def test_several_steps_per_call(played, batches, steps):
    recorder = played.recorder
    asked = 0
    recorder.expect(8, batches, lambda: max(0, asked - batches))
    for epoch in range(2):
        recorder.epoch_begin(epoch)
        for call in range(-(-batches // 8)):
            asked = 8 * (call + 1)
            recorder.step_begin(False)
            played.spend(80.0)
            recorder.step_end(lambda: False)
        recorder.epoch_end()
    recorder.finish()
    profile = played.profile()
    assert profile.steps.count == profile.ledger.steps == 2 * steps
    assert profile.steps.step.p50_s == pytest.approx(0.010, rel=0.01)
    assert profile.ledger.phases["input_wait"] is None
    assert profile.steps.wait_s is None
    assert total(profile.ledger) == pytest.approx(profile.ledger.wall_s, rel=1e-9)


@pytest.mark.parametrize("steps", [10, 1000, 100_000])
def test_the_time_line_keeps_all_time_in_few_buckets(played, steps):
    recorder = played.recorder
    played.spend(25.0)
    recorder.epoch_begin(0)
    for step in range(steps):
        played.step(wait=step % 7, compute=50.0 if step == steps // 2 else 5.0)
    recorder.epoch_end()
    recorder.finish()
    profile = played.profile()
    timeline = profile.timeline
    assert len(timeline.wall_s) <= BUCKETS
    assert sum(timeline.steps) == steps
    assert sum(timeline.wall_s) == pytest.approx(profile.ledger.wall_s - 0.025)
    assert max(timeline.slowest_step_s) == pytest.approx(0.051 + (steps // 2 % 7) * 1e-3)
    assert timeline.start_s[0] == pytest.approx(0.025)
    assert timeline.first_step[0] == 0
    for name, column in timeline.phases.items():
        assert len(column) == len(timeline.wall_s)
        assert sum(column) == pytest.approx(profile.ledger.phases[name], rel=1e-6, abs=1e-9)
    for index, wall_s in enumerate(timeline.wall_s):
        assert sum(column[index] for column in timeline.phases.values()) == pytest.approx(wall_s)


def test_memory_does_not_grow(played):
    def epochs(count):
        for epoch in range(count):
            played.recorder.epoch_begin(epoch)
            for step in range(10):
                played.step(wait=step, compute=5.0 + epoch % 13)
            played.validation()
            played.recorder.epoch_end()

    tracemalloc.start()
    try:
        epochs(400)
        before = tracemalloc.get_traced_memory()[0]
        epochs(2000)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 60_000  # of some 350 kB: a bucket's totals are smaller early on
    kinds = [marker.kind for marker in played.profile().markers]
    assert all(kinds.count(kind) <= MARKERS_PER_KIND for kind in kinds)


def test_nothing_changes_after_the_end(played):
    play(played, Plan())
    before = played.profile()
    played.spend(1000.0)
    played.recorder.finish()
    assert played.profile() == before


def test_a_fit_without_steps(played):
    played.spend(30.0)
    played.recorder.finish()
    profile = played.profile()
    assert profile.ledger.wall_s == pytest.approx(0.030)
    assert total(profile.ledger) == pytest.approx(0.030)
    assert profile.steps.count == 0
    assert profile.steps.step is None
    assert sum(profile.timeline.steps) == 0


def test_a_running_fit_adds_up_at_any_moment(played):
    recorder = played.recorder
    row = recorder.row("Logger", "on_train_batch_end", "callbacks")
    moments = [
        lambda: played.spend(5.0),
        lambda: recorder.epoch_begin(0),
        lambda: played.step(compute=300.0, traced=True),
        lambda: recorder.step_begin(True),
        lambda: played.spend(4.0),
        lambda: recorder.fetched(4_000_000, 1_000_000),
        lambda: played.spend(9.0),
        lambda: recorder.step_end(lambda: False),
        lambda: played.hook(row, 2.0),
        played.validation,
        recorder.epoch_end,
        lambda: played.spend(3.0),
    ]
    for moment in moments:
        moment()
        ledger = played.profile().ledger
        assert total(ledger) == pytest.approx(played.now_ns * 1e-9)
        assert ledger.wall_s == pytest.approx(played.now_ns * 1e-9)
        assert min(value for value in ledger.phases.values() if value is not None) >= 0


def test_an_aborted_step_is_no_step(played):
    recorder = played.recorder
    recorder.epoch_begin(0)
    played.step()
    played.end_of_data(7.0)
    recorder.finish()
    profile = played.profile()
    assert profile.steps.count == 1
    assert phases_ms(profile.ledger)["epoch_restart"] == pytest.approx(7.0)


def test_cpu_time_per_step(played):
    played.recorder.epoch_begin(0)
    for _ in range(10):
        played.step(compute=9.0)
    played.recorder.epoch_end()
    played.recorder.finish()
    assert played.profile().steps.cpu_s == pytest.approx(0.010)


# --- deep samples


def breakdown(**parts):
    return Breakdown(1, 3, tuple(Part(name, value, value, value) for name, value in parts.items()))


def test_deep_samples_split_the_time_inside_the_train_function(played):
    for _ in range(20):
        played.step(compute=10.0, gap=1.0)
    parts = breakdown(forward=2.0, backward=4.0, optimizer=3.0, host_overhead=1.0)
    phases = played.recorder.fill(Profile(breakdown=parts)).ledger.phases
    whole = played.recorder.fill(Profile()).ledger.phases
    assert (whole["optimizer"], whole["host_overhead"], whole["transfer"]) == (None, None, None)
    assert phases["compute"] == pytest.approx(20 * 0.006)
    assert phases["optimizer"] == pytest.approx(20 * 0.003)
    assert phases["host_overhead"] == pytest.approx(20 * (0.001 + 0.001 + 0.001))  # with the gap and the ready fetch
    assert phases["transfer"] == 0.0
    assert sum(value or 0 for value in phases.values()) == pytest.approx(sum(value or 0 for value in whole.values()))


def test_what_deep_samples_cannot_tell_apart_is_unknown_and_not_zero(played):
    played.recorder.untold = frozenset({"collectives"})
    for _ in range(20):
        played.step(compute=10.0)
    phases = played.recorder.fill(Profile(breakdown=breakdown(forward=2.0, backward=4.0))).ledger.phases
    assert (phases["collectives"], phases["transfer"]) == (None, 0.0)


def test_deep_samples_tell_the_wait_inside_the_train_function(played):
    for _ in range(20):
        played.recorder.step_begin(False)
        played.spend(10)
        played.recorder.step_end(lambda: False)
    profile = played.recorder.fill(Profile(breakdown=breakdown(forward=1.0, input_wait=4.0)))
    assert played.profile().ledger.phases["input_wait"] is None
    assert profile.ledger.phases["input_wait"] == pytest.approx(20 * 0.008)
    assert profile.steps.wait_s == pytest.approx(0.008)
    assert profile.steps.compute_s == pytest.approx(0.002, rel=0.02)


# --- an asynchronous device


class SeesTheEnd(DeviceWatch):
    """Knows at once when a step will end."""

    def offer(self, done, started_ns):
        self.step_ns = done.end_ns - started_ns

    def note_end(self, done):
        self.noted_ns = done.end_ns


class Device:
    """A device that takes `device` ms a step, behind a host on the same fake clock."""

    def __init__(self, played, watched=True, cores=None):
        self.played, self.free_ns = played, 0
        if watched:
            played.recorder.watch = SeesTheEnd()
        played.recorder.follow_device(cores)

    def step(self, device, fetch=0.0, dispatch=0.2, hook=0.0, row=None, traced=False):
        played, recorder = self.played, self.played.recorder
        recorder.step_begin(False)
        recorder.fetch_begin()
        played.spend(fetch)
        recorder.fetch_end(True)
        played.spend(dispatch)
        self.free_ns = end = max(self.free_ns, played.now_ns) + round(device * MS)

        class Step:
            end_ns = end

            def is_ready(self):
                return played.now_ns >= end

            def wait(self):
                played.now_ns = max(played.now_ns, end)

        recorder.step_end(lambda: traced, Step)
        recorder.watch_device()
        if row:
            played.hook(row, hook)


def steps_of(played, count=100, cores=None, **options):
    device = Device(played, cores=cores)
    played.recorder.epoch_begin(0)
    for _ in range(count):
        device.step(**options)
    played.recorder.drain_device()
    played.recorder.epoch_end()
    return played.profile()


def test_a_fetch_behind_a_busy_device_costs_nothing(played):
    profile = steps_of(played, device=10.0, fetch=4.0)
    phases = profile.ledger.phases
    # All but the first fetch, before there was anything to compute.
    assert phases["compute"] == pytest.approx(1.0)
    assert phases["input_wait"] + phases["epoch_restart"] < 0.12
    assert profile.steps.step.p50_s == pytest.approx(0.010, rel=0.02)


@pytest.mark.parametrize(("device", "dispatch", "told"), [(10.0, 2.5, 0.0), (3.0, 5.0, 2.0), (3.0, 0.2, 0.0)])
def test_what_the_host_does_behind_a_busy_device_is_no_dispatch(played, device, dispatch, told):
    played.computes = True
    steps = steps_of(played, device=device, dispatch=dispatch).steps
    assert steps.dispatch_s * 1e3 == pytest.approx(told, abs=0.1)  # but for the first, before which nothing computes
    assert steps.least_dispatch_s <= steps.dispatch_s


def test_a_processor_that_computes_hides_no_dispatch(played):
    played.computes = True
    steps = steps_of(played, device=10.0, dispatch=2.5, cores=2.0).steps
    assert steps.dispatch_s == pytest.approx(0.0025, rel=0.1)


def test_a_fetch_is_waited_for_as_long_as_the_device_idles(played):
    phases = steps_of(played, device=3.0, fetch=10.0).ledger.phases
    assert phases["compute"] == pytest.approx(0.3, rel=0.02)
    assert phases["input_wait"] + phases["epoch_restart"] == pytest.approx(1.0 - 0.3, rel=0.1)
    assert phases["host_overhead"] == pytest.approx(0.02, rel=0.1)


def test_what_is_compiled_while_a_short_step_may_still_run_is_compilation(played):
    device = Device(played, watched=False)
    played.recorder.epoch_begin(0)
    for _ in range(20):
        device.step(device=1.0, dispatch=300.0, traced=True)
    played.recorder.drain_device()
    phases = played.profile().ledger.phases
    assert phases["compilation"] == pytest.approx(6.0, rel=0.01)
    assert phases["compute"] < 0.05


def test_a_callback_costs_what_the_device_idles_meanwhile(played):
    row = played.recorder.row("Logger", "on_train_batch_end", "callbacks")
    phases = steps_of(played, device=3.0, hook=10.0, row=row).ledger.phases
    assert phases["callbacks"] == pytest.approx(0.7, rel=0.1)
    assert phases["compute"] == pytest.approx(0.3, rel=0.02)


def test_steps_in_flight_at_the_end_of_an_epoch_are_waited_for_as_compute(played):
    profile = steps_of(played, count=20, device=50.0)
    assert profile.ledger.phases["compute"] == pytest.approx(1.0, rel=0.01)
    assert profile.ledger.phases["epoch_restart"] < 0.01
    assert sum(value or 0 for value in profile.ledger.phases.values()) == pytest.approx(profile.ledger.wall_s)


@pytest.mark.parametrize("hooks", [0, 600])
def test_steps_in_flight_when_a_validation_begins_are_compute_and_not_waited_for(played, hooks):
    device, recorder = Device(played), played.recorder
    row = recorder.row("Mine", "on_test_batch_begin", "validation")
    recorder.epoch_begin(0)
    device.step(device=10.0)
    for _ in range(20):
        device.step(device=15.0)  # longer than the only step that was watched
    begin_ns = played.now_ns
    recorder.validation_begin(10)
    assert played.now_ns == begin_ns
    for _ in range(hooks):
        played.hook(row, 0.5)
        recorder.validation_call(0)
    played.now_ns = max(played.now_ns, device.free_ns) + 100 * MS  # Keras reads the results
    recorder.validation_end()
    recorder.epoch_logs_read()
    recorder.epoch_end()
    phases = played.profile().ledger.phases
    assert phases["compute"] == pytest.approx(0.310, rel=0.001)
    assert phases["validation"] == pytest.approx((played.now_ns - device.free_ns) * 1e-9, rel=0.001)


def test_steps_that_ended_unseen_share_the_time_whatever_the_samples_say(played):
    device = Device(played)
    played.recorder.epoch_begin(0)
    for _ in range(4):
        device.step(device=5.0)
    for _ in range(30):
        device.step(device=1.0, dispatch=0.02)
    played.spend(30)
    played.recorder.drain_device()
    step = played.profile().steps.step
    assert step.p50_s == pytest.approx(0.001, rel=0.1)
    assert step.p05_s > 0.0009


def test_no_step_is_waited_for(played):
    device = Device(played)
    for _ in range(10):
        device.step(device=3.0, fetch=10.0)
    assert played.now_ns == pytest.approx(10 * 10.2 * MS)


def test_a_hook_is_charged_from_its_begin_where_the_device_was_waited_for(played):
    """However long the watched steps took: these took longer than all others, for example the first ones of a fit."""
    row, recorder = played.recorder.row("Logger", "on_train_batch_end", "callbacks"), played.recorder
    device = Device(played)
    recorder.watch.step_ns, recorder.watch.offer = 30 * MS, lambda *about: None
    recorder.epoch_begin(0)
    for _ in range(20):
        device.step(device=3.0)
        played.now_ns = device.free_ns  # as when Keras reads the logs
        played.hook(row, 10.0)
    assert played.profile().ledger.phases["callbacks"] == pytest.approx(0.2)


def test_a_watch_tells_the_lower_quartile():
    now, ends = [0], iter([50, 20, 30, 40, 20, 90, 80, 70])
    watch = DeviceWatch(lambda: now[0])

    class Step:
        def wait(self):
            now[0] = next(ends)

    class Fails:
        def wait(self):
            raise RuntimeError("deleted")

    assert watch.step_ns is None
    for step in (Fails(), *(Step() for _ in range(8))):
        watch.offer(step, 10)
        watch.offer(Step(), 0)  # one is waited for already
        watch.close()
        watch.run(threading.Event())
    assert watch.step_ns == 20
    ends = iter([50])
    watch.note_end(Step())
    assert watch.noted_ns is None
    watch.close()
    watch.run(threading.Event())
    assert (watch.noted_ns, watch.step_ns) == (50, 20)


def test_a_watch_that_nobody_closes_ends_with_the_fit(monkeypatch):
    monkeypatch.setattr("tb_trainspeed.recorder.device._LOOK_UP_S", 0.01)
    stop = threading.Event()
    thread = threading.Thread(target=lambda: DeviceWatch().run(stop), daemon=True)
    thread.start()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_step_computed_in_the_call_is_compute(played):
    played.recorder.follow_device()
    for _ in range(10):
        played.recorder.step_begin(False)
        played.spend(5)
        played.recorder.step_end(lambda: False)
    phases = played.profile().ledger.phases
    assert (phases["compute"], phases["host_overhead"]) == (pytest.approx(0.05), 0.0)


def test_a_collection_of_garbage_may_begin_while_the_device_is_followed(played):
    clock = played.recorder.clock
    move = clock.move

    def collecting(*args):
        clock.push("gc")
        clock.pop()
        move(*args)

    clock.move = collecting
    phases = steps_of(played, device=3.0, fetch=10.0).ledger.phases
    assert phases["compute"] == pytest.approx(0.3, rel=0.02)
