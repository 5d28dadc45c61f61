"""What the rules of the model share: when they speak, and what they say of a layer."""

from collections.abc import Iterator, Mapping

from tb_trainspeed.profile import Device, Environment, Layer
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import capability_of, release_of
from tb_trainspeed.rules.rule import Change, Range

# Where less than half of training is computing, less computing is not the first thing to try.
_COMPUTES_FROM = 0.5
CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D")
#: The versions of Keras from which these run on cuDNN: before, they loop over time. Read in the wheels of 3.8 to 3.15;
#: on torch `LSTM` called cuDNN from 3.10 on, but in a way that failed, which was caught.
USES_CUDNN_FROM = {
    ("tensorflow", "LSTM"): (3, 0), ("tensorflow", "GRU"): (3, 0), ("jax", "LSTM"): (3, 14), ("torch", "LSTM"): (3, 15),
    ("torch", "GRU"): (3, 14),
}  # fmt: skip
# Layers that hand a mask on to the next.
_PASSES_MASK = (
    "Activation", "Add", "AlphaDropout", "Average", "BatchNormalization", "Bidirectional", "Concatenate", "Dense",
    "Dropout", "ELU", "GaussianDropout", "GaussianNoise", "Identity", "InputLayer", "LayerNormalization", "LeakyReLU",
    "Maximum", "Minimum", "Multiply", "PReLU", "ReLU", "SpatialDropout1D", "Subtract", "TimeDistributed",
)  # fmt: skip
#: What a remedy says besides, where `scaled_loss` has code for it.
SCALES_LOSS = (
    " `compile` then makes the optimizer divide the gradients by a scale, which your `train_step` has to multiply its "
    "loss by, unless it does so already."
)
RANDOM = ("Random", "AugMix", "CutMix", "MixUp", "RandAugment")
#: Where rules on how numbers are stored and multiplied speak: of models with so many parameters, of layers that take
#: such a share of computing; and from which share of it on dispatch is what a step waits for.
PARAMETERS_FROM, SPEAK_FROM, DISPATCHES_FROM = 1_000_000, 0.2, 0.4
ATTENTION = ("MultiHeadAttention", "GroupedQueryAttention")
MATRIX = ("Dense", "EinsumDense", *CONVOLUTIONS, *ATTENTION)


def computes_little(computing_share: float) -> str | None:
    """Returns why there is nothing to gain: training is mostly something else; or `None` where it computes."""
    if computing_share >= _COMPUTES_FROM:
        return None
    return f"computing is {words.share(computing_share)} of training"


def less(seconds: float, low: float, expected: float, high: float) -> Change:
    """These seconds of a step become less by these shares of them."""
    return Change(removes={"device_s": Range(low * seconds, expected * seconds, high * seconds)})


def cost(seconds: float, computing_s: float) -> str:
    """How much of computing this is: `12 ms of 40 ms, 30 %`."""
    return f"{words.seconds(seconds)} of {words.seconds(computing_s)}, {words.share(seconds / computing_s)}"


def names(layers: tuple[Layer, ...] | list[Layer]) -> str:
    """The first of these layers by name."""
    shown = ", ".join(f"`{layer.name}`" for layer in layers[:3])
    return f"{shown} and {len(layers) - 3} more" if len(layers) > 3 else shown


def option(layer: Layer, name: str) -> float:
    """A number among the options of a layer, 0 where it has its default."""
    try:
        return float(layer.options.get(name, "0"))
    except ValueError:
        return 0.0


def scaled_loss(policy: str, custom_train_step: bool) -> str:
    """What a training step of the user's own needs under a policy, as code; empty where it needs nothing.

    Under `mixed_float16` `compile` wraps the optimizer in a `LossScaleOptimizer`, which divides the gradients by 32768
    and more; it is Keras' own steps that multiply the loss by as much.
    """
    if policy != "mixed_float16" or not custom_train_step:
        return ""
    return "\n+ loss = self.optimizer.scale_loss(loss)   # in your `train_step`, before the gradients are computed"


def uses_cudnn(layer: Layer, backend: str, versions: Mapping[str, str]) -> bool:
    """Whether such a layer runs on cuDNN with this version of Keras, if nothing rules that out."""
    since = USES_CUDNN_FROM.get((backend, layer.kind))
    return since is not None and release_of(versions["keras"]) >= since


def masked(layers: tuple[Layer, ...], backend: str) -> Iterator[Layer]:
    """The layers that a mask keeps from cuDNN. On TensorFlow none does whose zeros are at the ends of rows."""
    mask = False
    for layer in layers if backend != "tensorflow" else ():
        if layer.kind == "Masking" or layer.options.get("mask_zero") == "True":
            mask = True
        elif layer.kind in ("LSTM", "GRU", "SimpleRNN"):
            if mask:
                yield layer
            # Of `Bidirectional` both get it.
            mask = mask and ("return_sequences" in layer.options or "/forward_" in layer.path)
        elif layer.kind not in _PASSES_MASK:
            mask = False


def gpu_of(environment: Environment) -> Device | None:
    """A GPU that is used and whose compute capability is known."""
    return next((device for device in environment.devices if device.kind == "GPU" and capability_of(device)), None)
