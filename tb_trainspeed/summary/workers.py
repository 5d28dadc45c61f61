"""Which records are of the same fit: each process of a distributed fit writes one of its own."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from tb_trainspeed.profile import Profile

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Place:
    """What tells the record of one worker from those of the others, and from those of an earlier fit."""

    run: str
    fit_index: int
    worker: int
    started_at_s: float
    updated_at_s: float


def place_of(run: str, profile: Profile) -> Place:
    """The place of a record in `run`."""
    return Place(run, profile.fit_index, profile.worker, profile.started_at_s, profile.updated_at_s)


def join_workers(fits: Iterable[T], place: Callable[[T], Place]) -> list[tuple[T, ...]]:
    """Puts the records of the workers of one fit together.

    Records of one run belong together if their workers differ, they are of the same fit of their process, and they
    overlap in time: a fit that was started again in the same directory does not.

    Args:
        fits: records, of any type.
        place: gives the place of one.

    Returns:
        Groups, in the order in which they started; in each the worker with the lowest number first.
    """
    groups: list[_Group[T]] = []
    running: dict[tuple[str, int], list[_Group[T]]] = {}
    for fit in sorted(fits, key=lambda fit: (place(fit).started_at_s, place(fit).worker)):
        at = place(fit)
        # What ended before this one started ended before all that follow.
        same = [group for group in running.get((at.run, at.fit_index), ()) if group.until_s >= at.started_at_s]
        home = next((group for group in reversed(same) if at.worker not in group.workers), None)
        if home is None:
            home = _Group()
            groups.append(home)
            same.append(home)
        home.workers[at.worker] = fit
        home.until_s = max(home.until_s, at.updated_at_s)
        running[at.run, at.fit_index] = same
    return [tuple(fit for _, fit in sorted(group.workers.items(), key=lambda item: item[0])) for group in groups]


@dataclasses.dataclass
class _Group(Generic[T]):
    """The records of one fit so far, by worker."""

    workers: dict[int, T] = dataclasses.field(default_factory=dict)
    until_s: float = float("-inf")
