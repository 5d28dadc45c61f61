"""Where the time of a fit went: its phases, its steps and their parts, validation, hooks, compilations."""

import dataclasses
from collections.abc import Mapping

#: The exclusive phases of the ledger, in the order in which they are shown. They add up to the wall time of the fit.
PHASES = (
    "startup",
    "compilation",
    "input_wait",
    "transfer",
    "compute",
    "optimizer",
    "collectives",
    "host_overhead",
    "callbacks",
    "checkpointing",
    "validation",
    "epoch_restart",
    "gc",
    "trainspeed",
    "other",
)

#: Phases that a run pays for once; all others recur with every epoch and make up steady training.
ONE_OFF_PHASES = ("startup", "compilation")


@dataclasses.dataclass(frozen=True)
class Quantiles:
    """Quantiles of a duration, from a sketch with a relative error of at most 1 %."""

    count: int
    mean_s: float
    p05_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float


@dataclasses.dataclass(frozen=True)
class Ledger:
    """Exclusive phases that add up to `wall_s`. A phase that could not be told apart is `None`."""

    wall_s: float = 0.0
    steps: int = 0
    epochs: int = 0
    phases: Mapping[str, float | None] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Epochs:
    """How much the steady epochs differ: what each of them spent between its last step and the next epoch, and in gc.

    The mean is what the ledger holds. `release` is the part of the first that it takes to let the iterators of the last
    epoch and of a validation go: all from the end of the validation on, and on TensorFlow all from the begin of an
    epoch on to its first step. Nothing else happens there.
    """

    restart: Quantiles | None = None
    gc: Quantiles | None = None
    release: Quantiles | None = None


@dataclasses.dataclass(frozen=True)
class Steps:
    """The training steps. One step is one optimizer update.

    `step` is begin to begin, callbacks included, of the steps after the first epoch once there are such; `call` is the
    time inside the train function without the fetch of the batch. Means per step: `gap` is what Keras does between two
    calls outside callbacks; `wait` was measured on `sampled` of the steps; `dispatch` is the host's part of a step,
    which is `gap`, the fetch of a batch that is ready, and the CPU time of the main thread inside the call, but no more
    than an accelerator that runs behind the host waits for it, and `least_dispatch` its 5 % quantile; `cpu` is the CPU
    time of the whole process. `last` are the last steps of epochs that end with their data, as large as the others:
    what `call` is, or what an asynchronous device was at it, while nobody makes batches any more.
    """

    count: int = 0
    samples: int | None = None
    step: Quantiles | None = None
    call: Quantiles | None = None
    gap_s: float | None = None
    sampled: int = 0
    wait_s: float | None = None
    dispatch_s: float | None = None
    compute_s: float | None = None
    cpu_s: float | None = None
    least_dispatch_s: float | None = None
    last: Quantiles | None = None


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of one step, seconds a step: the mean over the deep samples, and the least and the most of them."""

    name: str
    mean_s: float
    low_s: float
    high_s: float


@dataclasses.dataclass(frozen=True)
class LayerTime:
    """What one layer takes of one step, by the deep samples. `name` is the path of the layer within its model."""

    name: str
    forward_s: float
    backward_s: float


@dataclasses.dataclass(frozen=True)
class StageTime:
    """What one stage of a tf.data pipeline did for one step while deep samples were taken.

    `busy_s` is the time spent in the stage itself, summed over its threads; `calls` how often it was asked.
    """

    name: str
    busy_s: float
    calls: float
    parallelism: int | None = None
    buffer_fill: float | None = None


@dataclasses.dataclass(frozen=True)
class Breakdown:
    """One step in parts, by deep samples of a few steps each.

    The parts are exclusive and add up to the time inside the train function. Their names: `forward`, `backward`,
    `metrics`, `optimizer`, `transfer`, `collectives`, `input_wait` (inside the train function), `host_overhead` (no
    operation runs) and `unknown` (operations that could not be told). `python_s` is what operations that run Python or
    print on the host take of a step, by their kind: `PyFunc`, `EagerPyFunc`, `PrintV2`, `pure_callback`.
    """

    samples: int = 0
    steps: int = 0
    parts: tuple[Part, ...] = ()
    layers: tuple[LayerTime, ...] = ()
    stages: tuple[StageTime, ...] = ()
    python_s: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Validation:
    """How validation inside `fit` was set up and what it did. `step_s` is the median of its steps.

    `batch_size` is that of arrays, of which Keras makes the batches; of other data it is not known.
    """

    runs: int = 0
    steps: int = 0
    step_s: float | None = None
    batch_size: int | None = None
    frequency: int | None = None
    max_steps: int | None = None


@dataclasses.dataclass(frozen=True)
class Hook:
    """Time spent in one hook of one callback. `phase` is the phase of the ledger that holds it."""

    callback: str
    hook: str
    phase: str
    calls: int
    total_s: float
    max_s: float


@dataclasses.dataclass(frozen=True)
class NestedCall:
    """`predict`, `evaluate` or `get_weights` called on the model inside a hook of a callback."""

    callback: str
    hook: str
    function: str
    calls: int
    total_s: float


@dataclasses.dataclass(frozen=True)
class CompilationEvent:
    """A call of the train function that traced or compiled once more, after `step` steps.

    `duration_s` is that of the whole call. `batch` is the batch it was called with, `reason` why, by the backend.
    """

    step: int
    at_s: float
    duration_s: float
    batch: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Compilation:
    """Tracing and compiling.

    `count` and `retraces` are of the train function; `retraces` counts those after the first step, of which `events`
    lists the first. `compiler_s` is what the backend's compiler says it took for everything compiled during the fit,
    by stage: `trace`, `lower` and `compile` on JAX, `dynamo` and `backend` on torch. `functions_s` are the functions
    that took most of it. `graph_breaks` is torch's. `remade` is how often, since the first fit of this model in this
    process, its train function had to be made anew, as `compile` makes it. `alike` is how many other models of the same
    layers and shapes were fitted before, from the same script or cell of a notebook.
    """

    count: int | None = None
    retraces: int | None = None
    first_step_s: float | None = None
    total_s: float = 0.0
    events: tuple[CompilationEvent, ...] = ()
    compiler_s: Mapping[str, float] = dataclasses.field(default_factory=dict)
    functions_s: Mapping[str, float] = dataclasses.field(default_factory=dict)
    graph_breaks: int | None = None
    remade: int | None = None
    alike: int | None = None
