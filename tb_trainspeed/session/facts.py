"""What the objects of a fit say about it. What its events say, the recorder knows."""

import dataclasses
from collections.abc import Callable
from typing import Any

from tb_trainspeed.probes import code, facts, fit_loop, graph, op_names, processes, resources, source
from tb_trainspeed.profile import Compilation, CompilationEvent, Data, Profile, Resources
from tb_trainspeed.session.guard import Guard

_COMPILATION_EVENTS = 32


class FitFacts:
    """Asks the objects of a fit: some when it begins, on its thread, most of them later and beside it.

    Args:
        model: the Keras model.
        backend_name: the Keras backend.
        backend: its module of `probes`.
        guard: of the session.
    """

    def __init__(self, model: Any, backend_name: str, backend: Any, guard: Guard):
        self._model, self._backend_name, self._backend = model, backend_name, backend
        self._guard = guard
        #: What is known until now, without what changes with every step.
        self.known = Profile()
        #: The probes that are in place, each `None` where it could not be.
        self.loop: fit_loop.FitLoop | None = None
        self.source: source.SourceClock | None = None
        self.receiver: processes.Receiver | None = None
        self.resources: resources.ResourceClock | None = None
        self.compiler: Callable[[Compilation], Compilation] | None = None
        self.tool: Any = None
        #: The class of the distribution strategy, and over how many replicas.
        self.distribution: tuple[str | None, int | None] = None, None
        self._settings: dict[str, str] = {}
        self._batch: tuple[int | None, int | None, str | None] = None, None, None
        self._rows: dict[str, Any] = {}
        self.batch_seen = self._collected = self._model_built = self._graph_read = False

    # --- on the thread of the fit

    def ask_worker(self) -> None:
        """Asks which process of a distributed fit it is. Keras keeps the distribution of JAX for one thread."""
        self.distribution = self._backend.distribution(self._model)
        self.known = dataclasses.replace(self.known, worker=self._backend.worker(self._model))

    def read_settings(self) -> None:
        """Reads the switches of the frameworks, some of which are of this thread."""
        self._settings = self._backend.settings()

    def count_fits(self) -> None:
        """Counts this fit, unless training runs in another way. To be called before the train function is replaced."""
        if self._model.train_function is None:
            return
        program = code.program_of(self.loop.callers if self.loop else ())
        fit, remade, alike = fit_loop.count_fits(self._model, program)
        compilation = Compilation(remade=remade, alike=alike)
        self.known = dataclasses.replace(self.known, model_fit_index=fit, compilation=compilation)

    def see_batch(self, batch: Any) -> None:
        """Looks at the first batch."""

        def see() -> None:
            self._batch = *source.size_of(batch), source.shapes_of(batch)
            self._rows = source.rows_of(batch)

        self.batch_seen = True
        self._guard.attempt("the batch", see)

    # --- from any thread

    def static(self, stepped: bool) -> Profile:
        """Returns what does not change from step to step. `stepped`: there was one, so it has been traced."""
        if not self._collected:
            self._collect()
        if stepped and not self._model_built:
            # Before the first step is over, Keras may be at making the variables of the optimizer, or the model's own.
            self._model_built = True
            self._guard.attempt("model", self._read_model)
        if not self._graph_read and stepped and self.known.model.kind:
            self._graph_read = True
            self._guard.attempt("the traced step", self._read_graph)
        return self.known

    def _collect(self) -> None:
        self._collected = True
        parts: dict[str, Any] = {}

        def collect(name: str, make: Callable[[], Any]) -> None:
            def assign() -> None:
                parts[name] = make()

            self._guard.attempt(name, assign)

        backend = self._backend
        self._guard.attempt("model", self._read_model)
        collect(
            "environment",
            lambda: facts.environment(self._backend_name, backend.devices(), self._settings, self.distribution),
        )
        loop = self.loop
        if loop:
            collect("data", lambda: backend.data_facts(loop))
            collect("validation", lambda: facts.validation_facts(loop.arguments))
            collect("callbacks", lambda: facts.callback_facts(loop.callbacks))
            epochs = loop.arguments.get("epochs")  # as numbers; a fit that is resumed has fewer to do
            # `BackupAndRestore` sets it on the model.
            first = getattr(self._model, "_initial_epoch", None) or loop.arguments.get("initial_epoch") or 0
            parts["epochs_planned"] = epochs and max(0, epochs - first)
        self.known = dataclasses.replace(self.known, **parts)

    def _read_model(self) -> None:
        self.known = dataclasses.replace(self.known, model=self._backend.model_facts(self._model))

    def _read_graph(self) -> None:
        operations = self._backend.traced_operations(self._model) or getattr(self.tool, "operations", None)
        self._graph_read = bool(operations)  # else a sample may tell
        if operations:
            names = op_names.OpNames(self._model, facts.unscoped_phase(self._model))
            self.known = dataclasses.replace(self.known, model=graph.add_facts(self.known.model, operations, names))

    def fill(self, profile: Profile) -> Profile:
        """Returns `profile` with what is known of the batches, what was compiled and what was used."""
        data, steps = self._data(profile.data), profile.steps
        return dataclasses.replace(
            profile,
            data=data,
            steps=dataclasses.replace(steps, samples=steps.count * data.batch_size if data.batch_size else None),
            compilation=self._compilation(profile),
            resources=self._resources(),
        )

    def _data(self, data: Data) -> Data:
        if self._batch[1]:
            batch_size, batch_bytes, text = self._batch
            data = dataclasses.replace(data, batch_size=batch_size, batch_bytes=batch_bytes, batch=text)
            rows = {name: value for name, value in self._rows.items() if getattr(data, name, None) is None}
            data = dataclasses.replace(data, **rows, options={**self._rows.get("options", {}), **data.options})
        if self.source and self.source.error:
            self._guard.note("source", self.source.error)
        elif self.source and self.source.called and self.source.elements:
            data = dataclasses.replace(data, generator=self.source.facts())
        elif self.source and self.source.called:
            made = self.source
            data = dataclasses.replace(
                data,
                source=made.facts(),
                batch_size=data.batch_size or made.batch_size,
                batch_bytes=data.batch_bytes or made.batch_bytes,
                inputs=made.batch,
                **{**made.rows, "options": {**data.options, **made.rows.get("options", {})}},
            )
        if self.receiver and self.receiver.error:
            self._guard.note("source", self.receiver.error)
        elif self.receiver:
            data = dataclasses.replace(data, receive_s=self.receiver.batch_s)
        return data

    def _compilation(self, profile: Profile) -> Compilation:
        """What was compiled, with the reasons that the backend tells."""
        markers = [marker for marker in profile.markers if marker.kind == "compilation"][:_COMPILATION_EVENTS]
        events = tuple(CompilationEvent(one.step, one.at_s, one.duration_s, one.label) for one in markers)
        found = dataclasses.replace(profile.compilation, events=events)

        def add() -> None:
            nonlocal found
            if self.compiler:
                found = self.compiler(found)

        self._guard.attempt("compilation", add)
        return found

    def _resources(self) -> Resources:
        found = Resources()

        def look() -> None:
            nonlocal found
            if self.resources:
                found = self.resources.facts()
                if self.resources.without_accelerators:
                    self._guard.not_measured["accelerators"] = self.resources.without_accelerators
            found = dataclasses.replace(
                found, device_memory=self._backend.device_memory(), live_models=fit_loop.live_models()
            )

        self._guard.attempt("resources", look)
        return found
