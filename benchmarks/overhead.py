"""What the callback costs: the same fit with and without it, in turn, in one process.

    python -m benchmarks.overhead [--steps-ms 1 5 20] [--pairs N] [--json FILE]

Each row is the median over pairs of (time with) / (time without) - 1 of the epochs after the first, with a 95 %
bootstrap interval. The row `nothing` compares the plain fit with itself: that is the noise. `TensorBoard` is Keras' own
callback.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tb_trainspeed import TrainSpeedCallback

_EPOCHS, _EPOCH_S, _FEATURES = 4, 0.5, 64
_WIDTHS = (16, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072)


class _Epochs(keras.callbacks.Callback):  # type: ignore[misc]
    """Notes how long each epoch took."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begin = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self._begin)


class Trial:
    """A model and data whose step takes about `step_s`."""

    def __init__(self, step_s: float):
        for width in _WIDTHS:
            self.model = keras.Sequential(
                [
                    keras.layers.Input((_FEATURES,)),
                    keras.layers.Dense(width, activation="relu"),
                    keras.layers.Dense(width, activation="relu"),
                    keras.layers.Dense(10),
                ]
            )
            self.model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
            self._make(40)
            self.step_s = self.epoch_s([]) / self.steps
            if self.step_s >= step_s:
                break
        self._make(max(20, int(_EPOCH_S / self.step_s)))

    def _make(self, steps: int) -> None:
        rng = np.random.default_rng(0)
        self.steps = steps
        self.x = rng.normal(size=(64 * steps, _FEATURES)).astype("float32")
        self.y = rng.integers(0, 10, 64 * steps)

    def epoch_s(self, callbacks: list[Any]) -> float:
        """Median time of the epochs after the first."""
        epochs = _Epochs()
        self.model.fit(
            self.x, self.y, batch_size=64, epochs=_EPOCHS, shuffle=False, verbose=0, callbacks=[*callbacks, epochs]
        )
        return statistics.median(epochs.seconds[1:])


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the median."""
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(2000))
    return medians[50], medians[1949]


def candidates(folder: str) -> dict[str, Callable[[], list[Any]]]:
    """What is compared with the plain fit."""
    return {
        "nothing": list,
        "TrainSpeedCallback": lambda: [TrainSpeedCallback(os.path.join(folder, "trainspeed"), verbose=0)],
        "TensorBoard": lambda: [keras.callbacks.TensorBoard(os.path.join(folder, "tensorboard"))],
    }


def main() -> None:
    """Runs the comparison and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps-ms", type=float, nargs="*", default=[1.0, 5.0, 20.0])
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    results = []
    print("| step | with | overhead | 95 % interval | a step |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for step_ms in arguments.steps_ms:
            trial = Trial(step_ms * 1e-3)
            made = candidates(folder)
            for make in made.values():  # the first fit of each kind compiles
                trial.epoch_s(make())
            ratios: dict[str, list[float]] = {name: [] for name in made}
            plain_s = []
            for _ in range(arguments.pairs):
                for name, make in made.items():
                    before = trial.epoch_s([])
                    with_it = trial.epoch_s(make())
                    after = trial.epoch_s([])
                    plain_s.append(before / trial.steps)
                    ratios[name].append(2 * with_it / (before + after) - 1)
            step_s = statistics.median(plain_s)
            for name, values in ratios.items():
                low, high = interval(values)
                middle = statistics.median(values)
                results.append({"step_s": step_s, "with": name, "overhead": middle, "low": low, "high": high})
                print(
                    f"| {step_s * 1e3:.1f} ms | {name} | {middle:+.1%} | {low:+.1%} to {high:+.1%} |"
                    f" {middle * step_s * 1e6:+.0f} µs |",
                    flush=True,
                )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
