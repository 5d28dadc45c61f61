"""The last steps of epochs, beside which nobody makes batches: so long all would take if batches cost nothing."""

from collections.abc import Callable

from tb_trainspeed.recorder.sketch import Sketch

# In a shorter epoch the last step is not unlike the others; and so many epochs tell enough.
_FEWEST_STEPS, _MOST_EPOCHS = 3, 64


class LastSteps:
    """Knows which step is the last of its epoch and as large as the others, and what such steps take.

    Until it runs whatever makes batches beside the steps makes those to come, which takes cores, Python's lock and
    memory from them; then all are made.
    """

    def __init__(self) -> None:
        #: What they took; nanoseconds.
        self.taken = Sketch()
        #: Whether an epoch ends because its data do. Else batches may be made beside the last step as well.
        self.end_with_data = False
        #: How many batches an epoch has, if that is told.
        self.batches: int | None = None
        self._shapes: str | None = None
        self._steps: int | None = None
        self._taken_ns: int | None = None

    def may_be(self, steps: int) -> bool:
        """Whether so many steps may be all of an epoch."""
        many = self._steps if self.batches is None else self.batches
        return many is not None and steps >= many

    def is_one(self, steps: int, last: bool, batch: Callable[[], str]) -> bool:
        """Whether a step is one of them. `batch` describes its batch, of which the first one tells what is usual."""
        if self._shapes is None:
            self._shapes = batch()
            return False
        wanted = last and self.end_with_data and steps >= _FEWEST_STEPS and self.taken.count < _MOST_EPOCHS
        return wanted and batch() == self._shapes

    def ended(self, taken_ns: int | None) -> None:
        """A step took that, if it may be one of them."""
        self._taken_ns = taken_ns

    def epoch_over(self, steps: int, known: bool) -> None:
        """An epoch had that many steps, and so will the next one have, where nothing tells its number.

        `known`: what was told of the last one is what it took; an asynchronous device may still be at it.
        """
        self._steps = steps
        if known:
            self.add(self._taken_ns)

    def add(self, taken_ns: int | None) -> None:
        """The step that ended last took that after all, if that is known."""
        if self._taken_ns is not None and taken_ns is not None:
            self.taken.add(taken_ns)
        self._taken_ns = None
