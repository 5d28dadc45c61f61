"""Deep samples of a few steps each: when the next one is due, and what all of them say of a step."""

import dataclasses
import statistics
from collections.abc import Mapping

from tb_trainspeed.profile import Breakdown, LayerTime, Part, StageTime
from tb_trainspeed.recorder.budget import Budget

#: Steps of one sample. Few, for a sample must be short; not one, for steps differ.
STEPS = 3
# The first steps compile and warm up. Later samples lie ever further apart, so that they cover the whole run.
_FIRST_AT, _GROWTH = 4, 1.5
# More samples than this make the mean no better than the steps differ.
_MOST = 32


@dataclasses.dataclass(frozen=True)
class Sample:
    """What one deep sample measured, seconds a step. The names are those of `Breakdown`."""

    steps: int
    parts: Mapping[str, float]
    layers: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    stages: tuple[StageTime, ...] = ()
    python_s: Mapping[str, float] = dataclasses.field(default_factory=dict)


class DeepSamples:
    """Decides when to take a deep sample, and adds up what they say.

    `due` and `taken` are for the thread that runs the fit, `add` for the one that decodes; the rest may be called from
    any.

    Args:
        budget: what samples cost is taken from it.
        first_cost_ns: what a sample is taken to cost until one was taken.
    """

    def __init__(self, budget: Budget, first_cost_ns: int):
        self._budget, self._cost_ns = budget, first_cost_ns
        self._next_at = _FIRST_AT
        self._taken = 0
        self._samples: tuple[Sample, ...] = ()

    def due(self, step: int) -> bool:
        """Whether the steps from `step` on, counted over the fit, are to be sampled."""
        return step >= self._next_at and self._taken < _MOST and self._budget.allows(self._cost_ns)

    def taken(self, step: int, cost_ns: int) -> None:
        """A sample that ended before `step` made training this much longer."""
        self._budget.spend(cost_ns)
        self._taken += 1
        self._cost_ns = max(cost_ns, self._cost_ns // 2)
        self._next_at = int(step * _GROWTH) + 1

    def spend(self, cost_ns: int) -> None:
        """Decoding a sample took this much of a processor."""
        self._budget.spend(cost_ns)

    def add(self, sample: Sample) -> None:
        """Adds what a sample measured."""
        self._samples = (*self._samples, sample)

    def breakdown(self) -> Breakdown | None:
        """Returns one step in parts, or `None` before the first sample."""
        samples = self._samples
        if not samples:
            return None
        return Breakdown(
            samples=len(samples),
            steps=sum(sample.steps for sample in samples),
            parts=tuple(
                Part(name, statistics.fmean(values), min(values), max(values))
                for name in dict.fromkeys(name for sample in samples for name in sample.parts)
                for values in [[sample.parts.get(name, 0.0) for sample in samples]]
            ),
            layers=tuple(
                LayerTime(
                    name,
                    statistics.fmean(sample.layers.get(name, (0.0, 0.0))[0] for sample in samples),
                    statistics.fmean(sample.layers.get(name, (0.0, 0.0))[1] for sample in samples),
                )
                for name in dict.fromkeys(name for sample in samples for name in sample.layers)
            ),
            stages=samples[-1].stages,
            python_s={
                kind: statistics.fmean(sample.python_s.get(kind, 0.0) for sample in samples)
                for kind in dict.fromkeys(kind for sample in samples for kind in sample.python_s)
            },
        )
