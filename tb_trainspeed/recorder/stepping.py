"""What happens in steps: fetches, calls of the train function, an asynchronous device, deep samples."""

import time
from collections.abc import Callable, Hashable, Mapping

from tb_trainspeed.profile import Marker
from tb_trainspeed.recorder.clock import PhaseClock
from tb_trainspeed.recorder.crowding import Crowding
from tb_trainspeed.recorder.device import DeviceQueue, DeviceWatch, Done
from tb_trainspeed.recorder.epochs import EpochTimes
from tb_trainspeed.recorder.last import LastSteps
from tb_trainspeed.recorder.later import Later
from tb_trainspeed.recorder.ledger import CALL, DEVICE, FETCH, FIRST_WAIT, GAP, Mark
from tb_trainspeed.recorder.markers import Markers
from tb_trainspeed.recorder.own_cost import OwnCost
from tb_trainspeed.recorder.steps import StepTimes
from tb_trainspeed.recorder.timeline import Buckets
from tb_trainspeed.recorder.traces import Traces

# Asking an asynchronous device costs: on two cores, all busy, a question 10 µs and more of the thread that trains. So
# short a fetch, and so short a call, are not worth one of their own.
_SHORT_FETCH_NS, _SHORT_CALL_NS = 50_000, 1_000_000


class StepRecorder:
    """Records the steps of one fit. All methods must be called from the thread that runs the fit.

    What is public tells when something happened; the private method of the same event adds it up, perhaps later.

    Args:
        start_ns: when the fit started, on the clock `now`.
        now: the clock, nanoseconds.
        cpu_now: CPU time of the process, nanoseconds.
        thread_now: CPU time of the calling thread, nanoseconds.
    """

    def __init__(
        self,
        start_ns: int | None = None,
        now: Callable[[], int] = time.perf_counter_ns,
        cpu_now: Callable[[], int] = time.process_time_ns,
        thread_now: Callable[[], int] = time.thread_time_ns,
    ):
        self.clock = PhaseClock("startup", now, start_ns)
        self.later = Later(self.clock)
        self.own_cost = OwnCost(self.clock, thread_now)
        #: Whether what is told of usual steps may be added up later.
        self.may_wait = False
        self._cpu_now, self._thread_now = cpu_now, thread_now
        self._times = StepTimes(cpu_now)
        self.last_steps = LastSteps()
        self._steps = self._first_steps = self._waits = 0
        self._beyond: Callable[[], int] = int
        self._begin_ns = self._call_ns = self._slowest_ns = self._fetched_in_call = 0
        #: Learns how long a step takes on an asynchronous device; its `run` is for a thread of its own.
        self.watch = DeviceWatch(now)
        self._device: DeviceQueue | None = None
        self._crowding: Crowding | None = None
        #: Whether what the main thread computes inside the train function is dispatch; else it may be the step itself.
        self.call_dispatches = True
        #: Whether the train function fetches its batch itself, so that nothing happens between the begin of an epoch
        #: and its first call but that an iterator is let go. Else whoever fetches tells when one is.
        self.call_fetches = False
        self._fetches_of_epoch = self._fetch_begin_ns = self._fetch_total = self._fetch_thread_ns = 0
        #: When the last step and the last fetch began, as told.
        self._begin_told_ns = self._fetch_told_ns = 0
        self._fetch_slot = FIRST_WAIT
        self._just_traced = self._just_asked = self._no_more = False
        self._sample_open = self._perturbed = False
        #: How many times as long as others the steps of the last sample took, if there are others.
        self.sample_slowdown: float | None = None
        self._sampled_ns = self._sampled_calls = 0
        self._totals_at_begin: dict[str, int] = {}
        #: Of the step that runs, where it is measured.
        self._thread_begin: int | None = None
        self._dispatched_ns: int | None = None
        self._traces = Traces()
        self._in_epoch = False
        self._step_of_epoch = 0
        #: What the boundary between epochs had taken when nothing was left to do but to let an iterator go.
        self._releasing_from: int | None = None
        self._gap_before = 0
        self._epochs = EpochTimes()
        self._buckets = Buckets(self._mark(self.clock.start_ns))
        self._markers = Markers()

    # --- an asynchronous device

    def follow_device(self, cores: float | None = None) -> None:
        """The device runs behind the host from now on: `step_end` is told when it is done with a step.

        Args:
            cores: how many the process may use, if the device is the processor itself.
        """
        if cores:
            self._crowding = Crowding(cores, self.clock.now, self._cpu_now, self._thread_now)
        lost = self._crowding.lost if self._crowding else None
        self._device = DeviceQueue(self.clock, DEVICE, self._step_ended, self.watch, lost)

    def _step_ended(self, duration_ns: int) -> None:
        if self._perturbed or duration_ns <= 0:  # as where the device was done before the host had compiled the next
            return
        self._times.step.add(duration_ns // self._times.per_call)
        self._slowest_ns = max(self._slowest_ns, duration_ns)

    def watch_device(self) -> None:
        """A step was handed over a moment ago: has it watched where that tells how long one takes."""
        # The first run of a compiled step takes longer, and so does one that is looked into.
        if self._device and not (self._just_traced or self._sample_open):
            self._device.watch()

    @property
    def follows_device(self) -> bool:
        """Whether the device runs behind the host."""
        return self._device is not None

    @property
    def device_is_apart(self) -> bool:
        """Whether the device runs behind the host, and is not the processor itself."""
        return self._device is not None and self._crowding is None

    def drain_device(self) -> None:
        """Waits for the device."""
        if self._device:
            self._device.drain()

    def epoch_logs_read(self) -> None:
        """Keras reads the logs of an epoch in a moment, for which it waits for the device: so may we."""
        self.later.catch_up()
        if self._in_epoch:
            self._settle_gap(self.clock.tick())
        if self._device:  # which the call of the last step did not wait for
            self._device.drain()
            self.last_steps.add(self._device.taken_ns)

    def _settle_gap(self, now: int) -> None:
        """The last step of an epoch was handed over a while ago: what the host did since then."""
        if self._crowding:
            self._crowding.computes(GAP, self._crowding.gap_computed(now))
        self._poll_device(now, self._ask_device())
        if self._crowding:
            self._crowding.computes(GAP, 0.0)

    # --- deep samples

    @property
    def steps(self) -> int:
        """Steps so far."""
        return self._steps

    @property
    def just_traced(self) -> bool:
        """Whether the last call of the train function traced."""
        return self._just_traced

    def sample_begin(self) -> None:
        """The steps from here on are sampled: their times are left out of what a step takes."""
        self.later.forbid()
        self._sample_open = self._perturbed = True
        self._sampled_calls = 0
        self._sampled_ns = -self.clock.totals[DEVICE] if self._device else 0

    def sample_end(self) -> int:
        """The sample is over. Returns what it made the steps longer, ns, which is charged to ourselves."""
        self._sample_open = False
        slot, spent_ns, ordinary = CALL, self._sampled_ns, self._times.call
        if self._device:
            slot, spent_ns, ordinary = DEVICE, spent_ns + self.clock.totals[DEVICE], self._times.step
        self.sample_slowdown = None
        if not ordinary.count:  # there is no other step to compare with
            return 0
        per_call = self._times.per_call if self._device else 1
        ordinary_ns = ordinary.quantiles_ns(0.5)[0] * per_call * self._sampled_calls
        self.sample_slowdown = spent_ns / ordinary_ns if ordinary_ns else None
        extra_ns = max(0, int(spent_ns - ordinary_ns))
        self.clock.move(slot, "trainspeed", extra_ns)
        return extra_ns

    def _ask_device(self) -> int:
        return self._device.ask() if self._device else 0

    def _poll_device(self, now: int, ended: int | None) -> None:
        if self._device and ended is not None:
            self._device.poll(now, ended)

    # --- fetches on the host

    def fetch_begin(self) -> None:
        """Keras asks for the next batch, outside its train function or in it."""
        now = self.clock.now()
        if self._thread_begin is not None:
            self._fetch_thread_ns = self._thread_now()
        self._fetch_told_ns = now
        # At the begin of the step the device was asked, a moment ago.
        ended, self._just_asked = None if self._just_asked else self._ask_device(), False
        self.later.tell(self._begin_fetch, now, ended)

    def _begin_fetch(self, now: int, ended: int | None) -> None:
        self._fetch_slot = FIRST_WAIT if self._fetches_of_epoch == 0 else "input_wait"
        self._fetch_begin_ns = self.clock.push(self._fetch_slot, now)
        self._fetch_total = self.clock.totals[self._fetch_slot]
        self._poll_device(now, ended)

    def fetch_end(self, found: bool) -> None:
        """The batch is there, or there is none left."""
        now = self.clock.now()
        if self._thread_begin is not None:
            self._thread_begin += self._thread_now() - self._fetch_thread_ns
        self._no_more = not found
        ended = None if found and now - self._fetch_told_ns < _SHORT_FETCH_NS else self._ask_device()
        self.later.tell(self._end_fetch, now, found, ended)

    def _end_fetch(self, now: int, found: bool, ended: int | None) -> None:
        self.clock.pop(now)
        self._poll_device(now, ended)
        self._fetched_in_call += now - self._fetch_begin_ns
        self._fetches_of_epoch += 1
        if found:
            self._waits += 1
        else:
            self.clock.move(self._fetch_slot, "epoch_restart", self.clock.totals[self._fetch_slot] - self._fetch_total)

    def released(self, duration_ns: int) -> None:
        """The iterator over the batches of an epoch was let go, which took this long."""
        self._epochs.released(duration_ns)

    # --- steps

    def step_begin(self, fetches: bool) -> None:
        """The train function was called; `fetches` says that the batch is fetched apart."""
        now = self.clock.now()
        self._just_asked, self._begin_told_ns = True, now
        self._thread_begin = None if self.later.steps else self._thread_now()
        self.later.tell(self._begin_step, now, fetches, self._ask_device())

    def _begin_step(self, now: int, fetches: bool, ended: int) -> None:
        self.clock.switch(FETCH if fetches else CALL, now)
        if not self._steps:
            self._buckets.start(self._mark(now))
        if self._in_epoch:
            self._end_step(now, now)
            self._perturbed = self._sample_open
        self._in_epoch = True
        if self.call_fetches:
            self._let_go()
        self._releasing_from = None
        if self._device:
            self._device.poll(now, ended)
            if not self._step_of_epoch:
                self._device.epoch_begin(now)
        self._begin_ns = self._call_ns = now
        self._fetched_in_call = 0
        self._totals_at_begin = {slot: self.clock.totals[slot] for slot in (FETCH, CALL)}

    def fetched(self, fetch_ns: int, ready_ns: int) -> None:
        """The batch is there. `ready_ns` is what a fetch costs when the batch is ready; twice that is still ready."""
        now = self.clock.now()
        if self._thread_begin is not None:
            self._thread_begin = self._thread_now()
        self.later.tell(self._begin_call, now, fetch_ns, ready_ns)

    def _begin_call(self, now: int, fetch_ns: int, ready_ns: int) -> None:
        self._call_ns = self.clock.switch(CALL, now)
        # A pause of the garbage collector in the fetch was charged as such: it is no wait.
        fetch_ns = min(fetch_ns, self.clock.totals[FETCH] - self._totals_at_begin[FETCH])
        if fetch_ns > 2 * ready_ns:
            wait_ns = fetch_ns - ready_ns
            self.clock.move(FETCH, "input_wait" if self._step_of_epoch else FIRST_WAIT, wait_ns)
        self._waits += 1

    def dispatched(self) -> None:
        """The host has handed the step over; where somebody waits for the device before `step_end`, that is no work."""
        self._dispatched_ns = self._computed_ns()

    def _computed_ns(self) -> int | None:
        """What the thread has computed in this call of the train function."""
        return None if self._thread_begin is None else self._thread_now() - self._thread_begin

    def step_end(
        self,
        traced: Callable[[], bool],
        ended: Callable[[], Done | None] | None = None,
        batch: Callable[[], str] | None = None,
    ) -> None:
        """The train function returned. `traced` tells whether it traced; asked only after a suspiciously long call.

        On an asynchronous device `ended` gives what asks, and waits for, the end of the step. `batch` describes the
        batch, which is the usual reason for tracing once more.
        """
        later, now = self.later, self.clock.now()
        self._just_asked = False
        dispatch_ns, self._dispatched_ns = self._dispatched_ns, None
        if dispatch_ns is None:
            dispatch_ns = self._computed_ns()
        last = self._may_be_last()
        if self._crowding and last:
            self._crowding.gap_begins(now)
        one_of_last = batch is not None and self.last_steps.is_one(self._steps_of_epoch(), last, batch)
        usual = later.is_usual(now)
        over, running = 0, False
        if self._device:
            over = self._device.ask() if now - self._begin_told_ns > _SHORT_CALL_NS else 0
            more, running = self._device.give(ended() if ended else None)
            over += more
        if not usual and later.waits:  # a call also takes long when it has to wait for an asynchronous device
            usual = not traced()
            traced = _always
        if usual:  # then nobody will ask, and what they hold can go
            traced, batch = _never, None
        made = self._times.per_call
        if made > 1:
            made = max(1, made - self._beyond())
        later.tell(self._end_call, now, traced, batch, dispatch_ns, over, running, made, one_of_last)
        later.step_told(usual and not one_of_last)
        if one_of_last and self._device:
            self._device.note_end()
        self.own_cost.step_over()
        if self.may_wait and not later.steps:
            self._allow_waiting(now)

    def _end_call(
        self,
        now: int,
        traced: Callable[[], bool],
        batch: Callable[[], str] | None,
        dispatch_ns: int | None,
        over: int,
        running: bool,
        made: int,
        one_of_last: bool,
    ) -> None:
        self.clock.switch(GAP, now)
        duration = now - self._call_ns - self._fetched_in_call
        times = self._times
        self._just_traced = self._traces.suspects(self._steps, duration, times.mean_call_ns()) and traced()
        if self._device:
            if self._crowding:
                self._crowding.computes(CALL, float(self._just_traced))
            self._device.poll(now, over, idle_if_unknown=self._just_traced)
            if self._crowding:
                self._crowding.computes(CALL, 0.0)
        if self._just_traced:
            if self._traces.add(duration, self.clock.totals[CALL] - self._totals_at_begin[CALL]):
                self._marker("compilation", self._call_ns, duration, batch() if batch else "")
        elif self._perturbed:
            self._sampled_calls += 1
            self._sampled_ns += 0 if self._device else duration
        else:
            times.call_over(duration, dispatch_ns, self._host_before_call() if self._step_of_epoch else None)
        self.last_steps.ended(duration if one_of_last and not (self._just_traced or self._perturbed) else None)
        if self._device:
            if not running and not self._just_traced:  # it was computed in the call
                times.computed_in_call += 1
                self.clock.move(CALL, DEVICE, self.clock.totals[CALL] - self._totals_at_begin[CALL])
            self._device.dispatched(now, running)
        if not self._step_of_epoch:
            self._first_steps += 1
            self._times.cpu_begin(self._steps + made)
            if self._crowding:
                self._crowding.steps_begin()
        self._steps += made
        self._step_of_epoch += made
        self._gap_before = self.clock.totals[GAP]

    def _may_be_last(self) -> bool:
        """Whether the step that ends may be the last one of its epoch; what is told of some may not be added up."""
        return self._no_more or self.last_steps.may_be(self._steps_of_epoch())

    def _steps_of_epoch(self) -> int:
        """How many there are when the step that ends is added up."""
        return self._step_of_epoch + (self.later.steps + 1) * self._times.per_call

    def _host_before_call(self) -> int:
        totals = self.clock.totals
        return totals[GAP] - self._gap_before + totals[FETCH] - self._totals_at_begin[FETCH]

    def _allow_waiting(self, now: int) -> None:
        if self._sample_open or self._traces.asks(self._steps):
            self.later.forbid()
        else:
            self.later.allow(now, self._steps, self._traces.suspicious_ns(self._times.mean_call_ns()))

    def step_abort(self) -> None:
        """The train function found no more data, or failed: what it took belongs to the end of the epoch."""
        self.later.catch_up()
        self._just_asked = False
        before = self._totals_at_begin
        self.clock.switch("epoch_restart")
        for slot in (FETCH, CALL):
            self.clock.move(slot, "epoch_restart", self.clock.totals[slot] - before[slot])
        self._in_epoch = False
        self._steps_over()

    def _end_step(self, end_ns: int, now: int) -> None:
        if not self._device:  # else the device tells when its steps end
            self._step_ended(end_ns - self._begin_ns)
        if self._buckets.full(self._steps):
            self._buckets.add(self._mark(now))
            self._slowest_ns = 0

    def _let_go(self) -> None:
        if self._releasing_from is not None:
            self._epochs.released(self.clock.totals["epoch_restart"] - self._releasing_from)
            self._releasing_from = None

    def _leave_steps(self, phase: str) -> None:
        """After the last step of an epoch: the gap since it was no gap between steps but the beginning of `phase`."""
        self.later.catch_up()
        if not self._in_epoch:
            return
        self._in_epoch = False
        now = self.clock.switch(phase)
        self._settle_gap(now)
        gap = self.clock.totals[GAP] - self._gap_before
        self.clock.move(GAP, phase, gap)
        self._end_step(now - gap, now)
        self._steps_over()

    def _steps_over(self) -> None:
        self._times.cpu_end(self._steps)
        if self._crowding:
            self._crowding.steps_end()
        self.last_steps.epoch_over(self._step_of_epoch, known=not self._device)

    # --- what is expected

    def expect(self, steps_per_call: int, batches_per_epoch: int | None, beyond: Callable[[], int] = int) -> None:
        """One call of the train function makes this many steps; an epoch has this many batches, if that is known.

        `beyond` says of the call that ends how many of its steps there were no data for.
        """
        self._times.per_call, self.last_steps.batches = max(1, steps_per_call), batches_per_epoch
        self._beyond = beyond

    def new_function(self) -> None:
        """The next step is one of another train function, whose first calls trace however short they are."""
        self.later.forbid()
        self._traces.new_function(self._steps)

    # --- out

    def _marker(self, kind: str, at_ns: int, duration_ns: int, label: str = "") -> None:
        at_s = (at_ns - self.clock.start_ns) * 1e-9
        self._markers.add(Marker(kind, self._steps, at_s, duration_ns * 1e-9, label))

    def _mark(self, at_ns: int, totals: Mapping[Hashable, int] | None = None) -> Mark:
        return Mark(
            at_ns, self._steps, self._first_steps, self._waits, self._traces.calls, self._traces.total_ns,
            self._slowest_ns, dict(self.clock.totals) if totals is None else totals,
        )  # fmt: skip


def _never() -> bool:
    return False


def _always() -> bool:
    return True
