"""Clocks around fetching a batch on the host, as JAX and torch do."""

import time
from collections.abc import Iterator
from typing import Any

from tb_trainspeed.probes.fit_loop import FitLoop, Undo
from tb_trainspeed.recorder import FitRecorder


class TimedBatches:
    """An iterator over batches with a clock around each fetch."""

    def __init__(self, iterator: Iterator[Any], recorder: FitRecorder):
        self._iterator, self._recorder = iterator, recorder
        #: The batch of the running step. Whoever runs the step has to let it go.
        self.last: Any = None

    def __iter__(self) -> "TimedBatches":
        return self

    def __next__(self) -> Any:
        recorder, begin = self._recorder, time.perf_counter_ns()
        recorder.fetch_begin()
        try:
            batch = next(self._iterator)
        except BaseException as error:
            recorder.fetch_end(False)
            if isinstance(error, StopIteration):  # a tf.data iterator that is read to its end is let go in there
                recorder.released(time.perf_counter_ns() - begin)
            raise
        recorder.fetch_end(True)
        self.last = batch
        return batch

    def __del__(self) -> None:
        begin = time.perf_counter_ns()
        del self._iterator  # the end of a tf.data iterator joins its threads
        self._recorder.released(time.perf_counter_ns() - begin)


class _TimedIterable:
    """Stands in for what an epoch iterates over."""

    def __init__(self, iterable: Any, recorder: FitRecorder):
        self._iterable, self._recorder = iterable, recorder

    def __iter__(self) -> TimedBatches:
        return TimedBatches(iter(self._iterable), self._recorder)


def time_fetches(loop: FitLoop, recorder: FitRecorder, undo: Undo) -> None:
    """Puts a clock around every fetch of the epochs to come."""
    make = loop.epoch_iterator._get_iterator
    undo.replace(loop.epoch_iterator, "_get_iterator", lambda: _TimedIterable(make(), recorder))
