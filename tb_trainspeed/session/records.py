"""Writes the records of a running fit: often at first, then every ten seconds, and at its end."""

import contextlib
from collections.abc import Callable

from tb_trainspeed.profile import Profile
from tb_trainspeed.session.threads import Threads
from tb_trainspeed.summary import EventFile, encode, fit_directory

FLUSH_FIRST_S, FLUSH_EVERY_S = 1.0, 10.0


def write_records(log_dir: str | None, fit_id: str, profile: Callable[[], Profile], threads: Threads) -> None:
    """Writes what `profile` returns until the threads stop; without `log_dir` it is made all the same."""
    file = EventFile(fit_directory(log_dir, fit_id)) if log_dir else None
    with contextlib.closing(file) if file else contextlib.nullcontext():
        interval_s = FLUSH_FIRST_S
        while not threads.stop.wait(interval_s):
            _write_record(file, profile(), threads)
            interval_s = min(FLUSH_EVERY_S, interval_s * 2)
        _write_record(file, profile(), threads)


def _write_record(file: EventFile | None, profile: Profile, threads: Threads) -> None:
    if file:
        scalars = _scalars(profile)
        file.write(profile.steps.count, profile.updated_at_s, {"profile": encode(profile), **scalars})
    threads.note_time()


def _scalars(profile: Profile) -> dict[str, float]:
    """The main phases so far as shares of the wall time, and the step time, for the Scalars tab."""
    wall_s = profile.ledger.wall_s or 1.0
    values = {f"share/{name}": value / wall_s for name, value in profile.ledger.phases.items() if value}
    if profile.steps.step:
        values["step_s"] = profile.steps.step.p50_s
    return values
