"""What several workers that make batches side by side would give."""

import dataclasses
import math

from tb_trainspeed.profile import Source
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.input_pipeline.shared import CHEAP_BATCH_S
from tb_trainspeed.rules.rule import Change, Passed, Range, exactly

MAX_WORKERS = 16
# Handing a job to a worker and its batch back, seconds: the least that a batch still costs. An assumption.
_QUEUE_S = Range(4e-4, 1e-4, 5e-5)
# How far the share of samples that found the GIL held may be from the truth. An assumption.
_GIL_ERROR = 0.25
# Keras makes the pool of workers anew for every epoch. The thread that watches over it (`multiprocessing.pool`) sleeps
# for 0.1 s at a time, so that ending it takes that long; and the first batch of an epoch takes as long as it takes.
# Measured with 2, 8 and 16 workers: 0.103 to 0.109 s and one to two batches, on all three backends.
POOL_S, _FIRST_BATCHES = Range(0.12, 0.105, 0.1), Range(2.0, 1.0, 1.0)
# How far what is left of computing once the waits are gone may be from what was expected, times.
_AWAKE = Range(1.43, 1.0, 0.71)
# Workers that compute need a core each beside those that the step computes on. On two cores they took more than they
# gave: 0.6 to 0.8 times as fast, on JAX and torch, with one core idle.
_IDLE_FROM = 1.5
# Beside other programs a thread that wants to compute waits as one does that reads files.
_FREE_FROM = 0.25
_WORTH_FROM = 1.15


@dataclasses.dataclass(frozen=True)
class Workers:
    """What workers would give: how many, what that changes, and how much of a batch they would be waiting."""

    count: int
    change: Change
    waiting: float
    evidence: dict[str, str]


def supply_of_workers(source: Source, count: int, steps: float, processes: bool = False) -> Range:
    """Returns the seconds between two batches that so many workers make side by side, over an epoch of `steps`.

    They begin an epoch together and go on in step, so that batches come in waves, one of each worker; the first wave
    belongs to the boundary between epochs, where Keras makes the workers anew.
    """
    batch_s, cpu_s = source.wall_s / source.calls, source.cpu_s / source.calls
    waves = steps / count if processes else math.ceil(steps / count) - 1
    shared_s = (batch_s / count, waves * batch_s / steps, waves * batch_s / steps)
    # Threads share what a batch waits for, and of its CPU time what does not hold the GIL. Processes share all.
    gil = source.gil_share
    known = (
        (cpu_s, cpu_s / 2, 0.0) if gil is None else (cpu_s * min(1.0, gil + _GIL_ERROR), cpu_s * gil, cpu_s * gil / 2)
    )
    held = (0.0, 0.0, 0.0) if processes else known
    queue_s = dataclasses.astuple(_QUEUE_S)
    return Range(*(max(ends) + queue for *ends, queue in zip(shared_s, held, queue_s, strict=True)))


def change_of_workers(
    source: Source, count: int, awake: float, cores: float, steps: float, processes: bool = False
) -> Change:
    """What changes once so many workers make the batches.

    Args:
        source: who makes them now, alone.
        count: how many workers.
        awake: what is left of computing once no step waits, 0 to 1.
        cores: cores that the process may use.
        steps: steps an epoch.
        processes: whether they are those of a torch `DataLoader`, which live as long as the fit; else Keras' threads.
    """
    batch_s, cpu_s = source.wall_s / source.calls, source.cpu_s / source.calls
    computing = min(1.0, cpu_s / batch_s)
    if computing < 0.5:
        left = Range(*(min(1.0, awake * times) for times in dataclasses.astuple(_AWAKE)))
    else:  # those that compute share the cores with the step
        crowded = 1 + min(count, cores) * computing / cores
        left = Range(crowded * 1.5, crowded, 1.0)
    # To take away less than nothing is to add.
    pool = [
        -(pool_s + batches * batch_s)
        for pool_s, batches in zip(dataclasses.astuple(POOL_S), dataclasses.astuple(_FIRST_BATCHES), strict=True)
    ]
    return Change(
        sets={"supply_s": supply_of_workers(source, count, steps, processes), "in_turn": exactly(0.0)},
        factors={"device_s": left, "dispatch_s": left},
        removes={} if processes else {"restart_s": Range(*pool)},
    )


def side_by_side(
    source: Source,
    input_share: float,
    wait_s: float,
    step_s: float,
    idle_cores: float,
    cores: float,
    others_compute: bool,
    awake: float,
    steady: Steady,
    processes: bool = False,
) -> Workers | Passed:
    """What workers would give to a source that works alone now; or why they would give nothing."""
    batch_s, cpu_s = source.wall_s / source.calls, source.cpu_s / source.calls
    if batch_s < CHEAP_BATCH_S:
        return Passed(f"`{source.name}` takes only {words.seconds(batch_s)}")
    locked = sum(spot.share for spot in source.hot_spots if spot.library == "h5py")
    if locked > 0.5 and not processes:
        return Passed(f"{words.share(locked)} of a batch is h5py, which one thread at a time can enter")
    waiting = 1 - min(1.0, cpu_s / batch_s)
    if waiting < 0.5 and idle_cores < _IDLE_FROM:
        return Passed(
            f"one worker, but {cores - idle_cores:.1f} of {cores:g} cores are busy already: more would not help"
        )
    if others_compute and idle_cores < _FREE_FROM:
        return Passed(
            "other programs use the cores: what a batch waits for may be a core, which workers would not have"
        )
    busy_s = max(step_s - wait_s, 1e-4)
    useful = math.ceil(batch_s / (busy_s * (awake if waiting >= 0.5 else 1.0))) + 1
    if waiting < 0.5:
        useful = min(useful, 1 + round(idle_cores))
    count = max(2, min(MAX_WORKERS, useful))
    change = change_of_workers(source, count, awake, cores, steady.steps_per_epoch, processes)
    then_s = max(busy_s * change.factors["device_s"].expected, change.sets["supply_s"].expected)
    again_s = -change.removes["restart_s"].expected / steady.steps_per_epoch if change.removes else 0.0
    if (then_s + again_s) * _WORTH_FROM > step_s:
        return Passed("workers are started anew for every epoch, and these epochs are too short for that")
    evidence = {
        "waiting for data": f"{words.share(input_share)} of training",
        "making one batch": f"{words.seconds(batch_s)}, {words.seconds(cpu_s)} of it on the CPU",
        "the step without the wait": words.seconds(busy_s),
        "cores idle": f"{idle_cores:.1f} of {cores:g}",
    }
    return Workers(count, change, waiting, evidence)


def code_of_pydataset(count: int, batches: int | str, makes: str) -> str:
    """Code of a `PyDataset` with workers in the place of something else.

    Args:
        count: of workers.
        batches: of an epoch.
        makes: what of now makes a batch, as in "what ... ".
    """
    return (
        "+ class Batches(keras.utils.PyDataset):\n"
        "+     def __len__(self):\n"
        f"+         return {batches}\n"
        "+\n"
        "+     def __getitem__(self, index):\n"
        f"+         return ...  # what {makes}\n"
        "+\n"
        f"+ model.fit(Batches(workers={count}, max_queue_size={2 * count}), shuffle=False, ...)"
    )
