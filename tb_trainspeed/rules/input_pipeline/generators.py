"""A Python generator that a tf.data pipeline begins with."""

import dataclasses
from collections.abc import Sequence

from tb_trainspeed.profile import Data, HotSpot, Source, Stage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import Steady, own_s_of
from tb_trainspeed.rules.input_pipeline.mapping import batched_after, left_of
from tb_trainspeed.rules.input_pipeline.shared import (
    SPEAK_FROM,
    faster_source,
    from_cache,
    is_generator,
    order_of_draws,
    recurring,
    waits,
)
from tb_trainspeed.rules.input_pipeline.side_by_side import code_of_pydataset, side_by_side
from tb_trainspeed.rules.rule import Found, NotApplicable, Outcome, Passed, Range, rule

# Share of a step for which a generator holds Python's lock, from which on it is slow whether it waits or not: set below
# the one fit, on torch, in which that was seen (0.27).
_HELD_FROM = 0.25
# An element of a generator costs 0.08 to 0.5 ms to hand over (measured, on three machines of two cores, where nothing
# else of it was seen in elements that took less than that); from a few times that on, it is its own work.
_GENERATED_ELEMENT_S, _HAND_OVER_S = 1e-3, Range(60e-6, 500e-6, 700e-6)
# Of what is not the generator's own, some is tf.data's, which goes on putting batches together.
_OF_THE_REST = Range(0.7, 1.0, 1.0)
# What hands an element over for less than this share of its time is not the cause.
_PART = 0.25


@rule("IP05", "generator-per-sample", silences=("IP08",))
def generator_per_sample(
    stages: tuple[Stage, ...], data: Data, epochs_planned: int, held_up_share: float, step_s: float
) -> Outcome:
    """A generator yields single samples, which are batched afterwards.

    What it means: `tf.data.Dataset.from_generator` hands samples over one by one, and `batch` puts them together.

    Why it is slow: for every sample TensorFlow calls Python, converts what the generator yields, and checks it: 0.1 to
    0.3 ms, however small the sample is.

    What to change: yield whole batches, and drop `batch`.

    When this is wrong: making a sample takes longer than handing it over (IP29). The rule is silent, too, where
    `cache()` comes after the generator, which then runs in the first epoch only.

    Sources: https://github.com/tensorflow/tensorflow/issues/59744. Measured on two cores: 4.6 to 9 times faster,
    with 0 to 15 % of the CPU time of a batch left, where a sample took 0.08 to 0.4 ms. What the generator itself takes
    is timed; the prediction takes the rest of each sample away, and leaves 3 to 12 % of a batch at least. In a record
    that does not tell it, it takes 0.06 to 0.7 ms away, and is silent where a sample takes more than 1 ms.
    """
    if not stages:
        return NotApplicable("no tf.data pipeline")
    stages = recurring(stages, epochs_planned)
    generated = [index for index, stage in enumerate(stages) if is_generator(stage)]
    if not generated:
        return Passed("no generator in what runs every epoch")
    size = batched_after(stages, generated[-1])
    if size is None:
        return Passed("the generator yields whole batches")
    # Python hands over under its lock, which the thread that trains needs as well: a step is slower, not only its wait.
    if size * _HAND_OVER_S.low < _HELD_FROM * step_s and (too_little := waits(held_up_share)):
        return Passed(too_little)
    element_s, own_s, overhead = step_s / size, own_s_of(data.generator), _HAND_OVER_S
    if own_s is not None:
        overhead = Range(*(part * max(0.0, element_s - own_s) for part in dataclasses.astuple(_OF_THE_REST)))
    if element_s > _GENERATED_ELEMENT_S if own_s is None else element_s - own_s < _PART * element_s:
        return Passed(f"a sample takes {words.seconds(element_s)}, most of it for making it")
    own = {} if own_s is None else {"of that in the generator": words.seconds(own_s)}
    signature = stages[generated[-1]].output or ""
    shuffled = any("Shuffle" in stage.kind for stage in stages[generated[-1] :])
    return Found(
        title="A generator yields single samples",
        message=f"`from_generator` hands {words.number(size)} samples over for every batch, {words.seconds(element_s)} "
        "each, much of it for calling Python and converting"
        + (f": `{data.generator.name}` itself takes {words.seconds(own_s)}" if own_s and data.generator else "")
        + f". That holds training up {words.share(held_up_share)} of the time.",
        phase="input_wait",
        evidence={
            "waiting for data, or held up by making it": f"{words.share(held_up_share)} of training",
            "samples a batch": words.number(size),
            "time a sample": words.seconds(element_s),
            **own,
            "a sample": signature,
        },
        remedy="Yield whole batches: the shapes of the signature get a leading `None`."
        + " Shuffle what the generator goes through: a buffer after it holds whole batches then." * shuffled,
        code=f"- yield x[i], y[i]\n+ yield x[i:i + {size}], y[i:i + {size}]      # for i in range(0, len(x), {size})\n"
        f"- tf.data.Dataset.from_generator(samples, ...).batch({size})\n"
        "+ tf.data.Dataset.from_generator(batches, ...)",
        change=faster_source(left_of(element_s, overhead)),
        changes_results="training" if shuffled else "no",
    )


@rule("IP29", "slow-generator", silences=("IP05",))
def slow_generator(
    backend: str,
    stages: tuple[Stage, ...],
    data: Data,
    generated: Source,
    epochs_planned: int,
    held_up_share: float,
    input_share: float,
    wait_s: float,
    step_s: float,
    idle_cores: float,
    cores: float,
    others_compute: bool,
    awake: float,
    steady: Steady,
    batch_bytes: int,
    epoch_bytes: int,
    memory_available_bytes: int,
) -> Outcome:
    """The Python generator of a tf.data pipeline takes much of a batch's time.

    What it means: the pipeline begins with `tf.data.Dataset.from_generator`, and what the generator itself does for a
    sample, such as decoding an image, is a tenth or more of the time of a batch, beside what tf.data does with it.

    Why it is slow: a generator runs in one thread, one sample after the other. `num_parallel_calls` and `prefetch`
    further down change nothing about that, and it runs anew in every epoch.

    What to change: where it yields the same in every epoch, `cache()` right after it, before anything random and before
    `shuffle`: it then runs in the first epoch only. Where it does not, or that does not fit into memory, a
    `keras.utils.PyDataset` with `workers`, if cores are idle or the generator waits for files.

    When this is wrong: it yields other samples in every epoch, as from a simulation or a stream: a cache would keep the
    first ones. Where its source draws at random, or the samples of an epoch would take more than half of the free
    memory, no cache is proposed. Augmentation in the pipeline has to come after the cache.

    Sources: https://www.tensorflow.org/guide/data_performance (caching); TensorFlow, `from_generator`. What the
    generator takes is timed, and its lines are found by sampling its stack. The prediction leaves handing on the
    samples of a batch, 3 to 25 microseconds each a stage, and putting them together at 1.5 to 20 GB a second; that of
    workers is as for IP04.
    """
    if not stages:
        return NotApplicable("no tf.data pipeline")
    found = [index for index, stage in enumerate(stages) if is_generator(stage)]
    if not found or stages[found[-1]] not in recurring(stages, epochs_planned):
        return Passed("no generator in what runs every epoch")
    if too_little := waits(held_up_share):
        return Passed(too_little)
    stage, after = stages[found[-1]], stages[found[-1] + 1 :]
    elements = stage.elements_per_batch or 1.0
    batch_s, cpu_s = generated.wall_s / generated.calls, generated.cpu_s / generated.calls
    if batch_s < SPEAK_FROM * step_s:
        return Passed(f"`{generated.name}` itself takes {words.seconds(batch_s)} of a batch's {words.seconds(step_s)}")
    evidence = {
        "waiting for data, or held up by making it": f"{words.share(held_up_share)} of training",
        f"in {generated.name}, for a batch": f"{words.seconds(batch_s)}, {words.seconds(cpu_s)} of it on the CPU",
        "samples a batch": words.number(elements),
        **_most_of(generated.hot_spots),
    }
    one = "a sample" if elements > 1 else "a batch"
    cached = Found(
        title="The generator of the pipeline takes much of a batch's time",
        message=f"`{generated.name}` takes {words.seconds(batch_s / elements)} for {one}, {words.seconds(batch_s)} of "
        f"the {words.seconds(step_s)} between two batches. It runs in one thread, which holds training up "
        f"{words.share(held_up_share)} of the time.",
        phase="input_wait",
        evidence=evidence,
        remedy=f"If `{generated.name}` yields the same in every epoch, keep what it yields, before `shuffle` and "
        f"anything random: it then runs in the first epoch only. That takes {words.size(epoch_bytes)} of memory.",
        code=f"- dataset = tf.data.Dataset.from_generator({generated.name}, ...)\n"
        f"+ dataset = tf.data.Dataset.from_generator({generated.name}, ...).cache()",
        change=from_cache(elements, after, step_s, batch_bytes, backend, generated=True),
        confidence="likely",
    )
    why_not = _no_cache(data, generated.name, epochs_planned, epoch_bytes, memory_available_bytes)
    if not why_not:
        return cached
    made = side_by_side(generated, input_share, wait_s, step_s, idle_cores, cores, others_compute, awake, steady)
    if isinstance(made, Passed):
        return Passed(f"{why_not}; {made.reason}")
    note, changes_results = order_of_draws(data)
    return dataclasses.replace(
        cached,
        evidence={**evidence, **made.evidence},
        remedy=f"Make it a `PyDataset`, whose batches {made.count} workers can make side by side; what the pipeline "
        f"does with them moves into `__getitem__`.{note}",
        code=f"- dataset = tf.data.Dataset.from_generator({generated.name}, ...)\n"
        + code_of_pydataset(made.count, "n", f"`{generated.name}` and the pipeline make of this batch"),
        change=made.change,
        changes_results=changes_results,
    )


def _no_cache(data: Data, name: str, epochs: int, epoch_bytes: int, memory_bytes: int) -> str | None:
    """Why what a generator yields cannot be kept; `None` where it can."""
    if epochs < 2:
        return "one epoch needs every sample once"
    if data.options.get("random"):
        return f"`{name}` draws at random"
    if data.steps_per_epoch is not None:
        return "an epoch is not known to be one pass over the samples"
    if epoch_bytes > memory_bytes / 2:
        return f"an epoch of batches is {words.size(epoch_bytes)}, too large to keep in memory"
    return None


def _most_of(spots: Sequence[HotSpot]) -> dict[str, str]:
    """The line that takes most of what the generator does."""
    if not spots:
        return {}
    worst = max(spots, key=lambda spot: spot.share)
    called = f"{worst.library}.{worst.callee}" if worst.callee else worst.function
    return {f"in {called} ({worst.file.rpartition('/')[2]}:{worst.line})": words.share(worst.share)}


RULES = (generator_per_sample, slow_generator)
