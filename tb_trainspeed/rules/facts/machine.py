"""Facts of the machine, the frameworks on it, and what the fit used of it."""

import math
import re
from collections.abc import Mapping

from tb_trainspeed.profile import ONE_OFF_PHASES, Accelerator, Device, Environment, Profile, Resources, Usage
from tb_trainspeed.rules.facts.registry import fact
from tb_trainspeed.rules.facts.timing import computing_s, overhead_s, step_s, takes_turns

# A GPU whose kernels run less of the time is not what a fit computes on.
_IN_USE_FROM = 0.05
# From here on its clock is that of computing: an idle GPU lets it fall.
_COMPUTES_FROM = 0.5
_DISPATCHES_FROM = 0.5
# From this share of the machine on others take cores that a training could use, if all of it is about as busy as this.
_OTHERS_FROM, _FULL_FROM = 0.25, 0.85
# The compute capability of Ampere, whose tensor cores were the first to know bfloat16, and to compute float32 by them.
AMPERE = 8.0
# FLOP/s in float32 that a training reaches: a tenth of a T4's 8.1 TFLOP/s, a third of it, half of an A100's 19.5.
# (NVIDIA's data sheets, without tensor cores; the shares are what convolutions and matrix products commonly reach.)
REACHED_FLOPS = (0.8e12, 2.7e12, 9.7e12)
# From Ampere on a tenth of an A100's, a third of it, and what NVIDIA reached on one with a ResNet-50: 938 pictures of
# 23 GFLOP a second. (https://github.com/NVIDIA/DeepLearningExamples, PyTorch/Classification/ConvNets/resnet50v1.5)
_REACHED_FROM_AMPERE = (2e12, 6.5e12, 21e12)


@fact
def environment(profile: Profile) -> Environment:
    return profile.environment


@fact
def backend(profile: Profile) -> str | None:
    return profile.environment.backend or None


@fact
def versions(profile: Profile) -> Mapping[str, str] | None:
    return profile.environment.versions or None


def release_of(version: str) -> tuple[int, ...]:
    """Major and minor number of a version, to be compared: `"3.15.1"` -> `(3, 15)`."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


@fact
def settings(profile: Profile) -> Mapping[str, str] | None:
    """The switches of the frameworks, as users set them."""
    return profile.environment.settings or None


@fact
def distribution(profile: Profile) -> str:
    """The class of the distribution strategy, with its mesh where a replica is several devices; empty without one."""
    return profile.environment.distribution or ""


@fact
def replicas(profile: Profile) -> int | None:
    return profile.environment.replicas


@fact
def mesh_devices(profile: Profile) -> int | None:
    """Over how many devices the strategy goes: one a replica, or more where they share the model too."""
    mesh = re.search(r" \(([\d, ]+)\)$", profile.environment.distribution or "")
    return math.prod(map(int, re.findall(r"\d+", mesh[1]))) if mesh else profile.environment.replicas


@fact
def cores(profile: Profile) -> float | None:
    return profile.environment.cores


@fact
def busy_cores(profile: Profile) -> float | None:
    """Cores this process keeps busy during the steps."""
    step = step_s(profile)
    return profile.steps.cpu_s / step if step and profile.steps.cpu_s is not None else None


@fact
def idle_cores(profile: Profile) -> float | None:
    """Cores that could make batches: what the steps leave, or what making a batch leaves where the two take turns.

    Torch's threads spin while they wait for work, so what they use between two steps is no work. What other processes
    use is not idle either, where they use much.
    """
    cores, made = profile.environment.cores, profile.data.source
    busy: float | None = busy_cores(profile)
    if cores is None or busy is None:
        return None
    if takes_turns(profile):
        busy = min(busy, made.cpu_s / made.wall_s) if made and made.wall_s else min(busy, 1.0)
    left = machine_cores(profile) - (others_cores(profile) or 0.0) if others_compute(profile) else cores
    return max(0.0, min(cores, left) - busy)


@fact
def others_cores(profile: Profile) -> float | None:
    """Cores that neither this process nor its workers use, in the mean."""
    usage = profile.resources.usage
    used, own = mean(usage, "machine_cores"), mean(usage, "process_cores")
    if used is None or own is None:
        return None
    return max(0.0, used - own - (mean(usage, "worker_cores") or 0.0))


@fact
def unused_cores(profile: Profile) -> float | None:
    """Cores that nobody uses, in the mean: neither this process and its workers nor other programs."""
    idle, used = idle_cores(profile), mean(profile.resources.usage, "machine_cores")
    return None if idle is None or used is None else max(0.0, min(idle, machine_cores(profile) - used))


@fact
def others_compute(profile: Profile) -> bool:
    """Whether other programs use cores that this one could use; if that is not known, they do not."""
    used, machine = mean(profile.resources.usage, "machine_cores") or 0.0, machine_cores(profile)
    others = others_cores(profile) or 0.0
    return bool(machine and others >= _OTHERS_FROM * machine and used >= _FULL_FROM * machine)


@fact
def machine_cores(profile: Profile) -> float:
    """Cores of the whole machine, of which this process may be allowed a part."""
    return max(profile.environment.cores or 0.0, profile.environment.machine_cores or 0.0)


@fact
def accelerators(profile: Profile) -> tuple[str, ...] | None:
    """The kinds of the devices that are no CPU; empty on a machine without."""
    devices = profile.environment.devices
    return tuple(device.kind for device in devices if device.kind != "CPU") if devices else None


@fact
def machine_devices(profile: Profile) -> tuple[Device, ...]:
    """The accelerators in the machine."""
    return profile.environment.machine_devices


def capability_of(device: Device) -> float | None:
    """The compute capability of NVIDIA's GPUs; on JAX those of AMD name an architecture in its place: `gfx90a`."""
    found = re.fullmatch(r"\d+\.\d+", device.capability or "")
    return float(found[0]) if found else None


@fact
def accelerator_flops(profile: Profile) -> tuple[float, ...]:
    """FLOP/s in float32 that a training reaches where it computes: at least, probably, at best; empty on a CPU."""
    used = [device for device in profile.environment.devices if device.kind != "CPU"]
    if not used:
        return ()
    return _REACHED_FROM_AMPERE if all((capability_of(device) or 0.0) >= AMPERE for device in used) else REACHED_FLOPS


@fact
def mixed_policy(profile: Profile) -> str:
    """The policy of 16 bits for which the accelerators in use have units."""
    capabilities = map(capability_of, profile.environment.devices)
    before = any(capability < AMPERE for capability in capabilities if capability is not None)
    return "mixed_float16" if before else "mixed_bfloat16"


@fact
def dispatch_bound(profile: Profile) -> bool | None:
    """Whether the host's dispatch is most of a step; false on torch where the arithmetic of its layers is not known."""
    overhead, computing = overhead_s(profile), computing_s(profile)
    if computing is None or (overhead is None and profile.environment.backend != "torch"):
        return None
    return bool(overhead and overhead > _DISPATCHES_FROM * computing)


@fact
def sampled_accelerators(profile: Profile) -> tuple[Accelerator, ...] | None:
    """What was measured of the accelerators that this process may use."""
    return profile.resources.accelerators or None


@fact
def used_accelerators(profile: Profile) -> tuple[Accelerator, ...] | None:
    """Those of them that this fit computes on, as far as that can be told.

    A process may hold memory on all of them, as TensorFlow does. If as many as the fit goes over are busy and ours
    alone, it is these.
    """
    if not profile.resources.accelerators:
        return None
    levels = {one.index: _level(profile, one) for one in profile.resources.accelerators}
    busy = tuple(one for one in _seen_on(profile) if (level := levels[one.index]) is None or level >= _IN_USE_FROM)
    alone = tuple(one for one in busy if not one.other_processes)
    return alone if len(alone) >= (mesh_devices(profile) or 1) else busy


@fact
def utilization(profile: Profile) -> float | None:
    """Share of the time, without start-up and compilation, that the busiest device of this fit ran a kernel, 0 to 1."""
    levels = (_level(profile, one) for one in used_accelerators(profile) or _seen_on(profile))
    return max((level for level in levels if level is not None), default=None)


@fact
def clock_shares(profile: Profile) -> Mapping[int, float]:
    """The clock of accelerators while they compute, without start-up and compilation: shares of its limit, by index."""
    shares = {}
    for one in profile.resources.accelerators:
        rows = zip(_later(profile, one, "utilization"), _later(profile, one, "clock_hz"), strict=False)
        clocks = [clock for level, clock in rows if level and clock and level > _COMPUTES_FROM]
        if clocks and one.clock_limit_hz:
            shares[one.index] = min(1.0, sum(clocks) / len(clocks) / one.clock_limit_hz)
    return shares


def _seen_on(profile: Profile) -> tuple[Accelerator, ...]:
    """Those on which the driver saw this process; all if on none, as from a container, whose numbers are its own."""
    found = profile.resources.accelerators
    return tuple(one for one in found if one.other_processes is not None) or found


def _level(profile: Profile, accelerator: Accelerator) -> float | None:
    """Mean utilization without start-up and compilation."""
    return _mean(_later(profile, accelerator, "utilization"))


def _later(profile: Profile, accelerator: Accelerator, column: str) -> tuple[float | None, ...]:
    """A column of usage from the first bucket on that holds nothing of start-up and compilation."""
    usage = accelerator.usage
    once_s = sum(profile.ledger.phases.get(phase) or 0.0 for phase in ONE_OFF_PHASES)
    return usage.columns.get(column, ())[math.ceil(once_s / usage.bucket_s) :]


@fact
def device_memory_share(profile: Profile) -> float | None:
    """Peak over limit of the memory of the fullest device, 0 to 1."""
    shares = [
        memory.peak_bytes / memory.limit_bytes
        for memory in profile.resources.device_memory
        if memory.peak_bytes and memory.limit_bytes
    ]
    return max(shares, default=None)


@fact
def load(profile: Profile) -> tuple[float | None, float | None]:
    """`utilization` and `device_memory_share` for who can speak without them: `None` where one is not known."""
    return utilization(profile), device_memory_share(profile)


@fact
def memory_available_bytes(profile: Profile) -> int | None:
    return profile.environment.memory_available_bytes


@fact
def resources(profile: Profile) -> Resources:
    return profile.resources


@fact
def memory_pressure(profile: Profile) -> float | None:
    """Share of the time in which some task waited for memory, 0 to 1."""
    return mean(profile.resources.usage, "memory_pressure")


@fact
def live_models(profile: Profile) -> int | None:
    return profile.resources.live_models


def mean(usage: Usage, column: str) -> float | None:
    """The mean of a column of usage over the fit, or `None` where it was not sampled."""
    return _mean(usage.columns.get(column, ()))


def _mean(column: tuple[float | None, ...]) -> float | None:
    values = [value for value in column if value is not None]
    return sum(values) / len(values) if values else None
