"""Which records are of the same fit: each process of a distributed fit writes one of its own."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import TypeVar

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
    groups: list[list[T]] = []
    for fit in sorted(fits, key=lambda fit: (place(fit).started_at_s, place(fit).worker)):
        home = next((group for group in reversed(groups) if _belongs(place(fit), [place(one) for one in group])), None)
        if home is None:
            groups.append([fit])
        else:
            home.append(fit)
    return [tuple(sorted(group, key=lambda fit: place(fit).worker)) for group in groups]


def _belongs(fit: Place, group: list[Place]) -> bool:
    first = group[0]
    same = (first.run, first.fit_index) == (fit.run, fit.fit_index)
    overlap = fit.started_at_s <= max(other.updated_at_s for other in group)
    return same and overlap and all(other.worker != fit.worker for other in group)
