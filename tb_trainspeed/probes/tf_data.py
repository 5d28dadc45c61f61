"""The stages of a tf.data pipeline, read from its graph without running it."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from tb_trainspeed.probes import samples
from tb_trainspeed.profile import Data, Stage

_MAX_STAGES = 64
_INTERESTING = 40
_STRINGS = 5
# Operations that run functions, and under which names they hold them.
_BRANCHES = {"If": ("then_branch", "else_branch"), "While": ("cond", "body")}
_PLUMBING = frozenset(("Placeholder", "Identity", "Const", "NoOp"))
# Stages that hand on the batches they get.
_ONE_TO_ONE = frozenset(("Prefetch", "Map", "ParallelMap", "Repeat", "Take", "Skip", "Shard", "Shuffle", "Cache"))


def add_facts(data: Data, dataset: Any, users: bool) -> Data:
    """Returns `data` with what a dataset tells of its batches, and with its stages where it is the user's own."""
    if not isinstance(dataset, tf.data.Dataset):
        return data
    batch_size, batch_bytes, text = batch_of(dataset)
    found = stages(dataset) if users else ()
    return dataclasses.replace(
        data,
        batch_size=data.batch_size or batch_size or _batched(found),
        batch_bytes=batch_bytes,
        batch=text,
        stages=found,
        options={**data.options, **(options(dataset) if users else {})},
        inputs=text if users else data.inputs,
        files=samples.files_facts(_strings(dataset)) if users else data.files,
    )


def _batched(found: tuple[Stage, ...]) -> int | None:
    """The size of all batches but the last, which the shapes do not tell where that one may be smaller."""
    for stage in reversed(found):
        if stage.batch_size or stage.kind not in _ONE_TO_ONE:
            return stage.batch_size
    return None


def _strings(dataset: Any) -> list[bytes]:
    """A few of the strings that a pipeline starts from: paths, or encoded images."""
    nodes, seen = [dataset], 0
    while nodes and seen < _MAX_STAGES:
        node, seen = nodes.pop(), seen + 1
        for tensor in getattr(node, "_tensors", ()):
            if getattr(tensor, "dtype", None) == tf.string and tensor.shape.rank == 1:
                return list(tensor[:_STRINGS].numpy())
        nodes += node._inputs()
    return []


def batch_of(dataset: Any) -> tuple[int | None, int | None, str | None]:
    """Returns (samples, bytes, description) of the batches of a dataset; `None` where its shapes do not tell."""
    specs = [spec for spec in tf.nest.flatten(dataset.element_spec) if isinstance(spec, tf.TensorSpec)]
    text = ", ".join(f"{spec.dtype.name}{spec.shape}" for spec in specs)
    sizes = [spec.shape[0] for spec in specs if spec.shape.rank]
    return (sizes[0] if sizes else None), _bytes(specs), text or None


def _bytes(specs: list[Any]) -> int | None:
    total = 0
    for spec in specs:
        elements = spec.shape.num_elements()
        if elements is None or spec.dtype in (tf.string, tf.variant, tf.resource):
            return None
        total += elements * spec.dtype.size
    return total or None


def stages(dataset: Any) -> tuple[Stage, ...]:
    """Returns the stages from the source to the training step; branches follow each other, deepest first."""
    found: list[Stage] = []
    seen: set[int] = set()

    def visit(node: Any, elements_per_batch: float | None) -> None:
        if id(node) in seen or len(found) >= _MAX_STAGES:
            return
        seen.add(id(node))
        kind = type(node).__name__.strip("_").removesuffix("V2").removesuffix("Dataset")
        size = _constant(getattr(node, "_batch_size", None))
        below = elements_per_batch * size if size and elements_per_batch else elements_per_batch
        for parent in node._inputs():
            visit(parent, below)
        if kind not in ("Options", "Model"):
            found.append(_stage(node, kind, size, elements_per_batch))

    visit(dataset, 1.0)
    return tuple(found)


def _stage(node: Any, kind: str, batch_size: int | None, elements_per_batch: float | None) -> Stage:
    function = getattr(node, "_map_func", None)
    graph = getattr(getattr(function, "function", None), "graph", None)
    definition = graph.as_graph_def() if graph is not None else None
    functions = {one.signature.name: one for one in definition.library.function} if definition else {}
    nodes = [*definition.node, *(inner for one in functions.values() for inner in one.node_def)] if definition else []
    kinds = list(dict.fromkeys(_kind(each) for each in nodes if each.op not in _PLUMBING))
    stateful = list(dict.fromkeys(_stateful(definition.node, functions))) if definition else []
    python_function = getattr(function, "_func", None)
    specs = [spec for spec in tf.nest.flatten(node.element_spec) if isinstance(spec, tf.TensorSpec)]
    return Stage(
        kind=kind,
        parallelism=_constant(getattr(node, "_num_parallel_calls", None)),
        buffer=_constant(getattr(node, "_buffer_size", None)),
        batch_size=batch_size,
        function=getattr(python_function, "__name__", None),
        operations=tuple(kinds[:_INTERESTING]),
        stateful_operations=tuple(stateful[:_INTERESTING]),
        elements_per_batch=elements_per_batch,
        output=", ".join(f"{spec.dtype.name}{spec.shape}" for spec in specs) or None,
        output_bytes=_bytes(specs),
        count=_constant(getattr(node, "_count", None)),
        elements=_elements(node),
    )


def _kind(node: Any) -> str:
    """The type of an operation; of one that decodes a JPEG at a part of its size, with that: `DecodeJpeg/4`."""
    ratio = node.attr["ratio"].i if node.op.endswith("Jpeg") and "ratio" in node.attr else 1
    return f"{node.op}/{ratio}" if ratio > 1 else str(node.op)


def _stateful(nodes: Iterable[Any], functions: Mapping[str, Any]) -> list[str]:
    """Types of the operations with a state, which keep tf.data from making a map parallel, as it looks for them.

    Assertions have none in its eyes, and branches that of what they hold (TensorFlow, `IsFunctionStateful`).
    """
    from tensorflow.python.framework import op_def_registry

    found = []
    for node in nodes:
        held = [functions.get(node.attr[name].func.name) for name in _BRANCHES.get(node.op, ())]
        definition = op_def_registry.get(node.op)
        if held and all(held):
            found += [kind for one in held if one for kind in _stateful(one.node_def, functions)]
        elif node.op != "Assert" and node.op not in _PLUMBING and definition is not None and definition.is_stateful:
            found.append(str(node.op))
    return found


def _elements(node: Any) -> int | None:
    """What one pass yields, by the graph alone; -1 for what never ends is no number here."""
    elements = int(node.cardinality())
    return elements if elements >= 0 else None


def _constant(value: Any) -> int | None:
    if value is None:
        return None
    constant = tf.get_static_value(value)
    return None if constant is None else int(constant)


def options(dataset: Any) -> dict[str, str]:
    """The options of a dataset that switch its automatic speed-ups off or on, where they are set."""
    chosen = dataset.options()
    values = {
        "autotune.enabled": chosen.autotune.enabled,
        "apply_default_optimizations": chosen.experimental_optimization.apply_default_optimizations,
        "map_parallelization": chosen.experimental_optimization.map_parallelization,
        "inject_prefetch": chosen.experimental_optimization.inject_prefetch,
        "deterministic": chosen.deterministic,
        "private_threadpool_size": chosen.threading.private_threadpool_size,
        "auto_shard_policy": _auto_shard(chosen),
    }
    return {name: str(value) for name, value in values.items() if value is not None}


def _auto_shard(chosen: Any) -> str | None:
    """How workers share the data, where that is set: `FILE`, `DATA`, `OFF`, ..."""
    policy = chosen.experimental_distribute.auto_shard_policy
    return None if policy == tf.data.experimental.AutoShardPolicy.AUTO else str(policy.name)
