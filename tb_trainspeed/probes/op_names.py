"""What the name of an operation says: which phase of the step it belongs to, and which layer.

Names are paths of name scopes, which Keras opens for layers, optimizers and losses. Three dialects, as seen in traces:

* TensorFlow, and XLA below it: `StatefulPartitionedCall/gradient_tape/<model>_1/<layer>_1/MatMul`. TensorFlow numbers
  a scope that was opened before; what the gradient tape does starts with `gradient_tape`.
* JAX: `jit(train_step)/transpose(jvp(<layer>))/<layer>/dot_general`: `transpose` is the backward pass, and the scope of
  the outermost model is missing.
* Eager operations have no scope: nothing is known of them.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

_NUMBERED = re.compile(r"_\d+$")
_TRANSFORM = re.compile(
    r"(jit|pjit|jvp|transpose|vmap|vjp|pmap|remat|checkpoint|custom_jvp|custom_vjp|shard_map)\((.*)\)$", re.DOTALL
)
# A sum of the gradients of a value that was used more than once; TensorFlow names it outside of all scopes.
_GRADIENT_SUM = re.compile(r"AddN(_\d+)?$")
#: The scope that the metrics get while TensorFlow traces a step beside us; Keras gives them none.
METRICS = "trainspeed_metrics"
# The scope of the losses that were given to `compile`.
_LOSS = "compile_loss"
# What control flow puts before the scopes of what it runs.
_CONTROL_FLOW = re.compile(r"(cond|while|then|else|body|case|closed_call|branch_\d+_fun)?(_\d+)?$")
# An optimizer that scales the loss asks, outside of its scope, whether all gradients are finite.
_LOSS_SCALING = re.compile(r"(IsFinite|All|is_finite|reduce_and)(_\d+)?$")
# The train function is one, inlined; below several steps an execution in a loop, once a replica if distributed.
_FUNCTION = re.compile(r"(Stateful)?PartitionedCall(_\d+)?$")


class Place(NamedTuple):
    """Where an operation belongs. `layer` is the path of a layer within the model, empty for none."""

    phase: str
    layer: str = ""


class Node(NamedTuple):
    """One layer, by the layers inside it and its name as it appears in scopes."""

    path: str
    children: Mapping[str, "Node"]


class OpNames:
    """Tells where operations of a training step belong, by their names.

    Args:
        model: the Keras model that is trained.
        unscoped: the phase of what has no scope at all.
    """

    def __init__(self, model: Any, unscoped: str):
        self._root = Node("", _nodes(model, "", set()))
        self._model = str(model.name)
        self._optimizer, self._optimizers = model.optimizer, _held_by(model, "apply_gradients")
        self._losses = frozenset({_LOSS, *_held_by(model, "reduction")})
        layers = _below(self._root)
        self._names = frozenset(layers)
        self._anywhere = {name: nodes[0] for name, nodes in layers.items() if len(nodes) == 1}
        self._unscoped = unscoped
        self._scales_loss = hasattr(model.optimizer, "inner_optimizer")
        self._places: dict[str, Place] = {}
        self._numbered: dict[str, bool] = {}

    def learn(self, names: Iterable[str]) -> None:
        """Looks at all names of a trace, before any is placed.

        Whether scopes carry TensorFlow's numbers cannot be told from one of them. `dense_1` may be the layer of that
        name or the second use of `dense`: what accounts for more layers is right.
        """
        # A `MultiOptimizer` opens no scope, and has its optimizers once it is built.
        self._optimizers |= {each.name for each in getattr(self._optimizer, "optimizers", ())}
        scopes: dict[str, set[str]] = {}
        for name in names:
            parts = [scope for scope in self._scopes(name)[0][:-1] if scope != "gradient_tape"]
            for parent, child in itertools.pairwise(parts):
                scopes.setdefault(parent, set()).add(child)
        for parent, children in scopes.items():
            node = self._root if _unnumbered(parent) == self._model or parent == self._model else None
            node = node or self._anywhere.get(parent) or self._anywhere.get(_unnumbered(parent))
            if node is None:
                continue
            plain = {child if child in node.children else _unnumbered(child) for child in children}
            numbered = {_unnumbered(child) for child in children if _NUMBERED.search(child)}
            self._numbered[parent] = len(numbered & set(node.children)) > len(plain & set(node.children))
        self._places.clear()

    def place(self, name: str) -> Place:
        """Returns where the operation of this name belongs."""
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = self._place(name)
        return place

    def _place(self, name: str) -> Place:
        scopes, transposed, differentiated = self._scopes(name)
        if scopes and scopes[0] == "gradient_tape":
            transposed, scopes = True, scopes[1:]
        operation = scopes[-1] if scopes else ""
        scopes, conditional = scopes[:-1], False
        while scopes and scopes[0] not in self._root.children and _CONTROL_FLOW.match(scopes[0]):
            scopes, conditional = scopes[1:], True
        if transposed:
            return Place("backward", self._layer(scopes))
        if scopes:
            first = {scopes[0], _unnumbered(scopes[0])}
            if first & self._optimizers:
                return Place("optimizer")
            if first & self._losses or METRICS in first:
                return Place("metrics")
        layer = self._layer(scopes)
        if layer or differentiated or (scopes and self._is_model(scopes[0])):
            return Place("forward", layer)
        if self._scales_loss and (conditional or _LOSS_SCALING.match(operation)):
            return Place("optimizer")
        return Place("backward" if _GRADIENT_SUM.match(operation) else self._unscoped)

    def _scopes(self, name: str) -> tuple[list[str], bool, bool]:
        """Splits a name into its scopes without JAX's transforms; says whether it is transposed, differentiated."""
        scopes: list[str] = []
        transposed = differentiated = False
        for outer in _split(name):
            part = outer
            while part not in self._names and (match := _TRANSFORM.match(part)):
                transform, part = match.groups()
                transposed |= transform == "transpose"
                differentiated |= transform == "jvp"
                if transform in ("jit", "pjit"):  # the name of a function of JAX's, or of the training step
                    part = ""
            scopes += [scope for scope in part.split("/") if scope]
        functions = [index for index, scope in enumerate(scopes) if _FUNCTION.match(scope)]
        return scopes[functions[0] + 1 :] if functions else scopes, transposed, differentiated

    def _is_model(self, scope: str) -> bool:
        return scope == self._model or _unnumbered(scope) == self._model

    def _layer(self, scopes: list[str]) -> str:
        node, parent = self._root, self._model
        for index, scope in enumerate(scopes):
            child = self._child(node, parent, scope)
            if child is None and index == 0 and not self._is_model(scope):  # called from elsewhere than its owner
                child = self._anywhere.get(scope) or self._anywhere.get(_unnumbered(scope))
            if child is not None:
                node = child
            if child is not None or index == 0:
                parent = scope
        return node.path

    def _child(self, node: Node, parent: str, scope: str) -> Node | None:
        first, second = scope, _unnumbered(scope)
        if self._numbered.get(parent):
            first, second = second, first
        return node.children.get(first) or node.children.get(second)


def _held_by(model: Any, has: str) -> set[str]:
    """The names of what a model holds and has this attribute: a training step of the user's may use several of them."""
    names = set()
    for holder in (model, model.optimizer):
        for value in [*vars(holder).values(), model.optimizer] if holder is not None else ():
            if hasattr(value, has) and isinstance(getattr(value, "name", None), str):
                names.add(value.name)
    return names


def _nodes(layer: Any, path: str, above: set[int]) -> dict[str, Node]:
    """The layers directly inside `layer`. One that holds its owner, as some do, is not followed in circles."""
    nodes: dict[str, Node] = {}
    for child in layer._flatten_layers(include_self=False, recursive=False):
        if id(child) not in above:
            child_path = f"{path}/{child.name}" if path else str(child.name)
            nodes.setdefault(str(child.name), Node(child_path, _nodes(child, child_path, above | {id(layer)})))
    return nodes


def _below(node: Node) -> dict[str, list[Node]]:
    """All layers below `node`, by their names."""
    found: dict[str, list[Node]] = {}
    below = [node]
    while below:
        for name, child in below.pop().children.items():
            found.setdefault(name, []).append(child)
            below.append(child)
    return found


def _split(name: str) -> Iterator[str]:
    """Splits at the slashes that are in no parentheses."""
    depth, begin = 0, 0
    for index, character in enumerate(name):
        if character == "(":
            depth += 1
        elif character == ")":
            depth = max(0, depth - 1)
        elif character == "/" and not depth:
            yield name[begin:index]
            begin = index + 1
    yield name[begin:]


def _unnumbered(scope: str) -> str:
    return _NUMBERED.sub("", scope)
