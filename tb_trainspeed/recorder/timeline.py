"""The time line of a fit: marks between a fixed number of buckets, which merge pairwise as the run grows."""

import dataclasses
import itertools

from tb_trainspeed.profile import PHASES, Timeline
from tb_trainspeed.recorder.ledger import Mark, Scale, ledger_between

BUCKETS = 128


class Buckets:
    """Buckets of equally many steps, each from one mark to the next.

    Args:
        start: where the first bucket begins.
    """

    def __init__(self, start: Mark):
        self._marks = [start]
        self._stride = 1

    @property
    def last(self) -> Mark:
        """Where the last bucket ends."""
        return self._marks[-1]

    def start(self, mark: Mark) -> None:
        """The first bucket begins here instead."""
        self._marks = [mark]

    def full(self, steps: int) -> bool:
        """Whether the bucket that is open has its steps after `steps` steps of the fit."""
        return steps - self._marks[-1].steps >= self._stride

    def add(self, mark: Mark) -> None:
        """The bucket that is open ends here."""
        self._marks.append(mark)
        if len(self._marks) > BUCKETS:
            self._merge()

    def close(self, mark: Mark) -> None:
        """The fit ends here."""
        if mark.steps > self._marks[-1].steps or mark.at_ns > self._marks[-1].at_ns:
            self._marks.append(mark)

    def _merge(self) -> None:
        marks = self._marks
        kept = [marks[0]]
        for left, right in zip(marks[1::2], marks[2::2], strict=False):
            kept.append(dataclasses.replace(right, slowest_ns=max(left.slowest_ns, right.slowest_ns)))
        self._marks = kept
        self._stride *= 2

    def timeline(self, steps_per_call: int, scale: Scale) -> Timeline:
        """Returns the buckets as columns. May be called from any thread."""
        marks, stride = list(self._marks), self._stride
        ledgers = [ledger_between(begin, end, 0, scale) for begin, end in itertools.pairwise(marks)]
        columns = {name: tuple(ledger.phases[name] for ledger in ledgers) for name in PHASES}
        return Timeline(
            stride,
            tuple(mark.steps for mark in marks[:-1]),
            tuple(ledger.steps for ledger in ledgers),
            tuple((mark.at_ns - scale.start_ns) * 1e-9 for mark in marks[:-1]),
            tuple(ledger.wall_s for ledger in ledgers),
            tuple(mark.slowest_ns * 1e-9 / steps_per_call for mark in marks[1:]),
            {name: column for name, column in columns.items() if any(column)},
        )
