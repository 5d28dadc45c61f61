"""What the rules of the update share: when they speak, and what they say of it."""

from tb_trainspeed.profile import Model
from tb_trainspeed.rules import words
from tb_trainspeed.rules.rule import Change, Range

# From this share of computing on, a cheaper update gains more than runs differ.
SPEAK_FROM = 0.15
BOUND_FROM = 0.3
CLIPS = ("clipnorm", "global_clipnorm")


def given(model: Model, name: str) -> float:
    """The value of an option of the optimizer, 0 where there is none."""
    text = model.optimizer_options.get(name, "0")
    try:
        return float(text)
    except ValueError:
        return float(text == "True")


def cheap(optimizer_s: float, computing_s: float, speak_from: float) -> str | None:
    """Why there is nothing to gain: the update is a small part of the step; or `None` where it is not."""
    if optimizer_s >= speak_from * computing_s:
        return None
    return f"the update of the weights is {words.share(optimizer_s / computing_s)} of what a step computes"


def evidence(optimizer_s: float, computing_s: float, parameters: int) -> dict[str, str]:
    return {
        "update a step": f"{words.seconds(optimizer_s)}, {words.share(optimizer_s / computing_s)} of computing",
        "trainable parameters": words.number(parameters),
    }


def less(optimizer_s: float, low: float, expected: float, high: float) -> Change:
    """The update takes this much less, as shares of it."""
    return Change(removes={"device_s": Range(low * optimizer_s, expected * optimizer_s, high * optimizer_s)})
