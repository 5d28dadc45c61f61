"""Facts of the model, how it was compiled, and the code of its step."""

import math
import re

from tb_trainspeed.profile import CodeLine, Layer, Model, Profile
from tb_trainspeed.rules.facts.registry import fact


@fact
def model(profile: Profile) -> Model:
    """Static facts of the model. What of it may be missing is a fact of its own."""
    return profile.model


@fact
def layers(profile: Profile) -> tuple[Layer, ...]:
    return profile.model.layers


@fact
def loss(profile: Profile) -> str | None:
    return profile.model.loss


@fact
def optimizer(profile: Profile) -> str | None:
    return profile.model.optimizer


@fact
def trainable_parameters(profile: Profile) -> int | None:
    return profile.model.trainable_parameters


@fact
def run_eagerly(profile: Profile) -> bool | None:
    return profile.model.run_eagerly


@fact
def functions_run_eagerly(profile: Profile) -> bool:
    return bool(profile.model.functions_run_eagerly)


@fact
def jit_compile(profile: Profile) -> bool | None:
    return profile.model.jit_compile


@fact
def steps_per_execution(profile: Profile) -> int | None:
    return profile.model.steps_per_execution


@fact
def custom_train_step(profile: Profile) -> bool:
    return bool(profile.model.custom_train_step)


@fact
def step_code(profile: Profile) -> tuple[CodeLine, ...] | None:
    """Lines of the user's own code of a step, by its source."""
    return profile.model.code if profile.model.code_functions is not None else None


@fact
def operations(profile: Profile) -> int | None:
    """How many operations the traced step holds."""
    return profile.model.operations


@fact
def sample_flops(profile: Profile) -> float | None:
    """Floating-point operations of one sample, forward and backward, from the shapes of the layers.

    Two for every weight at every position of the output, and twice that again for the backward pass: the count of
    Kaplan et al., "Scaling Laws for Neural Language Models", 2020, section 2.1. Recurrent layers are counted for one
    position.
    """
    if not profile.model.layers:
        return None
    total = 0.0
    for layer in profile.model.layers:
        dimensions = [int(size) for size in re.findall(r"\d+", layer.output_shape or "")]
        positions = math.prod(dimensions[:-1]) if layer.kind.startswith(("Conv", "Depthwise", "Separable")) else 1
        total += 6.0 * layer.parameters * positions
    return total


@fact
def step_flops(profile: Profile) -> float | None:
    """Floating-point operations of one step, forward and backward; `None` unless all layers were counted.

    The backward pass is counted as twice the forward pass: Kaplan et al., "Scaling Laws for Neural Language Models",
    2020, section 2.1.
    """
    counts = [layer.forward_flops for layer in profile.model.layers if layer.parameters]
    known = [count for count in counts if count is not None]
    if not known or len(known) < len(counts) or not profile.data.batch_size:
        return None
    return 3.0 * sum(known) * profile.data.batch_size


def sizes(described: str | None) -> tuple[int, ...]:
    """The known dimensions of a shape without the batch: `(None, 28, 28, 1)` -> `(28, 28, 1)`."""
    parts = (described or "").strip("()[]").split(",")[1:]
    return tuple(int(part) for part in parts if re.fullmatch(r"\s*\d+\s*", part))
