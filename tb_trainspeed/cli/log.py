"""A directory -> the fits in it, what to call them, and how far they are. What is wrong goes to standard error."""

import re
import sys
import time

from tb_trainspeed.profile import Profile
from tb_trainspeed.report import Report, diagnose
from tb_trainspeed.rules import words
from tb_trainspeed.summary import Fit, Problem, as_of, is_silent, join_workers, name_of, place_of, read_log

#: The fits in a directory, the oldest first, each with all its workers. They are numbered from 1.
Fits = list[tuple[Fit, ...]]

_STARTED = re.compile(r"\d{8}-\d{6}")


def fail(message: str, status: int = 1) -> int:
    """Says why a command ends here, and returns its exit status."""
    print(message, file=sys.stderr)
    return status


def read(logdir: str) -> tuple[Fits, list[Problem]]:
    """Returns the fits in a directory, and the problems with what may be a later one."""
    try:
        log = read_log(logdir)
    except FileNotFoundError as error:
        fail(str(error))
        return [], []
    for problem in log.problems:
        fail(f"{run_of(logdir, problem.run)}: {_shown(problem.message)}")
    if not log.fits and not log.problems:
        fail(f"No fit was recorded in {logdir}: add TrainSpeedCallback(log_dir={logdir!r}) to fit(callbacks=[...]).")
    fits = join_workers(log.fits, lambda fit: place_of(fit.run, fit.profile))
    latest = max((_started(fit.profile.fit_id) for fit in fits[-1]), default="") if fits else ""
    known = {fit.profile.fit_id for fit in log.fits}  # of these an earlier record counts
    doubtful = [one for one in log.problems if one.fit not in known and _started(one.fit) >= latest]
    if fits and doubtful:
        fail("There may be a later fit than the one that is shown: its record cannot be read.")
    return fits, doubtful


def has(logdir: str, fits: Fits, number: int) -> bool:
    """Returns whether a directory has a fit of this number, and says so if not."""
    if number > len(fits):
        fail(f"There is no fit {number} in {logdir}: the latest is {len(fits)}.")
    return number <= len(fits)


def run_of(logdir: str, run: str) -> str:
    """The name of a run to show."""
    return _shown(name_of(run, logdir))


def where(logdir: str, fits: Fits, number: int) -> str:
    """A fit as it is told from the others in a directory."""
    fit = fits[number - 1][0]
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(fit.profile.started_at_s))
    return f"run {run_of(logdir, fit.run)}, fit {number} of {len(fits)}, started {at}"


def report_on(workers: tuple[Fit, ...]) -> Report:
    """The report on a fit: that of its first worker."""
    return diagnose(as_of(workers[0].profile, time.time()))


def standing(profile: Profile) -> str:
    """How far a fit is, in words."""
    if profile.status != "running":
        return profile.status
    now_s = time.time()
    last = f"last record {words.seconds(max(0.0, now_s - profile.updated_at_s))} ago"
    killed = is_silent(profile, now_s)
    return f"not finished, {last}: the process may have been killed" if killed else f"running, {last}"


def _shown(name: str) -> str:
    """The name of a run or file, without what a terminal would obey or no encoding can hold."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)


def _started(name: str) -> str:
    """When the fit of this directory started, to be compared; of a name that does not tell, later than all others."""
    found = _STARTED.match(name)
    return found[0] if found else "9"
