"""Deep samples: a tool of the backend looks inside a few steps, and what it saw is decoded beside the training."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from tb_trainspeed.recorder import DeepSamples, FitRecorder, Sample
from tb_trainspeed.recorder.deep import STEPS

# Steps that looking slowed down by more than this are no longer like the others, whose parts they are to tell. Most of
# those that are a millisecond and longer took 1.1 to 1.9 times as long. At 2.2 to 2.8 times (recurrent layers and the
# update of an embedding, on a slower machine) what they told still foresaw what fixes gave: 1.75 for 1.64 times, and
# 2.8 for 3.6, within its range. Those of thousands of tiny operations took six times as long.
_MOST_SLOWDOWN = 3.0


class Unavailable(RuntimeError):  # noqa: N818 - a state, not a mistake
    """Nobody can look inside steps, at the moment or of this model. The message says why."""


class Tool(Protocol):
    """Looks inside the steps between `start` and `stop`, which the thread of the fit calls between two steps.

    Attributes:
        first_cost_ns: what a sample is taken to cost until one was taken.
    """

    first_cost_ns: int

    def start(self) -> None:
        """Starts to look. The device is idle.

        Raises:
            Unavailable: where it cannot at the moment, as when a profiler of the user's is on. The message says so.
        """

    def run(self, train_function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls the train function. What it raises, and nothing else, passes through."""

    def stop(self) -> Any:
        """Stops to look, and returns what was seen, to be decoded later. The device is idle."""

    def close(self) -> None:
        """Puts back what `start` put in place and no `stop` did, for whatever reason. May be called twice."""

    def decode(self, seen: Any, steps: int) -> Sample:
        """Makes a sample of what was seen in so many steps. Runs in a thread of its own."""


class DeepSampler:
    """Takes deep samples when they are due. All methods but `decode_all` are for the thread that runs the fit.

    A failure of the tool ends sampling, and nothing else.

    Args:
        tool: looks inside the steps.
        samples: says when the next one is due, and keeps what they say.
        recorder: of the fit.
        failed: is told why sampling ended.
    """

    def __init__(self, tool: Tool, samples: DeepSamples, recorder: FitRecorder, failed: Callable[[Exception], None]):
        self._tool, self._samples, self._recorder, self._failed = tool, samples, recorder, failed
        self._seen: queue.SimpleQueue[tuple[Any, int] | None] = queue.SimpleQueue()
        self._begun_at: int | None = None
        self._cost_ns = 0
        self._over = False
        self._owner = threading.get_ident()
        #: Why the last sample could not be taken, if none has been.
        self.skipped: str | None = None
        if hasattr(tool, "give_way"):
            tool.give_way = self.give_way

    @property
    def sampling(self) -> bool:
        """Whether the steps are looked into."""
        return self._begun_at is not None

    def run(self, train_function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls the train function, in the hands of the tool while it looks."""
        if self._begun_at is None:
            return train_function(*arguments)
        return self._tool.run(train_function, *arguments)

    def give_way(self) -> None:
        """Somebody else wants to look: drops the sample that is on."""
        if self._begun_at is not None and threading.get_ident() == self._owner:
            self._charged(self._drop)
        else:
            self._begun_at = None
            self._tool.stop()

    def before_step(self) -> None:
        """Starts a sample with the next step, if one is due."""
        if self._begun_at is None and not self._over and self._samples.due(self._recorder.steps):
            self._charged(self._start)

    def after_step(self) -> None:
        """Ends the sample that is on, if it has its steps."""
        if self._begun_at is None:
            return
        if self._recorder.just_traced:  # what is compiled now says nothing of other steps
            self._charged(self._drop)
        elif self._recorder.steps - self._begun_at >= STEPS:
            self._charged(self._stop)

    def end(self) -> None:
        """The steps are over for now: ends the sample that is on, which keeps what it has."""
        if self._begun_at is not None:
            self._charged(self._stop if self._recorder.steps > self._begun_at else self._drop)

    def close(self) -> None:
        """Drops the sample that is on; no other will be taken. `decode_all` returns when it has decoded the rest."""
        try:
            if self._begun_at is not None:
                self._charged(self._drop)
        finally:  # else the thread that decodes would wait forever
            self._over = True
            self._seen.put(None)

    def decode_all(self) -> None:
        """Decodes samples until `close`."""
        while seen := self._seen.get():
            begin = time.thread_time_ns()
            try:
                self._samples.add(self._tool.decode(*seen))
            except Exception as error:
                self._fail(error)
            self._samples.spend(time.thread_time_ns() - begin)

    def _start(self) -> None:
        if self._over:  # the clocks failed a moment ago
            return
        self._tool.start()
        self._begun_at = self._recorder.steps
        self._recorder.sample_begin()

    def _stop(self) -> None:
        steps = self._recorder.steps - (self._begun_at or 0)
        seen = self._take_off()
        slowdown = self._recorder.sample_slowdown
        if slowdown and slowdown > _MOST_SLOWDOWN:
            raise Unavailable(f"looking inside steps made them {slowdown:.1f} times as long")
        self._seen.put((seen, steps))

    def _drop(self) -> None:
        self._take_off()

    def _take_off(self) -> Any:
        self._begun_at = None
        try:
            return self._tool.stop()
        finally:
            self._cost_ns += self._recorder.sample_end() or 0  # nothing, once the recorder has been switched off

    def _charged(self, action: Callable[[], None]) -> None:
        """Runs `action` with the device idle, at our own expense."""
        recorder = self._recorder
        recorder.drain_device()
        begin = recorder.clock.push("trainspeed")
        try:
            action()
        except Unavailable as error:
            self.skipped = str(error)
        except Exception as error:
            self._begun_at = None
            with contextlib.suppress(Exception):  # it may be on
                self._tool.stop()
            self._fail(error)
        end = recorder.clock.pop()
        if begin is not None and end is not None:  # the clock may have been switched off meanwhile
            self._cost_ns += end - begin
        if self._begun_at is None:
            self._samples.taken(recorder.steps, self._cost_ns)
            self._cost_ns = 0

    def _fail(self, error: Exception) -> None:
        if not self._over:
            self._over = True
            self._failed(error)
