"""The recorder of one fit: clock transitions and step events in, the dynamic part of a `Profile` out."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from tb_trainspeed.profile import Profile
from tb_trainspeed.recorder.curves import Curves
from tb_trainspeed.recorder.hooks import HookRow, HookTable
from tb_trainspeed.recorder.ledger import FIRST_WAIT, Scale, ledger_between, shares_of
from tb_trainspeed.recorder.sketch import Sketch
from tb_trainspeed.recorder.stepping import StepRecorder
from tb_trainspeed.recorder.validation import ValidationTimes


class FitRecorder(StepRecorder):
    """Records one fit. All methods but `fill` must be called from the thread that runs the fit.

    Args:
        start_ns: when the fit started, on the clock `now`.
        clocks: others than the machine's, see `StepRecorder`.
    """

    def __init__(self, start_ns: int | None = None, **clocks: Callable[[], int]):
        super().__init__(start_ns, **clocks)
        self.hooks = HookTable()
        self.active_row: HookRow | None = None
        #: Phases that deep samples of this fit do not tell apart.
        self.untold: frozenset[str] = frozenset()
        self.finished_ns: int | None = None
        self._validation, self._curves = ValidationTimes(), Curves()

    def safely(self, action: Callable[[], None]) -> None:
        """Runs `action` under the same guard as all other methods here."""
        action()

    # --- epochs and validation

    def epoch_begin(self, epoch: int) -> None:
        """An epoch starts: what came since the last one belongs to that one."""
        self._leave_steps("epoch_restart")
        self.later.forbid()  # for what is measured from its first step on
        if self._steps:
            mark = self._mark(self.clock.switch("epoch_restart"))
            if not self._epochs.are_steady:
                self._times.step = Sketch()
            self._epochs.over(mark)
            self._marker("epoch", mark.at_ns, 0, f"epoch {epoch + 1}")
        self._step_of_epoch = self._fetches_of_epoch = 0
        self._releasing_from = self.clock.totals["epoch_restart"]

    def epoch_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """The steps of an epoch are over; these are its logs."""
        self._leave_steps("epoch_restart")
        self.clock.switch("epoch_restart")
        self._let_go()  # what is left of a validation
        self._epochs.count += 1
        self._curves.add(logs or {})

    def validation_begin(self, batches: int | None = None) -> None:
        """A validation starts; it has this many batches, if that is known."""
        self._leave_steps("validation")
        if self._device:  # Keras goes on without waiting for it
            self._device.note_end()
        self._validation.begin(self.clock.switch("validation"), batches, self.clock.totals["validation"])

    def validation_call(self, duration_ns: int) -> None:
        """One call of the test function. The first of a validation that traced is compilation, not validation."""
        self._validation.call(duration_ns, self._times.per_call)

    def validation_end(self) -> None:
        now = self.clock.switch("epoch_restart")
        self._poll_device(now, self._ask_device())
        self._releasing_from = self.clock.totals["epoch_restart"]
        if tracing_ns := self._validation.tracing_ns(self.clock.totals["validation"]):
            self.clock.move("validation", "compilation", tracing_ns)
        self._marker("validation", self._validation.begin_ns, now - self._validation.begin_ns)

    def epochs_over(self) -> None:
        """No epoch follows: what callbacks do from here on they do once."""
        if self.finished_ns is None:
            self._leave_steps("epoch_restart")
            self._epochs.finish(self._mark(self.clock.switch("epoch_restart")))

    def finish(self) -> None:
        """The fit is over; what was recorded no longer changes."""
        if self.finished_ns is None:
            self.finished_ns = self.clock.read()[0]  # also if what follows fails
            self._leave_steps("epoch_restart")
            mark = self._mark(self.clock.switch("epoch_restart"))
            self._epochs.finish(mark)
            self._buckets.close(mark)
            self.finished_ns = mark.at_ns
            self._beyond = int  # what it asks holds the data

    # --- callbacks

    def row(self, callback: str, hook: str, phase: str) -> HookRow:
        """Returns a new row of the table of callbacks."""
        return self.hooks.add(callback, hook, phase)

    def enter(self, row: HookRow) -> int:
        """A hook is called. Returns the time, ns, for `leave`."""
        # Where Keras waits for the logs of a step, it has done so: the device is idle.
        ended = self._ask_device()
        now = self.clock.now()
        if self._crowding:
            self._crowding.enter(row)
        (self.later.tell if row.of_batch else self._tell_now)(self._enter, now, row, ended)
        return now

    def leave(self, row: HookRow, begin_ns: int) -> None:
        """A hook that was entered at `begin_ns` returned."""
        now = self.clock.now()
        if self._crowding:
            self._crowding.leave(row, now - begin_ns)
        (self.later.tell if row.of_batch else self._tell_now)(self._leave, now, row, begin_ns)

    def _tell_now(self, action: Callable[..., None], now: int, *arguments: Any) -> None:
        self.later.catch_up()
        action(now, *arguments)

    def _enter(self, now: int, row: HookRow, ended: int) -> None:
        self.clock.push(row, now)
        self._poll_device(now, ended)

    def _leave(self, now: int, row: HookRow, begin_ns: int) -> None:
        self.clock.pop(now)
        row.calls += 1
        if now - begin_ns > row.max_ns:
            row.max_ns = now - begin_ns
        if row.phase == "checkpointing" and now - begin_ns > 1_000_000:
            self._marker("checkpoint", begin_ns, now - begin_ns, row.callback)

    def nested_call(self, row: HookRow, function: str, duration_ns: int) -> None:
        """A method of the model that may be dear was called inside a hook."""
        self.hooks.nested_call(row, function, duration_ns)

    # --- out

    def fill(self, profile: Profile) -> Profile:
        """Returns `profile` with everything that was recorded so far. May be called from any thread."""
        now, totals = self.clock.read()
        mark = self._buckets.last if self.finished_ns is not None else self._mark(now, totals)
        device_known, per_call = self.follows_device, self._times.per_call
        shares = shares_of(profile.breakdown, device_known) if profile.breakdown else None
        wait_known = mark.waits > 0 or "input_wait" in (shares or {})
        first_waits = totals.get(FIRST_WAIT, 0)
        later_waits = mark.waits - mark.first_steps
        scale = Scale(
            self.clock.start_ns,
            self._times.call_ns(),
            self.own_cost.step_ns / per_call,
            totals.get("input_wait", 0) / later_waits if later_waits > 0 else first_waits / max(1, mark.first_steps),
            wait_known,
            device_known,
            shares,
            self.untold,
        )
        ledger = ledger_between(None, mark, self._epochs.count, scale)
        idle_s = None
        if self.device_is_apart and mark.steps:
            idle_s = (ledger.phases["host_overhead"] or 0.0) / mark.steps
        return dataclasses.replace(
            profile,
            validation=self._validation.facts(
                profile.validation, per_call, totals.get("validation", 0) if device_known else None
            ),
            ledger=ledger,
            steady=self._epochs.steady(scale),
            epochs=self._epochs.facts(),
            steps=self._times.facts(
                mark,
                (shares or {}).get("input_wait"),
                device_known,
                self.call_dispatches,
                self.last_steps.taken,
                idle_s,
            ),
            hooks=self.hooks.hooks(mark.totals),
            curves=self._curves.curves(),
            nested_calls=self.hooks.nested_calls(),
            compilation=self._traces.facts(profile.compilation, ledger.phases["compilation"] or 0.0),
            timeline=self._buckets.timeline(per_call, scale),
            markers=self._markers.markers(),
        )
