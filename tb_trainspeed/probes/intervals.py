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


def share(intervals: Intervals, windows: tuple[Times, Times], beyond: bool, fill: bool) -> tuple[Seconds, float]:
    """Shares the time inside the windows among the intervals: at each instant in equal parts among those that count.

    Args:
        intervals: what ran.
        windows: begins and ends of the time to be shared, which do not overlap.
        beyond: outside the windows the time of everything but waits is shared too.
        fill: between the first and the last work of a window, the time in which nothing runs counts to the work that
            comes next, which is being got on its way.

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
    if fill:
        _fill(seconds, free, lasts, np.where(intervals.kinds == WORK, first, -1), windows, moments)
    return seconds, float(lasts[free].sum())


def _fill(
    seconds: Seconds,
    free: NDArray[np.bool_],
    lasts: Seconds,
    first: NDArray[np.int64],
    windows: tuple[Times, Times],
    moments: Times,
) -> None:
    """Gives free time to the next work of its window; `first` is where work begins, -1 for what is none."""
    order = np.argsort(first, kind="stable")[np.count_nonzero(first < 0) :]
    begins = first[order]
    window_begins = np.sort(np.searchsorted(moments, windows[0]))
    window_ends = np.sort(np.searchsorted(moments, windows[1]))
    gaps = np.nonzero(free)[0]
    window = np.searchsorted(window_begins, gaps, side="right") - 1
    gaps, window = gaps[window >= 0], window[window >= 0]
    following = np.searchsorted(begins, gaps, side="right")
    preceding = np.searchsorted(begins, window_begins[window], side="left")
    inside = following < len(begins)
    gaps, window, following, preceding = gaps[inside], window[inside], following[inside], preceding[inside]
    inside = (begins[following] < window_ends[window]) & (begins[preceding] <= gaps)
    gaps, following = gaps[inside], following[inside]
    np.add.at(seconds, order[following], lasts[gaps])
    free[gaps] = False


def _running(first: NDArray[np.int64], last: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """How many intervals are on between two moments each."""
    change = np.bincount(first, minlength=count + 1) - np.bincount(last, minlength=count + 1)
    return np.cumsum(change)[:count]
