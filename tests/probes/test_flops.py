"""Operations of layers, against counts of their own kind by hand, and against what other counters say."""

import keras
import numpy as np
import pytest

from tb_trainspeed.probes.flops import forward_flops
from tb_trainspeed.probes.layers import layer_facts

L = keras.layers


def flops(layer, *shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, layer(inputs if len(inputs) > 1 else inputs[0]))
    rows, _ = layer_facts(model)
    return rows[-1].forward_flops


PLAIN = {"use_bias": False}
BY_HAND = {
    "dense": (L.Dense(5, **PLAIN), (3,), 2 * 3 * 5),
    "dense with bias and activation": (L.Dense(5, activation="relu"), (3,), 2 * 3 * 5 + 5 + 5),
    "dense at every position": (L.Dense(5, activation="softmax", **PLAIN), (7, 3), 7 * (2 * 3 * 5 + 5 * 5)),
    "einsum": (L.EinsumDense("abc,cde->abde", (7, 2, 4)), (7, 3), 2 * 3 * 7 * 2 * 4),
    "convolution": (L.Conv2D(4, 3, **PLAIN), (8, 8, 2), 2 * 9 * 2 * 6 * 6 * 4),
    "strided": (L.Conv1D(4, 3, strides=2, padding="same", **PLAIN), (8, 2), 2 * 3 * 2 * 4 * 4),
    "in groups": (L.Conv3D(4, 2, groups=2, **PLAIN), (3, 3, 3, 4), 2 * 8 * 2 * 8 * 4),
    "transposed": (L.Conv2DTranspose(3, 2, strides=2, **PLAIN), (4, 4, 5), 2 * 16 * 5 * 4 * 3),
    "depthwise": (L.DepthwiseConv2D(3, depth_multiplier=2, **PLAIN), (5, 5, 3), 2 * 9 * 3 * 3 * 6),
    "separable": (L.SeparableConv2D(4, 3, **PLAIN), (5, 5, 3), 2 * 9 * 9 * 3 + 2 * 3 * 9 * 4),
    "lstm": (L.LSTM(4, **PLAIN), (6, 3), 6 * (4 * 4 * (2 * (3 + 4) + 1) + 9 * 4)),
    "gru": (L.GRU(4), (6, 3), 6 * (3 * 4 * (2 * (3 + 4) + 1 + 2) + 8 * 4)),
    "cells": (L.RNN([L.SimpleRNNCell(2, **PLAIN)] * 1), (6, 3), 6 * 2 * (2 * (3 + 2) + 1 + 1)),
    "own cell": (L.RNN(type("OwnCell", (L.LSTMCell,), {})(4)), (6, 3), None),
    "embedding": (L.Embedding(100, 8), (6,), 0),
    "batch normalization": (L.BatchNormalization(), (4, 3), 7 * 12),
    "frozen": (L.BatchNormalization(trainable=False), (4, 3), 2 * 12),
    "pooling": (L.MaxPooling2D(3), (9, 9, 2), 9 * 3 * 3 * 2),
    "global pooling": (L.GlobalAveragePooling1D(), (9, 2), 18),
    "softmax": (L.Softmax(), (7,), 35),
    "flatten": (L.Flatten(), (7, 2), 0),
    "unknown length": (L.LSTM(4), (None, 3), None),
    "unknown kind": (L.Lambda(lambda x: x), (4,), None),
}


@pytest.mark.parametrize(("layer", "shape", "expected"), BY_HAND.values(), ids=BY_HAND)
def test_by_hand(layer, shape, expected):
    assert flops(layer, shape) == expected


def test_layers_of_several_inputs():
    assert flops(L.Add(), (4,), (4,), (4,)) == 8
    assert flops(L.Attention(), (5, 4), (7, 4)) == 5 * 7 * (2 * 4 + 1 + 5 + 2 * 4)


def test_multi_head_attention_is_its_parts():
    layer, query, value = (
        L.MultiHeadAttention(3, 4, value_dim=6, use_bias=False),
        keras.Input((5, 8)),
        keras.Input((7, 2)),
    )
    rows, _ = layer_facts(keras.Model([query, value], layer(query, value)))
    projections = 2 * (5 * 8 * 3 * 4 + 7 * 2 * 3 * 4 + 7 * 2 * 3 * 6 + 5 * 3 * 6 * 8)
    assert rows[-1].forward_flops == projections + 5 * 7 * 3 * (2 * 4 + 1 + 5 + 2 * 6)


def test_grouped_queries_share_keys():
    query = keras.Input((5, 8))
    layer = L.GroupQueryAttention(4, num_query_heads=4, num_key_value_heads=2, use_bias=False)
    rows, _ = layer_facts(keras.Model(query, layer(query, query)))
    projections = 2 * 5 * 8 * 4 * (4 + 2 + 2 + 4)
    assert rows[-1].forward_flops == projections + 5 * 5 * 4 * (2 * 4 + 1 + 5 + 2 * 4)


def test_no_shape_no_count():
    assert forward_flops("Dense", L.Dense(3), [], []) is None
    assert forward_flops("Mine", None, [(None, 3)], [(None, 3)]) is None


GROUPS = 1 if keras.backend.backend() == "tensorflow" else 2  # whose counter leaves convolutions in groups out
COUNTED = {
    "dense": lambda: keras.Sequential([keras.Input((12,)), L.Dense(7, **PLAIN)]),
    "convolutions": lambda: keras.Sequential(
        [keras.Input((9, 9, 4)), L.Conv2D(6, 3, groups=GROUPS, **PLAIN), L.Conv2D(5, 2, strides=2, **PLAIN)]
    ),
    "transposed": lambda: keras.Sequential([keras.Input((5, 5, 4)), L.Conv2DTranspose(6, 3, strides=3, **PLAIN)]),
}


def by_torch(model):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(np.zeros((1, *model.input_shape[1:]), "float32"))
    return counter.get_total_flops()


def by_xla(model):
    import jax

    def call(x):
        return model.stateless_call(model.trainable_variables, model.non_trainable_variables, x)[0]

    shape = jax.ShapeDtypeStruct((1, *model.input_shape[1:]), "float32")
    cost = jax.jit(call).lower(shape).compile().cost_analysis()
    return int((cost[0] if isinstance(cost, list) else cost)["flops"])


def by_tensorflow(model):
    import tensorflow as tf

    spec = tf.TensorSpec((1, *model.input_shape[1:]), "float32")
    graph = tf.function(model).get_concrete_function(spec).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops


COUNTERS = {"torch": by_torch, "jax": by_xla, "tensorflow": by_tensorflow}


@pytest.mark.parametrize("make", COUNTED.values(), ids=COUNTED)
def test_against_the_counter_of_the_backend(make):
    model = make()
    rows, _ = layer_facts(model)
    assert sum(row.forward_flops for row in rows) == COUNTERS[keras.backend.backend()](model)
