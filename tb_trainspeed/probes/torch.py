"""The torch backend: clocks around the train function and around the loader, which Keras asks between two steps."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import torch

from tb_trainspeed.probes import facts, source
from tb_trainspeed.probes.fetches import time_fetches
from tb_trainspeed.probes.fit_loop import FitLoop
from tb_trainspeed.probes.sampling import DeepSampler
from tb_trainspeed.probes.torch_parts import COMPILED, TorchTool, layer_paths
from tb_trainspeed.profile import Data, Device, Model
from tb_trainspeed.recorder import Budget, FitRecorder

WAITS_AT_EPOCH_END = False
# Keras guards each fetch with `catch_stop_iteration`, not the loop over the steps.
GUARDS_EVERY_FETCH = True
__all__ = ["time_fetches"]


def fetches_can_be_timed(model: Any) -> str | None:
    """Returns why the fetch of a batch cannot be timed, or `None` when it can."""
    return None


class _Event:
    """The end of a step on the GPU."""

    def __init__(self) -> None:
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        self.is_ready, self.wait = event.query, event.synchronize


def time_steps(
    model: Any, recorder: FitRecorder, budget: Budget | None, deep: DeepSampler | None, failed: Callable[[], None]
) -> Callable[..., Any]:
    """Returns the train function with clocks."""
    train_function = model.train_function
    traced = trace_detector(train_function, recorder.steps == 0)
    recorder.call_dispatches = False  # on a CPU it is the main thread that computes
    follows = budget is not None and torch.cuda.is_available()
    if budget and follows:
        recorder.follow_device(budget)

    tool: Any = deep.tool if deep else None
    run = functools.partial(tool.run, train_function) if tool else train_function

    @functools.wraps(train_function)
    def timed(data: Any) -> Any:
        if deep:
            deep.before_step()
        recorder.step_begin(False)
        try:
            logs = run(data)
        except BaseException:
            recorder.step_abort()
            failed()
            raise
        recorder.step_end(traced, _Event, lambda: source.shapes_of(data))
        recorder.sample_device()
        if deep:
            deep.after_step()
        return logs

    return timed


def trace_detector(train_function: Callable[..., Any], first: bool) -> Callable[[], bool]:
    """Returns a function that tells whether torch compiled since it was last asked. A fit's first step always counts.

    Args:
        train_function: what runs a step.
        first: whether its first step is the first of the fit.
    """
    compiled = hasattr(train_function, "_torchdynamo_orig_callable")
    last = -1 if first else _graphs() if compiled else 0

    def traced() -> bool:
        nonlocal last
        before, last = last, _graphs() if compiled else 0
        return last > before

    return traced


def _graphs() -> int:
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


def deep_tool(model: Any) -> TorchTool | str:
    """Returns what looks inside a step, or why nothing can."""
    if is_compiled(model):
        return COMPILED
    kinds = {parameter.device.type for parameter in model.parameters()}
    if not kinds <= {"cpu", "cuda"}:
        return f"there is no clock for {', '.join(sorted(kinds))}"
    return TorchTool(model, "cuda" in kinds)


def is_compiled(model: Any) -> bool:
    """Whether torch compiles the train function, or something that the model holds."""
    owned = (value for owner in layer_paths(model) for value in vars(owner).values())
    found = [model.train_function, type(model).train_step, *model.modules(), *owned]
    return any(hasattr(value, "_torchdynamo_orig_callable") or hasattr(value, "_orig_mod") for value in found)


def devices() -> tuple[Device, ...]:
    """The devices torch uses."""
    if not torch.cuda.is_available():
        return (Device("CPU", "cpu"),)
    properties = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return tuple(Device("GPU", device.name, device.total_memory) for device in properties)


def model_facts(model: Any) -> Model:
    """Facts of a compiled model."""
    return facts.model_facts(model)


def data_facts(loop: FitLoop) -> Data:
    """How the training data reaches the step."""
    data = facts.tf_data_facts(facts.data_facts(loop), loop)
    workers = getattr(getattr(loop.adapter, "_dataloader", None), "num_workers", None)
    return data if workers is None else dataclasses.replace(data, workers=workers)
