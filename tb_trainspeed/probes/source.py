"""The Python code that makes batches: how long it takes, how much of that is CPU, and where in it the time goes."""

import collections
import gc
import math
import os
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import keras

from tb_trainspeed.probes import given, loops, samples
from tb_trainspeed.profile import HotSpot, Source

# Library code: what lies below these folders is a callee, everything else is the user's own.
_LIBRARY_FOLDERS = tuple(
    {os.path.realpath(path) + os.sep for path in (*sysconfig.get_paths().values(), os.path.dirname(os.__file__))}
)
_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + os.sep
_DEMO = os.path.join(_OWN_FOLDER, "demo.py")
# Before, a comprehension had a frame of its own, by whose name rules know it.
_INLINES_COMPREHENSIONS = sys.version_info >= (3, 12)
# Stands for the frame that a loop does not have.
_LOOP = ".<locals>.<loop>"
_COLLECTS_UNDER_LOCK = sys.version_info[:2] == (3, 11)
_FIRST_SAMPLES, _SLOWER = 300, 5
_LATE = 0.6
_SPOTS = 12
_ENOUGH_SAMPLES = 30
# Of elements that take less, one in so many is timed.
_SHORT_NS, _EVERY = 200_000, 8

_Spot = tuple[str, str, int, str, str]


class _Tally:
    """What calls of the code that makes batches took, and where samples found it."""

    def __init__(self) -> None:
        self.calls = self.wall_ns = self.cpu_ns = 0
        self.stacks: collections.Counter[_Spot] = collections.Counter()
        self.samples = self.held = 0

    @property
    def call_ns(self) -> float:
        return self.wall_ns / max(1, self.calls)


class SourceClock:
    """Counts calls of the code that makes batches, in however many threads; another thread reads.

    The first epoch, in which caches are filled and libraries imported, is set aside as soon as there is another.

    Args:
        name: of the code.
        elements: whether it makes elements that tf.data goes on with, and no batches.
    """

    def __init__(self, name: str, elements: bool = False):
        self.name, self.elements = name, elements
        #: Thread -> (wall, cpu) when the call began that runs in it.
        self.running: dict[int, tuple[int, int]] = {}
        #: What failed here; from then on nothing is counted.
        self.error: Exception | None = None
        self.batch_size: int | None = None
        self.batch_bytes: int | None = None
        self.batch: str | None = None
        self.rows: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._first, self._now = _Tally(), _Tally()
        self._passed = 0

    @property
    def called(self) -> bool:
        return bool(self._now.calls or self._first.calls)

    def epoch_over(self) -> None:
        """An epoch is over: what came in the first one is not what recurs."""
        with self._lock:
            if not self._first.calls:
                self._first, self._now = self._now, _Tally()

    def timed(self, make: Callable[[], Any]) -> Any:
        """Runs `make` with the clocks on. What fails here is counted as not measured; what `make` raises is its own."""
        self._safely(self._begin)
        try:
            batch = make()
        finally:
            self._safely(self._end)
        if self.batch_bytes is None and not self.elements:
            self._safely(lambda: self._see(batch))
        return batch

    def one_of(self, iterator: Iterator[Any]) -> Any:
        """The next element, with the clocks on, where it is so short only of every few: they take microseconds."""
        self._passed += 1
        if self._passed % _EVERY and self._now.calls and self._now.call_ns < _SHORT_NS:
            return next(iterator)
        return self.timed(lambda: next(iterator))

    def _begin(self) -> None:
        self.running[threading.get_ident()] = time.perf_counter_ns(), time.thread_time_ns()

    def _end(self) -> None:
        wall, cpu = self.running.pop(threading.get_ident())
        cpu, wall = time.thread_time_ns() - cpu, time.perf_counter_ns() - wall
        with self._lock:
            self._now.cpu_ns += cpu
            self._now.wall_ns += wall
            self._now.calls += 1

    def _see(self, batch: Any) -> None:
        self.batch_size, self.batch_bytes = size_of(batch)
        self.batch = shapes_of(batch)
        self.rows = rows_of(batch)

    def _safely(self, action: Callable[[], None]) -> None:
        if self.error is None:
            try:
                action()
            except Exception as error:
                self.error = error

    def sample(self, held: bool = False) -> bool:
        """Notes where the code is now, in every thread that runs it; returns whether any does.

        Args:
            held: whether the GIL had to be waited for.
        """
        frames = _current_frames() if self.running else {}
        spots = [spot for thread in tuple(self.running) if (spot := _locate(frames.get(thread)))]
        tally = self._now
        for spot in spots:
            if sum(tally.stacks.values()) < 100_000 and (spot in tally.stacks or len(tally.stacks) < 1000):
                tally.stacks[spot] += 1
        tally.samples += bool(spots)
        tally.held += held and bool(spots)
        return bool(spots)

    @property
    def sampled(self) -> int:
        return sum(self._now.stacks.values())

    def facts(self) -> Source:
        with self._lock:
            first, now = self._first, self._now
        times = now if now.calls else first
        like_first = 2 * times.call_ns >= first.call_ns
        sampled = [now] if now.samples >= _ENOUGH_SAMPLES else [first, now] if like_first else []
        stacks = sum((tally.stacks.copy() for tally in sampled), collections.Counter[_Spot]())
        samples, held = sum(tally.samples for tally in sampled), sum(tally.held for tally in sampled)
        total = max(1, sum(stacks.values()))
        named = [(_named(spot), count) for spot, count in stacks.most_common(_SPOTS)]
        spots = tuple(
            HotSpot(_frame_of(spot), *spot[1:], count / total, _given_the_same(spot)) for spot, count in named
        )
        gil_share = held / samples if samples else None
        return Source(self.name, times.calls, times.wall_ns * 1e-9, times.cpu_ns * 1e-9, spots, gil_share)


def _named(spot: _Spot) -> _Spot:
    """With what the line reads by, where that has no frame of its own."""
    function, file, line, callee, _ = spot
    return spot if callee else (function, file, line, *given.reads_by(file, line))


def _frame_of(spot: _Spot) -> str:
    """The function, with the comprehension in it where the line is in one, as it is told before Python 3.12."""
    function, file, line, *_ = spot
    inlined = _INLINES_COMPREHENSIONS and not function.endswith((_LOOP, "comp>", "<genexpr>"))
    name = loops.comprehension_at(file, line) if inlined else ""
    return f"{function}.<locals>.{name}" if name else function


def _given_the_same(spot: _Spot) -> bool | None:
    _, file, line, callee, _ = spot
    return given.is_given_the_same(file, line, callee) if callee else None


def _current_frames() -> dict[int, FrameType]:
    """The running frame of every other thread.

    Our own would be in a cycle with the result, which would keep what all the others hold until the garbage collector
    comes: the iterator of TensorFlow over an epoch, whose end waits for a thread that sleeps.

    Python 3.11 makes frame objects in there, while it holds the lock that every thread needs to begin and to end. The
    garbage collector, if that is what starts it, may then wait for such a thread: for ever (CPython, gh-106883). It
    happened with an iterator of TensorFlow over a generator. Later versions switch the collector off themselves.
    """
    collects = _COLLECTS_UNDER_LOCK and gc.isenabled()
    if collects:
        gc.disable()
    try:
        frames = sys._current_frames()
        frames.pop(threading.get_ident(), None)
        return frames
    finally:
        if collects:
            gc.enable()


def size_of(batch: Any) -> tuple[int | None, int]:
    """Returns (samples, bytes) of a batch of arrays or tensors."""
    arrays = [leaf for leaf in _arrays(batch) if hasattr(leaf, "dtype")]
    return (int(arrays[0].shape[0]) if arrays else None), sum(map(_bytes, arrays))


def _bytes(array: Any) -> int:
    size = getattr(array, "nbytes", None)
    return int(size) if size is not None else math.prod(array.shape) * int(array.dtype.size)  # of TensorFlow


def rows_of(batch: Any) -> dict[str, Any]:
    """Returns the facts of `Data` that the rows of a batch tell."""
    x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
    return samples.rows_facts(_arrays(x), _arrays(y) if y is not None else ())


def _arrays(part: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(part) if getattr(leaf, "shape", None)]


def shapes_of(batch: Any) -> str:
    """Returns dtypes and shapes of a batch of arrays or tensors, like `float32(32, 10)`."""
    leaves = [leaf for leaf in keras.tree.flatten(batch) if hasattr(leaf, "shape") and hasattr(leaf, "dtype")]
    return ", ".join(f"{keras.backend.standardize_dtype(leaf.dtype)}{tuple(leaf.shape)}" for leaf in leaves)


def is_library(path: str) -> bool:
    """Whether a file is of a library, and not the user's own. The demo is code such as the user's, wherever it is."""
    return path != _DEMO and path.startswith(("<", _OWN_FOLDER, *_LIBRARY_FOLDERS))


def _locate(frame: FrameType | None) -> _Spot | None:
    """Returns (function, file, line, callee, library) of the innermost frame of the user's own code."""
    callee, library = "", ""
    while frame is not None:
        path = frame.f_code.co_filename
        is_demo = path == _DEMO  # which stands for the user's code, wherever we are installed
        if path.startswith(_OWN_FOLDER) and not is_demo:
            return None  # our own clock: nothing of the user's code below it
        if not is_demo and (path.startswith("<") or path.startswith(_LIBRARY_FOLDERS)):
            callee, module = frame.f_code.co_name, str(frame.f_globals.get("__name__", ""))
            library = module.partition(".")[0]
            if module.endswith(".memmap"):  # unlike indexing an archive, that opens nothing
                callee = f"memmap.{callee}"
        else:
            function = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)
            if library == "pandas" and not function.endswith(("comp>", "<genexpr>")) and _is_repeated(frame):
                function += _LOOP
            return function, path, frame.f_lineno, callee, library
        frame = frame.f_back
    return None


def _is_repeated(frame: FrameType | None) -> bool:
    """Whether a line of the user's own, or one that called it, is in a loop that it goes through for one batch."""
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(_OWN_FOLDER) and path != _DEMO:
            return False
        if not is_library(path) and loops.is_in_a_loop(path, frame.f_lineno):
            return True
        frame = frame.f_back
    return False


def sample_source(clock: SourceClock, stop: threading.Event, interval_s: float = 0.02) -> None:
    """Samples the stack of the code that makes batches until `stop`: often at first, later seldom.

    A thread that wakes up has to ask for the GIL, and gets it after `sys.getswitchinterval` from a thread that holds on
    to it. So a sample that comes late by about that found the GIL held.
    """
    late_s = _LATE * sys.getswitchinterval()
    while True:
        wait_s = interval_s if clock.sampled < _FIRST_SAMPLES else interval_s * _SLOWER
        begin = time.perf_counter()
        if stop.wait(wait_s):
            return
        clock.sample(time.perf_counter() - begin - wait_s > late_s)
