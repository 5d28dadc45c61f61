"""The course of the loss over the epochs."""

from tb_trainspeed.profile import CallbackFacts, Curve, Validation
from tb_trainspeed.rules import words
from tb_trainspeed.rules.convergence.shared import fewer
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, exactly, rule

_PATIENCE, _PATIENCE_SHARE = 3, 0.1
_LARGE_BATCH, _FEW_STEPS = 1024, 100
_SLOW_DECREASE, _DECREASES_FROM = 0.01, 3
#: The defaults of Keras, and below which of them training hardly moves.
_DEFAULT_RATES = {"SGD": 0.01, "Adam": 0.001, "AdamW": 0.001, "Nadam": 0.001, "RMSprop": 0.001, "Lion": 0.001}
_TINY_RATE = 0.02


def _loss(curves: tuple[Curve, ...], name: str) -> Curve | None:
    return next((curve for curve in curves if curve.name == name), None)


@rule("CV02", "lr-too-low")
def lr_too_low(optimizer: str, learning_rate: float, curves: tuple[Curve, ...], steady: Steady) -> Outcome:
    """The learning rate is so low that the loss hardly moves.

    What it means: the loss falls in every epoch, by less than a hundredth, and the learning rate is far below its
    default.

    Why it is slow: each step does its work, and moves the weights next to nothing.

    What to change: ten times the learning rate; then look at the loss of the first epochs.

    When this is wrong: pretrained weights are tuned; or the model is as good as it gets.

    Sources: https://arxiv.org/abs/1506.01186 (finding a learning rate). Measured: with Adam at 1e-5 never to a loss
    that takes 2 epochs at its default. It is a hint; the prediction is half the epochs.
    """
    default = _DEFAULT_RATES.get(optimizer)
    if default is None:
        return NotApplicable(f"what is a low learning rate for {optimizer} is not known")
    if learning_rate > _TINY_RATE * default:
        return Passed(f"the learning rate is {learning_rate:g}")
    loss = _loss(curves, "loss")
    if loss is None or loss.epochs < _DECREASES_FROM or loss.first is None or loss.last is None:
        return NotApplicable("there are too few epochs to see the loss move")
    decrease = (loss.first - loss.last) / abs(loss.first) / (loss.epochs - 1) if loss.first else 0.0
    if decrease >= _SLOW_DECREASE or loss.last != loss.lowest:
        return Passed(f"the loss falls by {words.share(max(0.0, decrease))} an epoch")
    return Found(
        title="The learning rate is very low",
        message=f"At a learning rate of {learning_rate:g} the loss went from {loss.first:.4g} to {loss.last:.4g} in "
        f"{loss.epochs} epochs.",
        phase="compute",
        evidence={
            "learning rate": f"{learning_rate:g}",
            "loss": f"{loss.first:.4g} to {loss.last:.4g}",
            "an epoch": words.seconds(steady.epoch_s),
        },
        remedy="Try ten times the learning rate.",
        code=f"- keras.optimizers.{optimizer}({learning_rate:g})\n"
        f"+ keras.optimizers.{optimizer}({10 * learning_rate:g})",
        change=fewer(1.0, 0.5, 0.1),
        confidence="hint",
        changes_results="training",
    )


@rule("CV03", "loss-not-finite", silences=("CV02", "CV06"))
def loss_not_finite(curves: tuple[Curve, ...], callbacks: tuple[CallbackFacts, ...], steady: Steady) -> Outcome:
    """The loss is no number any more, and training goes on.

    What it means: the loss became NaN or infinite; from then on the weights are, and nothing brings them back.

    Why it is slow: all further steps are wasted.

    What to change: `keras.callbacks.TerminateOnNaN()` ends the fit. Then the cause: a lower learning rate, `clipnorm`,
    scaled inputs, `from_logits=True` instead of a softmax and a logarithm.

    When this is wrong: a loss of your own is infinite for a batch now and then, and the weights are not.

    Sources: Keras, TerminateOnNaN. The prediction takes the epochs since away, and half of the one in which it happens:
    most of the first, as fits with a learning rate far too high ended in their first steps.
    """
    loss = _loss(curves, "loss")
    if loss is None:
        return NotApplicable("no loss was reported yet")
    if loss.not_finite_epoch is None:
        return Passed("the loss is a number")
    if any(callback.kind == "TerminateOnNaN" or callback.name == "TerminateOnNaN" for callback in callbacks):
        return Passed("the fit ends there")
    wasted = loss.epochs - loss.not_finite_epoch - 1
    if wasted < 1:
        return Passed("it was the last epoch")
    return Found(
        title="The loss is no number any more",
        message=f"The loss became NaN or infinite in epoch {loss.not_finite_epoch + 1}; the {wasted} epochs since, "
        f"{words.seconds(steady.epoch_s)} each, are wasted.",
        phase="compute",
        evidence={"first in epoch": str(loss.not_finite_epoch + 1), "epochs since": str(wasted)},
        remedy="End the fit there, and lower the learning rate.",
        code="+ callbacks=[keras.callbacks.TerminateOnNaN()]",
        change=Change(
            removes={"epochs": Range(wasted, wasted + (0.5 if loss.not_finite_epoch else 0.85), wasted + 1.0)}
        ),
        changes_results="training",
    )


@rule("CV05", "big-batch-same-lr")
def big_batch_same_lr(
    optimizer: str, learning_rate: float, batch_size: int, curves: tuple[Curve, ...], steady: Steady
) -> Outcome:
    """The batch is large, and the learning rate is the default for small ones.

    What it means: an epoch makes few updates, each over many samples, at a default made for batches of 32 to 256.

    Why it is slow: an update over more samples is more certain, but goes no further; so an epoch gets less far.

    What to change: raise the learning rate with the batch, with a warm-up over the first epochs.

    When this is wrong: training diverges at higher rates; then the batch is too large.

    Sources: https://arxiv.org/abs/1706.02677. Measured: 5 epochs instead of 14 at 2048 samples, with Adam at 0.008. It
    is a hint; the prediction is half the epochs.
    """
    default = _DEFAULT_RATES.get(optimizer)
    if default is None:
        return NotApplicable(f"the default of {optimizer} is not known")
    if batch_size < _LARGE_BATCH or steady.steps_per_epoch >= _FEW_STEPS:
        return Passed(f"{batch_size} samples a batch, {words.number(steady.steps_per_epoch)} updates an epoch")
    if not default / 2 <= learning_rate <= default:  # a lower one was chosen, as for fine-tuning
        return Passed(f"the learning rate is {learning_rate:g}")
    loss = _loss(curves, "loss")
    if loss is None or loss.previous is None or loss.last is None:
        return NotApplicable("there are too few epochs to see the loss move")
    if loss.last >= loss.previous * (1 - _SLOW_DECREASE):
        return Passed("the loss no longer falls")
    raised = default * min(8, batch_size // 256)
    return Found(
        title="The batch is large, and the learning rate is that for small ones",
        message=f"{words.number(steady.steps_per_epoch)} updates an epoch, of {batch_size} samples each, at "
        f"{optimizer}'s default of {default:g}.",
        phase="compute",
        evidence={
            "samples a batch": str(batch_size),
            "updates an epoch": words.number(steady.steps_per_epoch),
            "learning rate": f"{learning_rate:g}",
        },
        remedy="Raise the learning rate with the batch, and watch the first epochs.",
        code=f"- keras.optimizers.{optimizer}({learning_rate:g})\n+ keras.optimizers.{optimizer}({raised:g})",
        change=fewer(1.0, 0.5, 0.3),
        confidence="hint",
        changes_results="training",
    )


@rule("CV06", "epochs-after-plateau")
def epochs_after_plateau(
    curves: tuple[Curve, ...], callbacks: tuple[CallbackFacts, ...], validation: Validation, steady: Steady
) -> Outcome:
    """The validation loss was best many epochs ago.

    What it means: since then the model only got better on what it has seen.

    Why it is slow: the epochs since the best one are not needed.

    What to change: `EarlyStopping(restore_best_weights=True)`, which keeps the best weights too.

    When this is wrong: the learning rate is about to fall, and the loss with it; or another metric counts.

    Sources: Prechelt, "Early Stopping - But When?", 1998. The prediction is the epochs since the best one, less those
    that early stopping waits.
    """
    loss = _loss(curves, "val_loss")
    if loss is None or loss.lowest_epoch is None:
        return NotApplicable("no validation loss was reported yet")
    if any("EarlyStopping" in (callback.kind, callback.name) for callback in callbacks):
        return Passed("EarlyStopping watches it")
    patience = max(_PATIENCE, round(_PATIENCE_SHARE * loss.epochs))
    wasted = loss.epochs - 1 - loss.lowest_epoch - patience
    # The patience counts validations, of which not every epoch may have one.
    every = validation.frequency or 1
    best, of = (loss.lowest_epoch + 1) * every, loss.epochs * every
    if wasted < 1 or loss.lowest is None or loss.last is None:
        return Passed(f"it was best in epoch {best} of {of}")
    return Found(
        title="The validation loss was best many epochs ago",
        message=f"The validation loss was best in epoch {best} of {of}, {loss.lowest:.4g}; now it is "
        f"{loss.last:.4g}. Stopping {patience * every} epochs later would have saved {wasted * every} epochs of "
        f"{words.seconds(steady.epoch_s)}.",
        phase="compute",
        evidence={"best epoch": f"{best} of {of}", "not needed": f"{wasted * every} epochs"},
        remedy="Stop when it no longer gets better, and keep the best weights.",
        code=f"+ callbacks=[keras.callbacks.EarlyStopping(patience={patience}, restore_best_weights=True)]",
        change=Change(removes={"epochs": exactly(float(wasted * every))}),
        confidence="hint",
        changes_results="training",
    )


RULES = (lr_too_low, loss_not_finite, big_batch_same_lr, epochs_after_plateau)
