"""What the kernel's files say of the machine, on files of our own."""

import os
import platform
from types import SimpleNamespace

import psutil
import pytest

from tb_trainspeed.probes import machine
from tb_trainspeed.profile import Device

GIB = 2**30


@pytest.fixture
def root(tmp_path, monkeypatch):
    """root(path=text, ...) -> a file system with these files, on a machine of 8 cores and 16 GiB."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=16 * GIB, available=9 * GIB))
    monkeypatch.setattr(platform, "system", lambda: "Linux")

    def make(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, 8.0),
        ({"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"sys/fs/cgroup/cpu.max": "1600000 100000\n"}, 8.0),
        ({"sys/fs/cgroup/cpu.max": "odd\n"}, 8.0),
        ({}, 8.0),
        (  # the quota of a group around ours
            {
                "proc/self/cgroup": "0::/job/task\n",
                "sys/fs/cgroup/job/task/cpu.max": "max 100000\n",
                "sys/fs/cgroup/job/cpu.max": "200000 100000\n",
            },
            2.0,
        ),
        (  # version 1
            {
                "proc/self/cgroup": "3:cpu,cpuacct:/\n1:name=systemd:/\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            8.0,
        ),
    ],
)
def test_usable_cores(root, files, cores):
    assert machine.usable_cores(root(files)) == cores


def test_memory(root):
    assert machine.memory_limit_bytes(root({})) == 16 * GIB
    assert machine.memory_available_bytes(root({})) == 9 * GIB
    files = {
        "sys/fs/cgroup/memory.max": f"{4 * GIB}\n",
        "sys/fs/cgroup/memory.current": f"{3 * GIB}\n",
        "sys/fs/cgroup/memory.stat": f"anon 1\ninactive_file {GIB // 2}\n",
    }
    assert machine.memory_limit_bytes(root(files)) == 4 * GIB
    assert machine.memory_available_bytes(root(files)) == 1.5 * GIB


def test_time_held_up(root):
    assert machine.throttled_s(root({})) is None
    assert machine.memory_stalled_s(root({})) is None
    machines = {"proc/pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=3000000\nfull total=1\n"}
    assert machine.memory_stalled_s(root(machines)) == 3.0
    ours = {
        "sys/fs/cgroup/memory.pressure": "some avg10=0.00 total=500000\n",
        "sys/fs/cgroup/cpu.stat": "usage_usec 9\nnr_periods 30\nnr_throttled 25\nthrottled_usec 99000000\n",
    }
    assert machine.memory_stalled_s(root(ours)) == 0.5
    assert machine.throttled_s(root(ours)) == 2.5


def test_cpu(root):
    text = "processor : 0\nmodel name\t: Fast CPU\nflags\t\t: fpu avx avx2 amx_bf16\n\nprocessor : 1\n"
    assert machine.cpu(root({"proc/cpuinfo": text})) == ("Fast CPU", ("avx", "avx2", "amx_bf16"))


def test_no_accelerator(root):
    assert machine.machine_devices(root({})) == ()


A100 = {"proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t NVIDIA A100\nIRQ: 3\nDevice Minor: \t 0\n"}
T4 = {"proc/driver/nvidia/gpus/0000:02:00.0/information": "Model: \t Tesla T4\nIRQ: 4\nDevice Minor: \t 1\n"}
OLD = {"proc/driver/nvidia/gpus/0/information": "Model: \t Tesla K80\n"}


@pytest.mark.parametrize(
    ("files", "devices"),
    [
        ({**A100, "dev/nvidia0": ""}, [Device("GPU", "NVIDIA A100")]),
        ({**T4, "dev/nvidia1": ""}, [Device("GPU", "NVIDIA Tesla T4")]),
        ({**OLD, "dev/nvidia0": ""}, [Device("GPU", "NVIDIA Tesla K80")]),
        ({**A100, **T4, "dev/nvidia1": "", "dev/nvidiactl": ""}, [Device("GPU", "NVIDIA Tesla T4")]),
        ({**A100, ".dockerenv": ""}, [Device("GPU", "NVIDIA A100 (not given to this container)")]),
        ({**OLD, ".dockerenv": ""}, [Device("GPU", "NVIDIA Tesla K80 (not given to this container)")]),
        (A100, []),  # a container of another kind, whose machine belongs to others as well
        ({"dev/nvidia0": "", "dev/nvidia1": "", "dev/nvidiactl": ""}, [Device("GPU", "NVIDIA")] * 2),
        ({"dev/dxg": ""}, []),  # any GPU that Windows draws with
        ({"dev/dxg": "", "usr/lib/wsl/lib/libcuda.so.1": ""}, [Device("GPU", "NVIDIA under WSL 2")]),
        ({"dev/kfd": ""}, [Device("GPU", "AMD")]),
        ({"dev/accel0": ""}, [Device("TPU", "accel0")]),
    ],
)
def test_accelerators(root, files, devices):
    assert list(machine.machine_devices(root(files))) == devices


def test_apples_accelerator(root, monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert machine.machine_devices(root({})) == (Device("GPU", "Apple"),)
