"""The step-time model of a fit as it is."""

import dataclasses
import math

from tb_trainspeed.profile import Profile
from tb_trainspeed.rules.facts import (
    BATCH_HOOKS,
    COMPUTING,
    ENOUGH_CALLS,
    FIT_HOOKS,
    generated,
    generated_elements_of,
    locked_s_of,
    steady_of,
    takes_turns,
    typical_call_of,
    typical_of,
)

# From this share of waiting on, it is the supply that sets the pace.
_STARVED = 0.15
# What the source takes from computing, such as Python's lock, caches and memory, shows in how much the calls of the
# train function differ: in how long their 5 % quantile is, which is disturbed least, against their median. Calls that
# no Python code disturbs differ as well, which the factor stands for, and beside it no call is quite undisturbed.
_CALLS_DIFFER, _MOST_UNDISTURBED = 1.2, 0.9
# A share below the least is an outlier's: of a tf.data pipeline, and of Python code.
_LEAST_UNDISTURBED, _LEAST_UNDISTURBED_BY_PYTHON = 0.35, 0.1
# Beside Python code on JAX, whose calls only start to compute, no calls tell. Once it was nearly free, computing fell
# to 0.3 to 0.96 in 18 runs; this, with what the cores say, is the median.
_BESIDE_PYTHON_ON_JAX = 0.93
# Where batches that Python code makes beside the step are late now and then.
_HANDS_OVER_LATE = {"tensorflow"}
# The device runs behind the host there, and goes on while the host is at something else.
_RUNS_BEHIND = {"jax"}
# Where an epoch goes over its data anew, it waits for the first batch: for so much of the time that a batch takes. In
# 14 pairs on TensorFlow whose `PyDataset` a fix made nearly free 0.2 to 1.3 of it went from the boundary, in 9 on torch
# whose tf.data pipeline was 0.3 to 0.7.
_FIRST_BATCH = {"tensorflow": 0.75, "torch": 0.4}
# So of generators in tf.data: 0 to 0.5 in 19 pairs on TensorFlow and JAX, 0 to 0.7 in 9 on torch.
_FIRST_GENERATED = {"tensorflow": 0.2, "jax": 0.2, "torch": 0.6}
# What deep samples tell that is not the device's. Steps that are looked into take longer: in 36 runs on JAX whose
# source a fix made nearly free, this share of the rest was left.
_NOT_OF_THE_DEVICE = ("input_wait", "host_overhead", "unknown")
_OF_DEEP_SAMPLES = 0.8
# Of a tf.data pipeline, which always computes: it matters what share of that a remedy leaves.
_LEAST_CPU_S = 1e-9
# One epoch's last step may be disturbed by something else. Nor does it tell anything where it is over before the
# threads of the pipeline have ended, or before somebody learns that the device is done: of steps of 2 to 4 ms on
# TensorFlow the last ones took 1.2 to 1.7 times what the fixed training's did.
_ENOUGH_LAST, _LONG_ENOUGH_S = 2, {"tensorflow": 0.004, "jax": 0.004}
# A step after a pause takes longer than one that follows upon another. Measured on two cores (benchmarks/pauses.py),
# with models of 2 to 40 ms a step on all backends: by 0.2, 0.6, 1.3, 1.8 and 2.7 ms after 1, 3, 10, 30 and 100 ms, in
# the median. The last step of an epoch comes after such a wait, those of a training whose source is gone do not: on
# JAX, and where a generator was the source, about half of that and a tenth of the rest explain best what these take (27
# runs on JAX, 8 on TensorFlow, 9 on torch).
_COLD_S, _COLD_FROM_S, _LEAST_WARM, _OF_LAST = 0.3e-3, 0.8e-3, 0.5, 0.9
# Handing an element of a generator over takes no more CPU time than that: seconds, measured.
_MOST_HAND_OVER_S = 0.7e-3
# The host's part of the smallest steps on TensorFlow, seconds: measured, 0.40 to 0.43 ms on one machine, 1.2 on
# another.
_LEAST_DISPATCH_S = {"tensorflow": 0.0004}


@dataclasses.dataclass(frozen=True)
class StepModel:
    """One steady epoch. Seconds: of a step, from `supply_s` to `cpu_s`; of an epoch, from `epoch_callbacks_s` to
    `pauses_s`; of the fit, `startup_s` and `compilation_s`.

    Attributes:
        steps: steps an epoch.
        supply_s: time between two batches when the step takes them as fast as they come.
        in_turn: 1 where the thread that trains makes the batches itself, between two steps; else 0.
        source_cpu_s: CPU time of the code that makes a batch.
        dispatch_s: the host's part of computing.
        locked_s: what of it waits for Python's lock, which the source holds.
        device_s: the rest of computing.
        batch_callbacks_s: callbacks of a batch.
        late_s: waiting for batches that are late now and then though their supply is faster than the step.
        hands_over_late: 1 where there will be such waiting once the supply is faster than the step, else 0.
        other_step_s: the rest of a step: garbage collection.
        cpu_s: CPU time of the whole process a step, at its `source_cpu_s`.
        cores: cores that the process may use.
        undisturbed: the calls of the train function that the source disturbs least, share of the median call; the
            median call, share of the mean, where the thread that trains makes the batches itself.
        alone_s: what of computing is left with nothing made beside it, by the last steps of epochs or, on JAX, by deep
            samples; 0 where that is not known.
        restart_s: the boundary between two epochs.
        first_batches_s: what of `restart_s` the epoch waits for its first batches; 0 where that is not known.
        runs_behind: 1 where the device goes on beside what the host does between epochs, else 0.
        from_python: 1 where Python code makes the batches, 0 where it is a tf.data pipeline.
        least_dispatch_s: what the host's part of a step takes at least.
        pauses_s: what comes by chance, between epochs and of garbage collection, and our own measuring, with a remedy
            and without: both epochs are taken to be without, unless a change is about it.
        startup_s, compilation_s: what the fit pays for once, and no steady epoch.
        epochs: epochs of the fit. Fewer of them make no epoch faster, and save whole ones.
    """

    steps: float
    supply_s: float
    in_turn: float
    source_cpu_s: float
    dispatch_s: float
    device_s: float
    batch_callbacks_s: float
    late_s: float
    other_step_s: float
    cpu_s: float
    cores: float
    epoch_callbacks_s: float
    checkpointing_s: float
    validation_s: float
    restart_s: float
    rest_s: float
    pauses_s: float = 0.0
    from_python: float = 1.0
    hands_over_late: float = 0.0
    least_dispatch_s: float = 0.0
    locked_s: float = 0.0
    undisturbed: float = 1.0
    alone_s: float = 0.0
    first_batches_s: float = 0.0
    runs_behind: float = 0.0
    startup_s: float = 0.0
    compilation_s: float = 0.0
    epochs: float = 1.0

    def busy_s(self) -> float:
        """What the thread that trains does for one step."""
        return self.dispatch_s + self.device_s + self.batch_callbacks_s + self.late_s + self.other_step_s

    def busy_cores(self) -> float:
        """Share of the cores in use while the step computes, 0 to 1; the source computes all the time."""
        computing = (self.cpu_s - self.source_cpu_s) / self.busy_s() if self.busy_s() else 0.0
        source = self.source_cpu_s / self.step_s(1.0) if self.step_s(1.0) else 0.0
        return min(1.0, max(0.0, computing + source) / self.cores)

    def step_s(self, core_use: float) -> float:
        """Time of one step."""
        if self.in_turn:  # then the cores are all there for each
            return self.busy_s() + self.supply_s
        return max(self.busy_s(), self.supply_s, self.cpu_s / (self.cores * core_use))

    def epoch_s(self, core_use: float) -> float:
        """Time of one epoch."""
        once = self.epoch_callbacks_s + self.checkpointing_s + self.validation_s + self.restart_s + self.rest_s
        once += self.pauses_s
        return self.steps * self.step_s(core_use) + once

    def phases(self, core_use: float) -> dict[str, float]:
        """One epoch by phases of the ledger, seconds; they add up to `epoch_s`."""
        busy_s, step_s = self.busy_s(), self.step_s(core_use)
        # Where the cores are the limit, computing takes longer; what is left of the supply is waited for.
        waits_s = self.supply_s if self.in_turn else max(0.0, self.supply_s - busy_s)
        crowded_s = max(0.0, step_s - busy_s - waits_s)
        return {
            "input_wait": self.steps * (waits_s + self.late_s),
            "compute": self.steps * (self.dispatch_s + self.device_s + crowded_s),
            "callbacks": self.steps * self.batch_callbacks_s + self.epoch_callbacks_s,
            "checkpointing": self.checkpointing_s,
            "validation": self.validation_s,
            "epoch_restart": self.restart_s + self.pauses_s,
            "other": self.steps * self.other_step_s + self.rest_s,
        }


def baseline(profile: Profile) -> StepModel | None:
    """Returns the model of the fit as it is, or `None` when too little of it was measured.

    The supply is set so that the model reproduces the measured step: where the step waits, the supply is what it waits
    for; where it does not, the supply is somewhere below the step, and what is known of the source says where.
    """
    whole, steady = steady_of(profile), typical_of(profile)
    if whole is None or steady is None:
        return None
    step = {name: steady.per_step(name) for name in steady.phases}
    compute_s = sum(step.get(name, 0.0) for name in COMPUTING)
    # Rows of callbacks are sums over the whole fit; the ledger says how much of them is steady.
    rows = [row for row in profile.hooks if row.phase == "callbacks"]
    batch_rows = sum(row.total_s for row in rows if row.hook in BATCH_HOOKS)
    all_rows = sum(row.total_s for row in rows if row.hook not in FIT_HOOKS)
    batch_callbacks_s = step.get("callbacks", 0.0) * (batch_rows / all_rows if all_rows else 0.0)
    other_s, late_s = step.get("gc", 0.0), 0.0
    wait_s = step.get("input_wait", 0.0)
    # Checkpoints after a batch are in the critical path like those after an epoch, but hardly any epoch needs two
    # kinds: both are counted per epoch.
    busy_s = compute_s + batch_callbacks_s + other_s
    cpu_s = min(profile.steps.cpu_s or 0.0, (busy_s + wait_s) * (profile.environment.cores or 1.0))
    source = profile.data.source
    source_s = source.wall_s / source.calls / max(1, profile.data.workers or 1) if source and source.calls else 0.0
    # Of a tf.data pipeline only the sum is known: what the process computes beyond one core of the thread that trains.
    # Without one, and without Python code that makes batches, that is computing, on several cores.
    unknown_s = max(_LEAST_CPU_S, cpu_s - busy_s) if profile.data.stages else 0.0
    made = generated(profile)
    if made:  # its CPU time is known, and what it takes to hand elements over nearly
        handed_s = _MOST_HAND_OVER_S * (generated_elements_of(profile) or 1.0)
        unknown_s = min(unknown_s, made.cpu_s / made.calls + handed_s)
    source_cpu_s = source.cpu_s / source.calls if source and source.calls else unknown_s
    in_turn = takes_turns(profile) and not profile.data.stages  # tf.data runs ahead there as well
    if in_turn or made or (source and source.calls):  # what threads use while they wait for the next step is no work
        cpu_s = min(cpu_s, source_cpu_s + busy_s * (profile.environment.cores or 1.0))
    if in_turn:
        supply_s = wait_s
    elif wait_s >= _STARVED * (busy_s + wait_s):
        supply_s = busy_s + wait_s
    else:  # now and then a batch is late; that stays, and how fast the supply could be is not known
        # One of a generator's takes at least what it computes, in one thread.
        supply_s, late_s = min(source_cpu_s if made else source_s, busy_s), wait_s
    dispatch_s = min(profile.steps.dispatch_s or 0.0, compute_s)
    locked_s = min(dispatch_s, locked_s_of(profile))
    per_epoch = {name: value / steady.epochs for name, value in steady.phases.items()}
    return StepModel(
        steps=steady.steps_per_epoch,
        supply_s=supply_s,
        in_turn=float(in_turn),
        source_cpu_s=source_cpu_s,
        dispatch_s=dispatch_s,
        device_s=compute_s - dispatch_s,
        batch_callbacks_s=batch_callbacks_s,
        late_s=late_s,
        other_step_s=other_s,
        cpu_s=cpu_s,
        cores=profile.environment.cores or 1.0,
        epoch_callbacks_s=per_epoch.get("callbacks", 0.0) - batch_callbacks_s * steady.steps_per_epoch,
        checkpointing_s=per_epoch.get("checkpointing", 0.0),
        validation_s=per_epoch.get("validation", 0.0),
        restart_s=per_epoch.get("epoch_restart", 0.0),
        pauses_s=whole.epoch_s - steady.epoch_s,
        rest_s=per_epoch.get("other", 0.0),
        from_python=float(not profile.data.stages),
        hands_over_late=float(
            source_cpu_s > _LEAST_CPU_S and not (in_turn or late_s) and profile.environment.backend in _HANDS_OVER_LATE
        ),
        least_dispatch_s=min(dispatch_s, _least_dispatch_s(profile, dispatch_s, locked_s)),
        locked_s=locked_s,
        undisturbed=_undisturbed(profile, in_turn),
        alone_s=0.0 if in_turn else _alone_s(profile, compute_s, locked_s, wait_s),
        first_batches_s=_first_batches_s(
            profile, per_epoch.get("epoch_restart", 0.0), whole.epoch_s - steady.epoch_s, supply_s
        ),
        runs_behind=float(profile.environment.backend in _RUNS_BEHIND),
        startup_s=profile.ledger.phases.get("startup") or 0.0,
        compilation_s=profile.ledger.phases.get("compilation") or 0.0,
        epochs=float(max(1, profile.ledger.epochs)),
    )


def _undisturbed(profile: Profile, in_turn: bool) -> float:
    if in_turn:
        return typical_call_of(profile) or 1.0
    if profile.environment.backend == "jax":
        return 1.0 if profile.data.stages else _BESIDE_PYTHON_ON_JAX
    call = profile.steps.call
    if not call or call.count < ENOUGH_CALLS or not call.p50_s:
        return 1.0
    share = call.p05_s / call.p50_s
    if profile.data.stages:
        return min(1.0, max(_LEAST_UNDISTURBED, share))
    return min(_MOST_UNDISTURBED, max(_LEAST_UNDISTURBED_BY_PYTHON, _CALLS_DIFFER * share))


def _least_dispatch_s(profile: Profile, dispatch_s: float, locked_s: float) -> float:
    known = profile.steps.least_dispatch_s or 0.0
    if locked_s:  # as for all the least is 0.6 to 0.8 of the mean
        known = min(known, 0.6 * (dispatch_s - locked_s))
    return max(known, _LEAST_DISPATCH_S.get(profile.environment.backend, 0.0))


def _alone_s(profile: Profile, computing_s: float, locked_s: float, wait_s: float) -> float:
    last, call, backend = profile.steps.last, profile.steps.call, profile.environment.backend
    in_python, generates = not profile.data.stages, generated_elements_of(profile) is not None
    if last and call and last.count >= _ENOUGH_LAST and last.p50_s >= _LONG_ENOUGH_S.get(backend, 0.0):
        warm_s = last.p50_s
        if generates or (in_python and backend == "jax"):
            cold_s = _COLD_S * math.log1p(wait_s / _COLD_FROM_S)
            warm_s = _OF_LAST * max(_LEAST_WARM * warm_s, warm_s - cold_s)
        return warm_s + (0.0 if backend == "jax" else max(0.0, computing_s - call.mean_s - locked_s))
    if backend != "jax" or not profile.breakdown:
        return 0.0
    parts = profile.breakdown.parts
    return _OF_DEEP_SAMPLES * sum(part.mean_s for part in parts if part.name not in _NOT_OF_THE_DEVICE)


def _first_batches_s(profile: Profile, restart_s: float, pauses_s: float, supply_s: float) -> float:
    """Keras on JAX fetches two batches before the first step, one after the other: what is made in Python meanwhile."""
    data, boundary = profile.data, profile.epochs.restart  # without waiting for a batch
    backend, alone = profile.environment.backend, data.adapter == "PyDatasetAdapter" and (data.workers or 1) < 2
    if generated_elements_of(profile) is not None:
        return min(restart_s, _FIRST_GENERATED.get(backend, 0.0) * supply_s)
    if (backend == "tensorflow" and alone) or (backend == "torch" and data.stages):
        return min(restart_s, _FIRST_BATCH[backend] * supply_s)
    if backend != "jax" or data.stages or not boundary:
        return 0.0
    return min(restart_s, max(0.0, restart_s + pauses_s - boundary.mean_s))
