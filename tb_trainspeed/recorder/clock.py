"""A clock that charges every nanosecond of one thread to exactly one slot."""

import collections
import time
from collections.abc import Callable, Hashable

_HISTORY = 1024
_MOST_READS = 1000


class PhaseClock:
    """Charges elapsed time to the slot on top of a stack: the totals add up to the elapsed time by construction.

    Args:
        base: the slot that is charged while nothing is pushed; `switch` changes it.
        now: the clock, nanoseconds. Tests pass a fake one.
    """

    def __init__(self, base: Hashable, now: Callable[[], int] = time.perf_counter_ns, start_ns: int | None = None):
        self.now = now
        #: Set while something is yet to be charged: it does so, and is to be called before any other charge.
        self.catch_up: Callable[[], None] | None = None
        self._stack: list[Hashable] = [base]
        self.start_ns = self._last = now() if start_ns is None else start_ns
        self.totals: collections.defaultdict[Hashable, int] = collections.defaultdict(int)
        self._changes = 0
        self._history: collections.deque[tuple[int, int, Hashable]] | None = None

    @property
    def history(self) -> collections.deque[tuple[int, int, Hashable]]:
        """What was charged last: (begin, end, slot). Kept from the first time it is asked for."""
        if self._history is None:
            self._history = collections.deque(maxlen=_HISTORY)
        return self._history

    def tick(self, at_ns: int | None = None) -> int:
        """Charges what elapsed until now, or until `at_ns`, to the slot in charge; returns the time, ns."""
        if at_ns is None and self.catch_up:
            self.catch_up()
        self._changes += 1
        # The garbage collector may have been charged after somebody looked at the time, and before he told.
        now = self.now() if at_ns is None else max(at_ns, self._last)
        slot, last = self._stack[-1], self._last
        self._last = now
        self.totals[slot] += now - last
        if self._history is not None:  # what is added here may start a collection, which is charged from `now` on
            self._history.append((last, now, slot))
        self._changes += 1
        return now

    def push(self, slot: Hashable, at_ns: int | None = None) -> int:
        """Charges to `slot` until `pop`; returns the time, ns."""
        now = self.tick(at_ns)
        self._stack.append(slot)
        return now

    def pop(self, at_ns: int | None = None) -> int:
        """Goes back to the slot that was charged before the last `push`; returns the time, ns."""
        now = self.tick(at_ns)
        if len(self._stack) > 1:
            self._stack.pop()
        return now

    def switch(self, slot: Hashable, at_ns: int | None = None) -> int:
        """Makes `slot` the one that is charged while nothing is pushed; returns the time, ns."""
        now = self.tick(at_ns)
        self._stack[0] = slot
        return now

    def move(self, source: Hashable, target: Hashable, amount_ns: int) -> None:
        """Charges `amount_ns` of what `source` was charged to `target` instead."""
        self._changes += 1
        self.totals[source] -= amount_ns
        self.totals[target] += amount_ns
        self._changes += 1

    def read(self) -> tuple[int, dict[Hashable, int]]:
        """Returns the time and a copy of the totals up to it, consistent even when called from another thread.

        While something is yet to be charged, it is the time up to which all was.

        Every change counts up before and after: an even count that is the same around the copy proves that none was
        under way (a sequence lock, as in the Linux kernel). A Ctrl-C in a change leaves it odd: the last is used.
        """
        for _ in range(_MOST_READS):
            changes = self._changes
            last, slot = self._last, self._stack[-1]
            totals = dict(self.totals)
            now = last if self.catch_up else self.now()
            if changes % 2 == 0 and self._changes == changes:
                break
            time.sleep(0)  # lets the other thread finish
        totals[slot] = totals.get(slot, 0) + now - last
        return now, totals
