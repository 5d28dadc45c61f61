"""When an asynchronous device was busy, told from the outside, without waiting for it.

JAX and torch on CUDA only enqueue a step. While the device computes, the host already fetches the next batch, and what
it does meanwhile costs nothing, unless it takes a core that the device wants. So an instant counts as `compute` when
the device is busy, whatever the host does then, and as what the host does when the device idles.
"""

import collections
import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Hashable
from typing import Protocol

from tb_trainspeed.recorder.clock import PhaseClock

# More steps than this in flight are watched by the newest of them: JAX itself stops at 32 on a CPU.
_MAX_IN_FLIGHT = 64
_SAMPLES = 32
# So long the thread that waits for steps may outlive a fit that could not tell it to end.
_LOOK_UP_S = 0.5


class Done(Protocol):
    """The end of a step on the device."""

    def is_ready(self) -> bool:
        """Asks whether it has come."""

    def wait(self) -> object:
        """Waits until it has."""


class DeviceWatch:
    """Learns how long a step takes on the device, by waiting for single steps in a thread of its own.

    Args:
        now: the clock, nanoseconds.
    """

    def __init__(self, now: Callable[[], int] = time.perf_counter_ns):
        self._now = now
        self._steps: queue.SimpleQueue[tuple[Done, int | None] | None] = queue.SimpleQueue()
        self._waiting = False
        self._lengths: collections.deque[int] = collections.deque(maxlen=_SAMPLES)
        #: Length of a step, once one was seen. The lower quartile: where others hold Python's lock, ends are seen late.
        self.step_ns: float | None = None
        #: When the step ended that was noted last, once it has.
        self.noted_ns: int | None = None

    def offer(self, done: Done, started_ns: int) -> None:
        """This step started then, on an idle device. It is waited for unless another one is."""
        if not self._waiting:
            self._waiting = True
            self._steps.put((done, started_ns))

    def note_end(self, done: Done) -> None:
        """Notes when this step ends."""
        self.noted_ns = None
        self._steps.put((done, None))

    def run(self, stop: threading.Event) -> None:
        """Waits for steps until `close`, or soon after `stop`."""
        while not stop.is_set():
            try:
                step = self._steps.get(timeout=_LOOK_UP_S)
            except queue.Empty:
                continue
            if step is None:
                break
            self._wait_for(*step)
            del step  # which would live until the next one

    def _wait_for(self, done: Done, started_ns: int | None) -> None:
        with contextlib.suppress(Exception):  # what a backend says of a step that failed is for the fit
            done.wait()
            if started_ns is None:
                self.noted_ns = self._now()
            else:
                self._add(self._now() - started_ns)
        if started_ns is not None:
            self._waiting = False

    def _add(self, length_ns: int) -> None:
        self._lengths.append(length_ns)
        self.step_ns = sorted(self._lengths)[len(self._lengths) // 4]

    def close(self) -> None:
        """Ends `run`."""
        self._steps.put(None)


class DeviceQueue:
    """Follows steps through the device, and moves the time in which it was busy to one slot of the clock.

    Steps run one after the other in the order in which they were dispatched. A step is asked whether it is done at
    the transitions of the host that matter. Between the transition where it was not and the one where it was, it
    ended where a step of the watched length would have ended. What the device has to be asked is asked at once, by
    `ask` and `give`; what follows from it may be added up later, by `poll` and `dispatched`, in the same order.

    Args:
        clock: the clock of the host; it has to keep its history.
        slot: where the time is charged.
        ended: called with the time between the ends of two steps, ns.
        watch: learns how long a step takes.
        lost: which share of what the host does in a slot the device loses though it is busy.
    """

    def __init__(
        self,
        clock: PhaseClock,
        slot: str,
        ended: Callable[[int], None],
        watch: DeviceWatch,
        lost: Callable[[Hashable], float] | None,
    ):
        self._clock, self._slot, self._ended, self._watch, self._lost = clock, slot, ended, watch, lost
        #: The ends of the steps in flight; and when those were dispatched that are not settled yet, ns.
        self._asked: collections.deque[Done] = collections.deque()
        self._pending: collections.deque[int] = collections.deque()
        self._settled_ns = self._last_end_ns = 0
        #: Whether the end of the last step is noted.
        self._noted = False
        #: What the device took for the last step, once that was waited for, ns.
        self.taken_ns: int | None = None

    def epoch_begin(self, now: int) -> None:
        """Before the first step of an epoch: its time counts from here."""
        self._last_end_ns = now

    def ask(self) -> int:
        """Returns how many steps ended since this was last called."""
        ended, asked = 0, self._asked
        while asked and asked[0].is_ready():
            asked.popleft()
            ended += 1
        return ended

    def give(self, done: Done | None) -> tuple[int, bool]:
        """A step is handed over.

        Returns how many steps before it were seen to have ended since `ask`, and whether it runs; else it is over
        already, or nothing can tell its end.
        """
        if done is None:
            return self.ask(), False
        if done.is_ready():  # and so are those before it
            ended = len(self._asked)
            self._asked.clear()
            return ended, False
        if len(self._asked) == _MAX_IN_FLIGHT:
            self._asked.pop()  # the newer one tells as much
        self._asked.append(done)
        return 0, True

    def dispatched(self, now: int, running: bool) -> None:
        """A step was handed over. Everything up to `now` has been settled."""
        self._noted, self.taken_ns = False, None
        if not running:
            self._end(now)
            return
        if len(self._pending) == _MAX_IN_FLIGHT:
            self._pending.pop()
        self._pending.append(now)

    def poll(self, now: int, ended: int, idle_if_unknown: bool = False) -> None:
        """Settles everything up to `now`, which has to be the time of a transition; so many steps have ended.

        `idle_if_unknown`: the host was compiling since the last transition, for longer than a step takes. Where it is
        not known how long that is, what ended meanwhile is taken to have ended at once.
        """
        if ended:  # steps that ended since the last transition are taken to be alike
            since = max(self._last_end_ns, self._pending[0])
            unknown = 0.0 if idle_if_unknown else math.inf
            step_ns = self._watch.step_ns
            each_ns = min((now - since) / ended, unknown if step_ns is None else step_ns)
            if self._noted and ended == len(self._pending) and self._watch.noted_ns is not None:
                each_ns = max(0.0, min(now, self._watch.noted_ns) - since) / ended
                self.taken_ns = int(each_ns) if ended == 1 else None
        for _ in range(ended):
            started = max(self._last_end_ns, self._pending.popleft())
            begin = max(self._settled_ns, started)
            end = min(now, max(begin, int(started + each_ns)))
            self._clock_busy(begin, end)
            self._end(end)
        if self._pending:
            self._clock_busy(max(self._settled_ns, self._last_end_ns, self._pending[0]), now)
        self._settled_ns = now
        self._clock.history.clear()

    def drain(self) -> None:
        """Waits for every step, one after the other."""
        while self._asked:
            if ended := self.ask():
                self.poll(self._clock.tick(), ended)
                continue
            self._clock.tick()  # what is yet to be added up concerns these steps
            self._asked[0].wait()
            now = self._clock.tick()
            started = max(self._last_end_ns, self._pending[0])
            self._clock_busy(max(self._settled_ns, started), now)
            self._settled_ns = now
            self._clock.history.clear()
            self._asked.popleft()
            self._pending.popleft()
            self.taken_ns = now - started
            self._end(now)

    def note_end(self) -> None:
        """No step may follow for now: has it noted when the last one ends, which nobody may ask for long."""
        if self._asked:
            self._noted = True
            self._watch.note_end(self._asked[-1])

    def watch(self) -> None:
        """A step was handed over a moment ago: if none was before it, it tells how long one takes."""
        if len(self._asked) == 1 == len(self._pending):
            self._watch.offer(self._asked[0], max(self._last_end_ns, self._pending[0]))

    def _end(self, at_ns: int) -> None:
        self._ended(at_ns - self._last_end_ns)
        self._last_end_ns = at_ns

    def _clock_busy(self, begin: int, end: int) -> None:
        for since, until, slot in list(self._clock.history):  # a collection of garbage may begin here, and adds to it
            overlap = min(end, until) - max(begin, since)
            if overlap > 0 and slot != self._slot:
                lost = self._lost(slot) if self._lost else 0.0
                self._clock.move(slot, self._slot, round(overlap * (1 - lost)))
