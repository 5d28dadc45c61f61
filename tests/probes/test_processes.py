"""Batches that processes make: what it takes to receive them."""

import time
import types
from multiprocessing.pool import ThreadPool

from tb_trainspeed.probes import processes
from tb_trainspeed.probes.fit_loop import Undo


def enqueuing(pool, use_multiprocessing=True):
    """An adapter of Keras whose enqueuer makes this pool. Threads call back in the same way as processes."""
    enqueuer = types.SimpleNamespace(executor_fn=lambda datasets: pool)
    return types.SimpleNamespace(
        enqueuer=enqueuer, py_dataset=types.SimpleNamespace(use_multiprocessing=use_multiprocessing)
    )


def test_what_it_takes_to_receive_batches_is_counted_in_the_thread_that_does():
    told = []
    with ThreadPool(2) as pool:
        adapter, undo = enqueuing(pool), Undo()
        receiver = processes.watch_processes(adapter, undo)
        assert receiver.batch_s is None
        watched = adapter.enqueuer.executor_fn({})
        assert [watched.apply_async(divmod, (7, 2)).get() for _ in range(3)] == [(3, 1)] * 3
        watched.apply_async(divmod, (7, 2), {}, told.append).get()
        watched.close()
        watched.join()
        undo.run()
        assert adapter.enqueuer.executor_fn({}) is pool
    assert told == [(3, 1)]
    assert receiver._batches == 3
    assert 0 < receiver.batch_s < 1


def test_a_clock_that_fails_does_not_keep_batches_back(monkeypatch):
    with ThreadPool(1) as pool:
        adapter, undo = enqueuing(pool), Undo()
        receiver = processes.watch_processes(adapter, undo)
        monkeypatch.setattr(time, "thread_time_ns", None)
        assert [adapter.enqueuer.executor_fn({}).apply_async(divmod, (7, 2)).get(60) for _ in range(2)] == [(3, 1)] * 2
        undo.run()
        pool.close()
        pool.join()
    assert isinstance(receiver.error, TypeError)


def test_threads_are_not_watched():
    assert processes.watch_processes(enqueuing(None, use_multiprocessing=False), Undo()) is None
    assert processes.watch_processes(types.SimpleNamespace(), Undo()) is None
