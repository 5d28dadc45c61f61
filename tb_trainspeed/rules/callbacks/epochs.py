"""Work of callbacks at the end of an epoch, and callbacks that take longer and longer."""

import itertools

from tb_trainspeed.profile import CallbackFacts, Hook, NestedCall, Timeline
from tb_trainspeed.rules import words
from tb_trainspeed.rules.callbacks.shared import (
    EVERY_EPOCHS,
    SPEAK_FROM,
    WATCHERS,
    class_of,
    is_keras_own,
    is_tensorboard,
    loops_inside,
    on_batches,
    steers,
)
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, exactly, rule

# That five parts of a fit take longer one after the other happens by chance once in 5! = 120 fits.
_PARTS = 5
_GROWN = 1.5
# Fifths do not fall together with epochs, so hooks that run once an epoch would make them uneven.
_MOSTLY_BATCHES = 0.8


@rule("CB10", "epoch-end-heavy")
def epoch_end_heavy(
    hooks: tuple[Hook, ...],
    nested_calls: tuple[NestedCall, ...],
    callbacks: tuple[CallbackFacts, ...],
    epochs_planned: int,
    steady: Steady,
) -> Outcome:
    """A callback works long at the end of every epoch.

    What it means: a hook that runs once an epoch, for plots, metrics or uploads, takes more than 5 % of training.

    Why it is slow: training waits for it.

    What to change: do it every few epochs, or hand it to a thread.

    When this is wrong: epochs are few and long, and the result is looked at after each. A callback that stops training
    or changes the learning rate then decides by fewer epochs.

    Sources: https://github.com/wandb/wandb/issues/3291. The prediction divides the measured time of the hook, without
    its slowest call, by the number of epochs between two.
    """
    nested = loops_inside(nested_calls)
    rows = [
        row
        for row in hooks
        if row.hook.startswith("on_epoch")
        and row.phase == "callbacks"
        and not is_keras_own(row)
        and not is_tensorboard(row, callbacks)
        and (row.callback, row.hook) not in nested
    ]
    if not rows:
        return NotApplicable("no callback works at the end of an epoch")
    if epochs_planned < 2:
        return NotApplicable("there is one epoch")
    slowest = max(rows, key=lambda row: row.total_s)
    # The first call imports and opens what it needs: without the slowest, the rest is what recurs.
    recurring_s = slowest.total_s - slowest.max_s if slowest.calls > 2 else slowest.total_s
    per_epoch = recurring_s / max(1, slowest.calls - (slowest.calls > 2))
    share = per_epoch / steady.epoch_s
    if share < SPEAK_FROM:
        return Passed(f"the slowest, `{slowest.callback}.{slowest.hook}`, takes {words.share(share)} of training")
    every = min(EVERY_EPOCHS, epochs_planned)
    decides = steers(slowest.callback, callbacks)
    note = f". `{slowest.callback}` then acts in one epoch of {every} only." if decides else ", or in a thread."
    return Found(
        title="A callback works long at the end of every epoch",
        message=f"`{slowest.callback}.{slowest.hook}` takes {words.seconds(per_epoch)} an epoch, {words.share(share)} "
        "of training, which waits for it.",
        phase="callbacks",
        evidence={
            "calls": str(slowest.calls),
            "time a call": f"{words.seconds(per_epoch)}, at most {words.seconds(slowest.max_s)}",
            "share of training": words.share(share),
        },
        remedy=f"Do it every {every} epochs{note}",
        code=_seldom(class_of(slowest.callback), slowest.hook, every),
        change=Change(removes={"epoch_callbacks_s": exactly(per_epoch * (1 - 1 / every))}),
        changes_results="training" if decides else "no",
        subject=slowest.callback,
    )


def _seldom(kind: str, hook: str, every: int) -> str:
    """Code of a hook that works in one epoch of so many."""
    if kind in WATCHERS:  # whose code is Keras'
        return (
            f"+ class Seldom(keras.callbacks.{kind}):\n+     def {hook}(self, epoch, logs=None):\n"
            f"+         if epoch % {every} == 0:\n+             super().{hook}(epoch, logs)"
        )
    return f"  def {hook}(self, epoch, logs=None):\n+     if epoch % {every}:\n+         return"


@rule("CB11", "callback-state-grows", silences=("CB01", "CB10"))
def callback_state_grows(timeline: Timeline, hooks: tuple[Hook, ...], epochs: int, steady: Steady) -> Outcome:
    """A callback takes longer and longer.

    What it means: callbacks that work with every batch take more time in every fifth of the training than in the one
    before.

    Why it is slow: something is kept and gone through again: a list that is joined, a figure that is not closed, a
    history that is plotted anew.

    What to change: keep a bounded buffer, append to a file, and close what was opened.

    When this is wrong: the work itself grows by intention. A machine that becomes busier makes all of a step slower,
    not just its callbacks.

    Sources: https://github.com/serengil/deepface/issues/697. Measured on two cores: 2.7 times faster in the eighth
    epoch. That five fifths grow one after the other by chance happens once in 120. The prediction takes what the
    callbacks need beyond that of the first step, half a fifth before the middle of the first, out of the mean epoch,
    and a tenth more, as what is left gets faster, too; the longer the fit, the more it would be.
    """
    own = [row for row in hooks if row.phase == "callbacks" and not is_keras_own(row)]
    if not own:
        return NotApplicable("no callbacks but those of Keras")
    if epochs < _PARTS:
        return NotApplicable(f"{epochs} epochs are too few to see a trend")
    if sum(row.total_s for row in own if on_batches(row)) < _MOSTLY_BATCHES * sum(row.total_s for row in own):
        return NotApplicable("most of it is work at the end of epochs, of which the time line shows no trend")
    fifths = _per_step(timeline)
    if not fifths:
        return NotApplicable("the time line is too short to see a trend")
    first, last = fifths[0], fifths[-1]
    if any(later <= earlier for earlier, later in itertools.pairwise(fifths)) or last < _GROWN * first:
        return Passed("callbacks do not take longer and longer")
    mean = sum(fifths) / len(fifths)
    excess = mean - max(0.0, first - (fifths[1] - first) / 2)
    share = excess * steady.steps_per_epoch / steady.epoch_s
    if share < SPEAK_FROM:
        return Passed(f"what they grew by is {words.share(share)} of training")
    slowest = max(own, key=lambda row: row.total_s)
    return Found(
        title="A callback takes longer and longer",
        message=f"Callbacks take {words.seconds(last)} a step in the last fifth of training and {words.seconds(first)} "
        f"in the first; most of it is `{slowest.callback}.{slowest.hook}`.",
        phase="callbacks",
        evidence={
            "callbacks a step, by fifths": ", ".join(words.seconds(value) for value in fifths),
            "slowest call": words.seconds(slowest.max_s),
            "what it grew by": f"{words.share(share)} of training",
        },
        remedy="Keep a bounded buffer instead of everything since the start.",
        code=f"  class {class_of(slowest.callback)}(keras.callbacks.Callback):\n"
        "-     self.values.append(value)\n+     self.values = collections.deque(maxlen=1000)",
        change=Change(removes={"batch_callbacks_s": Range(0.7 * excess, 1.1 * excess, 1.3 * excess)}),
        confidence="likely",
        subject=slowest.callback,
    )


def _per_step(timeline: Timeline) -> list[float]:
    """Seconds a step in callbacks, by fifths of the steps; empty where they cannot be told apart."""
    column = timeline.phases.get("callbacks") or ()
    total = sum(timeline.steps)
    if len(timeline.steps) < 2 * _PARTS or len(column) != len(timeline.steps) or not total:
        return []
    seconds, steps, done = [0.0] * _PARTS, [0] * _PARTS, 0
    for made, spent in zip(timeline.steps, column, strict=True):
        part = min(_PARTS - 1, done * _PARTS // total)
        seconds[part] += spent or 0.0
        steps[part] += made
        done += made
    return [spent / made for spent, made in zip(seconds, steps, strict=True) if made]


RULES = (epoch_end_heavy, callback_state_grows)
