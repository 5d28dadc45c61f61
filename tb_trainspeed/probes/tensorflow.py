"""The TensorFlow backend: clocks inside the train function.

Keras fetches the batch inside the train function, in the graph. It also takes a plain Python iterator there, so we
fetch the batch ourselves, with a clock, and hand it over: `next(iterator)`, then `train_function(iter((batch,)))`.
Weights and losses stay bit-identical. So does the number of traces, because we trace for the shapes that the dataset
promises, as Keras does, not for those of the first batch. It must be every step or none: the first step of
the other kind makes TensorFlow optimise the whole graph once more (8 s for a MobileNetV2 on two cores).
"""

import contextlib
import dataclasses
import functools
import inspect
import os
import pathlib
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from tb_trainspeed.probes import facts, source, tf_data
from tb_trainspeed.probes.fit_loop import FitLoop, Undo
from tb_trainspeed.probes.op_names import METRICS, OpNames
from tb_trainspeed.probes.profiler import Profiler
from tb_trainspeed.probes.ready_fetch import Fetch, ReadyFetch
from tb_trainspeed.probes.sampling import DeepSampler, Unavailable
from tb_trainspeed.probes.trace import Decoder
from tb_trainspeed.profile import Compilation, Data, Device, DeviceMemory, Model
from tb_trainspeed.recorder import Budget, FitRecorder

_MAX_SHAPES = 10_000
# Train functions whose metrics have a scope, from the first step on, which was traced beside us.
_named: "weakref.WeakSet[Any]" = weakref.WeakSet()

GUARDS_EVERY_FETCH = False
#: Whether deep samples see what is exchanged with other devices.
TELLS_COLLECTIVES = True


def fetches_can_be_timed(model: Any) -> str | None:
    """Returns why the fetch of a batch cannot be timed apart from the step, or `None` when it can."""
    if model.steps_per_execution != 1:
        return "steps_per_execution > 1 runs several steps in one graph call; the wait inside it needs a deep sample"
    if not type(model.distribute_strategy).__name__.startswith("_Default"):
        return "the batch is fetched inside a distributed step; the wait inside it needs a deep sample"
    if "one_step_on_data" not in _closure(model.train_function):
        return "the train function is not that of Keras, and fetches its batches itself"
    return None


def _closure(train_function: Callable[..., Any]) -> Mapping[str, Any]:
    """What a train function refers to, by name: of Keras' own `one_step_on_data`, which takes a batch."""
    if inspect.isfunction(train_function):
        return inspect.getclosurevars(train_function).nonlocals
    return {"train_function": train_function}


def time_fetches(loop: FitLoop, recorder: FitRecorder, undo: Undo) -> None:
    """Nothing: the batch is fetched inside the train function."""


def time_steps(
    model: Any,
    recorder: FitRecorder,
    budget: Budget | None,
    deep: DeepSampler | None,
    failed: Callable[[], None],
    seen: Callable[[Any], None],
) -> Callable[[Iterator[Any]], Any]:
    """Returns the train function with clocks, and with one for the fetch of the batch where that can be timed.

    `seen` is shown every batch that is fetched apart.
    """
    train_function = model.train_function
    fetch_apart = budget is not None and fetches_can_be_timed(model) is None
    counted, new, trace = trace_detector(train_function), new_shapes(model), tracer(train_function)
    step = functools.partial(deep.run, train_function) if deep else train_function
    next_batch = Fetch()
    ready: ReadyFetch | None = None
    batch: Any = None
    naming, undo = deep is not None and not _trace_counter(train_function)(), Undo()
    awaits = bool(tf.config.list_logical_devices("GPU"))

    recorder.may_wait = recorder.call_fetches = True

    def shapes() -> str:
        return source.shapes_of(batch)

    def traced() -> bool:
        return counted() | new(shapes())

    def calibrate(iterator: Any) -> None:
        nonlocal ready
        ready = ready or ReadyFetch(iterator.element_spec)
        ready.measure_sometimes()

    def fetch(iterator: Any) -> Any:
        if not recorder.later.steps:
            recorder.clock.push("trainspeed")
            recorder.safely(lambda: calibrate(iterator))
            recorder.clock.pop()
        begin = time.perf_counter_ns()
        batch = next_batch(iterator)
        recorder.fetched(time.perf_counter_ns() - begin, ready.cost_ns if ready else 0)
        return batch

    def fetch_and_step(iterator: Any) -> Any:
        nonlocal batch, trace
        try:
            batch = fetch(iterator)
        except StopIteration:
            batch = None
        if batch is not None:
            if trace:
                trace(iterator.element_spec)
                trace = None
            outputs = step(iter((batch,)))
            # As Keras does, which makes tensors of the Python numbers that a train step may return.
            eager = model.run_eagerly or tf.config.functions_run_eagerly()
            return tf.experimental.Optional.from_value(outputs).get_value() if eager else outputs
        # In a plain fit it is the step that finds the data at their end, when the parts of it that need no data have
        # run: the optimizer has counted a step, random numbers have been drawn. So that step has to run here too.
        recorder.clock.push("trainspeed")
        try:
            return train_function(iterator)
        finally:
            recorder.clock.pop()

    @functools.wraps(train_function)
    def timed(iterator: Any) -> Any:
        nonlocal batch, naming
        if naming:
            naming = False
            recorder.safely(lambda: name_metrics(model, train_function, undo))
        if deep and not recorder.later.steps:
            deep.before_step()
        apart = fetch_apart and isinstance(iterator, tf.data.Iterator)
        recorder.step_begin(apart)
        try:
            outputs = fetch_and_step(iterator) if apart else step(iterator)
        except BaseException:  # also the error with which an epoch of unknown length ends
            recorder.step_abort()
            raise
        finally:
            undo.run()
        if awaits:
            recorder.dispatched()
            recorder.safely(lambda: _await(outputs))
        recorder.step_end(traced, None, shapes)
        if not recorder.later.steps:
            if batch is not None:
                seen(batch)
            if deep:
                deep.after_step()
        batch = None
        return outputs

    return timed


def _await(outputs: Any) -> None:
    """Waits for a GPU as Keras does a moment later, which reads these: so that its time counts as that of the step."""
    for value in tf.nest.flatten(outputs):
        if hasattr(value, "numpy"):
            value.numpy()


def name_metrics(model: Any, train_function: Callable[..., Any], undo: Undo) -> None:
    """Gives the operations of the metrics a name scope until `undo`: a step that is traced then can tell them apart."""
    _named.add(train_function)
    for owner, name in ((model, "compute_metrics"), (getattr(model, "_loss_tracker", None), "update_state")):
        if owner is not None:
            undo.replace(owner, name, _in_scope(getattr(owner, name)))


def _in_scope(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def scoped(*args: Any, **kwargs: Any) -> Any:
        with tf.name_scope(METRICS):
            return method(*args, **kwargs)

    return scoped


def tracer(train_function: Callable[..., Any]) -> Callable[[Any], None] | None:
    """Returns a function that traces one step for batches of a spec, or `None` where nothing is traced.

    Without it the first batch would be traced with all its dimensions fixed, and the last, smaller one anew.
    """
    if tf.config.functions_run_eagerly():
        return None
    step = _closure(train_function).get("one_step_on_data")
    functions: list[Any] = [getattr(step, "__wrapped__", None), step]  # Keras 3.8 does not wrap it
    makers: list[Any] = [one.get_concrete_function for one in functions if hasattr(one, "get_concrete_function")]

    def trace(spec: Any) -> None:
        with contextlib.suppress(Exception):  # an error of the user's own comes again when the step is run
            makers[0](spec)

    return trace if makers else None


def trace_detector(train_function: Callable[..., Any]) -> Callable[[], bool]:
    """Returns a function that tells whether TensorFlow traced since it was last asked. The first step always counts."""
    last = -1
    count = _trace_counter(train_function)

    def traced() -> bool:
        nonlocal last
        before, last = last, count()
        return last > before

    return traced


def _trace_counter(train_function: Callable[..., Any]) -> Callable[[], int]:
    """Returns a function that counts how often TensorFlow traced the train function and what it calls."""
    counters = [function.experimental_get_tracing_count for function in _traced_functions(train_function)]
    return lambda: sum(count() for count in counters)


def _traced_functions(train_function: Callable[..., Any]) -> list[Any]:
    """The train function's parts that TensorFlow traces."""
    variables = _closure(train_function).values()
    functions = [function for variable in variables for function in (variable, getattr(variable, "__wrapped__", None))]
    return [function for function in functions if hasattr(function, "experimental_get_tracing_count")]


def new_shapes(model: Any) -> Callable[[str], bool]:
    """Returns a function that tells whether XLA has to compile for these shapes, which it has not seen yet.

    XLA compiles for every new shape without a trace that could be counted. Without XLA the answer is always no.
    """
    seen: set[str] = set()

    def new(shapes: str) -> bool:
        if not shapes or shapes in seen:
            return False
        if len(seen) < _MAX_SHAPES:
            seen.add(shapes)
        return True

    return new if model.jit_compile else lambda shapes: False


def watch_compiler(started_at_s: float, undo: Undo) -> Callable[[Compilation], Compilation]:
    """Returns a function that adds what the compiler tells: nothing, TensorFlow has no public account of it."""
    return lambda compilation: compilation


class _Session:
    """A session of TensorFlow's profiler, which hands out what it saw in a file only: that is kept in memory."""

    def __init__(self) -> None:
        memory = "/dev/shm"
        self._folder = tempfile.TemporaryDirectory(
            prefix="trainspeed-", dir=memory if os.access(memory, os.W_OK) else None, ignore_cleanup_errors=True
        )
        try:
            self._session = _profiler_library().ProfilerSession()
            self._session.start(
                self._folder.name, {"host_tracer_level": 2, "python_tracer_level": 0, "device_tracer_level": 1}
            )
        except BaseException as error:
            self._folder.cleanup()
            if isinstance(error, tf.errors.AlreadyExistsError):
                raise Unavailable("another profiler was on") from None
            raise

    def stop(self) -> bytes:
        with self._folder as folder:
            self._session.export_to_tb()
            (file,) = pathlib.Path(folder).rglob("*.xplane.pb")
            return file.read_bytes()


def _profiler_library() -> Any:
    from tensorflow.python.profiler import profiler_v2

    return profiler_v2._pywrap_profiler


def deep_tool(model: Any) -> Profiler:
    """Returns what looks inside steps.

    Raises:
        Unavailable: if nothing could be seen there.
    """
    if model.run_eagerly or tf.config.functions_run_eagerly():
        raise Unavailable("steps that run eagerly leave no names of layers in TensorFlow's profiler")
    from tensorflow.python.profiler import profiler_v2

    unscoped = facts.unscoped_phase(model)
    if unscoped == "metrics" and (model.train_function in _named or not _trace_counter(model.train_function)()):
        unscoped = "backward"  # what is left then is a gradient of a layer's own
    return Profiler(
        lambda: profiler_v2._profiler is not None,
        _Session,
        tf.profiler.experimental.Trace,
        (profiler_v2, "_profiler_lock"),
        Decoder(OpNames(model, unscoped), asynchronous=False),
    )


def devices() -> tuple[Device, ...]:
    """The devices TensorFlow uses."""
    details = [tf.config.experimental.get_device_details(device) for device in tf.config.list_physical_devices("GPU")]
    found, gpus = [], iter(details)
    for device in tf.config.list_logical_devices():
        about: dict[str, Any] = next(gpus, {}) if device.device_type == "GPU" else {}
        capability = about.get("compute_capability")
        name = f"{device.name} {about['device_name']}" if "device_name" in about else device.name
        found.append(Device(device.device_type, name, None, ".".join(map(str, capability)) if capability else None))
    return tuple(found)


def device_memory() -> tuple[DeviceMemory, ...]:
    """What TensorFlow's allocators say of the GPUs."""
    names = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices("GPU")]
    about = [tf.config.experimental.get_memory_info(name) for name in names]
    limits = _memory_limits() if names else {}
    return tuple(
        DeviceMemory(name, info["current"], info["peak"], limits.get(name.rpartition("device:")[2]))
        for name, info in zip(names, about, strict=True)
    )


def _memory_limits() -> dict[str, int]:
    """What the allocators of this process may take at most, bytes, by names such as `GPU:0`; empty where that is not
    told."""
    with contextlib.suppress(Exception):  # all of this is private
        from tensorflow.python import pywrap_tfe
        from tensorflow.python.client import pywrap_tf_session
        from tensorflow.python.eager import context

        found = pywrap_tfe.TFE_ContextListDevices(context.context()._handle)
        try:
            return {
                pywrap_tfe.TF_DeviceListName(found, i).rpartition("device:")[2]:
                    pywrap_tf_session.TF_DeviceListMemoryBytes(found, i)
                for i in range(pywrap_tfe.TF_DeviceListCount(found))
            }  # fmt: skip
        finally:
            pywrap_tfe.TF_DeleteDeviceList(found)
    return {}


def settings() -> dict[str, str]:
    """The switches of TensorFlow and tf.data that bear on speed, as they are for this thread."""

    def checks_numerics() -> bool:
        from tensorflow.python.debug.lib import check_numerics_callback

        return hasattr(check_numerics_callback._state, "check_numerics_callback")

    def debugs_data() -> bool:
        from tensorflow.python.data.ops import debug_mode

        return bool(debug_mode.DEBUG_MODE)

    def is_deterministic() -> bool:
        from tensorflow.python.framework import config

        return bool(config.is_op_determinism_enabled())

    def shown_gpus() -> str:
        shown, all_gpus = tf.config.get_visible_devices("GPU"), tf.config.list_physical_devices("GPU")
        return f"{len(shown)} of {len(all_gpus)} GPUs"

    threading = tf.config.threading
    return facts.settings(
        {
            "tf.config.set_visible_devices": shown_gpus,
            "tf.config.run_functions_eagerly": tf.config.functions_run_eagerly,
            "tf.debugging.enable_check_numerics": checks_numerics,
            "tf.data.experimental.enable_debug_mode": debugs_data,
            "tf.config.experimental.enable_op_determinism": is_deterministic,
            "tf.config.optimizer.set_jit": lambda: tf.config.optimizer.get_jit() or False,
            "tf.config.threading.intra_op_parallelism_threads": threading.get_intra_op_parallelism_threads,
            "tf.config.threading.inter_op_parallelism_threads": threading.get_inter_op_parallelism_threads,
            "tf.config.experimental.tensor_float_32_execution":
                tf.config.experimental.tensor_float_32_execution_enabled,
        }
    )  # fmt: skip


def distribution(model: Any) -> tuple[str | None, int | None]:
    """The class of the strategy of `tf.distribute`, as users call it, and its number of replicas."""
    strategy = model.distribute_strategy
    kind = type(strategy).__name__.replace("CollectiveAllReduce", "MultiWorkerMirrored")
    return None if kind.startswith("_Default") else kind, int(strategy.num_replicas_in_sync)


def worker(model: Any) -> int:
    """Which process of its strategy this is: the chief is 0, the others follow in the order of their tasks.

    A `TF_CONFIG` alone says nothing: processes whose strategy does not use it train each for itself.
    """
    resolver = getattr(model.distribute_strategy, "cluster_resolver", None)
    if resolver is None or resolver.task_type is None:
        return 0
    cluster = resolver.cluster_spec()
    before = cluster.num_tasks("chief") if resolver.task_type != "chief" and "chief" in cluster.jobs else 0
    return before + int(resolver.task_id or 0)


def model_facts(model: Any) -> Model:
    """Facts of a compiled model."""
    return dataclasses.replace(facts.model_facts(model), functions_run_eagerly=tf.config.functions_run_eagerly())


def traced_operations(model: Any) -> list[tuple[str, str]] | None:
    """Returns name and type of the operations of the traced step, `None` where there is no such graph."""
    functions = _traced_functions(inspect.unwrap(model.train_function))
    graphs = [
        concrete.graph
        for function in functions
        if getattr(function, "input_signature", None) is None  # else it might be traced now
        for concrete in [*getattr(function, "_list_all_concrete_functions", list)()]  # which is private, alas
    ]
    found = ([(operation.name, operation.type) for operation in graph.get_operations()] for graph in graphs)
    # Of several the one that holds the step: the others call it, or are of a batch of another shape.
    return max(found, key=len, default=None)


def data_facts(loop: FitLoop) -> Data:
    """How the training data reaches the step, with the stages of its tf.data pipeline."""
    users = facts.tf_data_facts(facts.data_facts(loop), loop)
    return users if users.stages else tf_data.add_facts(users, loop.epoch_iterator._distributed_dataset, users=False)
