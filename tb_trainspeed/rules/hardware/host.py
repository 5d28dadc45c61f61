"""The host: its cores, quotas and threads, its memory, and what else it does."""

import statistics

from tb_trainspeed.profile import Environment, Model, Resources, Usage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import mean
from tb_trainspeed.rules.model_compute.shared import CONVOLUTIONS
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule

_COMPUTES_FROM = 0.5
_THROTTLED_FROM = 0.1
# Fewer threads than cores cost nothing measurable on two cores: Keras and XLA have threads of their own.
_FEW_THREADS_FROM_CORES = 4
_OVERSUBSCRIBED = 4
_PRESSURE_FROM, _SWAPPED_FROM = 0.1, 5e6
_THREADS = {
    "tensorflow": (
        "tf.config.threading.intra_op_parallelism_threads",
        "tf.config.threading.set_intra_op_parallelism_threads",
    ),
    "torch": ("torch.set_num_threads", "torch.set_num_threads"),
}

# Single samples differ by what else runs on the core. The mean of twenty is off by a few percent, so that by chance
# alone the fastest of eight stretches is not so much faster than all.
_STRETCHES, _LEAST_STRETCH_S, _SLOWED_FROM = 8, 20.0, 1.15
_SAME_LOAD = 0.8
_FASTER = {
    "Linux": "+ powerprofilesctl set performance   # on a laptop",
    "macOS": "+ sudo pmset -a lowpowermode 0",
    "Windows": "+ powercfg /setactive SCHEME_MIN",
}


def _threads_of(environment: Environment) -> int:
    """How many threads an operation may use; 0 where that is not set, or not known."""
    setting, _ = _THREADS.get(environment.backend, ("", ""))
    text = environment.settings.get(setting, "0")
    return int(text) if text.isdigit() else 0


@rule("HW05", "threads-misconfigured", silences=("HW06",))
def threads_misconfigured(
    environment: Environment,
    resources: Resources,
    accelerators: tuple[str, ...],
    cores: float,
    computing_share: float,
    computing_s: float,
    busy_cores: float,
) -> Outcome:
    """The backend has far more or far fewer threads than the process may use cores.

    What it means: a container's quota is smaller than the machine, for which the backend made its threads; or a number
    of threads was set that does not suit the machine.

    Why it is slow: threads beyond the quota use it up at once, and then all of them are stopped until the next period;
    threads beyond the cores wait for each other. With too few, cores idle.

    What to change: as many threads as cores, set before the first operation; or a larger quota.

    When this is wrong: several trainings share the machine on purpose. One thread on two cores loses nothing: the rule
    looks for too few threads from four cores on.

    Sources: https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max), https://github.com/intel/ai-reference-models/
    issues/87. Measured on two cores: 64 threads are 1.6 times slower than two.
    """
    if accelerators:
        return NotApplicable("the accelerator computes")
    if environment.backend not in _THREADS:
        return NotApplicable("XLA makes its threads itself")
    if computing_share < _COMPUTES_FROM:
        return Passed(f"computing is {words.share(computing_share)} of training")
    setting, function = _THREADS[environment.backend]
    threads = _threads_of(environment)
    held_up = min(1.0, mean(resources.usage, "throttled") or 0.0)
    wanted = max(1, int(cores))
    if held_up >= _THROTTLED_FROM and threads != wanted:
        title = "The quota of the container stops the threads"
        why = f"The process may use {cores:g} cores, and is stopped in {words.share(held_up)} of the quota's periods"
        change = Range(1.0, 1 - held_up * 0.5, max(0.2, 1 - held_up))
    elif threads == 1 and cores >= _FEW_THREADS_FROM_CORES and busy_cores < 0.5 * cores:
        title = "One thread computes, and the other cores idle"
        why = f"`{setting}` is 1, and {busy_cores:.1f} of {cores:g} cores are busy"
        change = Range(0.9, 2.0 / cores, 1.2 / cores)
    elif threads >= _OVERSUBSCRIBED * cores:
        title = "There are far more threads than cores"
        why = f"`{setting}` is {threads}, for {cores:g} cores"
        change = Range(1.0, 0.6, 0.5)
    else:
        return Passed("the threads suit the cores")
    return Found(
        title=title,
        message=f"{why}; a step computes for {words.seconds(computing_s)}.",
        phase="compute",
        evidence={
            "cores": f"{cores:g}",
            "threads": str(threads) if threads else "as many as the machine has cores",
            "cores busy": f"{busy_cores:.1f}",
            **({"stopped by the quota": f"in {words.share(held_up)} of its periods"} if held_up else {}),
        },
        remedy=f"Use {wanted} thread{'s' if wanted > 1 else ''}, set before the first operation.",
        code=f"+ {function}({wanted})",
        change=Change(factors={"device_s": change}),
        confidence="likely",
        changes_results="rounding",
    )


# What is left on torch of a step that others no longer hold up: measured on five machines of two cores, 0.09 to 0.24.
_SPINNING = Range(0.6, 0.17, 0.08)
# From this share of a core for each of its threads on, others take nothing worth mentioning from them.
_HAS_ITS_CORES = 0.9
# What of a step the cores that others used would not have shortened: of four fits on two cores 0 to 0.2.
_WAITED_TOO = 0.1


# What arithmetic should take says nothing about a step that others hold up.
@rule("HW06", "competing-processes", silences=("FW14", "HW13"))
def competing_processes(
    backend: str,
    environment: Environment,
    resources: Resources,
    accelerators: tuple[str, ...],
    machine_cores: float,
    others_cores: float,
    others_compute: bool,
    computing_share: float,
    computing_s: float,
    busy_cores: float,
) -> Outcome:
    """Other processes use the cores that this training computes on.

    What it means: all cores are busy, and a good part of that is not this training or its workers.

    Why it is slow: the processes take turns. A step is as slow as its slowest thread, so losing one core in four costs
    more than a quarter.

    What to change: end what was forgotten, or train elsewhere. What a hypervisor takes away for other machines counts
    as well; then there is nothing to end.

    When this is wrong: the other processes belong to this training, and were started by something else. Fewer threads
    than cores may have all that they can use: where their number is set, the rule is silent then. Where a
    container or an affinity leaves this process a part of the machine, the rule speaks only if all of the machine is
    busy: who computes on which core is not seen.

    Sources: measured on two cores: four busy loops make a training 2.4 times slower, two 1.5 to 2 times, but 7 to 12
    times on torch, whose threads wait for one another at the end of every operation. The prediction gives nine
    tenths of the cores back; on torch it leaves 8 to 60 %.
    """
    if accelerators:
        return NotApplicable("the accelerator computes")
    if computing_share < _COMPUTES_FROM:
        return Passed(f"computing is {words.share(computing_share)} of training")
    usage = resources.usage
    own = mean(usage, "process_cores") or 0.0
    threads = _threads_of(environment)
    if threads and busy_cores >= _HAS_ITS_CORES * threads:
        return Passed(f"this training has the cores that its {threads} thread{'s' * (threads > 1)} can use")
    stolen = mean(usage, "steal_cores") or 0.0  # which counts as used
    if not others_compute:
        return Passed(f"other processes use {others_cores:.1f} of {machine_cores:g} cores")
    if stolen > others_cores / 2:
        who, remedy = "Other machines on the same host", "Train where cores are not shared."
        code = "+ vmstat 5   # column st: the cores' time that others get"
    else:
        who, remedy = "Other processes", "End what was forgotten, or train elsewhere."
        code = "+ top -o %CPU   # what else runs"
    left = max(0.2, 1 - min(others_cores, machine_cores) / machine_cores)
    ends = _SPINNING if backend == "torch" else Range(1.0, _WAITED_TOO + (1 - _WAITED_TOO) * left, left)
    return Found(
        title=f"{who} use the cores",
        message=f"{who} use {others_cores:.1f} of {machine_cores:g} cores, this training {own:.1f}; a step "
        f"computes for {words.seconds(computing_s)}.",
        phase="compute",
        evidence={"used by others": f"{others_cores:.1f} cores", "by this training": f"{own:.1f} cores"},
        remedy=remedy,
        code=code,
        change=Change(factors={"device_s": ends}),
        confidence="likely",
    )


@rule("HW07", "memory-pressure")
def memory_pressure(resources: Resources, steady_wall_s: float) -> Outcome:
    """Memory is short, and the training waits for it.

    What it means: tasks wait for memory, or pages are swapped in and out, while the training runs.

    Why it is slow: what is read back from a disk takes a thousand times as long as from memory.

    What to change: hold less: a smaller cache or shuffle buffer, arrays mapped from a file
    (`np.load(..., mmap_mode="r")`), fewer workers, each of which holds a copy.

    When this is wrong: another program fills the memory. In the first epoch caches fill, which is no fault.

    Sources: https://docs.kernel.org/accounting/psi.html. The prediction takes away the share of the time in which some
    task waited for memory, at best.
    """
    usage = resources.usage
    pressure, swapped = mean(usage, "memory_pressure"), mean(usage, "swapped_bytes_per_s")
    if pressure is None and swapped is None:
        return NotApplicable("neither pressure nor swapping was measured")
    pressure, swapped = pressure or 0.0, swapped or 0.0
    if pressure < _PRESSURE_FROM:
        return Passed(f"tasks wait for memory {words.share(pressure)} of the time")
    resident = [value for value in usage.columns.get("rss_bytes", ()) if value is not None]
    return Found(
        title="Memory is short",
        message=f"Some task waits for memory {words.share(pressure)} of {words.seconds(steady_wall_s)} of training.",
        phase="compute",
        evidence={
            "waiting for memory": f"{words.share(pressure)} of the time",
            **({"swapped": f"{words.size(swapped)} a second"} if swapped >= _SWAPPED_FROM else {}),
            **({"this process holds": words.size(max(resident))} if resident else {}),
        },
        remedy="Hold less in memory.",
        code='- x = np.load("x.npy")\n+ x = np.load("x.npy", mmap_mode="r")',
        change=without_pressure(pressure),
        confidence="likely",
    )


def without_pressure(pressure: float) -> Change:
    """Training with enough memory: no task waits for it, at best."""
    share = min(0.95, pressure)
    left = Range(1.0, 1 - 0.6 * share, 1 - share)
    return Change(factors={"device_s": left, "supply_s": left, "dispatch_s": left})


@rule("HW11", "no-vector-library")
def no_vector_library(
    environment: Environment, model: Model, accelerators: tuple[str, ...], computing_share: float, computing_s: float
) -> Outcome:
    """TensorFlow's library for vector instructions is switched off.

    What it means: `TF_ENABLE_ONEDNN_OPTS=0` is set, as logs propose against differences by rounding.

    Why it is slow: oneDNN has the fast convolutions and matrix products for CPUs.

    What to change: unset the variable.

    When this is wrong: results must be the same to the last bit on different machines. TensorFlow's message that it
    could be rebuilt with further instructions is harmless: oneDNN uses them anyway.

    Sources: https://github.com/tensorflow/tensorflow/blob/master/RELEASE.md (2.9, oneDNN). Measured on two cores: 2
    times faster convolutions with it, and steps of dense layers 1.1 to 1.3 times faster, on one machine 0.95.
    """
    if environment.backend != "tensorflow" or accelerators:
        return NotApplicable("TensorFlow does not compute on the CPU")
    if environment.settings.get("TF_ENABLE_ONEDNN_OPTS") != "0":
        return Passed("oneDNN is not switched off")
    if computing_share < _COMPUTES_FROM:
        return Passed(f"computing is {words.share(computing_share)} of training")
    convolves = any(layer.kind in CONVOLUTIONS for layer in model.layers)
    return Found(
        title="TensorFlow's library for vector instructions is switched off",
        message=f"`TF_ENABLE_ONEDNN_OPTS=0` is set, and a step computes for {words.seconds(computing_s)}.",
        phase="compute",
        evidence={
            "TF_ENABLE_ONEDNN_OPTS": "0",
            "computing": f"{words.share(computing_share)} of training",
        },
        remedy="Unset the variable.",
        code="- TF_ENABLE_ONEDNN_OPTS=0",
        change=Change(factors={"device_s": Range(1.0, 0.6, 0.4) if convolves else Range(1.05, 0.87, 0.7)}),
        confidence="likely",
        changes_results="rounding",
    )


@rule("HW13", "cores-slowed")
def cores_slowed(environment: Environment, resources: Resources, accelerators: tuple[str, ...]) -> Outcome:
    """The processor is slower than it was in the best stretch of this very fit.

    What it means: about once a second the same small work runs on one core, and its CPU time tells how fast that core
    is. Over the fit it took longer than in its fastest eighth, in which the training used the cores as much.

    Why it is slow: a processor that gets hot, or runs on a battery, lowers its clock. In a cloud, a virtual core is
    often one of two threads of a physical one, and the other belongs to somebody else.

    What to change: on a laptop mains power, the profile for performance, and air; in a cloud a machine whose cores are
    not shared. Before you compare two trainings, see that both ran at the same speed.

    When this is wrong: what else the fit does differs from one eighth to another, as when it validates for minutes: a
    processor is slower when all its cores compute than when one does. So this is only a hint.

    Sources: https://docs.kernel.org/admin-guide/pm/intel_pstate.html,
    https://docs.kernel.org/admin-guide/hw-vuln/core-scheduling.html (threads that share a core). Measured on a shared
    machine of two cores: the same work took 1.0 or 1.45 times as long, for seconds, while the time that the kernel
    calls stolen was nearly 0. The prediction gives the whole fit the speed of its fastest eighth, at best.
    """
    if accelerators:
        return NotApplicable("the accelerator computes")
    stretches = _stretches(resources.usage)
    if stretches is None:
        return NotApplicable("the fit is too short to tell how fast its cores were")
    usual = statistics.median(load for _, load in stretches)
    fastest = min(work_s for work_s, load in stretches if load >= _SAME_LOAD * usual)
    slowdown = statistics.mean(work_s for work_s, _ in stretches) / fastest
    if slowdown < _SLOWED_FROM:
        return Passed(f"the same work took {slowdown:.2f} times as long as in the fastest eighth of the fit")
    left = Range(1.0, 1 / slowdown, 1 / slowdown)
    system = next((name for name in _FASTER if environment.platform.startswith(name)), "Linux")
    return Found(
        title="The processor is slowed down",
        message=f"The same work takes {slowdown:.1f} times as long as in the fastest eighth of this fit: heat, saving "
        "power, or somebody else on the same cores.",
        phase="compute",
        evidence={
            "the same work": f"{words.seconds(fastest * slowdown)} of a core, {words.seconds(fastest)} at best",
            "slowest eighth": f"{max(work_s for work_s, _ in stretches) / fastest:.1f} times as long",
        },
        remedy="On a laptop: mains power, and the profile for performance. In a cloud: cores that are not shared.",
        code=_FASTER[system],
        change=Change(factors=dict.fromkeys(("device_s", "dispatch_s", "supply_s"), left)),
        confidence="hint",
    )


def _stretches(usage: Usage) -> list[tuple[float, float]] | None:
    """Eighths of a fit: the mean time of the same work, seconds, and the cores in use; `None` if it was too short."""
    columns = (usage.columns.get(name, ()) for name in ("core_work_s", "process_cores"))
    buckets = [(work_s, load) for work_s, load in zip(*columns, strict=False) if work_s and load is not None]
    each = len(buckets) // _STRETCHES
    if each * usage.bucket_s < _LEAST_STRETCH_S:
        return None
    # The remainder is of the beginning, where much is done once.
    first = len(buckets) - each * _STRETCHES
    parts = (buckets[at : at + each] for at in range(first, len(buckets), each))
    return [(statistics.mean(work for work, _ in part), statistics.mean(load for _, load in part)) for part in parts]


RULES = (threads_misconfigured, competing_processes, memory_pressure, no_vector_library, cores_slowed)
