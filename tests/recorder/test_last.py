"""The last steps of epochs, beside which nobody makes batches any more."""

import pytest

from tests.recorder.conftest import MS


def train(played, told=True, ends=True, last="float32(8, 4)", steps=10, per_call=1, may_wait=False):
    """Three epochs whose last step is quicker than the others, as large or not."""
    recorder = played.recorder
    recorder.may_wait = may_wait
    recorder.expect(per_call, steps if told else None)
    recorder.last_steps.end_with_data = ends
    for epoch in range(3):
        recorder.epoch_begin(epoch)
        for step in range(1, steps + 1):
            is_last = step == steps
            batch = last if is_last else "float32(8, 4)"
            played.step(compute=4.0 if is_last else 10.0, traced=epoch == 0 and step == 1, batch=lambda: batch)  # noqa: B023
        recorder.epoch_logs_read()
        recorder.epoch_end({})
    recorder.finish()
    return played.profile().steps.last


@pytest.mark.parametrize("may_wait", [False, True])
def test_they_are_told_apart(played, may_wait):
    last = train(played, may_wait=may_wait)
    assert (last.count, last.p50_s) == (3, pytest.approx(0.004, rel=0.01))


def test_of_epochs_whose_number_of_steps_nothing_tells_from_the_second_on(played):
    assert train(played, told=False).count == 2


@pytest.mark.parametrize(
    "other", [{"last": "float32(5, 4)"}, {"ends": False}, {"steps": 2}, {"per_call": 2, "steps": 20}], ids=str
)
def test_not_where_they_are_smaller_or_batches_are_made_beside_them_too(played, other):
    assert train(played, **other) is None


def test_on_an_asynchronous_device_it_is_what_the_device_took(played):
    recorder, ends_ns = played.recorder, []
    recorder.follow_device()
    recorder.expect(1, 10)
    recorder.last_steps.end_with_data = True
    for epoch in range(3):
        recorder.epoch_begin(epoch)
        for step in range(10):
            recorder.step_begin(False)
            played.spend(1.0)
            ends_ns.append(max([played.now_ns, *ends_ns]) + round((4.0 if step == 9 else 10.0) * MS))

            class Step:
                def __init__(self, end_ns=ends_ns[-1]):
                    self.end_ns = end_ns

                def is_ready(self):
                    return played.now_ns >= self.end_ns

                def wait(self):
                    played.now_ns = max(played.now_ns, self.end_ns)

            recorder.step_end(lambda step=step, epoch=epoch: step + epoch == 0, Step, lambda: "float32(8, 4)")
        recorder.fetch_begin()
        recorder.fetch_end(False)
        recorder.step_abort()
        recorder.epoch_logs_read()
        recorder.epoch_end({})
    recorder.finish()
    last = played.profile().steps.last
    assert (last.count, last.p50_s) == (3, pytest.approx(0.004, rel=0.01))
