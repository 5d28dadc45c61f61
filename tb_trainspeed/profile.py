"""The waist: what was measured of one `fit`, as plain values.

Everything left of this module measures a live process; everything right of it is a pure function of a `Profile`. Hence
facts only: no severity, no advice, no threshold. Units are in the field names, and a field that could not be measured
is `None`, never 0. Standard library only.
"""

import dataclasses
from collections.abc import Mapping

SCHEMA = 1

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
class Device:
    """One device. `capability` is the CUDA compute capability, such as `8.0`."""

    kind: str
    name: str
    memory_bytes: int | None = None
    capability: str | None = None


@dataclasses.dataclass(frozen=True)
class Environment:
    """Where the fit runs.

    `cores` is what this process may use, affinity and cgroup quota, so it can be a fraction; `machine_cores` what the
    machine has. `memory_bytes` is the memory of the machine, or the cgroup's limit where that is less. `devices` are
    those the backend uses, `machine_devices` the accelerators in the machine, whether or not the backend sees them.
    `cpu_features` are those instruction sets that bear on training.

    `settings` are the switches of the frameworks that bear on speed, under the names with which users set them:
    `tf.debugging.enable_check_numerics`, `TF_ENABLE_ONEDNN_OPTS`, `torch.get_num_threads`. A switch of the backend in
    use is always there, an environment variable only where it is set. `distribution` is the class of the distribution
    strategy, `None` without one, over `replicas` replicas.
    """

    backend: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    platform: str = ""
    cores: float | None = None
    memory_bytes: int | None = None
    memory_available_bytes: int | None = None
    devices: tuple[Device, ...] = ()
    machine_cores: int | None = None
    machine_devices: tuple[Device, ...] = ()
    cpu: str | None = None
    cpu_features: tuple[str, ...] = ()
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    distribution: str | None = None
    replicas: int | None = None


@dataclasses.dataclass(frozen=True)
class Layer:
    """Static facts of one layer, or of one nested model without what is in it, which has rows of its own.

    `path` is the names from the model down to the layer, joined by `/`. `calls` is how often the model calls it, which
    is more than once where it is shared. `forward_flops` are the floating-point operations of all these calls for one
    sample, forward only, `None` where the kind or a shape is not known. `options` are its arguments that bear on speed,
    without those that have their default. `operations` is how many operations the step as traced (on JAX as compiled)
    holds for it, forward and backward, without those of layers in it that have rows of their own; `copies` how many of
    one kind, forward, of the kind that computes and that it holds most of.
    """

    name: str
    kind: str
    parameters: int
    trainable_parameters: int
    output_shape: str | None = None
    dtype: str | None = None
    path: str = ""
    trainable: bool | None = None
    calls: int | None = None
    forward_flops: int | None = None
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    operations: int | None = None
    copies: int | None = None


@dataclasses.dataclass(frozen=True)
class CodeLine:
    """A line of the user's own code that runs in every step or is traced into it, as its source reads.

    `kind` is what it does: `read` brings a value back to the host, `print` prints, `python` calls Python from a
    compiled step, `loop` repeats code for numbers or slices. `calls` is what it calls for that, as written:
    `tf.print`, `item`, `range`. `function` is the function it is in, such as `Net.train_step`.
    """

    kind: str
    calls: str
    function: str
    file: str
    line: int
    text: str = ""


@dataclasses.dataclass(frozen=True)
class Model:
    """Static facts of the compiled model.

    `optimizer` is the class of the optimizer, without the one that scales the loss around it, whose class is among
    `optimizer_options`. `trainable_variables` and `optimizer_variables` count variables, `optimizer_parameters` the
    numbers in the latter. `metrics` are classes. `layers_left_out` counts layers beyond those listed. `code` are lines
    of `code_functions` functions of the user's own whose source was read. `operations` is how many operations the
    traced step holds in all.
    """

    name: str = ""
    kind: str = ""
    parameters: int | None = None
    trainable_parameters: int | None = None
    layers: tuple[Layer, ...] = ()
    optimizer: str | None = None
    optimizer_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    loss: str | None = None
    dtype_policy: str | None = None
    run_eagerly: bool | None = None
    functions_run_eagerly: bool | None = None
    jit_compile: bool | None = None
    steps_per_execution: int | None = None
    metrics: tuple[str, ...] = ()
    trainable_variables: int | None = None
    optimizer_variables: int | None = None
    optimizer_parameters: int | None = None
    custom_train_step: bool | None = None
    layers_left_out: int = 0
    code: tuple[CodeLine, ...] = ()
    code_functions: int | None = None
    operations: int | None = None


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage of a tf.data pipeline, listed from the source to the training step.

    `count` is what `skip`, `take` and `repeat` were given, `elements` what one pass over the stage yields, where its
    graph tells.
    """

    kind: str
    parallelism: int | None = None
    deterministic: bool | None = None
    buffer: int | None = None
    batch_size: int | None = None
    function: str | None = None
    operations: tuple[str, ...] = ()
    stateful_operations: tuple[str, ...] = ()
    elements_per_batch: float | None = None
    output: str | None = None
    output_bytes: int | None = None
    count: int | None = None
    elements: int | None = None


@dataclasses.dataclass(frozen=True)
class HotSpot:
    """A share of the time spent in the Python code that makes batches, found by sampling its stack.

    `function` and `line` are of the user's own code; `callee` is the library function below it, where there is one.
    """

    function: str
    file: str
    line: int
    callee: str
    library: str
    share: float


@dataclasses.dataclass(frozen=True)
class Source:
    """The Python code that makes batches: `PyDataset.__getitem__`, a generator's or a `DataLoader`'s `next`.

    Times are sums over all calls, in all threads that make batches. `gil_share` is the share of samples that found
    Python's global interpreter lock held.
    """

    name: str
    calls: int
    wall_s: float
    cpu_s: float
    hot_spots: tuple[HotSpot, ...] = ()
    gil_share: float | None = None


@dataclasses.dataclass(frozen=True)
class Files:
    """A few of the files, or encoded images in memory, that the data are made of; `None` where they differ in kind."""

    sampled: int = 0
    file_system: str | None = None
    mean_bytes: int | None = None
    image_format: str | None = None
    image_height: int | None = None
    image_width: int | None = None


@dataclasses.dataclass(frozen=True)
class Data:
    """How the training data reaches the step.

    `inputs` are dtypes and shapes as the user hands them over, before Keras converts them, `inputs_bytes` the size of
    arrays that were given whole. Of the first rows: `padding_share` is the share of zeros at the ends of rows of
    integers, `one_hot_classes` how wide targets are that are one-hot, `holds_bytes` whether floating-point images hold
    whole numbers from 0 to 255, or such divided by 255.
    """

    adapter: str = ""
    kind: str = ""
    batch_size: int | None = None
    batch_bytes: int | None = None
    batch: str | None = None
    batches_per_epoch: int | None = None
    workers: int | None = None
    use_multiprocessing: bool | None = None
    max_queue_size: int | None = None
    source: Source | None = None
    stages: tuple[Stage, ...] = ()
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    steps_per_epoch: int | None = None
    persistent_workers: bool | None = None
    pin_memory: bool | None = None
    inputs: str | None = None
    inputs_bytes: int | None = None
    padding_share: float | None = None
    one_hot_classes: int | None = None
    holds_bytes: bool | None = None
    files: Files | None = None


@dataclasses.dataclass(frozen=True)
class Validation:
    """How validation inside `fit` was set up and what it did. `step_s` is the median of its steps."""

    runs: int = 0
    steps: int = 0
    step_s: float | None = None
    batch_size: int | None = None
    frequency: int | None = None
    max_steps: int | None = None


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
class Steps:
    """The training steps. One step is one optimizer update.

    `step` is begin to begin, callbacks included, of the steps after the first epoch once there are such; `call` is the
    time inside the train function without the fetch of the batch. Means per step: `gap` is what Keras does between two
    calls outside callbacks; `wait` was measured on `sampled` of the steps; `dispatch` is the host's part of a step,
    which is `gap`, the fetch of a batch that is ready, and the CPU time of the main thread inside the call; `cpu` is
    the CPU time of the whole process.
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
class Ledger:
    """Exclusive phases that add up to `wall_s`. A phase that could not be told apart is `None`."""

    wall_s: float = 0.0
    steps: int = 0
    epochs: int = 0
    phases: Mapping[str, float | None] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Epochs:
    """How much the steady epochs differ: what each of them spent between its last step and the next epoch, and in gc.

    The mean is what the ledger holds. TensorFlow joins a thread at the end of an iterator that now and then sleeps on,
    so that a few epochs may have nearly all of the sum.
    """

    restart: Quantiles | None = None
    gc: Quantiles | None = None


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
class CallbackFacts:
    """A callback of the fit and those of its options that bear on speed."""

    name: str
    kind: str
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)


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
    process, its train function had to be made anew, as `compile` makes it.
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


@dataclasses.dataclass(frozen=True)
class Timeline:
    """The run in a fixed number of buckets of equally many steps, which merge pairwise as the run grows.

    All columns have one entry a bucket. `start_s` is seconds since the start of the fit, `phases[name]` seconds spent
    in that phase in the bucket (`None` where not measured), `slowest_step_s` its slowest step.
    """

    steps_per_bucket: int = 1
    first_step: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()
    start_s: tuple[float, ...] = ()
    wall_s: tuple[float, ...] = ()
    slowest_step_s: tuple[float, ...] = ()
    phases: Mapping[str, tuple[float | None, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Marker:
    """Something that happened once: an epoch, a validation, a checkpoint, a compilation, a gc pause."""

    kind: str
    step: int
    at_s: float
    duration_s: float
    label: str = ""


@dataclasses.dataclass(frozen=True)
class Usage:
    """What was used over the run, sampled about once a second, in equally long buckets that merge pairwise as it grows.

    Bucket `i` is of the seconds from `i * bucket_s` to `(i + 1) * bucket_s` since the start of the fit. Every column
    has one entry a bucket, `None` where there was no sample. Means over the bucket, or its most for `rss_bytes`,
    `swap_bytes` and `memory_bytes`, its least for `memory_available_bytes`.

    Columns of the machine: `process_cores` (cores that this process keeps busy), `worker_cores` (its child processes),
    `machine_cores` (all processes), `iowait_cores`, `steal_cores`, `throttled` (share of the time that a cgroup quota
    held it up), `rss_bytes`, `memory_available_bytes`, `memory_pressure` (share of the time that some task waited for
    memory), `swap_bytes`, `swapped_bytes_per_s`, and of the machine `disk_read_bytes_per_s`,
    `disk_write_bytes_per_s`, `network_in_bytes_per_s`, `network_out_bytes_per_s`.

    Columns of an accelerator: `utilization` (share of the time that a kernel ran), `memory_utilization` (that its
    memory was read or written), `memory_bytes`, `power_w`, `clock_hz`, `temperature_c`.
    """

    bucket_s: float = 1.0
    columns: Mapping[str, tuple[float | None, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Accelerator:
    """One accelerator of the machine over the fit.

    `throttled` is the share of the samples in which its clock was held down, by reason: `power_cap`, `hardware`,
    `hardware_thermal`, `hardware_power`, `software_thermal`. `other_processes` is the most processes that computed on
    it beside ours, `None` where ours was not seen there.
    """

    index: int
    name: str
    memory_bytes: int | None = None
    power_limit_w: float | None = None
    clock_limit_hz: float | None = None
    throttled: Mapping[str, float] = dataclasses.field(default_factory=dict)
    other_processes: int | None = None
    usage: Usage = Usage()


@dataclasses.dataclass(frozen=True)
class DeviceMemory:
    """What the backend's own allocator says of a device; the peak is that of the process."""

    device: str
    in_use_bytes: int | None = None
    peak_bytes: int | None = None
    limit_bytes: int | None = None


@dataclasses.dataclass(frozen=True)
class Resources:
    """What the process and the machine used over the fit.

    `live_models` is how many models that were trained under this callback are still in memory, this one included.
    """

    process_cpu_s: float | None = None
    machine_cpu_s: float | None = None
    memory_peak_bytes: int | None = None
    gc_collections: int | None = None
    usage: Usage = Usage()
    accelerators: tuple[Accelerator, ...] = ()
    device_memory: tuple[DeviceMemory, ...] = ()
    live_models: int | None = None


@dataclasses.dataclass(frozen=True)
class Cost:
    """What TrainSpeed itself cost.

    `foreground_s` is the phase `trainspeed`; `background_s` the CPU time of its threads; `sampling_s` what synced and
    deep samples made training longer, starting and stopping a profiler included.
    """

    max_overhead: float = 0.0
    foreground_s: float = 0.0
    background_s: float = 0.0
    sampling_s: float = 0.0


@dataclasses.dataclass(frozen=True)
class Curve:
    """What one of the logs of the epochs, such as `loss`, did over the fit. Epochs count from 0.

    `previous` and `last` are of the last two epochs. `not_finite_epoch` is the first in which it was NaN or infinite;
    the other values are of those in which it was a number.
    """

    name: str
    epochs: int = 0
    first: float | None = None
    previous: float | None = None
    last: float | None = None
    lowest: float | None = None
    lowest_epoch: int | None = None
    highest: float | None = None
    highest_epoch: int | None = None
    not_finite_epoch: int | None = None


@dataclasses.dataclass(frozen=True)
class Profile:
    """Everything measured of one call of `fit` in one process.

    `fit_index` counts the fits of this callback, `model_fit_index` those of this model that were measured, from 1.
    `worker` numbers the processes of a distributed fit, from 0.
    """

    schema: int = SCHEMA
    fit_id: str = ""
    fit_index: int = 1
    worker: int = 0
    status: str = "running"
    started_at_s: float = 0.0
    updated_at_s: float = 0.0
    start_seen: str = "callbacks"
    epochs_planned: int | None = None
    model_fit_index: int | None = None
    environment: Environment = Environment()
    model: Model = Model()
    data: Data = Data()
    validation: Validation | None = None
    ledger: Ledger = Ledger()
    steady: Ledger | None = None
    epochs: Epochs = Epochs()
    steps: Steps = Steps()
    breakdown: Breakdown | None = None
    hooks: tuple[Hook, ...] = ()
    callbacks: tuple[CallbackFacts, ...] = ()
    nested_calls: tuple[NestedCall, ...] = ()
    compilation: Compilation = Compilation()
    timeline: Timeline = Timeline()
    markers: tuple[Marker, ...] = ()
    resources: Resources = Resources()
    cost: Cost = Cost()
    curves: tuple[Curve, ...] = ()
    not_measured: Mapping[str, str] = dataclasses.field(default_factory=dict)
