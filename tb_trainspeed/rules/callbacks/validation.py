"""Validation, and epochs that are too short for what an epoch costs."""

from tb_trainspeed.profile import CallbackFacts, Data, Layer, Validation
from tb_trainspeed.rules import words
from tb_trainspeed.rules.callbacks.shared import EVERY_EPOCHS, WATCHERS, watching
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.input_pipeline.shared import batches_of_arrays
from tb_trainspeed.rules.rule import Change, ChangesResults, Found, NotApplicable, Outcome, Passed, Range, rule

_VALIDATION_FROM = 0.25
# Up to the size that Keras takes by itself, a batch is small; this much larger ones are proposed where they at least
# halve validation.
_KERAS_BATCH = _SMALL_BATCH = 32
_LARGER, _HALF = 16, 0.5
# Arithmetic speed on a few cores, FLOP/s: pessimistic, expected, optimistic. An assumption.
_FLOPS = (5e9, 20e9, 60e9)
# What setting a validation up takes whatever its batches, seconds, at least. Measured on TensorFlow: 10 to 20 ms.
_SET_UP_S = (0.03, 0.015, 0.005)
# What a validation takes beside its steps is that, too, but for the slow ones among them: shares of it, assumed.
_BESIDE_STEPS = (1.2, 0.8, 0.3)
_FEW_STEPS, _MANY_EPOCHS, _RESTART_FROM, _ENOUGH_STEPS = 20, 10, 0.25, 100


@rule("CB06", "validation-dominates")
def validation_dominates(
    validation_share: float,
    validation: Validation,
    callbacks: tuple[CallbackFacts, ...],
    epochs_planned: int,
    data: Data,
    layers: tuple[Layer, ...],
    steady: Steady,
) -> Outcome:
    """Validation takes a large part of every epoch.

    What it means: more than a quarter of training is spent on validation.

    Why it is slow: it is run in full after every epoch, although the weights change little from one to the next, or in
    batches so small that each is mostly overhead.

    What to change: larger batches with `validation_batch_size`: no gradients are kept, so much larger ones fit into
    memory. Else validate every few epochs with `validation_freq`, or on fewer batches with `validation_steps`.

    When this is wrong: a callback watches a validation metric after every epoch, such as EarlyStopping: its patience
    then counts validations, not epochs.

    Sources: https://github.com/tensorflow/tensorflow/issues/58828. Measured on two cores: batches of 2048 instead of 16
    made epochs 6.8 times faster. The prediction divides the measured time of validation by the number of epochs between
    two; for larger batches it keeps the arithmetic, counted from the layers at 5 to 60 GFLOP/s, and what a validation
    takes beside its steps, and divides the rest of a step by how much larger they are.
    """
    if not validation.runs:
        return NotApplicable("no validation")
    if validation_share < _VALIDATION_FROM:
        return Passed(f"validation takes {words.share(validation_share)} of training")
    watchers = watching(callbacks)
    frequency = validation.frequency or 1
    larger = _larger_batches(validation, frequency * steady.phases.get("validation", 0.0) / steady.epochs, data, layers)
    if larger:
        size, left = larger
        how = f"in batches of {validation.batch_size or _KERAS_BATCH}."
        remedy = "Validate in larger batches: no gradients are kept, so they fit into memory."
        code = (
            "- model.fit(..., validation_data=...)\n"
            f"+ model.fit(..., validation_data=..., validation_batch_size={size})"
        )
        change = Change(factors={"validation_s": left})
        changes_results: ChangesResults = "rounding"
    elif epochs_planned < 2:
        return NotApplicable("there is one epoch, and one validation")
    else:
        every = min(EVERY_EPOCHS, epochs_planned)
        how = "after every epoch." if frequency == 1 else f"every {frequency} epochs."
        note = f" `{watchers[0]}` then acts on every {every}th epoch only." if watchers else ""
        remedy = f"Validate every {frequency * every} epochs.{note}"
        code = (
            f"- model.fit(..., validation_data=...)\n"
            f"+ model.fit(..., validation_data=..., validation_freq={frequency * every})"
        )
        # Part of the boundary between epochs is setting validation up.
        left = Range(1.15 / every, 1 / every, 1 / every)
        change = Change(factors={"validation_s": left, "restart_s": Range(1.0, 0.7, 0.3)})
        changes_results = "training" if watchers else "no"
    return Found(
        title="Validation takes a large part of every epoch",
        message=f"Validation takes {words.share(validation_share)} of training; it runs in full {how}",
        phase="validation",
        evidence={"validations": str(validation.runs), "share of training": words.share(validation_share)},
        remedy=remedy,
        code=code,
        change=change,
        changes_results=changes_results,
    )


def _larger_batches(
    validation: Validation, each_s: float, data: Data, layers: tuple[Layer, ...]
) -> tuple[int, Range] | None:
    """A batch size, and what larger batches leave of validation; `None` where it would not be half of it.

    One validation takes `each_s`. Only of arrays does Keras make the batches; of these the default is 32.
    """
    size = validation.batch_size or _KERAS_BATCH
    counts = [layer.forward_flops for layer in layers if layer.parameters]
    known = [count for count in counts if count is not None] if None not in counts else []
    if data.adapter != "ArrayDataAdapter" or size > _SMALL_BATCH or not validation.step_s or not known:
        return None
    steps = validation.steps / validation.runs
    times = min(_LARGER, steps)
    each_s = max(each_s, steps * validation.step_s)
    left = []
    for rate, set_up_s, share in zip(_FLOPS, _SET_UP_S, _BESIDE_STEPS, strict=True):
        arithmetic_s = min(validation.step_s, sum(known) * size / rate)
        stays_s = max(set_up_s, share * (each_s - steps * validation.step_s))
        left_s = steps * (arithmetic_s + (validation.step_s - arithmetic_s) / times) + stays_s
        left.append(min(1.0, left_s / each_s))
    return (size * _LARGER, Range(*left)) if left[1] < _HALF else None


def _in_fewer_epochs(data: Data, passes: int, steps: int, before: int, after: int) -> str:
    """Code that passes so many times over the data in one epoch."""
    if data.adapter == "GeneratorDataAdapter":
        return (
            f"- model.fit(generator, steps_per_epoch={steps}, epochs={before})\n"
            f"+ model.fit(generator, steps_per_epoch={passes * steps}, epochs={after})"
        )
    if data.adapter == "PyDatasetAdapter":
        return (
            f"- model.fit(train, epochs={before})\n+ model.fit(train, epochs={after})\n"
            f"  class {data.kind or 'Batches'}(keras.utils.PyDataset):\n      def __len__(self):\n-         return n\n"
            f"+         return {passes} * n\n\n      def __getitem__(self, index):\n+         index %= n"
        )
    if data.adapter == "ArrayDataAdapter":
        return (
            f"- model.fit(x, y, epochs={before})\n{batches_of_arrays(data.batch_size)}\n"
            f"+ model.fit(dataset.repeat({passes}), epochs={after})"
        )
    if data.adapter == "TFDatasetAdapter":
        return f"- model.fit(dataset, epochs={before})\n+ model.fit(dataset.repeat({passes}), epochs={after})"
    return (
        f"- model.fit(loader, epochs={before})\n+ def forever(batches):\n+     while True:\n"
        "+         yield from batches\n+\n"
        f"+ model.fit(forever(loader), steps_per_epoch={passes * steps}, epochs={after})"
    )


@rule("CB07", "tiny-epochs", silences=("CB06",))
def tiny_epochs(
    steady: Steady,
    restart_s: float,
    epochs_planned: int,
    callbacks: tuple[CallbackFacts, ...],
    data: Data,
) -> Outcome:
    """Epochs are so short that what an epoch costs outweighs its steps.

    What it means: an epoch has a handful of steps, and the boundary to the next takes more than a quarter of training.

    Why it is slow: every epoch makes a new iterator, starts the threads of the pipeline, fills its buffers, resets the
    metrics, and calls the callbacks.

    What to change: let one epoch pass over the data several times, with `repeat`, and plan fewer epochs. The updates
    are the same.

    When this is wrong: callbacks count in epochs: patience and schedules have to be divided likewise. The history has
    one entry for several passes.

    Sources: measured on two cores for 150 epochs of 2 steps: the whole fit 10.9 times faster on TensorFlow, the same on
    JAX. The prediction divides the measured boundary, the callbacks of an epoch and validation by the number of passes,
    and lets the first step of an epoch, whose caches are cold, compute 2.5 times as fast: measured, 2.3 times.
    """
    if epochs_planned < _MANY_EPOCHS:
        return NotApplicable(f"{epochs_planned} epochs are planned")
    per_epoch = steady.steps_per_epoch
    if per_epoch > _FEW_STEPS:
        return Passed(f"{words.number(per_epoch)} steps an epoch")
    share = restart_s / steady.epoch_s
    if share < _RESTART_FROM:
        return Passed(f"the boundary between epochs takes {words.share(share)} of training")
    passes = int(min(epochs_planned // 2, -(-_ENOUGH_STEPS // per_epoch)))
    watchers = watching(callbacks, (*WATCHERS, "LearningRateScheduler"))
    epochs_left = -(-epochs_planned // passes)
    left = Range(min(1.0, 2 / passes), 1.1 / passes, 1 / passes)
    warm = Range(1.0, 1 - 0.6 / per_epoch, 1 - 0.7 / per_epoch)
    return Found(
        title="Epochs are too short for what an epoch costs",
        message=f"An epoch has {words.number(per_epoch)} steps and takes {words.seconds(steady.epoch_s)}, of which "
        f"{words.seconds(restart_s)} are the boundary to the next epoch.",
        phase="epoch_restart",
        evidence={
            "steps an epoch": words.number(per_epoch),
            "boundary between epochs": f"{words.seconds(restart_s)}, {words.share(share)} of training",
        },
        remedy=f"Pass {passes} times over the data in one epoch, and plan {epochs_left} epochs."
        + (f" `{watchers[0]}` counts epochs: divide what it counts." if watchers else ""),
        code=_in_fewer_epochs(data, passes, round(per_epoch), epochs_planned, epochs_left),
        change=Change(factors={"restart_s": left, "epoch_callbacks_s": left, "validation_s": left, "device_s": warm}),
        changes_results="training" if watchers else "no",
    )


RULES = (validation_dominates, tiny_epochs)
