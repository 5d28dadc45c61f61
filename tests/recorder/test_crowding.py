"""A device that is the processor loses to what the host computes meanwhile, and to nothing else."""

import pytest

from tb_trainspeed.profile import Profile
from tb_trainspeed.recorder import FitRecorder
from tb_trainspeed.recorder.crowding import Crowding
from tests.recorder.conftest import MS


class Machine:
    """A host of one thread and a device, on so many cores, that a fake clock drives; milliseconds."""

    def __init__(self, device_cores):
        self.now_ns = self.cpu_ns = self.thread_ns = self.free_ns = 0
        self.device_cores = device_cores
        self.recorder = FitRecorder(
            0, now=lambda: self.now_ns, cpu_now=lambda: self.cpu_ns, thread_now=lambda: self.thread_ns
        )

    def spend(self, ms, computing=True):
        busy = max(0, min(round(ms * MS), self.free_ns - self.now_ns))
        self.now_ns += round(ms * MS)
        self.thread_ns += round(ms * MS) * computing
        self.cpu_ns += round(ms * MS) * computing + round(busy * self.device_cores)

    def step(self, row, hook_ms, computing, device_ms=10.0):
        begin = self.recorder.enter(row)
        self.spend(hook_ms, computing)
        self.recorder.leave(row, begin)
        self.recorder.step_begin(False)
        self.free_ns = end_ns = max(self.free_ns, self.now_ns) + round(device_ms * MS)
        machine = self

        class Step:
            def is_ready(self):
                return machine.now_ns >= end_ns

            def wait(self):
                machine.spend(max(0, end_ns - machine.now_ns) / MS, computing=False)

        self.recorder.step_end(lambda: False, Step)


def train(machine, cores, hook_ms=5.0, computing=True, epochs=4, steps=20):
    """Returns what the steady ledger says of callbacks, ms a step."""
    machine.recorder.follow_device(cores)
    row = machine.recorder.row("Mine", "on_train_batch_begin", "callbacks")
    for epoch in range(epochs):
        machine.recorder.epoch_begin(epoch)
        for _ in range(steps):
            machine.step(row, hook_ms, computing)
        machine.recorder.drain_device()
        machine.recorder.epoch_end({})
    machine.recorder.finish()
    steady = machine.recorder.fill(Profile()).steady
    assert sum(value or 0.0 for value in steady.phases.values()) == pytest.approx(steady.wall_s)
    return steady.phases["callbacks"] / steady.steps * 1e3


def test_half_of_what_a_hook_computes_beside_a_device_that_wants_both_of_two_cores():
    assert train(Machine(device_cores=2), cores=2.0) == pytest.approx(2.5, rel=0.15)


def test_a_device_that_leaves_the_host_a_core_loses_nothing():
    # But at the beginning of an epoch, where it has nothing to do yet.
    assert train(Machine(device_cores=1), cores=2.0) == pytest.approx(5.0 / 20, rel=0.1)


def test_nor_does_one_beside_a_hook_that_waits():
    assert train(Machine(device_cores=2), cores=2.0, computing=False) == pytest.approx(5.0 / 20, rel=0.1)


def test_nor_does_one_that_is_not_the_processor():
    assert train(Machine(device_cores=2), cores=None) == pytest.approx(5.0 / 20, rel=0.1)


def test_collections_of_garbage_compute_and_other_phases_are_left_alone():
    clock = [0, 0, 0]
    crowding = Crowding(2.0, *(lambda i=i: clock[i] for i in range(3)))
    assert crowding.lost("gc") == 0.0
    crowding.steps_begin()
    clock[:] = [1000, 1600, 100]  # 1.5 cores of the device
    crowding.steps_end()
    assert crowding.lost("gc") == pytest.approx(0.5 / 1.5)
    assert crowding.lost("input_wait") == 0.0
    crowding.steps_end()  # without a begin: a failed step after the end
    assert crowding.lost("gc") == pytest.approx(0.5 / 1.5)
