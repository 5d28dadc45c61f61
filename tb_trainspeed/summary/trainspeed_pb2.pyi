from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Number(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: float
    def __init__(self, value: _Optional[float] = ...) -> None: ...

class Column(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("kind", "name", "memory_bytes", "capability")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    CAPABILITY_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    memory_bytes: int
    capability: str
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ..., memory_bytes: _Optional[int] = ..., capability: _Optional[str] = ...) -> None: ...

class Environment(_message.Message):
    __slots__ = ("backend", "versions", "platform", "cores", "memory_bytes", "memory_available_bytes", "devices", "machine_cores", "machine_devices", "cpu", "cpu_features", "settings", "distribution", "replicas")
    class VersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class SettingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    CORES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_AVAILABLE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    MACHINE_CORES_FIELD_NUMBER: _ClassVar[int]
    MACHINE_DEVICES_FIELD_NUMBER: _ClassVar[int]
    CPU_FIELD_NUMBER: _ClassVar[int]
    CPU_FEATURES_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    backend: str
    versions: _containers.ScalarMap[str, str]
    platform: str
    cores: float
    memory_bytes: int
    memory_available_bytes: int
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    machine_cores: int
    machine_devices: _containers.RepeatedCompositeFieldContainer[Device]
    cpu: str
    cpu_features: _containers.RepeatedScalarFieldContainer[str]
    settings: _containers.ScalarMap[str, str]
    distribution: str
    replicas: int
    def __init__(self, backend: _Optional[str] = ..., versions: _Optional[_Mapping[str, str]] = ..., platform: _Optional[str] = ..., cores: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., memory_available_bytes: _Optional[int] = ..., devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., machine_cores: _Optional[int] = ..., machine_devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., cpu: _Optional[str] = ..., cpu_features: _Optional[_Iterable[str]] = ..., settings: _Optional[_Mapping[str, str]] = ..., distribution: _Optional[str] = ..., replicas: _Optional[int] = ...) -> None: ...

class Layer(_message.Message):
    __slots__ = ("name", "kind", "parameters", "trainable_parameters", "output_shape", "dtype", "path", "trainable", "calls", "forward_flops", "options", "operations", "copies")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    TRAINABLE_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SHAPE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    TRAINABLE_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    FORWARD_FLOPS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    parameters: int
    trainable_parameters: int
    output_shape: str
    dtype: str
    path: str
    trainable: bool
    calls: int
    forward_flops: int
    options: _containers.ScalarMap[str, str]
    operations: int
    copies: int
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., parameters: _Optional[int] = ..., trainable_parameters: _Optional[int] = ..., output_shape: _Optional[str] = ..., dtype: _Optional[str] = ..., path: _Optional[str] = ..., trainable: bool = ..., calls: _Optional[int] = ..., forward_flops: _Optional[int] = ..., options: _Optional[_Mapping[str, str]] = ..., operations: _Optional[int] = ..., copies: _Optional[int] = ...) -> None: ...

class CodeLine(_message.Message):
    __slots__ = ("kind", "calls", "function", "file", "line", "text")
    KIND_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    calls: str
    function: str
    file: str
    line: int
    text: str
    def __init__(self, kind: _Optional[str] = ..., calls: _Optional[str] = ..., function: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "kind", "parameters", "trainable_parameters", "layers", "optimizer", "optimizer_options", "loss", "dtype_policy", "run_eagerly", "functions_run_eagerly", "jit_compile", "steps_per_execution", "metrics", "trainable_variables", "optimizer_variables", "optimizer_parameters", "custom_train_step", "layers_left_out", "code", "operations", "code_functions")
    class OptimizerOptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    TRAINABLE_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZER_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZER_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    DTYPE_POLICY_FIELD_NUMBER: _ClassVar[int]
    RUN_EAGERLY_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_RUN_EAGERLY_FIELD_NUMBER: _ClassVar[int]
    JIT_COMPILE_FIELD_NUMBER: _ClassVar[int]
    STEPS_PER_EXECUTION_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    TRAINABLE_VARIABLES_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZER_VARIABLES_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZER_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_TRAIN_STEP_FIELD_NUMBER: _ClassVar[int]
    LAYERS_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    CODE_FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    parameters: int
    trainable_parameters: int
    layers: _containers.RepeatedCompositeFieldContainer[Layer]
    optimizer: str
    optimizer_options: _containers.ScalarMap[str, str]
    loss: str
    dtype_policy: str
    run_eagerly: bool
    functions_run_eagerly: bool
    jit_compile: bool
    steps_per_execution: int
    metrics: _containers.RepeatedScalarFieldContainer[str]
    trainable_variables: int
    optimizer_variables: int
    optimizer_parameters: int
    custom_train_step: bool
    layers_left_out: int
    code: _containers.RepeatedCompositeFieldContainer[CodeLine]
    operations: int
    code_functions: int
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., parameters: _Optional[int] = ..., trainable_parameters: _Optional[int] = ..., layers: _Optional[_Iterable[_Union[Layer, _Mapping]]] = ..., optimizer: _Optional[str] = ..., optimizer_options: _Optional[_Mapping[str, str]] = ..., loss: _Optional[str] = ..., dtype_policy: _Optional[str] = ..., run_eagerly: bool = ..., functions_run_eagerly: bool = ..., jit_compile: bool = ..., steps_per_execution: _Optional[int] = ..., metrics: _Optional[_Iterable[str]] = ..., trainable_variables: _Optional[int] = ..., optimizer_variables: _Optional[int] = ..., optimizer_parameters: _Optional[int] = ..., custom_train_step: bool = ..., layers_left_out: _Optional[int] = ..., code: _Optional[_Iterable[_Union[CodeLine, _Mapping]]] = ..., operations: _Optional[int] = ..., code_functions: _Optional[int] = ...) -> None: ...

class Stage(_message.Message):
    __slots__ = ("kind", "parallelism", "deterministic", "buffer", "batch_size", "function", "operations", "stateful_operations", "elements_per_batch", "output", "output_bytes", "count", "elements")
    KIND_FIELD_NUMBER: _ClassVar[int]
    PARALLELISM_FIELD_NUMBER: _ClassVar[int]
    DETERMINISTIC_FIELD_NUMBER: _ClassVar[int]
    BUFFER_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    STATEFUL_OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    ELEMENTS_PER_BATCH_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    ELEMENTS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    parallelism: int
    deterministic: bool
    buffer: int
    batch_size: int
    function: str
    operations: _containers.RepeatedScalarFieldContainer[str]
    stateful_operations: _containers.RepeatedScalarFieldContainer[str]
    elements_per_batch: float
    output: str
    output_bytes: int
    count: int
    elements: int
    def __init__(self, kind: _Optional[str] = ..., parallelism: _Optional[int] = ..., deterministic: bool = ..., buffer: _Optional[int] = ..., batch_size: _Optional[int] = ..., function: _Optional[str] = ..., operations: _Optional[_Iterable[str]] = ..., stateful_operations: _Optional[_Iterable[str]] = ..., elements_per_batch: _Optional[float] = ..., output: _Optional[str] = ..., output_bytes: _Optional[int] = ..., count: _Optional[int] = ..., elements: _Optional[int] = ...) -> None: ...

class HotSpot(_message.Message):
    __slots__ = ("function", "file", "line", "callee", "library", "share", "given_the_same")
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    CALLEE_FIELD_NUMBER: _ClassVar[int]
    LIBRARY_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    GIVEN_THE_SAME_FIELD_NUMBER: _ClassVar[int]
    function: str
    file: str
    line: int
    callee: str
    library: str
    share: float
    given_the_same: bool
    def __init__(self, function: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., callee: _Optional[str] = ..., library: _Optional[str] = ..., share: _Optional[float] = ..., given_the_same: bool = ...) -> None: ...

class Source(_message.Message):
    __slots__ = ("name", "calls", "wall_s", "cpu_s", "hot_spots", "gil_share")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    WALL_S_FIELD_NUMBER: _ClassVar[int]
    CPU_S_FIELD_NUMBER: _ClassVar[int]
    HOT_SPOTS_FIELD_NUMBER: _ClassVar[int]
    GIL_SHARE_FIELD_NUMBER: _ClassVar[int]
    name: str
    calls: int
    wall_s: float
    cpu_s: float
    hot_spots: _containers.RepeatedCompositeFieldContainer[HotSpot]
    gil_share: float
    def __init__(self, name: _Optional[str] = ..., calls: _Optional[int] = ..., wall_s: _Optional[float] = ..., cpu_s: _Optional[float] = ..., hot_spots: _Optional[_Iterable[_Union[HotSpot, _Mapping]]] = ..., gil_share: _Optional[float] = ...) -> None: ...

class Files(_message.Message):
    __slots__ = ("sampled", "file_system", "mean_bytes", "image_format", "image_height", "image_width")
    SAMPLED_FIELD_NUMBER: _ClassVar[int]
    FILE_SYSTEM_FIELD_NUMBER: _ClassVar[int]
    MEAN_BYTES_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    sampled: int
    file_system: str
    mean_bytes: int
    image_format: str
    image_height: int
    image_width: int
    def __init__(self, sampled: _Optional[int] = ..., file_system: _Optional[str] = ..., mean_bytes: _Optional[int] = ..., image_format: _Optional[str] = ..., image_height: _Optional[int] = ..., image_width: _Optional[int] = ...) -> None: ...

class Data(_message.Message):
    __slots__ = ("adapter", "kind", "batch_size", "batch_bytes", "batch", "batches_per_epoch", "workers", "use_multiprocessing", "max_queue_size", "source", "stages", "options", "steps_per_epoch", "persistent_workers", "pin_memory", "inputs", "inputs_bytes", "padding_share", "one_hot_classes", "holds_bytes", "files", "receive_s", "generator")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    BATCH_BYTES_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    BATCHES_PER_EPOCH_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    USE_MULTIPROCESSING_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUE_SIZE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    STEPS_PER_EPOCH_FIELD_NUMBER: _ClassVar[int]
    PERSISTENT_WORKERS_FIELD_NUMBER: _ClassVar[int]
    PIN_MEMORY_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_BYTES_FIELD_NUMBER: _ClassVar[int]
    PADDING_SHARE_FIELD_NUMBER: _ClassVar[int]
    ONE_HOT_CLASSES_FIELD_NUMBER: _ClassVar[int]
    HOLDS_BYTES_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_S_FIELD_NUMBER: _ClassVar[int]
    GENERATOR_FIELD_NUMBER: _ClassVar[int]
    adapter: str
    kind: str
    batch_size: int
    batch_bytes: int
    batch: str
    batches_per_epoch: int
    workers: int
    use_multiprocessing: bool
    max_queue_size: int
    source: Source
    stages: _containers.RepeatedCompositeFieldContainer[Stage]
    options: _containers.ScalarMap[str, str]
    steps_per_epoch: int
    persistent_workers: bool
    pin_memory: bool
    inputs: str
    inputs_bytes: int
    padding_share: float
    one_hot_classes: int
    holds_bytes: bool
    files: Files
    receive_s: float
    generator: Source
    def __init__(self, adapter: _Optional[str] = ..., kind: _Optional[str] = ..., batch_size: _Optional[int] = ..., batch_bytes: _Optional[int] = ..., batch: _Optional[str] = ..., batches_per_epoch: _Optional[int] = ..., workers: _Optional[int] = ..., use_multiprocessing: bool = ..., max_queue_size: _Optional[int] = ..., source: _Optional[_Union[Source, _Mapping]] = ..., stages: _Optional[_Iterable[_Union[Stage, _Mapping]]] = ..., options: _Optional[_Mapping[str, str]] = ..., steps_per_epoch: _Optional[int] = ..., persistent_workers: bool = ..., pin_memory: bool = ..., inputs: _Optional[str] = ..., inputs_bytes: _Optional[int] = ..., padding_share: _Optional[float] = ..., one_hot_classes: _Optional[int] = ..., holds_bytes: bool = ..., files: _Optional[_Union[Files, _Mapping]] = ..., receive_s: _Optional[float] = ..., generator: _Optional[_Union[Source, _Mapping]] = ...) -> None: ...

class Validation(_message.Message):
    __slots__ = ("runs", "steps", "step_s", "batch_size", "frequency", "max_steps")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    STEP_S_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    FREQUENCY_FIELD_NUMBER: _ClassVar[int]
    MAX_STEPS_FIELD_NUMBER: _ClassVar[int]
    runs: int
    steps: int
    step_s: float
    batch_size: int
    frequency: int
    max_steps: int
    def __init__(self, runs: _Optional[int] = ..., steps: _Optional[int] = ..., step_s: _Optional[float] = ..., batch_size: _Optional[int] = ..., frequency: _Optional[int] = ..., max_steps: _Optional[int] = ...) -> None: ...

class Quantiles(_message.Message):
    __slots__ = ("count", "mean_s", "p05_s", "p50_s", "p95_s", "p99_s", "max_s")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MEAN_S_FIELD_NUMBER: _ClassVar[int]
    P05_S_FIELD_NUMBER: _ClassVar[int]
    P50_S_FIELD_NUMBER: _ClassVar[int]
    P95_S_FIELD_NUMBER: _ClassVar[int]
    P99_S_FIELD_NUMBER: _ClassVar[int]
    MAX_S_FIELD_NUMBER: _ClassVar[int]
    count: int
    mean_s: float
    p05_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float
    def __init__(self, count: _Optional[int] = ..., mean_s: _Optional[float] = ..., p05_s: _Optional[float] = ..., p50_s: _Optional[float] = ..., p95_s: _Optional[float] = ..., p99_s: _Optional[float] = ..., max_s: _Optional[float] = ...) -> None: ...

class Steps(_message.Message):
    __slots__ = ("count", "samples", "step", "call", "gap_s", "sampled", "wait_s", "dispatch_s", "compute_s", "cpu_s", "least_dispatch_s", "last")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    GAP_S_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    DISPATCH_S_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_S_FIELD_NUMBER: _ClassVar[int]
    CPU_S_FIELD_NUMBER: _ClassVar[int]
    LEAST_DISPATCH_S_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    count: int
    samples: int
    step: Quantiles
    call: Quantiles
    gap_s: float
    sampled: int
    wait_s: float
    dispatch_s: float
    compute_s: float
    cpu_s: float
    least_dispatch_s: float
    last: Quantiles
    def __init__(self, count: _Optional[int] = ..., samples: _Optional[int] = ..., step: _Optional[_Union[Quantiles, _Mapping]] = ..., call: _Optional[_Union[Quantiles, _Mapping]] = ..., gap_s: _Optional[float] = ..., sampled: _Optional[int] = ..., wait_s: _Optional[float] = ..., dispatch_s: _Optional[float] = ..., compute_s: _Optional[float] = ..., cpu_s: _Optional[float] = ..., least_dispatch_s: _Optional[float] = ..., last: _Optional[_Union[Quantiles, _Mapping]] = ...) -> None: ...

class Part(_message.Message):
    __slots__ = ("name", "mean_s", "low_s", "high_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MEAN_S_FIELD_NUMBER: _ClassVar[int]
    LOW_S_FIELD_NUMBER: _ClassVar[int]
    HIGH_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    mean_s: float
    low_s: float
    high_s: float
    def __init__(self, name: _Optional[str] = ..., mean_s: _Optional[float] = ..., low_s: _Optional[float] = ..., high_s: _Optional[float] = ...) -> None: ...

class LayerTime(_message.Message):
    __slots__ = ("name", "forward_s", "backward_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FORWARD_S_FIELD_NUMBER: _ClassVar[int]
    BACKWARD_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    forward_s: float
    backward_s: float
    def __init__(self, name: _Optional[str] = ..., forward_s: _Optional[float] = ..., backward_s: _Optional[float] = ...) -> None: ...

class StageTime(_message.Message):
    __slots__ = ("name", "busy_s", "calls", "parallelism", "buffer_fill")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BUSY_S_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    PARALLELISM_FIELD_NUMBER: _ClassVar[int]
    BUFFER_FILL_FIELD_NUMBER: _ClassVar[int]
    name: str
    busy_s: float
    calls: float
    parallelism: int
    buffer_fill: float
    def __init__(self, name: _Optional[str] = ..., busy_s: _Optional[float] = ..., calls: _Optional[float] = ..., parallelism: _Optional[int] = ..., buffer_fill: _Optional[float] = ...) -> None: ...

class Breakdown(_message.Message):
    __slots__ = ("samples", "steps", "parts", "layers", "stages", "python_s")
    class PythonSEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Number
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Number, _Mapping]] = ...) -> None: ...
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    PYTHON_S_FIELD_NUMBER: _ClassVar[int]
    samples: int
    steps: int
    parts: _containers.RepeatedCompositeFieldContainer[Part]
    layers: _containers.RepeatedCompositeFieldContainer[LayerTime]
    stages: _containers.RepeatedCompositeFieldContainer[StageTime]
    python_s: _containers.MessageMap[str, Number]
    def __init__(self, samples: _Optional[int] = ..., steps: _Optional[int] = ..., parts: _Optional[_Iterable[_Union[Part, _Mapping]]] = ..., layers: _Optional[_Iterable[_Union[LayerTime, _Mapping]]] = ..., stages: _Optional[_Iterable[_Union[StageTime, _Mapping]]] = ..., python_s: _Optional[_Mapping[str, Number]] = ...) -> None: ...

class Ledger(_message.Message):
    __slots__ = ("wall_s", "steps", "epochs", "phases")
    class PhasesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Number
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Number, _Mapping]] = ...) -> None: ...
    WALL_S_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    PHASES_FIELD_NUMBER: _ClassVar[int]
    wall_s: float
    steps: int
    epochs: int
    phases: _containers.MessageMap[str, Number]
    def __init__(self, wall_s: _Optional[float] = ..., steps: _Optional[int] = ..., epochs: _Optional[int] = ..., phases: _Optional[_Mapping[str, Number]] = ...) -> None: ...

class Epochs(_message.Message):
    __slots__ = ("restart", "gc", "release")
    RESTART_FIELD_NUMBER: _ClassVar[int]
    GC_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    restart: Quantiles
    gc: Quantiles
    release: Quantiles
    def __init__(self, restart: _Optional[_Union[Quantiles, _Mapping]] = ..., gc: _Optional[_Union[Quantiles, _Mapping]] = ..., release: _Optional[_Union[Quantiles, _Mapping]] = ...) -> None: ...

class Hook(_message.Message):
    __slots__ = ("callback", "hook", "phase", "calls", "total_s", "max_s")
    CALLBACK_FIELD_NUMBER: _ClassVar[int]
    HOOK_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_S_FIELD_NUMBER: _ClassVar[int]
    MAX_S_FIELD_NUMBER: _ClassVar[int]
    callback: str
    hook: str
    phase: str
    calls: int
    total_s: float
    max_s: float
    def __init__(self, callback: _Optional[str] = ..., hook: _Optional[str] = ..., phase: _Optional[str] = ..., calls: _Optional[int] = ..., total_s: _Optional[float] = ..., max_s: _Optional[float] = ...) -> None: ...

class CallbackFacts(_message.Message):
    __slots__ = ("name", "kind", "options")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    options: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., options: _Optional[_Mapping[str, str]] = ...) -> None: ...

class NestedCall(_message.Message):
    __slots__ = ("callback", "hook", "function", "calls", "total_s")
    CALLBACK_FIELD_NUMBER: _ClassVar[int]
    HOOK_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_S_FIELD_NUMBER: _ClassVar[int]
    callback: str
    hook: str
    function: str
    calls: int
    total_s: float
    def __init__(self, callback: _Optional[str] = ..., hook: _Optional[str] = ..., function: _Optional[str] = ..., calls: _Optional[int] = ..., total_s: _Optional[float] = ...) -> None: ...

class CompilationEvent(_message.Message):
    __slots__ = ("step", "at_s", "duration_s", "batch", "reason")
    STEP_FIELD_NUMBER: _ClassVar[int]
    AT_S_FIELD_NUMBER: _ClassVar[int]
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    step: int
    at_s: float
    duration_s: float
    batch: str
    reason: str
    def __init__(self, step: _Optional[int] = ..., at_s: _Optional[float] = ..., duration_s: _Optional[float] = ..., batch: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Compilation(_message.Message):
    __slots__ = ("count", "retraces", "first_step_s", "total_s", "events", "compiler_s", "functions_s", "graph_breaks", "remade", "alike")
    class CompilerSEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Number
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Number, _Mapping]] = ...) -> None: ...
    class FunctionsSEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Number
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Number, _Mapping]] = ...) -> None: ...
    COUNT_FIELD_NUMBER: _ClassVar[int]
    RETRACES_FIELD_NUMBER: _ClassVar[int]
    FIRST_STEP_S_FIELD_NUMBER: _ClassVar[int]
    TOTAL_S_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    COMPILER_S_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_S_FIELD_NUMBER: _ClassVar[int]
    GRAPH_BREAKS_FIELD_NUMBER: _ClassVar[int]
    REMADE_FIELD_NUMBER: _ClassVar[int]
    ALIKE_FIELD_NUMBER: _ClassVar[int]
    count: int
    retraces: int
    first_step_s: float
    total_s: float
    events: _containers.RepeatedCompositeFieldContainer[CompilationEvent]
    compiler_s: _containers.MessageMap[str, Number]
    functions_s: _containers.MessageMap[str, Number]
    graph_breaks: int
    remade: int
    alike: int
    def __init__(self, count: _Optional[int] = ..., retraces: _Optional[int] = ..., first_step_s: _Optional[float] = ..., total_s: _Optional[float] = ..., events: _Optional[_Iterable[_Union[CompilationEvent, _Mapping]]] = ..., compiler_s: _Optional[_Mapping[str, Number]] = ..., functions_s: _Optional[_Mapping[str, Number]] = ..., graph_breaks: _Optional[int] = ..., remade: _Optional[int] = ..., alike: _Optional[int] = ...) -> None: ...

class Timeline(_message.Message):
    __slots__ = ("steps_per_bucket", "first_step", "steps", "start_s", "wall_s", "slowest_step_s", "phases")
    class PhasesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Column
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Column, _Mapping]] = ...) -> None: ...
    STEPS_PER_BUCKET_FIELD_NUMBER: _ClassVar[int]
    FIRST_STEP_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    START_S_FIELD_NUMBER: _ClassVar[int]
    WALL_S_FIELD_NUMBER: _ClassVar[int]
    SLOWEST_STEP_S_FIELD_NUMBER: _ClassVar[int]
    PHASES_FIELD_NUMBER: _ClassVar[int]
    steps_per_bucket: int
    first_step: _containers.RepeatedScalarFieldContainer[int]
    steps: _containers.RepeatedScalarFieldContainer[int]
    start_s: _containers.RepeatedScalarFieldContainer[float]
    wall_s: _containers.RepeatedScalarFieldContainer[float]
    slowest_step_s: _containers.RepeatedScalarFieldContainer[float]
    phases: _containers.MessageMap[str, Column]
    def __init__(self, steps_per_bucket: _Optional[int] = ..., first_step: _Optional[_Iterable[int]] = ..., steps: _Optional[_Iterable[int]] = ..., start_s: _Optional[_Iterable[float]] = ..., wall_s: _Optional[_Iterable[float]] = ..., slowest_step_s: _Optional[_Iterable[float]] = ..., phases: _Optional[_Mapping[str, Column]] = ...) -> None: ...

class Marker(_message.Message):
    __slots__ = ("kind", "step", "at_s", "duration_s", "label")
    KIND_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    AT_S_FIELD_NUMBER: _ClassVar[int]
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    kind: str
    step: int
    at_s: float
    duration_s: float
    label: str
    def __init__(self, kind: _Optional[str] = ..., step: _Optional[int] = ..., at_s: _Optional[float] = ..., duration_s: _Optional[float] = ..., label: _Optional[str] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("bucket_s", "columns")
    class ColumnsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Column
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Column, _Mapping]] = ...) -> None: ...
    BUCKET_S_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    bucket_s: float
    columns: _containers.MessageMap[str, Column]
    def __init__(self, bucket_s: _Optional[float] = ..., columns: _Optional[_Mapping[str, Column]] = ...) -> None: ...

class Accelerator(_message.Message):
    __slots__ = ("index", "name", "memory_bytes", "power_limit_w", "clock_limit_hz", "throttled", "other_processes", "usage")
    class ThrottledEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Number
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Number, _Mapping]] = ...) -> None: ...
    INDEX_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    POWER_LIMIT_W_FIELD_NUMBER: _ClassVar[int]
    CLOCK_LIMIT_HZ_FIELD_NUMBER: _ClassVar[int]
    THROTTLED_FIELD_NUMBER: _ClassVar[int]
    OTHER_PROCESSES_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    index: int
    name: str
    memory_bytes: int
    power_limit_w: float
    clock_limit_hz: float
    throttled: _containers.MessageMap[str, Number]
    other_processes: int
    usage: Usage
    def __init__(self, index: _Optional[int] = ..., name: _Optional[str] = ..., memory_bytes: _Optional[int] = ..., power_limit_w: _Optional[float] = ..., clock_limit_hz: _Optional[float] = ..., throttled: _Optional[_Mapping[str, Number]] = ..., other_processes: _Optional[int] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class DeviceMemory(_message.Message):
    __slots__ = ("device", "in_use_bytes", "peak_bytes", "limit_bytes")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    IN_USE_BYTES_FIELD_NUMBER: _ClassVar[int]
    PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    device: str
    in_use_bytes: int
    peak_bytes: int
    limit_bytes: int
    def __init__(self, device: _Optional[str] = ..., in_use_bytes: _Optional[int] = ..., peak_bytes: _Optional[int] = ..., limit_bytes: _Optional[int] = ...) -> None: ...

class Resources(_message.Message):
    __slots__ = ("process_cpu_s", "machine_cpu_s", "memory_peak_bytes", "gc_collections", "usage", "accelerators", "device_memory", "live_models")
    PROCESS_CPU_S_FIELD_NUMBER: _ClassVar[int]
    MACHINE_CPU_S_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    GC_COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    ACCELERATORS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_MEMORY_FIELD_NUMBER: _ClassVar[int]
    LIVE_MODELS_FIELD_NUMBER: _ClassVar[int]
    process_cpu_s: float
    machine_cpu_s: float
    memory_peak_bytes: int
    gc_collections: int
    usage: Usage
    accelerators: _containers.RepeatedCompositeFieldContainer[Accelerator]
    device_memory: _containers.RepeatedCompositeFieldContainer[DeviceMemory]
    live_models: int
    def __init__(self, process_cpu_s: _Optional[float] = ..., machine_cpu_s: _Optional[float] = ..., memory_peak_bytes: _Optional[int] = ..., gc_collections: _Optional[int] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., accelerators: _Optional[_Iterable[_Union[Accelerator, _Mapping]]] = ..., device_memory: _Optional[_Iterable[_Union[DeviceMemory, _Mapping]]] = ..., live_models: _Optional[int] = ...) -> None: ...

class Cost(_message.Message):
    __slots__ = ("max_overhead", "foreground_s", "background_s", "sampling_s")
    MAX_OVERHEAD_FIELD_NUMBER: _ClassVar[int]
    FOREGROUND_S_FIELD_NUMBER: _ClassVar[int]
    BACKGROUND_S_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_S_FIELD_NUMBER: _ClassVar[int]
    max_overhead: float
    foreground_s: float
    background_s: float
    sampling_s: float
    def __init__(self, max_overhead: _Optional[float] = ..., foreground_s: _Optional[float] = ..., background_s: _Optional[float] = ..., sampling_s: _Optional[float] = ...) -> None: ...

class Curve(_message.Message):
    __slots__ = ("name", "epochs", "first", "previous", "last", "lowest", "lowest_epoch", "highest", "highest_epoch", "not_finite_epoch")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    LOWEST_FIELD_NUMBER: _ClassVar[int]
    LOWEST_EPOCH_FIELD_NUMBER: _ClassVar[int]
    HIGHEST_FIELD_NUMBER: _ClassVar[int]
    HIGHEST_EPOCH_FIELD_NUMBER: _ClassVar[int]
    NOT_FINITE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    name: str
    epochs: int
    first: float
    previous: float
    last: float
    lowest: float
    lowest_epoch: int
    highest: float
    highest_epoch: int
    not_finite_epoch: int
    def __init__(self, name: _Optional[str] = ..., epochs: _Optional[int] = ..., first: _Optional[float] = ..., previous: _Optional[float] = ..., last: _Optional[float] = ..., lowest: _Optional[float] = ..., lowest_epoch: _Optional[int] = ..., highest: _Optional[float] = ..., highest_epoch: _Optional[int] = ..., not_finite_epoch: _Optional[int] = ...) -> None: ...

class Profile(_message.Message):
    __slots__ = ("schema", "fit_id", "fit_index", "worker", "status", "started_at_s", "updated_at_s", "start_seen", "epochs_planned", "environment", "model", "data", "validation", "ledger", "steady", "steps", "hooks", "callbacks", "nested_calls", "compilation", "timeline", "markers", "resources", "cost", "not_measured", "breakdown", "model_fit_index", "curves", "epochs")
    class NotMeasuredEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    FIT_ID_FIELD_NUMBER: _ClassVar[int]
    FIT_INDEX_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_S_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_S_FIELD_NUMBER: _ClassVar[int]
    START_SEEN_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_PLANNED_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    LEDGER_FIELD_NUMBER: _ClassVar[int]
    STEADY_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    HOOKS_FIELD_NUMBER: _ClassVar[int]
    CALLBACKS_FIELD_NUMBER: _ClassVar[int]
    NESTED_CALLS_FIELD_NUMBER: _ClassVar[int]
    COMPILATION_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_FIELD_NUMBER: _ClassVar[int]
    MARKERS_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    NOT_MEASURED_FIELD_NUMBER: _ClassVar[int]
    BREAKDOWN_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIT_INDEX_FIELD_NUMBER: _ClassVar[int]
    CURVES_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    schema: int
    fit_id: str
    fit_index: int
    worker: int
    status: str
    started_at_s: float
    updated_at_s: float
    start_seen: str
    epochs_planned: int
    environment: Environment
    model: Model
    data: Data
    validation: Validation
    ledger: Ledger
    steady: Ledger
    steps: Steps
    hooks: _containers.RepeatedCompositeFieldContainer[Hook]
    callbacks: _containers.RepeatedCompositeFieldContainer[CallbackFacts]
    nested_calls: _containers.RepeatedCompositeFieldContainer[NestedCall]
    compilation: Compilation
    timeline: Timeline
    markers: _containers.RepeatedCompositeFieldContainer[Marker]
    resources: Resources
    cost: Cost
    not_measured: _containers.ScalarMap[str, str]
    breakdown: Breakdown
    model_fit_index: int
    curves: _containers.RepeatedCompositeFieldContainer[Curve]
    epochs: Epochs
    def __init__(self, schema: _Optional[int] = ..., fit_id: _Optional[str] = ..., fit_index: _Optional[int] = ..., worker: _Optional[int] = ..., status: _Optional[str] = ..., started_at_s: _Optional[float] = ..., updated_at_s: _Optional[float] = ..., start_seen: _Optional[str] = ..., epochs_planned: _Optional[int] = ..., environment: _Optional[_Union[Environment, _Mapping]] = ..., model: _Optional[_Union[Model, _Mapping]] = ..., data: _Optional[_Union[Data, _Mapping]] = ..., validation: _Optional[_Union[Validation, _Mapping]] = ..., ledger: _Optional[_Union[Ledger, _Mapping]] = ..., steady: _Optional[_Union[Ledger, _Mapping]] = ..., steps: _Optional[_Union[Steps, _Mapping]] = ..., hooks: _Optional[_Iterable[_Union[Hook, _Mapping]]] = ..., callbacks: _Optional[_Iterable[_Union[CallbackFacts, _Mapping]]] = ..., nested_calls: _Optional[_Iterable[_Union[NestedCall, _Mapping]]] = ..., compilation: _Optional[_Union[Compilation, _Mapping]] = ..., timeline: _Optional[_Union[Timeline, _Mapping]] = ..., markers: _Optional[_Iterable[_Union[Marker, _Mapping]]] = ..., resources: _Optional[_Union[Resources, _Mapping]] = ..., cost: _Optional[_Union[Cost, _Mapping]] = ..., not_measured: _Optional[_Mapping[str, str]] = ..., breakdown: _Optional[_Union[Breakdown, _Mapping]] = ..., model_fit_index: _Optional[int] = ..., curves: _Optional[_Iterable[_Union[Curve, _Mapping]]] = ..., epochs: _Optional[_Union[Epochs, _Mapping]] = ...) -> None: ...
