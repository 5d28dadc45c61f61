"""What a tf.data pipeline does to each element: in Python, one after the other, or too early."""

import dataclasses
import re
from collections.abc import Sequence

from tb_trainspeed.profile import Stage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.input_pipeline.shared import (
    DECODING,
    HEAVY,
    MANY_ELEMENTS,
    MEMORY_BYTES_PER_S,
    PARSING,
    PYTHON,
    RANDOM,
    RESIZING,
    batches,
    does,
    faster_source,
    from_memory,
    maps,
    name_of,
    recurring,
    waits,
)
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule

# An element below this size costs less to compute on than to hand on: what a stage costs an element is then overhead.
_SMALL_ELEMENT_BYTES = 64_000
_SMALL_ELEMENT_S = 200e-6
# What calling a function on one element costs beside its work, and each of its operations, at least; measured on two
# cores.
_CALL_S, _OPERATION_S = 5e-6, 2e-6
# What cutting a row out and putting it into its batch costs, which stays where only the function is called on batches.
# Measured on five machines of two cores: 2 to 4 microseconds.
_CUT_S, _LEAST_CUT_S = 3e-6, 2e-6
# A whole batch is handed over, or mapped, as well: 3 to 8 % of what its elements took (measured).
_WHOLE = Range(0.12, 0.06, 0.03)
_PARSED_ELEMENT_S = 2e-3


def left_of(element_s: float, overhead_s: Range) -> Range:
    """Returns what is left of an element's time without what it costs to hand it on by itself."""
    ends = zip(*map(dataclasses.astuple, (overhead_s, _WHOLE)), strict=True)
    return Range(*(min(1.0, max(whole, 1 - overhead / element_s)) for overhead, whole in ends))


def batched_after(stages: Sequence[Stage], index: int) -> int | None:
    """Returns the batch size of the next stage that puts elements together, where it puts many together."""
    size = next((stage.batch_size for stage in stages[index + 1 :] if batches(stage)), None)
    return size if size and size >= MANY_ELEMENTS else None


@rule("IP06", "py-function-in-map", silences=("IP07", "IP08"))
def py_function_in_map(stages: tuple[Stage, ...], epochs_planned: int, held_up_share: float, step_s: float) -> Outcome:
    """A tf.data map calls back into Python for every element.

    What it means: the function of a `map` contains `tf.py_function` or `tf.numpy_function`.

    Why it is slow: Python code runs under the GIL, one element at a time, in the process that also has to feed the
    step. tf.data does not make such maps parallel by itself.

    What to change: write the function in TensorFlow operations; `tf.image`, `tf.strings`, `tf.io` and `keras.ops` cover
    most of what people use Python for. Where that cannot be done, call Python once a batch instead of once an element.

    When this is wrong: the Python function takes a negligible part of the pipeline. Where the pipeline also decodes or
    parses in TensorFlow operations, how much that is cannot be seen: half of a batch is expected to be left. A call for
    a whole batch is a hint: what it takes is its own work. What comes before `cache()` runs in the first epoch only,
    and the rule does not look at it.

    Sources: https://www.tensorflow.org/guide/data_performance. Measured on two cores: 12.7 times faster with TensorFlow
    operations, 1.9 times with parallel calls alone, which are the ends of the predicted range; 12 % of the CPU time
    of a batch are expected to be left.
    """
    if not stages:
        return NotApplicable("no tf.data pipeline")
    stages = recurring(stages, epochs_planned)
    found = [stage for stage in stages if PYTHON & set(stage.operations) and "GeneratorDataset" not in stage.operations]
    if not found:
        return Passed("no Python code in what runs every epoch")
    if too_little := waits(held_up_share):
        return Passed(too_little)
    stage = found[-1]
    name = name_of(stage, "f")
    calls = stage.elements_per_batch or 1
    whole = calls <= 1
    beside = any(does(other, (*DECODING, *PARSING, *RESIZING)) for other in stages)
    left = Range(1.0 if beside or whole else 1 / 1.9, 0.5 if beside else 0.12, 1 / 12.7)
    return Found(
        title=f"The pipeline calls Python for every {'batch' if whole else 'element'}",
        message=f"`map({name})` leaves TensorFlow for Python, one call at a time. A batch needs "
        f"{words.number(calls)} call{'' if whole else 's'}, and that holds training up "
        f"{words.share(held_up_share)} of the time.",
        phase="input_wait",
        evidence={
            "waiting for data, or held up by making it": f"{words.share(held_up_share)} of training",
            "calls into Python a batch": words.number(calls),
            "time a call": words.seconds(step_s / calls),
        },
        remedy=f"Write `{name}` in TensorFlow operations, which run in parallel and without the GIL.",
        code=f"- dataset.map(lambda x: tf.py_function({name}, [x], Tout))\n"
        f"+ dataset.map({name}_in_tf_ops, num_parallel_calls=tf.data.AUTOTUNE)",
        change=faster_source(left),
        confidence="hint" if whole else "likely" if beside else "certain",
        changes_results="rounding",
    )


@rule("IP07", "serial-stateful-map")
def serial_stateful_map(
    stages: tuple[Stage, ...],
    epochs_planned: int,
    input_share: float,
    wait_s: float,
    busy_cores: float,
    cores: float,
) -> Outcome:
    """A map runs one element at a time, and tf.data cannot make it parallel by itself.

    What it means: a `map` without `num_parallel_calls` has an operation with a state, such as `tf.random.uniform`.

    Why it is slow: tf.data makes maps parallel by itself, but not those whose result may depend on the order of calls:
    then one core works and the others idle.

    What to change: `num_parallel_calls=tf.data.AUTOTUNE`. With `tf.random.stateless_uniform` and a seed for each
    element the result does not depend on the order either.

    When this is wrong: the order of calls matters, as for a counter. A map without such an operation is parallel
    already, whether it says so or not; `tf.debugging.assert_*` is none. What comes before `cache()` runs in the first
    epoch only, and the rule does not look at it.

    Sources: https://www.tensorflow.org/guide/data_performance (parallel mapping). Measured on two cores: nothing for a
    light random operation, 1.9 times for one that waits. The prediction divides the time of a batch by the cores at
    best, and the step-time model lets them be shared with the step.
    """
    if not stages:
        return NotApplicable("no tf.data pipeline")
    serial = [
        stage
        for stage in recurring(stages, epochs_planned)
        if stage.kind == "Map" and stage.stateful_operations and not does(stage, PYTHON)
    ]
    if not serial:
        return Passed("no map that has to run one element at a time")
    if too_little := waits(input_share):
        return Passed(too_little)
    if cores - busy_cores < 0.5:
        return Passed(f"{busy_cores:.1f} of {cores:g} cores are busy already")
    stage = serial[-1]
    name = name_of(stage, "f")
    return Found(
        title="A map runs one element at a time",
        message=f"`map({name})` keeps a state (`{stage.stateful_operations[0]}`), so tf.data runs it alone: "
        f"{busy_cores:.1f} of {cores:g} cores are busy, and the step waits {words.seconds(wait_s)} for each batch.",
        phase="input_wait",
        evidence={
            "waiting for data": f"{words.share(input_share)} of training",
            "operations with a state": ", ".join(stage.stateful_operations[:3]),
            "cores busy": f"{busy_cores:.1f} of {cores:g}",
        },
        remedy="Let it run in parallel. The random numbers are then others, of the same kind.",
        code=f"- dataset.map({name})\n+ dataset.map({name}, num_parallel_calls=tf.data.AUTOTUNE)",
        change=Change(factors={"supply_s": Range(1.0, max(0.2, 1 / (1 + (cores - busy_cores))), 1 / cores)}),
        confidence="likely",
        changes_results="training",
    )


@rule("IP08", "map-before-batch")
def map_before_batch(stages: tuple[Stage, ...], epochs_planned: int, held_up_share: float, step_s: float) -> Outcome:
    """Small elements are mapped one by one and batched afterwards.

    What it means: a cheap function is mapped over single elements before `batch`.

    Why it is slow: tf.data spends some 10 to 20 microseconds on every element that it hands from stage to stage,
    however little there is to compute.

    What to change: batch first, then map: the same function on whole batches, one call for all of it.

    When this is wrong: the function decodes, changes the shape of each element differently, or does real work. What
    comes before `cache()` runs in the first epoch only, and the rule does not look at it.

    Sources: https://www.tensorflow.org/guide/data_performance (vectorizing mapping). Measured on two cores: 6 to 8
    times faster, with 6 to 12 % of the CPU time of a batch left, and for rows of 100 numbers and one dear operation
    1.9 times, with 30 %. At worst the prediction takes 5 microseconds of every element away, and 2 of every operation
    on it; it expects that what stays is 3 microseconds an element, and going through the batch in memory.
    """
    if not stages:
        return NotApplicable("no tf.data pipeline")
    if too_little := waits(held_up_share):
        return Passed(too_little)
    stages = recurring(stages, epochs_planned)
    for index, stage in enumerate(stages):
        if not batches(stage):
            continue
        elements = stage.batch_size or 0
        before = [other for other in stages[:index] if maps(other)]
        light = [other for other in before if _is_light(other)]
        if elements < MANY_ELEMENTS or not light or len(light) < len(before):
            continue
        if step_s / elements > _SMALL_ELEMENT_S:
            return Passed(f"an element takes {words.seconds(step_s / elements)}, more than handing it on costs")
        name = name_of(light[-1], "f")
        operations = sum(len(other.operations) for other in light)
        overhead_s = len(light) * _CALL_S + operations * _OPERATION_S
        row_bytes = (1 + operations) * (light[-1].output_bytes or 0)
        stays = [
            (cut_s + row_bytes / rate) * elements / step_s
            for cut_s, rate in ((_CUT_S, MEMORY_BYTES_PER_S.expected), (_LEAST_CUT_S, MEMORY_BYTES_PER_S.high))
        ]
        most = 1 - overhead_s * elements / step_s
        left = Range(*(min(1.0, max(0.03, share)) for share in (max(most, 1.5 * stays[0]), *stays)))
        return Found(
            title="Elements are mapped one by one, then batched",
            message=f"`map({name})` runs {words.number(elements)} times a batch on elements of "
            f"{words.size(light[-1].output_bytes or 0)}; handing them on one by one costs more than the function. "
            f"That holds training up {words.share(held_up_share)} of the time.",
            phase="input_wait",
            evidence={
                "waiting for data, or held up by making it": f"{words.share(held_up_share)} of training",
                "elements a batch": words.number(elements),
                "step time per element": words.seconds(step_s / elements),
            },
            remedy=f"Batch first and map `{name}` over whole batches; it must accept a leading batch dimension.",
            code=f"- dataset.map({name}).batch({elements})\n"
            f"+ dataset.batch({elements}).map({name}, num_parallel_calls=tf.data.AUTOTUNE)",
            change=faster_source(left),
            confidence="likely",
            changes_results="rounding",
        )
    return Passed("no cheap map before a batch")


def _is_light(stage: Stage) -> bool:
    small = stage.output_bytes is not None and stage.output_bytes <= _SMALL_ELEMENT_BYTES
    # What draws at random draws for every element, and for whole batches would draw once.
    return small and not does(stage, HEAVY) and not does(stage, RANDOM)


@rule("IP20", "per-record-parse", silences=("IP08", "IP09"))
def per_record_parse(stages: tuple[Stage, ...], held_up_share: float, step_s: float) -> Outcome:
    """Records are parsed one by one and batched afterwards.

    What it means: `tf.io.parse_single_example`, `tf.io.decode_csv` or an operation on strings is mapped over single
    records, before `batch`.

    Why it is slow: each call sets up its outputs, one tensor a feature, for one record; `batch` then copies them
    together, feature by feature.

    What to change: batch the raw records and parse whole batches: `tf.io.parse_example` and `tf.io.decode_csv` take
    them. What was parsed can be kept with `cache()`.

    When this is wrong: a record is large, such as an image inside a TFRecord: then parsing is not what takes the time.

    Sources: https://www.tensorflow.org/guide/data_performance (vectorizing mapping). Measured on two cores, for a table
    with many columns: 3.5 times faster, for one with few 3.5 to 4.7 times, with 10 to 22 % of the CPU time of a batch
    left; the predicted range leaves 8 to 40 %.
    """
    if not stages:
        return NotApplicable("no tf.data pipeline")
    if too_little := waits(held_up_share):
        return Passed(too_little)
    for index, stage in enumerate(stages):
        if not (maps(stage) and does(stage, PARSING)) or any("Cache" in other.kind for other in stages[index:]):
            continue
        size = batched_after(stages, index)
        if size is None:
            continue
        element_s = step_s / size
        if element_s > _PARSED_ELEMENT_S or (does(stage, ("Decode",)) and not does(stage, ("DecodeCSV",))):
            return Passed(f"a record takes {words.seconds(element_s)}, more than parsing it")
        operation = next(kind for kind in stage.operations if kind.startswith(PARSING))
        name = name_of(stage, "parse")
        columns = (stage.output or "").count("(")
        whole = "tf.io.parse_example" if operation.startswith("Parse") else "the same operation"
        return Found(
            title="Records are parsed one by one",
            message=f"`map({name})` parses {words.number(size)} records for every batch, each into {columns} tensors "
            f"(`{operation}`), {words.seconds(element_s)} a record. That holds training up "
            f"{words.share(held_up_share)} of the time.",
            phase="input_wait",
            evidence={
                "waiting for data, or held up by making it": f"{words.share(held_up_share)} of training",
                "records a batch": words.number(size),
                "time a record": words.seconds(element_s),
                "tensors a record": str(columns),
            },
            remedy=f"Batch the raw records and parse whole batches with {whole}.",
            code=f"- dataset.map({name}).batch({size})\n"
            f"+ dataset.batch({size}).map({name}, num_parallel_calls=tf.data.AUTOTUNE)  # on a batch of records",
            change=faster_source(Range(0.4, 0.14, 0.08)),
            confidence="likely",
        )
    return Passed("no records are parsed one by one")


# What `fit` would do without: it takes all rows, once an epoch.
_PICKS = re.compile("Cache|Skip|Take|Filter|Shard|Repeat|Interleave|Concatenate|Zip|Sample")


@rule("IP23", "slices-of-small-rows")
def slices_of_small_rows(stages: tuple[Stage, ...], held_up_share: float, step_s: float, batch_bytes: int) -> Outcome:
    """Arrays in memory are cut into rows and put together again.

    What it means: `from_tensor_slices` on arrays, then `batch`, and nothing in between that needs single rows.

    Why it is slow: every row is an element of its own, which is handed from stage to stage and copied into its batch.

    What to change: hand the arrays to `fit`, with `batch_size`: Keras shuffles row numbers and gathers whole batches.

    When this is wrong: something is mapped over the rows; or the order matters, which `fit(shuffle=False)` keeps. A
    smaller last batch, where `drop_remainder` left it out, is trained on.

    Sources: Keras, ArrayDataAdapter. Measured on two cores: 1.3 times faster. The prediction gathers a batch from
    memory at 1.5 to 20 GB a second.
    """
    if not stages:
        return NotApplicable("no tf.data pipeline")
    if stages[0].kind != "TensorSlice" or any(maps(stage) or _PICKS.search(stage.kind) for stage in stages):
        return Passed("rows are not only cut and put together")
    size = batched_after(stages, 0)
    if size is None or (stages[0].output_bytes or _SMALL_ELEMENT_BYTES) >= _SMALL_ELEMENT_BYTES:
        return Passed("rows are large, or batches small")
    if too_little := waits(held_up_share):
        return Passed(too_little)
    shuffled = any("Shuffle" in stage.kind for stage in stages)
    gather = from_memory(1, 20, batch_bytes)  # the stages of Keras' own pipeline, on whole batches
    return Found(
        title="Arrays are cut into rows and put together again",
        message=f"The arrays lie in memory, but every batch is put together from {words.number(size)} rows of "
        f"{words.size(stages[0].output_bytes or 0)}, one by one. That holds training up "
        f"{words.share(held_up_share)} of the time.",
        phase="input_wait",
        evidence={
            "waiting for data, or held up by making it": f"{words.share(held_up_share)} of training",
            "rows a batch": words.number(size),
            "step time per row": words.seconds(step_s / size),
        },
        remedy="Hand the arrays to `fit`: Keras then gathers whole batches"
        + (", and shuffles all rows." * shuffled or "."),
        code=f"- model.fit(tf.data.Dataset.from_tensor_slices((x, y)){'.shuffle(n)' * shuffled}.batch({size}), ...)\n"
        f"+ model.fit(x, y, batch_size={size}{'' if shuffled else ', shuffle=False'}, ...)",
        change=Change(sets={"supply_s": gather}, factors={"source_cpu_s": Range(0.8, 0.4, 0.1)}),
        confidence="likely",
        changes_results="training" if shuffled else "no",  # Keras shuffles all rows, whatever the buffer was
    )


RULES = (
    py_function_in_map,
    serial_stateful_map,
    map_before_batch,
    per_record_parse,
    slices_of_small_rows,
)
