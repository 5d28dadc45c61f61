"""Callbacks that predict, evaluate, or write the model."""

from tb_trainspeed.profile import CallbackFacts, Hook, NestedCall
from tb_trainspeed.rules import words
from tb_trainspeed.rules.callbacks.shared import EVERY_BATCHES, EVERY_EPOCHS, LOOPS, SPEAK_FROM, WARM, ends
from tb_trainspeed.rules.facts import BATCH_HOOKS, Steady
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule


@rule("CB02", "predict-in-callback", silences=("CB01", "CB10"))
def predict_in_callback(nested_calls: tuple[NestedCall, ...], steps: int, epochs: int, steady: Steady) -> Outcome:
    """A callback calls `predict` or `evaluate`.

    What it means: `model.predict` or `model.evaluate` runs inside a hook of a callback.

    Why it is slow: each call builds an input pipeline, a loop and a list of callbacks of its own, and makes training
    wait for all of it. For a few samples that costs far more than the network.

    What to change: call the model itself, `self.model(x, training=False)`, and not on every batch. Validation belongs
    into `validation_data`.

    When this is wrong: the prediction is over a whole data set, once in a while, and wanted. A loop over `predict`
    outside of `fit` is as slow for the same reason, but nothing is measured there, so this rule does not see it.

    Sources: https://github.com/tensorflow/tensorflow/issues/44711; Keras, Model.predict ("not intended for use inside
    of loops"). Measured on two cores: 21.8 times faster. The prediction leaves between 2 and 40 % of the measured time.
    """
    inside = [call for call in nested_calls if call.calls and call.function in LOOPS]
    if not inside:
        return Passed("no callback calls predict or evaluate")
    worst = max(inside, key=lambda call: call.total_s)
    every_batch = worst.hook in BATCH_HOOKS
    per_step = worst.total_s / max(1, steps)
    per_epoch = per_step * steady.steps_per_epoch if every_batch else worst.total_s / epochs
    share = per_epoch / steady.epoch_s
    if share < SPEAK_FROM:
        return Passed(f"`{worst.function}` inside `{worst.callback}` takes {words.share(share)} of training")
    each = worst.total_s / worst.calls
    saved = Range(0.6, 0.9, 0.98)
    if every_batch:
        saved = Range(0.97, 0.995, 0.999)
        removes = {"batch_callbacks_s": Range(*(per_step * end for end in ends(saved)))}
        change = Change(removes=removes, factors=WARM if share > 0.5 else {})
        when = f"if batch % {EVERY_BATCHES} == 0:"
    else:
        change = Change(removes={"epoch_callbacks_s": Range(*(per_epoch * end for end in ends(saved)))})
        when = f"if epoch % {EVERY_EPOCHS} == 0:"
    if worst.function == "evaluate":
        remedy = "Call `test_on_batch`, which sets up no loop, and not every time."
        code = f"- self.model.evaluate(x, y)\n+ {when}\n+     self.model.test_on_batch(x, y, return_dict=True)"
    else:
        remedy = "Call the model itself, which sets up nothing, and not every time."
        code = f"- y = self.model.predict(x)\n+ {when}\n+     y = self.model(x, training=False)"
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
        bars={f"{worst.function} an epoch": per_epoch, "the rest of an epoch": steady.epoch_s - per_epoch},
    )


# An assumption: of what is saved with Adam, whose two moments are as large as the weights. Of others it is more.
_WEIGHTS_ONLY = 1 / 3


@rule("CB03", "checkpoint-too-often")
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

    When this is wrong: epochs are long and losing one would cost more than the checkpoints do. Those that keep the best
    epoch go on looking at every epoch.

    Sources: Keras, ModelCheckpoint; https://github.com/deepchem/deepchem/issues/458. The prediction scales the measured
    time of the saving hooks by the number of saves; of a model with the two moments of Adam the weights are a third.
    """
    rows = [row for row in hooks if row.phase == "checkpointing"]
    if not rows:
        return NotApplicable("no callback writes checkpoints")
    if checkpoint_share < SPEAK_FROM:
        return Passed(f"checkpoints take {words.share(checkpoint_share)} of training")
    slowest = max(rows, key=lambda row: row.total_s)
    options = next((facts.options for facts in callbacks if slowest.callback.startswith(facts.name)), {})
    frequency = options.get("save_freq", "epoch")
    if slowest.hook in BATCH_HOOKS and frequency.isdigit():
        before = max(1.0, steady.steps_per_epoch / int(frequency))
        text = f"every {frequency} batches" if int(frequency) > 1 else "after every batch"
        code = f'- {slowest.callback}(..., save_freq={frequency})\n+ {slowest.callback}(..., save_freq="epoch")'
        left, remedy = 1 / before, "Save once an epoch."
        warmer = WARM if checkpoint_share > 0.5 else {}
        saves = steps / int(frequency)
    else:
        warmer = {}
        text, saves = "after every epoch", float(epochs)
        code = f"- {slowest.callback}(...)\n+ "
        if options.get("save_best_only") == "True":
            # By batches Keras would know no metric of a validation, and save whatever there is.
            if options.get("save_weights_only") == "True":
                return Passed("only the weights of the best epoch so far are saved")
            left, remedy = (
                _WEIGHTS_ONLY,
                "Save only the weights. To go on with this training, the state of the optimizer would be needed too.",
            )
            code += f'{slowest.callback}("best.weights.h5", save_weights_only=True, save_best_only=True, ...)'
        else:
            left, remedy = 1 / EVERY_EPOCHS, f"Save every {EVERY_EPOCHS} epochs."
            code += f"{slowest.callback}(..., save_freq={round(steady.steps_per_epoch * EVERY_EPOCHS)})"
            remedy += " The path must then name no metric of the validation."
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


RULES = (predict_in_callback, checkpoint_too_often)
