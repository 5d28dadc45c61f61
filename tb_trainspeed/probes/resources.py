"""What the process and the machine use while the fit runs, about once a second, on a thread of its own."""

import contextlib
import gc
import hashlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

from tb_trainspeed.probes import machine
from tb_trainspeed.probes.nvml import Cards
from tb_trainspeed.profile import NOT_GIVEN, Resources
from tb_trainspeed.recorder.usage import UsageLog

INTERVAL_S = 1.0
#: The share of `max_overhead` that sampling may take of one core: a machine with many processes is asked less often.
_SHARE = 0.25
_CHILDREN_EVERY = 5  # samples; finding the children looks at all processes of the machine
_SHORTEST_S = 0.2  # less than that between two samples says nothing of rates
# A tenth of a millisecond of one core, within its own caches, and without Python's lock.
_WORK = bytes(80 << 10)
_FINEST_CLOCK_S = 1e-5  # on Windows CPU time comes in steps of 16 ms


class ResourceClock:
    """Knows what was used since it was made, and takes samples, from one thread.

    Args:
        start_ns: the start of the fit, on the clock `now`.
        now: the clock, nanoseconds.
    """

    def __init__(self, start_ns: int, now: Callable[[], int] = time.perf_counter_ns):
        self._start_ns, self._now = start_ns, now
        self._gc_before = _collections()
        self._process_cpu_before, self._machine_cpu_before = time.process_time(), _machine_cpu_s()
        self._log = UsageLog(most=("rss_bytes", "swap_bytes"), least=("memory_available_bytes",))
        self._process = psutil.Process()
        self._children: list[psutil.Process] = []
        self._samples = 0
        self._last: tuple[int, dict[str, float]] | None = None
        self._cards: Cards | None = None
        #: Why the accelerators are not measured, or empty.
        self.without_accelerators = ""

    def open(self) -> None:
        """Looks for accelerators, and notes where the counters stand."""
        names = [device.name for device in machine.machine_devices()]
        if any("NVIDIA" in name and not name.endswith(NOT_GIVEN) for name in names):
            try:
                self._cards = Cards()
            except ImportError:
                self.without_accelerators = "`pip install nvidia-ml-py` lets TrainSpeed ask the NVIDIA driver"
            except Exception as error:  # the driver does not answer
                self.without_accelerators = f"the NVIDIA driver does not answer: {error}"
        self._last = self._now(), self._counters()

    def close(self) -> None:
        if self._cards:
            self._cards.close()

    def sample(self) -> None:
        """Takes one sample: the levels of now, and the rates since the last sample."""
        if self._last is None:
            return
        (before_ns, before), now_ns = self._last, self._now()
        seconds = (now_ns - before_ns) * 1e-9
        if seconds < _SHORTEST_S:
            return
        counters = self._counters()
        self._last = now_ns, counters
        rates = {name: max(0.0, value - before[name]) / seconds for name, value in counters.items() if name in before}
        at_s = (now_ns - self._start_ns) * 1e-9 - seconds / 2
        self._log.add(at_s, {**rates, **self._levels()})
        if self._cards:
            self._cards.sample(at_s, [child.pid for child in self._children])

    def facts(self) -> Resources:
        """Returns what was used until now; from any thread."""
        return Resources(
            process_cpu_s=time.process_time() - self._process_cpu_before,
            machine_cpu_s=_machine_cpu_s() - self._machine_cpu_before,
            memory_peak_bytes=_peak_memory_bytes(),
            gc_collections=_collections() - self._gc_before,
            usage=self._log.facts(),
            accelerators=self._cards.facts() if self._cards else (),
        )

    def _levels(self) -> dict[str, float]:
        levels = {
            "rss_bytes": float(self._process.memory_info().rss),
            "memory_available_bytes": float(machine.memory_available_bytes()),
        }
        with contextlib.suppress(OSError, RuntimeError):  # there is no swap, or nobody tells
            levels["swap_bytes"] = float(psutil.swap_memory().used)
        if time.get_clock_info("thread_time").resolution <= _FINEST_CLOCK_S:
            core_work_s()  # what others left in the caches is not the speed of the core
            levels["core_work_s"] = core_work_s()
        return levels

    def _counters(self) -> dict[str, float]:
        """What only grows: its growth a second is the column of that name."""
        times: Any = psutil.cpu_times()
        own = self._process.cpu_times()
        counters = {
            "process_cores": own.user + own.system,
            "worker_cores": self._workers_cpu_s() + own.children_user + own.children_system,
            "machine_cores": _busy_s(times),
        }
        if hasattr(times, "iowait"):
            counters["iowait_cores"] = times.iowait
            counters["steal_cores"] = times.steal
        stalled_s, throttled_s = machine.memory_stalled_s(), machine.throttled_s()
        if stalled_s is not None:
            counters["memory_pressure"] = stalled_s
        if throttled_s is not None:
            counters["throttled"] = throttled_s
        # A sandboxed container may show neither.
        with contextlib.suppress(OSError, RuntimeError):
            if disks := psutil.disk_io_counters():
                counters["disk_read_bytes_per_s"] = disks.read_bytes
                counters["disk_write_bytes_per_s"] = disks.write_bytes
        with contextlib.suppress(OSError, RuntimeError):
            if network := psutil.net_io_counters():
                counters["network_in_bytes_per_s"] = network.bytes_recv
                counters["network_out_bytes_per_s"] = network.bytes_sent
        with contextlib.suppress(OSError, RuntimeError):
            swap = psutil.swap_memory()
            counters["swapped_bytes_per_s"] = swap.sin + swap.sout
        return counters

    def _workers_cpu_s(self) -> float:
        """CPU time of the child processes that live. What those that ended took is the parent's to tell."""
        if self._samples % _CHILDREN_EVERY == 0:
            self._children = self._process.children(recursive=True)
        self._samples += 1
        total = 0.0
        for child in self._children:
            with contextlib.suppress(psutil.Error):  # it has just ended
                own = child.cpu_times()
                total += own.user + own.system
        return total


def core_work_s() -> float:
    """CPU time of the same small work: a core that heat or a neighbour slows down takes longer, one in use does not."""
    begin = time.thread_time()
    hashlib.blake2b(_WORK).digest()
    return time.thread_time() - begin


def _collections() -> int:
    return sum(generation["collections"] for generation in gc.get_stats())


def _machine_cpu_s() -> float:
    return _busy_s(psutil.cpu_times())


def _busy_s(times: Any) -> float:
    """Seconds that the cores were busy. `guest` is part of `user`, and would count twice."""
    idle = times.idle + getattr(times, "iowait", 0.0)
    return float(sum(times) - idle - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0))


def _peak_memory_bytes() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def sample_resources(
    clock: ResourceClock,
    stop: threading.Event,
    max_overhead: float,
    spent: Callable[[], None],
    interval_s: float = INTERVAL_S,
) -> None:
    """Takes samples until `stop`, and one more then.

    Args:
        clock: takes the samples.
        stop: set when the fit is over.
        max_overhead: the share of the run that measuring may cost.
        spent: called after every sample, to note what it cost.
        interval_s: the least time between two samples, seconds.
    """
    clock.open()
    try:
        wait_s = interval_s
        while not stop.wait(wait_s):
            begin = time.thread_time()
            clock.sample()
            wait_s = max(interval_s, (time.thread_time() - begin) / (_SHARE * max_overhead))
            spent()
        clock.sample()
        spent()
    finally:
        clock.close()
