"""What happened between two moments of a fit: the difference of two cumulative states, as exclusive phases."""

import dataclasses
import itertools
from collections.abc import Hashable, Mapping, Sequence

from tb_trainspeed.profile import PHASES, Ledger, Timeline

# Slots of the clock besides the phases themselves. `FETCH` is the dispatch of a fetch whose batch was ready, `GAP` what
# Keras does between two steps outside callbacks; both are the host's part of a step. `FIRST_WAIT` is the wait of an
# epoch's first step, which is partly the restart of the pipeline. `DEVICE` is an asynchronous device at work.
FETCH, CALL, GAP, FIRST_WAIT, DEVICE = "fetch", "call", "gap", "first_wait", "device"
_HOST_SLOTS = (FETCH, CALL, GAP)
_NEVER_TOLD_APART = ("transfer", "optimizer", "collectives")


@dataclasses.dataclass(eq=False)
class HookRow:
    """One hook of one callback; it is its own slot of the clock."""

    callback: str
    hook: str
    phase: str
    calls: int = 0
    max_ns: int = 0


@dataclasses.dataclass(frozen=True)
class Mark:
    """The cumulative state at a moment, times in nanoseconds."""

    at_ns: int
    steps: int
    first_steps: int
    waits: int
    traced_calls: int
    traced_ns: int
    slowest_ns: int
    totals: Mapping[Hashable, int]


@dataclasses.dataclass(frozen=True)
class Scale:
    """What the whole fit says about one step, nanoseconds: an ordinary call, our own clocks, an ordinary wait.

    `device_known`: when the device was busy is known, so the rest of a step is the host's.
    """

    start_ns: int
    call_ns: float
    own_ns: float
    wait_ns: float
    wait_known: bool
    device_known: bool = False


def phases_until(mark: Mark, scale: Scale) -> dict[str, float | None]:
    """Exclusive phases up to `mark`, seconds; a phase that nothing here can tell apart is `None`."""
    phases: dict[str, float] = dict.fromkeys(PHASES, 0.0)
    host = "host_overhead" if scale.device_known else "compute"
    for slot, total in mark.totals.items():
        if isinstance(slot, HookRow):
            phases[slot.phase] += total
        elif slot in phases:
            phases[str(slot)] += total
        elif slot in _HOST_SLOTS:
            phases[host] += total
        elif slot == DEVICE:
            phases["compute"] += total
    # The first wait of an epoch is a wait like any other plus the restart of the pipeline.
    first_wait = mark.totals.get(FIRST_WAIT, 0)
    ordinary = min(first_wait, scale.wait_ns * mark.first_steps)
    phases["input_wait"] += ordinary
    phases["epoch_restart"] += first_wait - ordinary
    # A call that traced is an ordinary call plus the compilation.
    compiling = max(0.0, mark.traced_ns - mark.traced_calls * scale.call_ns)
    phases["compilation"] += compiling
    phases[host] -= compiling
    own_ns = min(scale.own_ns * mark.steps, phases[host])
    phases["trainspeed"] += own_ns
    phases[host] -= own_ns
    result: dict[str, float | None] = {name: value * 1e-9 for name, value in phases.items()}
    result |= dict.fromkeys(_NEVER_TOLD_APART)
    if not scale.device_known:
        result["host_overhead"] = None
    if not scale.wait_known:
        result["input_wait"] = None
    return result


def ledger_between(begin: Mark | None, end: Mark, epochs: int, scale: Scale) -> Ledger:
    """What happened from `begin`, or from the start of the fit, to `end`."""
    phases = phases_until(end, scale)
    if begin:
        before = phases_until(begin, scale)
        phases = {name: None if value is None else value - (before[name] or 0.0) for name, value in phases.items()}
    begin_ns, steps = (begin.at_ns, begin.steps) if begin else (scale.start_ns, 0)
    return Ledger((end.at_ns - begin_ns) * 1e-9, end.steps - steps, epochs, phases)


def timeline_of(marks: Sequence[Mark], stride: int, steps_per_call: int, scale: Scale) -> Timeline:
    """The buckets between the marks, as columns."""
    ledgers = [ledger_between(begin, end, 0, scale) for begin, end in itertools.pairwise(marks)]
    columns = {name: tuple(ledger.phases[name] for ledger in ledgers) for name in PHASES}
    return Timeline(
        stride,
        tuple(mark.steps for mark in marks[:-1]),
        tuple(ledger.steps for ledger in ledgers),
        tuple((mark.at_ns - scale.start_ns) * 1e-9 for mark in marks[:-1]),
        tuple(ledger.wall_s for ledger in ledgers),
        tuple(mark.slowest_ns * 1e-9 / steps_per_call for mark in marks[1:]),
        {name: column for name, column in columns.items() if any(column)},
    )
