"""Training as it recurs, without what is paid for once: what rules and predictions reckon with."""

import dataclasses
import math

from tb_trainspeed.profile import ONE_OFF_PHASES, Ledger, Profile, Quantiles

#: What goes on inside the train function; deep samples tell all but the first apart from it.
COMPUTING = ("compute", "optimizer", "transfer", "collectives", "host_overhead")
#: Hooks that run once in a fit: what they do is no part of an epoch.
FIT_HOOKS = frozenset({"on_train_begin", "on_train_end"})
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
    if profile.steady is None:  # the ledger of the whole fit also holds what callbacks do once
        for row in profile.hooks:
            if row.hook in FIT_HOOKS and row.phase in phases:
                once = min(phases[row.phase], row.total_s)
                phases[row.phase] -= once
                one_off += once
    epochs = float(max(1, ledger.epochs))
    size = profile.data.steps_per_epoch or profile.data.batches_per_epoch
    if size and (profile.steady is None or ledger.steps < (epochs + 1) * size):
        begun, epochs = max(1, math.ceil(ledger.steps / size)), ledger.steps / size  # one was broken off, or still runs
        # It was begun as a whole: what that took is of all of its steps.
        of_others = phases.get("epoch_restart", 0.0) * max(0.0, 1 - epochs / begun)
        phases["epoch_restart"] = phases.get("epoch_restart", 0.0) - of_others
        one_off += of_others
    if ledger.steps < MIN_STEPS or ledger.wall_s <= one_off:
        return None
    return Steady((ledger.wall_s - one_off) / epochs, epochs, ledger.steps / epochs, phases)


def _pauses_of(profile: Profile) -> dict[str, float]:
    """What the training itself does not need, mean seconds of a steady epoch by phases: chance, and our measuring.

    A new epoch lets the old iterator of tf.data go, which joins the thread of its autotuner; until that wakes the epoch
    stands still, for up to about its own length. Elsewhere it is what the mean has more than the median.
    """
    epochs, released_s = profile.epochs, releasing_s_of(profile)
    restart_s = _beyond_median(epochs.restart) if released_s is None else released_s
    steady = steady_of(profile)
    ours_s = steady.phases.get("trainspeed", 0.0) / steady.epochs if steady else 0.0
    return {"epoch_restart": restart_s, "gc": _beyond_median(epochs.gc), "trainspeed": ours_s}


def releasing_s_of(profile: Profile) -> float | None:
    """What a steady epoch waits for the iterator of tf.data before it to end, mean seconds; `None` without one.

    Keras wraps Python loaders in such a pipeline on TensorFlow. What these do themselves meanwhile, which is to make
    the batch that they are at, is no part of it. The autotuner may hold all of a few epochs up, so that the least
    release says no more than what that is at most: it wakes after 10, 30, 70 ms and so on, and an epoch that is over
    after 1.4 s waits for the next time at 2.55.
    """
    release, data, tensorflow = profile.epochs.release, profile.data, profile.environment.backend == "tensorflow"
    if release is None or not (tensorflow or data.adapter == "TFDatasetAdapter"):
        return None
    if data.adapter in ("TFDatasetAdapter", "ArrayDataAdapter"):
        return release.mean_s
    own_s, source = release.p05_s, data.source
    if source and source.calls and (data.workers or 1) == 1:  # Keras tunes nothing beside several
        own_s = min(own_s, source.wall_s / source.calls)
    return release.mean_s - own_s


def _beyond_median(spent: Quantiles | None) -> float:
    return max(0.0, spent.mean_s - spent.p50_s) if spent else 0.0


def typical_of(profile: Profile) -> Steady | None:
    """Returns steady training without such pauses: what the shares of causes are of."""
    steady = steady_of(profile)
    if steady is None:
        return None
    pauses = _pauses_of(profile)
    phases = {name: max(0.0, value - pauses.get(name, 0.0) * steady.epochs) for name, value in steady.phases.items()}
    left_out = sum(steady.phases.values()) - sum(phases.values())
    return Steady(steady.epoch_s - left_out / steady.epochs, steady.epochs, steady.steps_per_epoch, phases)


def share_of(profile: Profile, *phases: str) -> float | None:
    """Returns the share of typical training that these phases take, or `None` where one of them was not measured."""
    typical = typical_of(profile)
    if typical is None or any(profile.ledger.phases.get(phase) is None for phase in phases):
        return None
    return sum(typical.phases.get(phase, 0.0) for phase in phases) / (typical.epoch_s * typical.epochs)
