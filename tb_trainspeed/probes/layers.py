"""Static facts of the layers of a model: what each is, how it is set up, how much it computes.

Nothing here calls a layer or reads a variable: shapes are those that Keras kept when it built the model.
"""

import collections
import inspect
import itertools
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tb_trainspeed.probes.flops import Shape, Shapes, forward_flops
from tb_trainspeed.profile import Layer

MAX_LAYERS = 500
_MAX_DEPTH = 20
# Arguments of layers that bear on speed. Not `get_config()`, which builds all initializers and regularizers anew.
_OPTIONS = (
    "units", "filters", "kernel_size", "strides", "dilation_rate", "groups", "padding", "data_format", "pool_size",
    "depth_multiplier", "use_bias", "activation", "recurrent_activation", "dropout", "recurrent_dropout", "unroll",
    "return_sequences", "stateful", "reset_after", "use_cudnn", "go_backwards", "input_dim", "output_dim", "mask_zero",
    "num_heads", "key_dim", "value_dim", "num_query_heads", "num_key_value_heads", "head_dim", "flash_attention",
    "rate", "merge_mode", "equation", "synchronized", "embeddings_regularizer", "lora_rank", "quantization_mode",
)  # fmt: skip
_MAX_TEXT = 60


def parameters_of(variables: Iterable[Any]) -> int:
    """The numbers in these variables."""
    total = 0
    for variable in variables:
        size = 1
        for dimension in variable.shape:
            size *= int(dimension or 1)
        total += size
    return total


def layer_facts(model: Any) -> tuple[tuple[Layer, ...], int]:
    """Facts of the layers of `model`, in the order of its own.

    A layer of Keras that is made of others, as `LSTM` of a cell and `MultiHeadAttention` of projections, is one row.
    Nested models, wrappers, and layers of the user's own are a row each, and so are the layers in them.

    Returns:
        The layers, and how many more there are than are listed.
    """
    rows = list(_rows(model, "", 1, set(), 0))
    return tuple(rows[:MAX_LAYERS]), max(0, len(rows) - MAX_LAYERS)


def _rows(owner: Any, path: str, times: int | None, seen: set[int], depth: int) -> Iterator[Layer]:
    """`times`: how often the model calls `owner`."""
    calls = _calls_by_layer(owner)
    for layer in owner._layers:
        if id(layer) in seen or depth > _MAX_DEPTH:
            continue
        seen.add(id(layer))
        within = f"{path}{layer.name}"
        shapes = calls.get(id(layer)) or _built_shapes(layer)
        called = len(calls[id(layer)]) if id(layer) in calls else None
        made = times * called if times is not None and called is not None else None
        whole = _is_whole(layer)
        yield _row(layer, within, shapes, made, times or 1, whole)
        if not whole:
            inside = _times_inside(layer, shapes, made if made is not None else times)
            yield from _rows(layer, f"{within}/", inside, seen, depth + 1)


def _is_whole(layer: Any) -> bool:
    """Whether the layer is one of Keras' own, with whatever it is made of."""
    kinds = {kind.__name__ for kind in type(layer).__mro__ if _is_keras(kind)}
    return _is_keras(type(layer)) and not kinds & {"Model", "Wrapper", "Bidirectional"}


def _is_keras(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "keras"


def _calls_by_layer(owner: Any) -> dict[int, list[tuple[Shapes, Shapes]]]:
    """(inputs, outputs) of every call of a layer in a functional or sequential model."""
    function = getattr(owner, "_functional", None) or owner
    calls: dict[int, list[tuple[Shapes, Shapes]]] = collections.defaultdict(list)
    by_depth = getattr(function, "_nodes_by_depth", None) or {}
    for node in itertools.chain.from_iterable(by_depth.values()):
        calls[id(node.operation)].append((_shapes(node.input_tensors), _shapes(node.output_tensors)))
    return calls


def _shapes(tensors: Iterable[Any]) -> Shapes:
    return [tuple(tensor.shape) for tensor in tensors]


def _built_shapes(layer: Any) -> list[tuple[Shapes, Shapes]]:
    """What is known of a layer that was called inside `call` of another: the shapes it was built with."""
    shapes: Mapping[str, Any] = getattr(layer, "_build_shapes_dict", None) or {}
    inputs = [shape for value in shapes.values() for shape in _flat(value)]
    if not inputs:
        return []
    # Only where this is arithmetic: the method of `Layer` traces `call`.
    method = type(layer).compute_output_shape
    output = layer.compute_output_shape(*shapes.values()) if _is_keras_method(method) else None
    return [(inputs, list(_flat(output)))]


def _is_keras_method(method: Any) -> bool:
    module = getattr(method, "__module__", "")
    return module.startswith("keras.") and not module.endswith((".layers.layer", ".ops.operation"))


def _flat(value: Any) -> Iterator[Shape]:
    """The shapes in what `build` got or `compute_output_shape` returned."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        if all(item is None or isinstance(item, int) for item in value):
            yield tuple(value)
        else:
            for item in value:
                yield from _flat(item)


def _times_inside(layer: Any, shapes: list[tuple[Shapes, Shapes]], times: int | None) -> int | None:
    """How often the model calls what is in `layer`: `TimeDistributed` once for every time step."""
    if type(layer).__name__ != "TimeDistributed" or times is None:
        return times
    steps = shapes[0][0][0][1] if shapes and shapes[0][0] else None
    return times * steps if steps else None


def _row(
    layer: Any, path: str, shapes: list[tuple[Shapes, Shapes]], calls: int | None, times: int, whole: bool
) -> Layer:
    if whole:
        trainable, fixed = layer.trainable_weights, layer.non_trainable_weights
    else:
        trainable = layer._trainable_variables if layer.trainable else []
        fixed = [*([] if layer.trainable else layer._trainable_variables), *layer._non_trainable_variables]
    outputs = shapes[0][1] if shapes else ()
    computes: Any = next((kind for kind in type(layer).__mro__ if _is_keras(kind)), type(layer))
    flops: int | None = None
    # What a layer of the user's own computes in `call` is not known, whatever it is derived from.
    if shapes and (_is_keras(type(layer)) or type(layer).call is computes.call):
        counts = [forward_flops(computes.__name__, layer, *shape) for shape in shapes]
        flops = None if None in counts else times * sum(count for count in counts if count is not None)
    return Layer(
        layer.name,
        type(layer).__name__,
        parameters_of([*trainable, *fixed]),
        parameters_of(trainable),
        str(outputs[0]) if len(outputs) == 1 else str(list(outputs)) if outputs else None,
        getattr(layer, "compute_dtype", None),
        path,
        bool(layer.trainable),
        calls,
        flops,
        _options(layer),
    )


def _options(layer: Any) -> dict[str, str]:
    """Those arguments that bear on speed and do not have their default."""
    options = {}
    defaults = _defaults(type(layer))
    for name in _OPTIONS:
        value = getattr(layer, name, None)
        if value is not None and (text := _text(value)) != defaults.get(name, ""):
            options[name] = text
    if not getattr(layer, "supports_jit", True):
        options["supports_jit"] = "False"
    remat = getattr(layer, "_remat_mode", None)
    if remat is not None and remat.mode and (remat.mode != "list_of_layers" or layer.name in (remat.layer_names or ())):
        options["remat"] = _text(remat.mode)
    if type(layer).__name__ == "RNN":
        options["cell"] = type(layer.cell).__name__
    return options


def _defaults(kind: type) -> dict[str, str]:
    """The defaults of the arguments of a layer, those of the classes it is derived from included."""
    if kind not in _defaults_of:
        # What is set from the configuration or another argument where its default is None.
        found = {"activation": "linear", "data_format": "channels_last"}
        makers = [vars(base)["__init__"] for base in reversed(kind.__mro__[:-1]) if "__init__" in vars(base)]
        for make in makers:
            parameters = inspect.signature(make).parameters.values()
            given = {p.name: p.default for p in parameters if p.default not in (inspect.Parameter.empty, None)}
            found.update({name: _text(value) for name, value in given.items()})
        _defaults_of[kind] = found
    return _defaults_of[kind]


_defaults_of: "weakref.WeakKeyDictionary[type, dict[str, str]]" = weakref.WeakKeyDictionary()


def _text(value: Any) -> str:
    """A value as its user wrote it: functions by name, other objects by class, `(3, 3)` as `3`."""
    if isinstance(value, (tuple, list)) and value and all(item == value[0] for item in value):
        value = value[0]
    if callable(value):
        value = getattr(value, "__name__", type(value).__name__)
    return str(value)[:_MAX_TEXT]
