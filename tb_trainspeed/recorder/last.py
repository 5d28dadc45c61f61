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
        self._shapes: str | None = None
        self._batches: int | None = None

    def may_be(self, steps: int, batches: int | None) -> bool:
        """Whether that many steps may be all of an epoch.

        Args:
            steps: steps of the epoch so far.
            batches: its batches, if their number is told.
        """
        many = self._batches if batches is None else batches
        return many is not None and steps >= many

    def is_one(self, steps: int, last: bool, batch: Callable[[], str]) -> bool:
        """Whether a step is one of them. `batch` describes its batch, of which the first one tells what is usual."""
        if self._shapes is None:
            self._shapes = batch()
            return False
        wanted = last and self.end_with_data and steps >= _FEWEST_STEPS and self.taken.count < _MOST_EPOCHS
        return wanted and batch() == self._shapes

    def epoch_over(self, steps: int) -> None:
        """An epoch had that many steps, and so will the next one have, where nothing tells its number."""
        self._batches = steps
