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
    """Floating-point operations of one sample, forward and backward.

    The backward pass is counted as twice the forward pass, and what was not counted from the shapes of a layer as two
    for every weight at every position of its output: Kaplan et al., "Scaling Laws for Neural Language Models", 2020,
    section 2.1.
    """
    if not profile.model.layers:
        return None
    return 3.0 * sum(
        _by_its_weights(layer) if layer.forward_flops is None else layer.forward_flops
        for layer in profile.model.layers
        if layer.parameters
    )


def _by_its_weights(layer: Layer) -> int:
    if layer.kind == "Embedding":  # which looks rows up
        return 0
    spread = layer.kind.startswith(("Conv", "Dense", "Depthwise", "EinsumDense", "Separable"))
    return 2 * layer.parameters * (math.prod(sizes(layer.output_shape)[:-1]) if spread else 1)


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
