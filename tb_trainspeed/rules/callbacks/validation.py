"""Validation, and epochs that are too short for what an epoch costs."""

import dataclasses

from tb_trainspeed.profile import CallbackFacts, Data, Layer, Validation
from tb_trainspeed.rules import words
from tb_trainspeed.rules.callbacks.shared import EVERY_EPOCHS, WATCHERS, may_watch_validation, watching
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.input_pipeline.shared import batches_of_arrays, fit_of_batches
from tb_trainspeed.rules.rule import Change, ChangesResults, Found, NotApplicable, Outcome, Passed, Range, rule

_VALIDATION_FROM = 0.25
# Up to the size that Keras takes by itself, a batch is small; this much larger ones are proposed where they at least
# halve validation.
_SMALL_BATCH = 32
_LARGER, _HALF = 16, 0.5
# Arithmetic speed on a few cores, FLOP/s: pessimistic, expected, optimistic. An assumption. On an accelerator see
# `accelerator_flops`.
_FLOPS = (5e9, 20e9, 60e9)
# What setting a validation up takes whatever its batches, seconds, at least. Measured on TensorFlow: 10 to 20 ms.
_SET_UP_S = (0.03, 0.015, 0.005)
# What a validation takes beside its steps is that, too, but for the slow ones among them: shares of it, assumed.
_BESIDE_STEPS = (1.2, 0.8, 0.3)
# On torch most of it is Keras' loader, 1 ms a step. Measured: of 1500 steps in batches 16 times as large 0.15 is left.
_BESIDE_STEPS_ON_TORCH = (0.4, 0.15, 0.05)
_FEW_STEPS, _MANY_EPOCHS, _RESTART_FROM, _ENOUGH_STEPS = 20, 10, 0.25, 100


@rule("CB06", "validation-dominates")
def validation_dominates(
    validation_share: float,
    validation: Validation,
    callbacks: tuple[CallbackFacts, ...],
    epochs_planned: int,
    layers: tuple[Layer, ...],
    steady: Steady,
    backend: str,
    accelerator_flops: tuple[float, ...],
) -> Outcome:
    """Validation takes a large part of every epoch.

    What it means: more than a quarter of training is spent on validation.

    Why it is slow: it is run in full after every epoch, although the weights change little from one to the next, or in
    batches so small that each is mostly overhead.

    What to change: larger batches with `validation_batch_size`: no gradients are kept, so much larger ones fit into
    memory. Else validate every few epochs with `validation_freq`, or on fewer batches with `validation_steps` where a
    checkpoint may need a metric of the validation after every epoch: without one, Keras saves whatever there is.

    When this is wrong: a callback watches a validation metric after every epoch, such as EarlyStopping: its patience
    then counts validations, not epochs. One of your own may fail in an epoch without such a metric.

    Sources: https://github.com/tensorflow/tensorflow/issues/58828. Measured on two cores: batches of 2048 instead of 16
    made epochs 6.8 times faster. The prediction divides the measured time of validation by the number of epochs between
    two; for larger batches it keeps the arithmetic, counted from the layers at 5 to 60 GFLOP/s, and what a validation
    takes beside its steps (a part of that on torch), and divides the rest of a step by how much larger they are; for
    fewer batches it keeps what a validation takes beside its steps. On a GPU it takes 0.8 to 9.7 TFLOP/s, from Ampere
    on 2 to 21: not verified on hardware.
    """
    if not validation.runs:
        return NotApplicable("no validation")
    if validation_share < _VALIDATION_FROM:
        return Passed(f"validation takes {words.share(validation_share)} of training")
    frequency = validation.frequency or 1
    each_s = frequency * steady.phases.get("validation", 0.0) / steady.epochs
    watch_it = may_watch_validation(callbacks)
    watchers = watching(watch_it)
    beside = _BESIDE_STEPS_ON_TORCH if backend == "torch" else _BESIDE_STEPS
    way = _in_larger_batches(validation, each_s, layers, beside, accelerator_flops or _FLOPS)
    if not way and epochs_planned < 2:
        return NotApplicable("there is one epoch, and one validation")
    needing = _checkpoints(watch_it)
    if not way and (validation.frequency is None or needing):
        way = _in_fewer_batches(validation, each_s, [*watchers, *needing], beside)
        if not way:
            return Passed("there are no batches to leave out")
    if not way:
        every = min(EVERY_EPOCHS, epochs_planned // frequency)
        if every < 2:
            return Passed("it is run as seldom as it can be")
        way = _less_often(frequency, every, watchers)
    return Found(
        title="Validation takes a large part of every epoch",
        message=f"Validation takes {words.share(validation_share)} of training; it runs in full{way.how}.",
        phase="validation",
        evidence={"validations": str(validation.runs), "share of training": words.share(validation_share)},
        remedy=way.remedy,
        code=f"- model.fit(..., validation_data=...)\n+ model.fit(..., validation_data=..., {way.options})",
        change=way.change,
        changes_results=way.changes_results,
    )


@dataclasses.dataclass(frozen=True)
class _Way:
    """A way to validate in less time. `how` is how it is done now, `options` are those of `fit`."""

    how: str
    remedy: str
    options: str
    change: Change
    changes_results: ChangesResults


def _checkpoints(callbacks: tuple[CallbackFacts, ...]) -> list[str]:
    """The checkpoints, which may need a metric of the validation after every epoch, to compare or in their paths.

    In an epoch without `val_loss` a `ModelCheckpoint` that watches it overwrites the best model.
    """
    return [facts.name for facts in callbacks if "Checkpoint" in facts.name or "Checkpoint" in facts.kind]


def _named(watchers: list[str]) -> str:
    """Who acts on what a validation says, as the beginning of a clause."""
    names = list(dict.fromkeys(watchers))
    return f"{' and '.join(f'`{name}`' for name in names)} then act{'s' * (len(names) == 1)}"


def _less_often(frequency: int, every: int, watchers: list[str]) -> _Way:
    note = f" {_named(watchers)} in one epoch of {frequency * every} only." if watchers else ""
    return _Way(
        how=" after every epoch" if frequency == 1 else f" every {frequency} epochs",
        remedy=f"Validate every {frequency * every} epochs.{note}",
        options=f"validation_freq={frequency * every}",
        # Part of the boundary between epochs is setting validation up.
        change=Change(
            factors={
                "validation_s": Range(1.15 / every, 1 / every, 1 / every),
                "restart_s": Range(1.0, 0.7, 0.3),
            }
        ),
        changes_results="training" if watchers else "no",
    )


def _in_fewer_batches(
    validation: Validation, each_s: float, watchers: list[str], shares: tuple[float, ...]
) -> _Way | None:
    """A fifth of the batches; `None` where there is but one. One validation takes `each_s`.

    `shares` are what stays of what it takes beside its steps.
    """
    steps = validation.steps / validation.runs
    if steps < 2:
        return None
    fewer = max(1, round(steps / EVERY_EPOCHS))
    steps_s = steps * (validation.step_s or each_s / steps)
    beside = max(0.0, 1 - steps_s / (max(each_s, steps_s) or 1.0))
    left = [min(1.0, fewer / steps + share * beside * (1 - fewer / steps)) for share in shares]
    # Of arrays without a size of batches Keras would make just so many batches of all there is.
    size = f"validation_batch_size={validation.batch_size}, " if validation.batch_size else ""
    note = f" {_named(watchers)} on what these say." if watchers else ""
    return _Way(
        how="",
        remedy=f"Validate on {fewer} of {round(steps)} batches: the first ones, which must be a fair sample, as those "
        f"of data in order are not.{note}",
        options=f"{size}validation_steps={fewer}",
        change=Change(factors={"validation_s": Range(*left)}),
        changes_results="training" if watchers else "no",
    )


def _in_larger_batches(
    validation: Validation,
    each_s: float,
    layers: tuple[Layer, ...],
    shares: tuple[float, ...],
    rates: tuple[float, ...],
) -> _Way | None:
    """In batches of a size that leaves less than half of validation, if there is one.

    One validation takes `each_s`, `shares` are what stays of what it takes beside its steps, and `rates` are FLOP/s.
    Only of arrays does Keras make the batches; only of these is the size known.
    """
    size = validation.batch_size
    counts = [layer.forward_flops for layer in layers if layer.parameters]
    known = [count for count in counts if count is not None] if None not in counts else []
    if not size or size > _SMALL_BATCH or not validation.step_s or not known:
        return None
    steps = validation.steps / validation.runs
    times = min(_LARGER, steps)
    each_s = max(each_s, steps * validation.step_s)
    left = []
    for rate, set_up_s, share in zip(rates, _SET_UP_S, shares, strict=True):
        arithmetic_s = min(validation.step_s, sum(known) * size / rate)
        stays_s = max(set_up_s, share * (each_s - steps * validation.step_s))
        left_s = steps * (arithmetic_s + (validation.step_s - arithmetic_s) / times) + stays_s
        left.append(min(1.0, left_s / each_s))
    if left[1] >= _HALF:
        return None
    return _Way(
        how=f" in batches of {size}",
        remedy=f"Validate on {size * _LARGER} samples a batch, not {size}: without gradients they fit into memory.",
        options=f"validation_batch_size={size * _LARGER}",
        change=Change(factors={"validation_s": Range(*left)}),
        changes_results="rounding",
    )


def _in_fewer_epochs(data: Data, passes: int, steps: int, before: int, after: int) -> str:
    """Code that passes so many times over the data in one epoch."""
    was = now = ""
    times = str(passes)
    if data.steps_per_epoch:  # Keras ends an epoch at the end of the data all the same
        was, now = (f"steps_per_epoch={many * data.steps_per_epoch}, " for many in (1, passes))
        times = ""
    if data.adapter == "GeneratorDataAdapter":
        return (
            f"- model.fit(generator, steps_per_epoch={steps}, epochs={before})\n"
            f"+ model.fit(generator, steps_per_epoch={passes * steps}, epochs={after})"
        )
    if data.adapter == "PyDatasetAdapter":
        return (
            f"- model.fit(train, {was}epochs={before})\n+ model.fit(train, {now}epochs={after})\n"
            f"  class {data.kind or 'Batches'}(keras.utils.PyDataset):\n      def __len__(self):\n-         return n\n"
            f"+         return {passes} * n\n\n      def __getitem__(self, index):\n+         index %= n"
        )
    if data.adapter == "ArrayDataAdapter":
        return (
            f"- model.fit(x, y, {was}epochs={before})\n{batches_of_arrays(data.batch_size, data.options)}\n"
            f"+ model.fit({fit_of_batches(data.options, f'dataset.repeat({times})')}, {now}epochs={after})"
        )
    if data.adapter == "TFDatasetAdapter":
        endless = now and any(stage.kind == "Repeat" and (stage.count or 0) < 0 for stage in data.stages)
        repeated = "dataset" if endless else f"dataset.repeat({times})"
        return f"- model.fit(dataset, {was}epochs={before})\n+ model.fit({repeated}, {now}epochs={after})"
    return (
        f"- model.fit(loader, {was}epochs={before})\n+ def forever(batches):\n+     while True:\n"
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

    What to change: let one epoch pass over the data several times, with `repeat` or a larger `steps_per_epoch`, and
    plan fewer epochs. The updates are the same, but that of a `PyDataset` Keras shuffles all passes together.

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
    most = int(min(epochs_planned // 2, -(-_ENOUGH_STEPS // per_epoch)))
    passes = next((many for many in range(most, 1, -1) if epochs_planned % many == 0), most)
    watchers = watching(callbacks, (*WATCHERS, "LearningRateScheduler"))
    epochs_left = round(epochs_planned / passes)
    in_all = passes * epochs_left
    another = f": {in_all} passes in all instead of {epochs_planned}" if in_all != epochs_planned else ""
    together = f"Pass {passes} times over the data in one epoch"
    if data.steps_per_epoch:
        together = f"Make one epoch of {passes}"
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
        remedy=f"{together}, and plan {epochs_left} epochs{another}."
        + (f" `{watchers[0]}` counts epochs: divide what it counts." if watchers else ""),
        code=_in_fewer_epochs(data, passes, round(per_epoch), epochs_planned, epochs_left),
        change=Change(factors={"restart_s": left, "epoch_callbacks_s": left, "validation_s": left, "device_s": warm}),
        changes_results="training" if watchers or another or data.adapter == "PyDatasetAdapter" else "no",
    )


RULES = (validation_dominates, tiny_epochs)
