"""The rows of the DS rules."""

import dataclasses

from tb_trainspeed.profile import Accelerator, Data, Model, Stage, Usage
from tb_trainspeed.rules.distribution import devices, replicas
from tb_trainspeed.rules.rule import NotApplicable, Passed
from tests.rules.rows import STEADY, fires, silent


def _busy(*levels):
    return tuple(
        Accelerator(index, "H100", other_processes=1, usage=Usage(columns={"utilization": (level, None, level)}))
        for index, level in enumerate(levels)
    )


DS01 = {
    "backend": "tensorflow",
    "distribution": "MirroredStrategy",
    "replicas": 4,
    "mesh_devices": 4,
    "accelerators": ("GPU",) * 4,
    "load": (0.79, 0.2),
    "batch_size": 64,
    "compute_s": 0.01,
    "steady": STEADY,
}
DS02 = {"backend": "tensorflow", "distribution": "MirroredStrategy", "mesh_devices": 1, "compute_s": 0.01}
DS03 = {
    "distribution": "MultiWorkerMirroredStrategy",
    "replicas": 4,
    "accelerators": (),
    "data": Data(options={"auto_shard_policy": "DATA"}),
    "stages": (Stage("TensorSlice", elements=1000),),
    "input_share": 0.4,
}
DS04 = {
    "replicas": 4,
    "collectives_share": 0.4,
    "trainable_parameters": 10**8,
    "step_s": 0.1,
    "steady": dataclasses.replace(STEADY, phases={"collectives": 15.0}),
}
DS05 = {
    "backend": "tensorflow",
    "replicas": 4,
    "accelerators": ("GPU",) * 4,
    "settings": {"TF_GPU_THREAD_COUNT": "2"},
    "dispatch_share": 0.4,
}
DS06 = {
    "backend": "tensorflow",
    "accelerators": ("TPU",) * 8,
    "replicas": 8,
    "mesh_devices": 8,
    "batch_size": 1024,
    "steps_per_execution": 1,
    "compute_s": 0.01,
    "steady": STEADY,
}
DS07 = {
    "backend": "tensorflow",
    "distribution": "MirroredStrategy",
    "accelerators": ("GPU",) * 2,
    "jit_compile": False,
    "compute_s": 0.01,
}
DS08 = {"replicas": 2, "mesh_devices": 2, "sampled_accelerators": _busy(0.9, 0.5), "step_s": 0.1}
DS09 = {
    "backend": "jax",
    "distribution": "",
    "replicas": 1,
    "accelerators": ("GPU",) * 4,
    "jit_compile": True,
    "batch_size": 64,
    "compute_s": 0.1,
    "step_s": 0.11,
    "input_share": 0.05,
    "steady": STEADY,
}
DS10 = {
    "backend": "jax",
    "accelerators": ("GPU",),
    "replicas": 1,
    "mesh_devices": 1,
    "model": Model(dtype_policy="float32"),
    "mixed_policy": "mixed_bfloat16",
    "custom_train_step": False,
    "batch_size": 4,
    "trainable_parameters": 10**9,
    "device_memory_share": 0.95,
    "compute_s": 0.5,
    "steady": STEADY,
}

FIRES = [
    fires(replicas.multi_device_slower, DS01, "GPUs"),
    fires(replicas.multi_device_slower, DS01, "GPUs whose load is not known", load=(None, None)),
    fires(
        replicas.multi_device_slower,
        DS01,
        "torch, whose processes have batches of their own",
        backend="torch",
        distribution="torch.distributed",
        batch_size=31,
    ),
    fires(replicas.multi_device_slower, DS01, "logical CPUs", accelerators=(), load=(None, None)),
    fires(
        replicas.multi_device_slower,
        DS01,
        "JAX",
        backend="jax",
        distribution="DataParallel",
        accelerators=(),
        load=(None, None),
    ),
    fires(replicas.strategy_on_one_device, DS02),
    fires(replicas.strategy_on_one_device, DS02, "JAX", backend="jax", distribution="DataParallel"),
    fires(replicas.strategy_on_one_device, DS02, "torch", backend="torch", distribution="torch.distributed"),
    fires(replicas.input_sharding, DS03, "by data"),
    fires(replicas.input_sharding, DS03, "few files", data=Data(), stages=(Stage("TensorSlice", elements=39),)),
    fires(replicas.all_reduce_bound, DS04),
    fires(devices.gpu_thread_contention, DS05),
    fires(devices.tpu_misuse, DS06, "step by step"),
    fires(devices.tpu_misuse, DS06, "odd batches", batch_size=100, backend="jax"),
    fires(devices.tpu_misuse, DS06, "both", batch_size=100),
    fires(devices.distribution_disables_xla, DS07),
    fires(replicas.straggler, DS08),
    fires(replicas.straggler, DS08, "beside a desktop", sampled_accelerators=_busy(0.9, 0.5, 0.04)),
    fires(devices.idle_accelerators, DS09, "JAX"),
    fires(devices.idle_accelerators, DS09, "TensorFlow, compiled by XLA", backend="tensorflow"),
    fires(devices.idle_accelerators, DS09, "TensorFlow without XLA", backend="tensorflow", jit_compile=False),
    fires(devices.idle_accelerators, DS09, "torch", backend="torch"),
    fires(devices.model_fills_memory, DS10, "one device"),
    fires(
        devices.model_fills_memory,
        DS10,
        "a step of the user's own",
        mixed_policy="mixed_float16",
        custom_train_step=True,
    ),
    fires(devices.model_fills_memory, DS10, "several devices", accelerators=("GPU",) * 2),
    fires(devices.model_fills_memory, DS10, "16 bits already", model=Model(dtype_policy="mixed_bfloat16")),
]

SILENT = [
    silent(replicas.multi_device_slower, DS01, NotApplicable, "no strategy", distribution=""),
    silent(replicas.multi_device_slower, DS01, NotApplicable, "one replica", replicas=1),
    silent(replicas.multi_device_slower, DS01, Passed, "large enough", batch_size=128),
    silent(replicas.multi_device_slower, DS01, Passed, "trap: samples that keep a device busy", load=(0.8, None)),
    silent(replicas.multi_device_slower, DS01, Passed, "trap: samples that fill the memory", load=(None, 0.21)),
    silent(
        replicas.multi_device_slower, DS01, Passed, "trap: a batch of each process",
        backend="torch", distribution="torch.distributed", batch_size=32,
    ),
    silent(
        replicas.multi_device_slower, DS01, NotApplicable, "trap: CPUs of several machines",
        distribution="MultiWorkerMirroredStrategy", accelerators=(), load=(None, None),
    ),
    silent(
        replicas.multi_device_slower, DS01, NotApplicable, "one batch",
        steady=dataclasses.replace(STEADY, steps_per_epoch=3),
    ),
    silent(replicas.strategy_on_one_device, DS02, NotApplicable, "none", distribution=""),
    silent(replicas.strategy_on_one_device, DS02, Passed, "two", mesh_devices=2),
    silent(
        replicas.multi_device_slower, DS01, Passed, "trap: devices share the model",
        backend="jax", distribution="ModelParallel (2, 4)", replicas=2, mesh_devices=8,
    ),
    silent(
        replicas.strategy_on_one_device, DS02, Passed, "trap: one replica over eight devices",
        backend="jax", distribution="ModelParallel (1, 8)", mesh_devices=8,
    ),
    silent(replicas.input_sharding, DS03, NotApplicable, "one worker", distribution="MirroredStrategy"),
    silent(replicas.input_sharding, DS03, NotApplicable, "arrays", stages=()),
    silent(replicas.input_sharding, DS03, Passed, "by hand", data=Data(options={"auto_shard_policy": "OFF"})),
    silent(
        replicas.input_sharding, DS03, Passed, "files enough",
        data=Data(), stages=(Stage("TensorSlice", elements=40),),
    ),
    silent(replicas.input_sharding, DS03, Passed, "hardly waits", input_share=0.09),
    silent(
        replicas.input_sharding, DS03, Passed, "trap: two workers of two GPUs",
        accelerators=("GPU",) * 2, data=Data(), stages=(Stage("TensorSlice", elements=20),),
    ),
    silent(replicas.all_reduce_bound, DS04, NotApplicable, "one replica", replicas=1),
    silent(replicas.all_reduce_bound, DS04, Passed, "hidden", collectives_share=0.29),
    silent(devices.gpu_thread_contention, DS05, NotApplicable, "one GPU", replicas=1),
    silent(devices.gpu_thread_contention, DS05, Passed, "private", settings={"TF_GPU_THREAD_MODE": "gpu_private"}),
    silent(devices.gpu_thread_contention, DS05, Passed, "little for the host", dispatch_share=0.29),
    silent(devices.tpu_misuse, DS06, NotApplicable, "GPU", accelerators=("GPU",)),
    silent(devices.tpu_misuse, DS06, Passed, "well used", steps_per_execution=50),
    silent(devices.tpu_misuse, DS06, Passed, "eight a core", backend="jax", batch_size=64),
    silent(
        devices.tpu_misuse, DS06, Passed, "trap: the data are fewer batches than a larger one holds",
        backend="jax", batch_size=4, steady=dataclasses.replace(STEADY, steps_per_epoch=255),
    ),
    silent(
        devices.tpu_misuse, DS06, Passed, "trap: cores share the model",
        backend="jax", replicas=1, mesh_devices=8, batch_size=4,
    ),
    silent(devices.distribution_disables_xla, DS07, NotApplicable, "trap: on a CPU", accelerators=()),
    silent(devices.distribution_disables_xla, DS07, NotApplicable, "no strategy", distribution=""),
    silent(devices.distribution_disables_xla, DS07, Passed, "asked for", jit_compile=True),
    silent(replicas.straggler, DS08, NotApplicable, "one replica", replicas=1),
    silent(replicas.straggler, DS08, NotApplicable, "the other is left alone", sampled_accelerators=_busy(0.9, 0.0)),
    silent(
        replicas.straggler, DS08, NotApplicable, "trap: a third is somebody else's",
        sampled_accelerators=_busy(0.9, 0.5, 0.5),
    ),
    silent(replicas.straggler, DS08, Passed, "about the same", sampled_accelerators=_busy(0.9, 0.61)),
    silent(
        replicas.straggler, DS08, Passed, "trap: a third draws the desktop",
        sampled_accelerators=_busy(0.9, 0.85, 0.04),
    ),
    silent(devices.idle_accelerators, DS09, NotApplicable, "one", accelerators=("GPU",)),
    silent(devices.idle_accelerators, DS09, NotApplicable, "CPU", accelerators=()),
    silent(devices.idle_accelerators, DS09, Passed, "all used", replicas=4),
    silent(
        devices.idle_accelerators, DS09, Passed, "trap: they share the model", distribution="ModelParallel (1, 4)"
    ),
    silent(devices.idle_accelerators, DS09, Passed, "waits for data", input_share=0.1),
    silent(devices.idle_accelerators, DS09, Passed, "small steps", compute_s=0.009, step_s=0.01),
    silent(
        devices.idle_accelerators, DS09, NotApplicable, "one batch",
        steady=dataclasses.replace(STEADY, steps_per_epoch=3),
    ),
    silent(devices.model_fills_memory, DS10, NotApplicable, "CPU", accelerators=()),
    silent(devices.model_fills_memory, DS10, Passed, "a batch of 16", batch_size=16),
    silent(devices.model_fills_memory, DS10, Passed, "a small model", trainable_parameters=10**7),
    silent(devices.model_fills_memory, DS10, Passed, "memory is left", device_memory_share=0.89),
]  # fmt: skip
