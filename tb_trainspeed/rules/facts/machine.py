"""Facts of the machine, the frameworks on it, and what the fit used of it."""

import re
from collections.abc import Mapping

from tb_trainspeed.profile import Accelerator, Device, Environment, Profile, Resources, Usage
from tb_trainspeed.rules.facts.registry import fact
from tb_trainspeed.rules.facts.timing import step_s, takes_turns


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
    """The class of the distribution strategy; empty without one."""
    return profile.environment.distribution or ""


@fact
def replicas(profile: Profile) -> int | None:
    return profile.environment.replicas


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

    Torch's threads spin while they wait for work, so what they use between two steps is no work.
    """
    cores, made = profile.environment.cores, profile.data.source
    busy: float | None = busy_cores(profile)
    if cores is None or busy is None:
        return None
    if takes_turns(profile):
        busy = min(busy, made.cpu_s / made.wall_s) if made and made.wall_s else min(busy, 1.0)
    return max(0.0, cores - busy)


@fact
def accelerators(profile: Profile) -> tuple[str, ...] | None:
    """The kinds of the devices that are no CPU; empty on a machine without."""
    devices = profile.environment.devices
    return tuple(device.kind for device in devices if device.kind != "CPU") if devices else None


@fact
def machine_devices(profile: Profile) -> tuple[Device, ...]:
    """The accelerators in the machine."""
    return profile.environment.machine_devices


@fact
def used_accelerators(profile: Profile) -> tuple[Accelerator, ...] | None:
    """What was measured of the accelerators over the fit."""
    return profile.resources.accelerators or None


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
    values = [value for value in usage.columns.get(column, ()) if value is not None]
    return sum(values) / len(values) if values else None
