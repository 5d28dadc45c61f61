"""Whether a fit that is said to run has ended all the same: a killed process leaves `running` behind for ever."""

import dataclasses
from typing import Protocol

from tb_trainspeed.profile import Profile
from tb_trainspeed.summary.layout import seldom_s

# So many records of a short fit, and of any, stay away before nobody waits for the next one. A compilation that holds
# Python's lock writes none either.
_OF_SHORT, _MISSING = 12, 3


class Standing(Protocol):
    """What is told of a fit, by its record or by a list."""

    @property
    def status(self) -> str: ...
    @property
    def started_at_s(self) -> float: ...
    @property
    def updated_at_s(self) -> float: ...


def is_silent(fit: Standing, now_s: float, log_dir: str = "") -> bool:
    """Whether a fit that ran has written nothing for so long that its process may be gone."""
    due_s = seldom_s(fit.updated_at_s - fit.started_at_s, log_dir)
    return fit.status == "running" and now_s - fit.updated_at_s > max(
        _OF_SHORT * seldom_s(0.0, log_dir), _MISSING * due_s
    )


def as_of(profile: Profile, now_s: float, log_dir: str = "") -> Profile:
    """What is known of a fit by now: one that is silent is interrupted. Whatever it was at, it is not any more."""
    return dataclasses.replace(profile, status="interrupted") if is_silent(profile, now_s, log_dir) else profile
