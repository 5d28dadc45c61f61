"""What a fit is made of: the machine and its switches, the model, the data, the callbacks."""

import dataclasses
from collections.abc import Mapping

#: How the name of a GPU ends that is in the machine, while the container was started without it.
NOT_GIVEN = "(not given to this container)"


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
    `given_the_same` says whether, by its source, that is given the same in every call.
    """

    function: str
    file: str
    line: int
    callee: str
    library: str
    share: float
    given_the_same: bool | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """The Python code that makes batches: `PyDataset.__getitem__`, a generator's or a `DataLoader`'s `next`.

    Times are sums over the calls of all epochs after the first, of the first while there is no other, in all threads
    that make batches. `gil_share` is the share of samples that found Python's global interpreter lock held.
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
    whole numbers from 0 to 255, or such divided by 255. `receive_s` are the seconds of CPU time that this process needs
    to receive one batch from the process that made it. `generator` is the Python generator that a tf.data pipeline
    begins with, without what tf.data adds; its calls make one element each, and those timed are a part. `options` are
    those of a tf.data pipeline; of arrays `shuffle`, `sample_weight` and `validation_split` where `fit` was given them,
    of floating-point images without negative numbers the `largest_pixel`, of a generator whether it `passes` over the
    same again and again, of a dataset which functions draw `random` numbers from one generator, which of them
    `opens_nothing`, and whether `samples` are `iterated` over; and what the model and the data are `called_model`,
    `called_x` and `called_y` where `fit` is called.
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
    receive_s: float | None = None
    generator: Source | None = None


@dataclasses.dataclass(frozen=True)
class CallbackFacts:
    """A callback of the fit and those of its options that bear on speed."""

    name: str
    kind: str
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
