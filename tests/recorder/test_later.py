"""What is told of steps and added up later adds up to the same."""

import random

import pytest

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


@pytest.mark.parametrize(("compute", "most"), [(2.0, 31), (18.0, 12), (220.0, 0)])
def test_the_longer_the_steps_the_fewer_wait(compute, most):
    assert train(PlayedFit(), True, compute, pauses=0.0) == pytest.approx(most, abs=2)


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
