"""One fit under observation: probes in place, recorder running, snapshots written, and everything put back at the end.

Nothing here may raise into `fit`: whatever fails is noted as not measured, with its reason, and the fit goes on.
"""

import contextlib
import dataclasses
import importlib
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from tb_trainspeed.probes import facts, fit_loop, gc_pauses, graph, op_names, resources, source
from tb_trainspeed.probes.sampling import DeepSampler, Unavailable
from tb_trainspeed.profile import Compilation, CompilationEvent, Cost, Profile, Resources
from tb_trainspeed.recorder import Budget, DeepSamples, FitRecorder, PhaseClock
from tb_trainspeed.summary import EventFile, encode, fit_directory

log = logging.getLogger("tb_trainspeed")

FLUSH_FIRST_S, FLUSH_EVERY_S = 1.0, 10.0
BACKENDS = ("tensorflow", "jax", "torch")
_CLOSE_TIMEOUT_S = 10.0
_CALIBRATION_ROUNDS = 200
_COMPILATION_EVENTS = 32
_fits_of_process = itertools.count(1)
_GUARDED_CLOCK = ("tick", "push", "pop", "switch", "move")
_GUARDED_SAMPLER = ("before_step", "after_step", "end")
_GUARDED = (
    "safely", "step_begin", "fetched", "fetch_begin", "fetch_end", "step_end", "step_abort", "sample_device",
    "drain_device", "epoch_begin", "epoch_end", "validation_begin", "validation_call", "validation_end", "leave",
    "nested_call", "sample_begin", "sample_end",
)  # fmt: skip
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
        self._model, self._backend_name = model, backend
        self._backend: Any = importlib.import_module(f"tb_trainspeed.probes.{backend}")
        self._log_dir = log_dir
        self._undo, self._validation_undo, self._watch = fit_loop.Undo(), fit_loop.Undo(), fit_loop.Undo()
        self._not_measured: dict[str, str] = {}
        self._warned = False
        self._worker = 0
        self._distribution: tuple[str | None, int | None] = None, None
        self._try("worker", self._ask_worker)
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(started_at_s))
        # Workers on several machines may share the second and the number of their processes.
        suffix = f"-w{self._worker}" if self._worker else ""
        self.fit_id = f"{stamp}-{os.getpid()}-{next(_fits_of_process)}{suffix}"
        self._static = Profile(
            fit_id=self.fit_id,
            fit_index=fit_index,
            worker=self._worker,
            started_at_s=started_at_s,
            start_seen=start_seen,
        )
        self._status = "running"
        self.sees_end = False
        self._source: source.SourceClock | None = None
        self._resources: resources.ResourceClock | None = None
        self._settings: dict[str, str] = {}
        self._compiler: Callable[[Compilation], Compilation] | None = None
        self._batch: tuple[int | None, int | None, str | None] = None, None, None
        self._rows: dict[str, Any] = {}
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._background_ns: dict[str, int] = {}
        self._tool: Any = None
        self._deep: DeepSampler | None = None
        self._decoder: threading.Thread | None = None
        self._deep_samples: DeepSamples | None = None
        self._loop: fit_loop.FitLoop | None = None
        self._facts_ready = self._graph_ready = False
        self._timed_function: Callable[..., Any] | None = None
        self._failed: Callable[[], None] = _ignore

    # --- life

    def start(self, ended: Callable[[str], None]) -> None:
        """Puts the probes in place. `ended` is called with the status, perhaps more than once, when the fit is over."""

        def failed() -> None:
            ended("interrupted")

        recorder, model = self.recorder, self._model
        for owner, names in ((recorder, _GUARDED), (recorder.clock, _GUARDED_CLOCK)):
            for name in names:
                setattr(owner, name, self._guarded(getattr(owner, name)))
        recorder.clock.push("trainspeed")
        self._try("callbacks", self._find_loop)
        loop = self._loop
        recorder.transition_cost_ns = _transition_cost_ns()
        if loop:
            batches = getattr(loop.epoch_iterator, "num_batches", None)
            recorder.expect(model.steps_per_execution, batches if isinstance(batches, int) else None)
            others = [callback for callback in loop.callbacks if not hasattr(callback, "_trainspeed")]
            self._try("the end", lambda: self._watch_end(loop, ended))
            self._try("interruptions", lambda: self._watch_epochs(loop, failed))
            self._try("callbacks", lambda: fit_loop.time_callbacks(others, recorder, self._undo, failed))
            self._try("nested calls", lambda: fit_loop.time_nested_calls(model, recorder, self._undo, failed))
            self._try("source", self._time_source)
            self._try("input_wait", self._time_fetches)
        else:
            recorder.expect(model.steps_per_execution, None)
            reason = "this version of Keras keeps its fit loop where TrainSpeed cannot see it"
            self._not_measured.setdefault("callbacks", reason)
        self._try("gc", lambda: gc_pauses.time_gc(recorder, self._undo))
        self._try("compilation", self._watch_compiler)
        self._try("settings", self._read_settings)  # some are of this thread
        self._failed = failed
        self._try("earlier fits", self._count_fits)
        self._try(_PARTS, self._sample_steps)
        self._try("compute", self._time_steps)
        self._spawn("trainspeed-writer", self._write_snapshots)
        if self._source and self.max_overhead > 0:
            clock = self._source
            self._spawn("trainspeed-sampler", lambda: source.sample_source(clock, self._stop))
        self._try("resources", self._sample_resources)
        recorder.clock.pop()

    def _ask_worker(self) -> None:
        # On this thread: Keras keeps the distribution of JAX for the thread that set it.
        self._distribution = self._backend.distribution(self._model)
        self._worker = self._backend.worker(self._model)

    def _find_loop(self) -> None:
        self._loop = fit_loop.find_fit_loop()

    def _watch_end(self, loop: fit_loop.FitLoop, ended: Callable[[str], None]) -> None:
        fit_loop.watch_end(loop, self._watch, ended)
        self.sees_end = True

    def _watch_epochs(self, loop: fit_loop.FitLoop, failed: Callable[[], None]) -> None:
        def end() -> None:
            if self._deep and not self._backend.GUARDS_EVERY_FETCH:
                self._deep.end()
            if self._backend.WAITS_AT_EPOCH_END:
                self.recorder.drain_device()

        fit_loop.watch_epochs(loop, self._watch, self._guarded(self.epoch_steps_begin), self._guarded(end), failed)

    def _sample_steps(self) -> None:
        if not self._budget:
            return
        try:
            tool = self._backend.deep_tool(self._model)
        except Unavailable as reason:
            self._not_measured[_PARTS] = str(reason)
            return
        self._tool = tool
        self._undo.add(tool.close)
        self._deep_samples = DeepSamples(self._budget, tool.first_cost_ns)
        deep = DeepSampler(tool, self._deep_samples, self.recorder, self._sampling_failed)
        for name in _GUARDED_SAMPLER:
            setattr(deep, name, self._guarded(getattr(deep, name)))
        self._deep = deep
        if (self._distribution[1] or 1) > 1 and not self._backend.TELLS_COLLECTIVES:
            self.recorder.untold = frozenset({"collectives"})
            self._not_measured["collectives"] = f"on {self._backend_name} it is not told from computing"
        self._decoder = self._spawn("trainspeed-decoder", self._deep.decode_all)

    def _sampling_failed(self, error: Exception) -> None:
        if isinstance(error, Unavailable):
            self._not_measured[_PARTS] = str(error)
        else:
            self._note(_PARTS, error)

    def _count_fits(self) -> None:
        fit, remade = fit_loop.count_fits(self._model)
        self._static = dataclasses.replace(self._static, model_fit_index=fit, compilation=Compilation(remade=remade))

    def _time_steps(self) -> None:
        if not self.max_overhead:
            self._not_measured["input_wait"] = "max_overhead=0 switches it off"
        elif reason := self._backend.fetches_can_be_timed(self._model):
            self._not_measured["input_wait"] = reason
        seen = self._guarded(self._see_batch)
        timed = self._backend.time_steps(self._model, self.recorder, self._budget, self._deep, self._failed, seen)
        self._undo.replace(self._model, "train_function", timed)
        self._timed_function = timed

    def _time_fetches(self) -> None:
        if self._loop and self.max_overhead:
            self._backend.time_fetches(self._loop, self.recorder, self._undo)

    def _see_batch(self, batch: Any) -> None:
        def see() -> None:
            self._batch = *source.size_of(batch), source.shapes_of(batch)
            self._rows = source.rows_of(batch)

        if self._batch[2] is None:  # only the first
            self._batch = None, None, ""
            self._try("the batch", see)

    def _time_source(self) -> None:
        if self._loop and self._loop.adapter is not None:
            self._source = source.time_source(self._loop.adapter, self._undo)

    def _watch_compiler(self) -> None:
        self._compiler = self._backend.watch_compiler(self._static.started_at_s, self._undo)

    def _read_settings(self) -> None:
        self._settings = self._backend.settings()

    def _sample_resources(self) -> None:
        clock = self._resources = resources.ResourceClock(self.recorder.clock.start_ns)
        if self.max_overhead:
            arguments = clock, self._stop, self.max_overhead, self._note_thread_time
            self._spawn("trainspeed-resources", lambda: resources.sample_resources(*arguments))
        else:
            self._not_measured["resources"] = "max_overhead=0 switches their samples off"

    def epoch_steps_begin(self) -> None:
        """Puts the clocks around a train function that was made during the fit, as for unfreezing layers."""
        current = self._model.train_function
        if current is not None and current is not self._timed_function:
            self._try("compute", self._time_steps)

    def validation_begin(self) -> None:
        undo, model = self._validation_undo, self._model
        if self._deep:
            self._deep.end()
        batches = getattr(getattr(model, "_eval_epoch_iterator", None), "num_batches", None)
        self.recorder.validation_begin(batches if isinstance(batches, int) else None)
        self._try("validation steps", lambda: fit_loop.time_validation_steps(model, self.recorder, undo))

    def validation_end(self) -> None:
        self._validation_undo.run()
        self.recorder.validation_end()

    def stop(self, status: str) -> None:
        """Puts everything back and writes the last record."""
        if self._status != "running":
            return
        self._status = status
        self._watch.run()
        self._stop_measuring()
        if self._decoder:  # for the last record to hold what the last sample says
            self._decoder.join(_CLOSE_TIMEOUT_S)
        self._stop.set()
        for thread in self._threads:
            if thread is not threading.current_thread():  # which has just collected the garbage of this fit
                thread.join(_CLOSE_TIMEOUT_S)
        # They hold the data and, on TensorFlow, an iterator, which should not wait for the garbage collector.
        self._loop = self._timed_function = None

    def give_up(self, error: Exception) -> None:
        """Takes all clocks out after a failure of ours. What was recorded until now stays."""
        self._stop_measuring()
        self._note("everything after the failure", error)

    def _stop_measuring(self) -> None:
        if self._deep:
            self._try(_PARTS, self._deep.close)
        self._try("the end", self.recorder.finish)
        for owner, names in ((self.recorder, _GUARDED), (self.recorder.clock, _GUARDED_CLOCK)):
            for name in names:  # for the hooks and steps that are still on the stack
                setattr(owner, name, _ignore)
        self._validation_undo.run()
        self._undo.run()

    # --- guards

    def _guarded(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any) -> Any:
            try:
                return method(*args)
            except Exception as error:
                self.give_up(error)

        return guarded

    def _try(self, what: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            self._note(what, error)

    def _note(self, what: str, error: Exception) -> None:
        self._not_measured[what] = f"{type(error).__name__}: {error}"
        if not self._warned:
            self._warned = True
            log.warning("TrainSpeed does not measure %s of this fit: %r. Training is not affected.", what, error)

    # --- snapshots

    def profile(self) -> Profile:
        """Everything known so far, from any thread."""
        if not self._facts_ready:
            self._collect_facts()
        if not self._graph_ready and self.recorder.steps and self._static.model.kind:  # the step was traced, then
            self._graph_ready = True
            self._try("the traced step", self._read_graph)
        breakdown = self._deep_samples.breakdown() if self._deep_samples else None
        profile = self.recorder.fill(dataclasses.replace(self._static, breakdown=breakdown))
        own_s = profile.ledger.phases.get("trainspeed") or 0.0
        data = profile.data
        if self._batch[1]:
            batch_size, batch_bytes, text = self._batch
            data = dataclasses.replace(data, batch_size=batch_size, batch_bytes=batch_bytes, batch=text)
            rows = {name: value for name, value in self._rows.items() if getattr(data, name) is None}
            data = dataclasses.replace(data, **rows)
        if self._source and self._source.error:
            self._note("source", self._source.error)
        elif self._source and self._source.calls:
            made = self._source
            data = dataclasses.replace(
                data,
                source=made.facts(),
                batch_size=data.batch_size or made.batch_size,
                batch_bytes=data.batch_bytes or made.batch_bytes,
                inputs=made.batch,
                **made.rows,
            )
        steps = profile.steps
        batch_size = data.batch_size
        return dataclasses.replace(
            profile,
            status=self._status,
            updated_at_s=time.time(),
            data=data,
            steps=dataclasses.replace(steps, samples=steps.count * batch_size if batch_size else None),
            compilation=self._compilation(profile),
            resources=self._resource_facts(),
            cost=Cost(
                self.max_overhead,
                own_s,
                sum(self._background_ns.values()) * 1e-9,
                self._budget.spent_ns * 1e-9 if self._budget else 0.0,
            ),
            not_measured=self._missing(breakdown is not None),
        )

    def _compilation(self, profile: Profile) -> Compilation:
        """What was compiled, with the reasons that the backend tells."""
        markers = [marker for marker in profile.markers if marker.kind == "compilation"][:_COMPILATION_EVENTS]
        events = tuple(CompilationEvent(one.step, one.at_s, one.duration_s, one.label) for one in markers)
        found = dataclasses.replace(profile.compilation, events=events)

        def add() -> None:
            nonlocal found
            if self._compiler:
                found = self._compiler(found)

        self._try("compilation", add)
        return found

    def _resource_facts(self) -> Resources:
        found = Resources()

        def look() -> None:
            nonlocal found
            if self._resources:
                found = self._resources.facts()
                if self._resources.without_accelerators:
                    self._not_measured["accelerators"] = self._resources.without_accelerators
            found = dataclasses.replace(
                found, device_memory=self._backend.device_memory(), live_models=fit_loop.live_models()
            )

        self._try("resources", look)
        return found

    def _missing(self, sampled: bool) -> dict[str, str]:
        missing = dict(self._not_measured)
        if sampled:  # which tell the wait inside the train function
            missing.pop("input_wait", None)
        elif self._deep and self._deep.skipped:
            missing.setdefault(_PARTS, self._deep.skipped)
        return missing

    def _collect_facts(self) -> None:
        self._facts_ready = True
        parts: dict[str, Any] = {}

        def collect(name: str, make: Callable[[], Any]) -> None:
            def assign() -> None:
                parts[name] = make()

            self._try(name, assign)

        backend = self._backend
        collect(
            "environment",
            lambda: facts.environment(self._backend_name, backend.devices(), self._settings, self._distribution),
        )
        collect("model", lambda: backend.model_facts(self._model))
        loop = self._loop
        if loop:
            collect("data", lambda: backend.data_facts(loop))
            collect("validation", lambda: facts.validation_facts(loop.arguments))
            collect("callbacks", lambda: facts.callback_facts(loop.callbacks))
            parts["epochs_planned"] = loop.arguments.get("epochs")
        self._static = dataclasses.replace(self._static, **parts)

    def _read_graph(self) -> None:
        operations = self._backend.traced_operations(self._model) or getattr(self._tool, "operations", None)
        self._graph_ready = bool(operations)  # else a sample may tell
        if operations:
            names = op_names.OpNames(self._model, facts.unscoped_phase(self._model))
            self._static = dataclasses.replace(
                self._static, model=graph.add_facts(self._static.model, operations, names)
            )

    def _spawn(self, name: str, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=lambda: self._counted(target), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _counted(self, target: Callable[[], None]) -> None:
        try:
            target()
        except Exception as error:
            self._note(threading.current_thread().name, error)
        self._background_ns[threading.current_thread().name] = time.thread_time_ns()

    def _write_snapshots(self) -> None:
        file = EventFile(fit_directory(self._log_dir, self.fit_id)) if self._log_dir else None
        with contextlib.closing(file) if file else contextlib.nullcontext():
            interval_s = FLUSH_FIRST_S
            while not self._stop.wait(interval_s):
                self._write_snapshot(file)
                interval_s = min(FLUSH_EVERY_S, interval_s * 2)
            self._write_snapshot(file)

    def _write_snapshot(self, file: EventFile | None) -> None:
        profile = self.profile()
        if file:
            scalars = _scalars(profile)
            file.write(profile.steps.count, profile.updated_at_s, {"profile": encode(profile), **scalars})
        self._note_thread_time()

    def _note_thread_time(self) -> None:
        """The calling thread is ours: all it took is our cost."""
        self._background_ns[threading.current_thread().name] = time.thread_time_ns()


def _scalars(profile: Profile) -> dict[str, float]:
    """The main phases so far as shares of the wall time, and the step time, for the Scalars tab."""
    wall_s = profile.ledger.wall_s or 1.0
    values = {f"share/{name}": value / wall_s for name, value in profile.ledger.phases.items() if value}
    if profile.steps.step:
        values["step_s"] = profile.steps.step.p50_s
    return values


def _transition_cost_ns() -> float:
    """What one transition of the clock costs on this machine, ns."""
    scratch = PhaseClock("compute")
    begin = time.perf_counter_ns()
    for _ in range(_CALIBRATION_ROUNDS):
        scratch.push("gc")
        scratch.pop()
    return (time.perf_counter_ns() - begin) / (2 * _CALIBRATION_ROUNDS)


def _ignore(*args: Any) -> None:
    pass
