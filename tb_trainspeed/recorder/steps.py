"""What a step takes: from begin to begin, inside the train function, and of processors."""

from collections.abc import Callable

from tb_trainspeed.profile import Steps
from tb_trainspeed.recorder.ledger import DEVICE, FETCH, FIRST_WAIT, GAP, Mark
from tb_trainspeed.recorder.sketch import Sketch


class StepTimes:
    """Adds up what steps took. Times are nanoseconds.

    Args:
        cpu_now: CPU time of the process.
    """

    def __init__(self, cpu_now: Callable[[], int]):
        #: How many steps one call of the train function makes.
        self.per_call = 1
        #: From the begin of a step to that of the next one, and inside a call of the train function.
        self.step, self.call = Sketch(), Sketch()
        #: CPU time of the main thread inside those calls of which it is known, and how many these are.
        self._dispatch_ns = self._dispatches = 0
        #: The host's part of those of these steps before which there was another.
        self._host = Sketch()
        #: Calls that had computed their step when they returned, though the device is asynchronous.
        self.computed_in_call = 0
        self._cpu_now = cpu_now
        self._cpu_begin: tuple[int, int] | None = None
        self._cpu_ns = self._cpu_steps = 0

    def call_over(self, duration_ns: int, dispatch_ns: int | None, before_ns: int | None) -> None:
        """A call of the train function took this, and perhaps this much CPU time of the main thread.

        `before_ns` is what the host needed between the call before and this one, if that belongs to this step.
        """
        self.call.add(duration_ns)
        if dispatch_ns is not None:
            self._dispatch_ns += dispatch_ns
            self._dispatches += 1
            if before_ns is not None:
                self._host.add(before_ns + dispatch_ns)

    def mean_call_ns(self) -> float:
        """Returns the mean time inside a call, 0 before the first."""
        return self.call.total_ns / self.call.count if self.call.count else 0.0

    def call_ns(self) -> float:
        """Returns the median time inside a call, 0 before the first."""
        return self.call.quantiles_ns(0.5)[0] if self.call.count else 0.0

    def cpu_begin(self, steps: int) -> None:
        """CPU time counts from here, after `steps` steps of the fit."""
        if not self._cpu_begin:
            self._cpu_begin = self._cpu_now(), steps

    def cpu_end(self, steps: int) -> None:
        """CPU time counts no longer: what follows is no step."""
        if self._cpu_begin:
            self._cpu_ns += self._cpu_now() - self._cpu_begin[0]
            self._cpu_steps += steps - self._cpu_begin[1]
            self._cpu_begin = None

    def _cpu_s(self, steps: int) -> float | None:
        cpu_ns, cpu_steps, begin = self._cpu_ns, self._cpu_steps, self._cpu_begin
        if begin:
            cpu_ns, cpu_steps = cpu_ns + self._cpu_now() - begin[0], cpu_steps + steps - begin[1]
        return cpu_ns / cpu_steps * 1e-9 if cpu_steps > 0 else None

    def facts(
        self,
        mark: Mark,
        wait_share: float | None,
        device_known: bool,
        call_dispatches: bool,
        last: Sketch,
        idle_s: float | None = None,
    ) -> Steps:
        """Returns what is known up to `mark`. May be called from any thread.

        `wait_share` is the wait's share of the train function, where the batch is fetched inside it. `device_known`:
        when an asynchronous device was busy is known. `call_dispatches`: what the main thread computes inside the train
        function is dispatch. `last`: what the last steps of epochs took. `idle_s`: what an accelerator that
        runs behind the host waits for it in a step; what the host does meanwhile is hidden.
        """
        per_call = self.per_call
        call = self.call.summary()
        fetched = mark.waits > 0
        wait_s = compute_s = None
        if fetched:
            wait_s = (mark.totals.get("input_wait", 0) + mark.totals.get(FIRST_WAIT, 0)) / mark.waits * 1e-9
        elif call and wait_share is not None:
            wait_s = wait_share * call.mean_s / per_call
        if device_known and mark.steps:
            compute_s = mark.totals.get(DEVICE, 0) / mark.steps * 1e-9
        elif call and wait_s is not None:
            compute_s = call.p50_s / per_call * (1 - (0.0 if fetched else wait_share or 0.0))
        host_ns = mark.totals.get(GAP, 0) + mark.totals.get(FETCH, 0)
        dispatch_s = least_dispatch_s = None
        if call and call_dispatches and self._dispatches and self.computed_in_call < call.count / 2:
            dispatch_s = (host_ns / mark.steps + self._dispatch_ns / self._dispatches / per_call) * 1e-9
            if self._host.count:
                least_dispatch_s = self._host.quantiles_ns(0.05)[0] / per_call * 1e-9
        if dispatch_s is not None and idle_s is not None:
            dispatch_s = min(dispatch_s, idle_s)
            least_dispatch_s = least_dispatch_s and min(least_dispatch_s, dispatch_s)
        return Steps(
            count=mark.steps,
            step=self.step.summary(),
            call=call,
            last=last.summary() if self.per_call == 1 else None,
            gap_s=mark.totals.get(GAP, 0) / mark.steps * 1e-9 if mark.steps else None,
            sampled=mark.waits,
            wait_s=wait_s,
            dispatch_s=dispatch_s,
            least_dispatch_s=least_dispatch_s,
            compute_s=compute_s,
            cpu_s=self._cpu_s(mark.steps),
        )
