"""A training on several replicas, and what they share."""

from tb_trainspeed.profile import Accelerator, Data, Stage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import Steady, mean
from tb_trainspeed.rules.input_pipeline.shared import waits
from tb_trainspeed.rules.rule import Change, ChangesResults, Found, NotApplicable, Outcome, Passed, Range, exactly, rule

# A replica's share of the batch below which a step of it is mostly overhead: what Keras takes for a whole batch.
_REPLICA_BATCH = 32
# Devices that are busier gain next to nothing from more samples; so much of their memory is left free.
_BUSY_FROM, _ROOM_FROM = 0.8, 0.2
# Strategies whose replicas may be on several machines.
_MACHINES = ("MultiWorker", "ParameterServer", "torch.distributed")
_COLLECTIVES_FROM = 0.3
# One accelerator busier than another by this share of the time, over the whole fit. One that is hardly busy draws a
# desktop.
_APART, _COMPUTES_FROM = 0.3, 0.05
# What is left without a strategy over logical devices. The data are divided among the replicas anew for every epoch:
# pairs on two cores gave 0.04 s between two instead of 0.6, and 0.02 instead of 0.7; of a step, 0.3 of what the device
# computes and 0.43 of the host's part.
_ONE_REPLICA = {
    "device_s": Range(1.0, 0.28, 0.15), "dispatch_s": Range(1.0, 0.55, 0.4), "restart_s": Range(1.0, 0.1, 0.02),
}  # fmt: skip
_FILES_PER_WORKER = 10
_ACCUMULATED = 4
_NO_STRATEGY = {
    "tensorflow": "- with strategy.scope():\n-     model = make_model()\n+ model = make_model()",
    "jax": "- keras.distribution.set_distribution(...)",
    "torch": "- torch.distributed.init_process_group(...)",
}


@rule("DS01", "multi-device-slower", silences=("DS07",))
def multi_device_slower(
    backend: str,
    distribution: str,
    replicas: int,
    mesh_devices: int,
    accelerators: tuple[str, ...],
    load: tuple[float | None, float | None],
    batch_size: int,
    compute_s: float,
    steady: Steady,
) -> Outcome:
    """Several devices share a batch that is too small for them.

    What it means: each replica gets fewer than 32 samples of a batch, and has time and memory for more: its device is
    busy less than 80 % of the time, and 20 % of the memory would be free with as many times the samples as there are
    replicas. On torch the batch of a process is its own, on the other backends it is divided among the replicas.

    Why it is slow: a step of a few samples takes about as long as one of many, and the replicas wait for each other in
    every step. The same batch on one device may well be faster.

    What to change: give each replica a batch of its own, and raise the learning rate with it. For a small model take
    one device. Logical CPUs share the same cores: take no strategy.

    When this is wrong: a sample is so large that a few of them keep a device busy, as 3-D images do: where it is not
    measured how busy and how full the devices are, it is a hint. The rule is silent where devices share the model as
    well, which does not fit into one of them, and where CPUs may be those of several machines.

    Sources: https://github.com/tensorflow/tensorflow/issues/35095 (286 s on two GPUs, 197 s on one),
    https://github.com/tensorflow/tensorflow/issues/33809. Measured on two cores with two logical CPUs: 1.7 to 2.7 times
    slower than without, and 0.6 s between epochs instead of 0.04. Not verified on hardware: on accelerators the
    prediction gives each replica the whole batch, and lets a step take as long as now, or as much longer as its batch
    is larger.
    """
    if not distribution or replicas < 2:
        return NotApplicable("there is one replica")
    if mesh_devices > replicas:
        return Passed("devices share the model as well")
    each = batch_size if backend == "torch" else batch_size / replicas
    if each >= _REPLICA_BATCH:
        return Passed(f"{words.number(each)} samples a replica")
    if accelerators and steady.steps_per_epoch < replicas:
        return NotApplicable("the data are one batch")
    if not accelerators and any(name in distribution for name in _MACHINES):
        return NotApplicable("whether the replicas share the cores of one machine is not known")
    busy, full = load if accelerators else (0.0, 0.0)
    if busy is not None and busy >= _BUSY_FROM:
        return Passed(f"the devices are busy {words.share(busy)} of the time")
    if full is not None and full * replicas > 1 - _ROOM_FROM:
        return Passed(f"{words.share(full)} of the memory is in use: {replicas} times the samples may not fit")
    changes_results: ChangesResults = "training" if accelerators else "rounding"
    if accelerators:
        samples = f"{replicas} times the samples"
        remedy = f"Give each replica {samples}, and raise the learning rate with it; or take one device."
        code = f"- batch_size={batch_size}\n+ batch_size={batch_size * replicas}"
        change = Change(
            factors={
                "steps": exactly(1 / replicas),
                "device_s": Range(replicas, 1 + (replicas - 1) * 0.3, 1.0),
                "supply_s": Range(replicas, replicas, replicas / 2),
                "cpu_s": exactly(replicas),
                "source_cpu_s": exactly(replicas),
            }
        )
    else:
        remedy = "The replicas share the cores of one machine: take no strategy."
        code, change = _NO_STRATEGY[backend], Change(factors=_ONE_REPLICA)
    return Found(
        title="Several devices share a batch that is too small for them",
        message=f"`{distribution}` goes over {replicas} replicas, each with {words.number(each)} samples of a batch; a "
        f"step takes {words.seconds(compute_s)}.",
        phase="compute",
        evidence={
            "replicas": str(replicas),
            "samples a replica": words.number(each),
            **(
                {"the devices are busy": f"{words.share(busy)} of the time"}
                if accelerators and busy is not None
                else {}
            ),
            **({"memory in use": words.share(full)} if accelerators and full is not None else {}),
        },
        remedy=remedy,
        code=code,
        change=change,
        confidence="hint" if None in (busy, full) else "likely",
        changes_results=changes_results,
    )


@rule("DS02", "strategy-on-one-device", silences=("DS07",))
def strategy_on_one_device(backend: str, distribution: str, mesh_devices: int, compute_s: float) -> Outcome:
    """A distribution strategy over a single device.

    What it means: the model is in the scope of a strategy that found one device.

    Why it is slow: the strategy wraps every batch and every variable, and TensorFlow's step is not compiled by XLA.

    What to change: no strategy; or find out why the other devices are not seen.

    When this is wrong: the same script runs on machines with more devices, and the step is long.

    Sources: Keras, `model_supports_jit` (`jit_compile="auto"` is off under a strategy). Not verified on hardware: what
    it costs is not known; the prediction says up to a third.
    """
    if not distribution:
        return NotApplicable("there is no strategy")
    if mesh_devices != 1 or "ParameterServer" in distribution:
        return Passed(f"`{distribution}` goes over {mesh_devices} devices")
    return Found(
        title="A distribution strategy over a single device",
        message=f"`{distribution}` found one device; a step takes {words.seconds(compute_s)} through it.",
        phase="compute",
        evidence={"strategy": distribution, "replicas": "1"},
        remedy="Take no strategy, or find out why the other devices are not seen.",
        code=_NO_STRATEGY[backend],
        change=Change(factors={"device_s": Range(1.0, 0.9, 0.67)}),
        confidence="hint",
        changes_results="rounding",
    )


@rule("DS03", "distributed-input-sharding")
def input_sharding(
    distribution: str,
    replicas: int,
    accelerators: tuple[str, ...],
    data: Data,
    stages: tuple[Stage, ...],
    input_share: float,
) -> Outcome:
    """Every worker reads the data of all workers.

    What it means: the data are not divided by files, so that each worker reads and decodes everything, and drops what
    belongs to the others.

    Why it is slow: with more workers, each does the same work for a smaller part of the batch.

    What to change: ten files a worker or more, so that TensorFlow can divide them; or divide the data yourself with
    `dataset.shard` and set the policy to `OFF`.

    When this is wrong: the pipeline is light; the rule speaks only where the step waits for it.

    Sources: https://www.tensorflow.org/tutorials/distribute/input (sharding),
    https://github.com/yahoo/TensorFlowOnSpark/issues/532. Not verified on hardware: the prediction divides the making
    of a batch by the number of workers, or leaves it as it is.
    """
    if "MultiWorker" not in distribution and "ParameterServer" not in distribution:
        return NotApplicable("there is one worker")
    if not stages:
        return NotApplicable("no tf.data pipeline")
    policy = data.options.get("auto_shard_policy", "AUTO")
    elements = stages[0].elements
    if policy == "OFF":
        return Passed("the data are divided by hand")
    workers = max(1, replicas // max(1, len(accelerators)))  # which all have as many
    if policy != "DATA" and (elements is None or elements >= _FILES_PER_WORKER * workers):
        return Passed("there are files enough to divide, as far as the pipeline tells")
    if too_little := waits(input_share):
        return Passed(too_little)
    why = "The policy is DATA" if policy == "DATA" else f"The pipeline begins with {elements} elements"
    return Found(
        title="Every worker reads the data of all workers",
        message=f"{why}, so each of {workers} workers makes every batch and uses its part; the step waits for data "
        f"{words.share(input_share)} of the time.",
        phase="input_wait",
        evidence={"policy": policy, "waiting for data": f"{words.share(input_share)} of training"},
        remedy="Divide the data before the expensive part, and switch the automatic sharding off.",
        code="+ files = files.shard(context.num_input_pipelines, context.input_pipeline_id)\n"
        "+ options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF",
        change=Change(factors={"supply_s": Range(1.0, 1.5 / max(2, workers), 1 / max(2, workers))}),
        confidence="likely",
    )


@rule("DS04", "all-reduce-bound")
def all_reduce_bound(
    replicas: int, collectives_share: float, trainable_parameters: int, step_s: float, steady: Steady
) -> Outcome:
    """Replicas spend their time exchanging gradients.

    What it means: all-reduce that is not hidden behind computing takes more than 30 % of training.

    Why it is slow: every step sends all gradients once around, however few samples they come from.

    What to change: more samples a replica, so that there are fewer exchanges. NVLink or NCCL, if another way is in use.

    When this is wrong: one replica is late, and the others wait for it in the exchange: that is DS08.

    Sources: https://www.tensorflow.org/guide/gpu_performance_analysis. Not verified on hardware: the prediction takes
    up to three quarters of the measured exchange out of the step, that is one exchange for four batches.
    """
    if replicas < 2:
        return NotApplicable("there is one replica")
    if collectives_share < _COLLECTIVES_FROM:
        return Passed(f"exchanging gradients takes {words.share(collectives_share)} of training")
    exchange_s = steady.per_step("collectives")
    saved = 1 - 1 / _ACCUMULATED
    return Found(
        title="Replicas spend their time exchanging gradients",
        message=f"Exchanging {words.size(4 * trainable_parameters)} of gradients takes "
        f"{words.share(exchange_s / step_s)} of a step of {words.seconds(step_s)}.",
        phase="collectives",
        evidence={
            "exchanging": f"{words.share(collectives_share)} of training",
            "gradients": words.size(4 * trainable_parameters),
            "replicas": str(replicas),
        },
        remedy=f"Give each replica {_ACCUMULATED} times the samples, with a learning rate to match.",
        code=f"- dataset.batch(n)\n+ dataset.batch({_ACCUMULATED} * n)",
        change=Change(removes={"device_s": Range(0.3 * exchange_s, 0.9 * saved * exchange_s, saved * exchange_s)}),
        confidence="likely",
        changes_results="training",
    )


@rule("DS08", "straggler", silences=("DS04",))
def straggler(
    replicas: int, mesh_devices: int, sampled_accelerators: tuple[Accelerator, ...], step_s: float
) -> Outcome:
    """One device is late, and all others wait for it.

    What it means: one accelerator is busy far more than another over the whole fit, and as many are busy as the
    training goes over.

    Why it is slow: every step ends when the slowest replica has ended it.

    What to change: find what else runs on that device, or why its part of the batch is larger. Its clock may be held
    down.

    When this is wrong: a device that is no part of the training is left alone: where more or fewer compute than it has
    devices, the rule is silent. Kernels that wait for the others in an exchange count as busy, so that a late device
    may hide.

    Sources: NVML, utilisation of each device. Not verified on hardware: the prediction brings the busiest device to the
    mean of all, or leaves it.
    """
    if replicas < 2:
        return NotApplicable("there is one replica")
    levels = {one.index: mean(one.usage, "utilization") or 0.0 for one in sampled_accelerators}
    busy = {index: level for index, level in levels.items() if level >= _COMPUTES_FROM}
    if len(busy) != mesh_devices:
        return NotApplicable(f"{len(busy)} devices of this machine compute, and the training goes over {mesh_devices}")
    most, least = max(busy, key=lambda index: busy[index]), min(busy, key=lambda index: busy[index])
    if busy[most] - busy[least] < _APART:
        return Passed(f"devices are busy {words.share(busy[least])} to {words.share(busy[most])} of the time")
    even = sum(busy.values()) / len(busy) / busy[most]
    others = next((one.other_processes for one in sampled_accelerators if one.index == most), None)
    return Found(
        title="One device is late, and all others wait for it",
        message=f"Device {most} is busy {words.share(busy[most])} of the time, device {least} "
        f"{words.share(busy[least])}: a step of {words.seconds(step_s)} ends with the slowest.",
        phase="collectives",
        evidence={
            **{f"device {index}": words.share(level) for index, level in sorted(busy.items())},
            **({f"other processes on device {most}": str(others)} if others else {}),
        },
        remedy="Stop what else runs on that device, or leave it out.",
        code="+ export CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES="
        + ",".join(str(index) for index in sorted(busy) if index != most),
        change=Change(factors={"device_s": Range(1.0, (1 + even) / 2, even)}),
        confidence="likely",
        changes_results="rounding",
    )


RULES = (multi_device_slower, strategy_on_one_device, input_sharding, all_reduce_bound, straggler)
