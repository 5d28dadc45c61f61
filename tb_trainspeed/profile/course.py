"""How a fit went on from its first second to its last: the time line, what happened once, and its curves."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Timeline:
    """The run in a fixed number of buckets of equally many steps, which merge pairwise as the run grows.

    All columns have one entry a bucket. `start_s` is seconds since the start of the fit, `phases[name]` seconds spent
    in that phase in the bucket (`None` where not measured), `slowest_step_s` its slowest step.
    """

    steps_per_bucket: int = 1
    first_step: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()
    start_s: tuple[float, ...] = ()
    wall_s: tuple[float, ...] = ()
    slowest_step_s: tuple[float, ...] = ()
    phases: Mapping[str, tuple[float | None, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Marker:
    """Something that happened once: an epoch, a validation, a checkpoint, a compilation, a gc pause."""

    kind: str
    step: int
    at_s: float
    duration_s: float
    label: str = ""


@dataclasses.dataclass(frozen=True)
class Curve:
    """What one of the logs of the epochs, such as `loss`, did over the fit. Epochs count from 0.

    `previous` and `last` are of the last two epochs. `not_finite_epoch` is the first in which it was NaN or infinite;
    the other values are of those in which it was a number.
    """

    name: str
    epochs: int = 0
    first: float | None = None
    previous: float | None = None
    last: float | None = None
    lowest: float | None = None
    lowest_epoch: int | None = None
    highest: float | None = None
    highest_epoch: int | None = None
    not_finite_epoch: int | None = None
