"""What the machine has and what this process may use of it: cores, memory, accelerators.

Read from the files of the kernel, which all live below `root`.
"""

import os
import pathlib
import platform
import re
from collections.abc import Iterator

import psutil

from tb_trainspeed.profile import NOT_GIVEN, Device

ROOT = pathlib.Path("/")
# What the kernel begins with, and Docker and Kubernetes leave as it is.
_QUOTA_PERIOD_S = 0.1
# Instruction sets that decide how fast a CPU multiplies matrices, also in 16 and 8 bits.
_CPU_FEATURES = ("avx", "avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_bf16",
                 "amx_fp16", "amx_int8", "asimd")  # fmt: skip


def cgroup_texts(v2: str, controller: str, v1: str, root: pathlib.Path = ROOT) -> Iterator[str]:
    """Yields what a file of the cgroup says, from this process's own group to the outermost that can be seen.

    Args:
        v2: the file's name in version 2, such as `cpu.max`.
        controller: the controller of version 1 that has the same.
        v1: the file's name there.
        root: where the file system starts.
    """
    groups = _text(root / "proc/self/cgroup") or "0::/"
    mount = root / "sys/fs/cgroup"
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        name, base = (v1, mount / controllers) if controllers else (v2, mount)
        group = pathlib.PurePosixPath(path)
        for folder in (group, *group.parents):
            text = _text(base / str(folder).lstrip("/") / name)
            if text is not None:
                yield text


def _text(path: pathlib.Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # there is no such file here, or not for us
        return None


def usable_cores(root: pathlib.Path = ROOT) -> float:
    """Cores this process may use: its affinity, less where a cgroup quota allows fewer."""
    try:
        cores = float(len(os.sched_getaffinity(0)))
    except AttributeError:  # not on macOS and Windows
        cores = float(os.cpu_count() or 1)
    quotas = [text.split()[:2] for text in cgroup_texts("cpu.max", "cpu", "cpu.cfs_quota_us", root)]
    periods = [*cgroup_texts("cpu.cfs_period_us", "cpu", "cpu.cfs_period_us", root)]
    for index, quota in enumerate(quotas):
        pair = quota if len(quota) == 2 else [*quota, *periods[index : index + 1]]
        if len(pair) == 2 and pair[0].isdigit() and pair[1].isdigit() and int(pair[1]):  # else "max" or -1: no quota
            cores = min(cores, int(pair[0]) / int(pair[1]))
    return cores


def memory_limit_bytes(root: pathlib.Path = ROOT) -> int:
    """The memory this process may use: the machine's, less where a cgroup allows less."""
    limits = [int(text) for text in _memory("memory.max", "memory.limit_in_bytes", root) if text.isdigit()]
    return min([psutil.virtual_memory().total, *limits])


def memory_available_bytes(root: pathlib.Path = ROOT) -> int:
    """The memory this process can still get without swapping, by the machine and by its cgroup."""
    left = [psutil.virtual_memory().available]
    limits = _memory("memory.max", "memory.limit_in_bytes", root)
    used = _memory("memory.current", "memory.usage_in_bytes", root)
    stats = _memory("memory.stat", "memory.stat", root)
    for limit, current, stat in zip(limits, used, stats, strict=False):
        if limit.isdigit() and current.isdigit():
            cached = re.search(r"^(?:total_)?inactive_file (\d+)$", stat, re.MULTILINE)  # which can be dropped
            left.append(int(limit) - int(current) + (int(cached[1]) if cached else 0))
    return max(0, min(left))


def _memory(v2: str, v1: str, root: pathlib.Path) -> Iterator[str]:
    return cgroup_texts(v2, "memory", v1, root)


def throttled_s(root: pathlib.Path = ROOT) -> float | None:
    """Seconds of the periods in which a CPU quota stopped threads of this process, or `None` where nobody counts.

    The time for which they were stopped is counted as well, but once for every core, and so may be many times as long.
    """
    texts = cgroup_texts("cpu.stat", "cpu", "cpu.stat", root)
    stopped = [int(found[1]) for text in texts if (found := re.search(r"^nr_throttled (\d+)$", text, re.MULTILINE))]
    return max(stopped) * _QUOTA_PERIOD_S if stopped else None


def memory_stalled_s(root: pathlib.Path = ROOT) -> float | None:
    """Seconds that some task has waited for memory, of this cgroup or else the machine; `None` where nobody counts."""
    texts = [*cgroup_texts("memory.pressure", "memory", "memory.pressure", root)]
    machine = _text(root / "proc/pressure/memory")
    for text in (*texts, machine or ""):
        found = re.search(r"^some .*total=(\d+)", text, re.MULTILINE)
        if found:
            return int(found[1]) * 1e-6
    return None


def cpu(root: pathlib.Path = ROOT) -> tuple[str | None, tuple[str, ...]]:
    """Returns the model of the CPU and those of its instruction sets that bear on training."""
    text = _text(root / "proc/cpuinfo") or ""
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: (.*)$", text, re.MULTILINE)
    present = set(flags[1].split()) if flags else set()
    name = model[1] if model else platform.processor() or None
    return name, tuple(feature for feature in _CPU_FEATURES if feature in present)


def _nvidia_cards(root: pathlib.Path) -> list[Device]:
    """What NVIDIA's driver lists: in a container all of the machine's, with device files only of what it was given.

    A card without such a file is told where Docker left its mark. Elsewhere it belongs to others, as far as that shows.
    """
    found = []
    for card in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")):
        text = _text(card) or ""
        model = re.search(r"^Model:\s*(.*)$", text, re.MULTILINE)
        minor = re.search(r"^Device Minor:\s*(\d+)", text, re.MULTILINE)
        name = model[1] if model else "NVIDIA"
        name = name if name.startswith("NVIDIA") else f"NVIDIA {name}"  # as "Tesla T4"
        if any((root / "dev").glob(f"nvidia{minor[1]}" if minor else "nvidia[0-9]*")):
            found.append(Device("GPU", name))
        elif (root / ".dockerenv").exists():
            found.append(Device("GPU", f"{name} {NOT_GIVEN}"))
    return found


def machine_devices(root: pathlib.Path = ROOT) -> tuple[Device, ...]:
    """The accelerators in the machine, whether or not the backend can use them."""
    found = _nvidia_cards(root) or [Device("GPU", "NVIDIA") for _ in (root / "dev").glob("nvidia[0-9]*")]
    # The device is there with any GPU that Windows draws with; the library comes with NVIDIA's driver.
    if (root / "dev/dxg").exists() and (root / "usr/lib/wsl/lib/libcuda.so.1").exists():
        found.append(Device("GPU", "NVIDIA under WSL 2"))
    if (root / "dev/kfd").exists():
        found.append(Device("GPU", "AMD"))
    found += [Device("TPU", path.name) for path in sorted((root / "dev").glob("accel[0-9]*"))]
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        found.append(Device("GPU", "Apple"))
    return tuple(found)
