"""The step-time model: what would an epoch take if some remedies were applied?

An epoch is `steps` steps and what is done once an epoch. A step takes as long as the slower of two things that run side
by side: the thread that trains (compute and the callbacks of the batch) and the supply of batches; or as long as both
where they take turns; and never less than its CPU time spread over all cores. Remedies change quantities of this model,
alone or together, at three ends: pessimistic, expected, optimistic. This is the bottleneck law of operational analysis
(Denning and Buzen, "The Operational Analysis of Queueing Network Models", ACM Computing Surveys 1978) with the
machine's cores as a third server.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from tb_trainspeed.profile import ONE_OFF_PHASES, Profile
from tb_trainspeed.rules.facts import BATCH_HOOKS, COMPUTING, steady_of, takes_turns, typical_of
from tb_trainspeed.rules.rule import Change, Range, exactly

End = Literal["low", "expected", "high"]
ENDS: tuple[End, ...] = ("low", "expected", "high")

# How well pipeline and step use the cores together when both run flat out: CPU time over cores times wall time,
# pessimistic, expected, optimistic. An assumption, not a measurement.
_CORE_USE = Range(0.8, 0.9, 1.0)
# Computing gets what the source of the batches leaves of the cores (processor sharing, Kleinrock, "Queueing Systems"
# II, 1976), so it slows down by the share of the cores that the source takes, if computing wants them all. How much it
# wants them all is read off how busy the cores are while it computes. Eight demos on two cores gave 0.9 to 1.2 of that;
# fetches that are not quite ready took a part back.
_CONTENTION = Range(0.0, 0.8, 1.0)
# From this share of waiting on, it is the supply that sets the pace.
_STARVED = 0.15
# What beside the cores the source takes from computing, such as Python's lock, caches and memory, shows in how much the
# calls of the train function differ: in how long their 5 % quantile is, which is disturbed least, against their median.
# Calls that no Python code disturbs differ as well, which the factor stands for; the cores that it takes, it takes from
# the least disturbed calls too. In 25 runs on TensorFlow whose loader a fix made nearly free, computing fell to the
# product of what both leave, the calls to a power of which four fifths lie between these ends; and where they differed
# no more than others, to 0.9 in the median of 15.
_CALLS_DIFFER, _MOST_UNDISTURBED, _UNDISTURBED_BY_PYTHON = 1.2, 0.9, Range(0.4, 1.0, 1.6)
# By a tf.data pipeline, whose threads leave no core free: in 47 runs on TensorFlow that a fix made nearly free,
# computing fell to a power of their share of the median call alone, four fifths between these ends, median 1.9. A share
# below the least is an outlier's.
_UNDISTURBED = Range(1.3, 1.9, 2.8)
_LEAST_UNDISTURBED, _LEAST_UNDISTURBED_BY_PYTHON = 0.35, 0.1
# Torch has no calls that a tf.data pipeline does not disturb: of four that a fix made nearly free, computing fell to
# 0.13 to 0.46, which this, to that power, is the middle of.
_LEAST_DISTURBED_TORCH = 0.57
# Where Python code makes the batches before each step of torch, or beside those of JAX, whose calls only start to
# compute, no calls tell. Once it was nearly free, computing fell to 0.3 to 0.96 in 18 runs on JAX, and from 0.54 to
# 0.97 on torch, where each takes its turn; these, with what the cores say, are the medians.
_BESIDE_PYTHON = {"jax": 0.93, "torch": 0.83}
# On JAX deep samples tell how long the device itself is at work, while the clocks beside it also count what it waits
# for: cores, and the host for Python's lock. Of 20 runs whose source a fix made nearly free, four fifths came to a step
# between these shares of that, or of dispatching it if that takes longer: the host no longer waits for the device.
_ALONE = Range(1.3, 0.9, 0.6)
# Batches that Python code makes beside the step on TensorFlow change hands twice, under a lock that the training thread
# wants as well. So they are late now and then though their supply is faster than the step: in 25 fits that a fix had
# made so by this share of a step, four fifths of them between these ends. On JAX it was 1 %.
_LATE, _HANDS_OVER_LATE = Range(0.08, 0.05, 0.01), {"tensorflow"}
_ENOUGH_CALLS = 20
_NOT_OF_THE_DEVICE = ("input_wait", "host_overhead", "unknown")
# The host's part of a step gets faster with the device's: after much computing its caches are cold and its threads
# asleep. In 52 runs on TensorFlow whose fix halved the device's part or more, the host's fell to a power of what was
# left of the device's, nine tenths of them between these ends, median 0.24. Less than so much left says no more.
_DISPATCH_FOLLOWS = Range(0.0, 0.24, 0.52)
_LEAST_LEFT = 0.01
# The host's part of the smallest steps on TensorFlow, seconds: measured, 0.40 to 0.43 ms.
_LEAST_DISPATCH_S = {"tensorflow": 0.0004}
# The boundary between epochs holds the wait for the first batch. This share of it goes with the supply: in 19 runs of
# tf.data pipelines none to all of it, median a quarter; of a PyDataset or a generator next to nothing.
_REFILLS, _REFILLS_FROM_PYTHON = Range(0.0, 0.25, 1.0), Range(0.0, 0.1, 0.3)
# What no part of the model explains: of 123 fixes on two cores half gave 6 % more than it said, and a quarter a third
# more. Repeated runs on a shared machine differ by as much.
_SPREAD = Range(1.06, 1.0, 0.85)


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
        device_s: the rest of computing.
        batch_callbacks_s: callbacks of a batch.
        late_s: waiting for batches that are late now and then though their supply is faster than the step.
        hands_over_late: 1 where there will be such waiting once the supply is faster than the step, else 0.
        other_step_s: the rest of a step: garbage collection.
        cpu_s: CPU time of the whole process a step, at its `source_cpu_s`.
        cores: cores that the process may use.
        undisturbed: the calls of the train function that the source disturbs least, share of the median call.
        alone_s: what of `device_s` the device itself is at work, with nothing to wait for; 0 where that is not known.
        restart_s: the boundary between two epochs.
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
    undisturbed: float = 1.0
    alone_s: float = 0.0
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
    batch_rows = sum(row.total_s for row in profile.hooks if row.phase == "callbacks" and row.hook in BATCH_HOOKS)
    all_rows = sum(row.total_s for row in profile.hooks if row.phase == "callbacks")
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
    unknown_s = max(0.0, cpu_s - busy_s) if profile.data.stages else 0.0
    source_cpu_s = source.cpu_s / source.calls if source and source.calls else unknown_s
    in_turn = takes_turns(profile)
    if in_turn or (source and source.calls):  # what threads use while they wait for the next step is no work
        cpu_s = min(cpu_s, source_cpu_s + busy_s * (profile.environment.cores or 1.0))
    if in_turn:
        supply_s = wait_s
    elif wait_s >= _STARVED * (busy_s + wait_s):
        supply_s = busy_s + wait_s
    else:  # now and then a batch is late; that stays, and how fast the supply could be is not known
        supply_s, late_s = min(source_s, busy_s), wait_s
    dispatch_s = min(profile.steps.dispatch_s or 0.0, compute_s)
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
            source_cpu_s > 0
            and not (profile.data.stages or in_turn or late_s)
            and profile.environment.backend in _HANDS_OVER_LATE
        ),
        least_dispatch_s=min(dispatch_s, _LEAST_DISPATCH_S.get(profile.environment.backend, 0.0)),
        undisturbed=_undisturbed(profile, in_turn),
        alone_s=_alone_s(profile),
        startup_s=profile.ledger.phases.get("startup") or 0.0,
        compilation_s=profile.ledger.phases.get("compilation") or 0.0,
        epochs=float(max(1, profile.ledger.epochs)),
    )


def _undisturbed(profile: Profile, in_turn: bool) -> float:
    call = profile.steps.call
    if in_turn and profile.data.stages:
        return _LEAST_DISTURBED_TORCH
    if in_turn or profile.environment.backend == "jax":
        return 1.0 if profile.data.stages else _BESIDE_PYTHON.get(profile.environment.backend, 1.0)
    if not call or call.count < _ENOUGH_CALLS or not call.p50_s:
        return 1.0
    share = call.p05_s / call.p50_s
    if profile.data.stages:
        return min(1.0, max(_LEAST_UNDISTURBED, share))
    return min(_MOST_UNDISTURBED, max(_LEAST_UNDISTURBED_BY_PYTHON, _CALLS_DIFFER * share))


def _alone_s(profile: Profile) -> float:
    if profile.environment.backend != "jax" or not profile.breakdown:
        return 0.0
    return sum(part.mean_s for part in profile.breakdown.parts if part.name not in _NOT_OF_THE_DEVICE)


def apply(model: StepModel, changes: Iterable[Change], end: End, ends: Sequence[End] | None = None) -> StepModel:
    """Returns the model with all `changes` made.

    Args:
        model: the fit as it is.
        changes: what is done to it.
        end: the end of the range of the changes, and of what follows from them.
        ends: those of the changes, one by one, where they are not `end`.
    """
    before = model
    values = dataclasses.asdict(model)
    changes = tuple(changes)
    made = tuple(zip(changes, ends or [end] * len(changes), strict=True))
    for change, at in made:
        for name, replacement in change.sets.items():
            values[name] = min(values[name], getattr(replacement, at))
    for change, at in made:
        for name, amount in change.removes.items():
            removed = min(values[name], getattr(amount, at))
            values[name] -= removed
            if name == "batch_callbacks_s":  # callbacks use as many cores as the rest of the step
                values["cpu_s"] -= removed * before.cpu_s / before.step_s(1.0)
    for change, at in made:
        for name, factor in change.factors.items():
            values[name] *= getattr(factor, at)
    _follow(before, values, changes, end)
    return StepModel(**values)


def _follow(before: StepModel, values: dict[str, Any], changes: tuple[Change, ...], end: End) -> None:
    """What changes besides, because of what the changes did to the others."""
    if before.device_s and not _tells(changes, "dispatch_s"):
        left = max(_LEAST_LEFT, values["device_s"] / before.device_s)
        values["dispatch_s"] *= left ** getattr(_DISPATCH_FOLLOWS, end)
    # What the source, the dispatch and the rest of computing no longer compute, the process no longer computes.
    scale = values["cpu_s"] / before.cpu_s if before.cpu_s else 1.0
    saved = before.source_cpu_s * scale - values["source_cpu_s"] + before.dispatch_s * scale - values["dispatch_s"]
    # What a source computes more, it computes more; callbacks that are gone took their part of it along.
    saved = (saved if scale >= 1 else max(0.0, saved)) + _no_longer_computed(before, values, scale)
    values["cpu_s"] = max(0.0, values["cpu_s"] - saved)
    # What waits for cores, locks and memory uses CPU time meanwhile.
    faster = _undisturbed_by(before, values["source_cpu_s"], end)
    computing_s = values["dispatch_s"] + values["device_s"]
    values["device_s"] *= faster
    values["dispatch_s"] *= faster
    _follow_alone(before, values, end)
    if computing_s:
        left = (values["dispatch_s"] + values["device_s"]) / computing_s
        values["cpu_s"] -= (1 - left) * max(0.0, values["cpu_s"] - values["source_cpu_s"])
    if values["dispatch_s"] < before.dispatch_s and not _tells(changes, "dispatch_s"):
        values["dispatch_s"] = max(values["dispatch_s"], before.least_dispatch_s)
    busy_s = values["dispatch_s"] + values["device_s"]
    if before.hands_over_late and values["supply_s"] < busy_s:
        values["late_s"] += getattr(_LATE, end) * busy_s
    if before.supply_s and not _tells(changes, "restart_s"):
        refills = getattr(_REFILLS_FROM_PYTHON if before.from_python else _REFILLS, end)
        values["restart_s"] *= 1 - refills * (1 - min(1.0, values["supply_s"] / before.supply_s))


def _undisturbed_by(before: StepModel, source_cpu_s: float, end: End) -> float:
    """What is left of computing beside a source that computes only so long."""
    if not before.source_cpu_s:
        return 1.0
    freed = max(0.0, 1 - source_cpu_s / before.source_cpu_s)
    released = 0.0 if before.in_turn else freed * before.source_cpu_s / (before.step_s(1.0) * before.cores)
    by_cores: float = 1 - getattr(_CONTENTION, end) * before.busy_cores() * min(1.0, released)
    power: float = getattr(_UNDISTURBED_BY_PYTHON if before.from_python else _UNDISTURBED, end)
    by_calls: float = 1 - (1 - before.undisturbed**power) * freed
    return by_cores * by_calls if before.from_python else min(by_cores, by_calls)


def _follow_alone(before: StepModel, values: dict[str, Any], end: End) -> None:
    """Where deep samples tell what the device takes alone, that is what it takes once the source is gone."""
    if not (before.alone_s and before.source_cpu_s):
        return
    freed = max(0.0, 1 - values["source_cpu_s"] / before.source_cpu_s)
    alone_s: float = max(0.0, getattr(_ALONE, end) * before.alone_s - values["dispatch_s"])
    values["device_s"] += freed * (min(before.device_s, alone_s) - values["device_s"])


def _tells(changes: Iterable[Change], name: str) -> bool:
    """Whether one of the changes says itself what becomes of a quantity."""
    return any(name in {*change.sets, *change.removes, *change.factors} for change in changes)


def _no_longer_computed(before: StepModel, values: Mapping[str, float], scale: float) -> float:
    """CPU time of what `device_s` lost. `scale` is what the changes did to the CPU time themselves."""
    if not before.device_s:
        return 0.0
    cpu_s = max(0.0, before.cpu_s - before.source_cpu_s - before.dispatch_s)
    return max(0.0, cpu_s * (min(1.0, scale) - values["device_s"] / before.device_s))


@dataclasses.dataclass(frozen=True)
class Epoch:
    """One simulated epoch: its time, that of a step without what is done once an epoch, and its phases; seconds."""

    epoch_s: float
    step_s: float
    phases: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Prediction:
    """An epoch as it is, and after some changes: the expected one, and its time at all three ends."""

    before: Epoch
    after: Epoch
    after_s: Range

    @property
    def speedup(self) -> Range:
        """Old over new time; below 1 where the changes make training slower."""
        return Range(*(self.before.epoch_s / max(1e-9, getattr(self.after_s, end)) for end in ENDS))


def predict(model: StepModel, changes: Iterable[Change]) -> Prediction:
    """Simulates an epoch with all `changes` together."""
    changes = tuple(changes)
    if not _tells(changes, "pauses_s"):
        model = dataclasses.replace(model, pauses_s=0.0)
    before = Epoch(model.epoch_s(1.0), model.step_s(1.0), model.phases(1.0))
    if not changes:
        return Prediction(before, before, exactly(before.epoch_s))
    expected = (("expected",) * len(changes), "expected", "expected")
    likely, used, after_s = _after(model, changes, *expected)
    after = Epoch(after_s, likely.step_s(used), likely.phases(used))
    low, high = (after_s * math.exp(_apart(model, changes, after_s, end)) for end in ("low", "high"))
    return Prediction(before, after, Range(low, after_s, high))


def _after(
    model: StepModel, changes: Sequence[Change], ends: Sequence[End], follows: End, cores: End
) -> tuple[StepModel, float, float]:
    """Returns the model after the changes, how well it uses the cores, and the time of its epoch, seconds."""
    after = apply(model, changes, follows, ends)
    used: float = min(1.0, max(getattr(_CORE_USE, cores), _core_use_now(model)))
    return after, used, after.epoch_s(used)


def _apart(model: StepModel, changes: Sequence[Change], expected_s: float, end: End) -> float:
    """Returns the logarithm of how many times as long as expected an epoch takes at this end.

    What is unsure is so for reasons of its own: the ends that each of them leads to, alone, add up as the deviations of
    independent quantities do, by their squares.
    """
    likely: tuple[End, ...] = ("expected",) * len(changes)
    tried: list[tuple[Sequence[End], End, End]] = [
        ((*likely[:index], end, *likely[index + 1 :]), "expected", "expected") for index in range(len(changes))
    ]
    tried += [(likely, end, "expected"), (likely, "expected", end)]
    sign = 1 if end == "low" else -1
    parts = [sign * math.log(_after(model, changes, *ends)[2] / expected_s) for ends in tried]
    parts.append(sign * math.log(getattr(_SPREAD, end)))
    return sign * math.hypot(*(max(0.0, part) for part in parts))


def speedup(model: StepModel, changes: Iterable[Change]) -> Range:
    """Returns old over new epoch time for all `changes` together, which are remedies: they make nothing slower."""
    gain = predict(model, changes).speedup
    return Range(*(max(1.0, ratio) for ratio in (gain.low, gain.expected, gain.high)))


def saves_once_s(profile: Profile, changes: Iterable[Change]) -> float:
    """Returns the seconds that a fit would save once, as expected: of starting, compiling, and whole epochs.

    A fit of a few steps has the first two as well, though nothing can be said of its steps.
    """
    changes = tuple(changes)
    saved = 0.0
    for phase in ONE_OFF_PHASES:
        name, before = f"{phase}_s", profile.ledger.phases.get(phase) or 0.0
        after = min([before, *(change.sets[name].expected for change in changes if name in change.sets)])
        after = max(0.0, after - sum(change.removes[name].expected for change in changes if name in change.removes))
        left = math.prod(change.factors[name].expected for change in changes if name in change.factors)
        saved += before - after * left
    model = baseline(profile)
    if model:
        saved += (model.epochs - apply(model, changes, "expected").epochs) * model.epoch_s(1.0)
    return saved


def _core_use_now(model: StepModel) -> float:
    return model.cpu_s / (model.cores * model.step_s(1.0)) if model.step_s(1.0) else 0.0
