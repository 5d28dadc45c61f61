"""The facts that rules ask for by name, each derived from a `Profile`. `None` means: not measured."""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from tb_trainspeed.profile import (
    Accelerator,
    CallbackFacts,
    Compilation,
    Data,
    Device,
    Files,
    Hook,
    HotSpot,
    Layer,
    LayerTime,
    Ledger,
    NestedCall,
    Profile,
    Quantiles,
    Source,
    Stage,
    Timeline,
    Validation,
)

FACTS: dict[str, Callable[[Profile], Any]] = {}

# Per-step hooks; all others run once an epoch or more seldom.
BATCH_HOOKS = frozenset({"on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"})
#: What goes on inside the train function; deep samples tell all but the first apart from it.
COMPUTING = ("compute", "optimizer", "transfer", "collectives", "host_overhead")
#: A fit shorter than this many steady steps is too short to say anything about its steps.
MIN_STEPS = 10


def fact(function: Callable[[Profile], Any]) -> Callable[[Profile], Any]:
    """Makes a function of a profile a fact that rules can ask for by its name."""
    FACTS[function.__name__] = function
    return function


@dataclasses.dataclass(frozen=True)
class Steady:
    """Training as it recurs: the ledger after the first epoch, or without the one-off phases if there is just one."""

    epoch_s: float
    epochs: float
    steps_per_epoch: float
    phases: dict[str, float]

    def per_step(self, phase: str) -> float:
        """Seconds a step in a phase."""
        return self.phases.get(phase, 0.0) / (self.steps_per_epoch * self.epochs)


def steady_of(profile: Profile) -> Steady | None:
    """Returns steady training, or `None` when there are too few steps to tell."""
    ledger: Ledger = profile.steady or profile.ledger
    phases = {name: value for name, value in ledger.phases.items() if value is not None}
    one_off = sum(phases.pop(name, 0.0) for name in ("startup", "compilation"))
    epochs = max(1, ledger.epochs)
    if ledger.steps < MIN_STEPS or ledger.wall_s <= one_off:
        return None
    return Steady((ledger.wall_s - one_off) / epochs, epochs, ledger.steps / epochs, phases)


def pauses_of(epochs: Quantiles | None) -> float:
    """What the mean steady epoch has more than the median one, seconds: it comes in a few epochs, by chance."""
    return max(0.0, epochs.mean_s - epochs.p50_s) if epochs else 0.0


def _share(profile: Profile, *phases: str) -> float | None:
    steady = steady_of(profile)
    if steady is None or any(profile.ledger.phases.get(phase) is None for phase in phases):
        return None
    return sum(steady.phases.get(phase, 0.0) for phase in phases) / (steady.epoch_s * steady.epochs)


@fact
def steady(profile: Profile) -> Steady | None:
    return steady_of(profile)


@fact
def input_share(profile: Profile) -> float | None:
    """Share of steady training spent waiting for batches, 0 to 1."""
    return _share(profile, "input_wait")


@fact
def wait_s(profile: Profile) -> float | None:
    """Mean wait of a steady step for its batch, seconds."""
    steady = steady_of(profile)
    return steady.per_step("input_wait") if steady and profile.steps.wait_s is not None else None


@fact
def step_s(profile: Profile) -> float | None:
    """Mean time of a steady step, seconds: its share of everything that recurs with each step."""
    steady = steady_of(profile)
    if steady is None:
        return None
    return sum(steady.per_step(phase) for phase in (*COMPUTING, "input_wait", "gc", "trainspeed")) + _batch_hooks_s(
        profile
    ) / max(1, profile.steps.count)


def _batch_hooks_s(profile: Profile) -> float:
    return sum(row.total_s for row in profile.hooks if row.hook in BATCH_HOOKS)


@fact
def dispatch_share(profile: Profile) -> float | None:
    """Share of the step that is the host's dispatch, 0 to 1."""
    steady, dispatch = steady_of(profile), profile.steps.dispatch_s
    if steady is None or dispatch is None:
        return None
    step = _computing_s(steady) + steady.per_step("input_wait")
    return min(1.0, dispatch / step) if step else None


@fact
def dispatch_s(profile: Profile) -> float | None:
    return profile.steps.dispatch_s


@fact
def compute_s(profile: Profile) -> float | None:
    """Mean time inside the train function less the wait for the batch, seconds."""
    steady = steady_of(profile)
    return _computing_s(steady) if steady else None


def _computing_s(steady: Steady) -> float:
    return sum(map(steady.per_step, COMPUTING))


@fact
def busy_cores(profile: Profile) -> float | None:
    """Cores this process keeps busy during the steps."""
    step = step_s(profile)
    return profile.steps.cpu_s / step if step and profile.steps.cpu_s is not None else None


def takes_turns(profile: Profile) -> bool:
    """Torch on the CPU computes in the thread that asks for the next batch; workers make batches meanwhile."""
    devices = profile.environment.devices
    workers = profile.data.workers or 0
    alone = workers == 0 or (workers == 1 and profile.data.adapter == "PyDatasetAdapter")  # where 1 means none
    return profile.environment.backend == "torch" and all(device.kind == "CPU" for device in devices) and alone


@fact
def idle_cores(profile: Profile) -> float | None:
    """Cores that could make batches: what the steps leave, or what making a batch leaves where the two take turns.

    Torch's threads spin while they wait for work, so what they use between two steps is no work.
    """
    cores, made = profile.environment.cores, profile.data.source
    busy: float | None = busy_cores(profile)
    if cores is None or busy is None:
        return None
    if takes_turns(profile):
        busy = min(busy, made.cpu_s / made.wall_s) if made and made.wall_s else min(busy, 1.0)
    return max(0.0, cores - busy)


@fact
def backend(profile: Profile) -> str | None:
    return profile.environment.backend or None


@fact
def cores(profile: Profile) -> float | None:
    return profile.environment.cores


@fact
def adapter(profile: Profile) -> str | None:
    return profile.data.adapter or None


@fact
def data_kind(profile: Profile) -> str:
    return profile.data.kind


@fact
def workers(profile: Profile) -> int:
    return profile.data.workers or 1


@fact
def multiprocessing(profile: Profile) -> bool:
    return bool(profile.data.use_multiprocessing)


@fact
def source(profile: Profile) -> Source | None:
    return profile.data.source


@fact
def hot_spots(profile: Profile) -> tuple[HotSpot, ...] | None:
    """Where the code that makes batches spends its time. Calls of a few milliseconds are seldom seen at work."""
    return profile.data.source.hot_spots or None if profile.data.source else None


@fact
def stages(profile: Profile) -> tuple[Stage, ...]:
    return profile.data.stages


@fact
def data(profile: Profile) -> Data:
    """How the training data reaches the step. What of it may be missing is a fact of its own."""
    return profile.data


@fact
def inputs(profile: Profile) -> str | None:
    """Dtypes and shapes as the user hands them over, such as `float32(32, 10), int64(32,)`."""
    return profile.data.inputs


@fact
def files(profile: Profile) -> Files | None:
    return profile.data.files


@fact
def batch_bytes(profile: Profile) -> int | None:
    return profile.data.batch_bytes


@fact
def batches_per_epoch(profile: Profile) -> int | None:
    return profile.data.batches_per_epoch


@fact
def restart_s(profile: Profile) -> float | None:
    """Boundary between two epochs, seconds, without the pauses that a few of them have."""
    steady = steady_of(profile)
    if steady is None:
        return None
    return max(0.0, steady.phases.get("epoch_restart", 0.0) / steady.epochs - pauses_of(profile.epochs.restart))


@fact
def restarts(profile: Profile) -> Quantiles | None:
    """The boundaries of the steady epochs."""
    return profile.epochs.restart


@fact
def startup_s(profile: Profile) -> float | None:
    return profile.ledger.phases.get("startup")


@fact
def wall_s(profile: Profile) -> float:
    return profile.ledger.wall_s


@fact
def accelerators(profile: Profile) -> tuple[str, ...] | None:
    """The kinds of the devices that are no CPU; empty on a machine without."""
    devices = profile.environment.devices
    return tuple(device.kind for device in devices if device.kind != "CPU") if devices else None


@fact
def layers(profile: Profile) -> tuple[Layer, ...]:
    return profile.model.layers


@fact
def layer_times(profile: Profile) -> tuple[LayerTime, ...] | None:
    """What each layer takes of a step, by deep samples."""
    return profile.breakdown.layers or None if profile.breakdown else None


@fact
def loss(profile: Profile) -> str | None:
    return profile.model.loss


@fact
def batch_size(profile: Profile) -> int | None:
    return profile.data.batch_size


@fact
def epoch_bytes(profile: Profile) -> int | None:
    """Bytes of one epoch of batches as they reach the step."""
    data = profile.data
    if data.batch_bytes is None or data.batches_per_epoch is None:
        return None
    return data.batch_bytes * data.batches_per_epoch


@fact
def memory_available_bytes(profile: Profile) -> int | None:
    return profile.environment.memory_available_bytes


@fact
def epochs_planned(profile: Profile) -> int:
    return profile.epochs_planned or 1


@fact
def run_eagerly(profile: Profile) -> bool | None:
    return profile.model.run_eagerly


@fact
def functions_run_eagerly(profile: Profile) -> bool:
    return bool(profile.model.functions_run_eagerly)


@fact
def jit_compile(profile: Profile) -> bool | None:
    return profile.model.jit_compile


@fact
def steps_per_execution(profile: Profile) -> int | None:
    return profile.model.steps_per_execution


@fact
def hooks(profile: Profile) -> tuple[Hook, ...]:
    return profile.hooks


@fact
def nested_calls(profile: Profile) -> tuple[NestedCall, ...]:
    return profile.nested_calls


@fact
def callbacks(profile: Profile) -> tuple[CallbackFacts, ...]:
    return profile.callbacks


@fact
def steps(profile: Profile) -> int:
    return profile.steps.count


@fact
def epochs(profile: Profile) -> int:
    return max(1, profile.ledger.epochs)


@fact
def checkpoint_share(profile: Profile) -> float | None:
    return _share(profile, "checkpointing")


@fact
def validation_share(profile: Profile) -> float | None:
    return _share(profile, "validation")


@fact
def sample_flops(profile: Profile) -> float | None:
    """Floating-point operations of one sample, forward and backward, from the shapes of the layers.

    Two for every weight at every position of the output, and twice that again for the backward pass: the count of
    Kaplan et al., "Scaling Laws for Neural Language Models", 2020, section 2.1. Recurrent layers are counted for one
    position.
    """
    if not profile.model.layers:
        return None
    total = 0.0
    for layer in profile.model.layers:
        dimensions = [int(size) for size in re.findall(r"\d+", layer.output_shape or "")]
        positions = math.prod(dimensions[:-1]) if layer.kind.startswith(("Conv", "Depthwise", "Separable")) else 1
        total += 6.0 * layer.parameters * positions
    return total


@fact
def step_flops(profile: Profile) -> float | None:
    """Floating-point operations of one step, forward and backward; `None` unless all layers were counted.

    The backward pass is counted as twice the forward pass: Kaplan et al., "Scaling Laws for Neural Language Models",
    2020, section 2.1.
    """
    counts = [layer.forward_flops for layer in profile.model.layers if layer.parameters]
    known = [count for count in counts if count is not None]
    if not known or len(known) < len(counts) or not profile.data.batch_size:
        return None
    return 3.0 * sum(known) * profile.data.batch_size


@fact
def compilation(profile: Profile) -> Compilation:
    return profile.compilation


@fact
def compilation_s(profile: Profile) -> float | None:
    return profile.ledger.phases.get("compilation")


@fact
def fit_index(profile: Profile) -> int | None:
    """Which fit of its model it is."""
    return profile.model_fit_index


@fact
def settings(profile: Profile) -> Mapping[str, str] | None:
    """The switches of the frameworks, as users set them."""
    return profile.environment.settings or None


@fact
def versions(profile: Profile) -> Mapping[str, str] | None:
    return profile.environment.versions or None


@fact
def custom_train_step(profile: Profile) -> bool:
    return bool(profile.model.custom_train_step)


@fact
def validation(profile: Profile) -> Validation:
    """How validation was set up and what it did; of a fit without, it has no runs."""
    return profile.validation or Validation()


@fact
def timeline(profile: Profile) -> Timeline:
    return profile.timeline


@fact
def distribution(profile: Profile) -> str:
    """The class of the distribution strategy; empty without one."""
    return profile.environment.distribution or ""


@fact
def replicas(profile: Profile) -> int | None:
    return profile.environment.replicas


@fact
def machine_devices(profile: Profile) -> tuple[Device, ...]:
    """The accelerators in the machine."""
    return profile.environment.machine_devices


@fact
def used_accelerators(profile: Profile) -> tuple[Accelerator, ...] | None:
    """What was measured of the accelerators over the fit."""
    return profile.resources.accelerators or None


@fact
def device_memory_share(profile: Profile) -> float | None:
    """Peak over limit of the memory of the fullest device, 0 to 1."""
    shares = [
        memory.peak_bytes / memory.limit_bytes
        for memory in profile.resources.device_memory
        if memory.peak_bytes and memory.limit_bytes
    ]
    return max(shares, default=None)


@fact
def trainable_parameters(profile: Profile) -> int | None:
    return profile.model.trainable_parameters


@fact
def collectives_share(profile: Profile) -> float | None:
    return _share(profile, "collectives")
