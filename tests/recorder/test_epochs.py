"""What is done once the epochs are over is no part of them."""

import pytest

from tb_trainspeed.recorder.epochs import EpochTimes
from tb_trainspeed.recorder.ledger import Mark


def train(played, epochs=3, steps=5, broken_off=False):
    """Epochs of 55 ms, and what comes after the last of them."""
    recorder = played.recorder
    saver = recorder.row("Saver", "on_epoch_end", "checkpointing")
    for epoch in range(epochs):
        recorder.epoch_begin(epoch)
        for _ in range(steps):
            played.step(compute=9.0)
        if broken_off and epoch == epochs - 1:
            return
        recorder.epoch_end()
        played.hook(saver, 5.0)


@pytest.mark.parametrize(("epochs", "broken_off"), [(3, False), (2, False), (3, True), (1, False)])
def test_what_callbacks_do_at_the_end_of_the_fit_is_in_its_ledger_and_in_none_of_an_epoch(played, epochs, broken_off):
    recorder = played.recorder
    last = recorder.row("Tests", "on_train_end", "callbacks")
    train(played, epochs, broken_off=broken_off)
    recorder.epochs_over()
    over_s = played.now_ns * 1e-9
    played.hook(last, 10_000.0)
    recorder.nested_call(last, "evaluate", 9_000_000_000)
    recorder.finish()
    profile = played.profile()
    assert profile.ledger.wall_s == pytest.approx(over_s + 10.0)
    assert profile.ledger.phases["callbacks"] == pytest.approx(10.0)
    whole = epochs - 1 - broken_off
    if not whole:
        assert profile.steady is None
    else:
        assert (profile.steady.epochs, profile.steady.steps) == (whole, 5 * whole)
        assert profile.steady.wall_s == pytest.approx(0.055 * whole)
        assert profile.steady.phases["callbacks"] == 0.0
        assert profile.steady.phases["checkpointing"] == pytest.approx(0.005 * whole)
        assert profile.epochs.restart.count == whole
    assert sum(profile.timeline.wall_s) == pytest.approx(profile.ledger.wall_s)


def test_without_being_told_the_epochs_end_with_the_fit(played):
    train(played)
    played.recorder.finish()
    told = played.profile().steady
    assert told.wall_s == pytest.approx(2 * 0.055)


def test_a_report_while_the_last_callbacks_run_has_all_epochs(played):
    train(played)
    assert played.profile().steady.epochs == 1
    played.recorder.epochs_over()
    played.spend(1000.0)
    assert played.profile().steady.epochs == 2
    assert played.profile().steady.wall_s == pytest.approx(2 * 0.055)


def test_after_the_end_nothing_is_told(played):
    train(played)
    played.recorder.finish()
    before = played.profile()
    played.spend(1000.0)
    played.recorder.epochs_over()
    assert played.profile() == before


def test_the_last_epoch_ends_once():
    times = EpochTimes()
    marks = [Mark(at, at, 0, 0, 0, 0, 0, {}) for at in range(5)]
    times.over(marks[1])
    times.count = 2
    times.finish(marks[2])
    times.finish(marks[4])
    assert times._last == (marks[2], 2)
