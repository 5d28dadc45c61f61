"""NVIDIA's accelerators by NVML, where the package `nvidia-ml-py` is installed. It asks the driver, not the device."""

import contextlib
import os
from collections.abc import Callable, Iterable
from typing import Any

from tb_trainspeed.profile import Accelerator
from tb_trainspeed.recorder.usage import UsageLog

_MAX_DEVICES = 16
# A process that uses less of the multiprocessors holds memory only.
_COMPUTES_FROM = 0.05
# NVML's bits for what holds a clock down, without those of an idle device and of clocks that a user set:
# https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html
_REASONS = {
    0x04: "power_cap",
    0x08: "hardware",
    0x20: "software_thermal",
    0x40: "hardware_thermal",
    0x80: "hardware_power",
}


class _Card:
    """One accelerator."""

    def __init__(self, nvml: Any, index: int):
        self._nvml, self._index = nvml, index
        self._handle = nvml.nvmlDeviceGetHandleByIndex(index)
        self._name = _text(nvml.nvmlDeviceGetName(self._handle))
        self._log = UsageLog(most=("memory_bytes", "temperature_c"))
        self._samples = 0
        self._held: dict[str, int] = {}
        #: The most processes beside ours that held memory, and that computed, `None` where that is not told.
        self._holding: int | None = None
        self._computing: int | None = None
        memory, power_mw = self._ask("nvmlDeviceGetMemoryInfo"), self._ask("nvmlDeviceGetEnforcedPowerLimit")
        clock_mhz = self._ask("nvmlDeviceGetMaxClockInfo", nvml.NVML_CLOCK_SM)
        self._memory_bytes = memory and int(memory.total)
        self._power_limit_w = power_mw if power_mw is None else power_mw / 1000
        self._clock_limit_hz = clock_mhz if clock_mhz is None else clock_mhz * 1e6

    def _ask(self, function: str, *arguments: Any) -> Any:
        """What NVML says, or `None` where this device or driver does not tell."""
        ask: Callable[..., Any] | None = getattr(self._nvml, function, None)
        try:
            return ask(self._handle, *arguments) if ask else None
        except self._nvml.NVMLError:
            return None

    def sample(self, at_s: float, ours: Iterable[int]) -> None:
        nvml, ask = self._nvml, self._ask
        rates, memory = ask("nvmlDeviceGetUtilizationRates"), ask("nvmlDeviceGetMemoryInfo")
        power_mw = ask("nvmlDeviceGetPowerUsage")
        clock_mhz = ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM)
        values: dict[str, float | None] = {
            "utilization": rates and rates.gpu / 100,
            "memory_utilization": rates and rates.memory / 100,
            "memory_bytes": memory and float(memory.used),
            "power_w": power_mw if power_mw is None else power_mw / 1000,
            "clock_hz": clock_mhz if clock_mhz is None else clock_mhz * 1e6,
            "temperature_c": ask("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU),
        }
        self._log.add(at_s, {**values, "others_utilization": self._others(set(ours))})
        reasons = ask("nvmlDeviceGetCurrentClocksEventReasons")
        if reasons is None:  # as older drivers call it
            reasons = ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        if reasons is not None:
            self._samples += 1
            for bit, reason in _REASONS.items():
                self._held[reason] = self._held.get(reason, 0) + bool(reasons & bit)

    def _others(self, ours: set[int]) -> float | None:
        """Counts the processes beside ours. Returns which part of the time they compute, where that is told."""
        pids = {process.pid for process in self._ask("nvmlDeviceGetComputeRunningProcesses") or ()}
        if os.getpid() not in pids:  # we do not use it, or a container's numbers are not those of the driver
            return None
        self._holding = max(self._holding or 0, len(pids - ours))
        # All that the driver remembers: of the time since it was last asked it may know nothing.
        used = self._ask("nvmlDeviceGetProcessUtilization", 0)
        if used is None:
            return None
        uses = {process.pid: process.smUtil / 100 for process in used if process.pid in pids - ours}
        computing = [use for use in uses.values() if use > _COMPUTES_FROM]
        self._computing = max(self._computing or 0, len(computing))
        return float(sum(computing))

    def facts(self) -> Accelerator:
        return Accelerator(
            self._index,
            self._name,
            self._memory_bytes,
            self._power_limit_w,
            self._clock_limit_hz,
            {reason: held / self._samples for reason, held in self._held.items()},
            self._holding if self._computing is None else self._computing,
            self._log.facts(),
        )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _visible(nvml: Any) -> list[int]:
    """The devices that `CUDA_VISIBLE_DEVICES` leaves to this process; all of them where that cannot be told."""
    every = range(nvml.nvmlDeviceGetCount())
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is not None:
        with contextlib.suppress(nvml.NVMLError, LookupError):
            return _chosen(nvml, every, [entry.strip() for entry in wanted.split(",")])
    return list(every)


def _chosen(nvml: Any, every: range, wanted: list[str]) -> list[int]:
    """Reads the list as CUDA does: up to the first entry that is none of its devices.

    Raises:
        LookupError: it cannot be told which devices are meant.
    """
    handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in every]
    # By itself CUDA counts the fastest device first, NVML by the bus: that is the same only where all are alike.
    by_bus = os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    alike = by_bus or len({_text(nvml.nvmlDeviceGetName(handle)) for handle in handles}) == 1
    chosen: set[int] = set()
    for entry in wanted:
        if entry.startswith("MIG-") or (entry.isdigit() and not alike):
            raise LookupError(entry)
        if entry.startswith("GPU-"):
            found = {i for i in every if _text(nvml.nvmlDeviceGetUUID(handles[i])).startswith(entry)}
        else:
            found = {i for i in every if str(i) == entry}
        if not found:
            break
        chosen |= found
    return sorted(chosen)


class Cards:
    """The accelerators that NVML sees and that this process may use.

    Raises:
        ImportError: `nvidia-ml-py` is not installed.
        NVMLError: there is no driver, or it does not answer.
    """

    def __init__(self) -> None:
        import pynvml

        self._nvml: Any = pynvml
        pynvml.nvmlInit()
        try:
            self._cards = [_Card(pynvml, index) for index in _visible(pynvml)[:_MAX_DEVICES]]
        except BaseException:
            self.close()
            raise

    def sample(self, at_s: float, children: Iterable[int]) -> None:
        """Takes a sample; `children` are the processes of ours besides this one."""
        ours = {os.getpid(), *children}
        for card in self._cards:
            card.sample(at_s, ours)

    def facts(self) -> tuple[Accelerator, ...]:
        """What is known of each, from any thread, also after `close`."""
        return tuple(card.facts() for card in self._cards)

    def close(self) -> None:
        """Lets the driver go. NVML counts who uses it, so that others may go on."""
        with contextlib.suppress(self._nvml.NVMLError):
            self._nvml.nvmlShutdown()
