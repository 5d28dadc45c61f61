"""The JAX backend: clocks around the train function, and the device followed without waiting for it.

A step is only enqueued, on the CPU too. Its metrics are results that nothing overwrites, so they tell when the step is
done; the state is given back to the device and would not.
"""

import collections
import dataclasses
import functools
import importlib
import inspect
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import jax
import keras

from tb_trainspeed.probes import facts, machine, source
from tb_trainspeed.probes.fetches import TimedBatches, time_fetches
from tb_trainspeed.probes.fit_loop import FitLoop, Undo
from tb_trainspeed.probes.op_names import OpNames
from tb_trainspeed.probes.profiler import Profiler
from tb_trainspeed.probes.sampling import DeepSampler, Unavailable
from tb_trainspeed.probes.trace import Decoder
from tb_trainspeed.profile import Compilation, Data, Device, DeviceMemory, Model
from tb_trainspeed.recorder import Budget, FitRecorder

GUARDS_EVERY_FETCH = False
#: Whether deep samples see what is exchanged with other devices.
TELLS_COLLECTIVES = True
__all__ = ["time_fetches"]

# https://docs.jax.dev/en/latest/jax.monitoring.html; the names are those of jax/_src/dispatch.py.
_STAGES = {
    "/jax/core/compile/jaxpr_trace_duration": "trace",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower",
    "/jax/core/compile/backend_compile_duration": "compile",
}
_MAX_FUNCTIONS, _DEAREST, _MAX_NAME = 1000, 12, 80


def fetches_can_be_timed(model: Any) -> str | None:
    """Returns why the fetch of a batch cannot be timed, or `None` when it can."""
    return None


class _Metrics:
    """The end of a step, by one of its metrics."""

    def __init__(self, metric: Any):
        self.is_ready = metric.is_ready
        self.wait = metric.block_until_ready


def _done(logs: Any) -> _Metrics | None:
    # A dictionary of metrics by their names, as a rule: looking at all of it takes six times as long.
    first = next(iter(logs.values()), None) if type(logs) is dict else None
    if isinstance(first, jax.Array):
        return _Metrics(first)
    for leaf in jax.tree_util.tree_leaves(logs):
        if isinstance(leaf, jax.Array):
            return _Metrics(leaf)
    return None


def time_steps(
    model: Any,
    recorder: FitRecorder,
    budget: Budget | None,
    deep: DeepSampler | None,
    failed: Callable[[], None],
    seen: Callable[[Any], None],
) -> Callable[..., Any]:
    """Returns the train function with clocks. `seen` is shown every batch."""
    train_function = model.train_function
    traced = trace_detector(train_function)
    recorder.new_function()
    run = functools.partial(deep.run, train_function) if deep else train_function
    # A step that is not compiled is many small operations, and the host that dispatches them is what takes the time.
    follows = bool(model.jit_compile) and not model.run_eagerly and not getattr(jax.config, "jax_disable_jit", False)
    if budget and follows:
        recorder.follow_device(machine.usable_cores() if jax.default_backend() == "cpu" else None)
    recorder.may_wait = True

    @functools.wraps(train_function)
    def timed(state: Any, iterator: Iterator[Any]) -> Any:
        if deep and not recorder.later.steps:
            deep.before_step()
        recorder.step_begin(False)
        try:
            outputs = run(state, iterator)
        except BaseException as error:
            recorder.step_abort()
            if not isinstance(error, StopIteration):  # with which an epoch of unknown length ends
                failed()
            raise
        recorder.step_end(
            traced,
            lambda: _done(outputs[0]),
            lambda: source.shapes_of(getattr(iterator, "last", None)),
        )
        if isinstance(iterator, TimedBatches):
            if not recorder.later.steps:
                seen(iterator.last)
            iterator.last = None
        if not recorder.later.steps:
            recorder.watch_device()
            if deep:
                deep.after_step()
        return outputs

    return timed


def trace_detector(train_function: Callable[..., Any]) -> Callable[[], bool]:
    """Returns a function that tells whether JAX compiled since it was last asked. The first step always counts."""
    variables = inspect.getclosurevars(train_function).nonlocals.values()
    sizes = [size for variable in variables if (size := getattr(variable, "_cache_size", None))]
    last = -1

    def traced() -> bool:
        nonlocal last
        before, last = last, sum(size() for size in sizes)
        return last > before

    return traced


class CompilerLog:
    """What JAX reports of its compiler, on the thread that runs the fit.

    Tracing and compiling nest: a function is traced while another is, and a constant compiled meanwhile. Each report
    comes when it is over, with its duration, so that what began later and was reported before is inside it: that is
    taken off, and the seconds add up.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter):
        self._now, self._owner = now, threading.get_ident()
        self._recent: collections.deque[tuple[float, float]] = collections.deque(maxlen=256)
        self.stages: dict[str, float] = {}
        self.functions: dict[str, float] = {}
        self.error: Exception | None = None
        self._closed = False

    def close(self) -> None:
        self._closed = True

    def listen(self, event: str, duration: float, **about: Any) -> None:
        """JAX reports that something took `duration` seconds until now."""
        stage = _STAGES.get(event)
        if stage is None or self._closed or threading.get_ident() != self._owner:
            return
        begin, inside = self._now() - duration, 0.0
        while self._recent and self._recent[-1][0] >= begin:
            inside += self._recent.pop()[1]
        self._recent.append((begin, duration))
        own = max(0.0, duration - inside)
        self.stages[stage] = self.stages.get(stage, 0.0) + own
        name = str(about.get("fun_name") or "")
        name = name.removeprefix("jit(").removesuffix(")")[:_MAX_NAME]
        if name in self.functions or len(self.functions) < _MAX_FUNCTIONS:
            self.functions[name] = self.functions.get(name, 0.0) + own

    def add_facts(self, compilation: Compilation) -> Compilation:
        """Returns `compilation` with the seconds by stage and those of the functions that took most."""
        if self.error:
            raise self.error
        dearest = sorted(self.functions.copy().items(), key=lambda item: -item[1])[:_DEAREST]
        named = {name: seconds for name, seconds in dearest if name}
        return dataclasses.replace(compilation, compiler_s=dict(self.stages), functions_s=named)


def watch_compiler(started_at_s: float, undo: Undo) -> Callable[[Compilation], Compilation]:
    """Listens to JAX's compiler until `undo`. Returns a function that adds what was heard."""
    heard = CompilerLog()

    def listener(event: str, duration_secs: float, **about: Any) -> None:
        try:  # this is in the midst of compiling
            heard.listen(event, duration_secs, **about)
        except Exception as error:
            heard.error = error

    undo.add(heard.close)
    undo.add(lambda: _unregister()(listener))
    jax.monitoring.register_event_duration_secs_listener(listener)
    return heard.add_facts


def _unregister() -> Callable[[Any], None]:
    found: Callable[[Any], None] | None = getattr(jax.monitoring, "unregister_event_duration_listener", None)
    private: Any = jax._src.monitoring  # where older versions have it
    return found or cast("Callable[[Any], None]", private._unregister_event_duration_listener_by_callback)


def _profiler_library() -> Any:
    profiler: Any = importlib.import_module("jax._src.profiler")
    # Until jaxlib 0.7 it was part of `xla_client`.
    return getattr(profiler, "_profiler", None) or profiler.xla_client.profiler


def _session() -> Any:
    library = _profiler_library()
    options = library.ProfileOptions()
    options.python_tracer_level, options.host_tracer_level = 0, 2
    return library.ProfilerSession(options)


def deep_tool(model: Any) -> Profiler:
    """Returns what looks inside steps.

    Raises:
        Unavailable: if nothing could be seen there.
    """
    if model.run_eagerly or not model.jit_compile:
        raise Unavailable("steps that are not compiled leave no names of layers in JAX's profiler")
    state = importlib.import_module("jax._src.profiler")._profile_state
    session = "session" if hasattr(state, "session") else "profile_session"  # the latter in JAX 0.10 and before
    return Profiler(
        lambda: getattr(state, session) is not None,
        _session,
        jax.profiler.TraceAnnotation,
        (state, "lock"),
        Decoder(OpNames(model, facts.unscoped_phase(model)), asynchronous=True),
    )


def devices() -> tuple[Device, ...]:
    """The devices JAX uses."""
    return tuple(
        Device(
            device.platform.upper(),
            str(device.device_kind),
            (device.memory_stats() or {}).get("bytes_limit"),
            getattr(device, "compute_capability", None),
        )
        for device in jax.local_devices()
    )


def device_memory() -> tuple[DeviceMemory, ...]:
    """What JAX's allocators say of the devices; on a CPU there is none that counts."""
    about = [(f"{device.platform}:{device.id}", device.memory_stats()) for device in jax.local_devices()]
    return tuple(
        DeviceMemory(name, stats.get("bytes_in_use"), stats.get("peak_bytes_in_use"), stats.get("bytes_limit"))
        for name, stats in about
        if stats
    )


def settings() -> dict[str, str]:
    """The switches of JAX that bear on speed, as they are for this thread."""
    names = (
        "jax_disable_jit", "jax_debug_nans", "jax_debug_infs", "jax_log_compiles", "jax_enable_x64",
        "jax_default_matmul_precision", "jax_compilation_cache_dir", "jax_check_tracer_leaks",
        "jax_platforms",
    )  # fmt: skip
    return facts.settings({name: functools.partial(getattr, jax.config, name) for name in names})


def distribution(model: Any) -> tuple[str | None, int | None]:
    """The class of the distribution of `keras.distribution`, if there is one, and over how many replicas.

    Where a replica is several devices, the shape of their mesh follows: `ModelParallel (1, 8)`.
    """
    found = keras.distribution.distribution()
    if found is None:
        return None, 1
    names, shape = found.device_mesh.axis_names, tuple(map(int, found.device_mesh.shape))
    replicas = dict(zip(names, shape, strict=True)).get(found.batch_dim_name, 1)
    mesh = f" {shape}" if math.prod(shape) > replicas else ""
    return f"{type(found).__name__}{mesh}", replicas


def worker(model: Any) -> int:
    """Which process of `jax.distributed` this is. The optimizer's variables have set up the backends before."""
    return int(jax.process_index())


def model_facts(model: Any) -> Model:
    """Facts of a compiled model."""
    return facts.model_facts(model)


def traced_operations(model: Any) -> None:
    """Nothing: a step's operations are seen by deep samples."""


def data_facts(loop: FitLoop) -> Data:
    """How the training data reaches the step."""
    return facts.tf_data_facts(facts.data_facts(loop), loop)
