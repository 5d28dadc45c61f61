"""What it takes to receive batches from the processes that make them."""

import time
from collections.abc import Callable
from typing import Any

from tb_trainspeed.probes.fit_loop import Undo


class Receiver:
    """Counts the CPU time in which a thread of this process receives batches from those that make them.

    `multiprocessing.Pool` has a thread that reads results from a pipe and unpickles them: the same that calls back.
    """

    def __init__(self) -> None:
        self._batches = self._cpu_ns = 0
        #: What failed here; from then on nothing is counted.
        self.error: Exception | None = None

    @property
    def batch_s(self) -> float | None:
        """Seconds of CPU time for one batch."""
        return self._cpu_ns * 1e-9 / self._batches if self._batches else None

    def watched(self, pool: Any) -> Any:
        """Returns what stands in for a new pool."""
        try:
            return _WatchedPool(pool, self._called_back())
        except Exception as error:
            self.error = error
            return pool

    def _called_back(self) -> Callable[[Any], None]:
        """Returns what a pool, and so a thread, is to call with every result. It does not raise."""
        before_ns = 0

        def received(batch: Any) -> None:
            nonlocal before_ns
            try:
                now_ns = time.thread_time_ns()
                self._cpu_ns += now_ns - before_ns
                self._batches += 1
                before_ns = now_ns
            except Exception as error:
                self.error = error

        return received


class _WatchedPool:
    """Stands in for a pool of processes inside Keras' enqueuer."""

    def __init__(self, pool: Any, received: Callable[[Any], None]):
        self._pool, self._received = pool, received

    def apply_async(
        self, func: Any, args: Any = (), kwds: Any = None, callback: Any = None, error_callback: Any = None
    ) -> Any:
        return self._pool.apply_async(func, args, kwds or {}, callback or self._received, error_callback)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


def watch_processes(adapter: Any, undo: Undo) -> Receiver | None:
    """Has the pools watched that make the batches of a PyDataset, where it has them."""
    enqueuer = getattr(adapter, "enqueuer", None)
    if enqueuer is None or not adapter.py_dataset.use_multiprocessing:
        return None
    receiver, make_pool = Receiver(), enqueuer.executor_fn
    undo.replace(enqueuer, "executor_fn", lambda *arguments: receiver.watched(make_pool(*arguments)))
    return receiver
