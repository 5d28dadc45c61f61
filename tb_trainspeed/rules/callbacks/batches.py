"""Work of callbacks with every batch."""

from tb_trainspeed.profile import CallbackFacts, Hook, NestedCall
from tb_trainspeed.rules import words
from tb_trainspeed.rules.callbacks.shared import (
    EVERY_BATCHES,
    SPEAK_FROM,
    WARM,
    class_of,
    every_50th,
    facts_of,
    is_keras_own,
    is_tensorboard,
    loops_inside,
    on_batches,
    seldom_in_batches,
    steers,
)
from tb_trainspeed.rules.facts import BATCH_HOOKS, Steady
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, exactly, rule

# Written to a terminal or a file, the bar was never seen to cost anything, and its own clock makes it seem to.
_PROGRESS_FROM = 0.15
# What the callbacks of Keras with a hook for the end of a batch are called in code.
_OF_KERAS = {"ModelCheckpoint": "checkpoint", "BackupAndRestore": "backup", "TensorBoard": "board"}


def _seldom(per_step: float, share: float) -> Change:
    """A hook that runs on one batch in 50; share: what it takes of training."""
    warmer = WARM if share > 0.5 else {}
    return Change(removes={"batch_callbacks_s": exactly(per_step * (1 - 1 / EVERY_BATCHES))}, factors=warmer)


@rule("CB01", "slow-batch-callback")
def slow_batch_callback(
    hooks: tuple[Hook, ...],
    nested_calls: tuple[NestedCall, ...],
    callbacks: tuple[CallbackFacts, ...],
    steps: int,
    steps_per_execution: int,
    steady: Steady,
) -> Outcome:
    """A callback works on every batch.

    What it means: a hook that runs once a batch takes a good part of the step.

    Why it is slow: callbacks run on the thread that trains; the device idles meanwhile.

    What to change: do the work every 50th batch, or at the end of the epoch.

    When this is wrong: the callback must see every batch, for example because it changes the learning rate.

    Sources: https://github.com/tensorflow/tensorflow/issues/37876. The prediction takes the measured time of the hook
    out of the step but for one batch in 50; where it is most of the step, the rest, whose caches it left cold, becomes
    up to 80 % shorter too.
    """
    nested = loops_inside(nested_calls)
    rows = [
        row
        for row in hooks
        if on_batches(row)
        and row.phase == "callbacks"
        and not is_keras_own(row)
        and not is_tensorboard(row, callbacks)
        and (row.callback, row.hook) not in nested
    ]
    if not rows:
        return NotApplicable("no callback works on batches")
    slowest = max(rows, key=lambda row: row.total_s)
    per_step = slowest.total_s / max(1, steps)
    share = per_step * steady.steps_per_epoch / steady.epoch_s
    if share < SPEAK_FROM:
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
        remedy=f"Do it {every_50th(steps_per_execution)}, or at the end of the epoch.",
        code=seldom_in_batches(slowest.hook, steps_per_execution),
        change=_seldom(per_step, share),
        changes_results="training" if steers(slowest.callback, callbacks) else "no",
        bars={slowest.hook: per_step, "the rest of a step": steady.epoch_s / steady.steps_per_epoch - per_step},
        subject=slowest.callback,
    )


@rule("CB04", "tensorboard-heavy")
def tensorboard_heavy(
    hooks: tuple[Hook, ...], callbacks: tuple[CallbackFacts, ...], steps: int, epochs: int, steady: Steady
) -> Outcome:
    """The TensorBoard callback writes more than curves.

    What it means: `keras.callbacks.TensorBoard` takes a part of training, with histograms, images, embeddings or a
    record for every batch.

    Why it is slow: a histogram reads every weight back from the device and sorts it into bins; what is written for
    every batch is written while the step waits.

    What to change: leave `histogram_freq`, `write_images`, `update_freq` and `profile_batch` at their defaults, or do
    it every few epochs.

    When this is wrong: the histograms are what the training is run for.

    Sources: https://github.com/tensorflow/tensorflow/issues/24643, https://github.com/tensorflow/tensorboard/issues/2412.
    Measured on two cores: the whole fit 1.4 times faster; `update_freq="batch"` alone cost 0.16 ms a step. The
    prediction leaves 5 to 40 % of the measured time of its hooks.
    """
    rows = [row for row in hooks if is_tensorboard(row, callbacks)]
    if not rows:
        return NotApplicable("there is no TensorBoard callback")
    per_step = sum(row.total_s for row in rows if on_batches(row)) / max(1, steps)
    per_epoch = sum(row.total_s for row in rows if row.hook.startswith("on_epoch")) / epochs
    share = (per_step * steady.steps_per_epoch + per_epoch) / steady.epoch_s
    if share < SPEAK_FROM:
        return Passed(f"it takes {words.share(share)} of training")
    options = next((facts.options for facts in callbacks if "TensorBoard" in (facts.name, facts.kind)), {})
    plain = {"histogram_freq": "0", "write_images": "False", "update_freq": "epoch", "embeddings_freq": "0"}
    dear = {name: options[name] for name, value in plain.items() if options.get(name, value) != value}
    if not dear:
        return Passed(f"its options are the default; it takes {words.share(share)} of training")
    given = ", ".join(f"{name}={value}" for name, value in dear.items())
    saved = Range(0.6, 0.81, 0.95)
    return Found(
        title="The TensorBoard callback writes more than curves",
        message=f"With `{given}` it takes {words.share(share)} of training: {words.seconds(per_epoch)} an epoch and "
        f"{words.seconds(per_step)} a step.",
        phase="callbacks",
        evidence={
            "an epoch": words.seconds(per_epoch),
            "a step": words.seconds(per_step),
            "share of training": words.share(share),
        },
        remedy="Leave these options at their defaults.",
        code=f"- keras.callbacks.TensorBoard(log_dir, {given})\n+ keras.callbacks.TensorBoard(log_dir)",
        change=Change(
            removes={
                "batch_callbacks_s": Range(saved.low * per_step, saved.expected * per_step, saved.high * per_step),
                "epoch_callbacks_s": Range(saved.low * per_epoch, saved.expected * per_epoch, saved.high * per_epoch),
            }
        ),
    )


@rule("CB05", "progress-bar")
def progress_bar(hooks: tuple[Hook, ...], steps: int, steady: Steady) -> Outcome:
    """The progress bar takes a part of every step.

    What it means: the hooks of `fit(verbose=1)` were measured to take more than 15 % of training.

    Why it is slow: every step formats the metrics, and in a notebook or an IDE the text travels to another process.

    What to change: `fit(verbose=2)`, a line an epoch.

    When this is wrong: into a terminal or a file it costs nothing worth mentioning; the rule goes by the time that was
    measured, not by the option.

    Sources: https://github.com/keras-team/keras/issues/4880. Measured with output into a file: no effect. The
    prediction takes up to the measured time of the hooks out of the step.
    """
    rows = [row for row in hooks if class_of(row.callback) == "ProgbarLogger" and on_batches(row)]
    if not rows:
        return NotApplicable("there is no progress bar")
    per_step = sum(row.total_s for row in rows) / max(1, steps)
    share = per_step * steady.steps_per_epoch / steady.epoch_s
    if share < _PROGRESS_FROM:
        return Passed(f"it takes {words.share(share)} of training")
    return Found(
        title="The progress bar takes a part of every step",
        message=f"It takes {words.seconds(per_step)} a step, {words.share(share)} of training.",
        phase="callbacks",
        evidence={"a step": words.seconds(per_step), "share of training": words.share(share)},
        remedy="Print a line an epoch.",
        code="- model.fit(..., verbose=1)\n+ model.fit(..., verbose=2)",
        change=Change(removes={"batch_callbacks_s": Range(0.5 * per_step, 0.9 * per_step, per_step)}),
        confidence="hint",
    )


@rule("CB08", "synchronous-callback")
def synchronous_callback(
    backend: str,
    accelerators: tuple[str, ...],
    hooks: tuple[Hook, ...],
    callbacks: tuple[CallbackFacts, ...],
    dispatch_s: float,
) -> Outcome:
    """A callback makes every step wait for the device.

    What it means: on JAX or torch, a callback has a hook for the end of a batch and does not say that it may run late.

    Why it is slow: Keras then reads the loss back after every step, so that host and device take turns. Without such a
    callback the host prepares the next steps while the device computes.

    What to change: set `async_safe = True` on a callback that only reads `logs`; Keras then calls it from a thread of
    its own.

    When this is wrong: on a CPU there is nothing to overlap. A callback that changes the model or stops training must
    run in turn.

    Sources: Keras, `CallbackList._configure_async_dispatch`, https://github.com/keras-team/keras/pull/20284. Not
    verified on hardware: the prediction hides up to 80 % of the host's part of a step.
    """
    if backend == "tensorflow":
        return NotApplicable("on TensorFlow Keras reads the loss after every step anyway")
    if not accelerators:
        return NotApplicable("on a CPU there is nothing to overlap")
    ends = [row for row in hooks if row.hook in ("on_train_batch_end", "on_batch_end") and not is_keras_own(row)]
    waits = [row for row in ends if facts_of(row.callback, callbacks).options.get("async_safe") != "True"]
    if not waits:
        return Passed("no callback makes steps wait")
    for row in waits:  # Keras waits for all of them or for none
        if _runs_in_turn(row, callbacks):
            return Passed(f"`{row.callback}` works on the model, or stops it, and must run in turn")
    kinds = list(dict.fromkeys(class_of(row.callback) for row in waits))
    return Found(
        title="A callback makes every step wait for the device",
        message=f"`{kinds[0]}` has a hook for the end of a batch, so Keras reads the loss after every step; "
        f"{words.seconds(dispatch_s)} of the host's work a step cannot hide behind the device.",
        phase="host_overhead",
        evidence={"callbacks": ", ".join(kinds), "host's part of a step": words.seconds(dispatch_s)},
        remedy="If it only reads `logs`, say so.",
        code="\n".join(_says_safe(facts_of(kind, callbacks)) for kind in kinds),
        change=Change(factors={"dispatch_s": Range(1.0, 0.6, 0.2)}),
        confidence="hint",
    )


def _runs_in_turn(row: Hook, callbacks: tuple[CallbackFacts, ...]) -> bool:
    """Whether a callback saves the model after a batch, or decides how the training goes on."""
    saves = row.phase == "checkpointing" and facts_of(row.callback, callbacks).options.get("save_freq") != "epoch"
    return saves or steers(row.callback, callbacks)


def _says_safe(facts: CallbackFacts) -> str:
    """Code that says of a callback that it may run late."""
    if facts.name in _OF_KERAS:
        return f"+ {_OF_KERAS[facts.name]}.async_safe = True"
    base = facts.kind if facts.kind in _OF_KERAS else "Callback"
    return f"  class {facts.name}(keras.callbacks.{base}):\n+     async_safe = True"


@rule("CB09", "weights-each-batch", silences=("CB01",))
def weights_each_batch(
    nested_calls: tuple[NestedCall, ...],
    hooks: tuple[Hook, ...],
    callbacks: tuple[CallbackFacts, ...],
    steps: int,
    steps_per_execution: int,
    steady: Steady,
) -> Outcome:
    """A callback reads all weights after every batch.

    What it means: `model.get_weights()` is called in a hook that runs with every batch.

    Why it is slow: every weight is copied from the device to the host, one after another, and the step waits for it.

    What to change: do it every 50th batch, or at the end of the epoch.

    When this is wrong: the weights of every step are what is studied.

    Sources: Keras, `Model.get_weights`. Measured on two cores: 1.5 times faster on TensorFlow, 1.8 on JAX. The
    prediction takes the measured time of the hook out of the step but for one batch in 50.
    """
    calls = [call for call in nested_calls if call.function == "get_weights" and call.hook in BATCH_HOOKS]
    if not calls:
        return Passed("no callback reads the weights with every batch")
    worst = max(calls, key=lambda call: call.total_s)
    reads = worst.total_s / max(1, steps)
    share = reads * steady.steps_per_epoch / steady.epoch_s
    if share < SPEAK_FROM:
        return Passed(f"`get_weights` inside `{worst.callback}` takes {words.share(share)} of training")
    rows = [row.total_s for row in hooks if (row.callback, row.hook) == (worst.callback, worst.hook)]
    per_step = max(reads, sum(rows) / max(1, steps))
    return Found(
        title="A callback reads all weights after every batch",
        message=f"`{worst.callback}.{worst.hook}` takes {words.seconds(per_step)} a step, of which `get_weights` "
        f"{words.seconds(reads)}, {words.share(share)} of training.",
        phase="callbacks",
        evidence={
            "calls": words.number(worst.calls),
            "time a call": words.seconds(worst.total_s / max(1, worst.calls)),
            "share of training": words.share(share),
        },
        remedy=f"Do it {every_50th(steps_per_execution)}, or at the end of the epoch.",
        code=seldom_in_batches(worst.hook, steps_per_execution),
        change=_seldom(per_step, share),
        changes_results="training" if steers(worst.callback, callbacks) else "no",
        subject=worst.callback,
    )


RULES = (slow_batch_callback, tensorboard_heavy, progress_bar, synchronous_callback, weights_each_batch)
