"""Which calls of the train function traced, and what they took."""

import dataclasses

from tb_trainspeed.profile import Compilation

# So many steps are asked whether they traced, however short their calls are: TensorFlow traces up to three times.
_FIRST_STEPS = 4


class Traces:
    """Counts them. Times are nanoseconds."""

    def __init__(self) -> None:
        self.calls = self.total_ns = 0
        self._first_call_ns = 0
        self._asked_until = _FIRST_STEPS

    def new_function(self, steps: int) -> None:
        """After so many steps of the fit comes another train function, which traces however short its calls are."""
        self._asked_until = steps + _FIRST_STEPS

    def asks(self, steps: int) -> bool:
        """Whether after so many steps every call is asked."""
        return steps < self._asked_until

    def suspicious_ns(self, typical_ns: float) -> float:
        """A call that takes longer is asked, whenever it comes."""
        return 2 * typical_ns

    def suspects(self, steps: int, duration_ns: int, typical_ns: float) -> bool:
        """Whether it is worth asking if a call traced."""
        return self.asks(steps) or duration_ns > self.suspicious_ns(typical_ns)

    def add(self, duration_ns: int, spent_ns: int) -> bool:
        """A call traced, which took so much of it. Returns whether it was not the first."""
        self.calls += 1
        # Not the duration: what tracing leaves to the garbage collector was charged as such.
        self.total_ns += spent_ns
        again = self._first_call_ns > 0
        self._first_call_ns = self._first_call_ns or duration_ns
        return again

    def facts(self, compilation: Compilation, total_s: float) -> Compilation:
        """Returns `compilation` with what was counted."""
        return dataclasses.replace(
            compilation,
            first_step_s=self._first_call_ns * 1e-9 or None,
            total_s=total_s,
            count=self.calls,
            retraces=max(0, self.calls - 1),
        )
