"""One fit under observation: its probes are put in place, and taken out again at the end."""

import dataclasses
import functools
import importlib
import itertools
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from tb_trainspeed.probes import fit_loop, gc_pauses, processes, resources, source, stand_ins
from tb_trainspeed.probes.sampling import DeepSampler, Unavailable
from tb_trainspeed.profile import Cost, Profile
from tb_trainspeed.recorder import Budget, DeepSamples, FitRecorder
from tb_trainspeed.session import guard
from tb_trainspeed.session.facts import FitFacts
from tb_trainspeed.session.records import write_records
from tb_trainspeed.session.threads import Threads

BACKENDS = ("tensorflow", "jax", "torch")
_fits_of_process = itertools.count(1)
_PARTS = "the parts of a step"


class FitSession:
    """Observes one call of `fit` from `on_train_begin` to `on_train_end`.

    Args:
        model: the Keras model.
        backend: the Keras backend, one of `BACKENDS`.
        log_dir: where records go, or `None` for nowhere.
        start_ns: `time.perf_counter_ns()` at the earliest moment of this fit that was seen.
        start_seen: what that moment was, `"fit"` or `"callbacks"`.
        fit_index: which fit of this callback it is, from 1.
        max_overhead: the share of the run that measuring may cost.
    """

    def __init__(
        self,
        model: Any,
        backend: str,
        log_dir: str | None,
        start_ns: int,
        start_seen: str,
        fit_index: int,
        max_overhead: float,
    ):
        started_at_s = time.time() - (time.perf_counter_ns() - start_ns) * 1e-9
        self.max_overhead = max_overhead
        self.recorder = FitRecorder(start_ns)
        self._budget = Budget(max_overhead) if max_overhead else None
        self.model, self._backend_name = model, backend
        self._backend: Any = importlib.import_module(f"tb_trainspeed.probes.{backend}")
        self._log_dir = log_dir
        self._undo, self._validation_undo, self._watch = fit_loop.Undo(), fit_loop.Undo(), fit_loop.Undo()
        self._guard = guard.Guard(self.give_up)
        self._threads = Threads(self._guard)
        self._facts = FitFacts(model, backend, self._backend, self._guard)
        self._guard.attempt("worker", self._facts.ask_worker)
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(started_at_s))
        # Workers on several machines may share the second and the number of their processes.
        worker = self._facts.known.worker
        suffix = f"-w{worker}" if worker else ""
        # In containers every process may have the same number.
        self.fit_id = f"{stamp}-{os.getpid()}-{next(_fits_of_process)}-{secrets.token_hex(2)}{suffix}"
        self._facts.known = dataclasses.replace(
            self._facts.known,
            fit_id=self.fit_id,
            fit_index=fit_index,
            started_at_s=started_at_s,
            start_seen=start_seen,
        )
        self._status = "running"
        self.sees_end = False
        self._deep: DeepSampler | None = None
        self._decoder: threading.Thread | None = None
        self._deep_samples: DeepSamples | None = None
        self._timed_function: Callable[..., Any] | None = None
        self._failed: Callable[[], None] = guard.ignore

    # --- life

    def start(self, ended: Callable[[str], None]) -> None:
        """Puts the probes in place. `ended` is called with the status, perhaps more than once, when the fit is over."""

        def failed() -> None:
            ended("interrupted")

        recorder, model, attempt = self.recorder, self.model, self._guard.attempt
        self._guard.put_around(recorder, guard.RECORDER, recorder.own_cost)
        self._guard.put_around(recorder.clock, guard.CLOCK)
        recorder.clock.push("trainspeed")
        attempt("callbacks", self._find_loop)
        loop = self._facts.loop
        if loop:
            batches = getattr(loop.epoch_iterator, "num_batches", None)
            batches = batches if isinstance(batches, int) else None
            recorder.expect(model.steps_per_execution, batches, self._steps_beyond_data)
            recorder.last_steps.end_with_data = getattr(loop.epoch_iterator, "steps_per_epoch", 0) is None
            attempt("the end", lambda: self._watch_end(loop.callback_list, ended))
            attempt("compute", lambda: fit_loop.watch_logs(loop, recorder, self._watch))
            attempt("interruptions", lambda: self._watch_epochs(loop, failed))
            attempt("callbacks", lambda: fit_loop.time_callbacks(loop, recorder, self._undo, failed))
            attempt("nested calls", lambda: fit_loop.time_nested_calls(model, recorder, self._undo, failed))
            attempt("source", lambda: self._time_source(loop))
            attempt("input_wait", lambda: self._time_fetches(loop))
        else:
            recorder.expect(model.steps_per_execution, None)
            attempt("the end", lambda: self._watch_end(fit_loop.list_of_callbacks(), ended))
            reason = "training runs in a loop of its own, or this version of Keras hides its fit loop from TrainSpeed"
            self._guard.not_measured.setdefault("callbacks", reason)
        attempt("gc", lambda: gc_pauses.time_gc(recorder, self._undo))
        attempt("compilation", self._watch_compiler)
        attempt("settings", self._facts.read_settings)
        self._failed = failed
        attempt("earlier fits", self._facts.count_fits)
        if self._budget and (self._facts.known.model_fit_index or 1) > 1:
            self._budget.earn_all()
        attempt(_PARTS, self._sample_steps)
        attempt("compute", self._time_steps)
        if recorder.follows_device:
            self._threads.spawn("trainspeed-device", lambda: recorder.watch.run(self._threads.stop))
        self._threads.spawn(
            "trainspeed-writer",
            lambda: write_records(self._log_dir, self.fit_id, self.profile, self._threads),
        )
        if self._facts.source and self.max_overhead > 0:
            clock = self._facts.source
            self._threads.spawn("trainspeed-sampler", lambda: source.sample_source(clock, self._threads.stop))
        attempt("resources", self._sample_resources)
        recorder.clock.pop()

    def _steps_beyond_data(self) -> int:
        loop = self._facts.loop
        return loop.steps_beyond_data() if loop else 0

    def _find_loop(self) -> None:
        self._facts.loop = fit_loop.find_fit_loop()

    def _watch_end(self, callback_list: "weakref.ref[Any] | None", ended: Callable[[str], None]) -> None:
        if callback_list:
            fit_loop.watch_end(callback_list, self._watch, ended)
            self.sees_end = True

    def _watch_epochs(self, loop: fit_loop.FitLoop, failed: Callable[[], None]) -> None:
        def end() -> None:
            if self._deep and not self._backend.GUARDS_EVERY_FETCH:
                self._deep.end()

        guarded = self._guard.guarded
        fit_loop.watch_epochs(loop, self._watch, guarded(self.epoch_steps_begin), guarded(end), failed)

    def _sample_steps(self) -> None:
        if not self._budget:
            self._guard.not_measured[_PARTS] = "max_overhead=0 switches deep samples off"
            return
        try:
            tool = self._backend.deep_tool(self.model)
        except Unavailable as reason:
            self._guard.not_measured[_PARTS] = str(reason)
            return
        self._facts.tool = tool
        self._undo.add(tool.close)
        self._deep_samples = DeepSamples(self._budget, tool.first_cost_ns)
        deep = DeepSampler(tool, self._deep_samples, self.recorder, self._sampling_failed)
        self._guard.put_around(deep, guard.SAMPLER)
        self._deep = deep
        if (self._facts.distribution[1] or 1) > 1 and not self._backend.TELLS_COLLECTIVES:
            self.recorder.untold = frozenset({"collectives"})
            self._guard.not_measured["collectives"] = f"on {self._backend_name} it is not told from computing"
        self._decoder = self._threads.spawn("trainspeed-decoder", self._deep.decode_all)

    def _sampling_failed(self, error: Exception) -> None:
        if isinstance(error, Unavailable):
            self._guard.not_measured[_PARTS] = str(error)
        else:
            self._guard.note(_PARTS, error)

    def _time_steps(self) -> None:
        if self.model.train_function is None:  # a loop of one's own, or `epoch_steps_begin` will find one
            if not self._facts.loop:
                self._guard.not_measured["compute"] = "when training began there was no train function yet"
            return
        if not self.max_overhead:
            self._guard.not_measured["input_wait"] = "max_overhead=0 switches it off"
        elif reason := self._backend.fetches_can_be_timed(self.model):
            self._guard.not_measured["input_wait"] = reason
        seen, recorder, plain = self._guard.guarded(self._see_batch), self.recorder, self.model.train_function
        timed = self._backend.time_steps(self.model, recorder, self._budget, self._deep, self._failed, seen)

        @functools.wraps(timed)
        def train_function(*args: Any) -> Any:
            # In a hook it is a step of another fit of this model, or of its `train_on_batch`.
            return (plain if recorder.active_row else timed)(*args)

        self._undo.replace(self.model, "train_function", train_function)
        self._timed_function = train_function

    def _see_batch(self, batch: Any) -> None:
        if self._facts.batch_seen:
            return
        self.recorder.clock.push("trainspeed")
        self._facts.see_batch(batch)
        self.recorder.clock.pop()

    def _time_fetches(self, loop: fit_loop.FitLoop) -> None:
        if self.max_overhead:
            self._backend.time_fetches(loop, self.recorder, self._undo)

    def _time_source(self, loop: fit_loop.FitLoop) -> None:
        if loop.adapter is not None:
            self._facts.source = stand_ins.time_source(loop.adapter, self._undo)
            self._facts.receiver = processes.watch_processes(loop.adapter, self._undo)

    def _watch_compiler(self) -> None:
        self._facts.compiler = self._backend.watch_compiler(self._facts.known.started_at_s, self._undo)

    def _sample_resources(self) -> None:
        clock = self._facts.resources = resources.ResourceClock(self.recorder.clock.start_ns)
        if self.max_overhead:
            arguments = clock, self._threads.stop, self.max_overhead, self._threads.note_time
            self._threads.spawn("trainspeed-resources", lambda: resources.sample_resources(*arguments))
        else:
            self._guard.not_measured["resources"] = "max_overhead=0 switches their samples off"

    def epoch_begin(self, epoch: int) -> None:
        if self._facts.source and self.recorder.steps:
            self._facts.source.epoch_over()
        self.recorder.epoch_begin(epoch)

    def epoch_steps_begin(self) -> None:
        """Puts the clocks around a train function that was made during the fit, as for unfreezing layers."""
        current = self.model.train_function
        if current is not None and current is not self._timed_function:
            self._guard.attempt("compute", self._time_steps)

    def validation_begin(self) -> None:
        undo, model = self._validation_undo, self.model
        if self._deep:
            self._deep.end()
        batches = getattr(getattr(model, "_eval_epoch_iterator", None), "num_batches", None)
        self.recorder.validation_begin(batches if isinstance(batches, int) else None)
        self._guard.attempt("validation steps", lambda: fit_loop.time_validation_steps(model, self.recorder, undo))

    def validation_end(self) -> None:
        self._validation_undo.run()
        self.recorder.validation_end()

    def stop(self, status: str) -> None:
        """Puts everything back and writes the last record."""
        if self._status != "running":
            return
        self._status = status
        try:
            self._watch.run()
            self._stop_measuring()
            self._threads.end(self._decoder)  # it first, for the last record to hold what the last sample says
        finally:  # also after a second Ctrl-C, in the midst of this
            self._threads.stop.set()
            self._undo.run()
            # They hold the data and, on TensorFlow, an iterator, which should not wait for the garbage collector.
            self._facts.loop = self._timed_function = None

    @property
    def unsaved(self) -> str:
        """Why the last record could not be written; empty where it was, or need not be."""
        return self._guard.not_measured.get(guard.RECORDS[1], "")

    def give_up(self, error: Exception) -> None:
        """Takes all clocks out after a failure of ours. What was recorded until now stays."""
        self._stop_measuring()
        self._guard.note("everything after the failure", error)

    def _stop_measuring(self) -> None:
        if self._deep:
            self._guard.attempt(_PARTS, self._deep.close)
        self._guard.attempt("the end", self.recorder.finish)
        self._guard.attempt("the end", self.recorder.watch.close)
        guard.switch_off(self.recorder, guard.RECORDER)
        guard.switch_off(self.recorder.clock, guard.CLOCK)
        self._validation_undo.run()
        self._undo.run()

    # --- out

    def profile(self) -> Profile:
        """Everything known so far, from any thread."""
        known = self._facts.static(stepped=self.recorder.steps > 0)
        breakdown = self._deep_samples.breakdown() if self._deep_samples else None
        profile = self._facts.fill(self.recorder.fill(dataclasses.replace(known, breakdown=breakdown)))
        return dataclasses.replace(
            profile,
            status=self._status,
            updated_at_s=time.time(),
            cost=Cost(
                self.max_overhead,
                profile.ledger.phases.get("trainspeed") or 0.0,
                self._threads.cpu_s,
                self._budget.spent_ns * 1e-9 if self._budget else 0.0,
            ),
            not_measured=self._missing(breakdown is not None),
        )

    def _missing(self, sampled: bool) -> dict[str, str]:
        missing = dict(self._guard.not_measured)
        if sampled:  # which tell the wait inside the train function
            missing.pop("input_wait", None)
        elif self._deep and self._deep.skipped:
            missing.setdefault(_PARTS, self._deep.skipped)
        return missing
