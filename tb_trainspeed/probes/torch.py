"""The torch backend: clocks around the train function and around the loader, which Keras asks between two steps."""

import dataclasses
import functools
import sys
from collections.abc import Callable
from typing import Any

import torch

from tb_trainspeed.probes import facts, source
from tb_trainspeed.probes.fetches import time_fetches
from tb_trainspeed.probes.fit_loop import FitLoop, Undo
from tb_trainspeed.probes.sampling import DeepSampler, Unavailable
from tb_trainspeed.probes.torch_parts import COMPILED, TorchTool, layer_paths
from tb_trainspeed.profile import Compilation, CompilationEvent, Data, Device, DeviceMemory, Model
from tb_trainspeed.recorder import Budget, FitRecorder

# Keras guards each fetch with `catch_stop_iteration`, not the loop over the steps.
GUARDS_EVERY_FETCH = True
#: Whether deep samples see what is exchanged with other devices.
TELLS_COLLECTIVES = False
__all__ = ["time_fetches"]
_MAX_TEXT, _DEAREST = 200, 12


def fetches_can_be_timed(model: Any) -> str | None:
    """Returns why the fetch of a batch cannot be timed, or `None` when it can."""
    return None


class _Event:
    """The end of a step on the accelerator that computes it."""

    def __init__(self, device: torch.device) -> None:
        module = getattr(torch, device.type)
        event = module.Event()
        event.record(*([] if device.type == "mps" else [module.current_stream(device)]))
        self.is_ready, self.wait = event.query, event.synchronize


def _accelerator(model: Any) -> torch.device | None:
    """The accelerator that holds the model, of the kinds that tell when a step is over; `None` on a CPU.

    What a machine has beside it is no matter of this fit, and to ask it would take its memory.
    """
    devices = [parameter.device for parameter in model.parameters()] or [torch.device(_default_device())]
    return next((device for device in devices if device.type in ("cuda", "xpu", "mps")), None)


def _default_device() -> str:
    """Where Keras puts a model that is not built yet."""
    from keras.src.backend.torch.core import get_device

    return str(get_device())


def time_steps(
    model: Any,
    recorder: FitRecorder,
    budget: Budget | None,
    deep: DeepSampler | None,
    failed: Callable[[], None],
    seen: Callable[[Any], None],
) -> Callable[..., Any]:
    """Returns the train function with clocks. `seen` is shown every batch."""
    train_function = model.train_function
    traced = trace_detector(train_function, recorder.steps == 0)
    recorder.call_dispatches = False  # on a CPU it is the main thread that computes
    device = _accelerator(model) if budget else None
    if device:
        recorder.follow_device()
    recorder.may_wait = True

    run = functools.partial(deep.run, train_function) if deep else train_function
    event = functools.partial(_Event, device) if device else None

    @functools.wraps(train_function)
    def timed(data: Any) -> Any:
        if deep and not recorder.later.steps:
            deep.before_step()
        recorder.step_begin(False)
        try:
            logs = run(data)
        except BaseException:
            recorder.step_abort()
            failed()
            raise
        recorder.step_end(traced, event, lambda: source.shapes_of(data))
        if not recorder.later.steps:
            seen(data[0])
            recorder.watch_device()
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


def watch_compiler(started_at_s: float, undo: Undo) -> Callable[[Compilation], Compilation]:
    """Returns a function that adds what torch's compiler counted since now. Nothing has to be undone."""
    before, breaks = _compiler_s(), _graph_breaks()

    def add_facts(compilation: Compilation) -> Compilation:
        if "torch._dynamo" not in sys.modules:
            return compilation
        now = _compiler_s()
        spent = {name: seconds - before.get(name, 0.0) for name, seconds in now.items()}
        backend_s = spent.get("backend_compile", 0.0)
        records = [
            record for record in _compilations() if record.co_name and record.start_time_us >= started_at_s * 1e6
        ]
        functions: dict[str, float] = {}
        for record in records:
            name = str(record.co_name)[:_MAX_TEXT]
            functions[name] = functions.get(name, 0.0) + (record.entire_frame_compile_time_s or 0.0)
        return dataclasses.replace(
            compilation,
            compiler_s={"dynamo": spent.get("entire_frame_compile", 0.0) - backend_s, "backend": backend_s},
            functions_s=dict(sorted(functions.items(), key=lambda item: -item[1])[:_DEAREST]),
            graph_breaks=_graph_breaks() - breaks,
            events=tuple(_with_reason(event, records, started_at_s) for event in compilation.events),
        )

    return add_facts


def _with_reason(event: CompilationEvent, records: list[Any], started_at_s: float) -> CompilationEvent:
    """The event with the guards that failed, which torch noted while it compiled for it."""
    begin_us = (started_at_s + event.at_s) * 1e6
    inside = [record for record in records if begin_us <= record.start_time_us <= begin_us + event.duration_s * 1e6]
    reasons = [str(getattr(record, "recompile_reason", None) or "").partition("\n")[0] for record in inside]
    return dataclasses.replace(event, reason="; ".join(filter(None, dict.fromkeys(reasons)))[:_MAX_TEXT])


def _compilations() -> list[Any]:
    """The last 64 compilations of this process."""
    from torch._dynamo.utils import get_compilation_metrics

    return list(get_compilation_metrics())


def _compiler_s() -> dict[str, float]:
    """Seconds the compiler has taken in this process, by stage; a stage is part of the one around it."""
    if "torch._dynamo" not in sys.modules:
        return {}
    from torch._dynamo.utils import calculate_time_spent

    return dict(calculate_time_spent())


def _graph_breaks() -> int:
    if "torch._dynamo" not in sys.modules:
        return 0
    from torch._dynamo.utils import counters

    return sum(counters["graph_break"].values())


def deep_tool(model: Any) -> TorchTool:
    """Returns what looks inside steps.

    Raises:
        Unavailable: if nothing could be seen there.
    """
    if is_compiled(model):
        raise Unavailable(COMPILED)
    kinds = {parameter.device.type for parameter in model.parameters()}
    if not kinds <= {"cpu", "cuda"}:
        raise Unavailable(f"there is no clock for {', '.join(sorted(kinds))}")
    return TorchTool(model, "cuda" in kinds)


def is_compiled(model: Any) -> bool:
    """Whether torch compiles the train function, or something that the model holds."""
    owned = (value for owner in layer_paths(model) for value in vars(owner).values())
    found = [model.train_function, type(model).train_step, *model.modules(), *owned]
    return any(hasattr(value, "_torchdynamo_orig_callable") or hasattr(value, "_orig_mod") for value in found)


def devices() -> tuple[Device, ...]:
    """The devices torch uses: one that Keras was told to leave alone is none."""
    if _default_device().partition(":")[0] == "cpu":
        return (Device("CPU", "cpu"),)
    if torch.cuda.is_available():
        properties = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        return tuple(
            Device("GPU", device.name, device.total_memory, f"{device.major}.{device.minor}") for device in properties
        )
    return (Device("GPU", "mps"),) if torch.backends.mps.is_available() else (Device("CPU", "cpu"),)


def device_memory() -> tuple[DeviceMemory, ...]:
    """What torch's allocators say of the GPUs."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return ()
    return tuple(
        DeviceMemory(
            f"cuda:{index}",
            torch.cuda.memory_allocated(index),
            torch.cuda.max_memory_allocated(index),
            torch.cuda.get_device_properties(index).total_memory,
        )
        for index in range(torch.cuda.device_count())
    )


def settings() -> dict[str, str]:
    """The switches of torch that bear on speed, as they are for this thread."""
    return facts.settings(
        {
            "torch.autograd.set_detect_anomaly": torch.is_anomaly_enabled,
            "torch.use_deterministic_algorithms": torch.are_deterministic_algorithms_enabled,
            "torch.backends.cudnn.benchmark": lambda: torch.backends.cudnn.benchmark,
            "torch.backends.cudnn.deterministic": lambda: torch.backends.cudnn.deterministic,
            "torch.set_float32_matmul_precision": torch.get_float32_matmul_precision,
            "torch.set_num_threads": torch.get_num_threads,
            "torch.set_num_interop_threads": torch.get_num_interop_threads,
        }
    )


def distribution(model: Any) -> tuple[str | None, int | None]:
    """Whether torch.distributed runs, and the number of its processes."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return "torch.distributed", int(distributed.get_world_size())
    return None, 1


def worker(model: Any) -> int:
    """Which process of torch.distributed this is, where it runs."""
    distributed = torch.distributed
    running = distributed.is_available() and distributed.is_initialized()
    return int(distributed.get_rank()) if running else 0


def model_facts(model: Any) -> Model:
    """Facts of a compiled model."""
    return facts.model_facts(model)


def traced_operations(model: Any) -> None:
    """Nothing: torch traces nothing."""


def data_facts(loop: FitLoop) -> Data:
    """How the training data reaches the step."""
    return facts.tf_data_facts(facts.data_facts(loop), loop)
