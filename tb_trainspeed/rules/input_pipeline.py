"""IP: the input pipeline."""

import math
from collections.abc import Sequence

from tb_trainspeed.profile import HotSpot, Source, Stage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, exactly, rule

# XProf calls a fit moderately input-bound from 5 % and highly from 20 %; below 15 % a fix of the pipeline gains less
# than runs differ from each other.
SPEAK_FROM = 0.15
# Below this a Python source costs less than handing its batches over does.
_CHEAP_BATCH_S = 0.001
_MAX_WORKERS = 16
# Handing a job to a worker and its batch back: the least that a batch still costs. An assumption.
_QUEUE_S = 0.0004

_READERS = frozenset(
    ("PIL", "cv2", "imageio", "skimage", "tifffile", "pydicom", "rasterio", "librosa", "soundfile", "h5py", "pandas",
     "pyarrow", "zipfile", "tarfile", "gzip", "json", "csv", "pickle", "zarr", "netCDF4", "nibabel", "av", "decord")
)  # fmt: skip
_READING = frozenset(("open", "read", "load", "loadtxt", "genfromtxt", "imread", "imdecode", "fromfile", "read_bytes"))
_PYTHON_OPERATIONS = frozenset(("PyFunc", "EagerPyFunc", "PyFuncStateless"))
_HEAVY_OPERATIONS = ("Decode", "ReadFile", "Parse", "Resize", "PyFunc", "EagerPyFunc", "While", "StatelessWhile")
# An element below this size costs less to compute on than to hand on: what a stage costs an element is then overhead.
_SMALL_ELEMENT_BYTES = 64_000
_SMALL_ELEMENT_S = 200e-6
_MANY_ELEMENTS = 16


def _faster_source(factors: Range) -> Change:
    """The source needs this part of its time, and also of the CPU time that it takes from the step."""
    return Change(factors={"supply_s": factors, "source_cpu_s": factors})


def _waits(input_share: float) -> str | None:
    if input_share >= SPEAK_FROM:
        return None
    return f"the step waits for its batch {words.share(input_share)} of the time"


def supply_of_workers(source: Source, count: int) -> Range:
    """Returns the seconds between two batches that so many workers make side by side."""
    batch_s, cpu_s = source.wall_s / source.calls, source.cpu_s / source.calls
    # Threads share what a batch waits for; of its CPU time all, half or nothing may hold the GIL.
    return Range(
        max(batch_s / count, cpu_s) + _QUEUE_S,
        max(batch_s / count, cpu_s / 2) + _QUEUE_S,
        max(batch_s / count, cpu_s / count) + _QUEUE_S / 2,
    )


@rule("IP01", "pydataset-serial")
def pydataset_serial(
    adapter: str,
    data_kind: str,
    workers: int,
    input_share: float,
    wait_s: float,
    step_s: float,
    busy_cores: float,
    cores: float,
    source: Source,
) -> Outcome:
    """Batches are made by one worker while the step waits for them.

    What it means: `PyDataset.__getitem__` runs in one thread, one batch after the other, and takes longer than a step.

    Why it is slow: `workers` defaults to 1, which means no workers at all. Keras then overlaps one batch with the step
    at best, however many cores the machine has.

    What to change: give the dataset workers. Its class must hand `**kwargs` on to `super().__init__`. Threads are
    enough where `__getitem__` waits for files or the network, or spends its time in libraries that release the GIL.

    When this is wrong: `__getitem__` is not thread-safe (an open HDF5 file). Where the cores are already busy, workers
    gain nothing, and the rule says so instead of speaking up.

    Sources: Keras, PyDataset; https://github.com/keras-team/keras/issues/17118. The prediction divides the measured
    time of a batch by the workers and lets all of them share the machine's cores; the part of a batch that is Python
    may or may not hold the GIL, which is the width of its range.
    """
    if adapter != "PyDatasetAdapter":
        return NotApplicable("the data are no PyDataset")
    if workers > 1:
        return Passed(f"{workers} workers")
    if too_little := _waits(input_share):
        return Passed(too_little)
    batch_s, cpu_s = source.wall_s / source.calls, source.cpu_s / source.calls
    if batch_s < _CHEAP_BATCH_S:
        return Passed(f"`{source.name}` takes only {words.seconds(batch_s)}")
    idle = max(0.0, cores - busy_cores)
    waiting = 1 - min(1.0, cpu_s / batch_s)
    if waiting < 0.5 and idle < 0.5:
        return Passed(
            f"one worker, but {busy_cores:.1f} of {cores:g} cores are busy already: more workers would not help"
        )
    busy_s = max(step_s - wait_s, 1e-4)
    useful = math.ceil(batch_s / busy_s) + 1
    if waiting < 0.5:
        useful = min(useful, 1 + round(idle))
    count = max(2, min(_MAX_WORKERS, useful))
    supply = supply_of_workers(source, count)
    return Found(
        title="Batches are made by one worker",
        message=f"`{source.name}` takes {words.seconds(batch_s)} a batch, {words.share(waiting)} of it waiting for "
        f"files, the network or a lock. One worker makes them one after the other, so the step waits "
        f"{words.seconds(wait_s)} for each.",
        phase="input_wait",
        evidence={
            "waiting for data": f"{words.share(input_share)} of training",
            "making one batch": f"{words.seconds(batch_s)}, {words.seconds(cpu_s)} of it on the CPU",
            "the step without the wait": words.seconds(busy_s),
            "cores busy": f"{busy_cores:.1f} of {cores:g}",
        },
        remedy=f"Let {count} workers make batches side by side. `{data_kind}.__init__` must hand `**kwargs` on to "
        "`super().__init__`.",
        code=f"- train = {data_kind}(...)\n+ train = {data_kind}(..., workers={count}, max_queue_size={2 * count})",
        change=Change(sets={"supply_s": supply, "in_turn": exactly(0.0)}),
        confidence="certain" if waiting >= 0.5 else "likely",
        bars={"making one batch": batch_s, "the step without the wait": busy_s},
    )


@rule("IP09", "redecode-each-epoch")
def redecode_each_epoch(
    adapter: str,
    input_share: float,
    wait_s: float,
    source: Source,
    epochs_planned: int,
    epoch_bytes: int,
    memory_available_bytes: int,
) -> Outcome:
    """The same files are read and decoded again in every epoch.

    What it means: most of the time that a batch takes goes into reading and decoding files, and the result, which is
    the same in every epoch, is thrown away.

    Why it is slow: decoding an image costs far more than computing with it once, and it is paid in every epoch.

    What to change: keep what was decoded. `functools.cache` on the function that loads one file does it in one line;
    augmentation stays outside, so that it stays random.

    When this is wrong: the function that loads also augments at random (a cache would freeze that), or the decoded data
    do not fit into memory. The rule speaks up only where an epoch of batches fits into half of the free memory.

    Sources: https://www.tensorflow.org/guide/data_performance (caching). The share of loading is measured by sampling
    the stack of the code that makes batches; its standard error is the width of the predicted range.
    """
    if adapter not in ("PyDatasetAdapter", "GeneratorDataAdapter"):
        return NotApplicable("batches are not made by Python code")
    if too_little := _waits(input_share):
        return Passed(too_little)
    if epochs_planned < 2:
        return NotApplicable("every file is needed once, for there is one epoch")
    name, spots = _loading(source.hot_spots)
    share = sum(spot.share for spot in spots)
    if share < 0.25:
        return Passed(f"reading and decoding files is {words.share(share)} of the time of a batch")
    if epoch_bytes > memory_available_bytes / 2:
        return Passed(f"an epoch of batches is {words.size(epoch_bytes)}, too large to keep in memory")
    batch_s, cpu_s = source.wall_s / source.calls, source.cpu_s / source.calls
    error = 2 * math.sqrt(share * (1 - share) / 300) + 0.02
    kept = Range(*(max(0.02, 1 - part) for part in (share - error, share, min(1.0, share + error))))
    short = name.rpartition(".")[2]
    where = f"{spots[0].file.rpartition('/')[2]}:{min(spot.line for spot in spots)}"
    return Found(
        title="The same files are decoded again in every epoch",
        message=f"`{source.name}` takes {words.seconds(batch_s)} a batch, {words.share(share)} of it in `{name}`, "
        "which reads and decodes files that are the same in every epoch. The step waits "
        f"{words.seconds(wait_s)} for each batch.",
        phase="input_wait",
        evidence={
            "waiting for data": f"{words.share(input_share)} of training",
            "making one batch": f"{words.seconds(batch_s)}, {words.seconds(cpu_s)} of it on the CPU",
            f"in {short} ({where})": words.share(share),
            "an epoch, decoded": f"{words.size(epoch_bytes)} of {words.size(memory_available_bytes)} free memory",
        },
        remedy=f"Keep what `{short}` returns: then every file is decoded once, in the first epoch. What it returns "
        "must depend on its arguments alone, and must not be changed in place.",
        code=f"+ import functools\n+\n+ @functools.cache\n  def {short}(...):",
        change=_faster_source(kept),
        confidence="likely",
        bars={f"a batch in {short}": share * batch_s, "the rest of a batch": (1 - share) * batch_s},
    )


def _loading(spots: Sequence[HotSpot]) -> tuple[str, list[HotSpot]]:
    """Returns the function of the user's in which files are read or decoded, and all samples within it."""
    functions: dict[str, list[HotSpot]] = {}
    for spot in spots:
        functions.setdefault(spot.function, []).append(spot)
    best: tuple[str, list[HotSpot]] = ("", [])
    for name, own in functions.items():
        total = sum(spot.share for spot in own)
        reading = sum(spot.share for spot in own if spot.library in _READERS or spot.callee in _READING)
        if reading > total / 2 and total > sum(spot.share for spot in best[1]) and not name.endswith("__getitem__"):
            best = name, own
    return best


@rule("IP06", "py-function-in-map")
def py_function_in_map(stages: tuple[Stage, ...], input_share: float, wait_s: float, step_s: float) -> Outcome:
    """A tf.data map calls back into Python for every element.

    What it means: the function of a `map` contains `tf.py_function` or `tf.numpy_function`.

    Why it is slow: Python code runs under the GIL, one element at a time, in the process that also has to feed the
    step. tf.data does not make such maps parallel by itself.

    What to change: write the function in TensorFlow operations; `tf.image`, `tf.strings`, `tf.io` and `keras.ops` cover
    most of what people use Python for. Where that cannot be done, call Python once a batch instead of once an element.

    When this is wrong: the Python function takes a negligible part of the pipeline.

    Sources: https://www.tensorflow.org/guide/data_performance. Measured on two cores: 12.7 times faster with TensorFlow
    operations, 1.9 times with parallel calls alone, which are the ends of the predicted range.
    """
    if not stages:
        return NotApplicable("no tf.data pipeline")
    found = [stage for stage in stages if _PYTHON_OPERATIONS & set(stage.operations)]
    if not found:
        return Passed("no Python code in the pipeline")
    if too_little := _waits(input_share):
        return Passed(too_little)
    stage = found[-1]
    name = stage.function or "the mapped function"
    per_element = step_s / (stage.elements_per_batch or 1)
    return Found(
        title="The pipeline calls Python for every element",
        message=f"`map({name})` leaves TensorFlow for Python, one call at a time. A batch needs "
        f"{words.number(stage.elements_per_batch or 1)} calls, and the step waits {words.seconds(wait_s)} for it.",
        phase="input_wait",
        evidence={
            "waiting for data": f"{words.share(input_share)} of training",
            "calls into Python a batch": words.number(stage.elements_per_batch or 1),
            "time an element": words.seconds(per_element),
        },
        remedy=f"Write `{name}` in TensorFlow operations, which run in parallel and without the GIL.",
        code=f"- dataset.map(lambda x: tf.py_function({name}, [x], Tout))\n"
        f"+ dataset.map({name}_in_tf_ops, num_parallel_calls=tf.data.AUTOTUNE)",
        change=_faster_source(Range(1 / 1.9, 0.2, 1 / 12.7)),
        changes_results="rounding",
    )


@rule("IP08", "map-before-batch")
def map_before_batch(stages: tuple[Stage, ...], input_share: float, wait_s: float, step_s: float) -> Outcome:
    """Small elements are mapped one by one and batched afterwards.

    What it means: a cheap function is mapped over single elements before `batch`.

    Why it is slow: tf.data spends some 10 to 20 microseconds on every element that it hands from stage to stage,
    however little there is to compute.

    What to change: batch first, then map: the same function on whole batches, one call for all of it.

    When this is wrong: the function decodes, changes the shape of each element differently, or does real work.

    Sources: https://www.tensorflow.org/guide/data_performance (vectorizing mapping). Measured on two cores: 5.9 times
    faster; the predicted range leaves a tenth to a third of the time of a batch.
    """
    if not stages:
        return NotApplicable("no tf.data pipeline")
    if too_little := _waits(input_share):
        return Passed(too_little)
    for index, stage in enumerate(stages):
        if stage.kind != "Batch" and not stage.kind.endswith("Batch"):
            continue
        elements = stage.batch_size or 0
        before = [other for other in stages[:index] if other.kind in ("Map", "ParallelMap")]
        light = [other for other in before if _is_light(other)]
        if elements < _MANY_ELEMENTS or not light or len(light) < len(before):
            continue
        if step_s / elements > _SMALL_ELEMENT_S:
            return Passed(f"an element takes {words.seconds(step_s / elements)}, more than handing it on costs")
        name = light[-1].function or "f"
        return Found(
            title="Elements are mapped one by one, then batched",
            message=f"`map({name})` runs {words.number(elements)} times a batch on elements of "
            f"{words.size(light[-1].output_bytes or 0)}; handing them on one by one costs more than the function. "
            f"The step waits {words.seconds(wait_s)} for each batch.",
            phase="input_wait",
            evidence={
                "waiting for data": f"{words.share(input_share)} of training",
                "elements a batch": words.number(elements),
                "time an element": words.seconds(step_s / elements),
            },
            remedy=f"Batch first and map `{name}` over whole batches; it must accept a leading batch dimension.",
            code=f"- dataset.map({name}).batch({elements})\n"
            f"+ dataset.batch({elements}).map({name}, num_parallel_calls=tf.data.AUTOTUNE)",
            change=_faster_source(Range(0.35, 0.2, 0.1)),
            confidence="likely",
            changes_results="rounding",
        )
    return Passed("no cheap map before a batch")


def _is_light(stage: Stage) -> bool:
    small = stage.output_bytes is not None and stage.output_bytes <= _SMALL_ELEMENT_BYTES
    return small and not any(kind.startswith(_HEAVY_OPERATIONS) for kind in stage.operations)


RULES = (pydataset_serial, redecode_each_epoch, py_function_in_map, map_before_batch)
