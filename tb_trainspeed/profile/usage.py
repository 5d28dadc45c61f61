"""What a fit used of the machine, and what measuring it cost."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Usage:
    """What was used over the run, sampled about once a second, in equally long buckets that merge pairwise as it grows.

    Bucket `i` is of the seconds from `i * bucket_s` to `(i + 1) * bucket_s` since the start of the fit. Every column
    has one entry a bucket, `None` where there was no sample. Means over the bucket, or its most for `rss_bytes`,
    `swap_bytes` and `memory_bytes`, its least for `memory_available_bytes`.

    Columns of the machine: `process_cores` (cores that this process keeps busy), `worker_cores` (its child processes),
    `machine_cores` (all processes), `iowait_cores`, `steal_cores`, `throttled` (share of the periods of a cgroup quota
    in which it stopped threads), `rss_bytes`, `memory_available_bytes`, `memory_pressure` (share of the time that some
    task waited for memory), `swap_bytes`, `swapped_bytes_per_s`, `core_work_s` (CPU time of the same small work, which
    tells how fast a core is), and of the machine `disk_read_bytes_per_s`, `disk_write_bytes_per_s`,
    `network_in_bytes_per_s`, `network_out_bytes_per_s`.

    Columns of an accelerator: `utilization` (share of the time that a kernel ran), `memory_utilization` (that its
    memory was read or written), `memory_bytes`, `power_w`, `clock_hz`, `temperature_c`, `others_utilization` (share of
    the time that other processes computed, where the driver tells).
    """

    bucket_s: float = 1.0
    columns: Mapping[str, tuple[float | None, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Accelerator:
    """One accelerator of the machine over the fit.

    `throttled` is the share of the samples in which its clock was held down, by reason: `power_cap`, `hardware`,
    `hardware_thermal`, `hardware_power`, `software_thermal`. `other_processes` is the most processes that computed on
    it beside ours, or held memory of it where the driver does not tell which compute; `None` where ours was not seen
    there.
    """

    index: int
    name: str
    memory_bytes: int | None = None
    power_limit_w: float | None = None
    clock_limit_hz: float | None = None
    throttled: Mapping[str, float] = dataclasses.field(default_factory=dict)
    other_processes: int | None = None
    usage: Usage = Usage()


@dataclasses.dataclass(frozen=True)
class DeviceMemory:
    """What the backend's own allocator says of a device; the peak is that of the process."""

    device: str
    in_use_bytes: int | None = None
    peak_bytes: int | None = None
    limit_bytes: int | None = None


@dataclasses.dataclass(frozen=True)
class Resources:
    """What the process and the machine used over the fit.

    `live_models` is how many models that were trained under this callback are still in memory, this one included.
    """

    process_cpu_s: float | None = None
    machine_cpu_s: float | None = None
    memory_peak_bytes: int | None = None
    gc_collections: int | None = None
    usage: Usage = Usage()
    accelerators: tuple[Accelerator, ...] = ()
    device_memory: tuple[DeviceMemory, ...] = ()
    live_models: int | None = None


@dataclasses.dataclass(frozen=True)
class Cost:
    """What TrainSpeed itself cost.

    `foreground_s` is the phase `trainspeed`; `background_s` the CPU time of its threads; `sampling_s` what synced and
    deep samples made training longer, starting and stopping a profiler included.
    """

    max_overhead: float = 0.0
    foreground_s: float = 0.0
    background_s: float = 0.0
    sampling_s: float = 0.0
