"""Shares wall time among what ran side by side."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
Seconds = NDArray[np.float64]

#: What intervals are, the one that counts first: work; work that other work hides, such as a loop its body; what only
#: counts while no work is done, such as a copy; the wait for a batch.
WORK, CONTAINER, HIDDEN, WAIT = range(4)
_PS = 1e-12


class Intervals(NamedTuple):
    """Intervals of time in picoseconds, of one of the kinds above each."""

    begins: Times
    ends: Times
    kinds: NDArray[np.int64]


def share(intervals: Intervals, windows: tuple[Times, Times], beyond: bool) -> tuple[Seconds, float]:
    """Shares the time inside the windows among the intervals: at each instant in equal parts among those that count.

    Args:
        intervals: what ran.
        windows: begins and ends of the time to be shared.
        beyond: outside the windows the time of everything but waits is shared too.

    Returns:
        Seconds for each interval, and the seconds in which there was none. They add up to the time shared.
    """
    moments = np.unique(np.concatenate([intervals.begins, intervals.ends, *windows]))
    lasts = np.diff(moments) * _PS
    first, last = np.searchsorted(moments, intervals.begins), np.searchsorted(moments, intervals.ends)
    free = _running(np.searchsorted(moments, windows[0]), np.searchsorted(moments, windows[1]), len(lasts)) > 0
    if beyond:
        busy = intervals.kinds != WAIT
        free |= _running(first[busy], last[busy], len(lasts)) > 0
    seconds = np.zeros(len(intervals.begins))
    for kind in (WORK, CONTAINER, HIDDEN, WAIT):
        of_kind = intervals.kinds == kind
        running = _running(first[of_kind], last[of_kind], len(lasts))
        each = np.where(free & (running > 0), lasts / np.maximum(running, 1), 0.0)
        until = np.concatenate([[0.0], np.cumsum(each)])
        seconds[of_kind] = until[last[of_kind]] - until[first[of_kind]]
        free &= running == 0
    return seconds, float(lasts[free].sum())


def _running(first: NDArray[np.int64], last: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """How many intervals are on between two moments each."""
    change = np.bincount(first, minlength=count + 1) - np.bincount(last, minlength=count + 1)
    return np.cumsum(change)[:count]
