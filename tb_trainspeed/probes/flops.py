"""Floating-point operations of one forward call of a layer for one sample, from shapes alone.

A multiplication and an addition are two operations, as in TensorFlow's `flops_registry.py` (tensorflow/python/profiler/
internal), from which the counts of matrix products, convolutions, biases, pooling (a window for every output) and
softmax (5: maximum, difference, exponential, sum, quotient) are. Other functions of one element count as one operation.
What is not there is counted from the equations in the docstring of the formula.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

Shape = tuple[int | None, ...]
Shapes = Sequence[Shape]
Formula = Callable[[Any, Shapes, Shapes], int]


class UnknownShapeError(Exception):
    """A shape that the formula needs is not known, such as the length of a sequence."""


def forward_flops(kind: str, layer: Any, inputs: Shapes, outputs: Shapes) -> int | None:
    """Returns the operations of one call for one sample, or `None` for what is not known.

    Args:
        kind: the class of Keras that says what the layer computes.
        layer: the layer.
        inputs: shapes of its inputs, with the batch in front.
        outputs: shapes of its outputs.
    """
    formula = _FORMULAS.get(kind)
    if formula is None:
        return None
    try:
        return formula(layer, inputs, outputs)
    except UnknownShapeError:
        return None


def _size(shape: Sequence[int | None]) -> int:
    """The product of dimensions."""
    return math.prod(_known(dimension) for dimension in shape)


def _known(dimension: int | None) -> int:
    if dimension is None:
        raise UnknownShapeError
    return int(dimension)


def _elements(shapes: Shapes) -> int:
    """The elements for one sample of the first of these."""
    return _size(_first(shapes)[1:])


def _first(shapes: Shapes) -> Shape:
    if not shapes:
        raise UnknownShapeError
    return shapes[0]


def _per_output(operations: int) -> Formula:
    return lambda layer, inputs, outputs: operations * _elements(outputs)


def _per_input(operations: int) -> Formula:
    return lambda layer, inputs, outputs: operations * _elements(inputs)


def _activation_and_bias(layer: Any, elements: int) -> int:
    name = getattr(getattr(layer, "activation", None), "__name__", "linear")
    return elements * ({"linear": 0, "softmax": 5}.get(name, 1) + bool(getattr(layer, "use_bias", False)))


def _channels(layer: Any, shape: Shape) -> int:
    return _known(shape[1 if getattr(layer, "data_format", None) == "channels_first" else -1])


def _dense(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    """A product with a matrix: 2 · inputs for every output."""
    elements = _elements(outputs)
    return 2 * _known(_first(inputs)[-1]) * elements + _activation_and_bias(layer, elements)


def _einsum_dense(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    """2 for every output and every combination of the indices summed over: those of the kernel not in the output."""
    operands, result = layer.equation.replace(" ", "").split("->")
    kernel = operands.split(",")[1]
    variable = getattr(layer, "_kernel", None)
    if variable is None:
        raise UnknownShapeError
    summed = math.prod(int(n) for index, n in zip(kernel, variable.shape, strict=True) if index not in result)
    elements = _elements(outputs)
    bias = elements if getattr(layer, "bias_axes", None) else 0
    return 2 * summed * elements + bias + _activation_and_bias(layer, elements)


def _convolution(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    """2 · window · input channels of a group for every output."""
    elements = _elements(outputs)
    channels = _channels(layer, _first(inputs)) // int(layer.groups)
    return 2 * _size(layer.kernel_size) * channels * elements + _activation_and_bias(layer, elements)


def _transposed_convolution(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    """Every input is multiplied with the window of every filter, as in the gradient of the convolution."""
    products = _elements(inputs) * _size(layer.kernel_size) * int(layer.filters)
    return 2 * products + _activation_and_bias(layer, _elements(outputs))


def _depthwise_convolution(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    """2 · window for every output: each is of one input channel."""
    elements = _elements(outputs)
    return 2 * _size(layer.kernel_size) * elements + _activation_and_bias(layer, elements)


def _separable_convolution(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    """A depthwise convolution, and a product over its channels at every position."""
    elements = _elements(outputs)
    channels = _channels(layer, _first(inputs)) * int(layer.depth_multiplier)
    depthwise = 2 * _size(layer.kernel_size) * channels * (elements // int(layer.filters))
    return depthwise + 2 * channels * elements + _activation_and_bias(layer, elements)


# Gates, and operations per unit besides the products and biases: Hochreiter and Schmidhuber 1997 with the forget gate
# of Gers et al. 2000 (4 functions of gates and one of the state, 3 products, 1 sum), Cho et al. 2014 (3 functions, 3
# products, 2 sums or differences), Elman 1990 (1 function).
_CELLS = {"SimpleRNN": (1, 1), "GRU": (3, 8), "LSTM": (4, 9)}


def _cell(cell: Any, features: int) -> tuple[int, int]:
    """(operations of one time step, units) of a cell: each gate is a product with the inputs and one with the state."""
    stacked = getattr(cell, "cells", None)
    if stacked is not None:
        total = 0
        for inner in stacked:
            operations, features = _cell(inner, features)
            total += operations
        return total, features
    gates, others = _CELLS.get(type(cell).__name__.removesuffix("Cell"), (0, 0))
    if not gates:
        raise UnknownShapeError
    units = int(cell.units)
    biases = bool(cell.use_bias) * (2 if getattr(cell, "reset_after", False) else 1)
    return units * (gates * (2 * (features + units) + 1 + biases) + others), units


def _recurrent(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    """The operations of the cell, once for every time step. Each gate adds its two products and its biases."""
    shape = _first(inputs)
    return _known(shape[1]) * _cell(layer.cell, _known(shape[-1]))[0]


def _products_of_attention(queries: int, keys: int, heads: int, key_dim: int, value_dim: int) -> int:
    """Scores, softmax over the keys, and the weighted sum of values: Vaswani et al. 2017, equation 1."""
    return queries * keys * heads * (2 * key_dim + 1 + 5 + 2 * value_dim)


def _attention(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    """`Attention` of one head without projections: inputs are query, value and perhaps key."""
    query, value = inputs[0], inputs[1] if len(inputs) > 1 else _first(inputs)
    queries, keys = _size(query[1:-1]), _size(value[1:-1])
    return _products_of_attention(queries, keys, 1, _known(query[-1]), _known(value[-1]))


def _multi_head_attention(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    """Attention per head, and the projections to queries, keys, values and back: Vaswani et al. 2017, section 3.2.2.

    A `GroupedQueryAttention` has fewer heads of keys and values: Ainslie et al. 2023.
    """
    query = _first(inputs)
    value = inputs[1] if len(inputs) > 1 else query
    key = inputs[2] if len(inputs) > 2 else value
    queries, keys = _size(query[1:-1]), _size(value[1:-1])
    if hasattr(layer, "num_query_heads"):
        heads, of_keys = int(layer.num_query_heads), int(layer.num_key_value_heads)
        key_dim = value_dim = int(layer.head_dim)
    else:
        heads = of_keys = int(layer.num_heads)
        key_dim, value_dim = int(layer.key_dim), int(layer.value_dim)
        if layer.attention_axes and len(layer.attention_axes) != len(query) - 2:
            raise UnknownShapeError  # along some axes only: the products are fewer
    bias = bool(layer.use_bias)
    projections = queries * heads * key_dim * (2 * _known(query[-1]) + bias)
    projections += keys * of_keys * key_dim * (2 * _known(key[-1]) + bias)
    projections += keys * of_keys * value_dim * (2 * _known(value[-1]) + bias)
    back = _elements(outputs) * (2 * heads * value_dim + bias)
    return projections + _products_of_attention(queries, keys, heads, key_dim, value_dim) + back


def _normalization(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    """Mean (1), variance (3), difference, scale and offset (3) of every element: Ioffe and Szegedy 2015, algorithm 1.

    Frozen batch normalization only scales and offsets.
    """
    frozen = type(layer).__name__ == "BatchNormalization" and not layer.trainable
    return (2 if frozen else 7) * _elements(outputs)


def _pooling(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    """The window for every output."""
    return _size(layer.pool_size) * _elements(outputs)


def _merge(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    """One operation for every element and every input after the first."""
    return _elements(outputs) * max(0, len(inputs) - 1)


def _activation(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    return _activation_and_bias(layer, _elements(outputs))


def _bidirectional(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    """Merging the two directions; the layers in it have rows of their own."""
    return 0 if layer.merge_mode in (None, "concat") else _elements(outputs)


def _nothing(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    return 0


def _table() -> dict[str, Formula]:
    table: dict[str, Formula] = {
        "Dense": _dense, "EinsumDense": _einsum_dense, "MultiHeadAttention": _multi_head_attention,
        "GroupedQueryAttention": _multi_head_attention, "Attention": _attention, "RNN": _recurrent,
        "Bidirectional": _bidirectional, "Activation": _activation, "Softmax": _per_output(5),
        "RMSNormalization": _per_output(4), "Normalization": _per_output(2), "Rescaling": _per_output(2),
    }  # fmt: skip
    groups: list[tuple[Formula, str]] = [
        (_recurrent, "SimpleRNN GRU LSTM"),
        (_normalization, "BatchNormalization LayerNormalization GroupNormalization"),
        (_merge, "Add Subtract Multiply Average Maximum Minimum"),
        (_per_output(1), "ReLU LeakyReLU PReLU ELU"),
        # Masks and scales, or adds noise.
        (_per_output(2), "Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D GaussianDropout GaussianNoise"),
        (_nothing, "InputLayer Embedding Flatten Reshape Permute RepeatVector Concatenate Identity Masking"),
        (_nothing, "Functional Sequential TimeDistributed"),  # the layers in them have rows of their own
    ]
    for rank in (1, 2, 3):
        groups += [
            (_convolution, f"Conv{rank}D"),
            (_transposed_convolution, f"Conv{rank}DTranspose"),
            (_depthwise_convolution, f"DepthwiseConv{rank}D"),
            (_separable_convolution, f"SeparableConv{rank}D"),
            (_pooling, f"MaxPooling{rank}D AveragePooling{rank}D"),
            (_per_input(1), f"GlobalMaxPooling{rank}D GlobalAveragePooling{rank}D"),
            (_nothing, f"ZeroPadding{rank}D Cropping{rank}D"),
        ]
    for formula, names in groups:
        table.update(dict.fromkeys(names.split(), formula))
    return table


_FORMULAS = _table()
