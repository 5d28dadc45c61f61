"""Deep samples on torch: clocks at the borders of a step's parts and around every layer, on for a few steps only.

Forward ends when the loss is computed, backward where the optimizer begins. Layers are timed by forward hooks. For the
backward pass nothing is put into the graph, which could change what is computed or kept: the engine runs the nodes of a
graph in the reverse order of their making, so what it does between the last node that one layer made and the last node
of the next belongs to the former. A pre-hook on such a node looks at the clock and changes nothing.
"""

import bisect
import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch

from tb_trainspeed.probes.fit_loop import Undo
from tb_trainspeed.probes.sampling import Unavailable
from tb_trainspeed.recorder import Sample

# Private names are used: both `backward` and `grad` call the engine by one of them.
_autograd: Any = torch.autograd
_autograd_is_ours = threading.Lock()
PARTS = ("forward", "backward", "metrics", "optimizer", "transfer", "host_overhead")
_OWN = "trainspeed"
# Until a sample was taken: hooks on and off, three steps with two calls a layer and a pre-hook a layer.
_COST_NS, _COST_OF_LAYER_NS = 500_000, 60_000
COMPILED = "torch compiles the train step, and a hook in it would make it compile once more"
# What torch calls instead of a number for nodes that run as soon as they can.
_RUNS_AT_ONCE = 2**63


class HostClock:
    """The clock of the host, for a CPU: there the host computes itself."""

    now = staticmethod(time.perf_counter_ns)

    @staticmethod
    def seconds(begin: int, end: int) -> float:
        """Returns the time between two moments."""
        return (end - begin) * 1e-9


class DeviceClock:
    """The clock of the GPU: a moment is when the GPU has done what it was told until then."""

    @staticmethod
    def now() -> Any:
        """Returns an event in the stream, without waiting for it."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    @staticmethod
    def seconds(begin: Any, end: Any) -> float:
        """Returns the time between two events that are over."""
        return float(begin.elapsed_time(end)) * 1e-3


class Track:
    """Charges the time of a step to one part and one layer at a time.

    Args:
        now: the clock. What it returns is kept as it is: subtracting can wait until the steps are over.
    """

    def __init__(self, now: Callable[[], Any]):
        self._now = now
        #: What was charged from when on: (moment, part, layer). A part of `None` is outside the steps.
        self.marks: list[tuple[Any, str | None, str]] = []
        self._stack: list[tuple[str, str]] = []
        # The number of the next node of the graph, and the layer that makes it, in rising order.
        self._first_nodes: list[int] = []
        self._makers: list[str] = []

    def begin(self, part: str) -> None:
        """A step begins, with this part."""
        self._stack = [(part, "")]
        self._first_nodes, self._makers = [], []
        self._mark()

    def end(self) -> None:
        """The step is over."""
        self.marks.append((self._now(), None, ""))

    def enter(self, part: str, layer: str = "") -> None:
        """Charges to a part, and a layer, until `leave`."""
        self._stack.append((part, layer))
        self._mark()
        self._made_by(layer)

    def enter_layer(self, layer: str) -> None:
        """Charges to a layer until `leave`: forward, unless a backward pass or a metric calls it."""
        part = self._stack[-1][0]
        if part in ("transfer", "host_overhead"):
            part = "forward"
            if len(self._stack) == 1:
                self._stack[0] = part, ""
        self.enter(part, layer)

    def leave(self) -> None:
        """Charges to what was charged before the last `enter`."""
        if len(self._stack) > 1:
            self._stack.pop()
        self._mark()
        self._made_by(self._stack[-1][1])

    def change(self, part: str, layer: str = "") -> None:
        """Charges to something else from here on, until the `leave` of what is charged now."""
        self._stack[-1] = part, layer
        self._mark()

    def go_on_with(self, part: str) -> None:
        """What lies between parts, within the step itself, is charged to this one from here on."""
        if len(self._stack) == 1:
            self.change(part)

    def maker(self, node: Any) -> str:
        """Returns the layer whose call made a node of the graph."""
        index = bisect.bisect_right(self._first_nodes, node._sequence_nr()) - 1
        return self._makers[index] if index >= 0 else ""

    def _mark(self) -> None:
        self.marks.append((self._now(), *self._stack[-1]))

    def _made_by(self, layer: str) -> None:
        self._first_nodes.append(_autograd._get_sequence_nr())
        self._makers.append(layer)


class TorchTool:
    """The tool of deep samples on torch: see `probes.sampling.Tool`.

    What it puts into the user's training is guarded: a failure of ours is raised by `stop`, not in the step.

    Args:
        model: the compiled Keras model.
        on_device: whether the model is on a GPU.
    """

    def __init__(self, model: Any, on_device: bool):
        self._model, self._on_device = model, on_device
        self._clock = DeviceClock if on_device else HostClock
        self._track = Track(self._clock.now)
        self._paths: dict[Any, str] = {}
        self._optimizers: list[Any] = []
        self._undo = Undo()
        self._on, self._inside, self._thread = False, False, 0
        self._error: Exception | None = None
        self.first_cost_ns = _COST_NS + _COST_OF_LAYER_NS * len(layer_paths(model))

    def start(self) -> None:
        """From here on the steps are looked into.

        Raises:
            RuntimeError: if torch compiles the train step by now.
        """
        if hasattr(self._model.train_function, "_torchdynamo_orig_callable"):
            raise RuntimeError(COMPILED)
        self._track, self._error = Track(self._clock.now), None
        self._inside, self._thread = False, threading.get_ident()
        self._paths = layer_paths(self._model)
        self._optimizers = optimizers_of(self._paths)
        self._on = True

    def stop(self) -> Any:
        """Ends that; returns what the clocks said."""
        self.close()
        if self._error:
            raise self._error
        return self._track.marks

    def close(self) -> None:
        """Takes out what is in place, if anything is."""
        self._on = self._inside = False
        self._undo.run()

    def decode(self, seen: Any, steps: int) -> Sample:
        """Adds up the parts and the layers."""
        return sample_of(seen, steps, self._clock.seconds)

    def _put_clocks(self) -> None:
        model, undo = self._model, self._undo
        if not _autograd_is_ours.acquire(blocking=False):
            raise Unavailable("a fit in another thread was looked into")
        undo.add(_autograd_is_ours.release)  # when all that follows is out again
        for layer, path in self._paths.items():
            before = functools.partial(self._before_layer, path)
            undo.add(layer.register_forward_pre_hook(before, prepend=True).remove)
            # Also when the call fails: the user may catch that.
            undo.add(layer.register_forward_hook(self._after_layer, always_call=True).remove)
        undo.replace(_autograd, "_engine_run_backward", self._timed_backward(_autograd._engine_run_backward))
        undo.replace(model, "zero_grad", self._timed(model.zero_grad, "host_overhead"))
        undo.replace(model, "compute_metrics", self._timed(model.compute_metrics, "metrics"))
        for metric in model.metrics:
            for name in ("update_state", "result"):
                undo.replace(metric, name, self._timed(getattr(metric, name), "metrics"))
        for optimizer in self._optimizers:
            name = "step" if isinstance(optimizer, torch.optim.Optimizer) else "apply"
            undo.replace(optimizer, name, self._timed(getattr(optimizer, name), "optimizer", "host_overhead"))

    # --- what stands in for, or is called by, the user's own code

    def run(self, train_function: Callable[[Any], Any], data: Any) -> Any:
        """Runs one step. The clocks are in place while it runs, and no longer: callbacks may copy the model."""
        if not self._on:
            return train_function(data)
        self._inside = True
        self._safely(self._begin_step, data)
        try:
            return train_function(data)
        finally:
            self._safely(self._track.end)
            self._inside = False
            self._undo.run()

    def _safely(self, action: Callable[..., None], *args: Any) -> bool:
        """Runs `action` in the thread of the fit, and says whether it was done."""
        return threading.get_ident() == self._thread and self._guarded(action, *args)

    def _guarded(self, action: Callable[..., None], *args: Any) -> bool:
        if not self._inside or self._error:
            return False
        try:
            action(*args)
        except Exception as error:
            self._error = error
            return False
        return True

    def _before_layer(self, path: str, *args: Any) -> None:
        self._safely(self._track.enter_layer, path)

    def _after_layer(self, *args: Any) -> None:
        self._safely(self._track.leave)

    def _before_node(self, layer: str, *args: Any) -> None:
        self._guarded(self._track.change, "backward", layer)  # in whatever thread the engine runs

    def _timed(self, method: Callable[..., Any], part: str, next_part: str = "") -> Callable[..., Any]:
        """Charges a method to a part, and what comes after it to another."""

        @functools.wraps(method)
        def timed(*args: Any, **kwargs: Any) -> Any:
            entered = self._safely(self._track.enter, part)
            try:
                return method(*args, **kwargs)
            finally:
                if entered:
                    self._safely(self._track.leave)
                    if next_part:
                        self._safely(self._track.go_on_with, next_part)

        return timed

    def _begin_step(self, data: Any) -> None:
        self._put_clocks()
        self._track.begin("transfer" if self._on_device and any(on_host(data)) else "host_overhead")

    def _timed_backward(self, run: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(run)
        def run_backward(outputs: Any, *args: Any, **kwargs: Any) -> Any:
            handles: list[Any] = []
            entered = self._safely(self._enter_backward, handles, outputs, args)
            try:
                return run(outputs, *args, **kwargs)
            finally:
                for handle in handles:
                    handle.remove()
                if entered:
                    self._safely(self._track.leave)
                    if kwargs.get("accumulate_grad"):  # else it is part of what is being computed
                        self._safely(self._track.go_on_with, "backward")

        return run_backward

    def _enter_backward(self, handles: list[Any], outputs: Any, args: tuple[Any, ...]) -> None:
        self._track.enter(_OWN)
        # With given inputs the engine leaves out what they do not need, and that can be the first node of a layer.
        partial = len(args) > 3 and bool(args[3])
        layer = ""
        for node in nodes_of(outputs):
            maker = self._track.maker(node)
            if maker != layer or partial:
                handles.append(node.register_prehook(functools.partial(self._before_node, maker)))
            layer = maker
        self._track.change("backward")


def layer_paths(model: Any) -> dict[Any, str]:
    """Returns the model and its layers, each with its path in the model, which is empty for the model itself.

    A layer that is used in several places has the path of the first.
    """
    paths = {model: ""}
    waiting = [model]
    for owner in waiting:
        for layer in owner._layers:
            if layer not in paths:
                paths[layer] = f"{paths[owner]}/{layer.name}" if paths[owner] else layer.name
                waiting.append(layer)
    return paths


def optimizers_of(owners: Iterable[Any]) -> list[Any]:
    """Returns the optimizers, of Keras or torch, that are attributes of models, alone or in lists."""
    found: dict[int, Any] = {}
    for owner in owners:
        for value in vars(owner).values() if hasattr(owner, "train_step") else ():
            for item in value if isinstance(value, (list, tuple)) else (value,):
                names = {kind.__name__ for kind in type(item).__mro__}
                if isinstance(item, torch.optim.Optimizer) or "BaseOptimizer" in names:
                    found[id(item)] = item
    return list(found.values())


def on_host(data: Any) -> Iterator[bool]:
    """Yields for every array of a batch whether it is in the host's memory."""
    if hasattr(data, "shape"):
        yield not isinstance(data, torch.Tensor) or data.device.type == "cpu"
    elif isinstance(data, Mapping):
        yield from on_host(list(data.values()))
    elif isinstance(data, (list, tuple)):
        for value in data:
            yield from on_host(value)


def nodes_of(outputs: Any) -> list[Any]:
    """Returns the nodes of the graph behind tensors, in the order in which a backward pass runs them.

    The order is that of `Engine::compute_dependencies` and `CompareNodeTaskTime` in torch/csrc/autograd/engine.cpp: of
    the nodes that are ready, the one made last. Nodes that add up the gradient of a weight are left out: they run
    as soon as it is there.
    """
    roots = [getattr(output, "node", None) or output.grad_fn for output in outputs]
    found = {root for root in roots if root is not None}
    waiting = list(found)
    while waiting:
        for node, _ in waiting.pop().next_functions:
            if node is not None and node not in found:
                found.add(node)
                waiting.append(node)
    numbered = ((node._sequence_nr(), node) for node in found)
    return [node for number, node in sorted(numbered, key=lambda pair: -pair[0]) if number < _RUNS_AT_ONCE]


def sample_of(marks: Iterable[tuple[Any, str | None, str]], steps: int, seconds: Callable[..., float]) -> Sample:
    """Adds up what was charged.

    Args:
        marks: of a `Track`.
        steps: the number of steps they span.
        seconds: the time between two moments.

    Raises:
        RuntimeError: where the parts of the train step could not be told.
    """
    parts = dict.fromkeys(PARTS, 0.0)
    layers: dict[str, list[float]] = {}
    runs = set()
    previous: tuple[Any, str | None, str] = None, None, ""
    for mark in marks:
        begin, part, layer = previous
        previous = mark
        if part is None:
            continue
        runs.add(part)
        if part == _OWN:
            continue
        taken = seconds(begin, mark[0]) / steps
        parts[part] += taken
        if layer and part in ("forward", "backward"):
            layers.setdefault(layer, [0.0, 0.0])[part == "backward"] += taken
    if "backward" in runs and "optimizer" not in runs:
        raise RuntimeError("the train step has an optimizer that cannot be seen")
    return Sample(steps, parts, {name: (forward, backward) for name, (forward, backward) in layers.items()})
