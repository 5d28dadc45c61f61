"""What the process and the machine use, on counters of our own; and in a fit."""

import subprocess
import sys
import threading
from types import SimpleNamespace

import psutil
import pytest

from tb_trainspeed import TrainSpeedCallback
from tb_trainspeed.probes import machine, resources
from tb_trainspeed.probes.resources import ResourceClock, sample_resources
from tb_trainspeed.profile import NOT_GIVEN, Device


class Counters:
    """Stands for psutil and the kernel; everything grows by what `run` says."""

    def __init__(self, monkeypatch):
        self.now_s = self.own_s = self.machine_s = self.read = self.swapped = self.stalled_s = 0.0
        self.rss, self.available = 100.0, 1000.0
        times = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
        cpu = type("Times", (tuple,), {name: property(lambda t, i=i: t[i]) for i, name in enumerate(times)})
        process = SimpleNamespace(
            cpu_times=lambda: SimpleNamespace(user=self.own_s, system=0.0, children_user=0.0, children_system=0.0),
            memory_info=lambda: SimpleNamespace(rss=self.rss),
            children=lambda recursive: [],
        )
        disk = SimpleNamespace
        network = SimpleNamespace(bytes_recv=0, bytes_sent=0)
        for name, make in {
            "Process": lambda: process,
            "cpu_times": lambda: cpu((self.machine_s, 0, 0, self.now_s, self.now_s / 4, 0, 0, 0, 0, 0)),
            "swap_memory": lambda: SimpleNamespace(used=7, sin=self.swapped, sout=0),
            "disk_io_counters": lambda: disk(read_bytes=self.read, write_bytes=0),
            "net_io_counters": lambda: network,
        }.items():
            monkeypatch.setattr(psutil, name, make)
        monkeypatch.setattr(machine, "machine_devices", lambda: ())
        monkeypatch.setattr(machine, "memory_available_bytes", lambda: self.available)
        monkeypatch.setattr(machine, "memory_stalled_s", lambda: self.stalled_s)
        monkeypatch.setattr(machine, "throttled_s", lambda: None)

    def now_ns(self):
        return round(self.now_s * 1e9)

    def run(self, seconds, **growth):
        self.now_s += seconds
        for name, amount in growth.items():
            setattr(self, name, getattr(self, name) + amount)


@pytest.fixture
def counters(monkeypatch):
    return Counters(monkeypatch)


def test_rates_and_levels(counters):
    clock = ResourceClock(0, counters.now_ns)
    clock.open()
    counters.run(1.0, own_s=1.5, machine_s=2.0, read=4096, swapped=512, rss=50, available=-100, stalled_s=0.25)
    clock.sample()
    counters.run(2.0, own_s=1.0, machine_s=3.0, rss=-20)
    clock.sample()
    columns = clock.facts().usage.columns
    # The samples are of the first second and of the two after it, whose middles are 0.5 and 2.
    assert columns["process_cores"] == (1.5, 0.5)
    assert columns["machine_cores"] == (2.0, 1.5)
    assert columns["iowait_cores"] == (0.25, 0.25)
    assert columns["disk_read_bytes_per_s"] == (4096.0, 0.0)
    assert columns["swapped_bytes_per_s"] == (512.0, 0.0)
    assert columns["memory_pressure"] == (0.25, 0.0)
    assert columns["rss_bytes"] == (150.0, 130.0)
    assert columns["memory_available_bytes"] == (900.0, 900.0)
    assert columns["swap_bytes"] == (7.0, 7.0)
    assert "throttled" not in columns  # which nobody counts here


def test_the_same_work_tells_how_fast_a_core_is(counters, monkeypatch):
    clock = ResourceClock(0, counters.now_ns)
    clock.open()
    spent = iter((0.0, 0.5, 1.0, 1.0001))  # the first time it only warms the caches
    monkeypatch.setattr(resources.time, "thread_time", lambda: next(spent))
    counters.run(1.0)
    clock.sample()
    assert clock.facts().usage.columns["core_work_s"] == pytest.approx((1e-4,))


def test_a_clock_of_coarse_ticks_tells_no_speed(counters, monkeypatch):
    monkeypatch.setattr(resources.time, "get_clock_info", lambda name: SimpleNamespace(resolution=0.0156))
    clock = ResourceClock(0, counters.now_ns)
    clock.open()
    counters.run(1.0)
    clock.sample()
    assert "core_work_s" not in clock.facts().usage.columns


def test_a_moment_says_nothing_of_rates(counters):
    clock = ResourceClock(0, counters.now_ns)
    clock.sample()  # not open yet
    clock.open()
    counters.run(0.01, own_s=0.01)
    clock.sample()
    assert clock.facts().usage.columns == {}


def test_workers_are_counted_apart():
    clock = ResourceClock(0)
    others_s = ResourceClock(0)._workers_cpu_s()  # of other tests
    script = "import sys, time\nwhile time.process_time() < 0.4: pass\nprint(flush=True)\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1) as child:
        child.stdout.readline()
        with_child_s = clock._workers_cpu_s()
    assert with_child_s - others_s > 0.3
    assert clock._workers_cpu_s() < with_child_s - 0.1  # others may have gone on meanwhile


def test_a_gpu_that_the_container_was_not_given_is_not_asked(counters, monkeypatch):
    monkeypatch.setattr(machine, "machine_devices", lambda: (Device("GPU", f"NVIDIA A100 {NOT_GIVEN}"),))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    clock = ResourceClock(0, counters.now_ns)
    clock.open()
    assert clock.without_accelerators == ""


@pytest.mark.parametrize(
    ("module", "reason"),
    [(None, "`pip install nvidia-ml-py` lets"), (SimpleNamespace(nvmlInit=lambda: 1 / 0), "does not answer: division")],
)
def test_accelerators_that_cannot_be_asked(counters, monkeypatch, module, reason):
    monkeypatch.setattr(machine, "machine_devices", lambda: (Device("GPU", "NVIDIA A100"),))
    monkeypatch.setitem(sys.modules, "pynvml", module)
    clock = ResourceClock(0, counters.now_ns)
    clock.open()
    counters.run(1.0)
    clock.sample()
    clock.close()
    assert reason in clock.without_accelerators
    assert clock.facts().accelerators == ()


def test_the_loop_takes_a_last_sample_and_closes(counters, monkeypatch):
    calls, stop = [], threading.Event()
    clock = ResourceClock(0, counters.now_ns)
    for name in ("open", "sample", "close"):
        monkeypatch.setattr(clock, name, lambda name=name: calls.append(name))
    stop.set()
    sample_resources(clock, stop, 0.01, lambda: calls.append("spent"))
    assert calls == ["open", "sample", "spent", "close"]


def test_dear_samples_come_seldom(monkeypatch):
    waits, cpu = [], iter([0.0, 0.01, 1.0, 1.001])
    stop = SimpleNamespace(wait=lambda seconds: waits.append(seconds) or len(waits) > 2)
    monkeypatch.setattr(resources.time, "thread_time", lambda: next(cpu))
    clock = SimpleNamespace(open=lambda: None, sample=lambda: None, close=lambda: None)
    sample_resources(clock, stop, 0.01, lambda: None)
    # A sample of 10 ms may be taken every 4 s at a quarter of 1 %, one of 1 ms every second.
    assert waits == [1.0, pytest.approx(4.0), 1.0]


def fit(make_model, arrays, **options):
    callback = TrainSpeedCallback(None, verbose=0, **options)
    make_model().fit(*arrays, verbose=0, callbacks=[callback])
    return callback.report.profile


def test_resources_of_a_fit(make_model, arrays, monkeypatch):
    monkeypatch.setattr(resources, "_SHORTEST_S", 0.0)  # the fit is shorter than that
    found = fit(make_model, arrays)
    assert len(set(map(len, found.resources.usage.columns.values()))) == 1
    assert found.resources.usage.columns["rss_bytes"][-1] > 2**20
    assert found.resources.process_cpu_s > 0
    assert found.cost.background_s > 0
    assert found.not_measured == {}


def test_without_overhead_nothing_is_sampled(make_model, arrays):
    found = fit(make_model, arrays, max_overhead=0)
    assert found.resources.usage.columns == {}
    assert found.resources.process_cpu_s > 0
    assert "max_overhead=0" in found.not_measured["resources"]
