"""Switches that keep a GPU from what it can do: its tensor cores for float32, and cuDNN's search for kernels."""

import dataclasses
from collections.abc import Mapping

from tb_trainspeed.profile import Environment, Layer, Model
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import AMPERE, capability_of, seconds_of
from tb_trainspeed.rules.model_compute.shared import (
    ATTENTION,
    CONVOLUTIONS,
    DISPATCHES_FROM,
    MATRIX,
    PARAMETERS_FROM,
    SPEAK_FROM,
    computes_little,
    cost,
    gpu_of,
    less,
    names,
)
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule

# What TF32 leaves of products in float32: a product of large matrices took an A100 0.016 s of 0.11
# (https://pytorch.org/docs/stable/notes/cuda.html); gaming GPUs gain little. The middle is an assumption.
_LEFT_BY_TF32 = Range(1.0, 0.7, 0.15)
# On torch GPUs of AMD have capabilities too.
_NO_TF32 = ("AMD", "Radeon")
# Convolutions on torch have a switch of their own, which is on.
_TF32 = {
    "torch": ("torch.set_float32_matmul_precision", ("highest",), '+ torch.set_float32_matmul_precision("high")'),
    "tensorflow": (
        "tf.config.experimental.tensor_float_32_execution",
        ("False",),
        "- tf.config.experimental.enable_tensor_float_32_execution(False)",
    ),
    "jax": (
        "jax_default_matmul_precision",
        ("highest", "float32"),
        '+ jax.config.update("jax_default_matmul_precision", "tensorfloat32")',
    ),
}
_DETERMINISTIC = ("torch.backends.cudnn.deterministic", "torch.use_deterministic_algorithms")


@rule("MC21", "tf32-off")
def tf32_off(
    environment: Environment,
    model: Model,
    dispatch_s: float,
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """The GPU has tensor cores for float32, and is told not to use them.

    What it means: from Ampere on tensor cores multiply float32 as TF32, with ten bits after the point, and a switch
    keeps them from it: by default on torch, for all products but those of convolutions; on TensorFlow and JAX where
    somebody set it.

    Why it is slow: a product of large matrices takes an A100 seven times as long without.

    What to change: `torch.set_float32_matmul_precision("high")`; or drop the switch. It is the smaller step:
    16 bits, see MC04, are faster still.

    When this is wrong: a computation needs all digits of float32. GPUs for games gain little, and so do small products,
    and whatever memory holds up.

    Sources: https://pytorch.org/docs/stable/notes/cuda.html (0.11 and 0.016 s for a product on an A100), TensorFlow,
    `tf.config.experimental.enable_tensor_float_32_execution`; JAX, `jax_default_matmul_precision`. The share of the
    products is counted from the layers. Not verified on hardware: the prediction leaves 15 to 100 % of them.
    """
    gpu = gpu_of(environment)
    if gpu is None or (capability_of(gpu) or 0.0) < AMPERE or any(maker in gpu.name for maker in _NO_TF32):
        return NotApplicable("no GPU with tensor cores for float32 is known to be used")
    setting, off, code = _TF32[environment.backend]
    if environment.settings.get(setting) not in off:
        return Passed("products in float32 may use them")
    kinds = ("Dense", "EinsumDense", *ATTENTION) if environment.backend == "torch" else MATRIX
    all_flops = sum(layer.forward_flops or 0 for layer in model.layers)
    found = [layer for layer in model.layers if layer.kind in kinds and layer.dtype in ("float32", None)]
    share = sum(layer.forward_flops or 0 for layer in found) / all_flops if all_flops else 0.0
    if model.dtype_policy != "float32" or share < SPEAK_FROM:
        of_all = f"{words.share(share)} of the operations"
        return Passed(f"products in float32 are {of_all}, and the policy is {model.dtype_policy}")
    if (model.parameters or 0) < PARAMETERS_FROM:
        return Passed("the model is small")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    # On torch it is not told from the rest.
    if environment.backend != "torch" and dispatch_s > DISPATCHES_FROM * computing_s:
        return Passed("much of a step is dispatch")
    left = (1 - share * (1 - end) for end in dataclasses.astuple(_LEFT_BY_TF32))
    return Found(
        title="Products in float32 do not use the tensor cores",
        message=f"{gpu.name} could multiply float32 by its tensor cores, which `{setting}` rules out; a step computes "
        f"for {words.seconds(computing_s)}.",
        phase="compute",
        evidence={
            setting: environment.settings[setting],
            "GPU": f"{gpu.name}, compute capability {gpu.capability}",
            "products in float32": f"{words.share(share)} of the operations",
        },
        remedy="Let them use TF32.",
        code=code,
        change=Change(factors={"device_s": Range(*left)}),
        confidence="likely",
        changes_results="rounding",
    )


@rule("MC22", "cudnn-not-tuned")
def cudnn_not_tuned(
    backend: str,
    settings: Mapping[str, str],
    accelerators: tuple[str, ...],
    layers: tuple[Layer, ...],
    layer_s: dict[str, tuple[float, float]],
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """Convolutions on torch use the kernel that cuDNN guesses, not the fastest one.

    What it means: `torch.backends.cudnn.benchmark` is off, as it is by default, and the sizes of all convolutions are
    fixed.

    Why it is slow: cuDNN has several kernels for each convolution, and which is fastest depends on sizes and GPU. What
    it takes unasked need not be that one.

    What to change: `torch.backends.cudnn.benchmark = True`: the first step of each size then tries them all.

    When this is wrong: the sizes of pictures differ, so that each is tried anew; results have to be the same to the
    last digit from run to run. The rule is silent where cuDNN is told to be deterministic.

    Sources: https://pytorch.org/tutorials/recipes/recipes/tuning_guide.html, http://mzph.cn/news/535167.shtml (15 %
    less for a ResNet-101 on a GTX 1060). The time of the layers is measured by deep samples. Not verified on hardware:
    the prediction takes up to a fifth of it away.
    """
    if backend != "torch" or "GPU" not in accelerators:
        return NotApplicable("no torch on a GPU")
    if settings.get("torch.backends.cudnn.benchmark") != "False":
        return Passed("cuDNN tries its kernels")
    if "True" in (settings.get(name) for name in _DETERMINISTIC):
        return Passed("cuDNN is told to be deterministic")
    found = [layer for layer in layers if layer.kind in CONVOLUTIONS]
    if not found:
        return NotApplicable("the model has no convolutions")
    if any(layer.output_shape is None or "None" in layer.output_shape.partition(",")[2] for layer in found):
        return Passed("the sizes of convolutions differ from batch to batch")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    own_s = seconds_of(found, layer_s)
    if own_s < SPEAK_FROM * computing_s:
        return Passed(f"convolutions take {words.share(own_s / computing_s)} of what a step computes")
    return Found(
        title="cuDNN does not look for the fastest convolutions",
        message=f"{names(found)} take {cost(own_s, computing_s)} of computing, with kernels that were not compared.",
        phase="compute",
        evidence={
            "torch.backends.cudnn.benchmark": "False",
            "layers": names(found),
            "computing": cost(own_s, computing_s),
        },
        remedy="Let cuDNN try its kernels in the first step.",
        code="+ torch.backends.cudnn.benchmark = True",
        change=less(own_s, 0.0, 0.1, 0.2),
        confidence="hint",
        changes_results="rounding",
    )


RULES = (tf32_off, cudnn_not_tuned)
