"""The step-time model after some changes, and what follows from them."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from tb_trainspeed.rules.facts import IN_TURN
from tb_trainspeed.rules.rule import Change, Range
from tb_trainspeed.whatif.model import StepModel

End = Literal["low", "expected", "high"]

# Computing gets what the source of the batches leaves of the cores (processor sharing, Kleinrock, "Queueing Systems"
# II, 1976), so it slows down by the share of the cores that the source takes, if computing wants them all. How much it
# wants them all is read off how busy the cores are while it computes. Eight demos on two cores gave 0.9 to 1.2 of that;
# fetches that are not quite ready took a part back.
_CONTENTION = Range(0.0, 0.8, 1.0)
# What beside the cores a source in Python takes: the cores that it takes, it takes from the least disturbed calls too.
# In 25 runs on TensorFlow whose loader a fix made nearly free, computing fell to the product of what both leave, the
# calls to a power of which four fifths lie between these ends; and where they differed no more than others, to 0.9 in
# the median of 15. The median power was 1.0, and 1.2 in 14 runs on another machine.
_UNDISTURBED_BY_PYTHON = Range(0.4, 1.1, 1.6)
# By a tf.data pipeline, whose threads leave no core free: in 47 runs on TensorFlow that a fix made nearly free,
# computing fell to a power of their share of the median call alone, four fifths between these ends, median 1.9; in 26
# on another machine 2.3.
_UNDISTURBED = Range(1.3, 2.1, 2.8)
# Of torch, which computes in the thread that makes the batches: of the median call, see `IN_TURN`.
_IN_TURN = Range(1.08, IN_TURN, 0.82)
# Where the last steps of epochs tell what computing takes alone, that is what is left once the source is gone. In two
# runs of some thirty trainings the fixed ones' steps took 0.93 and 1.05 of it on TensorFlow in the median, 0.95 and
# 1.2 on JAX, 1.0 and 0.97 on torch; four fifths of all of them between the ends.
_ALONE = Range(1.25, 1.0, 0.8)
# Batches that Python code makes beside the step on TensorFlow change hands twice, under a lock that the training thread
# wants as well. So they are late now and then though their supply is faster than the step: in 25 fits that a fix had
# made so by 5 % of a step, and by 2 to 3 % in 14 on another machine, those of tf.data pipelines by as much. On JAX it
# was 1 %.
_LATE = Range(0.08, 0.035, 0.01)
# The host's part of a step may get faster with the device's: after much computing its caches are cold and its threads
# asleep. On TensorFlow, where a fix halved the device's part or more, the host's fell to a power of what was left of
# the device's: on one machine 0.24 in the median of 52 runs, nine tenths of them between these ends, on another 0.04 in
# that of 22. Less than so much left says no more.
_DISPATCH_FOLLOWS = Range(0.0, 0.08, 0.5)
# Beside a source that is gone, the host's part falls to such a power of what computing as a whole does: it computes on
# one core. In 42 runs on TensorFlow 0.4 in the median, four fifths of them from 0 to 0.8.
_DISPATCH_FREED = Range(0.0, 0.4, 1.0)
_LEAST_LEFT = 0.01
# The boundary between epochs holds the wait for the first batch. This share of it goes with the supply: in 45 runs of
# tf.data pipelines none to all of it, median a quarter; of a PyDataset or a generator 0 to 0.4. Of these two that wait
# is known on JAX, and went with the supply: in 18 runs the boundary was then off by 3 % of an epoch, by 13 before. On a
# slower machine, on TensorFlow, 0.4 to 0.7 of it went in nine of nine.
_REFILLS, _REFILLS_FROM_PYTHON = Range(0.0, 0.25, 1.0), Range(0.0, 0.3, 0.6)


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
    if before.device_s and not tells(changes, "dispatch_s"):
        left = max(_LEAST_LEFT, values["device_s"] / before.device_s)
        values["dispatch_s"] *= left ** getattr(_DISPATCH_FOLLOWS, end)
    # What the source, the dispatch and the rest of computing no longer compute, the process no longer computes.
    scale = values["cpu_s"] / before.cpu_s if before.cpu_s else 1.0
    saved = before.source_cpu_s * scale - values["source_cpu_s"] + before.dispatch_s * scale - values["dispatch_s"]
    # What a source computes more, it computes more; callbacks that are gone took their part of it along.
    saved = (saved if scale >= 1 else max(0.0, saved)) + _no_longer_computed(before, values, scale)
    values["cpu_s"] = max(0.0, values["cpu_s"] - saved)
    # What waits for cores, locks and memory uses CPU time meanwhile.
    freed = max(0.0, 1 - values["source_cpu_s"] / before.source_cpu_s) if before.source_cpu_s else 0.0
    faster = 1 - (1 - _undisturbed(before, end)) * freed
    computing_s = values["dispatch_s"] + values["device_s"]
    if before.dispatch_s:
        values["dispatch_s"] -= freed * before.locked_s * min(1.0, values["dispatch_s"] / before.dispatch_s)
    values["dispatch_s"] *= faster ** getattr(_DISPATCH_FREED, end)
    before_s = before.dispatch_s + before.device_s
    if before.alone_s and before_s:  # then it is known what is left
        left = min(1.0, getattr(_ALONE, end) * before.alone_s / before_s)
        alone_s = max(0.0, computing_s * (1 - (1 - left) * freed) - values["dispatch_s"])
        values["device_s"] = min(values["device_s"], alone_s)
    else:
        values["device_s"] *= faster
    if computing_s:
        left = (values["dispatch_s"] + values["device_s"]) / computing_s
        values["cpu_s"] -= (1 - left) * max(0.0, values["cpu_s"] - values["source_cpu_s"])
    if values["dispatch_s"] < before.dispatch_s and not tells(changes, "dispatch_s"):
        values["dispatch_s"] = max(values["dispatch_s"], before.least_dispatch_s)
    busy_s = values["dispatch_s"] + values["device_s"]
    if before.hands_over_late and values["supply_s"] < busy_s:
        values["late_s"] += getattr(_LATE, end) * busy_s
    if before.runs_behind and values["restart_s"] > before.restart_s:  # what was added the device may not wait for
        behind_s = before.steps * max(0.0, busy_s - max(values["supply_s"], values["dispatch_s"]))
        values["restart_s"] = max(before.restart_s, values["restart_s"] - behind_s)
    if before.supply_s and not tells(changes, "restart_s"):
        refills_s = before.first_batches_s or values["restart_s"] * getattr(
            _REFILLS_FROM_PYTHON if before.from_python else _REFILLS, end
        )
        values["restart_s"] -= refills_s * (1 - min(1.0, values["supply_s"] / before.supply_s))


def _undisturbed(before: StepModel, end: End) -> float:
    """What is left of computing once the source is gone, by how much its calls differ and how busy the cores are."""
    if before.in_turn:
        return min(1.0, float(getattr(_IN_TURN, end)) * before.undisturbed)
    step_s = before.step_s(1.0)
    if not step_s:
        return 1.0
    released = before.source_cpu_s / (step_s * before.cores)
    by_cores: float = 1 - getattr(_CONTENTION, end) * before.busy_cores() * min(1.0, released)
    by_calls: float = before.undisturbed ** getattr(_UNDISTURBED_BY_PYTHON if before.from_python else _UNDISTURBED, end)
    return by_cores * by_calls if before.from_python else min(by_cores, by_calls)


def tells(changes: Iterable[Change], name: str) -> bool:
    """Whether one of the changes says itself what becomes of a quantity."""
    return any(name in {*change.sets, *change.removes, *change.factors} for change in changes)


def _no_longer_computed(before: StepModel, values: Mapping[str, float], scale: float) -> float:
    """CPU time of what `device_s` lost. `scale` is what the changes did to the CPU time themselves."""
    if not before.device_s:
        return 0.0
    cpu_s = max(0.0, before.cpu_s - before.source_cpu_s - before.dispatch_s)
    return max(0.0, cpu_s * (min(1.0, scale) - values["device_s"] / before.device_s))
