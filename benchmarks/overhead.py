"""What the callback costs: the same fit with and without it, in turn, in one process.

    python -m benchmarks.overhead [--steps-ms 1 5 20 100] [--rounds N] [--only NAME ...] [--json FILE]
    python -m benchmarks.overhead --long

A round is a fit with each candidate, and a plain fit before, between and after. `a step` is the median over rounds of
the time of a step after the first epoch, over that of the two plain fits around it, less one, with a 95 % bootstrap
interval; `on equal cores` is the same, had the cores always been as fast as they ever were, see `benchmarks.cores`.
`a fit` is what the whole fit took longer, in milliseconds. The row `nothing` compares plain fits with the plain fits
around them: that is the noise. The others are Keras' own callback: as it is, writing every batch, and profiling ten
steps.

`--long` makes 100,000 small steps with and without the callback, and shows how memory and the log grow.

KERAS_BACKEND chooses the backend.
"""

import argparse
import dataclasses
import itertools
import json
import os
import pathlib
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
import psutil

from benchmarks.cores import Cores, watched
from tb_trainspeed import TrainSpeedCallback

_EPOCHS, _EPOCH_S, _FEATURES = 7, 1.5, 64
_WIDTHS = (16, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144)
_LONG_STEPS, _LONG_FROM = 100_000, 1_000

Callbacks = Callable[[], list[Any]]


class _Epochs(keras.callbacks.Callback):  # type: ignore[misc]
    """Notes how long each epoch took."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.spans: list[tuple[float, float]] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begin = time.time()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.spans.append((self._begin, time.time()))


@dataclasses.dataclass(frozen=True)
class Fit:
    """A fit that ran: when its epochs after the first began and ended, and how long the whole took; seconds."""

    epochs: list[tuple[float, float]]
    wall_s: float

    def epoch_s(self, cores: Cores | None = None) -> float:
        """The median time of an epoch, with `cores` as if these had always been as fast as they ever were."""
        return statistics.median(
            (end - begin) / (cores.slowdown(begin, end) if cores else 1) for begin, end in self.epochs
        )


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
            self.step_s = self.fit([]).epoch_s() / self.steps
            if self.step_s >= step_s:
                break
        self._make(max(10, int(_EPOCH_S / self.step_s)))

    def _make(self, steps: int) -> None:
        self.steps = steps
        rng, samples = np.random.default_rng(0), 64 * steps
        x = rng.normal(size=(samples, _FEATURES)).astype("float32")
        self.data = batches(x, rng.integers(0, 10, samples), 64)

    def fit(self, callbacks: list[Any]) -> Fit:
        """Runs a fit."""
        epochs, begin = _Epochs(), time.perf_counter()
        self.model.fit(**self.data, epochs=_EPOCHS, shuffle=False, verbose=0, callbacks=[*callbacks, epochs])
        return Fit(epochs.spans[1:], time.perf_counter() - begin)


def batches(x: Any, y: Any, size: int) -> dict[str, Any]:
    """Arrays as arguments of `fit`. On TensorFlow they are a `tf.data` pipeline without its autotuner.

    The end of an iterator joins the thread of the autotuner, which now and then sleeps on, for up to the length of the
    epoch, with and without a callback: in fits of seconds that noise would be all there is to see.
    """
    if keras.backend.backend() != "tensorflow":
        return {"x": x, "y": y, "batch_size": size}
    import tensorflow as tf

    return {"x": untuned(tf.data.Dataset.from_tensor_slices((x, y)).batch(size).prefetch(2))}


def untuned(dataset: Any) -> Any:
    """The same `tf.data` pipeline without its autotuner."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def interval(values: Sequence[Any], of: Callable[[Sequence[Any]], float] = statistics.median) -> tuple[float, float]:
    """95 % bootstrap interval of the median, or of what else is made of the values."""
    draw = random.Random(0)
    drawn = sorted(of(draw.choices(values, k=len(values))) for _ in range(2000))
    return drawn[50], drawn[1949]


def candidates(folder: str) -> dict[str, Callbacks]:
    """What is compared with the plain fit."""

    def keras_own(name: str, **options: Any) -> Callbacks:
        return lambda: [keras.callbacks.TensorBoard(os.path.join(folder, name), **options)]

    made: dict[str, Callbacks] = {
        "TrainSpeedCallback": lambda: [TrainSpeedCallback(os.path.join(folder, "trainspeed"), verbose=0)],
        "TensorBoard": keras_own("plain"),
        "TensorBoard, every batch": keras_own("batch", update_freq="batch"),
    }
    if keras.backend.backend() != "torch":  # there Keras' callback profiles nothing
        made["TensorBoard, profiling 10 steps"] = keras_own("profile", profile_batch=(11, 20))
    return made


def compare(trial: Trial, made: dict[str, Callbacks], rounds: int, cores: str) -> list[dict[str, Any]]:
    """Runs the rounds; returns a result for every candidate. `cores` is where it is written how fast they are."""
    for make in made.values():  # the first fit of each kind compiles
        trial.fit(make())
    plain = [trial.fit([])]
    # Each with the plain fits before and after it.
    seen: dict[str, list[tuple[Fit, Fit, Fit]]] = {"nothing": [], **{name: [] for name in made}}
    for _ in range(rounds):
        for name, make in made.items():
            with_it = trial.fit(make())
            plain.append(trial.fit([]))
            seen[name].append((plain[-2], with_it, plain[-1]))
    seen["nothing"] = list(zip(plain, plain[1:], plain[2:], strict=False))
    speeds = Cores(cores)
    results = []
    for name, fits in seen.items():
        steps, equal = ([_more(*(fit.epoch_s(known) for fit in each)) for each in fits] for known in (None, speeds))
        extra_s = [fit.wall_s - statistics.fmean((before.wall_s, after.wall_s)) for before, fit, after in fits]
        results.append(
            {
                "backend": keras.backend.backend(),
                "step_s": statistics.median(fit.epoch_s() for fit in plain) / trial.steps,
                "with": name,
                "overhead": statistics.median(steps),
                "interval": interval(steps),
                "on_equal_cores": statistics.median(equal),
                "on_equal_cores_interval": interval(equal),
                "fit_s": statistics.median(extra_s),
                "fit_interval_s": interval(extra_s),
            }
        )
    return results


def _more(before: float, seen: float, after: float) -> float:
    return seen / statistics.fmean((before, after)) - 1


def row(result: dict[str, Any]) -> str:
    """One row of the table."""
    (low, high), (equal_low, equal_high) = result["interval"], result["on_equal_cores_interval"]
    fit_low, fit_high = result["fit_interval_s"]
    return (
        f"| {result['backend']} | {result['step_s'] * 1e3:.1f} ms | {result['with']} | {result['overhead']:+.1%} "
        f"({low:+.1%} to {high:+.1%}) | {result['overhead'] * result['step_s'] * 1e6:+.0f} µs "
        f"| {result['on_equal_cores']:+.1%} ({equal_low:+.1%} to {equal_high:+.1%}) "
        f"| {result['fit_s'] * 1e3:+.0f} ms ({fit_low * 1e3:+.0f} to {fit_high * 1e3:+.0f}) |"
    )


class _Memory(keras.callbacks.Callback):  # type: ignore[misc]
    """Notes the memory of the process after every epoch."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.bytes: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.bytes.append(psutil.Process().memory_info().rss)


def grow(folder: str) -> list[dict[str, Any]]:
    """Makes many steps, without and with the callback; returns how memory and the log grew."""
    results = []
    for name, make in itertools.islice({"nothing": list, **candidates(folder)}.items(), 2):
        trial = Trial(0.0)
        trial._make(_LONG_FROM)
        memory = _Memory()
        trial.model.fit(
            **trial.data, shuffle=False, epochs=_LONG_STEPS // _LONG_FROM, verbose=0, callbacks=[*make(), memory]
        )
        log = sum(file.stat().st_size for file in pathlib.Path(folder).rglob("*") if file.is_file())
        results.append(
            {
                "backend": keras.backend.backend(),
                "with": name,
                "steps": _LONG_STEPS,
                "grown_bytes": memory.bytes[-1] - memory.bytes[0],
                "log_bytes": log,
            }
        )
    return results


def main() -> None:
    """Runs the comparison and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps-ms", type=float, nargs="*", default=[1.0, 5.0, 20.0, 100.0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", nargs="*", metavar="NAME", help="callbacks, as the table names them")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        if arguments.long:
            print("| backend | with | steps | memory grew by | log |\n|---|---|---|---|---|", flush=True)
            for result in grow(folder):
                results.append(result)
                print(
                    f"| {result['backend']} | {result['with']} | {result['steps']:,} "
                    f"| {result['grown_bytes'] / 1e6:.1f} MB | {result['log_bytes'] / 1e3:.0f} kB |",
                    flush=True,
                )
        else:
            print(
                "| backend | step | with | a step | | on equal cores | a fit |\n|---|---|---|---|---|---|---|",
                flush=True,
            )
            made = candidates(folder)
            for name in made.keys() - set(arguments.only or made):
                del made[name]
            cores = os.path.join(folder, "cores")
            with watched(cores):
                for step_ms in arguments.steps_ms:
                    for result in compare(Trial(step_ms * 1e-3), made, arguments.rounds, cores):
                        results.append(result)
                        print(row(result), flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
