"""How much longer a step takes after a pause than one that follows upon another, on the backend in `KERAS_BACKEND`.

    python -m benchmarks.pauses [--rounds N]

Models of several sizes train on one batch, some steps after the thread that trains has slept. Pauses take turns, so
that a machine that gets slower does so for all; of the steps after each pause the median is told. The table goes to
standard output.
"""

import argparse
import statistics
import time
from typing import Any

import keras
import numpy as np

_PAUSES_S = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1)
_WIDTHS = (64, 300, 700, 1500)
# Of steps after the same pause the first one still follows upon another.
_IN_A_ROW = 3


def _model(width: int) -> Any:
    layers = keras.layers
    hidden = [layers.Dense(width, activation="relu") for _ in range(2)]
    model = keras.Sequential([layers.Input((48,)), *hidden, layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def _step_s(model: Any, x: Any, y: Any) -> float:
    """Seconds until the weights are there."""
    begin = time.perf_counter()
    model.train_on_batch(x, y)
    keras.ops.convert_to_numpy(model.trainable_variables[-1])  # small, and waits for the device
    return time.perf_counter() - begin


def measured(width: int, rounds: int) -> dict[float, float]:
    """Returns the median step of a model of so many units a layer after each pause, all in seconds."""
    model, random = _model(width), np.random.default_rng(0)
    x, y = random.normal(size=(128, 48)).astype("float32"), random.integers(0, 10, 128)
    for _ in range(20):
        _step_s(model, x, y)
    took: dict[float, list[float]] = {pause_s: [] for pause_s in _PAUSES_S}
    for _ in range(rounds):
        for pause_s in _PAUSES_S:
            for number in range(_IN_A_ROW):
                time.sleep(pause_s)
                step_s = _step_s(model, x, y)
                if number:
                    took[pause_s].append(step_s)
    return {pause_s: statistics.median(steps_s) for pause_s, steps_s in took.items()}


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    pauses = " | ".join(f"{pause_s * 1e3:g} ms" for pause_s in _PAUSES_S[1:])
    print(f"| backend | units a layer | no pause | {pauses} |\n|{'---|' * (2 + len(_PAUSES_S))}", flush=True)
    for width in _WIDTHS:
        first, *others = measured(width, rounds).values()
        more = " | ".join(f"{(step_s - first) * 1e3:+.1f}" for step_s in others)
        print(f"| {keras.backend.backend()} | {width} | {first * 1e3:.1f} ms | {more} |", flush=True)


if __name__ == "__main__":
    main()
