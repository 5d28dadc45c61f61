"""The Keras callback: hooks in, recorder calls out."""

import contextlib
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import keras

from tb_trainspeed.probes import fit_entry
from tb_trainspeed.report import Report, diagnose
from tb_trainspeed.report.terminal import render, say
from tb_trainspeed.session import BACKENDS, FitSession

log = logging.getLogger("tb_trainspeed")

_TELLS_FROM = 10  # steps: a report of fewer says that they are too few

_measuring: "weakref.WeakSet[TrainSpeedCallback]" = weakref.WeakSet()
_listed = threading.Lock()


class TrainSpeedCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Finds out why a `fit` is slow, and what to change.

    Add it to `fit`. At the end it prints where the time went, the causes, and the fix for each with the speed-up to
    expect; the TrainSpeed tab of TensorBoard shows the same while training runs. It does not change what is trained:
    weights and history are bit-identical with and without it, and nothing in it can make `fit` fail.

    Args:
        log_dir: the TensorBoard log directory. Records go to a directory of their own below it, one for each fit.
            `None` writes nothing. Defaults to `"logs"`.
        max_overhead: share of the run, 0 to 1, that measuring may cost. 0 leaves only the plainest clocks on.
            Defaults to `0.01`.
        verbose: 1 prints the report at the end of `fit`, also where it is interrupted, and a line where a fit has the
            causes of the one before; 0 prints nothing. Defaults to `1`.

    Raises:
        ValueError: if an argument is out of range.

    Example:

    ```python
    from tb_trainspeed import TrainSpeedCallback

    callback = TrainSpeedCallback(log_dir="logs")
    model.fit(dataset, epochs=5, callbacks=[callback])
    print(callback.report.verdict)
    ```
    """

    # Only hooks that run once an epoch or more seldom are overridden: a batch hook would make every step of a JAX or
    # torch fit wait for its device. The clocks of a step are around the train function instead.
    async_safe = True

    def __init__(self, log_dir: str | os.PathLike[str] | None = "logs", max_overhead: float = 0.01, verbose: int = 1):
        super().__init__()
        if not isinstance(max_overhead, (int, float)) or not 0 <= max_overhead <= 1:
            raise ValueError(f"`max_overhead` is a share of the run, between 0 and 1. Received: {max_overhead=}")
        if log_dir is not None and not isinstance(log_dir, (str, os.PathLike)):
            raise ValueError(f"`log_dir` must be a path or None. Received: {log_dir=}")
        self.log_dir = None if log_dir is None else os.fspath(log_dir) or os.curdir
        self.max_overhead = max_overhead
        self.verbose = verbose
        self._trainspeed = True
        self._fits, self._warned = 0, False
        self._start_ns = 0
        self._session: FitSession | None = None
        self._safely(lambda: fit_entry.watch(self))

    @property
    def report(self) -> Report:
        """The report of the last fit, also while it runs.

        Raises:
            RuntimeError: if no fit was measured yet.
        """
        if self._session is None:
            raise RuntimeError("No fit was measured yet: add this callback to `fit(callbacks=[...])` first.")
        return diagnose(self._session.profile())

    def set_params(self, params: Any) -> None:
        self._start_ns = 0
        self._safely(self._note_start)
        super().set_params(params)

    def __getstate__(self) -> dict[str, Any]:
        # Of a copy or a pickle, what is being measured is not a part.
        return {**self.__dict__, "_session": None, "_running": None, "_start_ns": 0}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._safely(lambda: fit_entry.watch(self))

    def _note_start(self) -> None:
        """Notes when this fit began; in a list of callbacks that the user made, that is seen only when it begins."""
        seen_ns = fit_entry.take_start(self.model)
        if seen_ns or not self._start_ns:
            self._start_seen = "callbacks" if seen_ns is None else "fit"
            self._start_ns = seen_ns or time.perf_counter_ns()

    def on_train_begin(self, logs: Any = None) -> None:
        self._safely(self._begin)

    def on_train_end(self, logs: Any = None) -> None:
        session = self._running
        if session and not session.sees_end:  # else the hooks after this one are yet to be timed
            self._safely(lambda: self._end(session, "finished"))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._tell(lambda session: session.epoch_begin(epoch))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._tell(lambda session: session.recorder.epoch_end(logs))

    def on_test_begin(self, logs: Any = None) -> None:
        self._tell(lambda session: session.validation_begin())

    def on_test_end(self, logs: Any = None) -> None:
        self._tell(lambda session: session.validation_end())

    _running: FitSession | None = None
    _told: tuple[str, ...] | None = None

    def _begin(self) -> None:
        with _listed:
            others = list(_measuring)
        for other in others:
            if other is not self and self.params is not None and other.params is self.params:
                log.warning("Another TrainSpeedCallback measures this fit already; this one does nothing.")
                return
            # Not `other.model`: on JAX Keras then fetches what another thread may be training.
            if (session := other._running) and (other is self or session.model is self.model):
                other._end(session, "interrupted")  # its fit was, unseen, or this one is nested in it
        backend = keras.backend.backend()
        if backend not in BACKENDS:
            log.warning("TrainSpeed measures %s; on %s it measures nothing.", ", ".join(BACKENDS), backend)
            return
        self._note_start()
        self._fits += 1
        start_ns, self._start_ns = self._start_ns, 0
        session = FitSession(
            self.model, backend, self.log_dir, start_ns, self._start_seen, self._fits, self.max_overhead
        )
        self._session = self._running = session
        with _listed:
            _measuring.add(self)
        session.start(lambda status: self._safely(lambda: self._end(session, status)))

    def _end(self, session: FitSession, status: str) -> None:
        if session is not self._running:
            return
        self._running = None
        with _listed:
            _measuring.discard(self)
        session.stop(status)
        # What is stopped is often slow. What failed in its first steps has nothing to tell.
        stopped = status == "interrupted" and sys.exc_info()[0] and session.recorder.steps >= _TELLS_FROM
        if self.verbose and (status == "finished" or stopped):
            report = self.report
            causes = tuple(finding.code for finding in report.findings)
            if causes == self._told:  # in a loop around `fit`
                again = f" The same causes as in the fit before: {', '.join(causes)}." if causes else ""
                say(f"TrainSpeed: {report.verdict}{again}")
            else:
                say(render(report, log_dir=None if session.unsaved else self.log_dir))
            self._told = causes
            if session.unsaved:
                say(f"The end of this fit was not saved ({session.unsaved}). log_dir must be a directory to write to.")

    def _tell(self, action: Callable[[FitSession], None]) -> None:
        session = self._running
        if session:
            self._safely(lambda: action(session))

    def _safely(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            session, handled = self._running, False
            if session:
                with contextlib.suppress(Exception):
                    session.give_up(error)
                    handled = True
            if not handled and not self._warned:
                self._warned = True
                log.warning("TrainSpeed stopped measuring: %r. Training is not affected.", error)
