"""The budget of measuring: what samples cost is measured, and the next one waits until it fits."""

import threading
import time
from collections.abc import Callable

# Allowed from the start, for a fit of seconds to have a few samples too: the budget of 13 s at the usual 1 %.
_ALLOWANCE_NS = 40_000_000
# What samples may take of it. The rest is for the clocks, which are always on: measured, 0.6 % of steps of 5 ms.
_FOR_SAMPLES = 0.3


class Budget:
    """Keeps what measuring costs below a share of the time that passed.

    Args:
        max_overhead: the share, 0 to 1. With 0 no sample is ever allowed.
        now: the clock, nanoseconds.
    """

    def __init__(self, max_overhead: float, now: Callable[[], int] = time.perf_counter_ns):
        self._max_overhead, self._now, self._start_ns = max_overhead, now, now()
        self._allowance_ns = _ALLOWANCE_NS
        self.spent_ns = 0
        self._lock = threading.Lock()

    def allows(self, expected_ns: float) -> bool:
        """Whether something that will cost this much may be done now."""
        if not self._max_overhead:
            return False
        earned = _FOR_SAMPLES * self._max_overhead * (self._now() - self._start_ns)
        return self.spent_ns + expected_ns <= max(self._allowance_ns, earned)

    def earn_all(self) -> None:
        """Nothing is allowed from the start: of a model that is fitted again and again, for a moment each time."""
        self._allowance_ns = 0

    def spend(self, cost_ns: int) -> None:
        """Something was done that cost this much. May be called from any thread."""
        with self._lock:
            self.spent_ns += cost_ns
