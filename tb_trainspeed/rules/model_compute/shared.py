"""What the rules of the model share: when they speak, and what they say of a layer."""

from tb_trainspeed.profile import Layer
from tb_trainspeed.rules import words
from tb_trainspeed.rules.rule import Change, Range

# Where less than half of training is computing, less computing is not the first thing to try.
_COMPUTES_FROM = 0.5
CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D")
RANDOM = ("Random", "AugMix", "CutMix", "MixUp", "RandAugment")


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
