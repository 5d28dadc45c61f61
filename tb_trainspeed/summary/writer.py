"""Writes event files that TensorBoard reads, without TensorFlow and without TensorBoard."""

import io
import itertools
import math
import os
import re
import socket
import time
from collections.abc import Mapping

from tb_trainspeed.profile import SCHEMA
from tb_trainspeed.summary import event_pb2
from tb_trainspeed.summary.framing import frame
from tb_trainspeed.summary.layout import PLUGIN_NAME

_numbers = itertools.count()


class EventFile:
    """An event file in a directory of its own.

    Each `write` hands its record to the operating system, so that a killed process loses nothing it has written. In a
    directory with a scheme (`gs://...`) each `write` makes a new file, because files there cannot grow; so write
    seldom, a minute apart. One thread may write.

    Args:
        directory: Where the file goes, see `fit_directory`. Made at the first `write`, as is the file.
        suffix: Ends the name of the file.

    Example:
        events = EventFile(fit_directory("logs", profile.fit_id))
        events.write(step=100, wall_time_s=time.time(), values={"profile": encode(profile), "step_s": 0.048})
        events.close()
    """

    def __init__(self, directory: str | os.PathLike[str], suffix: str = "") -> None:
        self._directory = os.fspath(directory)
        self._suffix = suffix
        self._file: io.FileIO | None = None
        self._size = 0
        self._step = 0
        self._closed = False

    def write(self, step: int, wall_time_s: float, values: Mapping[str, bytes | float]) -> None:
        """Appends one event and flushes it.

        Args:
            step: Steps of the fit so far. A step below the last one counts as the last one: after a step back
                the fast data loader drops what came before.
            wall_time_s: Now, in seconds since 1970.
            values: Name -> record (bytes, for the TrainSpeed tab) or number (for the Scalars tab). The tag is
                "trainspeed/<name>".

        Raises:
            OSError: The file cannot be written.
            ImportError: The directory has a scheme and fsspec is not installed.
            ValueError: `wall_time_s` is not finite, or the file has been closed.
        """
        if self._closed:
            raise ValueError(f"The event file in {self._directory} is closed.")
        if not math.isfinite(wall_time_s):
            # The fast data loader drops the whole rest of a file after such an event.
            raise ValueError(f"wall_time_s must be finite. Received: wall_time_s={wall_time_s}")
        self._step = max(self._step, int(step))
        summary = event_pb2.Summary(values=[_value(name, value) for name, value in values.items()])
        event = event_pb2.Event(wall_time=wall_time_s, step=self._step, summary=summary)
        self._append(frame(event.SerializeToString()), wall_time_s)

    def close(self) -> None:
        """Closes the file; may be called again."""
        self._closed = True
        if self._file is not None:
            self._file.close()

    def _append(self, record: bytes, wall_time_s: float) -> None:
        if "://" in self._directory:
            _put(f"{self._directory.rstrip('/')}/{_file_name(self._suffix)}", _version(wall_time_s) + record)
            return
        if self._file is None:
            os.makedirs(self._directory, exist_ok=True)
            self._file = open(os.path.join(self._directory, _file_name(self._suffix)), "ab", buffering=0)  # noqa: SIM115
            record = _version(wall_time_s) + record
        try:
            rest = memoryview(record)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            # Nobody could read past half a record, so a disk that is full now must not spoil what is written later.
            self._file.truncate(self._size)
            raise
        self._size += len(record)


def _value(name: str, value: bytes | float) -> event_pb2.Value:
    """One value with its metadata, which is on every value because a loader may see any of them first."""
    if isinstance(value, bytes):
        plugin = event_pb2.PluginData(plugin_name=PLUGIN_NAME, content=str(SCHEMA).encode())
        tensor = event_pb2.Tensor(dtype=event_pb2.DT_STRING, shape=event_pb2.Shape(), string_val=[value])
        data_class = event_pb2.TENSOR
    else:
        plugin = event_pb2.PluginData(plugin_name="scalars")
        tensor = event_pb2.Tensor(dtype=event_pb2.DT_FLOAT, shape=event_pb2.Shape(), float_val=[value])
        data_class = event_pb2.SCALAR
    metadata = event_pb2.Metadata(plugin_data=plugin, data_class=data_class)
    return event_pb2.Value(tag=f"{PLUGIN_NAME}/{name}", tensor=tensor, metadata=metadata)


def _version(wall_time_s: float) -> bytes:
    """The first record of every event file."""
    return frame(event_pb2.Event(wall_time=wall_time_s, file_version="brain.Event:2").SerializeToString())


def _file_name(suffix: str) -> str:
    """A name that is unique and sorts by time: TensorBoard's Python loader reads the files of a directory by name."""
    host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname()) or "localhost"
    return f"events.out.tfevents.{int(time.time()):010d}.{host}.{os.getpid()}.{next(_numbers):06d}{suffix}"


def _put(url: str, data: bytes) -> None:
    try:
        import fsspec
    except ImportError as error:
        scheme = url.partition("://")[0]
        raise ImportError(
            f"Writing to {scheme}:// needs fsspec and its package for {scheme} (pip install fsspec[{scheme}]); "
            "or give a local log_dir."
        ) from error
    with fsspec.open(url, "wb") as file:
        file.write(data)
