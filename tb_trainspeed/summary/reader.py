"""Reads the profiles below a log directory, without a TensorBoard server."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

from google.protobuf.message import DecodeError

from tb_trainspeed.profile import Profile
from tb_trainspeed.summary import event_pb2
from tb_trainspeed.summary.codec import decode
from tb_trainspeed.summary.framing import frames, read_frame
from tb_trainspeed.summary.layout import PLUGIN_NAME, PROFILE_TAG, run_of
from tb_trainspeed.summary.messages import RecordError


@dataclasses.dataclass(frozen=True)
class Fit:
    """The last record of one fit, and the run it belongs to ("." for the log directory itself)."""

    run: str
    profile: Profile


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something in a run that could not be read, as a sentence. `fit` is the directory of the fit, if it is of one."""

    run: str
    message: str
    fit: str = ""


@dataclasses.dataclass(frozen=True)
class Log:
    """What a log directory holds: fits by run, the oldest first."""

    fits: tuple[Fit, ...]
    problems: tuple[Problem, ...]


def read_log(log_dir: str | os.PathLike[str]) -> Log:
    """Reads the last good record of every fit below a directory.

    Args:
        log_dir: A local directory: a log directory, one run in it, or the directory of one fit.

    Returns:
        The fits, and what could not be read. A file that is still being written is fine.

    Raises:
        FileNotFoundError: There is no such directory.
    """
    root = os.fspath(log_dir)
    if "://" in root:
        raise FileNotFoundError(
            f"{root} is not on this machine: copy it here, or see it with tensorboard --logdir {root}"
        )
    if not os.path.isdir(root):
        raise FileNotFoundError(f"{root} is not a local directory: give the log_dir of TrainSpeedCallback.")
    fits: list[Fit] = []
    problems: list[Problem] = []

    def run(path: str) -> str:
        return run_of(os.path.relpath(path, root), os.path.abspath(root))

    def unreadable(error: OSError) -> None:
        problems.append(Problem(run(error.filename), f"it cannot be read: {error.strerror}."))

    for directory, files in _fit_directories(root, unreadable):
        profile, messages = _last_profile(files)
        fit = os.path.basename(os.path.abspath(directory))
        problems += [Problem(run(directory), message, fit) for message in messages]
        if profile is not None:
            fits.append(Fit(run(directory), profile))
    fits.sort(key=lambda fit: (fit.run, fit.profile.started_at_s, fit.profile.fit_index))
    return Log(tuple(fits), tuple(problems))


def name_of(run: str, log_dir: str) -> str:
    """What to call a run in a directory: "." by the name of the directory that it is of."""
    if run != "." or not log_dir:
        return run
    folder = os.path.abspath(os.path.expanduser(log_dir))
    names = folder.split(os.sep)
    if PLUGIN_NAME in names[-2:] and not os.path.isdir(os.path.join(folder, PLUGIN_NAME)):  # of one fit, or of several
        names = names[: -1 if names[-1] == PLUGIN_NAME else -2]
    return names[-1]


def _fit_directories(root: str, unreadable: Callable[[OSError], None]) -> Iterator[tuple[str, list[str]]]:
    """Directories as of fits, with their event files, the newest file first. All others are not ours to open."""
    seen = set()
    for directory, folders, names in os.walk(root, onerror=unreadable, followlinks=True):  # as TensorBoard does
        seen.add(os.path.realpath(directory))
        folders[:] = sorted(name for name in folders if os.path.realpath(os.path.join(directory, name)) not in seen)
        if os.path.basename(os.path.dirname(os.path.abspath(directory))) == PLUGIN_NAME:
            files = [os.path.join(directory, name) for name in sorted(names, reverse=True) if "tfevents" in name]
            if files:
                yield directory, files


def _last_profile(files: list[str]) -> tuple[Profile | None, list[str]]:
    """The newest readable profile, and one sentence for every newer file that is damaged or unreadable."""
    messages = []
    for path in files:
        profile, message = _last_profile_of(path)
        if message:
            messages.append(f"{os.path.basename(path)}: {message}")
        if profile is not None:
            return profile, messages
    return None, messages


def _last_profile_of(path: str) -> tuple[Profile | None, str]:
    message = ""
    offsets: list[int] = []
    try:
        with open(path, "rb") as file:
            if _is_of_others(file):
                return None, ""
            try:
                offsets.extend(frames(file))
            except ValueError as error:
                message = f"{error}; what follows is lost."
            for offset in reversed(offsets):
                try:
                    payload = _payload(read_frame(file, offset))
                    if payload is not None:
                        return decode(payload), message
                except RecordError as error:
                    message = message or str(error)
                except ValueError as error:
                    message = message or f"{error}; the one before it counts."
    except OSError as error:
        message = f"it cannot be read: {error.strerror}."
    return None, message or "it holds no whole record: the program was stopped, or the disk full, before the first."


def _is_of_others(file: BinaryIO) -> bool:
    """Whether a file is none of ours, as those of a TensorBoard callback in a folder that has the name of ours.

    All our events with values hold a record, and the first is written at once with the head of the file. A file that is
    empty or damaged tells nothing, and may be ours.
    """
    head = False
    try:
        for offset in frames(file):
            data = read_frame(file, offset)
            if data is None:
                return False
            if values := event_pb2.Event.FromString(data).summary.values:
                return all(value.tag != PROFILE_TAG for value in values)
            head = True
    except (DecodeError, ValueError):
        return False
    return head and not file.read(1)


def _payload(data: bytes | None) -> bytes | None:
    """The encoded profile in an event, None if it holds none, as the events of scalars."""
    try:
        event = event_pb2.Event.FromString(data or b"")
    except (DecodeError, UnicodeDecodeError):
        return None
    tensors = [value.tensor for value in event.summary.values if value.tag == PROFILE_TAG]
    return next((tensor.string_val[0] for tensor in tensors if tensor.string_val), None)
