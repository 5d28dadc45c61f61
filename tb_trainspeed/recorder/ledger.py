"""What happened between two moments of a fit: the difference of two cumulative states, as exclusive phases."""

import dataclasses
from collections.abc import Hashable, Mapping

from tb_trainspeed.profile import PHASES, Breakdown, Ledger
from tb_trainspeed.recorder.hooks import HookRow

# Slots of the clock besides the phases themselves. `FETCH` is the dispatch of a fetch whose batch was ready, `GAP` what
# Keras does between two steps outside callbacks; both are the host's part of a step. `FIRST_WAIT` is the wait of an
# epoch's first step, which is partly the restart of the pipeline. `DEVICE` is an asynchronous device at work.
FETCH, CALL, GAP, FIRST_WAIT, DEVICE = "fetch", "call", "gap", "first_wait", "device"
_STEP_SLOTS = (FETCH, CALL, GAP, DEVICE)
_NEEDS_DEEP_SAMPLES = ("transfer", "optimizer", "collectives")
_PARTS_THAT_ARE_PHASES = (*_NEEDS_DEEP_SAMPLES, "input_wait", "host_overhead")


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

    def since(self, begin: "Mark") -> "Mark":
        """What happened since `begin`, as if everything had begun there; the slowest step is that of this mark."""
        return Mark(
            self.at_ns - begin.at_ns,
            self.steps - begin.steps,
            self.first_steps - begin.first_steps,
            self.waits - begin.waits,
            self.traced_calls - begin.traced_calls,
            self.traced_ns - begin.traced_ns,
            self.slowest_ns,
            {slot: total - begin.totals.get(slot, 0) for slot, total in self.totals.items()},
        )


@dataclasses.dataclass(frozen=True)
class Scale:
    """What the whole fit says about one step, nanoseconds: an ordinary call, our own clocks, an ordinary wait.

    `device_known`: when the device was busy is known, so the rest of a step is the host's. `shares`: what deep samples
    say of the time inside the train function, phase by phase, adding up to 1. `untold`: phases that deep samples
    of this fit do not tell apart.
    """

    start_ns: int
    call_ns: float
    own_ns: float
    wait_ns: float
    wait_known: bool
    device_known: bool = False
    shares: Mapping[str, float] | None = None
    untold: frozenset[str] = frozenset()


def shares_of(breakdown: Breakdown, device_known: bool) -> dict[str, float] | None:
    """Returns what share of the train function, or of the device's time, each phase has."""
    shares: dict[str, float] = {}
    for part in breakdown.parts:
        phase = part.name if part.name in _PARTS_THAT_ARE_PHASES else "compute"
        if not (device_known and phase in ("input_wait", "host_overhead")):  # of that the clocks know more
            shares[phase] = shares.get(phase, 0.0) + part.mean_s
    total = sum(shares.values())
    return {phase: value / total for phase, value in shares.items()} if total > 0 else None


def phases_of(happened: Mark, scale: Scale) -> dict[str, float | None]:
    """Exclusive phases of what happened, seconds; a phase that nothing here can tell apart is `None`."""
    phases: dict[str, float] = dict.fromkeys(PHASES, 0.0)
    # What the device does, or all that happens inside the train function where the two are the same; and the rest.
    inside_slot = DEVICE if scale.device_known else CALL
    inside = host = 0.0
    for slot, total in happened.totals.items():
        if isinstance(slot, HookRow):
            phases[slot.phase] += total
        elif slot in phases:
            phases[str(slot)] += total
        elif slot == inside_slot:
            inside += total
        elif slot in _STEP_SLOTS:
            host += total
    # The first wait of an epoch is a wait like any other plus the restart of the pipeline.
    first_wait = happened.totals.get(FIRST_WAIT, 0)
    ordinary = min(first_wait, scale.wait_ns * happened.first_steps)
    phases["input_wait"] += ordinary
    phases["epoch_restart"] += first_wait - ordinary
    # A call that traced is an ordinary call plus the compilation.
    phases["compilation"] += (compiling := max(0.0, happened.traced_ns - happened.traced_calls * scale.call_ns))
    if scale.device_known:
        host -= compiling
    else:
        inside -= compiling
    phases["trainspeed"] += (own := min(scale.own_ns * happened.steps, inside + host))
    host, inside = host - min(own, host), inside - max(0.0, own - host)
    known = {"input_wait"} if scale.wait_known else set()
    if scale.shares or scale.device_known:
        phases["host_overhead"] += host
        known |= {"host_overhead"}
    else:
        inside += host
    for phase, share in (scale.shares or {"compute": 1.0}).items():
        phases[phase] += share * inside
        known.add(phase)
    if scale.shares:
        known |= set(_NEEDS_DEEP_SAMPLES) - scale.untold
    unknown = {"input_wait", "host_overhead", *_NEEDS_DEEP_SAMPLES} - known
    return {name: None if name in unknown else value * 1e-9 for name, value in phases.items()}


def ledger_between(begin: Mark | None, end: Mark, epochs: int, scale: Scale) -> Ledger:
    """What happened from `begin`, or from the start of the fit, to `end`."""
    # The difference first: what is reckoned from it (which wait is ordinary, what a traced call is more than another)
    # is of this part of the fit, and no difference of two things that were reckoned.
    happened = end.since(begin) if begin else end
    begin_ns = begin.at_ns if begin else scale.start_ns
    return Ledger((end.at_ns - begin_ns) * 1e-9, happened.steps, epochs, phases_of(happened, scale))
