"""The Python code that makes batches: how long it takes, how much of that is CPU, and where in it the time goes."""

import collections
import os
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any

import keras

from tb_trainspeed.probes.fit_loop import Undo
from tb_trainspeed.profile import HotSpot, Source

# Library code: what lies below these folders is a callee, everything else is the user's own.
_LIBRARY_FOLDERS = tuple(
    {os.path.realpath(path) + os.sep for path in (*sysconfig.get_paths().values(), os.path.dirname(os.__file__))}
)
_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + os.sep
_DEMO = os.path.join(_OWN_FOLDER, "demo.py")
_FIRST_SAMPLES, _SLOWER = 300, 5
_SPOTS = 12


class SourceClock:
    """Counts calls of the code that makes batches. One thread at a time calls it; another reads."""

    def __init__(self, name: str):
        self.name = name
        self.calls = self.wall_ns = self.cpu_ns = 0
        self.thread: int | None = None
        #: What failed here; from then on nothing is counted.
        self.error: Exception | None = None
        self._began = 0, 0
        self.batch_size: int | None = None
        self.batch_bytes: int | None = None
        self._stacks: collections.Counter[tuple[str, str, int, str, str]] = collections.Counter()

    def timed(self, make: Callable[[], Any]) -> Any:
        """Runs `make` with the clocks on. What fails here is counted as not measured; what `make` raises is its own."""
        self._safely(self._begin)
        try:
            batch = make()
        finally:
            self._safely(self._end)
        if self.batch_bytes is None:
            self._safely(lambda: self._see(batch))
        return batch

    def _begin(self) -> None:
        self.thread = threading.get_ident()
        self._began = time.perf_counter_ns(), time.thread_time_ns()

    def _end(self) -> None:
        self.thread = None
        wall, cpu = self._began
        self.cpu_ns += time.thread_time_ns() - cpu
        self.wall_ns += time.perf_counter_ns() - wall
        self.calls += 1

    def _see(self, batch: Any) -> None:
        self.batch_size, self.batch_bytes = size_of(batch)

    def _safely(self, action: Callable[[], None]) -> None:
        if self.error is None:
            try:
                action()
            except Exception as error:
                self.error = error

    def sample(self) -> bool:
        """Notes where the code is now; returns whether it is running."""
        thread = self.thread
        frame = sys._current_frames().get(thread) if thread else None
        spot = _locate(frame) if frame else None
        if spot and sum(self._stacks.values()) < 100_000 and (spot in self._stacks or len(self._stacks) < 1000):
            self._stacks[spot] += 1
        return spot is not None

    @property
    def samples(self) -> int:
        return sum(self._stacks.values())

    def facts(self) -> Source:
        stacks = self._stacks.copy()
        total = max(1, sum(stacks.values()))
        spots = tuple(HotSpot(*spot, count / total) for spot, count in stacks.most_common(_SPOTS))
        return Source(self.name, self.calls, self.wall_ns * 1e-9, self.cpu_ns * 1e-9, spots)


def size_of(batch: Any) -> tuple[int | None, int]:
    """Returns (samples, bytes) of a batch of arrays."""
    leaves = keras.tree.flatten(batch)
    arrays = [leaf for leaf in leaves if hasattr(leaf, "nbytes") and getattr(leaf, "shape", None)]
    return (int(arrays[0].shape[0]) if arrays else None), sum(int(array.nbytes) for array in arrays)


def shapes_of(batch: Any) -> str:
    """Returns dtypes and shapes of a batch of arrays or tensors, like `float32(32, 10)`."""
    leaves = [leaf for leaf in keras.tree.flatten(batch) if hasattr(leaf, "shape") and hasattr(leaf, "dtype")]
    return ", ".join(f"{keras.backend.standardize_dtype(leaf.dtype)}{tuple(leaf.shape)}" for leaf in leaves)


def _locate(frame: FrameType | None) -> tuple[str, str, int, str, str] | None:
    """Returns (function, file, line, callee, library) of the innermost frame of the user's own code."""
    callee, library = "", ""
    while frame is not None:
        path = frame.f_code.co_filename
        is_demo = path == _DEMO  # which stands for the user's code, wherever we are installed
        if path.startswith(_OWN_FOLDER) and not is_demo:
            return None  # our own clock: nothing of the user's code below it
        if not is_demo and (path.startswith("<") or path.startswith(_LIBRARY_FOLDERS)):
            callee, library = frame.f_code.co_name, str(frame.f_globals.get("__name__", "")).partition(".")[0]
        else:
            return getattr(frame.f_code, "co_qualname", frame.f_code.co_name), path, frame.f_lineno, callee, library
        frame = frame.f_back
    return None


class _TimedDataset:
    """Stands in for a PyDataset inside Keras' adapter, to time `__getitem__` without touching its class."""

    def __init__(self, dataset: Any, clock: SourceClock):
        self._dataset, self._clock = dataset, clock

    def __getitem__(self, index: int) -> Any:
        return self._clock.timed(lambda: self._dataset[index])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)


def _timed_iterator(iterable: Iterable[Any], clock: SourceClock) -> Iterator[Any]:
    iterator = iter(iterable)
    end = object()
    while (item := clock.timed(lambda: next(iterator, end))) is not end:
        yield item


def time_source(adapter: Any, undo: Undo) -> SourceClock | None:
    """Puts clocks around the Python code that makes batches, where the adapter has such code in this process."""
    kind = type(adapter).__name__
    if kind == "PyDatasetAdapter" and adapter.enqueuer is None:
        dataset = adapter.py_dataset
        clock = SourceClock(f"{type(dataset).__name__}.__getitem__")
        undo.replace(adapter, "py_dataset", _TimedDataset(dataset, clock))
        return clock
    if kind == "GeneratorDataAdapter":
        make = adapter.generator
        clock = SourceClock("generator")
        undo.replace(adapter, "generator", lambda: _timed_iterator(make(), clock))
        return clock
    return None


def sample_source(clock: SourceClock, stop: threading.Event, interval_s: float = 0.02) -> None:
    """Samples the stack of the code that makes batches until `stop`: often at first, later seldom."""
    while not stop.wait(interval_s if clock.samples < _FIRST_SAMPLES else interval_s * _SLOWER):
        clock.sample()
