"""What a tf.data pipeline does in every epoch: fill a buffer, compute what is skipped, lose a cache, end."""

from collections.abc import Sequence

from tb_trainspeed.profile import Data, Quantiles, Stage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.input_pipeline.shared import (
    DECODING,
    HEAVY,
    TAKEN_FROM_CACHE,
    batches_of_arrays,
    does,
    fit_of_batches,
    from_memory,
    maps,
    name_of,
    order_of_draws,
    recurring,
    varies,
    waits,
)
from tb_trainspeed.rules.input_pipeline.side_by_side import POOL_S
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, exactly, rule

# Below this share of an epoch its beginning gains less than epochs differ from each other.
_SPEAK_FROM = 0.1
# So many of them show what is usual.
_ENOUGH_EPOCHS = 5
# Batches to prefetch; the autotuner's own buffer has seldom more where the step is the slower of the two.
_AHEAD = 4


def _works(stages: Sequence[Stage]) -> Stage | None:
    """The last of these stages that does heavy work for each element and whose result nothing keeps."""
    kept = max((index for index, stage in enumerate(stages) if "Cache" in stage.kind), default=-1)
    heavy = [stage for stage in stages[kept + 1 :] if maps(stage) and does(stage, HEAVY)]
    return heavy[-1] if heavy else None


@rule("IP14", "shuffle-after-decode")
def shuffle_after_decode(stages: tuple[Stage, ...], epochs_planned: int, restart_s: float, steady: Steady) -> Outcome:
    """The shuffle buffer holds decoded elements, and every epoch waits until it is full.

    What it means: `shuffle` comes after an expensive `map`. Before the first batch of every epoch as many elements are
    decoded as the buffer holds.

    Why it is slow: the device idles meanwhile, and decoded elements take far more memory than their paths.

    What to change: shuffle what is small, before `map`: paths or row numbers. The buffer can then hold all of them.

    When this is wrong: the elements come from few large files, so that there is nothing smaller to shuffle; then a
    smaller buffer does. Nothing is gained where the step waits for its input all the time anyway.

    Sources: https://github.com/tensorflow/tensorflow/issues/30646. Measured on two cores: 1.2 times faster epochs. The
    prediction takes the time to fill the buffer out of the boundary between epochs, less what decoding during the epoch
    would then make it longer.
    """
    if not stages:
        return NotApplicable("no tf.data pipeline")
    stages = recurring(stages, epochs_planned)
    for index, stage in enumerate(stages):
        work = _works(stages[:index]) if stage.kind.startswith("Shuffle") else None
        many = _elements_of(work, stages[:index]) if work else None
        if work is None or many is None or not stage.buffer or stage.buffer < 2 * (stage.elements_per_batch or 1):
            continue
        share = restart_s / steady.epoch_s
        if share < _SPEAK_FROM:
            return Passed(f"an epoch takes {words.share(share)} of its time to start")
        all_elements = stage.elements or (stage.elements_per_batch or 1) * steady.steps_per_epoch
        filled = min(1.0, stage.buffer / all_elements)
        saved_s = min(restart_s, steady.epoch_s - restart_s / filled)
        if saved_s <= 0:
            return Passed("decoding takes longer than training: the step would wait for it later instead")
        name = name_of(work, "decode")
        size = f", {words.size(stage.buffer * stage.output_bytes)}" if stage.output_bytes else ""
        batch = f".batch({many})" if many > 1 else ""
        mapped = [name_of(other, "f") for other in stages[stages.index(work) : index] if maps(other)]
        chain = "".join(f".map({function})" for function in mapped)
        parallel = "".join(f".map({function}, num_parallel_calls=tf.data.AUTOTUNE)" for function in mapped)
        return Found(
            title="Every epoch waits until the shuffle buffer is full",
            message=f"`shuffle({stage.buffer})` comes after `map({name})`, so "
            f"{words.number(many * min(stage.buffer, all_elements))} elements are decoded before the first step "
            f"of an epoch: {words.seconds(restart_s)}, "
            f"{words.share(share)} of it.",
            phase="epoch_restart",
            evidence={
                "between two epochs": words.seconds(restart_s),
                "an epoch": words.seconds(steady.epoch_s),
                "buffer": f"{words.number(stage.buffer)} elements{size}",
            },
            remedy=f"Shuffle before `map({name})`, where elements are small.",
            code=f"- dataset{chain}{batch}.shuffle({stage.buffer})\n"
            f"+ dataset.shuffle({many * stage.buffer}){parallel}{batch}",
            change=Change(removes={"restart_s": Range(saved_s * 0.4, saved_s * 0.8, saved_s * 0.98)}),
            confidence="likely",
            changes_results="training" if batch else "no",  # whole batches are shuffled now
        )
    return Passed("no shuffle after expensive work")


def _elements_of(work: Stage, before: Sequence[Stage]) -> int | None:
    """How many elements that `work` gets make one after the stages before a point."""
    many = _made_of(before[before.index(work) + 1 :])
    # MapAndBatch
    return many and many * (work.batch_size if "Batch" in work.kind and work.batch_size else 1)


def _made_of(between: Sequence[Stage]) -> int | None:
    """How many elements before these stages make one after them; `None` where one of them mixes, drops or repeats."""
    many = 1
    for stage in between:
        if "Batch" in stage.kind and stage.batch_size:
            many *= stage.batch_size
        elif not (maps(stage) or stage.kind.startswith("Prefetch")):
            return None
    return many


@rule("IP15", "skip-after-heavy-work", silences=("IP14",))
def skip_after_heavy_work(stages: tuple[Stage, ...], epochs_planned: int, restart_s: float, steady: Steady) -> Outcome:
    """Elements are decoded only to be skipped, in every epoch.

    What it means: `skip` comes after an expensive `map`, as when a validation set is split off.

    Why it is slow: tf.data computes an element before it can skip it; each epoch begins with all of them.

    What to change: skip before `map`, or split the list of files.

    When this is wrong: what is skipped can only be told from the decoded element. Few elements that are skipped do not
    make a long wait, which then has another cause, such as a shuffle buffer; the rule is silent.

    Sources: https://github.com/tensorflow/tensorflow/issues/28831. Measured on two cores: 4.2 times faster. The
    prediction takes most of the time before the first batch of an epoch out of it, but no more than so many elements
    take while the epoch runs.
    """
    if not stages:
        return NotApplicable("no tf.data pipeline")
    stages = recurring(stages, epochs_planned)
    for index, stage in enumerate(stages):
        work = _works(stages[:index]) if stage.kind == "Skip" else None
        many = _elements_of(work, stages[:index]) if work else None
        if work is None or many is None or not stage.count:
            continue
        share = restart_s / steady.epoch_s
        if share < _SPEAK_FROM:
            return Passed(f"an epoch takes {words.share(share)} of its time to start")
        # An element takes at most as long as it does in training, which the step may slow down.
        element_s = steady.epoch_s / (steady.steps_per_epoch * (work.elements_per_batch or 1))
        skipped_s = min(restart_s, many * stage.count * element_s)
        if skipped_s < _SPEAK_FROM * steady.epoch_s:
            continue
        name = name_of(work, "decode")
        return Found(
            title="Elements are decoded only to be skipped",
            message=f"`skip({stage.count})` comes after `map({name})`: every epoch begins with what it skips, "
            f"{words.seconds(skipped_s)}, {words.share(skipped_s / steady.epoch_s)} of it.",
            phase="epoch_restart",
            evidence={
                "between two epochs": words.seconds(restart_s),
                "an epoch": words.seconds(steady.epoch_s),
                "skipped": words.number(stage.count),
            },
            remedy=f"Skip before `map({name})`.",
            code=f"- dataset.map({name}).skip({stage.count})\n+ dataset.skip({many * stage.count}).map({name}, "
            "num_parallel_calls=tf.data.AUTOTUNE)",
            change=Change(removes={"restart_s": Range(skipped_s * 0.5, skipped_s * 0.88, skipped_s * 0.98)}),
            confidence="likely",
        )
    return Passed("nothing, or little, is skipped after expensive work")


@rule("IP16", "cache-never-filled", silences=("IP09",))
def cache_never_filled(
    stages: tuple[Stage, ...], epochs_planned: int, input_share: float, wait_s: float, step_s: float, batch_bytes: int
) -> Outcome:
    """A cache is thrown away because an epoch does not read all of it.

    What it means: `take` comes after `cache`, and takes less than there is.

    Why it is slow: tf.data keeps a cache only when it was read to its end. Otherwise it is discarded, with a warning in
    the log, and everything is computed again in the next epoch.

    What to change: `take` before `cache`.

    When this is wrong: never; the warning in the log says the same. The rule is silent where something between the two
    mixes, repeats or drops elements, as `shuffle` does, or something before them shuffles or is random: then what is
    taken is not the same in every epoch.

    Sources: https://github.com/tensorflow/tensorflow/issues/45609. The prediction takes elements from memory, at 3 to
    25 microseconds each and 1.5 to 20 GB a second.
    """
    if not stages:
        return NotApplicable("no tf.data pipeline")
    if epochs_planned < 2:
        return NotApplicable("a cache gives nothing in its first epoch, and there is no other")
    if too_little := waits(input_share):
        return Passed(too_little)
    for index, stage in enumerate(stages):
        if "Cache" not in stage.kind:
            continue
        below = [(stages[at - 1], stages[at]) for at in range(index + 1, len(stages)) if stages[at].kind == "Take"]
        for source, take in below:
            available, many = source.elements, _made_of(stages[index + 1 : stages.index(take)])
            if many is None or take.count is None or take.count < 0:
                continue
            if available is not None and take.count >= available:
                continue
            work = next((other for other in reversed(stages[:index]) if maps(other)), None)
            if work is None or not does(work, (*HEAVY, *DECODING)):
                return Passed("what the cache would keep costs little")
            if varies(stages[:index]) or any(other.kind.startswith("Shuffle") for other in stages[:index]):
                return Passed("what is taken is drawn at random, and another in every epoch")
            elements = stage.elements_per_batch or 1
            rest = from_memory(elements, len(stages) - index, batch_bytes)
            most = f"{take.count} of {available}" if available is not None else str(take.count)
            return Found(
                title="The cache is thrown away in every epoch",
                message=f"`take({take.count})` comes after `cache()`, so no epoch reads it to its end ({most}): it is "
                f"discarded, and everything before it is computed again. The step waits {words.seconds(wait_s)} for "
                "each batch.",
                phase="input_wait",
                evidence={"waiting for data": f"{words.share(input_share)} of training", "taken": most},
                remedy="Take first, then cache.",
                code=f"- dataset.cache().take({take.count})\n+ dataset.take({many * take.count}).cache()",
                change=Change(
                    sets={"supply_s": Range(step_s * 0.5, max(rest.expected, step_s * 0.05), rest.high)},
                    factors=TAKEN_FROM_CACHE,
                    first_epoch=False,
                ),
            )
    return Passed("no cache that is read in part")


@rule("IP27", "autotuner-holds-up-epochs")
def autotuner_holds_up_epochs(
    backend: str,
    adapter: str,
    data: Data,
    stages: tuple[Stage, ...],
    steady: Steady,
    releases: Quantiles,
    releasing_s: float,
) -> Outcome:
    """Now and then the end of an epoch waits for the thread that tunes the tf.data pipeline.

    What it means: most epochs end within milliseconds, but some pause between their last step and the next epoch. A
    tf.data iterator, a new one for every epoch, reads datasets, and on TensorFlow arrays and a `PyDataset` as well.

    Why it is slow: an iterator that ends joins the thread of its autotuner. That thread sleeps for ever longer periods,
    from 10 ms up to about the length of the epoch, and now and then it is not woken: the training sleeps on with it.

    What to change: switch the autotuner off, prefetch explicitly, and give `num_parallel_calls` numbers. An array
    has to be made a dataset for that. For a `PyDataset` Keras switches it off itself as soon as there are two workers.

    When this is wrong: the pauses have another cause, such as other programs on the machine or a file system that is
    slow now and then. A pipeline that gains from being tuned, with several expensive stages, may lose more without.
    `__getitem__` of a `PyDataset` is not thread-safe, as with an open HDF5 file: then it must not have workers.

    Sources: seen in a debugger, in `RootDataset::Iterator::~Iterator`. Measured on two cores: pauses of 0.1 s, or of
    about as long as the epoch, in 24 of 57 epochs, and in none of 89 with the autotuner off; 40 ms an epoch with it,
    and 0.6 ms without. Keras, `PyDatasetAdapter.get_tf_dataset`. The prediction takes out what it took to let the
    iterators go, and adds what Keras takes to make workers anew for every epoch. How often an epoch pauses is chance,
    also in the next fit.
    """
    wrapped = adapter == "PyDatasetAdapter"
    if adapter != "TFDatasetAdapter" and (backend != "tensorflow" or not (wrapped or adapter == "ArrayDataAdapter")):
        return NotApplicable("no tf.data pipeline reads the data")
    pooled = wrapped and ((data.workers or 1) > 1 or data.use_multiprocessing)
    if pooled or data.options.get("autotune.enabled") == "False":
        return NotApplicable("the autotuner is off")
    if releases.count < _ENOUGH_EPOCHS:
        return NotApplicable(f"{releases.count} boundaries between epochs are too few to tell a pause from a rule")
    pool_s = POOL_S if wrapped else exactly(0.0)
    share = (releasing_s - pool_s.expected) / (steady.epoch_s + releasing_s)
    if share < _SPEAK_FROM:
        return Passed(f"epochs stand still for {words.share(max(0.0, share))} of their time before they begin")
    parallel = any(stage.kind.startswith("Parallel") for stage in stages)
    note, changes_results = order_of_draws(data)
    remedy = "Switch the autotuner off and prefetch explicitly."
    code = (
        "+ options = tf.data.Options()\n+ options.autotune.enabled = False\n"
        f"+ dataset = dataset.prefetch({_AHEAD}).with_options(options)"
    )
    if adapter == "ArrayDataAdapter":
        # As Keras does it: whole batches by their indices.
        arrays, weighted = batches_of_arrays(data.batch_size, data.options), "sample_weight" in data.options
        given = "x, y, sample_weight=sample_weight" if weighted else "x, y"
        code = f"{arrays}\n{code}\n- model.fit({given}, ...)\n+ model.fit({fit_of_batches(data.options)}, ...)"
        remedy += " Weights of classes stay an argument of `fit`; those of samples are a part of it." * weighted
    elif wrapped:
        remedy = f"Give it two workers: Keras then switches the autotuner off. `{data.kind}.__init__` must hand "
        remedy += f"`**kwargs` on to `super().__init__`.{note}"
        code = f"- train = {data.kind}(...)\n+ train = {data.kind}(..., workers=2)"
    return Found(
        title="Some epochs wait for tf.data's autotuner to end",
        message=f"Between two epochs training stands still for {words.seconds(releases.mean_s)} in the mean, at most "
        f"{words.seconds(releases.max_s)}: the iterator of the old one joins the thread that tunes it.",
        phase="epoch_restart",
        evidence={
            "letting the old iterator go, mean": words.seconds(releases.mean_s),
            "longest": words.seconds(releases.max_s),
            "share of an epoch": words.share(releasing_s / (steady.epoch_s + releasing_s)),
        },
        remedy=remedy + (" Give `num_parallel_calls` a number: nobody tunes it then." if parallel else ""),
        code=code,
        change=Change(
            removes={
                "pauses_s": Range(0.7 * releasing_s, releasing_s, releasing_s),
                "restart_s": Range(-pool_s.low, -pool_s.expected, -pool_s.high),
            }
        ),
        confidence="likely",
        changes_results=changes_results,
    )


RULES = (shuffle_after_decode, skip_after_heavy_work, cache_never_filled, autotuner_holds_up_epochs)
