"""What the rules of callbacks share."""

from collections.abc import Iterable

from tb_trainspeed.profile import CallbackFacts, Hook, NestedCall
from tb_trainspeed.rules.facts import BATCH_HOOKS
from tb_trainspeed.rules.rule import Range

# Below 5 % of training a fix gains less than runs differ from each other.
SPEAK_FROM = 0.05
EVERY_BATCHES, EVERY_EPOCHS = 50, 5
KERAS_OWN = ("ProgbarLogger", "History")
# A step that follows other work finds its caches cold. Where a callback takes longer than the step itself, this much of
# the step is left without it: pessimistic, expected, optimistic. Pairs on three machines of two cores gave 0.35 to 0.67
# of what the device computes, and on one of them 0.8 to 1.1 of the host's part.
WARM = {"device_s": Range(1.0, 0.62, 0.35), "dispatch_s": Range(1.0, 0.85, 0.4)}
#: Methods of the model that set up a loop of their own.
LOOPS = ("predict", "evaluate")
#: Callbacks whose patience counts epochs, or that compare epochs.
WATCHERS = ("EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint")


def is_tensorboard(row: Hook, callbacks: tuple[CallbackFacts, ...]) -> bool:
    """Whether a row is of Keras' TensorBoard callback, or of one derived from it."""
    kinds = {facts.name for facts in callbacks if "TensorBoard" in (facts.name, facts.kind)}
    return row.callback.partition(" #")[0] in kinds


def loops_inside(nested_calls: Iterable[NestedCall]) -> set[tuple[str, str]]:
    """The (callback, hook) that call `predict` or `evaluate`."""
    return {(call.callback, call.hook) for call in nested_calls if call.function in LOOPS}


def on_batches(row: Hook) -> bool:
    """Whether a row is of a hook that runs with every batch."""
    return row.hook in BATCH_HOOKS


def watching(callbacks: tuple[CallbackFacts, ...], names: tuple[str, ...] = WATCHERS) -> list[str]:
    """The callbacks that count or compare epochs."""
    return [facts.name for facts in callbacks if facts.name in names]


def ends(values: Range) -> tuple[float, float, float]:
    """The three ends, pessimistic first."""
    return values.low, values.expected, values.high
