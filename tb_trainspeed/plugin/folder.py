"""The log folder itself, where it is on this machine: for what TensorBoard cannot read it keeps quiet about."""

import os
import time
from collections.abc import Collection, Iterator

from tb_trainspeed.profile import Profile
from tb_trainspeed.summary import PLUGIN_NAME, Problem, read_log, run_of

#: The folder is walked no more often: on a network drive that takes seconds.
_WALK_EVERY_S = 30.0
#: For so long a request may read files, and the next one goes on: while TensorBoard loads a large folder most are fine.
_READ_S = 0.2

_File = tuple[str, int, int]


class Folder:
    """The folder that TensorBoard reads; of one elsewhere (`gs://...`) it knows nothing.

    Args:
        log_dir: What the server was started with; may be empty.
    """

    def __init__(self, log_dir: str) -> None:
        self._root = os.path.expanduser(log_dir) if log_dir and "://" not in log_dir else ""
        self._walked_s = -_WALK_EVERY_S
        self._found: dict[str, tuple[_File, ...]] = {}
        self._read: dict[tuple[_File, ...], Problem | None] = {}

    def read(self, series: str) -> tuple[Profile | None, str]:
        """The last readable profile of a fit, and what is damaged in its files: its name and a sentence, or empty."""
        directory = os.path.join(self._root, series)
        if not self._root or not _is_fit(directory):
            return None, ""
        try:
            log = read_log(directory)
        except FileNotFoundError:  # somebody has deleted it
            return None, ""
        damage = " ".join(os.path.join(series, problem.message) for problem in log.problems)
        return (log.fits[-1].profile if log.fits else None), damage

    def unread(self, known: Collection[str]) -> list[Problem]:
        """The fits that TensorBoard has no record of, because their files hold none that can be read.

        Args:
            known: The series that it does have a record of.
        """
        if time.monotonic() - self._walked_s >= _WALK_EVERY_S:
            self._walked_s = time.monotonic()
            self._found = dict(self._walk())
            self._read = {files: self._read[files] for files in self._found.values() if files in self._read}
        until_s = time.monotonic() + _READ_S
        problems: list[Problem] = []
        for series, files in self._found.items():
            if series in known:
                continue
            if files not in self._read and time.monotonic() < until_s:
                self._read[files] = self._problem(series)
            problem = self._read.get(files)
            problems += [problem] if problem else []
        return problems

    def _walk(self) -> Iterator[tuple[str, tuple[_File, ...]]]:
        # Links are not followed: they may lead round in a circle.
        for directory, _, names in os.walk(self._root):
            if _is_fit(directory):
                paths = [os.path.join(directory, name) for name in sorted(names) if "tfevents" in name]
                files = tuple((path, *_stamp(path)) for path in paths)
                if files:
                    yield os.path.relpath(directory, self._root), files

    def _problem(self, series: str) -> Problem | None:
        """None where TensorBoard is only slower than we are, or where the files are none of ours."""
        profile, damage = self.read(series)
        if profile is not None or not damage:
            return None
        message = f"{damage} Nothing of this fit can be shown: run it again, or delete its event file."
        return Problem(run_of(series, os.path.abspath(self._root)), message, os.path.basename(series))


def _is_fit(directory: str) -> bool:
    return os.path.basename(os.path.dirname(os.path.abspath(directory))) == PLUGIN_NAME


def _stamp(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:  # gone since it was listed
        return 0, 0
    return status.st_mtime_ns, status.st_size
