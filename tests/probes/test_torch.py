"""On torch the batch is fetched between two steps."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tb_trainspeed import TrainSpeedCallback
from tb_trainspeed.probes import torch as probe
from tb_trainspeed.probes.fit_loop import Undo
from tb_trainspeed.profile import Compilation, CompilationEvent, Device, DeviceMemory

EPOCHS, STEPS, BATCH = 3, 10, 8


class Slow(torch.utils.data.Dataset):
    def __len__(self):
        return STEPS * BATCH

    def __getitem__(self, index):
        time.sleep(0.002)
        return np.ones(4, "float32"), np.ones(1, "float32")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_slow_loader_is_waited_for(workers, make_model):
    callback = TrainSpeedCallback(None, verbose=0)
    data = torch.utils.data.DataLoader(Slow(), batch_size=BATCH, num_workers=workers)
    make_model().fit(data, epochs=EPOCHS, verbose=0, shuffle=False, callbacks=[callback])
    profile = callback.report.profile
    phases = profile.ledger.phases
    made_s = 0.002 * BATCH * STEPS * EPOCHS
    # The first wait of an epoch is partly the start of its workers.
    assert phases["input_wait"] + phases["epoch_restart"] >= 0.9 * made_s
    assert phases["input_wait"] >= 0.7 * made_s
    assert (profile.data.adapter, profile.data.batch_size) == ("TorchDataLoaderAdapter", BATCH)
    assert profile.environment.devices[0].kind in ("CPU", "GPU")


def test_what_the_compiler_says(monkeypatch):
    """A function compiled twice, the second time for another shape: `eager` is a backend that generates no code."""
    undo, started_at_s = Undo(), time.time()
    add_facts = probe.watch_compiler(started_at_s, undo)
    before = add_facts(Compilation())
    assert (before.functions_s, sum(before.compiler_s.values())) == ({}, 0.0)

    def add_one(x):
        return x + 1

    compiled = torch.compile(add_one, backend="eager")
    compiled(torch.ones(3))
    begin_s = time.time() - started_at_s
    compiled(torch.ones(5))
    event = CompilationEvent(1, begin_s, time.time() - started_at_s - begin_s, "float32(5,)")
    found = add_facts(Compilation(events=(event,)))
    assert "size mismatch" in found.events[0].reason
    assert "\n" not in found.events[0].reason
    assert found.compiler_s["dynamo"] > 0
    assert list(found.functions_s) == ["add_one"]
    assert found.graph_breaks == 0


def test_switches_are_seen():
    before = probe.settings()
    with torch.autograd.set_detect_anomaly(True):
        after = probe.settings()
    changed = {name for name, value in after.items() if before[name] != value}
    assert changed == {"torch.autograd.set_detect_anomaly"}


def test_memory_of_a_gpu(monkeypatch):
    """On a device that is made up."""
    gpu = SimpleNamespace(name="NVIDIA A100", total_memory=9, major=8, minor=0)
    made_up = {
        "is_available": lambda: True, "is_initialized": lambda: True, "device_count": lambda: 1,
        "get_device_properties": lambda index: gpu, "memory_allocated": lambda index: 3,
        "max_memory_allocated": lambda index: 5,
    }  # fmt: skip
    for name, value in made_up.items():
        monkeypatch.setattr(torch.cuda, name, value)
    assert probe.device_memory() == (DeviceMemory("cuda:0", 3, 5, 9),)
    assert probe.devices() == (Device("GPU", "NVIDIA A100", 9, "8.0"),)
