"""What the logs of the epochs did, in a few numbers each, however many epochs there are."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from tb_trainspeed.profile import Curve

_MOST = 16


class Curves:
    """Follows the loss and the metrics that Keras reports after each epoch."""

    def __init__(self) -> None:
        self._curves: dict[str, Curve] = {}

    def add(self, logs: Mapping[str, Any]) -> None:
        """Adds the logs of an epoch. What is no plain number is left out: reading it could wait for the device."""
        for name, value in logs.items():
            if isinstance(value, (int, float)) and (name in self._curves or len(self._curves) < _MOST):
                self._curves[name] = _extended(self._curves.get(name) or Curve(name), float(value))

    def curves(self) -> tuple[Curve, ...]:
        """Returns what is known so far. May be called from any thread."""
        return tuple(self._curves.copy().values())


def _extended(curve: Curve, value: float) -> Curve:
    epoch = curve.epochs
    curve = dataclasses.replace(curve, epochs=epoch + 1)
    if not math.isfinite(value):
        seen = curve.not_finite_epoch
        return dataclasses.replace(curve, not_finite_epoch=epoch if seen is None else seen)
    first = value if curve.first is None else curve.first
    curve = dataclasses.replace(curve, first=first, previous=curve.last, last=value)
    if curve.lowest is None or value < curve.lowest:
        curve = dataclasses.replace(curve, lowest=value, lowest_epoch=epoch)
    if curve.highest is None or value > curve.highest:
        curve = dataclasses.replace(curve, highest=value, highest_epoch=epoch)
    return curve
