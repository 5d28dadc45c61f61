"""What is told of steps and added up later adds up to the same."""

import functools
import gc
import random

import pytest

from tb_trainspeed.probes.fit_loop import Undo
from tb_trainspeed.probes.gc_pauses import time_gc
from tests.recorder.conftest import PlayedFit


def train(played, may_wait, compute=2.0, pauses=0.1):
    """Three epochs of steps that differ, with a hook in every step, retraces, and pauses wherever they may come."""
    draw, recorder = random.Random(0), played.recorder
    recorder.may_wait = may_wait
    each, once = (recorder.row("Logger", f"on_{when}_end", "callbacks") for when in ("train_batch", "epoch"))
    most = 0
    for epoch in range(3):
        recorder.epoch_begin(epoch)
        for step in range(100):
            if step == 50:
                recorder.new_function()
            played.step(
                wait=draw.choice([0.0, 0.0, 3.0]),
                compute=compute * draw.uniform(0.5, 1.4) + 40.0 * (step in (0, 70)),
                gap=0.1,
                traced=step in (0, 70),
                gc_in_fetch=0.2 * (draw.random() < pauses),
                gc_in_call=0.2 * (draw.random() < pauses),
                ready=0.2,
            )
            most = max(most, recorder.later.steps)
            played.hook(each, 0.1)
            if step == 30:
                recorder.sample_begin()
            if step == 33:
                recorder.sample_end()
        played.end_of_data(1.0)
        played.validation()
        played.hook(once, 5.0)
        recorder.epoch_end({"loss": 1.0})
    recorder.finish()
    return most


def test_it_makes_no_difference_to_what_is_measured():
    at_once, later = PlayedFit(), PlayedFit()
    assert train(at_once, False) == 0
    assert train(later, True) > 5
    assert later.profile() == at_once.profile()


class Queue:
    """A device that takes so long for each step, one after the other."""

    def __init__(self, played, step_ns):
        self.played, self.step_ns, self.free_ns = played, step_ns, 0

    def dispatch(self):
        self.free_ns = end_ns = max(self.free_ns, self.played.now_ns) + self.step_ns
        played = self.played

        class Step:
            def is_ready(self):
                return played.now_ns >= end_ns

            def wait(self):
                played.now_ns = max(played.now_ns, end_ns)

        return Step()


def train_asynchronously(played, may_wait, device_ms):
    """Two epochs as on JAX: the batch is fetched in the call, which hands the step over."""
    draw, recorder, device = random.Random(0), played.recorder, Queue(played, int(device_ms * 1e6))
    recorder.may_wait = may_wait
    recorder.follow_device()
    most = 0
    for epoch in range(2):
        recorder.epoch_begin(epoch)
        for step in range(60):
            recorder.step_begin(False)
            recorder.fetch_begin()
            played.spend(draw.choice([0.1, 0.1, 4.0]))
            recorder.fetch_end(True)
            played.spend(0.5 * draw.uniform(0.5, 1.4) + 30.0 * (step == 0), gc=0.1 * (draw.random() < 0.1))
            recorder.step_end(lambda step=step: step == 0, device.dispatch)
            most = max(most, recorder.later.steps)
            played.spend(0.1)
        recorder.drain_device()
        recorder.epoch_end({})
    recorder.finish()
    return most


@pytest.mark.parametrize("device_ms", [1.5, 3.0])
def test_nor_to_what_an_asynchronous_device_does(device_ms):
    at_once, later = PlayedFit(), PlayedFit()
    assert train_asynchronously(at_once, False, device_ms) == 0
    assert train_asynchronously(later, True, device_ms) > 5
    assert later.profile() == at_once.profile()
    assert later.profile().ledger.phases["compute"] == pytest.approx(120 * device_ms * 1e-3, rel=0.3)


@pytest.fixture
def collecting():
    """collecting(recorder, often): so often allocations start the garbage collector, whose pauses are timed."""
    thresholds, undo = gc.get_threshold(), Undo()

    def begin(recorder, often):
        time_gc(recorder, undo)
        gc.set_threshold(often, 1000)

    yield begin
    gc.set_threshold(*thresholds)
    undo.run()


@pytest.mark.parametrize("often", range(2, 100))
@pytest.mark.parametrize("played", [train, functools.partial(train_asynchronously, device_ms=1.5)], ids=["", "device"])
def test_a_collection_may_begin_with_any_allocation(collecting, played, often):
    at_once, later = PlayedFit(), PlayedFit()
    played(at_once, False)
    collecting(later.recorder, often)
    played(later, True)
    assert later.profile() == at_once.profile()


@pytest.mark.parametrize(("compute", "most"), [(2.0, 31), (18.0, 12), (220.0, 0)])
def test_the_longer_the_steps_the_fewer_wait(compute, most):
    assert train(PlayedFit(), True, compute, pauses=0.0) == pytest.approx(most, abs=2)


@pytest.mark.parametrize("traced", [False, True])
def test_a_long_call_waits_unless_it_traced(played, traced):
    played.recorder.may_wait = True
    played.recorder.epoch_begin(0)
    for step in range(10):
        played.step(traced=step == 0)
    played.step(compute=30.0, traced=traced)
    assert (played.recorder.later.steps == 0) == traced
    assert played.profile().compilation.retraces == traced


def test_a_report_in_between_ends_with_the_last_step_that_was_added_up(played):
    played.recorder.may_wait = True
    played.recorder.epoch_begin(0)
    for step in range(10):
        played.step(traced=step == 0)
    behind = played.recorder.later.steps
    ledger = played.profile().ledger
    assert 0 < behind == 10 - ledger.steps
    assert ledger.wall_s == pytest.approx(11e-3 * ledger.steps)
    assert sum(value or 0.0 for value in ledger.phases.values()) == pytest.approx(ledger.wall_s)
    played.recorder.clock.tick()
    assert (played.recorder.later.steps, played.profile().ledger.steps) == (0, 10)


def test_what_was_put_off_is_done_at_our_own_expense(played):
    recorder, slow = played.recorder, played.recorder._end_call
    recorder.may_wait = True
    recorder.epoch_begin(0)
    for step in range(5):
        played.step(traced=step == 0)
    before = played.profile()

    def end_call(*told):
        slow(*told)
        played.now_ns += 1_000_000

    recorder._end_call = end_call
    for _ in range(3):
        played.step()
    assert recorder.later.steps == 3 + 5 - before.ledger.steps
    recorder.finish()
    spent = {
        name: value - (before.ledger.phases[name] or 0.0)
        for name, value in played.profile().ledger.phases.items()
        if value
    }
    assert spent["trainspeed"] == pytest.approx(3e-3)
