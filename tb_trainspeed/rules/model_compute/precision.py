"""How numbers are stored and laid out: precision, alignment, data format, kernels of attention."""

from tb_trainspeed.profile import Device, Environment, Layer, Model
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import capability_of, seconds_of, sizes
from tb_trainspeed.rules.model_compute.shared import (
    ATTENTION,
    CONVOLUTIONS,
    DISPATCHES_FROM,
    MATRIX,
    PARAMETERS_FROM,
    SCALES_LOSS,
    SPEAK_FROM,
    computes_little,
    cost,
    gpu_of,
    less,
    names,
    scaled_loss,
)
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule

_LONG = 512
# Tensor cores came with compute capability 7.0; the GTX 16xx have 7.5 and none.
_TENSOR_CORES_FROM, _NO_TENSOR_CORES = 7.0, "GTX 16"
_UNITS = {"bfloat16": ("avx512_bf16", "amx_bf16"), "float16": ("avx512_fp16", "amx_fp16")}
# What float32 leaves of computing on a CPU without. Measured on one without AVX-512: a small network of convolutions
# took TensorFlow 2.0 times as long in float16 and 5.8 to 8.7 times in bfloat16, torch 4.7 to 5.8 and 4 to 5 times; one
# of matrices took TensorFlow 0.9 to 1.4 times as long.
_WITHOUT_UNITS = {
    ("jax", "bfloat16"): Range(0.95, 0.6, 0.4),
    ("jax", "float16"): Range(0.95, 0.7, 0.5),
    ("tensorflow", "bfloat16"): Range(0.8, 0.2, 0.1),
    ("tensorflow", "float16"): Range(0.9, 0.5, 0.35),
}
_TORCH_WITHOUT_UNITS = Range(0.8, 0.25, 0.15)


def _has_tensor_cores(gpu: Device) -> bool:
    return (capability_of(gpu) or 0.0) >= _TENSOR_CORES_FROM and _NO_TENSOR_CORES not in gpu.name


def _is_double(model: Model, environment: Environment) -> bool:
    # JAX computes in single precision all the same, unless told to enable 64 bits.
    if environment.backend == "jax" and environment.settings.get("jax_enable_x64") != "True":
        return False
    return model.dtype_policy == "float64" or any(
        layer.dtype == "float64" and layer.parameters for layer in model.layers
    )


@rule("MC04", "float32-on-tensor-cores")
def float32_on_tensor_cores(
    environment: Environment,
    model: Model,
    mixed_policy: str,
    custom_train_step: bool,
    dispatch_s: float,
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """The GPU has units for 16-bit numbers, and the model computes in 32 bits.

    What it means: layers compute in `float32`, and the GPU has tensor cores.

    Why it is slow: matrix products and convolutions in 16 bits run several times as fast there, and half the memory is
    moved.

    What to change: `keras.mixed_precision.set_global_policy("mixed_bfloat16")` before the model is built
    (`"mixed_float16"` on GPUs before Ampere), and the last softmax with `dtype="float32"`.

    When this is wrong: the model is small, its sizes are no multiples of 8, or training gets unstable. The step may be
    bound by something else than matrix products. With `mixed_float16` a `train_step` of your own has to scale its loss,
    or training stalls, silently: it is a hint there.

    Sources: https://keras.io/api/mixed_precision, https://github.com/tensorflow/tensorflow/issues/34406 (no gain for a
    small model). Not verified on hardware: the prediction is 1 to 3 times faster computing.
    """
    gpu = gpu_of(environment)
    if gpu is None:
        return NotApplicable("no GPU of known compute capability is used")
    if not _has_tensor_cores(gpu):
        return NotApplicable(f"{gpu.name} has no tensor cores")
    if model.dtype_policy != "float32":
        return Passed(f"the policy is {model.dtype_policy}")
    if not any(layer.kind in MATRIX and layer.dtype in ("float32", None) for layer in model.layers):
        return Passed("no layer multiplies matrices in float32")
    if (model.parameters or 0) < PARAMETERS_FROM:
        return Passed("the model is small")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    # On torch it is not told from the rest.
    if environment.backend != "torch" and dispatch_s > DISPATCHES_FROM * computing_s:
        return Passed("much of a step is dispatch")
    scales = scaled_loss(mixed_policy, custom_train_step)
    return Found(
        title="The GPU could compute in 16 bits",
        message=f"{gpu.name} has tensor cores, and {words.number(model.parameters or 0)} parameters are used in "
        f"float32; a step computes for {words.seconds(computing_s)}.",
        phase="compute",
        evidence={
            "policy": "float32",
            "GPU": f"{gpu.name}, compute capability {gpu.capability}",
            "computing": f"{words.share(computing_share)} of training",
        },
        remedy="Use mixed precision, and keep the last activation in float32." + SCALES_LOSS * bool(scales),
        code=f'+ keras.mixed_precision.set_global_policy("{mixed_policy}")   # before the model is built{scales}',
        change=Change(factors={"device_s": Range(1.0, 0.6, 0.35)}),
        confidence="hint" if scales else "likely",
        changes_results="training" if scales else "rounding",
    )


@rule("MC05", "low-precision-on-wrong-hardware")
def low_precision_on_wrong_hardware(
    environment: Environment,
    model: Model,
    mixed_policy: str,
    custom_train_step: bool,
    accelerators: tuple[str, ...],
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """The model computes in 16 bits on hardware that has no units for that.

    What it means: a `mixed_` policy on a CPU, or on a GPU without tensor cores; `mixed_bfloat16` also on one before
    Ampere, whose tensor cores know float16 only. JAX makes no use of the 16-bit instructions of a CPU; on TensorFlow
    and torch it is convolutions that are slow on one without.

    Why it is slow: numbers are converted back and forth, or computed one by one.

    What to change: `float32`; `mixed_float16` where there are tensor cores for that.

    When this is wrong: memory is short, and 16 bits halve it. Without convolutions TensorFlow and torch convert with
    little loss; the rule is silent there. With `mixed_float16` a `train_step` of your own has to scale its loss: it is
    a hint there.

    Sources: https://github.com/tensorflow/tensorflow/issues/44191, https://github.com/tensorflow/tensorflow/issues/48127.
    Measured on two cores: float16 1.5 times, bfloat16 1.2 to 2.2 times slower than float32 on JAX; convolutions 2 to 9
    times on TensorFlow, 4 to 6 times on torch. The ends of the predicted range were set by few runs.
    """
    policy = model.dtype_policy or "float32"
    if "16" not in policy:
        return NotApplicable(f"the policy is {policy}")
    if accelerators:
        gpu = gpu_of(environment)
        if gpu is None or (_has_tensor_cores(gpu) and not ("bfloat16" in policy and mixed_policy == "mixed_float16")):
            return Passed("the accelerator has units for 16 bits")
        where, left = gpu.name, Range(1.0, 0.7, 0.4)
    else:
        gpu, kind = None, "bfloat16" if "bfloat16" in policy else "float16"
        if environment.backend != "jax":
            if not any(layer.kind in CONVOLUTIONS for layer in model.layers):
                return Passed(f"{environment.backend} multiplies matrices in 16 bits with little loss")
            if "avx2" not in environment.cpu_features or set(_UNITS[kind]) & set(environment.cpu_features):
                return Passed("the processor has units for 16 bits, or is not known to have none")
        # Neither `avx512_bf16` nor `amx_bf16` helps: measured on such CPUs, bfloat16 is slower than float32 all the
        # same.
        where = environment.cpu or "the CPU"
        left = _WITHOUT_UNITS.get((environment.backend, kind), _TORCH_WITHOUT_UNITS)
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    other = gpu is not None and _has_tensor_cores(gpu)
    scales = scaled_loss("mixed_float16" if other else "float32", custom_train_step)
    return Found(
        title="16 bits are slow on this hardware",
        message=f"The policy is `{policy}`, and {where} has no units for that; a step computes for "
        f"{words.seconds(computing_s)}.",
        phase="compute",
        evidence={"policy": policy, "hardware": where, "computing": f"{words.share(computing_share)} of training"},
        remedy=("Compute in float16." if other else "Compute in float32.") + SCALES_LOSS * bool(scales),
        code=f'- keras.mixed_precision.set_global_policy("{policy}")'
        + '\n+ keras.mixed_precision.set_global_policy("mixed_float16")' * other
        + scales,
        change=Change(factors={"device_s": left}),
        confidence="hint" if scales else "likely",
        changes_results="training" if scales else "rounding",
    )


@rule("MC06", "misaligned-dims")
def misaligned_dims(
    model: Model,
    layer_s: dict[str, tuple[float, float]],
    accelerators: tuple[str, ...],
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """Layers compute in 16 bits with sizes that are no multiples of 8.

    What it means: tensor cores work on blocks of 8 numbers, a TPU on 128; a size that is no multiple of it is padded,
    or computed without them.

    Why it is slow: a part of each block is wasted, or the slower kernel is chosen.

    What to change: the next multiple: `Dense(1008)` for 1003, a vocabulary of 50304 for 50257.

    When this is wrong: the number of classes is given: then the last layer cannot change, and the rule leaves it out.

    Sources: https://docs.nvidia.com/deeplearning/performance/dl-performance-matrix-multiplication,
    https://cloud.google.com/tpu/docs/performance-guide. The time of the layers is measured by deep samples. Not
    verified on hardware: the prediction is up to 1.3 times faster layers.
    """
    if not accelerators:
        return NotApplicable("no accelerator is used")
    block = 128 if "TPU" in accelerators else 8
    if block == 8 and "16" not in (model.dtype_policy or ""):
        return NotApplicable(f"the policy is {model.dtype_policy}")
    sized = [layer for layer in model.layers if layer.kind in ("Dense", *CONVOLUTIONS)][:-1]
    found = [layer for layer in sized if _width(layer) and _width(layer) % block and _width(layer) > block]
    if not found:
        return Passed(f"the sizes are multiples of {block}")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    own_s = seconds_of(found, layer_s)
    if own_s < SPEAK_FROM * computing_s:
        return Passed(f"those that are not take {words.share(own_s / computing_s)} of what a step computes")
    layer = max(found, key=lambda row: sum(layer_s.get(row.path, (0.0, 0.0))))
    width = _width(layer)
    wanted = -(-width // block) * block
    return Found(
        title=f"Sizes are no multiples of {block}",
        message=f"{names(found)} take {cost(own_s, computing_s)} of computing; `{layer.name}` is {width} wide.",
        phase="compute",
        evidence={"layers": names(found), "width": str(width), "computing": cost(own_s, computing_s)},
        remedy="Use the next multiple.",
        code=f"- keras.layers.{layer.kind}({width}, ...)\n+ keras.layers.{layer.kind}({wanted}, ...)",
        change=less(own_s, 0.0, 0.1, 0.25),
        confidence="hint",
        changes_results="training",
    )


def _width(layer: Layer) -> int:
    text = layer.options.get("units") or layer.options.get("filters") or "0"
    return int(text) if text.isdigit() else 0


@rule("MC14", "float64-policy", silences=("TR01",))
def float64_policy(environment: Environment, model: Model, computing_share: float, computing_s: float) -> Outcome:
    """The model computes in double precision.

    What it means: `keras.config.set_floatx("float64")`, or a layer with `dtype="float64"`.

    Why it is slow: twice the memory is moved, and vector instructions hold half as many numbers. Most GPUs compute
    float64 at 1/32 or 1/64 of their speed.

    What to change: `float32`. Networks do not need more.

    When this is wrong: a physical simulation needs the digits. A step that is mostly dispatch gains nothing. On JAX the
    setting has no effect unless 64 bits are enabled, and the rule is silent.

    Sources: Keras, `keras.config.set_floatx`. Measured on two cores: 1.9 to 3.5 times faster in float32; the
    prediction leaves 25 to 70 % of computing.
    """
    if not _is_double(model, environment):
        return Passed("nothing computes in float64")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    on_gpu = any(device.kind == "GPU" for device in environment.devices)
    named = environment.settings.get("keras.config.floatx") == "float64"
    return Found(
        title="The model computes in double precision",
        message=f"The policy is {model.dtype_policy}; a step computes for {words.seconds(computing_s)}.",
        phase="compute",
        evidence={
            "policy": str(model.dtype_policy),
            "computing": f"{words.share(computing_share)} of training",
        },
        remedy="Compute in float32, and convert the inputs.",
        code='- keras.config.set_floatx("float64")' if named else '- dtype="float64"',
        change=Change(factors={"device_s": Range(0.8, 0.3, 0.05) if on_gpu else Range(0.7, 0.3, 0.25)}),
        confidence="likely",
        changes_results="rounding",
    )


@rule("MC15", "attention-no-flash")
def attention_no_flash(
    environment: Environment,
    model: Model,
    accelerators: tuple[str, ...],
    layer_s: dict[str, tuple[float, float]],
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """Attention over long sequences does not use the kernel made for it.

    What it means: `MultiHeadAttention` over 512 positions or more on a GPU, and flash attention is switched off.

    Why it is slow: the matrix of all pairs of positions is written to memory and read again, three times over.

    What to change: let Keras choose, as it does by itself, with a 16-bit policy.

    When this is wrong: dropout within attention, a mask of one's own, or `return_attention_scores` rule the kernel out.
    On TensorFlow it was measured to be slower (10.6 to 14.3 s), so the rule is for JAX and torch only.

    Sources: https://github.com/keras-team/keras-hub/pull/2014 (10.6 to 5.5 s on JAX, 24.1 to 18.4 s on torch). The
    time of the layers is measured by deep samples; the prediction takes 5 to 50 % of it away, 30 % as expected, which
    is between those two. Not verified on hardware.
    """
    found = [
        layer
        for layer in model.layers
        if layer.kind in ATTENTION and len(sizes(layer.output_shape)) == 2 and sizes(layer.output_shape)[0] >= _LONG
    ]
    if not found:
        return NotApplicable("no attention over a long sequence")
    if "GPU" not in accelerators:
        return NotApplicable("the kernel is for GPUs")
    if environment.backend == "tensorflow":
        return NotApplicable("TensorFlow is slower with it")
    if environment.settings.get("keras.config.is_flash_attention_enabled") != "False":
        return Passed("Keras takes the kernel where it can")
    if "16" not in (model.dtype_policy or ""):
        return Passed("the kernel is for 16-bit numbers")
    if any("dropout" in layer.options for layer in found):
        return Passed("dropout within attention rules it out")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    own_s = seconds_of(found, layer_s)
    if own_s < SPEAK_FROM * computing_s:
        return Passed(f"attention takes {words.share(own_s / computing_s)} of what a step computes")
    length = max(sizes(layer.output_shape)[0] for layer in found)
    return Found(
        title="Attention does not use the kernel made for it",
        message=f"{names(found)} look at {length} positions: {cost(own_s, computing_s)} of computing.",
        phase="compute",
        evidence={"layers": names(found), "positions": str(length), "computing": cost(own_s, computing_s)},
        remedy="Let Keras choose.",
        code="- keras.config.disable_flash_attention()",
        change=less(own_s, 0.05, 0.3, 0.5),
        confidence="likely",
        changes_results="rounding",
    )


@rule("MC16", "channels-first-on-cpu")
def channels_first(
    layers: tuple[Layer, ...],
    accelerators: tuple[str, ...],
    layer_s: dict[str, tuple[float, float]],
    backend: str,
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """Convolutions run with the channels first on a CPU.

    What it means: `data_format="channels_first"`, or `keras.config.set_image_data_format("channels_first")`.

    Why it is slow: the fast kernels of CPUs want the channels last; arrays are transposed there and back.

    What to change: `channels_last`, the default, and images of shape (height, width, channels).

    When this is wrong: torch has its own layout and loses nothing; the rule is silent there. On GPUs it depends on the
    version. It is a hint.

    Sources: https://github.com/tensorflow/tpu/issues/389 (0.87 to 0.67 s a batch, the other way round, on a V100). The
    time of the layers is measured by deep samples. The prediction is an assumption: up to 1.7 times faster layers.
    """
    found = [layer for layer in layers if layer.options.get("data_format") == "channels_first"]
    if not found:
        return Passed("the channels come last")
    if accelerators or backend == "torch":
        return NotApplicable("which format is fast depends on the version")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    own_s = seconds_of(found, layer_s)
    if own_s < SPEAK_FROM * computing_s:
        return Passed(f"these layers take {words.share(own_s / computing_s)} of what a step computes")
    return Found(
        title="Channels come first on a CPU",
        message=f"{names(found)} compute with the channels first: {cost(own_s, computing_s)} of computing.",
        phase="compute",
        evidence={"layers": names(found), "computing": cost(own_s, computing_s)},
        remedy="Put the channels last.",
        code=f'- keras.layers.{found[0].kind}(..., data_format="channels_first")\n+ keras.layers.{found[0].kind}(...)',
        change=less(own_s, 0.0, 0.2, 0.4),
        confidence="hint",
        changes_results="rounding",
    )


RULES = (
    float32_on_tensor_cores,
    low_precision_on_wrong_hardware,
    misaligned_dims,
    float64_policy,
    attention_no_flash,
    channels_first,
)
