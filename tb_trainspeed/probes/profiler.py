"""Deep samples by the profiler of the backend, for TensorFlow and JAX, whose profilers write the same kind of trace."""

import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from tb_trainspeed.probes.fit_loop import Undo
from tb_trainspeed.probes.sampling import Unavailable
from tb_trainspeed.probes.trace import MARK, Decoder
from tb_trainspeed.recorder import Sample


class Session(Protocol):
    """A session of a profiler that is on from its creation until `stop`, or until it is let go."""

    def stop(self) -> bytes:
        """Ends the session and returns what was seen, a serialized `XSpace`."""


class Profiler:
    """Looks inside steps with a profiler, of which a process can have only one at a time: the user's goes first.

    Args:
        is_busy: whether a profiler of the user's is on.
        open_session: starts a session.
        annotate: makes a context in which everything is inside one event of the given name.
        lock: the object and the name of its attribute that holds the lock which whoever starts a profiler must take.
        decoder: decodes what was seen.
    """

    # Starting and stopping took 0.3 and 10 to 170 ms on CPUs, decoding 5 to 150 ms. The first sample tells,
    # and every fit may have that one.
    first_cost_ns = 30_000_000

    def __init__(
        self,
        is_busy: Callable[[], bool],
        open_session: Callable[[], Session],
        annotate: Callable[[str], contextlib.AbstractContextManager[Any]],
        lock: tuple[Any, str],
        decoder: Decoder,
    ):
        self._is_busy, self._open, self._annotate = is_busy, open_session, annotate
        self._lock, self._decoder = lock, decoder
        self._session: Session | None = None
        self._undo = Undo()
        #: Called when a profiler of the user's is about to start while ours is on.
        self.give_way: Callable[[], None] = self.close

    @property
    def operations(self) -> list[tuple[str, str]]:
        """Name and kind of the operations of the step, as far as XLA compiled it and a sample was decoded."""
        return self._decoder.operations

    def start(self) -> None:
        """Starts a session.

        Raises:
            Unavailable: if a profiler is on already.
        """
        if self._is_busy():
            raise Unavailable("a profiler of yours was on")
        self._session = self._open()
        owner, name = self._lock
        if hasattr(owner, name):
            self._undo.replace(owner, name, _Watched(getattr(owner, name), self._give_way))

    def stop(self) -> bytes:
        """Ends the session and returns what was seen."""
        self._undo.run()
        session, self._session = self._session, None
        if session is None:
            raise RuntimeError("the profiler was not on")
        return session.stop()

    def close(self) -> None:
        """Ends the session, if one is on, and throws away what was seen."""
        self._undo.run()
        session, self._session = self._session, None
        if session is not None:
            session.stop()

    def _give_way(self) -> None:
        self.give_way()

    def run(self, train_function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls the train function inside an event, by which the call is found again."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(Exception):  # without it the decoder says that there is no step
                stack.enter_context(self._annotate(MARK))
            return train_function(*arguments)

    def decode(self, seen: bytes, steps: int) -> Sample:
        """Decodes what was seen in so many steps."""
        return self._decoder.decode(seen, steps)


class _Watched:
    """Stands in for a lock while our session is on; whoever takes it wants a session of their own."""

    def __init__(self, lock: Any, wanted: Callable[[], None]):
        self._lock, self._wanted = lock, wanted

    def __enter__(self) -> Any:
        with contextlib.suppress(Exception):
            self._wanted()
        return self._lock.__enter__()

    def __exit__(self, *error: Any) -> Any:
        return self._lock.__exit__(*error)
