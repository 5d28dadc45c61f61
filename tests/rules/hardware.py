"""The rows of the HW rules. Traps, which look right and are wrong, are marked as such."""

import dataclasses

from tb_trainspeed.profile import Accelerator, Device, Environment, Layer, Model, Resources, Usage
from tb_trainspeed.rules.hardware import accelerator, host
from tb_trainspeed.rules.rule import NotApplicable, Passed
from tests.rules.rows import STEADY, fires, silent

CPU = Device("CPU", "cpu")
T4 = Device("GPU", "Tesla T4", capability="7.5")
COMPUTES = {"computing_share": 0.9, "computing_s": 0.1}
UNUSED = Environment(backend="tensorflow", devices=(CPU,), machine_devices=(T4,))
NOT_GIVEN = Device("GPU", "NVIDIA A100 (not given to this container)")
ON_CPU = Environment(backend="tensorflow", devices=(CPU,))
SMALL = Layer("dense", "Dense", 100, 100, forward_flops=200_000)
LARGE = Layer("conv", "Conv2D", 100, 100, forward_flops=2_000_000_000)


def card(others=None, **facts):
    columns = {"utilization": (0.9,), "clock_hz": (0.8e9,)}
    if others is not None:
        columns["others_utilization"] = (others,)
    return (Accelerator(0, "T4", usage=Usage(columns=columns), **facts),)


def unused(backend="tensorflow", machine_devices=(T4,), **settings):
    return Environment(backend=backend, devices=(CPU,), machine_devices=machine_devices, settings=settings)


def using(**columns):
    return Resources(usage=Usage(columns={name: (value,) for name, value in columns.items()}))


def threads(number, cores=8.0, backend="tensorflow"):
    name = "tf.config.threading.intra_op_parallelism_threads" if backend == "tensorflow" else "torch.set_num_threads"
    return Environment(backend=backend, devices=(CPU,), cores=cores, settings={name: str(number)})


HW01 = {"environment": UNUSED, **COMPUTES, "told_dispatch_s": 0.001, "dispatch_bound": False}
HW02 = {
    "accelerators": ("GPU",),
    "utilization": 0.1,
    "layers": (SMALL,),
    "computing_s": 0.001,
    "batch_size": 32,
}
HW03 = {**COMPUTES, "accelerators": ("GPU",), "used_accelerators": card(others=0.4, other_processes=1)}
HW04 = {
    **COMPUTES,
    "accelerators": ("GPU",),
    "used_accelerators": card(throttled={"hardware_thermal": 0.6}, clock_limit_hz=1.6e9),
    "clock_shares": {0: 0.5},
}
HW05 = {
    **COMPUTES,
    "environment": threads(0, 2.0),
    "resources": using(throttled=0.4),
    "accelerators": (),
    "cores": 2.0,
    "busy_cores": 2.0,
}
HW06 = {
    "backend": "tensorflow",
    "environment": Environment(backend="tensorflow"),
    **COMPUTES,
    "resources": using(machine_cores=4.0, process_cores=2.0),
    "accelerators": (),
    "machine_cores": 4.0,
    "others_cores": 2.0,
    "others_compute": True,
    "busy_cores": 2.0,
}
HW07 = {"resources": using(memory_pressure=0.3, swapped_bytes_per_s=1e8, rss_bytes=1e9), "steady_wall_s": 60.0}
HW08 = {
    "environment": Environment(backend="tensorflow", platform="macOS-14-arm64", devices=(Device("GPU", "METAL"),)),
    "layers": (Layer("lstm", "LSTM", 1000, 1000),),
    "computing_s": 0.6,
}
HW10 = {
    **COMPUTES,
    "accelerators": ("GPU",),
    "device_memory_share": 0.3,
    "utilization": 0.5,
    "batch_size": 32,
    "steady": STEADY,
}
HW11 = {
    **COMPUTES,
    "environment": dataclasses.replace(ON_CPU, settings={"TF_ENABLE_ONEDNN_OPTS": "0"}),
    "model": Model(layers=(SMALL,)),
    "accelerators": (),
}


def working(*works, bucket_s=20.0, cores=(2.0,) * 8):
    return Resources(usage=Usage(bucket_s, {"core_work_s": works, "process_cores": cores}))


HW13 = {"environment": ON_CPU, "accelerators": (), "resources": working(1e-4, *(1.4e-4,) * 7)}
HW12 = {
    "environment": ON_CPU,
    "accelerators": (),
    "layers": (LARGE,),
    "computing_share": 0.9,
    "computing_s": 5.0,
    "batch_size": 32,
    "planned_s": 3600.0,
}

FIRES = [
    fires(accelerator.gpu_not_used, HW01),
    fires(accelerator.gpu_not_used, HW01, "torch", environment=unused("torch")),
    fires(accelerator.gpu_not_used, HW01, "a container", environment=unused(machine_devices=(NOT_GIVEN,))),
    fires(accelerator.gpu_not_used, HW01, "one is shown", environment=unused(CUDA_VISIBLE_DEVICES="0")),
    fires(
        accelerator.gpu_not_used,
        HW01,
        "nothing is hidden",
        environment=unused("jax", **{"jax_platforms": "None", "tf.config.set_visible_devices": "0 of 0 GPUs"}),
    ),
    fires(accelerator.gpu_not_used, HW01, "small steps", computing_s=0.0031),
    fires(accelerator.gpu_slower, HW02),
    fires(accelerator.gpu_shared, HW03),
    fires(accelerator.gpu_shared, HW03, "not told which compute", used_accelerators=card(other_processes=2)),
    fires(accelerator.gpu_throttled, HW04),
    fires(accelerator.gpu_throttled, HW04, "clock not told", clock_shares={}),
    fires(host.threads_misconfigured, HW05, "quota"),
    fires(
        host.threads_misconfigured,
        HW05,
        "one thread",
        environment=threads(1),
        resources=using(),
        cores=8.0,
        busy_cores=1.2,
    ),
    fires(host.threads_misconfigured, HW05, "too many", environment=threads(64), resources=using()),
    fires(host.competing_processes, HW06),
    fires(
        host.competing_processes,
        HW06,
        "a full host",
        machine_cores=64.0,
        others_cores=58.0,
        resources=using(machine_cores=60.0, process_cores=2.0),
    ),
    fires(host.memory_pressure, HW07),
    fires(accelerator.metal_plugin, HW08),
    fires(accelerator.batch_headroom, HW10),
    fires(host.no_vector_library, HW11),
    fires(host.no_vector_library, HW11, "convolutions", model=Model(layers=(SMALL, LARGE))),
    fires(accelerator.compute_bound_on_cpu, HW12),
    fires(host.cores_slowed, HW13),
]

SILENT = [
    silent(accelerator.gpu_not_used, HW01, Passed, "no GPU", environment=ON_CPU),
    silent(accelerator.gpu_not_used, HW01, Passed, "used", environment=Environment(devices=(T4,))),
    silent(accelerator.gpu_not_used, HW01, Passed, "tiny model", dispatch_bound=True),
    silent(accelerator.gpu_not_used, HW01, Passed, "hidden", environment=unused(CUDA_VISIBLE_DEVICES="")),
    silent(
        accelerator.gpu_not_used, HW01, Passed, "hidden too", environment=unused("torch", CUDA_VISIBLE_DEVICES="-1")
    ),
    silent(accelerator.gpu_not_used, HW01, Passed, "hidden on JAX", environment=unused("jax", JAX_PLATFORMS="cpu")),
    silent(accelerator.gpu_not_used, HW01, Passed, "hidden in JAX", environment=unused("jax", jax_platforms="cpu")),
    silent(
        accelerator.gpu_not_used,
        HW01,
        Passed,
        "hidden in TensorFlow",
        environment=unused(**{"tf.config.set_visible_devices": "0 of 1 GPUs"}),
    ),
    silent(
        accelerator.gpu_not_used,
        HW01,
        Passed,
        "trap: what Windows draws with, as older versions recorded it",
        environment=unused(machine_devices=(Device("GPU", "DirectX under WSL 2"),)),
    ),
    silent(accelerator.gpu_not_used, HW01, Passed, "bound by something else", computing_share=0.49),
    silent(accelerator.gpu_not_used, HW01, Passed, "as short as on a GPU", computing_s=0.003),
    silent(accelerator.gpu_slower, HW02, Passed, "busy", utilization=0.2),
    silent(accelerator.gpu_slower, HW02, Passed, "longer steps", computing_s=0.003),
    silent(
        accelerator.gpu_slower,
        HW02,
        NotApplicable,
        "unknown layer",
        layers=(SMALL, dataclasses.replace(SMALL, forward_flops=None)),
    ),
    silent(accelerator.gpu_slower, HW02, Passed, "large model", layers=(LARGE,)),
    silent(accelerator.gpu_slower, HW02, NotApplicable, "CPU", accelerators=()),
    silent(accelerator.gpu_shared, HW03, Passed, "alone", used_accelerators=card(other_processes=0)),
    silent(
        accelerator.gpu_shared,
        HW03,
        Passed,
        "trap: an idle notebook holds memory",
        used_accelerators=card(others=0.0, other_processes=0),
    ),
    silent(accelerator.gpu_shared, HW03, Passed, "none is busy", used_accelerators=()),
    silent(accelerator.gpu_shared, HW03, NotApplicable, "CPU", accelerators=()),
    silent(accelerator.gpu_throttled, HW04, Passed, "power cap", used_accelerators=card(throttled={"power_cap": 1.0})),
    silent(accelerator.gpu_throttled, HW04, Passed, "seldom", used_accelerators=card(throttled={"hardware": 0.19})),
    silent(accelerator.gpu_throttled, HW04, Passed, "none is busy", used_accelerators=()),
    silent(accelerator.gpu_throttled, HW04, NotApplicable, "CPU", accelerators=()),
    silent(
        host.competing_processes,
        HW06,
        Passed,
        "stolen counts once",
        others_cores=0.5,
        others_compute=False,
        resources=using(machine_cores=3.8, process_cores=3.3, steal_cores=0.5),
    ),
    silent(host.threads_misconfigured, HW05, Passed, "seldom stopped", resources=using(throttled=0.09)),
    silent(
        host.threads_misconfigured,
        HW05,
        Passed,
        "trap: one thread on two cores",
        environment=threads(1, 2.0),
        resources=using(),
        busy_cores=1.0,
    ),
    silent(host.threads_misconfigured, HW05, NotApplicable, "JAX", environment=Environment(backend="jax")),
    silent(host.competing_processes, HW06, Passed, "few others", others_cores=0.9, others_compute=False),
    silent(host.competing_processes, HW06, Passed, "cores are free", others_compute=False),
    silent(
        host.competing_processes,
        HW06,
        Passed,
        "trap: neighbours of a container",
        machine_cores=64.0,
        others_cores=28.0,
        others_compute=False,
        resources=using(machine_cores=30.0, process_cores=2.0),
    ),
    silent(
        host.competing_processes,
        HW06,
        Passed,
        "trap: one thread, which has its core",
        environment=Environment(backend="torch", settings={"torch.set_num_threads": "1"}),
        busy_cores=0.95,
    ),
    silent(host.memory_pressure, HW07, Passed, "little", resources=using(memory_pressure=0.09)),
    silent(host.memory_pressure, HW07, NotApplicable, "nobody counts", resources=Resources()),
    silent(accelerator.metal_plugin, HW08, NotApplicable, "Linux", environment=ON_CPU),
    silent(accelerator.metal_plugin, HW08, Passed, "convolutions", layers=(LARGE,)),
    silent(accelerator.batch_headroom, HW10, Passed, "busy", utilization=0.8),
    silent(accelerator.batch_headroom, HW10, Passed, "half full", device_memory_share=0.4),
    silent(
        accelerator.batch_headroom,
        HW10,
        NotApplicable,
        "one batch",
        steady=dataclasses.replace(STEADY, steps_per_epoch=1),
    ),
    silent(accelerator.batch_headroom, HW10, NotApplicable, "CPU", accelerators=()),
    silent(host.no_vector_library, HW11, Passed, "on", environment=ON_CPU),
    silent(host.no_vector_library, HW11, Passed, "bound by something else", computing_share=0.49),
    silent(host.no_vector_library, HW11, NotApplicable, "GPU", accelerators=("GPU",)),
    silent(accelerator.compute_bound_on_cpu, HW12, Passed, "short", planned_s=599.0),
    silent(accelerator.compute_bound_on_cpu, HW12, NotApplicable, "GPU", accelerators=("GPU",)),
    silent(
        accelerator.compute_bound_on_cpu,
        HW12,
        NotApplicable,
        "unknown layer",
        layers=(LARGE, dataclasses.replace(LARGE, forward_flops=None)),
    ),
    silent(host.cores_slowed, HW13, Passed, "nearly as fast", resources=working(1e-4, *(1.15e-4,) * 7)),
    silent(
        host.cores_slowed,
        HW13,
        Passed,
        "trap: fast while it hardly computed",
        resources=working(1e-4, *(1.4e-4,) * 7, cores=(1.5, *(2.0,) * 7)),
    ),
    silent(
        host.cores_slowed,
        HW13,
        NotApplicable,
        "trap: short, of which one sample says little",
        resources=working(1e-4, *(1.4e-4,) * 7, bucket_s=19.0),
    ),
    silent(host.cores_slowed, HW13, NotApplicable, "nobody looked", resources=Resources()),
    silent(host.cores_slowed, HW13, NotApplicable, "GPU", accelerators=("GPU",)),
]
