"""Batches are made side by side, but by too few."""

import math

from tb_trainspeed.profile import Data, Source, Stage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.input_pipeline.shared import faster_source, maps, name_of, order_of_draws, recurring, waits
from tb_trainspeed.rules.input_pipeline.side_by_side import MAX_WORKERS, supply_of_workers
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule

_UNUSED_FROM = 1.0


@rule("IP28", "too-few-workers")
def too_few_workers(
    adapter: str,
    data_kind: str,
    stages: tuple[Stage, ...],
    epochs_planned: int,
    workers: int,
    multiprocessing: bool,
    input_share: float,
    wait_s: float,
    step_s: float,
    unused_cores: float,
    cores: float,
    source: Source,
    steady: Steady,
    data: Data,
) -> Outcome:
    """Workers make the batches, or a map runs in parallel, but too few while cores are unused.

    What it means: `workers`, `num_workers` or `num_parallel_calls` is a number above one, the step waits all the same,
    and the machine has cores that nobody uses.

    Why it is slow: so many at once make batches more slowly than the step takes them.

    What to change: more of them, as many as the step needs and there are cores for; in tf.data `tf.data.AUTOTUNE`
    finds the number.

    When this is wrong: the disk, the network or a lock is what all of them wait for. Threads that take turns because of
    the GIL are the subject of IP02. More worker processes need more memory.

    Sources: PyTorch, torch.utils.data; https://www.tensorflow.org/guide/data_performance. Threads are measured, and the
    prediction divides the time of a batch by them; what of a batch holds the GIL is not shared. Of processes and of
    parallel calls the pace is known, which is taken to grow with their number; at worst half of that. Not measured.
    """
    if stages:
        return _parallel_calls(recurring(stages, epochs_planned), input_share, wait_s, unused_cores, cores)
    of_torch = adapter == "TorchDataLoaderAdapter"
    if not (of_torch and workers > 0) and not (adapter == "PyDatasetAdapter" and workers > 1):
        return NotApplicable("no workers make the batches")
    if too_little := waits(input_share):
        return Passed(too_little)
    if unused_cores < _UNUSED_FROM:
        return Passed(f"{workers} workers, and {cores - unused_cores:.1f} of {cores:g} cores are used")
    needed = math.ceil(workers * step_s / max(step_s - wait_s, 1e-4)) + 1
    count = min(MAX_WORKERS, needed, workers + round(unused_cores))
    if count <= workers:
        return Passed(f"{workers} workers")
    processes = of_torch or multiprocessing
    if processes:
        change = Change(factors={"supply_s": _more(workers, count)})
    else:
        change = Change(sets={"supply_s": supply_of_workers(source, count, steady.steps_per_epoch)})
    kind, option = ("DataLoader", "num_workers") if of_torch else (data_kind, "workers")
    note, changes_results = order_of_draws(data)
    return Found(
        title="Too few workers make the batches",
        message=f"{workers} worker{'s' * (workers > 1)} of `{kind}` make batches, and the step still waits "
        f"{words.seconds(wait_s)} of {words.seconds(step_s)} for each, while {unused_cores:.1f} of {cores:g} cores are "
        "unused.",
        phase="input_wait",
        evidence={
            "waiting for data": f"{words.share(input_share)} of training",
            "workers": str(workers),
            "cores unused": f"{unused_cores:.1f} of {cores:g}",
        },
        remedy=f"Take {count} workers.{note}",
        code=f"- {kind}(..., {option}={workers})\n+ {kind}(..., {option}={count})",
        change=change,
        confidence="likely",
        changes_results=changes_results,
    )


def _more(now: int, then: float) -> Range:
    """What is left of the time between two batches once more of them are made at once."""
    left = now / then
    return Range((1 + left) / 2, left, left)


def _parallel_calls(
    stages: tuple[Stage, ...], input_share: float, wait_s: float, unused_cores: float, cores: float
) -> Outcome:
    limited = [stage for stage in stages if maps(stage) and 1 <= (stage.parallelism or 0) < cores]
    if not limited:
        return NotApplicable("no map has a fixed number of parallel calls below that of the cores")
    if too_little := waits(input_share):
        return Passed(too_little)
    if unused_cores < _UNUSED_FROM:
        return Passed(f"{cores - unused_cores:.1f} of {cores:g} cores are used")
    stage = min(limited, key=lambda stage: stage.parallelism or 0)
    name, now = name_of(stage, "f"), stage.parallelism or 1
    return Found(
        title="A map runs too few calls at once",
        message=f"`map({name})` may run {now} call{'s' * (now > 1)} at once, and the step waits "
        f"{words.seconds(wait_s)} for each batch, while {unused_cores:.1f} of {cores:g} cores are unused.",
        phase="input_wait",
        evidence={
            "waiting for data": f"{words.share(input_share)} of training",
            "calls at once": str(now),
            "cores unused": f"{unused_cores:.1f} of {cores:g}",
        },
        remedy="Let tf.data find the number.",
        code=f"- dataset.map({name}, num_parallel_calls={now})\n"
        f"+ dataset.map({name}, num_parallel_calls=tf.data.AUTOTUNE)",
        change=faster_source(_more(now, now + unused_cores)),
        confidence="likely",
    )


RULES = (too_few_workers,)
