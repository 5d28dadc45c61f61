"""Threads of ours beside the fit, and what they take of a processor."""

import threading
import time
from collections.abc import Callable

from tb_trainspeed.session.guard import Guard

_CLOSE_TIMEOUT_S = 10.0


class Threads:
    """The threads of one fit. They are daemons and end when `stop` is set.

    Args:
        guard: of the session.
    """

    def __init__(self, guard: Guard):
        self.stop = threading.Event()
        self._guard = guard
        self._threads: list[threading.Thread] = []
        self._taken_ns: dict[str, int] = {}

    @property
    def cpu_s(self) -> float:
        """CPU time that they have noted, seconds."""
        return sum(self._taken_ns.values()) * 1e-9

    def spawn(self, name: str, target: Callable[[], None]) -> threading.Thread:
        """Runs `target` in a thread of this name."""
        thread = threading.Thread(target=lambda: self._counted(target), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _counted(self, target: Callable[[], None]) -> None:
        try:
            target()
        except Exception as error:
            self._guard.note(threading.current_thread().name, error)
        self._taken_ns[threading.current_thread().name] = time.thread_time_ns()

    def attempt(self, what: str, action: Callable[[], None]) -> None:
        """Runs `action` in a thread that goes on if it fails: then `what` is not measured."""
        self._guard.attempt(what, action)
        self.note_time()

    def note_time(self) -> None:
        """The calling thread is ours: all it took is our cost."""
        self._taken_ns[threading.current_thread().name] = time.thread_time_ns()

    def end(self, first: threading.Thread | None) -> None:
        """Waits for `first`, which ends by itself, then stops the others and waits for them.

        Not for long, all in all: each may be held up by garbage of somebody else that is collected in it. To let an
        iterator of tf.data go took 10 s, for the thread that tunes its pipeline slept on.
        """
        deadline = time.monotonic() + _CLOSE_TIMEOUT_S
        if first:
            join(first, deadline)
        self.stop.set()
        for thread in self._threads:
            join(thread, deadline)


def join(thread: threading.Thread, deadline: float) -> None:
    """Waits for a thread until `deadline`, but not for the one that has just collected the garbage of this fit."""
    if thread is not threading.current_thread():
        thread.join(max(0.0, deadline - time.monotonic()))
