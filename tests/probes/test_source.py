"""The code that makes batches: counted, timed, and located."""

import gc
import sys
import threading

import numpy as np
import pytest

from tb_trainspeed.probes import source
from tb_trainspeed.probes.source import SourceClock, sample_source


def test_calls_are_counted_and_batches_sized():
    clock = SourceClock("Mine.__getitem__")
    batch = (np.zeros((8, 4), "float32"), np.zeros((8,), "int64"))
    assert clock.timed(lambda: batch) is batch
    clock.timed(lambda: batch)
    facts = clock.facts()
    assert (facts.name, facts.calls, facts.hot_spots) == ("Mine.__getitem__", 2, ())
    assert (clock.batch_size, clock.batch_bytes) == (8, 8 * 4 * 4 + 8 * 8)


def test_what_raises_is_counted_too():
    clock = SourceClock("generator")
    with pytest.raises(StopIteration):
        clock.timed(lambda: next(iter(())))
    assert clock.facts().calls == 1
    assert not clock.running


def seen_for(clock, batch_s, batches, samples, callee):
    """An epoch in which a batch took so long, and samples found the code in this callee."""
    tally = clock._now
    tally.calls, tally.wall_ns, tally.cpu_ns = batches, int(batches * batch_s * 1e9), 0
    tally.stacks[("load", "mine.py", 1, callee, "PIL")] = tally.samples = tally.held = samples


@pytest.mark.parametrize(
    ("batch_s", "samples", "callees"),
    [
        (0.04, 40, {"roll"}),  # enough samples of what recurs
        (0.04, 10, {"open", "roll"}),  # too few, and the first epoch was no different
        (0.004, 40, {"roll"}),
        (0.004, 10, set()),  # too few, and the first epoch was: a cache was filled in it
    ],
)
def test_the_first_epoch_is_set_aside(batch_s, samples, callees):
    clock = SourceClock("Mine.__getitem__")
    clock.epoch_over()  # before the first, and so no end of one
    seen_for(clock, 0.05, 20, 50, "open")
    assert clock.facts().calls == 20
    clock.epoch_over()
    assert (clock.facts().calls, len(clock.facts().hot_spots)) == (20, 1)  # nothing yet of what recurs
    seen_for(clock, batch_s, 10, samples, "roll")
    clock.epoch_over()  # the third goes to the second
    facts = clock.facts()
    assert (facts.calls, facts.wall_s) == (10, pytest.approx(10 * batch_s))
    assert {spot.callee for spot in facts.hot_spots} == callees
    assert (facts.gil_share is None) == (not callees)


@pytest.mark.parametrize("on", [True, False])
def test_no_garbage_is_collected_under_the_lock_of_all_threads(monkeypatch, on):
    seen = []
    monkeypatch.setattr(source, "_COLLECTS_UNDER_LOCK", True)  # as in Python 3.11
    monkeypatch.setattr(sys, "_current_frames", lambda: seen.append(gc.isenabled()) or {})
    clock = SourceClock("generator")
    clock.running[1] = (0, 0)
    (gc.enable if on else gc.disable)()
    try:
        clock.sample()
        assert (seen, gc.isenabled()) == ([False], on)
    finally:
        gc.enable()


def test_samples_leave_nothing_to_the_garbage_collector():
    """Else it would be in a cycle with the frames of all threads, and keep what they hold."""
    clock, inside, leave = SourceClock("generator"), threading.Event(), threading.Event()
    worker = threading.Thread(target=clock.timed, args=(lambda: (inside.set(), leave.wait()),))
    worker.start()
    inside.wait()
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            assert clock.sample()
        assert gc.collect() == 0
    finally:
        gc.enable()
        leave.set()
        worker.join()


def test_samples_find_the_users_line():
    clock, inside, leave, stop = SourceClock("generator"), threading.Event(), threading.Event(), threading.Event()

    def read_slowly():
        inside.set()
        leave.wait()

    worker = threading.Thread(target=clock.timed, args=(read_slowly,))
    worker.start()
    inside.wait()
    while not clock.sample():
        pass
    leave.set()
    worker.join()
    assert not clock.sample()  # nothing runs now
    (spot,) = clock.facts().hot_spots
    assert spot.function.endswith("read_slowly")
    assert spot.file == __file__
    assert (spot.callee, spot.library, spot.share) == ("wait", "threading", 1.0)
    stop.set()
    sample_source(clock, stop)  # returns at once
