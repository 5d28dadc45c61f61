"""Reads what a profiler of TensorFlow or JAX wrote, without importing either.

A trace is read beside the training, which shares the interpreter's lock with us: so it is read in small pieces with a
pause after each, and only where something is looked for.
"""

import dataclasses
import functools
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tb_trainspeed.probes.xspace_pb2 import HloProto, XEvent, XLine, XPlane, XSpace

Times = NDArray[np.int64]

# About a millisecond of work, and long enough a pause for another thread to wake up and take the lock.
_PIECE, _PAUSE_S = 1000, 2e-4


def pause() -> None:
    """Lets other threads of Python run."""
    time.sleep(_PAUSE_S)


@dataclasses.dataclass(frozen=True)
class Line:
    """The events of one thread or stream, by their times in picoseconds and the numbers of their names."""

    name: str
    events: Any
    names: Times
    begins: Times
    ends: Times


class Plane:
    """One device, or the host. Its names are the texts that events refer to by number."""

    def __init__(self, message: XPlane):
        self._message = message
        self.name = message.name.decode(errors="replace")
        self.names: Mapping[int, str] = {
            number: (event.name or event.display_name).decode(errors="replace")
            for number, event in message.event_metadata.items()
        }
        self._stats = {stat.name.decode(errors="replace"): number for number, stat in message.stat_metadata.items()}

    @functools.cached_property
    def lines(self) -> list[Line]:
        """All lines that have events."""
        return [line for line in map(self._line, self._message.lines) if len(line.names)]

    def stats(self, event: XEvent, *names: str) -> tuple[Any, ...]:
        """Returns the values of these statistics of an event, `None` for one it does not have."""
        numbers = [self._stats.get(name) for name in names]
        values: list[Any] = [None] * len(names)
        for stat in event.stats:
            if stat.metadata_id in numbers:
                values[numbers.index(stat.metadata_id)] = self._value(stat)
        return tuple(values)

    def modules(self) -> Iterator[tuple[str, bytes]]:
        """The modules of XLA that a plane of metadata holds, by name and number, as bytes of a `HloProto`."""
        for number, event in self._message.event_metadata.items():
            for stat in event.stats:
                if stat.metadata_id == self._stats.get("Hlo Proto"):
                    yield self.names[number], stat.bytes_value

    def _value(self, stat: Any) -> Any:
        kind = stat.WhichOneof("value")
        value: Any = getattr(stat, kind) if kind else None
        if kind == "ref_value":
            return self._message.stat_metadata[value].name.decode(errors="replace")
        return value.decode(errors="replace") if kind == "str_value" else value

    def _line(self, data: bytes) -> Line:
        message = XLine.FromString(data)
        rows: list[tuple[int, int, int]] = []
        events = message.events
        for begin in range(0, len(events), _PIECE):
            rows += [
                (event.metadata_id, event.offset_ps, event.duration_ps) for event in events[begin : begin + _PIECE]
            ]
            pause()
        table = np.array(rows, np.int64).reshape(-1, 3)
        begins = table[:, 1] + message.timestamp_ns * 1000
        return Line(message.name.decode(errors="replace"), events, table[:, 0], begins, begins + table[:, 2])


def read(data: bytes) -> list[Plane]:
    """Reads an `XSpace`."""
    planes = []
    for plane in XSpace.FromString(data).planes:
        planes.append(Plane(XPlane.FromString(plane)))
        pause()
    return planes


def read_module(data: bytes) -> HloProto:
    """Reads a module of XLA."""
    return HloProto.FromString(data)
