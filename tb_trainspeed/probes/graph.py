"""What the traced or compiled step holds: how many operations, for which layer, and how many of one kind."""

import collections
import dataclasses
from collections.abc import Sequence

from tb_trainspeed.probes.op_names import OpNames
from tb_trainspeed.profile import Model

# They compute nothing: what shapes and slices need, and the ends of other operations.
_FREE = frozenset({
    "Const", "Identity", "IdentityN", "NoOp", "Placeholder", "ReadVariableOp", "Shape", "StridedSlice", "Pack", "Cast",
    "Reshape", "ExpandDims", "Squeeze", "ConcatV2", "GatherV2", "Range", "Fill", "ZerosLike", "OnesLike",
    # The same of XLA's.
    "constant", "parameter", "bitcast", "reshape", "broadcast", "tuple", "get-tuple-element", "slice", "dynamic-slice",
    "concatenate", "copy", "convert", "transpose", "iota", "call", "pad",
})  # fmt: skip


def add_facts(facts: Model, operations: Sequence[tuple[str, str]], names: OpNames) -> Model:
    """Returns the facts of a model with what its traced step says.

    Args:
        facts: of the model.
        operations: name and type of all operations of the step, forward and backward.
        names: tells where they belong.
    """
    names.learn(name for name, _ in operations)
    rows = {layer.path for layer in facts.layers}
    total: collections.Counter[str] = collections.Counter()
    kinds: dict[str, collections.Counter[tuple[str, str]]] = {}
    for name, kind in operations:
        phase, path = names.place(name)
        row = path
        while row and row not in rows:  # what a layer of Keras is made of belongs to that layer
            row = row.rpartition("/")[0]
        if row:
            total[row] += 1
            if phase == "forward" and kind not in _FREE:
                # Of what is inside a layer of Keras each part counts by itself: it has several of a kind by design.
                kinds.setdefault(row, collections.Counter())[path, kind] += 1
    layers = tuple(
        dataclasses.replace(
            layer,
            operations=total[layer.path],
            copies=max(kinds[layer.path].values()) if layer.path in kinds else 0,
        )
        for layer in facts.layers
    )
    return dataclasses.replace(facts, layers=layers, operations=len(operations))
