"""What several workers that make batches side by side would give."""

import dataclasses
import math

from tb_trainspeed.profile import Source
from tb_trainspeed.rules import words
from tb_trainspeed.rules.input_pipeline.shared import CHEAP_BATCH_S
from tb_trainspeed.rules.rule import Passed, Range

_MAX_WORKERS = 16
# Handing a job to a worker and its batch back: the least that a batch still costs. An assumption.
_QUEUE_S = 0.0004
# How far the share of samples that found the GIL held may be from the truth. An assumption.
_GIL_ERROR = 0.25


@dataclasses.dataclass(frozen=True)
class Workers:
    """What workers would give: how many, the time between two batches then, and what they would be waiting for."""

    count: int
    supply: Range
    waiting: float
    evidence: dict[str, str]


def supply_of_workers(source: Source, count: int, processes: bool = False) -> Range:
    """Returns the seconds between two batches that so many workers make side by side."""
    batch_s, cpu_s = source.wall_s / source.calls, source.cpu_s / source.calls
    # Threads share what a batch waits for, and of its CPU time what does not hold the GIL. Processes share all.
    gil = source.gil_share
    known = (
        (cpu_s, cpu_s / 2, 0.0) if gil is None else (cpu_s * min(1.0, gil + _GIL_ERROR), cpu_s * gil, cpu_s * gil / 2)
    )
    held = (0.0, 0.0, 0.0) if processes else known
    queue_s = (_QUEUE_S, _QUEUE_S, _QUEUE_S / 2)
    return Range(*(max(batch_s / count, part) + queue for part, queue in zip(held, queue_s, strict=True)))


def side_by_side(
    source: Source, input_share: float, wait_s: float, step_s: float, idle_cores: float, cores: float, processes: bool
) -> Workers | Passed:
    """What workers would give to a source that works alone now; or why they would give nothing."""
    batch_s, cpu_s = source.wall_s / source.calls, source.cpu_s / source.calls
    if batch_s < CHEAP_BATCH_S:
        return Passed(f"`{source.name}` takes only {words.seconds(batch_s)}")
    locked = sum(spot.share for spot in source.hot_spots if spot.library == "h5py")
    if locked > 0.5 and not processes:
        return Passed(f"{words.share(locked)} of a batch is h5py, which one thread at a time can enter")
    waiting = 1 - min(1.0, cpu_s / batch_s)
    if waiting < 0.5 and idle_cores < 0.5:
        return Passed(
            f"one worker, but {cores - idle_cores:.1f} of {cores:g} cores are busy already: more would not help"
        )
    busy_s = max(step_s - wait_s, 1e-4)
    useful = math.ceil(batch_s / busy_s) + 1
    if waiting < 0.5:
        useful = min(useful, 1 + round(idle_cores))
    count = max(2, min(_MAX_WORKERS, useful))
    evidence = {
        "waiting for data": f"{words.share(input_share)} of training",
        "making one batch": f"{words.seconds(batch_s)}, {words.seconds(cpu_s)} of it on the CPU",
        "the step without the wait": words.seconds(busy_s),
        "cores idle": f"{idle_cores:.1f} of {cores:g}",
    }
    return Workers(count, supply_of_workers(source, count, processes), waiting, evidence)
