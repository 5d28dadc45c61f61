"""A device that is the processor loses to what the host computes meanwhile, and to nothing else."""

import pytest

from tb_trainspeed.profile import Profile
from tb_trainspeed.recorder import FitRecorder
from tb_trainspeed.recorder.crowding import Crowding
from tests.recorder.conftest import MS


class Machine:
    """A host of one thread and a device, on two cores, that a fake clock drives; milliseconds.

    The device takes `device_cores` where it can, and has one while the host computes.
    """

    def __init__(self, device_cores):
        self.now_ns = self.cpu_ns = self.thread_ns = 0
        self.device_cores, self.ends_ns = device_cores, []
        self.recorder = FitRecorder(
            0, now=lambda: self.now_ns, cpu_now=lambda: self.cpu_ns, thread_now=lambda: self.thread_ns
        )

    def spend(self, ms, computing=True):
        spent_ns, cores = round(ms * MS), min(self.device_cores, 1) if computing else self.device_cores
        left_ns = max([0, *(end_ns - self.now_ns for end_ns in self.ends_ns)])
        busy_ns = min(spent_ns, round(left_ns * self.device_cores / cores))
        late_ns = round(busy_ns * (1 - cores / self.device_cores))
        self.ends_ns = [end_ns + late_ns * (end_ns > self.now_ns) for end_ns in self.ends_ns]
        self.now_ns += spent_ns
        self.thread_ns += spent_ns * computing
        self.cpu_ns += spent_ns * computing + round(busy_ns * cores)

    def step(self, row, hook_ms, computing, compile_ms=0.0, device_ms=10.0):
        begin = self.recorder.enter(row)
        self.spend(hook_ms, computing)
        self.recorder.leave(row, begin)
        self.recorder.step_begin(False)
        self.spend(compile_ms)
        machine, index = self, len(self.ends_ns)
        self.ends_ns.append(max([self.now_ns, *self.ends_ns]) + round(device_ms * MS))

        class Step:
            def is_ready(self):
                return machine.now_ns >= machine.ends_ns[index]

            def wait(self):
                machine.spend(max(0, machine.ends_ns[index] - machine.now_ns) / MS, computing=False)

        self.recorder.step_end(lambda: compile_ms > 0, Step)


def train(
    machine, cores, hook_ms=0.0, boundary_ms=0.0, compile_ms=0.0, computing=True, epochs=4, steps=20, after_ms=0.0
):
    """Returns the steady ledger."""
    machine.recorder.follow_device(cores)
    machine.recorder.expect(1, steps)
    row = machine.recorder.row("Mine", "on_train_batch_begin", "callbacks")
    for epoch in range(epochs):
        machine.recorder.epoch_begin(epoch)
        for step in range(steps):
            machine.step(row, hook_ms, computing, compile_ms * (step == steps // 2))
        machine.spend(boundary_ms)
        if after_ms:  # the steps are over before Keras reads their logs
            machine.recorder.step_abort()
            machine.spend(after_ms, computing=False)
        machine.recorder.epoch_logs_read()
        machine.recorder.epoch_end({})
    machine.recorder.finish()
    steady = machine.recorder.fill(Profile()).steady
    assert sum(value or 0.0 for value in steady.phases.values()) == pytest.approx(steady.wall_s)
    return steady


def callbacks_ms(steady):
    return steady.phases["callbacks"] / steady.steps * 1e3


@pytest.mark.parametrize("hook_ms", [2.0, 5.0, 8.0])
def test_what_a_hook_computes_beside_a_device_that_wants_both_cores_costs_what_the_fit_got_longer_by(hook_ms):
    slower, plain = train(Machine(2), 2.0, hook_ms), train(Machine(2), 2.0)
    assert slower.phases["callbacks"] == pytest.approx(slower.wall_s - plain.wall_s, rel=0.1)
    assert slower.phases["compute"] == pytest.approx(plain.phases["compute"], rel=0.02)


@pytest.mark.parametrize("boundary_ms", [50.0, 300.0])
def test_so_does_what_it_computes_at_the_end_of_an_epoch(boundary_ms):
    slower, plain = (train(Machine(2), 2.0, boundary_ms=ms) for ms in (boundary_ms, 0.0))
    grown_s = slower.phases["epoch_restart"] - plain.phases["epoch_restart"]
    assert grown_s == pytest.approx(slower.wall_s - plain.wall_s, rel=0.05)
    assert slower.phases["compute"] == pytest.approx(plain.phases["compute"], rel=0.02)


def test_and_so_does_a_call_that_compiles():
    slower, plain = (train(Machine(2), 2.0, compile_ms=ms) for ms in (80.0, 0.0))
    assert slower.phases["compilation"] == pytest.approx(slower.wall_s - plain.wall_s, rel=0.1)
    assert slower.phases["compute"] == pytest.approx(plain.phases["compute"], rel=0.02)


def test_what_comes_after_the_steps_does_not_bear_on_it():
    at_once, later = (train(Machine(2), 2, hook_ms=5.0, after_ms=ms) for ms in (1e-3, 200.0))
    assert callbacks_ms(later) == pytest.approx(callbacks_ms(at_once), rel=0.01)


def test_a_device_that_leaves_the_host_a_core_loses_nothing():
    # But at the beginning of an epoch, where it has nothing to do yet.
    assert callbacks_ms(train(Machine(1), 2.0, 5.0)) == pytest.approx(5.0 / 20, rel=0.1)


def test_nor_does_one_beside_a_hook_that_waits():
    assert callbacks_ms(train(Machine(2), 2.0, 5.0, computing=False)) == pytest.approx(5.0 / 20, rel=0.1)


def test_nor_does_one_that_is_not_the_processor():
    assert callbacks_ms(train(Machine(2), None, 5.0)) == pytest.approx(5.0 / 20, rel=0.1)


def test_collections_of_garbage_compute_and_other_phases_are_left_alone():
    clock = [0, 0, 0]
    crowding = Crowding(2.0, *(lambda i=i: clock[i] for i in range(3)))
    assert crowding.lost("gc") == 0.0
    crowding.steps_begin()
    clock[:] = [1000, 1600, 100]  # 1.5 cores of the device, though it had but one for a tenth of the time
    crowding.steps_end()
    assert crowding.lost("gc") == pytest.approx(0.5 / 1.4, abs=0.001)
    assert crowding.lost("input_wait") == 0.0
    crowding.computes("gap", 0.5)  # beside 1.56 others it was at it for longer than it had one of two cores
    assert crowding.lost("gap") == pytest.approx(0.5 / 1.4 * 0.5 * (1.5556 + 1) / 2, abs=0.001)
    crowding.computes("gap", 0.9)
    assert crowding.lost("gap") == pytest.approx(0.5 / 1.4, abs=0.001)
    crowding.steps_end()  # without a begin: a failed step after the end
    assert crowding.lost("gc") == pytest.approx(0.5 / 1.4, abs=0.001)
