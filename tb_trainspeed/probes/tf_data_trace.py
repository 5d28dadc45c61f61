"""The stages of a tf.data pipeline at work, from the events that they leave in a trace.

Each call of a stage is an event on the thread that called, with the calls of the stages before it inside. Stages with
threads of their own, such as `Prefetch` and `ParallelMap`, wait inside their event: their work is elsewhere, in events
of their threads (`...Produce`) and of the user's functions. TensorFlow rewrites pipelines, so the stages are those that
ran and not those that were written: `map` and `batch` become one `MapAndBatch`.
"""

import dataclasses
import statistics
from typing import Any

from tb_trainspeed.probes.xspace import Line, Plane, pause
from tb_trainspeed.profile import StageTime

_CALL, _MADE, _FUNCTION = "Iterator::", "Produce", "InstantiatedCapturedFunction::Run"
_EXECUTED = "ExecutorState::Process"
_ASYNCHRONOUS = ("Prefetch", "Parallel", "MapAndBatch", "DataService")
_PS = 1e-12


@dataclasses.dataclass
class _Stage:
    busy_ps: int = 0
    calls: int = 0
    parallelism: int | None = None
    fills: list[float] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class _Open:
    """An event that other events may lie in."""

    kind: str
    end: int
    owner: str
    inside_ps: int = 0
    begin: int = 0


def function_ids(plane: Plane) -> set[int]:
    """The numbers of all runs of the user's functions: what they execute is the pipeline's, not the step's."""
    numbers = {number for number, name in plane.names.items() if name.startswith(_FUNCTION)}
    found: set[int] = set()
    for line in plane.lines if numbers else ():
        for event, number in zip(line.events, line.names.tolist(), strict=True):
            if number in numbers:
                found.update(value for value in plane.stats(event, "id") if value is not None)
    return found


def runs_of(plane: Plane, line: Line, ids: set[int]) -> list[tuple[int, int, int]]:
    """(begin, end, id) of what a thread executed of these runs, sorted."""
    number = next((number for number, name in plane.names.items() if name == _EXECUTED), None)
    if number is None or not ids:
        return []
    found = []
    for index in (line.names == number).nonzero()[0].tolist():
        (run,) = plane.stats(line.events[index], "id")
        if run in ids:
            found.append((int(line.begins[index]), int(line.ends[index]), int(run)))
    return sorted(found)


def stages(plane: Plane, ids: set[int], steps: int) -> tuple[StageTime, ...]:
    """Returns the stages from the source to the training step, per step of so many."""
    wanted = {
        number: name
        for number, name in plane.names.items()
        if name.startswith((_CALL, _FUNCTION)) or (name.endswith(_MADE) and " " not in name)
    }
    found: dict[str, _Stage] = {}
    owners: dict[int, str] = {}
    runs: list[tuple[int, int, int]] = []
    for line in plane.lines:
        executed = runs_of(plane, line, ids)
        runs += executed
        _walk(plane, line, wanted, executed, found, owners)
        pause()
    for begin, end, run in runs:
        if run in owners and owners[run] in found:
            found[owners[run]].busy_ps += end - begin
    inner_first = sorted(found, key=lambda path: -path.count("::"))
    names = _names(inner_first)
    return tuple(
        StageTime(
            names[path],
            found[path].busy_ps * _PS / steps,
            found[path].calls / steps,
            found[path].parallelism,
            statistics.fmean(found[path].fills) if found[path].fills else None,
        )
        for path in inner_first
    )


def _walk(
    plane: Plane,
    line: Line,
    wanted: dict[int, str],
    executed: list[tuple[int, int, int]],
    found: dict[str, _Stage],
    owners: dict[int, str],
) -> None:
    """Adds the work that one thread did for each stage: the time of its events less that of events inside them."""
    rows: list[tuple[int, int, str, Any]] = [(begin, -end, _EXECUTED, run) for begin, end, run in executed]
    for index, number in enumerate(line.names.tolist()):
        if number in wanted:
            rows.append((int(line.begins[index]), -int(line.ends[index]), wanted[number], line.events[index]))
    opened: list[_Open] = []

    def close(until: int) -> None:
        while opened and opened[-1].end <= until:
            done = opened.pop()
            waits = done.kind == _CALL and done.owner.rpartition("::")[2].startswith(_ASYNCHRONOUS)
            if done.owner and done.kind != _EXECUTED and not waits:
                found.setdefault(done.owner, _Stage()).busy_ps += done.end - done.begin - done.inside_ps
            if opened:
                opened[-1].inside_ps += done.end - done.begin

    for begin, minus_end, name, event in sorted(rows, key=lambda row: row[:2]):
        close(begin)
        outer = opened[-1] if opened else None
        kind, owner = name, outer.owner if outer else ""
        if name.startswith(_CALL):
            kind, owner = _CALL, name.removeprefix(_CALL).removeprefix("Root").removeprefix("::")
            if outer and outer.kind == _MADE and not outer.owner:
                outer.owner = owner.rpartition("::")[0]
            if owner:
                _called(plane, event, found.setdefault(owner, _Stage()))
        elif name.endswith(_MADE):
            kind, owner = _MADE, ""
        elif name.startswith(_FUNCTION):
            (run,) = plane.stats(event, "id")
            if run is not None and owner:
                owners[run] = owner
        opened.append(_Open(kind, -minus_end, owner, 0, begin))
    close(2**63)


def _called(plane: Plane, event: Any, stage: _Stage) -> None:
    stage.calls += 1
    parallelism, held, limit, size = (
        value if isinstance(value, int) else None  # tf.data may say "unavailable"
        for value in plane.stats(event, "parallelism", "buffered_elements", "buffer_limit", "buffer_size")
    )
    stage.parallelism = parallelism if parallelism is not None else stage.parallelism
    if held is not None and (most := limit or size):
        stage.fills.append(min(1.0, held / most))


def _names(paths: list[str]) -> dict[str, str]:
    """Short names: the kind of the stage, numbered where there are several of a kind."""
    names: dict[str, str] = {}
    seen: dict[str, int] = {}
    for path in paths:
        kind = path.rpartition("::")[2]
        seen[kind] = seen.get(kind, 0) + 1
        names[path] = kind if seen[kind] == 1 else f"{kind} #{seen[kind]}"
    return names
