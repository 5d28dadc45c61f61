"""Callbacks that predict, evaluate, or write the model."""

import math

from tb_trainspeed.profile import CallbackFacts, Hook, NestedCall
from tb_trainspeed.rules import words
from tb_trainspeed.rules.callbacks.shared import (
    EVERY_EPOCHS,
    LOOPS,
    SPEAK_FROM,
    WARM,
    WATCHERS,
    counts_calls,
    ends,
    facts_of,
    steers,
    which_batch,
)
from tb_trainspeed.rules.facts import BATCH_HOOKS, FIT_HOOKS, Steady
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule

# What `predict` in batches of 1024 instead of 32 saves of its time. An assumption.
_IN_LARGER_BATCHES = Range(0.2, 0.6, 0.95)


def _watches_own_metric(facts: CallbackFacts) -> bool:
    """Whether a callback acts on a number that is none of `fit`'s own, which another may put into the logs."""
    watches = facts.name in WATCHERS or facts.kind in WATCHERS
    monitor = facts.options.get("monitor", "loss")
    return watches and monitor not in ("loss", "accuracy", "acc") and not monitor.startswith("val_")


@rule("CB02", "predict-in-callback")
def predict_in_callback(
    nested_calls: tuple[NestedCall, ...],
    hooks: tuple[Hook, ...],
    callbacks: tuple[CallbackFacts, ...],
    steps: int,
    steps_per_execution: int,
    epochs: int,
    steady: Steady,
) -> Outcome:
    """A callback calls `predict` or `evaluate`.

    What it means: `model.predict` or `model.evaluate` runs inside a hook of a callback.

    Why it is slow: each call builds an input pipeline, a loop and a list of callbacks of its own, and makes training
    wait for all of it. For a few samples that costs far more than the network.

    What to change: `predict_on_batch`, which sets up nothing, and not on every batch; of many samples `predict` in
    larger batches, and not in every epoch, unless a checkpoint or `EarlyStopping` acts on what the callback makes of
    it. Validation belongs into `validation_data`.

    When this is wrong: the prediction is over a whole data set, once in a while, and wanted. A loop over `predict`
    outside of `fit` is as slow for the same reason, but nothing is measured there, so this rule does not see it.

    Sources: https://github.com/tensorflow/tensorflow/issues/44711; Keras, Model.predict ("not intended for use inside
    of loops"). Measured on two cores: 21.8 times faster. The prediction leaves 2 to 40 % of the measured time in
    hooks of epochs, and 0.1 to 3 % in those of batches, where up to all of garbage collection goes with it.
    """
    inside = [call for call in nested_calls if call.calls and call.function in LOOPS and call.hook not in FIT_HOOKS]
    if not inside:
        return Passed("no callback calls predict or evaluate in an epoch")
    worst = max(inside, key=lambda call: call.total_s)
    every_batch = worst.hook in BATCH_HOOKS
    # Calls of the first epoch take another time than later ones, and what is left of all is little.
    of_all = worst.total_s / max(1e-9, worst.total_s, sum(row.total_s for row in hooks if row.phase == "callbacks"))
    per_step = of_all * steady.per_step("callbacks")
    per_epoch = per_step * steady.steps_per_epoch if every_batch else worst.total_s / epochs
    share = per_epoch / steady.epoch_s
    if share < SPEAK_FROM:
        return Passed(f"`{worst.function}` inside `{worst.callback}` takes {words.share(share)} of training")
    each = worst.total_s / worst.calls
    times = steps / max(1, steps_per_execution) if every_batch else epochs
    often = worst.calls > times / 2  # else it is done now and then already
    # Without what it puts into the logs, a `ModelCheckpoint` saves whatever there is.
    fed = () if every_batch else tuple(one.name for one in callbacks if _watches_own_metric(one))
    if every_batch:
        saved = Range(0.97, 0.995, 0.999) if often else Range(0.6, 0.9, 0.98)
        garbage = Range(0.0, 0.9, 1.0) if share > 0.5 else Range(0.0, 0.0, 1.0)
        removes = {
            "batch_callbacks_s": Range(*(per_step * end for end in ends(saved))),
            "other_step_s": Range(*(steady.per_step("gc") * end for end in ends(garbage))),
        }
        change = Change(removes=removes, factors=WARM if share > 0.5 else {})
        when = f"{counts_calls(steps_per_execution, 1)}+ if {which_batch(steps_per_execution)} == 0:"
        remedy, call = "Predict on one batch, which sets up nothing", "self.model.predict_on_batch(x)"
    else:
        saved = _IN_LARGER_BATCHES if fed else Range(0.6, 0.9, 0.98)
        change = Change(removes={"epoch_callbacks_s": Range(*(per_epoch * end for end in ends(saved)))})
        when = f"+ if epoch % {EVERY_EPOCHS} == 0:"
        remedy, call = "Predict in larger batches", "self.model.predict(x, batch_size=1024, verbose=0)"
    seldom = often and not fed
    remedy += ", and not every time." if seldom else "."
    if fed:
        remedy += f" Every epoch needs it: `{fed[0]}` acts on what it puts into the logs."
    code = f"- y = self.model.predict(x)\n{when}\n+     y = {call}"
    if worst.function == "evaluate":
        remedy += (
            " `evaluate` also sets the metrics of training back: what the history shows of an epoch was only the rest."
        )
        code = (
            f"- self.model.evaluate(x, y)\n{when}\n+     y_pred = {call}\n"
            "+     loss = keras.ops.mean(keras.losses.get(self.model.loss)(y, y_pred))"
        )
    if not seldom:
        code = code.replace(f"{when}\n+     ", "+ ").replace("\n+     ", "\n+ ")
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
        remedy=remedy,
        code=code,
        change=change,
        changes_results="training" if steers(worst.callback, callbacks) else "no",
        bars={f"{worst.function} an epoch": per_epoch, "the rest of an epoch": steady.epoch_s - per_epoch},
    )


# The callbacks of Keras whose `save_freq` is a number of batches.
_SAVERS = {"ModelCheckpoint", "BackupAndRestore"}
# An assumption: of what is saved with Adam, whose two moments are as large as the weights. Of others it is more.
_WEIGHTS_ONLY = 1 / 3


@rule("CB03", "checkpoint-too-often")
def checkpoint_too_often(
    hooks: tuple[Hook, ...],
    callbacks: tuple[CallbackFacts, ...],
    checkpoint_share: float,
    steps: int,
    steps_per_execution: int,
    epochs_planned: int,
    steady: Steady,
) -> Outcome:
    """Checkpoints are written so often that training waits for them.

    What it means: saving the model takes more than 5 % of training.

    Why it is slow: Keras writes the whole model, optimizer state included, on the thread that trains.

    What to change: save once an epoch, or every few epochs and after the last, and only the weights where that is
    enough.

    When this is wrong: epochs are long and losing one would cost more than the checkpoints do. Those that keep the best
    epoch go on looking at every epoch.

    Sources: Keras, ModelCheckpoint; https://github.com/deepchem/deepchem/issues/458. The prediction scales the measured
    time of the slowest of the saving hooks by the number of saves; of a model with the two moments of Adam the weights
    are a third.
    """
    rows = [row for row in hooks if row.phase == "checkpointing" and row.hook not in FIT_HOOKS]
    if not rows:
        return NotApplicable("no callback writes checkpoints")
    slowest = max(rows, key=lambda row: row.total_s)
    # What is proposed is for one of them.
    part = slowest.total_s / (sum(row.total_s for row in rows) or 1.0)
    share = checkpoint_share * part
    if share < SPEAK_FROM:
        return Passed(f"checkpoints take {words.share(checkpoint_share)} of training")
    saver = facts_of(slowest.callback, callbacks)
    of_keras = _is_of_keras(saver)
    if slowest.hook in BATCH_HOOKS:
        saves, text, code = _by_batches(slowest, saver, steps)
        left, remedy = 1 / max(1.0, saves * steady.steps_per_epoch / max(1, steps)), "Save once an epoch."
        warmer = WARM if share > 0.5 else {}
    else:
        warmer, saves = {}, float(slowest.calls)
        text = "after every epoch" if of_keras else f"in `{slowest.hook}`"
        if saver.options.get("save_best_only") == "True":
            # By batches Keras would know no metric of a validation, and save whatever there is.
            if not of_keras:
                return Passed(f"`{slowest.callback}` saves only the best epoch so far")
            if saver.options.get("save_weights_only") == "True":
                return Passed("only the weights of the best epoch so far are saved")
            left, remedy = (
                _WEIGHTS_ONLY,
                "Save only the weights. To go on with this training, the state of the optimizer would be needed too.",
            )
            code = (
                f"- {saver.name}(...)\n"
                f'+ {saver.name}("best.weights.h5", save_weights_only=True, save_best_only=True, ...)'
            )
        else:
            every = min(EVERY_EPOCHS, epochs_planned)
            if every < 2:
                return NotApplicable("there is one epoch, and one checkpoint")
            calls = math.ceil(round(steady.steps_per_epoch) / steps_per_execution)
            left, (remedy, code) = 1 / every, _every(every, calls * steps_per_execution, slowest.hook, saver)
    each = slowest.total_s / max(1.0, saves)
    factors = [1 - part * (1 - end) for end in (min(1.0, left * 1.3), left, left * 0.8)]
    return Found(
        title="Checkpoints are written too often",
        message=f"`{slowest.callback}` saves {text}, {words.seconds(each)} each: {words.share(share)} of "
        "training, and the step waits for it.",
        phase="checkpointing",
        evidence={
            "saves": words.number(saves),
            "time a save": words.seconds(each),
            "share of training": words.share(share),
        },
        remedy=remedy,
        code=code,
        change=Change(factors={"checkpointing_s": Range(*factors), **warmer}),
        bars={
            "checkpoints an epoch": share * steady.epoch_s,
            "the rest of an epoch": (1 - share) * steady.epoch_s,
        },
    )


def _is_of_keras(saver: CallbackFacts) -> bool:
    """Whether it is Keras that saves, also in a class derived from one of its own."""
    return "save_freq" in saver.options and bool({saver.name, saver.kind} & _SAVERS)


def _by_batches(row: Hook, saver: CallbackFacts, steps: int) -> tuple[float, str, str]:
    """How many times a hook of batches saved, how often that is in words, and code that saves once an epoch."""
    frequency = saver.options.get("save_freq", "")
    if not (_is_of_keras(saver) and frequency.isdigit()):  # it may leave the hook at once most of the time
        saves = min(float(row.calls), max(1.0, row.total_s / row.max_s)) if row.max_s else float(row.calls)
        code = f"- def {row.hook}(self, batch, logs=None):\n+ def on_epoch_end(self, epoch, logs=None):"
        return saves, f"in `{row.hook}`", code
    batches = max(1, int(frequency))
    text = f"every {frequency} batches" if batches > 1 else "after every batch"
    code = f'- {saver.name}(..., save_freq={frequency})\n+ {saver.name}(..., save_freq="epoch")'
    return min(float(row.calls), steps / batches), text, code


def _every(every: int, batches: int, hook: str, saver: CallbackFacts) -> tuple[str, str]:
    """What to do to save every few epochs, which Keras counts in batches, and its code."""
    code = f"  def {hook}(self, epoch, logs=None):\n+     if (epoch + 1) % {every}:\n+         return"
    if _is_of_keras(saver):
        code = f"- {saver.name}(...)\n+ {saver.name}(..., save_freq={batches * every})"
    if "BackupAndRestore" in (saver.name, saver.kind):  # which keeps nothing once `fit` is over
        return f"Save every {every} epochs.", code
    remedy = f"Save every {every} epochs, and once after `fit`."
    if _is_of_keras(saver):
        remedy += " The path must then name no metric of the validation."
    weights_only = saver.options.get("save_weights_only") == "True"
    last = 'save_weights("last.weights.h5")' if weights_only else 'save("last.keras")'
    return remedy, f"{code}\n  model.fit(...)\n+ model.{last}"


RULES = (predict_in_callback, checkpoint_too_often)
