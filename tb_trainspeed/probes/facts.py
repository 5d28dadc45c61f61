"""Static facts of the model, the data, the callbacks and the machine. Runs beside the training, once."""

import contextlib
import dataclasses
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from typing import Any

import keras

from tb_trainspeed.probes import code, loops, machine, samples, source, stand_ins
from tb_trainspeed.probes.fit_loop import FitLoop
from tb_trainspeed.probes.layers import layer_facts, parameters_of
from tb_trainspeed.profile import CallbackFacts, CodeLine, Data, Device, Environment, Model, Validation

_CALLBACK_OPTIONS = (
    "save_freq", "save_weights_only", "save_best_only", "monitor", "patience", "histogram_freq", "update_freq",
    "write_images", "profile_batch", "embeddings_freq", "async_safe",
)  # fmt: skip


# Variables that bear on speed, recorded where they are set.
_VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "TF_GPU_THREAD_MODE",
    "TF_GPU_THREAD_COUNT", "TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS", "TF_XLA_FLAGS", "XLA_FLAGS",
    "TF_CPP_MAX_VLOG_LEVEL", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR", "JAX_DISABLE_JIT", "JAX_DEBUG_NANS",
    "JAX_LOG_COMPILES", "JAX_PLATFORMS", "XLA_PYTHON_CLIENT_PREALLOCATE", "CUDA_VISIBLE_DEVICES",
    "CUDA_LAUNCH_BLOCKING", "TORCH_COMPILE_DISABLE", "PYTORCH_ENABLE_MPS_FALLBACK", "MALLOC_CONF", "LD_PRELOAD",
)  # fmt: skip
_MAX_TEXT = 200


def settings(readers: Mapping[str, Callable[[], Any]]) -> dict[str, str]:
    """Returns the switches that bear on speed, as they are for the thread that calls.

    Args:
        readers: those of the backend, by the name with which users set them. One that fails is left out.
    """
    found = {name: os.environ[name][:_MAX_TEXT] for name in _VARIABLES if name in os.environ}
    common: dict[str, Callable[[], Any]] = {
        "keras.config.floatx": keras.config.floatx,
        "keras.config.image_data_format": keras.config.image_data_format,
        "keras.config.is_flash_attention_enabled": lambda: str(keras.config.is_flash_attention_enabled()),
        "sys.settrace": lambda: sys.gettrace() is not None,
        "sys.setprofile": lambda: sys.getprofile() is not None,
    }
    for name, read in {**common, **readers}.items():
        with contextlib.suppress(Exception):  # this version of the backend does not have it
            found[name] = str(read())[:_MAX_TEXT]
    return found


def environment(
    backend: str,
    devices: tuple[Device, ...],
    switches: Mapping[str, str],
    distribution: tuple[str | None, int | None],
) -> Environment:
    """Facts of the machine and of the versions in use.

    Args:
        backend: the name of the backend.
        devices: those the backend uses.
        switches: what `settings` returned on the thread that trains.
        distribution: the class of the distribution strategy, and the number of replicas.
    """
    packages = {"keras": "keras", "tensorflow": "tensorflow", "jax": "jax", "torch": "torch", "numpy": "numpy"}
    packages["tb_trainspeed"] = "tb-trainspeed"
    versions = {"python": platform.python_version()}
    for name, distribution_name in packages.items():
        if name in sys.modules or name == "tb_trainspeed":
            try:
                versions[name] = metadata.version(distribution_name)
            except metadata.PackageNotFoundError:
                module_version = getattr(sys.modules.get(name), "__version__", None)
                if module_version:
                    versions[name] = str(module_version)
    cpu, features = machine.cpu()
    return Environment(
        backend,
        versions,
        platform.platform(),
        machine.usable_cores(),
        machine.memory_limit_bytes(),
        machine.memory_available_bytes(),
        devices,
        os.cpu_count(),
        machine.machine_devices(),
        cpu,
        features,
        switches,
        *distribution,
    )


def model_facts(model: Any) -> Model:
    """Facts of a compiled model."""
    policy = getattr(model, "dtype_policy", None)
    loss = getattr(model, "loss", None)
    layers, left_out = layer_facts(model)
    optimizer = getattr(model, "optimizer", None)
    kind, options = _optimizer(optimizer)
    variables = list(getattr(optimizer, "variables", ()))
    trainable = model.trainable_weights
    lines: tuple[CodeLine, ...] = ()
    functions: int | None = None
    with contextlib.suppress(Exception):  # objects of the user's own are asked for their attributes
        lines, functions = code.code_lines(model)
    return Model(
        name=str(model.name),
        kind=type(model).__name__,
        parameters=int(model.count_params()) if model.built else None,
        trainable_parameters=parameters_of(trainable),
        layers=layers,
        optimizer=kind,
        optimizer_options=options,
        loss=loss if isinstance(loss, str) else getattr(loss, "name", None) or (type(loss).__name__ if loss else None),
        dtype_policy=getattr(policy, "name", None),
        run_eagerly=bool(model.run_eagerly),
        jit_compile=bool(model.jit_compile),
        steps_per_execution=int(model.steps_per_execution),
        metrics=tuple(type(metric).__name__ for metric in _metrics(model)),
        trainable_variables=len(trainable),
        optimizer_variables=len(variables) if optimizer is not None else None,
        optimizer_parameters=parameters_of(variables) if optimizer is not None else None,
        custom_train_step=not type(model).train_step.__module__.startswith("keras."),
        layers_left_out=left_out,
        code=lines,
        code_functions=functions,
    )


def unscoped_phase(model: Any) -> str:
    """The phase of operations outside of all name scopes: metrics in Keras' own training step, in others unknown."""
    ours = any("train_step" in vars(kind) for kind in type(model).__mro__ if not kind.__module__.startswith("keras."))
    return "unknown" if ours else "metrics"


def _optimizer(optimizer: Any) -> tuple[str | None, dict[str, str]]:
    """The class of an optimizer and its plain options, without the optimizer that scales the loss around it."""
    if optimizer is None:
        return None, {}
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        kind, options = _optimizer(inner)
        return kind, {**_plain(optimizer), **options, "loss_scale_optimizer": type(optimizer).__name__}
    options = _plain(optimizer)
    # Not `get_config()`, nor the learning rate itself: that is on the device, and reading it waits for all of it.
    schedule = getattr(optimizer, "_learning_rate", None)
    if schedule is not None and not hasattr(schedule, "assign"):
        options["learning_rate_schedule"] = type(schedule).__name__
    return type(optimizer).__name__, options


def _plain(optimizer: Any) -> dict[str, str]:
    return {
        key: str(value)
        for key, value in vars(optimizer).items()
        if isinstance(value, (int, float, str, bool)) and not key.startswith("_")
    }


def _metrics(model: Any) -> Iterable[Any]:
    """The metrics of `compile`, once they are built, without the one that averages the loss."""
    compiled = getattr(model, "_compile_metrics", None)
    return [metric for metric in getattr(compiled, "metrics", ()) if metric is not None]


def data_facts(loop: FitLoop) -> Data:
    """How the training data reaches the step, as far as the adapter tells."""
    adapter = loop.adapter
    dataset = getattr(adapter, "py_dataset", None)
    given = dataset if dataset is not None else getattr(adapter, "_dataset", None)
    batch_size = getattr(adapter, "batch_size", None) or loop.arguments.get("batch_size")
    data = Data(
        adapter=type(adapter).__name__,
        kind=_kind(given) if given is not None else "",
        batch_size=int(batch_size) if batch_size else None,
        batches_per_epoch=_integer(getattr(loop.epoch_iterator, "num_batches", None)),
        workers=_integer(getattr(dataset, "workers", None)),
        use_multiprocessing=getattr(dataset, "use_multiprocessing", None),
        max_queue_size=_integer(getattr(dataset, "max_queue_size", None)),
    )
    data = input_facts(data, loop)
    loader = getattr(adapter, "_dataloader", None)
    owner = getattr(loader, "dataset", None) if dataset is None else stand_ins.users_own(dataset)
    options = {**data.options, **code.names_of(loop.callers)}
    iterated = loader is not None and hasattr(owner, "__iter__")
    if owner is not None:
        options |= code.of_batches(getattr(type(owner), "__iter__" if iterated else "__getitem__", None), type(owner))
    for generator in stand_ins.generators_of(adapter):
        options |= code.of_batches(code.function_of(generator))
    if state := stand_ins.tf_generator_of(adapter):
        options |= code.of_batches(state._generator)
    if iterated:
        options["samples"] = "iterated"
    return dataclasses.replace(data, options=options)


def input_facts(data: Data, loop: FitLoop) -> Data:
    """Returns `data` with what the user's own objects tell of it: arrays, a loader, paths."""
    adapter = loop.adapter
    steps = loop.arguments.get("steps_per_epoch")
    facts: dict[str, Any] = {"steps_per_epoch": steps if isinstance(steps, int) else None}
    arrays = getattr(adapter, "_inputs", None)
    if arrays is not None:
        facts |= source.rows_of(arrays)
        facts |= {"inputs": source.shapes_of(arrays), "inputs_bytes": source.size_of(arrays)[1]}
        facts["options"] |= _options_of_arrays(loop.arguments)
    if any(loops.passes_again(generator.gi_code) for generator in stand_ins.generators_of(adapter)):
        facts["options"] = {"generator": "passes"}
    owner = getattr(adapter, "py_dataset", None)
    loader = getattr(adapter, "_dataloader", None)
    if loader is not None:
        owner = loader.dataset
        facts |= {
            "workers": int(loader.num_workers),
            "persistent_workers": bool(loader.persistent_workers),
            "pin_memory": bool(loader.pin_memory),
        }
    if owner is not None and (paths := samples.paths_of(stand_ins.users_own(owner))):
        facts["files"] = samples.files_facts(paths)
    return dataclasses.replace(data, **facts)


def _options_of_arrays(arguments: Mapping[str, Any]) -> dict[str, str]:
    """What `fit` does with arrays where that is not what it does by itself.

    Weights of classes are no matter of the arrays, though Keras makes weights of samples of them.
    """
    shuffle, split = arguments.get("shuffle"), arguments.get("validation_split")
    options = {"shuffle": str(shuffle)} if shuffle in (False, "batch") else {}
    if arguments.get("sample_weight") is not None:
        options["sample_weight"] = "True"
    if isinstance(split, float) and split:
        options["validation_split"] = f"{split:g}"
    return options


def tf_data_facts(data: Data, loop: FitLoop) -> Data:
    """Returns `data` with the facts of the user's tf.data pipeline, if it is one; every backend takes them."""
    if "tensorflow" not in sys.modules:
        return data
    from tb_trainspeed.probes import tf_data

    return tf_data.add_facts(data, getattr(loop.adapter, "_dataset", None), users=True)


def _kind(given: Any) -> str:
    return type(stand_ins.users_own(given)).__name__.lstrip("_")


def _integer(value: Any) -> int | None:
    return int(value) if isinstance(value, int) else None


def validation_facts(arguments: Mapping[str, Any]) -> Validation | None:
    """How validation inside `fit` was set up, or `None` without validation data."""
    if arguments.get("validation_data") is None:
        return None
    given, steps = arguments["validation_data"], arguments.get("validation_steps")
    # 32 is what Keras takes; of arrays, with a number of steps, it makes just so many batches.
    batch_size = arguments.get("validation_batch_size") or arguments.get("batch_size") or (None if steps else 32)
    arrays = all(hasattr(part, "shape") for part in keras.tree.flatten(given) if part is not None)
    frequency = arguments.get("validation_freq")
    return Validation(
        batch_size=_integer(batch_size) if arrays else None,
        frequency=frequency if isinstance(frequency, int) else None,
        max_steps=_integer(steps),
    )


def callback_facts(callbacks: Iterable[Any]) -> tuple[CallbackFacts, ...]:
    """The callbacks of the fit with those of their options that bear on speed."""
    facts = []
    for callback in callbacks:
        options = {name: str(getattr(callback, name)) for name in _CALLBACK_OPTIONS if hasattr(callback, name)}
        facts.append(CallbackFacts(type(callback).__name__, type(callback).__mro__[1].__name__, options))
    return tuple(facts)
