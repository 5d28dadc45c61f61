"""What the validations inside `fit` took."""

import dataclasses

from tb_trainspeed.profile import Validation
from tb_trainspeed.recorder.sketch import Sketch


class ValidationTimes:
    """Counts validations and their steps. Times are nanoseconds on the clock of the fit."""

    def __init__(self) -> None:
        self.begin_ns = self._charged_ns = 0
        self._runs = self._steps = self._first_ns = 0
        self._calls = Sketch()
        self._left: int | None = None

    def begin(self, now: int, batches: int | None, charged_ns: int) -> None:
        """A validation starts; it has this many batches, if that is known. So much was charged to those before it."""
        self.begin_ns, self._left, self._charged_ns = now, batches, charged_ns
        self._first_ns = 0
        self._runs += 1

    def call(self, duration_ns: int, steps_per_call: int) -> None:
        """One call of the test function, which makes this many steps."""
        if self._runs == 1 and not self._first_ns:
            self._first_ns = duration_ns
        else:
            self._calls.add(duration_ns)
        made = steps_per_call
        if self._left is not None:  # the last call may make fewer
            made = max(1, min(made, self._left))
            self._left -= made
        self._steps += made

    def tracing_ns(self, charged_ns: int) -> int:
        """Returns what the first call of the first validation took longer than others, at its end: it traced.

        `charged_ns`: what was charged to validations until now. The device may have been computing meanwhile.
        """
        if not self._first_ns or not self._calls.count:
            return 0
        tracing_ns = self._first_ns - int(self._calls.quantiles_ns(0.5)[0])
        return max(0, min(tracing_ns, charged_ns - self._charged_ns))

    def facts(self, known: Validation | None, steps_per_call: int, device_ns: int | None) -> Validation | None:
        """Returns what is `known` with what was counted.

        `device_ns` is what all validations took on an asynchronous device, whose calls only enqueue a step.
        """
        if not self._runs:
            return known
        if device_ns is not None:
            step_s = device_ns / max(1, self._steps) * 1e-9
        else:
            step_s = self._calls.quantiles_ns(0.5)[0] / steps_per_call * 1e-9
        return dataclasses.replace(known or Validation(), runs=self._runs, steps=self._steps, step_s=step_s or None)
