"""Writes the records of a running fit: often at first, then ever more seldom, and at its end."""

import contextlib
import time
from collections.abc import Callable

from tb_trainspeed.profile import Profile
from tb_trainspeed.session.guard import RECORDS
from tb_trainspeed.session.threads import Threads
from tb_trainspeed.summary import EventFile, encode, fit_directory, seldom_s

_FIRST_S = 1.0


def write_records(log_dir: str | None, fit_id: str, profile: Callable[[], Profile], threads: Threads) -> None:
    """Writes what `profile` returns until the threads stop; without `log_dir` it is made all the same."""
    file = EventFile(fit_directory(log_dir, fit_id)) if log_dir else None
    with contextlib.closing(file) if file else contextlib.nullcontext():

        def write() -> None:
            _write_record(file, profile())

        begin, interval_s = time.monotonic(), _FIRST_S
        while not threads.stop.wait(interval_s):
            threads.attempt(RECORDS[0], write)
            interval_s = min(interval_s * 2, seldom_s(time.monotonic() - begin, log_dir))
        threads.attempt(RECORDS[1], write)


def _write_record(file: EventFile | None, profile: Profile) -> None:
    if file:
        scalars = _scalars(profile)
        file.write(profile.steps.count, profile.updated_at_s, {"profile": encode(profile), **scalars})


def _scalars(profile: Profile) -> dict[str, float]:
    """The main phases so far as shares of the wall time, and the step time, for the Scalars tab."""
    wall_s = profile.ledger.wall_s or 1.0
    values = {f"share/{name}": value / wall_s for name, value in profile.ledger.phases.items() if value}
    if profile.steps.step:
        values["step_s"] = profile.steps.step.p50_s
    return values
