"""The profiles of the workers of one fit -> where each spends its steps over time, and who holds the others up."""

import statistics
from collections.abc import Sequence
from typing import Any

from tb_trainspeed.profile import PHASES, Profile
from tb_trainspeed.rules.facts import steady_of

# In synchronous training every step takes as long as that of its slowest worker. One that works this much longer than
# the median worker costs all of them about that share; less than that, workers differ by chance.
_STRAGGLES = 1.1
# No more columns than a narrow window has room for.
_COLUMNS = 60


def workers_of(profiles: Sequence[Profile]) -> dict[str, Any] | None:
    """Lays the time lines of several workers side by side.

    Args:
        profiles: one for each worker of one fit.

    Returns:
        JSON values, or `None` for fewer than two workers. `workers` has a row for each, `phases` and `own` seconds a
        step by worker and stretch of steps, `slow` the cells of stragglers. `own` is the step without the wait for
        other workers (`collectives`).
    """
    if len(profiles) < 2:
        return None
    width = _width(profiles)
    last = max(map(_last_step, profiles))
    columns = -(-last // width)
    grids = [_grid(one, width, columns) for one in profiles]
    own = [grid["own"] for grid in grids]
    typical_own = [_typical(column) for column in zip(*own, strict=True)]
    rows = [_row(one) for one in profiles]
    typical = _typical([row["own_s"] for row in rows])
    measured = all(one.ledger.phases.get("collectives") is not None for one in profiles)
    return {
        "workers": [{**row, "straggler": measured and _straggles(row["own_s"], typical)} for row in rows],
        "first_step": [column * width for column in range(columns)],
        "steps_per_column": width,
        "last_step": last,
        "phases": {name: [grid[name] for grid in grids] for name in PHASES if any(map(_some, _at(grids, name)))},
        "own": own,
        "slow": [[measured and _straggles(*pair) for pair in zip(row, typical_own, strict=True)] for row in own],
        "waiting_measured": measured,
    }


def _row(profile: Profile) -> dict[str, Any]:
    steady = steady_of(profile)
    step_s = steady.epoch_s / steady.steps_per_epoch if steady else None
    waits_s = steady.per_step("collectives") if steady else 0.0
    return {
        "worker": profile.worker,
        "fit_id": profile.fit_id,
        "status": profile.status,
        "updated_at_s": profile.updated_at_s,
        "steps": profile.ledger.steps,
        "step_s": step_s,
        "own_s": step_s - waits_s if step_s is not None else None,
        "phases": {name: steady.per_step(name) if steady and name in steady.phases else None for name in PHASES},
    }


def _width(profiles: Sequence[Profile]) -> int:
    """Steps a column: those of the coarsest time line, doubled until all columns fit."""
    width = max(max(1, one.timeline.steps_per_bucket) for one in profiles)
    while max(map(_last_step, profiles)) > width * _COLUMNS:
        width *= 2
    return width


def _last_step(profile: Profile) -> int:
    """Steps that the time line covers; what comes after the last of them is nobody's step."""
    line = profile.timeline
    return max((first + count for first, count in zip(line.first_step, line.steps, strict=True) if count), default=0)


def _grid(profile: Profile, width: int, columns: int) -> dict[str, list[float | None]]:
    """Phase, or `own` -> seconds a step in each column; `None` where there is no step or it was not measured."""
    line = profile.timeline
    steps = [0] * columns
    for first, count in zip(line.first_step, line.steps, strict=True):
        if count:
            steps[first // width] += count

    def per_step(values: Sequence[float | None]) -> list[float | None]:
        sums: list[float | None] = [0.0] * columns
        for first, count, value in zip(line.first_step, line.steps, values, strict=True):
            if not count:
                continue
            before = sums[first // width]
            sums[first // width] = None if before is None or value is None else before + value
        return [None if total is None or not count else total / count for total, count in zip(sums, steps, strict=True)]

    grid = {name: per_step(line.phases[name]) for name in PHASES if name in line.phases}
    waits = grid.get("collectives", [None] * columns)
    grid["own"] = [
        None if whole is None else max(0.0, whole - (wait or 0.0))
        for whole, wait in zip(per_step(line.wall_s), waits, strict=True)
    ]
    return grid


def _at(grids: Sequence[dict[str, list[float | None]]], name: str) -> list[list[float | None]]:
    for grid in grids:
        grid.setdefault(name, [None] * len(grid["own"]))
    return [grid[name] for grid in grids]


def _some(values: Sequence[float | None]) -> bool:
    return any(values)


def _typical(values: Sequence[float | None]) -> float | None:
    """The median worker; of two, the faster one."""
    known = [value for value in values if value is not None]
    return statistics.median_low(known) if len(known) > 1 else None


def _straggles(value: float | None, typical: float | None) -> bool:
    return value is not None and typical is not None and value > _STRAGGLES * typical
