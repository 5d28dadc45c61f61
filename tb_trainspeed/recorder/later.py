"""What was told of steps, put off until there are a few of them to be added up at once.

A step of milliseconds leaves nothing of our code and data in the caches. Measured on two cores on TensorFlow: adding up
after every step took 15 µs of a step of 1 ms, 110 µs of one of 5 ms, and 150 µs of one of 20 ms; of many in a row each
takes a tenth.
"""

import math
from collections.abc import Callable
from typing import Any

from tb_trainspeed.recorder.clock import PhaseClock

_MOST_STEPS = 32
# So far behind a report may be that is read while the fit runs.
_LONGEST_NS = 200_000_000


class Later:
    """Keeps what is told in its order, with its times, for as long as nobody asks the clock."""

    def __init__(self, clock: PhaseClock):
        self._clock = clock
        self._told: list[tuple[Callable[..., None], int, tuple[Any, ...]]] = []
        self._room = 0
        self._usual_ns: float = -1
        self._told_ns, self._since = 0, (0, 0)
        #: Steps that are not added up yet.
        self.steps = 0
        #: Whether what was told is being added up: with the clock in the past, which must not be asked for the present.
        self.adding_up = False

    @property
    def waits(self) -> bool:
        """Whether what is told may wait."""
        return self._room > 0

    def tell(self, action: Callable[..., None], at_ns: int, *arguments: Any) -> None:
        """Calls `action(at_ns, *arguments)`, later if it can wait."""
        self._told_ns = at_ns
        if self._room:
            # Making these may start a collection of garbage, which catches up: then `_told` is another list.
            told = action, at_ns, arguments
            self._clock.catch_up = self.catch_up
            self._told.append(told)
        else:
            action(at_ns, *arguments)

    def is_usual(self, at_ns: int) -> bool:
        """Whether a call that ends now, and began with what was told last, took no longer than others."""
        return at_ns - self._told_ns <= self._usual_ns

    def step_told(self, usual: bool) -> None:
        """All of a step was told: adds up if it was none of the usual ones, or there are enough."""
        self.steps += 1
        if self.steps >= self._room or not usual:
            self.catch_up()

    def catch_up(self) -> None:
        """Does what was put off, at our own expense."""
        clock, nothing = self._clock, list[Any]()  # to make a list may start a collection of garbage, which catches up
        told, self._told = self._told, nothing
        self.adding_up = bool(told)
        clock.catch_up, self.steps = None, 0
        if told:
            begin = clock.now()
            try:
                for action, at_ns, arguments in told:
                    action(at_ns, *arguments)
            finally:
                self.adding_up = False
            clock.push("trainspeed", begin)
            clock.pop()

    def allow(self, now_ns: int, steps: int, usual_ns: float) -> None:
        """From here on what is told may wait, if steps are short.

        Args:
            steps: steps of the fit until now.
            usual_ns: a call of the train function that takes longer must not wait.
        """
        step_ns = (now_ns - self._since[0]) / max(1, steps - self._since[1])
        self._room = min(_MOST_STEPS, math.floor(_LONGEST_NS / max(1.0, step_ns)))
        self._since, self._usual_ns = (now_ns, steps), usual_ns

    def forbid(self) -> None:
        """Nothing may wait, until `allow`."""
        self.catch_up()
        self._room, self._usual_ns = 0, -1
