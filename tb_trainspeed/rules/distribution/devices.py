"""Accelerators: too few in use, or used against their grain."""

import math
from collections.abc import Mapping

from tb_trainspeed.profile import Model
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.framework.eager import in_one_call
from tb_trainspeed.rules.input_pipeline.shared import waits
from tb_trainspeed.rules.model_compute.shared import SCALES_LOSS, scaled_loss
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, exactly, rule

_HOST_FROM = 0.3
# A step that takes less gains nothing from a second device: exchanging gradients takes milliseconds too.
_WORTH_DIVIDING_S, _COMPUTES_FROM = 0.01, 0.6
# Of what it does alone a device does this in company. TensorFlow's maintainers expect 90 %
# (https://github.com/tensorflow/tensorflow/issues/26392).
_SCALING = Range(0.6, 0.85, 0.95)
# https://cloud.google.com/tpu/docs/performance-guide: a core computes on tiles of 8 x 128.
_TPU_SUBLANES, _TPU_LANES, _TPU_STEPS = 8, 128, 50
_FULL_MEMORY, _TINY_BATCH, _LARGE_MODEL, _LARGER = 0.9, 8, 100_000_000, 4
# What XLA leaves of computing.
_XLA = Range(1.0, 0.85, 0.67)


@rule("DS05", "gpu-thread-contention")
def gpu_thread_contention(
    backend: str, replicas: int, accelerators: tuple[str, ...], settings: Mapping[str, str], dispatch_share: float
) -> Outcome:
    """The threads that start kernels on several GPUs compete with the input pipeline.

    What it means: TensorFlow's threads for the GPUs are those of everything else, and the host's part of a step is
    large.

    Why it is slow: a kernel starts late when the thread that should start it decodes an image.

    What to change: threads of their own: `TF_GPU_THREAD_MODE=gpu_private`.

    When this is wrong: the GPUs have no gaps between their kernels.

    Sources: https://www.tensorflow.org/guide/gpu_performance_analysis. Not verified on hardware: the prediction says 1
    to 1.3 times.
    """
    if backend != "tensorflow" or replicas < 2 or "GPU" not in accelerators:
        return NotApplicable("not several GPUs on TensorFlow")
    if settings.get("TF_GPU_THREAD_MODE", "global") != "global":
        return Passed("the GPUs have threads of their own")
    if dispatch_share < _HOST_FROM:
        return Passed(f"the host's part is {words.share(dispatch_share)} of the step")
    return Found(
        title="Threads for the GPUs compete with everything else",
        message=f"{words.share(dispatch_share)} of the step is the host's part, on threads that {replicas} GPUs share "
        "with the input pipeline.",
        phase="host_overhead",
        evidence={"host's part": words.share(dispatch_share), "replicas": str(replicas)},
        remedy="Give the GPUs threads of their own.",
        code="+ export TF_GPU_THREAD_MODE=gpu_private TF_GPU_THREAD_COUNT=2",
        change=Change(factors={"device_s": Range(1.0, 0.9, 0.77)}),
        confidence="hint",
    )


@rule("DS06", "tpu-misuse", silences=("MC00", "FW07"))
def tpu_misuse(
    backend: str,
    accelerators: tuple[str, ...],
    replicas: int,
    mesh_devices: int,
    batch_size: int,
    steps_per_execution: int,
    compute_s: float,
    steady: Steady,
) -> Outcome:
    """A TPU gets too little to do at a time.

    What it means: the batch of a core is no multiple of eight, or on TensorFlow every step is started from the host.

    Why it is slow: a core computes on tiles of 8 by 128, so that odd batches are padded; and the way from the host to
    the TPU is long.

    What to change: a batch of 128 a core, or a larger multiple of eight, and `steps_per_execution=50`.

    When this is wrong: the step takes so long that starting it does not matter. Where cores share the model as well,
    the batch is left alone.

    Sources: https://cloud.google.com/tpu/docs/performance-guide. Not verified on hardware: reports speak of 2 to 20
    times. The prediction takes the padding out of what a sample takes, or nothing at worst, and divides the host's part
    of a step by the steps in a call.
    """
    if "TPU" not in accelerators:
        return NotApplicable("there is no TPU")
    each = batch_size / max(1, replicas)
    padded = math.ceil(each / _TPU_SUBLANES) * _TPU_SUBLANES
    wanted = max(_TPU_LANES, padded)
    larger = wanted / each
    odd = each != padded and mesh_devices <= replicas and steady.steps_per_epoch >= larger
    alone = backend == "tensorflow" and steps_per_execution == 1 and steady.steps_per_epoch >= _TPU_STEPS
    if not odd and not alone:
        return Passed(f"{words.number(each)} samples a core, {steps_per_execution} steps a call")
    lines = [f"- batch_size={batch_size}", f"+ batch_size={wanted * max(1, replicas)}"] if odd else []
    lines += ["- model.compile(...)", f"+ model.compile(..., steps_per_execution={_TPU_STEPS})"] if alone else []
    factors = {"dispatch_s": in_one_call(_TPU_STEPS)} if alone else {}
    if odd:
        factors |= {
            "steps": exactly(1 / larger),
            "device_s": Range(larger, wanted / padded, wanted / padded),
            "supply_s": exactly(larger),
            "cpu_s": exactly(larger),
            "source_cpu_s": exactly(larger),
        }
    return Found(
        title="A TPU gets too little to do at a time",
        message=f"{words.number(each)} samples a core and {steps_per_execution} steps a call; a step takes "
        f"{words.seconds(compute_s)}.",
        phase="compute",
        evidence={"samples a core": words.number(each), "steps a call": str(steps_per_execution)},
        remedy="Give it "
        + " and ".join(["batches that fill its tiles"] * odd + ["several steps in one call"] * alone)
        + ".",
        code="\n".join(lines),
        change=Change(factors=factors),
        confidence="likely",
        changes_results="training" if odd else "no",
    )


@rule("DS07", "distribution-disables-xla")
def distribution_disables_xla(
    backend: str, distribution: str, accelerators: tuple[str, ...], jit_compile: bool, compute_s: float
) -> Outcome:
    """Under a strategy TensorFlow's step is not compiled by XLA.

    What it means: Keras compiles a step by itself on an accelerator, but not under a distribution strategy.

    Why it is slow: without XLA every operation is a kernel of its own, with its way through memory.

    What to change: JAX with `keras.distribution.DataParallel`, whose step is compiled as a whole. `jit_compile=True`
    under a strategy fails, as what is compiled reaches for the variables of all replicas.

    When this is wrong: shapes vary, so that XLA would compile again and again, or the model needs TensorFlow.

    Sources: Keras, `model_supports_jit`; https://github.com/keras-team/keras/issues/19005. Not verified on
    hardware: the prediction says 1 to 1.5 times.
    """
    if backend != "tensorflow" or not distribution:
        return NotApplicable("no strategy on TensorFlow")
    if not accelerators:
        return NotApplicable("on a CPU XLA is slower")
    if jit_compile:
        return Passed("the step is compiled")
    return Found(
        title="The strategy switches XLA off",
        message=f"Under `{distribution}` Keras does not compile the step, which takes {words.seconds(compute_s)}.",
        phase="compute",
        evidence={"strategy": distribution, "compute a step": words.seconds(compute_s)},
        remedy="Try it on JAX, which compiles the step of all devices.",
        code="+ export KERAS_BACKEND=jax\n+ keras.distribution.set_distribution(keras.distribution.DataParallel())",
        change=Change(factors={"device_s": _XLA}),
        confidence="hint",
        changes_results="rounding",
    )


@rule("DS09", "idle-accelerators")
def idle_accelerators(
    backend: str,
    distribution: str,
    replicas: int,
    accelerators: tuple[str, ...],
    jit_compile: bool,
    batch_size: int,
    compute_s: float,
    step_s: float,
    input_share: float,
    steady: Steady,
) -> Outcome:
    """Several accelerators are seen, and one is used.

    What it means: the backend sees more than one accelerator, and the training runs on one of them.

    Why it is slow: the others idle.

    What to change: data parallelism: each device trains on a part of the batch. On JAX
    `keras.distribution.DataParallel()` before the model is made, on TensorFlow `tf.distribute.MirroredStrategy`, under
    which XLA is off (DS07) and `jit_compile=True` fails. On torch `fit` divides nothing among devices, and `torchrun`
    starts as many trainings, each for itself: train on JAX, or write the loop with `DistributedDataParallel`.

    When this is wrong: the other devices are for other jobs. Where the step does not compute most of the time, or for a
    few milliseconds only, more devices gain nothing; the rule stays silent there. Code of your own in torch does not
    run on JAX.

    Sources: https://keras.io/guides/distribution/, https://keras.io/guides/distributed_training_with_torch/. Not
    verified on hardware: the prediction gives each device a whole batch, at 60 to 95 % of what it does alone, which
    changes training; on TensorFlow it takes what XLA gave a step, up to 1.5 times, away. For torch it is a hint, which
    gains nothing at worst: how fast the model is on another backend, or in a loop of your own, is not known.
    """
    count = len(accelerators)
    if count < 2:
        return NotApplicable("there is one accelerator" if count else "there is no accelerator")
    if distribution or replicas > 1:
        return Passed("over which devices the training goes was chosen")
    if not waits(input_share):
        return Passed(f"the step waits for data {words.share(input_share)} of the time: one device is enough")
    if compute_s < _COMPUTES_FROM * step_s or compute_s < _WORTH_DIVIDING_S:
        return Passed(f"a step computes {words.seconds(compute_s)} of {words.seconds(step_s)}: one device is enough")
    if steady.steps_per_epoch < count:
        return NotApplicable("the data are one batch")
    remedy = "Train on all of them, with a batch as much larger."
    code = "+ keras.distribution.set_distribution(keras.distribution.DataParallel())"
    each = Range(1 / _SCALING.low, 1 / _SCALING.expected, 1 / _SCALING.high)
    if backend == "torch":
        remedy = (
            "Keras divides no training among devices on torch: train on JAX, or write the loop yourself, with "
            "`torch.nn.parallel.DistributedDataParallel`."
        )
        code = f"- export KERAS_BACKEND=torch\n+ export KERAS_BACKEND=jax\n{code}"
        each = Range(count, each.expected, each.high)
    elif backend == "tensorflow":
        code = "+ with tf.distribute.MirroredStrategy().scope():\n+     model = make_model()"
        if jit_compile:
            remedy += " XLA is off there: take `jit_compile=True` out of `compile`, if you set it."
            each = Range(each.low / _XLA.high, each.expected / _XLA.expected, each.high / _XLA.low)
    return Found(
        title=f"{count} accelerators are there, one is used",
        message=f"The step computes {words.seconds(compute_s)} of {words.seconds(step_s)}, on one of {count} devices.",
        phase="compute",
        evidence={"accelerators": str(count), "replicas": str(replicas), "compute a step": words.seconds(compute_s)},
        remedy=remedy,
        code=f"{code}\n- batch_size={batch_size}\n+ batch_size={batch_size * count}",
        change=Change(
            factors={
                "steps": exactly(1 / count),
                "device_s": each,
                "supply_s": exactly(count),
                "cpu_s": exactly(count),
                "source_cpu_s": exactly(count),
            }
        ),
        confidence="hint" if backend == "torch" else "likely",
        changes_results="training",
    )


@rule("DS10", "model-fills-memory", silences=("MC00",))
def model_fills_memory(
    backend: str,
    accelerators: tuple[str, ...],
    replicas: int,
    mesh_devices: int,
    model: Model,
    mixed_policy: str,
    custom_train_step: bool,
    batch_size: int,
    trainable_parameters: int,
    device_memory_share: float,
    compute_s: float,
    steady: Steady,
) -> Outcome:
    """The model is so large that hardly any batch fits beside it.

    What it means: the memory of the device is full, the model has more than a hundred million weights, and the batch is
    tiny.

    Why it is slow: weights, gradients and the optimizer's state take the memory that a batch would need, and a device
    computes on a few samples not much faster than on one.

    What to change: keep less: mixed precision, an optimizer without state, recomputing activations (`keras.RematScope`,
    from Keras 3.9 on). With several devices, divide the model: `keras.distribution.ModelParallel` on JAX. Which weights
    to divide, and along which axis, the `LayoutMap` says.

    When this is wrong: a sample is so large, as a 3-D image or a long text, that one keeps the device busy. With
    `mixed_float16` a `train_step` of your own has to scale its loss: it is a hint there.

    Sources: https://keras.io/guides/distribution/, https://arxiv.org/abs/1910.02054 (16 bytes a weight with Adam). Not
    verified on hardware: the prediction gives a batch four times as large, for which a step takes 1.2 to 4 times as
    long.
    """
    if not accelerators:
        return NotApplicable("there is no accelerator")
    if batch_size > _TINY_BATCH:
        return Passed(f"{batch_size} samples a batch")
    if trainable_parameters < _LARGE_MODEL:
        return Passed(f"{words.number(trainable_parameters)} weights are trained")
    if device_memory_share < _FULL_MEMORY:
        return Passed(f"{words.share(device_memory_share)} of the memory was in use")
    if steady.steps_per_epoch < _LARGER:
        return NotApplicable("the data are one batch")
    scales = ""
    if backend == "jax" and len(accelerators) > 1 and mesh_devices <= replicas:
        remedy = "Divide the model among the devices, and take a larger batch."
        code = (
            f'+ mesh = keras.distribution.DeviceMesh((1, {len(accelerators)}), ("batch", "model"))\n'
            "+ layout = keras.distribution.LayoutMap(mesh)\n"
            '+ layout[".*dense.*/kernel"] = (None, "model")   # and so for each of the large weights\n'
            "+ keras.distribution.set_distribution(keras.distribution.ModelParallel(layout_map=layout))"
        )
    elif "16" in (model.dtype_policy or ""):
        remedy = "Keep less in memory, as an optimizer without averages of every weight does, and take a larger batch."
        code = "- model.compile(...)\n+ model.compile(..., optimizer=keras.optimizers.Adafactor())"
    else:
        scales = scaled_loss(mixed_policy, custom_train_step)
        remedy = "Keep less in memory, and take a larger batch." + SCALES_LOSS * bool(scales)
        code = f'+ keras.mixed_precision.set_global_policy("{mixed_policy}")  # before the model is made{scales}'
    return Found(
        title="The model fills the memory, so the batch is tiny",
        message=f"{words.number(trainable_parameters)} weights leave room for {batch_size} samples: "
        f"{words.share(device_memory_share)} of the device's memory was in use, and a step takes "
        f"{words.seconds(compute_s)}.",
        phase="compute",
        evidence={
            "memory at its fullest": words.share(device_memory_share),
            "weights, gradients, Adam's state": words.size(16 * trainable_parameters),
            "samples a batch": str(batch_size),
        },
        remedy=remedy,
        code=f"{code}\n- batch_size={batch_size}\n+ batch_size={batch_size * _LARGER}",
        change=Change(
            factors={
                "steps": exactly(1 / _LARGER),
                "device_s": Range(4.0, 2.0, 1.2),
                "supply_s": exactly(_LARGER),
                "cpu_s": exactly(_LARGER),
                "source_cpu_s": exactly(_LARGER),
            }
        ),
        confidence="hint" if scales else "likely",
        changes_results="training",
    )


RULES = (gpu_thread_contention, tpu_misuse, distribution_disables_xla, idle_accelerators, model_fills_memory)
