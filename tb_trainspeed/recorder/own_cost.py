"""What it takes to tell what happens in a step."""

from collections.abc import Callable, Sequence
from typing import Any

from tb_trainspeed.recorder.clock import PhaseClock

# One step in so many is weighed. Odd, as what is told is added up after a power of two of them.
_EVERY = 17


class OwnCost:
    """Weighs it in some steps, where it is told: a step leaves little of our code in the caches, and a loop over it
    would find a tenth. By CPU time, as waiting for Python's lock would be waited for a little later without us.

    Args:
        clock: of the fit; what is charged to ourselves anyway does not count again.
        thread_now: CPU time of the calling thread, nanoseconds.
    """

    def __init__(self, clock: PhaseClock, thread_now: Callable[[], int]):
        self._clock, self._thread_now = clock, thread_now
        #: Whether the step that runs is weighed.
        self.weighs = False
        self._steps = self._weighed = self._taken_ns = 0

    def weigh(self, method: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        """Calls what is ours, in a step that is weighed."""
        charged, begin = self._clock.totals["trainspeed"], self._thread_now()
        result = method(*arguments)
        taken_ns = self._thread_now() - begin
        self._taken_ns += max(0, taken_ns - (self._clock.totals["trainspeed"] - charged))
        return result

    def step_over(self) -> None:
        """All of a step was told."""
        self._steps += 1
        self._weighed += self.weighs
        self.weighs = self._steps % _EVERY == 0

    @property
    def step_ns(self) -> float:
        """What is told of one step takes, nanoseconds; 0 before a step was weighed."""
        return self._taken_ns / self._weighed if self._weighed else 0.0
