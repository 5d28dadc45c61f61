"""TR: from the host to the device."""

import math
import re
from collections.abc import Mapping
from typing import Any

from tb_trainspeed.profile import CodeLine, Data, Environment, Model
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import Steady, release_of
from tb_trainspeed.rules.input_pipeline.shared import faster_source, waits
from tb_trainspeed.rules.model_compute.shared import cost, less
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule

_WIDE_FROM = 0.5
_ONCE_FROM = _SPEAK_FROM = 0.1
# What Keras' conversion of an array is at most of the phase in which it happens, and how many bytes it converts a
# second: at least, probably, at best. New memory is what makes it slow and its time differ.
_CONVERTING = ((0.8, 1.6e9), (0.97, 0.8e9), (1.0, 0.5e9))
_BIG_ARRAYS_BYTES = 1e9
_CLASSES_FROM = 1000
# Metrics of one-hot targets that have one for whole numbers. `"accuracy"` is recorded as what Keras made of it.
_OF_ONE_HOT = {
    "CategoricalAccuracy": '   # unless you wrote "accuracy"', "CategoricalCrossentropy": "",
    "TopKCategoricalAccuracy": "",
}  # fmt: skip
# XProf calls a fit moderately input-bound from 5 %: enough where the fix is the same computation.
_SAFE_FIX_FROM = 0.05
# What a PCIe 3 or 4 link of 16 lanes carries, less what is lost on the way.
_PCIE_BYTES_PER_S = Range(25e9, 12e9, 6e9)
_TRANSFER_FROM = 2e9
# A part of a step that one looks for in vain among its layers.
_PRINTING_FROM = 0.1
_PRINTS = ("PrintV2", "StringFormat", "debug_callback", "debug_print")
# The version of Keras whose layouts have `backend_layout`: read in the wheels of 3.8 to 3.15.
_BACKEND_LAYOUT_FROM = (3, 10)
_ITEM_BYTES = {"float64": 8, "int64": 8, "uint64": 8, "float32": 4, "int32": 4, "float16": 2, "int16": 2}


def _bytes_of_sample(described: str, classes: int) -> int:
    """Bytes of the targets of one sample: the last shape that ends in so many classes."""
    size = 4 * classes
    for dtype, shape in re.findall(r"(\w+)\(([^()]*)\)", described):
        _, *sizes = [part.strip() for part in shape.split(",") if part.strip()] or [""]
        if sizes and all(part.isdigit() for part in sizes) and int(sizes[-1]) == classes:
            size = math.prod(map(int, sizes)) * _ITEM_BYTES.get(dtype, 1)
    return size


def _bytes_by_dtype(described: str) -> dict[str, float]:
    """`float64(32, 10), int64(32,)` -> {"float64": 2560, "int64": 256}"""
    total: dict[str, float] = {}
    for dtype, shape in re.findall(r"(\w+)\(([^()]*)\)", described):
        items = math.prod(int(size) for size in re.findall(r"\d+", shape))
        total[dtype] = total.get(dtype, 0.0) + items * _ITEM_BYTES.get(dtype, 1)
    return total


@rule("TR01", "float64-inputs")
def float64_inputs(
    inputs: str,
    adapter: str,
    backend: str,
    input_share: float,
    wait_s: float,
    startup_s: float,
    restart_s: float,
    wall_s: float,
    step_s: float,
    steady: Steady,
) -> Outcome:
    """The inputs are float64, and Keras converts them.

    What it means: the arrays that `fit` gets, or the batches, are in double precision, as NumPy makes them; the model
    computes in single precision.

    Why it is slow: Keras converts whole arrays into new memory: on TensorFlow before the first step, on JAX and torch
    at the beginning of every epoch. Batches that your own code makes are converted one by one.

    What to change: `x = x.astype("float32")`, once.

    When this is wrong: only the labels are float64. On TensorFlow no epoch gets faster, only the start.

    Sources: Keras, `ArrayDataAdapter` and `keras.config.floatx`. Measured on two cores with arrays of 260 MB: the
    boundary between epochs fell from 0.2 to 0.3 s to 4 ms on JAX and from 50 to 1 ms on torch, the start on TensorFlow
    by 0.02 to 0.4 s. The prediction takes what such a conversion takes, at 0.5 to 1.6 GB a second, out of what was
    measured there; of batches up to half of what making them takes, where that is arithmetic in double precision.
    """
    if "float64" not in inputs:
        return Passed("nothing in float64 is handed over")
    sizes = _bytes_by_dtype(inputs)
    share = sizes.get("float64", 0.0) / max(1.0, sum(sizes.values()))
    if share < _WIDE_FROM:
        return Passed(f"float64 is {words.share(share)} of what is handed over")
    first = re.match(r"(\w+)\(([^()]*)\)", inputs)
    given = inputs if len(inputs) < 80 else f"{first[0] if first else inputs[:60]}, ..."
    if adapter == "ArrayDataAdapter":
        spent = (restart_s, steady.epoch_s) if backend != "tensorflow" else (startup_s, wall_s)
        return _converted_whole(sizes["float64"], share, given, backend != "tensorflow", *spent)
    if too_little := waits(input_share):
        return Passed(too_little)
    half = 1 - share / 2  # of the bytes: where most of making a batch is arithmetic on these
    expected = max(half, 1 - sizes["float64"] / _CONVERTING[1][1] / step_s)
    source = faster_source(Range(1.0, expected, half))
    return _converted(
        share,
        f"batch by batch; the step waits {words.seconds(wait_s)} for each",
        "input_wait",
        {"waiting for data": f"{words.share(input_share)} of training", "handed over": given},
        Change(factors={**source.factors, "cpu_s": Range(1.0, expected, half)}),
        confidence="hint",
        changes_results="rounding",
        remedy="Make the batches in float32 from the start, in what `__getitem__` returns or the generator yields.",
    )


def _converted_whole(
    converted: float, share: float, given: str, every_epoch: bool, spent_s: float, of_s: float
) -> Outcome:
    """What is to be said of arrays. `spent_s` of `of_s` goes to where so many bytes are converted."""
    most_s = min(spent_s, converted / _CONVERTING[-1][1])
    if most_s < _SPEAK_FROM * of_s:
        of = "an epoch" if every_epoch else "the fit"
        return Passed(f"converting {words.size(converted)} takes {words.share(most_s / of_s)} of {of} at most")
    saved_s = Range(*(min(most * spent_s, converted / rate) for most, rate in _CONVERTING))
    return _converted(
        share,
        f"{'at the beginning of every epoch' if every_epoch else 'before the first step'}, into new memory",
        "epoch_restart" if every_epoch else "startup",
        {
            "handed over": given,
            "in memory": words.size(converted),
            "between two epochs" if every_epoch else "starting": words.seconds(spent_s),
            "an epoch" if every_epoch else "the fit": words.seconds(of_s),
        },
        Change(removes={"restart_s" if every_epoch else "startup_s": saved_s}),
        confidence="likely",
        changes_results="no",  # Keras converts them in the same way
    )


def _converted(
    share: float,
    when: str,
    phase: str,
    evidence: dict[str, str],
    change: Change,
    remedy: str = "Convert once, before `fit`.",
    **kind: Any,
) -> Outcome:
    return Found(
        title="The inputs are float64",
        message=f"{words.share(share)} of what `fit` gets is float64, which Keras converts to float32 {when}.",
        phase=phase,
        evidence=evidence,
        remedy=remedy,
        code='+ x = x.astype("float32")',
        change=change,
        **kind,
    )


@rule("TR02", "one-hot-huge-classes")
def one_hot_huge_classes(
    data: Data, model: Model, loss: str, input_share: float, wait_s: float, batch_bytes: int, batch_size: int
) -> Outcome:
    """Targets are one-hot over thousands of classes.

    What it means: for every sample a row with one 1 and thousands of zeros is stored, gathered and sent to the device.

    Why it is slow: the targets of a batch may be larger than its inputs.

    What to change: whole numbers as targets, `SparseCategoricalCrossentropy` as loss, and of metrics
    `SparseCategoricalAccuracy` and `SparseTopKCategoricalAccuracy`: the same result. `"accuracy"` finds out by itself.

    When this is wrong: targets are smoothed or mixed, so that they are no longer one-hot; the rule looks at a few.

    Sources: Keras, SparseCategoricalCrossentropy. Measured on two cores: 1.2 times faster. The prediction takes the
    bytes of the targets out of the batch.
    """
    classes = data.one_hot_classes
    if classes is None:
        return NotApplicable("targets are not one-hot")
    if loss != "categorical_crossentropy":  # of others there is none for whole numbers
        return NotApplicable(f"the loss is {loss}")
    if classes < _CLASSES_FROM:
        return Passed(f"{classes} classes")
    if input_share < _SAFE_FIX_FROM:
        return Passed(f"the step waits for its batch {words.share(input_share)} of the time")
    metrics = [name for name in _OF_ONE_HOT if name in model.metrics]
    also = " Its metrics are of one-hot targets as well, and change with it." if metrics else ""
    code = [
        "+ y = y.argmax(-1)",
        "- model.compile(..., loss=keras.losses.CategoricalCrossentropy(...))",
        "+ model.compile(..., loss=keras.losses.SparseCategoricalCrossentropy(...))",
    ]
    for name in metrics:
        code += [f"- keras.metrics.{name}(...){_OF_ONE_HOT[name]}", f"+ keras.metrics.Sparse{name}(...)"]
    share = min(0.99, _bytes_of_sample(data.batch or data.inputs or "", classes) * batch_size / batch_bytes)
    return Found(
        title="Targets are one-hot over thousands of classes",
        message=f"Each target is a row of {words.number(classes)} numbers, one of them 1: {words.share(share)} of the "
        f"{words.size(batch_bytes)} of a batch, for which the step waits {words.seconds(wait_s)}.",
        phase="input_wait",
        evidence={
            "waiting for data": f"{words.share(input_share)} of training",
            "classes": words.number(classes),
            "of a batch": words.share(share),
        },
        remedy="Hand over whole numbers, and use the sparse loss, with the same `from_logits`: it is the same loss. "
        f"With `label_smoothing` there is none.{also}",
        code="\n".join(code),
        change=faster_source(Range(max(0.95, 1 - share * 0.7), 1 - share * 0.7, 1 - share)),
        confidence="likely",
        changes_results="rounding",
    )


@rule("TR03", "float32-images-on-host")
def float32_images(
    data: Data, accelerators: tuple[str, ...], step_s: float, batch_bytes: int, steady: Steady
) -> Outcome:
    """Images travel to the device as float32 although bytes would do.

    What it means: batches hold images in float32 whose values are those of bytes, perhaps divided by 255.

    Why it is slow: four times the memory and four times the transfer.

    What to change: keep `uint8` in the pipeline, and begin the model with `keras.layers.Rescaling(1 / 255)`.

    When this is wrong: on a CPU nothing is transferred. Prefetching may hide the copy: where it is measured what copies
    are not hidden, the rule is silent below 5 % of training.

    Sources: https://github.com/keras-team/keras/issues/16333. Not verified on hardware: the prediction takes three
    quarters of a batch at 6 to 25 GB a second out of the step, and no more than is not hidden.
    """
    if not accelerators:
        return NotApplicable("nothing is transferred on a CPU")
    if not data.holds_bytes:
        return Passed("no float images that would fit into bytes")
    rate = batch_bytes / step_s
    if rate < _TRANSFER_FROM:
        return Passed(f"{words.size(rate)} a second is little")
    most_s = step_s
    if "transfer" in steady.phases:
        most_s = steady.per_step("transfer")
        share = most_s * steady.steps_per_epoch / steady.epoch_s
        if share < _SAFE_FIX_FROM:
            return Passed(f"copies that are not hidden take {words.share(share)} of training")
    saved = Range(
        *(
            min(most_s, 0.75 * batch_bytes / speed)
            for speed in (_PCIE_BYTES_PER_S.low, _PCIE_BYTES_PER_S.expected, _PCIE_BYTES_PER_S.high)
        )
    )
    return Found(
        title="Images travel as float32 although bytes would do",
        message=f"A batch is {words.size(batch_bytes)} of float32 that hold bytes; {words.size(rate)} a second go to "
        f"the {accelerators[0]}.",
        phase="transfer",
        evidence={"a batch": words.size(batch_bytes), "to the device": f"{words.size(rate)} a second"},
        remedy="Keep uint8 in the pipeline and rescale in the model.",
        code="- images = images.astype('float32') / 255\n"
        "+ model = keras.Sequential([keras.layers.Rescaling(1 / 255), ...])",
        change=Change(removes={"device_s": saved}),
        confidence="likely",
        changes_results="rounding",
    )


@rule("TR04", "arrays-copied-at-start")
def arrays_copied(adapter: str, data: Data, startup_s: float, wall_s: float, backend: str) -> Outcome:
    """Large arrays are copied before the first step.

    What it means: `fit` got arrays of gigabytes, and a good part of the fit passes before its first step.

    Why it is slow: Keras makes tensors of NumPy arrays, as a whole; on a GPU they may even be copied to the device.

    What to change: a `PyDataset` over the array, or over a file mapped into memory, which reads one batch at a time.

    When this is wrong: the fit takes hours, so that its start does not matter.

    Sources: https://github.com/tensorflow/tensorflow/issues/39574, https://github.com/keras-team/keras/issues/16997.
    How much of the start is the copy cannot be told apart. Fits without large arrays were seen to start in 0.02 to
    0.15 s, so the prediction takes 96 % of a start that is a tenth of the fit, and 70 % of it at least.
    """
    if adapter != "ArrayDataAdapter" or backend != "tensorflow":
        return NotApplicable("no arrays are turned into tensors as a whole")
    given = data.inputs_bytes or 0
    if given < _BIG_ARRAYS_BYTES:
        return Passed(f"the arrays are {words.size(given)}")
    share = startup_s / wall_s
    if share < _ONCE_FROM:
        return Passed(f"the fit spends {words.share(share)} of its time before the first step")
    return Found(
        title="Large arrays are copied before the first step",
        message=f"{words.size(given)} of arrays are turned into tensors before the first step; the fit spends "
        f"{words.seconds(startup_s)}, {words.share(share)} of its time, there.",
        phase="startup",
        evidence={"arrays": words.size(given), "before the first step": words.seconds(startup_s)},
        remedy="Read one batch at a time from the array. Shuffled are then the batches, not their samples.",
        code="- model.fit(x, y, ...)\n"
        "+ class Rows(keras.utils.PyDataset):\n"
        "+     def __len__(self):\n"
        f"+         return -(-len(x) // {data.batch_size or 32})\n"
        "+\n"
        "+     def __getitem__(self, index):\n"
        f"+         rows = slice(index * {data.batch_size or 32}, (index + 1) * {data.batch_size or 32})\n"
        "+         return x[rows], y[rows]\n"
        "+\n"
        "+ model.fit(Rows(), ...)",
        change=Change(factors={"startup_s": Range(0.3, 0.04, 0.01)}),
        confidence="likely",
        changes_results="training",
    )


@rule("TR05", "sync-every-step")
def sync_every_step(
    backend: str,
    step_code: tuple[CodeLine, ...],
    run_eagerly: bool,
    functions_run_eagerly: bool,
    accelerators: tuple[str, ...],
    python_s: dict[str, float],
    computing_s: float,
) -> Outcome:
    """Your code of the step reads values back to the host, or prints them.

    What it means: `train_step`, a loss or a metric of your own has `.item()`, `.numpy()`, `float(loss)` or `print` on
    torch, or `tf.print`, `jax.debug.print` or `jax.debug.callback` in a compiled step.

    Why it is slow: to read a value, the host waits until the device has computed it, and the device then waits for the
    host's next step. Printing from a compiled step also makes text of a tensor on the host, in every step.

    What to change: keep the value on the device, in a metric of Keras, which is read once an epoch; or read it every
    hundredth step.

    When this is wrong: on a CPU torch computes at once, and there is nothing to wait for. TensorFlow waits for every
    call of the train function anyway: there and on JAX the rule goes by the measured time of printing. A plain `print`
    in a compiled step runs while it is traced, and costs nothing later.

    Sources: https://github.com/lnccbrown/LANfactory/pull/120 (85 % of an epoch was one `float(loss)`). Printing is
    timed by deep samples, of which the prediction takes half to all away, and on JAX, where such a step cannot run
    ahead, a tenth to 92 % of the rest of computing, 83 % as expected (measured: 84 %). On an accelerator with torch the
    host and the device work side by side instead of in turn, which halves a step at best, where both take as long; how
    long the host takes is not known there: a hint, and not verified on hardware. Measured on two cores: `tf.print` of a
    few numbers takes next to nothing, and the rule is silent.
    """
    lines = [line for line in step_code if line.kind in ("read", "print")]
    if not lines:
        return Passed("your code of a step reads nothing back")
    if backend == "torch":
        if not accelerators:
            return NotApplicable("on a CPU torch computes at once, and there is nothing to wait for")
        change = Change(factors={"device_s": Range(1.0, 0.8, 0.5)})
        evidence = {"computing": words.seconds(computing_s)}
        costs = f"the host waits for the {accelerators[0]}, so that they take turns in {words.seconds(computing_s)}"
    else:
        if run_eagerly or functions_run_eagerly:
            return NotApplicable("steps run eagerly, which is FW01 and names what needs that")
        prefix = ("tf.", "tensorflow.") if backend == "tensorflow" else ("jax.", "debug.")
        lines = [line for line in lines if line.kind == "print" and line.calls.startswith(prefix)]
        if not lines:
            return Passed("what reads values back runs while the step is traced, not in the steps")
        own_s = sum(seconds for kind, seconds in python_s.items() if kind in _PRINTS)
        if own_s < _PRINTING_FROM * computing_s:
            return Passed(f"printing takes {words.share(own_s / computing_s)} of computing")
        # With a callback in it, JAX runs a step of a CPU in turn with the host.
        in_turn = {"device_s": Range(0.9, 0.17, 0.08), "dispatch_s": Range(1.0, 1.0, 0.2)} if backend == "jax" else {}
        change = Change(removes=less(own_s, 0.5, 1.0, 1.0).removes, factors=in_turn)
        evidence = {"computing": cost(own_s, computing_s)}
        costs = f"that takes {cost(own_s, computing_s)} of computing"
    line = lines[0]
    return Found(
        title="The step reads values back to the host",
        message=f"`{line.function}` calls `{line.calls}` in line {line.line}, in every step; {costs}.",
        phase="compute",
        evidence={
            "the line": f"{line.text} ({line.function}, line {line.line})",
            **({"such lines": str(len(lines))} if len(lines) > 1 else {}),
            **evidence,
        },
        remedy="Keep the value on the device, in a metric: Keras reads it once an epoch.",
        code=f"- {line.text}\n+ self.watched.update_state(loss)   # self.watched = keras.metrics.Mean() in __init__",
        change=change,
        confidence="hint" if backend == "torch" else "likely",
    )


@rule("TR06", "no-device-prefetch")
def no_device_prefetch(
    backend: str,
    accelerators: tuple[str, ...],
    environment: Environment,
    versions: Mapping[str, str],
    transfer_share: float,
    steady: Steady,
) -> Outcome:
    """A distributed step on JAX waits for the copy of its batch to the devices.

    What it means: the model is trained under a `keras.distribution` on accelerators, and copies to them that are not
    hidden take 5 % of training or more.

    Why it is slow: without a distribution Keras starts the copy of the next batch while the step computes; with one it
    hands over a batch when it is asked for it.

    What to change: copy one batch ahead in a generator of your own; JAX copies while it computes. Keras before 3.10 has
    no layout that JAX takes, and needs a newer version for that.

    When this is wrong: another batch must fit into the memory of the devices. Where loading takes longer than copying,
    there is little to hide.

    Sources: Keras, `JAXEpochIterator`; https://github.com/keras-team/keras/pull/22942 (0.5 to 8 % for looking further
    ahead). It is a hint, not verified on hardware: the prediction hides up to all of the copies, half as expected.
    """
    if backend != "jax":
        return NotApplicable("the backend is not JAX")
    if not accelerators:
        return NotApplicable("nothing is transferred on a CPU")
    if environment.distribution is None:
        return Passed("Keras starts the copy of the next batch while the step computes")
    if transfer_share < _SAFE_FIX_FROM:
        return Passed(f"copies that are not hidden take {words.share(transfer_share)} of training")
    copied_s = transfer_share * steady.epoch_s / steady.steps_per_epoch
    return Found(
        title="The step waits for the copy of its batch",
        message=f"With `{environment.distribution}` Keras copies a batch when the step needs it: "
        f"{words.seconds(copied_s)} a step, {words.share(transfer_share)} of training.",
        phase="transfer",
        evidence={"copies": f"{words.seconds(copied_s)} a step", "of training": words.share(transfer_share)},
        remedy="Start the copy of the next batch before it is needed.",
        code="+ pip install -U keras   # 3.10 or newer\n"
        * (release_of(versions["keras"]) < _BACKEND_LAYOUT_FROM)
        + "- model.fit(batches, ...)\n"
        "+ def ahead(batches):\n"
        "+     layout = keras.distribution.distribution().get_data_layout\n"
        "+     waiting = None\n"
        "+     while True:\n"
        "+         for batch in batches:\n"
        "+             put = lambda x: jax.device_put(x, layout(x.shape).backend_layout)\n"
        "+             following = jax.tree.map(put, batch)   # returns at once\n"
        "+             if waiting is not None:\n"
        "+                 yield waiting\n"
        "+             waiting = following\n"
        "+\n"
        "+ model.fit(ahead(batches), steps_per_epoch=n, ...)",
        change=Change(removes={"device_s": Range(0.0, copied_s / 2, copied_s)}),
        confidence="hint",
    )


RULES = (float64_inputs, one_hot_huge_classes, float32_images, arrays_copied, sync_every_step, no_device_prefetch)
