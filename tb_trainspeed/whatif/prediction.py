"""Epochs before and after some changes, with a range."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

from tb_trainspeed.profile import ONE_OFF_PHASES, Profile
from tb_trainspeed.rules.rule import Change, Range, exactly
from tb_trainspeed.whatif.changes import End, apply, tells
from tb_trainspeed.whatif.model import StepModel, baseline

ENDS: tuple[End, ...] = ("low", "expected", "high")
_EXPECTED = ENDS[1]

# How well pipeline and step use the cores together when both run flat out: CPU time over cores times wall time,
# pessimistic, expected, optimistic. Measured on one machine of two cores, where a fix left the pipeline the slower
# part: 0.95 to 1.
_CORE_USE = Range(0.8, 0.95, 1.0)
# The ends that are stated for what is unsure are extremes, seen or thought of: this share of the way to them is what
# nine in ten need, with what no part of the model explains. The logarithm of that is the first number, and the second
# times that of the gain: of 740 fixes on five machines of two cores (docs/accuracy.md), nine in ten that gain less than
# twice are off by a fifth, and nine in ten that gain more than eight times by half. More of them gained more than
# foreseen than less.
_OF_THE_ENDS = 0.4
_SPREAD = {"low": (0.17, 0.08), "high": (0.15, 0.15)}


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
    if not tells(changes, "pauses_s"):
        model = dataclasses.replace(model, pauses_s=0.0)
    before = Epoch(model.epoch_s(1.0), model.step_s(1.0), model.phases(1.0))
    if not changes:
        return Prediction(before, before, exactly(before.epoch_s))
    likely, used, after_s = _after(model, changes, _likely(changes))
    after = Epoch(after_s, likely.step_s(used), likely.phases(used))
    low, high = (after_s * math.exp(_apart(model, changes, after_s, end)) for end in ("low", "high"))
    return Prediction(before, after, Range(low, after_s, high))


#: Where in their ranges the changes are, one by one; then what follows from them; then how well the cores are used.
_Ends = tuple[End, ...]


def _likely(changes: Sequence[Change]) -> _Ends:
    return (_EXPECTED,) * (len(changes) + 2)


def _after(model: StepModel, changes: Sequence[Change], ends: _Ends) -> tuple[StepModel, float, float]:
    """Returns the model after the changes, how well it uses the cores, and the time of its epoch, seconds."""
    *of_changes, follows, cores = ends
    after = apply(model, changes, follows, of_changes)
    used: float = min(1.0, max(getattr(_CORE_USE, cores), _core_use_now(model)))
    return after, used, after.epoch_s(used)


def _apart(model: StepModel, changes: Sequence[Change], expected_s: float, end: End) -> float:
    """Returns the logarithm of how many times as long as expected an epoch takes at this end.

    What is unsure is so for reasons of its own: the ends that each of them leads to, alone, add up as the deviations of
    independent quantities do, by their squares.
    """
    likely, sign = _likely(changes), 1 if end == "low" else -1
    alone = [(*likely[:index], end, *likely[index + 1 :]) for index in range(len(likely))]
    parts = [_OF_THE_ENDS * math.log(_after(model, changes, ends)[2] / expected_s) for ends in alone]
    unexplained, of_gain = _SPREAD[end]
    gain = max(0.0, math.log(model.epoch_s(1.0) / expected_s))
    return sign * math.hypot(unexplained + of_gain * gain, *(max(0.0, sign * part) for part in parts))


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
