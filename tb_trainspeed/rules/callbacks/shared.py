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
# of what the device computes, and on one of them 0.8 to 1.1 of the host's part; a fourth 0.1 to 0.81 and 0.61 to 0.83.
WARM = {"device_s": Range(1.0, 0.45, 0.2), "dispatch_s": Range(1.0, 0.77, 0.4)}
#: Methods of the model that set up a loop of their own.
LOOPS = ("predict", "evaluate")
#: Callbacks whose patience counts epochs, or that compare epochs.
WATCHERS = ("EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint")
# Parts of the names of callbacks that decide how the training goes on.
_STEERING = ("Stop", "Plateau", "Schedul", "LearningRate", "LR", "Warm", "Terminate", "EMA", "Averag", "reez")


def class_of(label: str) -> str:
    """The class of the callback of a row: the second of a class is called `Class #2`."""
    return label.partition(" #")[0]


def is_keras_own(row: Hook) -> bool:
    """Whether a row is of a callback that Keras adds by itself."""
    return class_of(row.callback) in KERAS_OWN


def facts_of(label: str, callbacks: tuple[CallbackFacts, ...]) -> CallbackFacts:
    """What is known of the callback of a row."""
    name, _, number = label.partition(" #")
    same = [facts for facts in callbacks if facts.name == name][int(number or 1) - 1 :]
    return same[0] if same else CallbackFacts(name, "")


def steers(label: str, callbacks: tuple[CallbackFacts, ...]) -> bool:
    """Whether a callback decides how the training goes on, as far as its name and that of its base class tell."""
    facts = facts_of(label, callbacks)
    return any(part in name for name in (facts.name, facts.kind) for part in _STEERING)


def is_tensorboard(row: Hook, callbacks: tuple[CallbackFacts, ...]) -> bool:
    """Whether a row is of Keras' TensorBoard callback, or of one derived from it."""
    kinds = {facts.name for facts in callbacks if "TensorBoard" in (facts.name, facts.kind)}
    return class_of(row.callback) in kinds


def loops_inside(nested_calls: Iterable[NestedCall]) -> set[tuple[str, str]]:
    """The (callback, hook) that call `predict` or `evaluate`."""
    return {(call.callback, call.hook) for call in nested_calls if call.function in LOOPS}


def on_batches(row: Hook) -> bool:
    """Whether a row is of a hook that runs with every batch."""
    return row.hook in BATCH_HOOKS


def watching(callbacks: tuple[CallbackFacts, ...], names: tuple[str, ...] = WATCHERS) -> list[str]:
    """The callbacks that count or compare epochs, and those derived from them."""
    return [facts.name for facts in callbacks if facts.name in names or facts.kind in names]


def may_watch_validation(callbacks: tuple[CallbackFacts, ...]) -> tuple[CallbackFacts, ...]:
    """The callbacks that are not known to watch something else."""
    return tuple(facts for facts in callbacks if facts.options.get("monitor", "val_").startswith("val_"))


def seldom_in_batches(hook: str, steps_per_execution: int) -> str:
    """Code that leaves a hook at once but for one call in 50."""
    head = f"  def {hook}(self, batch, logs=None):\n"
    return f"{head}{counts_calls(steps_per_execution, 5)}+     if {which_batch(steps_per_execution)}:\n+         return"


def every_50th(steps_per_execution: int) -> str:
    """Which calls of a hook that are, in words."""
    return f"on every {EVERY_BATCHES}th batch" if steps_per_execution == 1 else f"in every {EVERY_BATCHES}th call"


def counts_calls(steps_per_execution: int, indent: int) -> str:
    """Code that counts the calls of a hook, where `batch` is not what counts them."""
    if steps_per_execution == 1:
        return ""
    return f'+{" " * indent}self.calls = getattr(self, "calls", -1) + 1\n'


def which_batch(steps_per_execution: int) -> str:
    """Code of what is 0 in one call in 50. Of several steps a call, `batch` is the first or the last."""
    return f"{'batch' if steps_per_execution == 1 else 'self.calls'} % {EVERY_BATCHES}"


def ends(values: Range) -> tuple[float, float, float]:
    """The three ends, pessimistic first."""
    return values.low, values.expected, values.high
