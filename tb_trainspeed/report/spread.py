"""How much the epochs and steps of a fit differ from each other, and what that leaves of a difference."""

import itertools
import math
import re
import statistics
from collections.abc import Collection, Sequence

from tb_trainspeed.profile import Marker, Profile

_EPOCH = re.compile(r"epoch (\d+)")
# Two stretches of the time line tell the pauses of two epochs apart.
_STRETCHES = 2


def epochs_s(profile: Profile, without: Collection[str] = ()) -> list[float]:
    """Seconds of every whole epoch after the first, from the marks that begin them.

    Of long fits only every second, fourth, ... mark is kept; then each value is a mean over that many epochs.

    Args:
        profile: what was measured.
        without: phases that are left out, where the time line is fine enough to tell of which epoch they are.
    """
    marks = _epoch_marks(profile)
    if not marks:
        return []
    # The first epoch of a fit has no mark; its number is not 1 where the fit was resumed.
    first = marks[0][0] - 1 if marks[0][1].step else marks[0][0]
    begins = [(number, mark.step, mark.at_s) for number, mark in marks]
    if profile.status != "running" and begins[-1][0] - first + 1 == profile.ledger.epochs:
        begins.append((begins[-1][0] + 1, profile.ledger.steps, profile.ledger.wall_s))
    return [
        (end_s - begin_s - _spent_s(profile, without, begin_step, end_step)) / (end - begin)
        for (begin, begin_step, begin_s), (end, end_step, end_s) in itertools.pairwise(begins)
        if begin > first and end > begin
    ]


def _spent_s(profile: Profile, phases: Collection[str], begin: int, end: int) -> float:
    """Seconds in some phases from one step to another, 0 where a stretch of the time line is no small part of that."""
    line = profile.timeline
    if _STRETCHES * line.steps_per_bucket > end - begin:
        return 0.0
    # An epoch waits for its iterator before its first step, which the end of a stretch tells the epoch of.
    ends = [first + steps for first, steps in zip(line.first_step, line.steps, strict=True)]
    columns = [line.phases[phase] for phase in phases if phase in line.phases]
    return sum(value or 0.0 for column in columns for at, value in zip(ends, column, strict=True) if begin < at <= end)


def _epoch_marks(profile: Profile) -> list[tuple[int, Marker]]:
    return [(int(found[1]), mark) for mark in profile.markers if (found := _EPOCH.fullmatch(mark.label))]


def per_step_s(profile: Profile, phase: str) -> list[float]:
    """Seconds a step in `phase` of each bucket of the time line after the first epoch."""
    line, steady = profile.timeline, profile.steady
    column = line.phases.get(phase, ())
    marks = _epoch_marks(profile)
    # Not all steps after the first epoch are steady ones: one epoch may be broken off, or still running.
    first = next((mark.step for _, mark in marks if mark.step), profile.ledger.steps - steady.steps) if steady else 0
    return [
        value / steps
        for begin, steps, value in zip(line.first_step, line.steps, column, strict=False)
        # The last bucket may hold a few steps only: those say less than the others.
        if value is not None and begin >= first and 2 * steps >= line.steps_per_bucket and steps
    ]


def margin_of(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Half the width of the 95 % interval of the difference of two means (Welch, Biometrika 34, 1947).

    Neighbouring values are taken as independent; where speed drifts, the interval is rather too wide.
    """
    if len(a) < 2 or len(b) < 2:
        return None
    squares = [statistics.variance(values) / len(values) for values in (a, b)]
    total = sum(squares)
    if total == 0:
        return 0.0
    freedom = total**2 / sum(
        square**2 / (len(values) - 1) for square, values in zip(squares, (a, b), strict=True) if square
    )
    return t_975(freedom) * math.sqrt(total)


def t_975(freedom: float) -> float:
    """The 97.5 % quantile of Student's t.

    Exact for one and two degrees of freedom; above, the expansion of Cornish and Fisher (Abramowitz and Stegun,
    26.7.5), which is off by less than 2 %.
    """
    if freedom < 2:
        exact = {1: math.tan(math.pi * 0.475), 2: 0.95 / math.sqrt(2 * 0.975 * 0.025)}
        return exact[1] + (exact[2] - exact[1]) * (max(1.0, freedom) - 1)
    z = statistics.NormalDist().inv_cdf(0.975)
    if freedom < 3:
        return 0.95 / math.sqrt(2 * 0.975 * 0.025) * (3 - freedom) + t_975(3.0) * (freedom - 2)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def ratio_interval(ratio: float, a: Sequence[float], b: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the ratio of two mean times, by the delta method on its logarithm."""
    if min(len(a), len(b)) < 2 or not min(*a, *b) > 0:
        return None
    relative = [[value / statistics.fmean(values) for value in values] for values in (a, b)]
    margin = margin_of(*relative)
    return None if margin is None else (ratio / math.exp(margin), ratio * math.exp(margin))
