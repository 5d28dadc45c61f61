"""Static facts of the model, the data, the callbacks and the machine. Runs beside the training, once."""

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

import psutil

from tb_trainspeed.probes.fit_loop import FitLoop
from tb_trainspeed.profile import CallbackFacts, Data, Environment, Layer, Model, Validation

_MAX_LAYERS = 500
_CALLBACK_OPTIONS = (
    "save_freq", "save_weights_only", "save_best_only", "monitor", "patience", "histogram_freq", "update_freq",
    "write_images", "profile_batch", "embeddings_freq",
)  # fmt: skip


def environment(backend: str, devices: tuple[Any, ...]) -> Environment:
    """Facts of the machine and of the versions in use."""
    packages = {"keras": "keras", "tensorflow": "tensorflow", "jax": "jax", "torch": "torch", "numpy": "numpy"}
    packages["tb_trainspeed"] = "tb-trainspeed"
    versions = {"python": platform.python_version()}
    for name, distribution in packages.items():
        if name in sys.modules or name == "tb_trainspeed":
            try:
                versions[name] = metadata.version(distribution)
            except metadata.PackageNotFoundError:
                module_version = getattr(sys.modules.get(name), "__version__", None)
                if module_version:
                    versions[name] = str(module_version)
    memory = psutil.virtual_memory()
    return Environment(backend, versions, platform.platform(), usable_cores(), memory.total, memory.available, devices)


def usable_cores() -> float:
    """Cores this process may use: its affinity, less where a cgroup quota allows fewer."""
    try:
        cores = float(len(os.sched_getaffinity(0)))
    except AttributeError:  # not on macOS and Windows
        cores = float(os.cpu_count() or 1)
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()[:2]
        if quota != "max":
            cores = min(cores, int(quota) / int(period))
    except (OSError, ValueError):
        pass  # no cgroup v2 here: the affinity is all there is to know
    return cores


def model_facts(model: Any) -> Model:
    """Facts of a compiled model."""
    optimizer = getattr(model, "optimizer", None)
    # Not `get_config()`: that reads the learning rate from the device, which waits for everything on it.
    options = {} if optimizer is None else vars(optimizer)
    scalars = {
        key: str(value)
        for key, value in options.items()
        if isinstance(value, (int, float, str, bool)) and not key.startswith("_")
    }
    policy = getattr(model, "dtype_policy", None)
    loss = getattr(model, "loss", None)
    return Model(
        name=str(model.name),
        kind=type(model).__name__,
        parameters=int(model.count_params()) if model.built else None,
        trainable_parameters=_parameters(model.trainable_weights),
        layers=tuple(map(_layer, model._flatten_layers(include_self=False, recursive=True)))[:_MAX_LAYERS],
        optimizer=type(optimizer).__name__ if optimizer is not None else None,
        optimizer_options=scalars,
        loss=loss if isinstance(loss, str) else getattr(loss, "name", None) or (type(loss).__name__ if loss else None),
        dtype_policy=getattr(policy, "name", None),
        run_eagerly=bool(model.run_eagerly),
        jit_compile=bool(model.jit_compile),
        steps_per_execution=int(model.steps_per_execution),
    )


def unscoped_phase(model: Any) -> str:
    """The phase of operations outside of all name scopes: metrics in Keras' own training step, in others unknown."""
    ours = any("train_step" in vars(kind) for kind in type(model).__mro__ if not kind.__module__.startswith("keras."))
    return "unknown" if ours else "metrics"


def _parameters(variables: Iterable[Any]) -> int:
    total = 0
    for variable in variables:
        size = 1
        for dimension in variable.shape:
            size *= int(dimension or 1)
        total += size
    return total


def _layer(layer: Any) -> Layer:
    try:
        shape = str(layer.output.shape)
    except (AttributeError, ValueError):  # never called, called more than once, or a subclassed model's
        shape = None
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    dtype = getattr(layer, "compute_dtype", None)
    trainable = _parameters(layer._trainable_variables) if layer.trainable else 0
    return Layer(layer.name, type(layer).__name__, _parameters(own), trainable, shape, dtype)


def data_facts(loop: FitLoop) -> Data:
    """How the training data reaches the step, as far as the adapter tells."""
    adapter = loop.adapter
    dataset = getattr(adapter, "py_dataset", None)
    source = dataset if dataset is not None else getattr(adapter, "_dataset", None)
    batch_size = getattr(adapter, "batch_size", None) or loop.arguments.get("batch_size")
    return Data(
        adapter=type(adapter).__name__,
        kind=_kind(source) if source is not None else "",
        batch_size=int(batch_size) if batch_size else None,
        batches_per_epoch=_integer(getattr(loop.epoch_iterator, "num_batches", None)),
        workers=_integer(getattr(dataset, "workers", None)),
        use_multiprocessing=getattr(dataset, "use_multiprocessing", None),
        max_queue_size=_integer(getattr(dataset, "max_queue_size", None)),
    )


def tf_data_facts(data: Data, loop: FitLoop) -> Data:
    """Returns `data` with the facts of the user's tf.data pipeline, if it is one; every backend takes them."""
    if "tensorflow" not in sys.modules:
        return data
    from tb_trainspeed.probes import tf_data

    return tf_data.add_facts(data, getattr(loop.adapter, "_dataset", None), users=True)


def _kind(source: Any) -> str:
    return type(getattr(source, "_dataset", source)).__name__.lstrip("_")


def _integer(value: Any) -> int | None:
    return int(value) if isinstance(value, int) else None


def validation_facts(arguments: Mapping[str, Any]) -> Validation | None:
    """How validation inside `fit` was set up, or `None` without validation data."""
    if arguments.get("validation_data") is None:
        return None
    batch_size = arguments.get("validation_batch_size") or arguments.get("batch_size")
    frequency = arguments.get("validation_freq")
    return Validation(
        batch_size=_integer(batch_size),
        frequency=frequency if isinstance(frequency, int) else None,
        max_steps=_integer(arguments.get("validation_steps")),
    )


def callback_facts(callbacks: Iterable[Any]) -> tuple[CallbackFacts, ...]:
    """The callbacks of the fit with those of their options that bear on speed."""
    facts = []
    for callback in callbacks:
        options = {name: str(getattr(callback, name)) for name in _CALLBACK_OPTIONS if hasattr(callback, name)}
        facts.append(CallbackFacts(type(callback).__name__, type(callback).__mro__[1].__name__, options))
    return tuple(facts)
