"""What the traced step holds: copies of a loop, by layers."""

import types

from tb_trainspeed.probes import graph
from tb_trainspeed.probes.op_names import OpNames
from tb_trainspeed.profile import Layer, Model


def _layer(name, *children):
    return types.SimpleNamespace(name=name, _flatten_layers=lambda include_self, recursive: children)


def test_operations_are_counted_by_layer():
    net = _layer("net", _layer("mixer", _layer("dense")), _layer("lstm", _layer("lstm_cell")))
    net.optimizer = types.SimpleNamespace(name="adam", apply_gradients=len)
    facts = Model(layers=tuple(Layer(path, "", 0, 0, path=path) for path in ("mixer", "mixer/dense", "lstm")))
    operations = [
        *[(f"net_1/mixer_1/dense_{2 * turn + 1}/MatMul", "MatMul") for turn in range(40)],
        *[(f"net_1/mixer_1/strided_slice_{turn}", "StridedSlice") for turn in range(40)],
        *[(f"gradient_tape/net_1/mixer_1/dense_{2 * turn + 1}/MatMul", "MatMul") for turn in range(80)],
        ("net_1/mixer_1/add", "AddV2"),
        ("net_1/lstm_1/lstm_cell_1/MatMul", "MatMul"),
        ("adam/mul", "Mul"),
    ]
    found = graph.add_facts(facts, operations, OpNames(net, "metrics"))
    assert found.operations == len(operations)
    assert [(layer.path, layer.copies, layer.operations) for layer in found.layers] == [
        ("mixer", 1, 41), ("mixer/dense", 40, 120), ("lstm", 1, 1),
    ]  # fmt: skip
