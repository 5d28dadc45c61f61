"""What is known of the layers of models of every kind."""

import math

import keras
import pytest

from tb_trainspeed.probes import layers
from tb_trainspeed.probes.layers import layer_facts

L = keras.layers


def by_path(model):
    rows, left_out = layer_facts(model)
    assert left_out == 0
    assert sum(row.parameters for row in rows) == model.count_params()
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    assert sum(row.trainable_parameters for row in rows) == trainable
    return {row.path: row for row in rows}


def test_a_shared_layer_counts_for_all_its_calls():
    inputs, shared = keras.Input((4,)), L.Dense(4, use_bias=False, name="shared")
    rows = by_path(keras.Model(inputs, shared(shared(shared(inputs)))))
    assert (rows["shared"].calls, rows["shared"].forward_flops) == (3, 3 * 2 * 4 * 4)


def test_models_within_models():
    inner = keras.Sequential([keras.Input((4,)), L.Dense(4, use_bias=False, name="a")], name="inner")
    middle_input = keras.Input((4,))
    middle = keras.Model(middle_input, inner(inner(middle_input)), name="middle")
    middle.trainable = False
    inputs = keras.Input((4,))
    rows = by_path(keras.Model(inputs, L.Dense(1, name="out")(middle(middle(inputs)))))
    layer = rows["middle/inner/a"]
    assert (layer.calls, layer.forward_flops) == (4, 4 * 2 * 4 * 4)
    assert (layer.trainable, layer.trainable_parameters, rows["out"].trainable) == (False, 0, True)
    assert (rows["middle"].forward_flops, rows["middle"].output_shape) == (0, "(None, 4)")


def test_layers_of_keras_are_one_row_each():
    inputs = keras.Input((6, 8), name="in")
    lstm = L.LSTM(4, return_sequences=True, recurrent_dropout=0.1, name="lstm")
    hidden = L.Bidirectional(lstm, name="both")(inputs)
    hidden = L.MultiHeadAttention(2, 4, name="attention")(hidden, hidden)
    net = keras.Sequential([keras.Input((8,), name="step"), L.Dense(3, name="each")], name="net")
    hidden = L.TimeDistributed(net, name="steps")(hidden)
    rows = by_path(keras.Model(inputs, L.RNN(L.GRUCell(2), name="rnn")(hidden)))
    assert set(rows) == {
        "in", "both", "both/forward_lstm", "both/backward_lstm", "attention", "steps", "steps/net", "steps/net/step",
        "steps/net/each", "rnn",
    }  # fmt: skip
    assert rows["both/forward_lstm"].options["recurrent_dropout"] == "0.1"
    assert rows["both/forward_lstm"].forward_flops > 0
    assert rows["rnn"].options == {"cell": "GRUCell"}
    assert rows["steps/net/each"].forward_flops == 6 * (2 * 8 * 3 + 3)


class Block(L.Layer):
    def __init__(self):
        super().__init__(name="block")
        self.inside, self.drop = L.Dense(7, name="inside"), L.Dropout(0.5, name="drop")

    def build(self, shape):
        self.inside.build(shape)

    def call(self, x):
        return self.drop(self.inside(x))


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.block, self.out = Block(), L.Dense(1, name="out")

    def build(self, shape):
        self.block.build(shape)
        self.out.build((*shape[:-1], 7))

    def call(self, x):
        return self.out(self.block(x))


def test_subclassed_models():
    model = Own()
    model.build((None, 5))
    rows = by_path(model)
    assert rows["block"].forward_flops is None  # what it computes besides calling its layers is its own affair
    assert (rows["block/inside"].output_shape, rows["block/inside"].forward_flops) == ("(None, 7)", 2 * 5 * 7 + 7)
    assert (rows["block/drop"].output_shape, rows["block/drop"].forward_flops) == (None, None)
    assert rows["out"].forward_flops == 2 * 7 + 1


class Twice(L.Dense):
    def call(self, inputs):
        return super().call(inputs) * 2


class Named(L.Dense):
    pass


def test_derived_layers():
    inputs = keras.Input((3,))
    rows = by_path(keras.Model(inputs, Twice(2, name="twice")(Named(3, name="named")(inputs))))
    assert (rows["twice"].kind, rows["twice"].forward_flops, rows["twice"].options) == ("Twice", None, {"units": "2"})
    assert (rows["named"].kind, rows["named"].forward_flops) == ("Named", 2 * 3 * 3 + 3)


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        (L.Dense(3), {"units": "3"}),
        (L.Dense(3, activation="gelu", use_bias=False), {"units": "3", "activation": "gelu", "use_bias": "False"}),
        (L.LSTM(3), {"units": "3"}),
        (
            L.LSTM(3, recurrent_dropout=0.2, unroll=True, activation="relu", return_sequences=True),
            {
                "units": "3",
                "recurrent_dropout": "0.2",
                "unroll": "True",
                "activation": "relu",
                "return_sequences": "True",
            },
        ),
        (L.GRU(3, reset_after=False, use_cudnn=False), {"units": "3", "reset_after": "False", "use_cudnn": "False"}),
        (
            L.Conv1D(8, 3, groups=2, data_format="channels_first"),
            {"filters": "8", "kernel_size": "3", "groups": "2", "data_format": "channels_first"},
        ),
        (L.Conv2D(8, (3, 5)), {"filters": "8", "kernel_size": "(3, 5)"}),
        (
            L.Embedding(900, 8, embeddings_regularizer="l2"),
            {"input_dim": "900", "output_dim": "8", "embeddings_regularizer": "L2"},
        ),
        (L.RandomRotation(0.1), {"supports_jit": "False"}),
        (L.RandomFlip(), {}),
    ],
)
def test_options_that_are_not_the_default(layer, options):
    assert layers._options(layer) == options


def test_a_model_of_many_layers(monkeypatch):
    monkeypatch.setattr(layers, "MAX_LAYERS", 3)
    rows, left_out = layer_facts(keras.Sequential([keras.Input((2,)), *[L.Dense(2) for _ in range(9)]]))
    assert (len(rows), left_out) == (3, 7)


def test_a_network_has_the_operations_that_its_authors_count():
    """300 million multiply-adds: Sandler et al., MobileNetV2, table 4. Normalization and the like come on top."""
    rows, _ = layer_facts(keras.applications.MobileNetV2(weights=None))
    products = sum(row.forward_flops for row in rows if row.kind in ("Conv2D", "DepthwiseConv2D", "Dense"))
    assert products / 2 == pytest.approx(300e6, rel=0.01)
    assert None not in [row.forward_flops for row in rows]
