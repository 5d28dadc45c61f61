"""CB: callbacks, validation and checkpoints."""

from tb_trainspeed.profile import CallbackFacts, Hook, NestedCall
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import BATCH_HOOKS, Steady
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, exactly, rule

# Below 5 % of training a fix gains less than runs differ from each other.
_SPEAK_FROM = 0.05
_VALIDATION_FROM = 0.25
# A step that follows other work finds its caches cold. Where a callback takes longer than the step itself, this much of
# the step is left without it: pessimistic, expected, optimistic. One pair on two cores gave 3.6 of 10.3 ms; the rest is
# assumed.
_WARM = Range(1.0, 0.8, 0.4)
_EVERY = 50
_EVERY_EPOCHS = 5
_KERAS_OWN = ("ProgbarLogger", "History")
_WATCH_VALIDATION = ("EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint")


@rule("CB01", "slow-batch-callback")
def slow_batch_callback(
    hooks: tuple[Hook, ...], nested_calls: tuple[NestedCall, ...], steps: int, steady: Steady
) -> Outcome:
    """A callback works on every batch.

    What it means: a hook that runs once a batch takes a good part of the step.

    Why it is slow: callbacks run on the thread that trains; the device idles meanwhile.

    What to change: do the work every 50th batch, or at the end of the epoch.

    When this is wrong: the callback must see every batch, for example because it changes the learning rate.

    Sources: https://github.com/tensorflow/tensorflow/issues/37876. The prediction takes the measured time of the hook
    out of the step but for one batch in 50.
    """
    nested = {(call.callback, call.hook) for call in nested_calls}
    rows = [
        row
        for row in hooks
        if row.hook in BATCH_HOOKS
        and row.phase == "callbacks"
        and not row.callback.startswith(_KERAS_OWN)
        and (row.callback, row.hook) not in nested
    ]
    if not rows:
        return NotApplicable("no callback works on batches")
    slowest = max(rows, key=lambda row: row.total_s)
    per_step = slowest.total_s / max(1, steps)
    share = per_step * steady.steps_per_epoch / steady.epoch_s
    if share < _SPEAK_FROM:
        return Passed(f"the slowest, `{slowest.callback}.{slowest.hook}`, takes {words.share(share)} of training")
    return Found(
        title="A callback works on every batch",
        message=f"`{slowest.callback}.{slowest.hook}` takes {words.seconds(per_step)} a step, {words.share(share)} of "
        "training, and the step waits for it.",
        phase="callbacks",
        evidence={
            "calls": words.number(slowest.calls),
            "time a call": f"{words.seconds(slowest.total_s / slowest.calls)}, at most {words.seconds(slowest.max_s)}",
            "share of training": words.share(share),
        },
        remedy=f"Do it on every {_EVERY}th batch, or at the end of the epoch.",
        code=f"  def {slowest.hook}(self, batch, logs=None):\n+     if batch % {_EVERY}:\n+         return",
        change=Change(removes={"batch_callbacks_s": exactly(per_step * (1 - 1 / _EVERY))}),
        bars={slowest.hook: per_step, "the rest of a step": steady.epoch_s / steady.steps_per_epoch - per_step},
    )


@rule("CB02", "predict-in-callback", silences=("CB01",))
def predict_in_callback(
    nested_calls: tuple[NestedCall, ...], hooks: tuple[Hook, ...], steps: int, epochs: int, steady: Steady
) -> Outcome:
    """A callback calls `predict` or `evaluate`.

    What it means: `model.predict` or `model.evaluate` runs inside a hook of a callback.

    Why it is slow: each call builds an input pipeline, a loop and a list of callbacks of its own, and makes training
    wait for all of it. For a few samples that costs far more than the network.

    What to change: call the model itself, `self.model(x, training=False)`, and not on every batch. Validation belongs
    into `validation_data`.

    When this is wrong: the prediction is over a whole data set, once in a while, and wanted.

    Sources: https://github.com/tensorflow/tensorflow/issues/44711; Keras, Model.predict ("not intended for use inside
    of loops"). Measured on two cores: 21.8 times faster. The prediction leaves between 2 and 40 % of the measured time.
    """
    inside = [call for call in nested_calls if call.calls]
    if not inside:
        return Passed("no callback calls predict or evaluate")
    worst = max(inside, key=lambda call: call.total_s)
    every_batch = worst.hook in BATCH_HOOKS
    per_step = worst.total_s / max(1, steps)
    per_epoch = per_step * steady.steps_per_epoch if every_batch else worst.total_s / epochs
    share = per_epoch / steady.epoch_s
    if share < _SPEAK_FROM:
        return Passed(f"`{worst.function}` inside `{worst.callback}` takes {words.share(share)} of training")
    each = worst.total_s / worst.calls
    saved = Range(0.6, 0.9, 0.98)
    if every_batch:
        saved = Range(0.9, 0.97, 0.99)
        removes = {"batch_callbacks_s": Range(*(per_step * end for end in _ends(saved)))}
        change = Change(removes=removes, factors={"device_s": _WARM, "dispatch_s": _WARM} if share > 0.5 else {})
        when = f"if batch % {_EVERY} == 0:"
    else:
        change = Change(removes={"epoch_callbacks_s": Range(*(per_epoch * end for end in _ends(saved)))})
        when = f"if epoch % {_EVERY_EPOCHS} == 0:"
    return Found(
        title=f"A callback calls `{worst.function}`",
        message=f"`{worst.callback}.{worst.hook}` called `{worst.function}` {words.number(worst.calls)} times, "
        f"{words.seconds(each)} each: {words.share(share)} of training. Every call sets up a loop of its own.",
        phase="callbacks",
        evidence={
            "calls": words.number(worst.calls),
            "time a call": words.seconds(each),
            "share of training": words.share(share),
        },
        remedy="Call the model itself, which sets up nothing, and not every time.",
        code=f"- y = self.model.{worst.function}(x)\n+ {when}\n+     y = self.model(x, training=False)",
        change=change,
        bars={f"{worst.function} an epoch": per_epoch, "the rest of an epoch": steady.epoch_s - per_epoch},
    )


def _ends(values: Range) -> tuple[float, float, float]:
    return values.low, values.expected, values.high


@rule("CB03", "checkpoint-too-often", silences=("CB01",))
def checkpoint_too_often(
    hooks: tuple[Hook, ...],
    callbacks: tuple[CallbackFacts, ...],
    checkpoint_share: float,
    steps: int,
    epochs: int,
    steady: Steady,
) -> Outcome:
    """Checkpoints are written so often that training waits for them.

    What it means: saving the model takes more than 5 % of training.

    Why it is slow: Keras writes the whole model, optimizer state included, on the thread that trains.

    What to change: save once an epoch, or every few epochs, and only the weights where that is enough.

    When this is wrong: epochs are long and losing one would cost more than the checkpoints do.

    Sources: Keras, ModelCheckpoint; https://github.com/deepchem/deepchem/issues/458. The prediction scales the measured
    time of the saving hooks by the number of saves.
    """
    rows = [row for row in hooks if row.phase == "checkpointing"]
    if not rows:
        return NotApplicable("no callback writes checkpoints")
    if checkpoint_share < _SPEAK_FROM:
        return Passed(f"checkpoints take {words.share(checkpoint_share)} of training")
    slowest = max(rows, key=lambda row: row.total_s)
    options = next((facts.options for facts in callbacks if slowest.callback.startswith(facts.name)), {})
    frequency = options.get("save_freq", "epoch")
    if slowest.hook in BATCH_HOOKS and frequency.isdigit():
        before = max(1.0, steady.steps_per_epoch / int(frequency))
        text = f"every {frequency} batches" if int(frequency) > 1 else "after every batch"
        code = f'- {slowest.callback}(..., save_freq={frequency})\n+ {slowest.callback}(..., save_freq="epoch")'
        left, remedy = 1 / before, "Save once an epoch."
        warmer = {"device_s": _WARM, "dispatch_s": _WARM} if checkpoint_share > 0.5 else {}
        saves = steps / int(frequency)
    else:
        warmer = {}
        every = round(steady.steps_per_epoch * _EVERY_EPOCHS)
        text, saves, left = "after every epoch", float(epochs), 1 / _EVERY_EPOCHS
        code = f"- {slowest.callback}(...)\n+ {slowest.callback}(..., save_freq={every})"
        remedy = f"Save every {_EVERY_EPOCHS} epochs."
    each = slowest.total_s / max(1.0, saves)
    return Found(
        title="Checkpoints are written too often",
        message=f"`{slowest.callback}` saves {text}, {words.seconds(each)} each: {words.share(checkpoint_share)} of "
        "training, and the step waits for it.",
        phase="checkpointing",
        evidence={
            "saves": words.number(saves),
            "time a save": words.seconds(each),
            "share of training": words.share(checkpoint_share),
        },
        remedy=remedy,
        code=code,
        change=Change(factors={"checkpointing_s": Range(min(1.0, left * 1.3), left, left * 0.8), **warmer}),
        bars={
            "checkpoints an epoch": checkpoint_share * steady.epoch_s,
            "the rest of an epoch": (1 - checkpoint_share) * steady.epoch_s,
        },
    )


@rule("CB06", "validation-dominates")
def validation_dominates(
    validation_share: float,
    validation_runs: int,
    validation_frequency: int,
    callbacks: tuple[CallbackFacts, ...],
    epochs_planned: int,
) -> Outcome:
    """Validation takes a large part of every epoch.

    What it means: more than a quarter of training is spent on validation.

    Why it is slow: it is run in full after every epoch, although the weights change little from one to the next.

    What to change: validate every few epochs with `validation_freq`, on fewer batches with `validation_steps`, or with
    larger batches with `validation_batch_size`: no gradients are kept, so much larger ones fit into memory.

    When this is wrong: a callback watches a validation metric after every epoch, such as EarlyStopping: its patience
    then counts validations, not epochs.

    Sources: https://github.com/tensorflow/tensorflow/issues/58828. The prediction divides the measured time of
    validation by the number of epochs between two.
    """
    if not validation_runs:
        return NotApplicable("no validation")
    if validation_share < _VALIDATION_FROM:
        return Passed(f"validation takes {words.share(validation_share)} of training")
    if epochs_planned < 2:
        return NotApplicable("there is one epoch, and one validation")
    watching = [facts.name for facts in callbacks if facts.name in _WATCH_VALIDATION]
    every = min(_EVERY_EPOCHS, epochs_planned)
    left = 1 / every
    note = f" `{watching[0]}` then acts on every {every}th epoch only." if watching else ""
    return Found(
        title="Validation takes a large part of every epoch",
        message=f"Validation takes {words.share(validation_share)} of training; it runs in full "
        + ("after every epoch." if validation_frequency == 1 else f"every {validation_frequency} epochs."),
        phase="validation",
        evidence={"validations": str(validation_runs), "share of training": words.share(validation_share)},
        remedy=f"Validate every {validation_frequency * every} epochs.{note}",
        code=f"- model.fit(..., validation_data=...)\n"
        f"+ model.fit(..., validation_data=..., validation_freq={validation_frequency * every})",
        # Part of the boundary between epochs is setting validation up.
        change=Change(factors={"validation_s": Range(left * 1.15, left, left), "restart_s": Range(1.0, 0.8, 0.6)}),
        changes_results="training" if watching else "no",
    )


RULES = (slow_batch_callback, predict_in_callback, checkpoint_too_often, validation_dominates)
