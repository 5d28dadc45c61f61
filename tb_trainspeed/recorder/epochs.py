"""What the epochs after the first took, which is what recurs."""

from tb_trainspeed.profile import Epochs, Ledger
from tb_trainspeed.recorder.ledger import Mark, Scale, ledger_between
from tb_trainspeed.recorder.sketch import Sketch


class EpochTimes:
    """Follows the epochs. The steady ones are those after the first."""

    def __init__(self) -> None:
        #: Epochs whose steps are over.
        self.count = 0
        self._first: Mark | None = None
        #: The last mark, and how many there are; one attribute, for another thread reads it.
        self._last: tuple[Mark, int] | None = None
        self._spent = {"epoch_restart": Sketch(), "gc": Sketch()}
        self._release, self._released_ns = Sketch(), 0

    @property
    def are_steady(self) -> bool:
        """Whether the first epoch is over."""
        return self._first is not None

    def over(self, mark: Mark) -> None:
        """A steady epoch ended with this mark, or the first of them begins."""
        last, marks = self._last or (None, 0)
        if last:
            for slot, sketch in self._spent.items():
                sketch.add(mark.totals.get(slot, 0) - last.totals.get(slot, 0))
            self._release.add(self._released_ns)
        self._released_ns = 0
        self._first = self._first or mark
        self._last = mark, marks + 1

    def finish(self, mark: Mark) -> None:
        """The last epoch ends with this mark, if it was not told before.

        An epoch that was broken off is no steady one, unless there is no other.
        """
        marks = self._last[1] if self._last else 0
        if marks and (marks == 1 or self.count > marks):
            self.over(mark)

    def released(self, duration_ns: int) -> None:
        """The iterator of an epoch was let go, which took this long."""
        self._released_ns += duration_ns

    def steady(self, scale: Scale) -> Ledger | None:
        """Returns the ledger of the steady epochs, or `None` before there is one."""
        first, (last, marks) = self._first, self._last or (None, 0)
        if first and last and last.steps > first.steps:
            return ledger_between(first, last, marks - 1, scale)
        return None

    def facts(self) -> Epochs:
        return Epochs(*(sketch.summary() for sketch in (*self._spent.values(), self._release)))
