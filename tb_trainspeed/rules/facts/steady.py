"""Training as it recurs, without what is paid for once: what rules and predictions reckon with."""

import dataclasses

from tb_trainspeed.profile import ONE_OFF_PHASES, Ledger, Profile, Quantiles

#: What goes on inside the train function; deep samples tell all but the first apart from it.
COMPUTING = ("compute", "optimizer", "transfer", "collectives", "host_overhead")
#: A fit shorter than this many steady steps is too short to say anything about its steps.
MIN_STEPS = 10


@dataclasses.dataclass(frozen=True)
class Steady:
    """Training as it recurs: the ledger after the first epoch, or without the one-off phases if there is just one."""

    epoch_s: float
    epochs: float
    steps_per_epoch: float
    phases: dict[str, float]

    def per_step(self, phase: str) -> float:
        """Seconds a step in a phase."""
        return self.phases.get(phase, 0.0) / (self.steps_per_epoch * self.epochs)


def steady_of(profile: Profile) -> Steady | None:
    """Returns steady training, or `None` when there are too few steps to tell."""
    ledger: Ledger = profile.steady or profile.ledger
    phases = {name: value for name, value in ledger.phases.items() if value is not None}
    one_off = sum(phases.pop(name, 0.0) for name in ONE_OFF_PHASES)
    epochs = max(1, ledger.epochs)
    if ledger.steps < MIN_STEPS or ledger.wall_s <= one_off:
        return None
    return Steady((ledger.wall_s - one_off) / epochs, epochs, ledger.steps / epochs, phases)


def pauses_of(epochs: Quantiles | None) -> float:
    """What the mean steady epoch has more than the median one, seconds: it comes in a few epochs, by chance."""
    return max(0.0, epochs.mean_s - epochs.p50_s) if epochs else 0.0


def share_of(profile: Profile, *phases: str) -> float | None:
    """Returns the share of steady training that these phases take, or `None` where one of them was not measured."""
    steady = steady_of(profile)
    if steady is None or any(profile.ledger.phases.get(phase) is None for phase in phases):
        return None
    return sum(steady.phases.get(phase, 0.0) for phase in phases) / (steady.epoch_s * steady.epochs)
