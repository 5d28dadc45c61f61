"""Slow trainings with a known cause, and the same fixed: is the cause named first, and does the prediction hold?

    python -m benchmarks.zoo [--only NAME ...] [--repeat N] [--json FILE]

Slow and fixed alternate. A case without a cause is a trap or a healthy control: nothing may be found.
"""

import argparse
import dataclasses
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from tb_trainspeed import Report, TrainSpeedCallback

Fit = Callable[[list[Any]], None]


@dataclasses.dataclass(frozen=True)
class Case:
    """A training. `slow` and `fixed` make a fit that takes callbacks; `cause` is the expected code, `None` for none."""

    name: str
    cause: str | None
    slow: Callable[[], Fit]
    fixed: Callable[[], Fit] | None = None


CASES: list[Case] = []


def case(name: str, cause: str | None) -> Callable[[Callable[[bool], Fit]], Callable[[bool], Fit]]:
    """Registers `make(fixed)` as a case; a case without a cause is only run slow."""

    def register(make: Callable[[bool], Fit]) -> Callable[[bool], Fit]:
        CASES.append(Case(name, cause, lambda: make(False), (lambda: make(True)) if cause else None))
        return make

    return register


def _mlp(features: int, width: int = 128, layers: int = 2, **options: Any) -> Any:
    hidden = [keras.layers.Dense(width, activation="relu") for _ in range(layers)]
    model = keras.Sequential([keras.layers.Input((features,)), *hidden, keras.layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options)
    return model


def _convnet(size: int = 28) -> Any:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((size, size, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def _numbers(samples: int, features: int = 32) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    return random.normal(size=(samples, features)).astype("float32"), random.integers(0, 10, samples)


def _fit(model: Any, *data: Any, **options: Any) -> Fit:
    options.setdefault("epochs", 4)
    own = options.pop("callbacks", [])
    return lambda callbacks: model.fit(*data, verbose=0, callbacks=[*callbacks, *own], **options)


class _FromFiles(keras.utils.PyDataset):  # type: ignore[misc]
    """Waits for each batch as for a file on a network disk: waiting is the case, so here a sleep is real."""

    def __init__(self, x: Any, y: Any, **options: Any):
        super().__init__(**options)
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x) // 64

    def __getitem__(self, index: int) -> Any:
        time.sleep(0.03)
        batch = slice(index * 64, index * 64 + 64)
        return self.x[batch], self.y[batch]


@case("pydataset_waits_for_files", "IP01")
def _pydataset(fixed: bool) -> Fit:
    options = {"workers": 8, "max_queue_size": 16} if fixed else {}
    return _fit(_mlp(32), _FromFiles(*_numbers(64 * 60), **options))


@case("py_function_in_map", "IP06")
def _py_function(fixed: bool) -> Fit:
    x, y = _numbers(32 * 60, 256)

    def in_python(row: Any) -> Any:
        return np.array([value * 2 if value > 0 else value / 2 for value in row.numpy()], "float32")

    def slow(row: Any, label: Any) -> Any:
        row = tf.py_function(in_python, [row], tf.float32)
        return tf.ensure_shape(row, [256]), label

    def fast(row: Any, label: Any) -> Any:
        return tf.where(row > 0, row * 2, row / 2), label

    dataset = tf.data.Dataset.from_tensor_slices((x, y)).map(fast if fixed else slow).batch(32)
    return _fit(_mlp(256), dataset)


@case("map_before_batch", "IP08")
def _map_before_batch(fixed: bool) -> Fit:
    dataset = tf.data.Dataset.from_tensor_slices(_numbers(512 * 40, 16))

    def scale(row: Any, label: Any) -> Any:
        return row * 2 + 1, label

    dataset = dataset.batch(512).map(scale) if fixed else dataset.map(scale).batch(512)
    return _fit(_mlp(16, 32), dataset)


@case("run_eagerly", "FW01")
def _eager(fixed: bool) -> Fit:
    return _fit(_mlp(32, run_eagerly=not fixed), *_numbers(64 * 30), batch_size=64)


@case("steps_per_execution", "FW07")
def _steps_per_execution(fixed: bool) -> Fit:
    return _fit(_mlp(32, 16, steps_per_execution=16 if fixed else 1), *_numbers(32 * 320), batch_size=32)


@case("tiny_batch", "MC00")
def _tiny_batch(fixed: bool) -> Fit:
    return _fit(_mlp(32, 32), *_numbers(8 * 400), batch_size=64 if fixed else 8)


class _Norms(keras.callbacks.Callback):  # type: ignore[misc]
    """Computes norms of all weights, as monitoring callbacks do."""

    def __init__(self, every: int):
        super().__init__()
        self.every = every

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch % self.every == 0:
            self.norms = [float(np.linalg.norm(weight)) for weight in self.model.get_weights()]


@case("weights_after_every_batch", "CB01")
def _slow_callback(fixed: bool) -> Fit:
    model = _mlp(32, 1024)
    return _fit(model, *_numbers(32 * 60), batch_size=32, callbacks=[_Norms(50 if fixed else 1)])


class _Predicts(keras.callbacks.Callback):  # type: ignore[misc]
    """Looks at the predictions for a few samples, as people debug."""

    def __init__(self, x: Any, directly: bool):
        super().__init__()
        self.x, self.directly = x, directly

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self.directly:
            self.seen = self.model.predict(self.x, verbose=0)
        elif batch % 50 == 0:
            self.seen = self.model(self.x, training=False)


@case("predict_in_callback", "CB02")
def _predict(fixed: bool) -> Fit:
    x, y = _numbers(64 * 40)
    return _fit(_mlp(32), x, y, batch_size=64, callbacks=[_Predicts(x[:8], fixed)])


@case("checkpoint_every_batch", "CB03")
def _checkpoint(fixed: bool) -> Fit:
    path = os.path.join(tempfile.mkdtemp(), "model.keras")
    checkpoint = keras.callbacks.ModelCheckpoint(path, save_freq="epoch" if fixed else 1)
    return _fit(_mlp(32, 256), *_numbers(64 * 30), batch_size=64, callbacks=[checkpoint])


@case("validation_every_epoch", "CB06")
def _validation(fixed: bool) -> Fit:
    x, y = _numbers(64 * 40)
    xv, yv = _numbers(64 * 160)
    options: dict[str, Any] = {"validation_freq": 5} if fixed else {}
    return _fit(
        _mlp(32, 256), x, y, batch_size=64, epochs=11, validation_data=(xv, yv), validation_batch_size=64, **options
    )


@case("trap_no_prefetch", None)
def _no_prefetch(fixed: bool) -> Fit:
    x = np.random.default_rng(0).integers(0, 255, (64 * 40, 28, 28, 1)).astype("uint8")
    dataset = tf.data.Dataset.from_tensor_slices((x, _numbers(64 * 40)[1])).batch(64)
    return _fit(_convnet(), dataset.map(lambda image, label: (tf.cast(image, tf.float32) / 255, label)))


@case("trap_serial_map", None)
def _serial_map(fixed: bool) -> Fit:
    x = np.random.default_rng(0).integers(0, 255, (64 * 40, 28, 28, 1)).astype("uint8")
    dataset = tf.data.Dataset.from_tensor_slices((x, _numbers(64 * 40)[1]))
    return _fit(_convnet(), dataset.map(lambda image, label: (tf.cast(image, tf.float32) / 255, label)).batch(64))


@case("healthy_arrays", None)
def _healthy(fixed: bool) -> Fit:
    x = np.random.default_rng(0).normal(size=(64 * 40, 28, 28, 1)).astype("float32")
    return _fit(_convnet(), x, _numbers(64 * 40)[1], batch_size=64)


def measure(make: Callable[[], Fit]) -> Report:
    """Runs a fit and returns its report."""
    keras.utils.set_random_seed(0)
    callback = TrainSpeedCallback(log_dir=None, verbose=0)
    make()([callback])
    return callback.report


def run(chosen: Case, repeat: int) -> dict[str, Any]:
    """Runs slow and fixed in turn; returns what was found, predicted and measured."""
    reports, ratios = [], []
    for _ in range(repeat):
        slow = measure(chosen.slow)
        reports.append(slow)
        if chosen.fixed:
            fixed = measure(chosen.fixed)
            ratios.append((slow.epoch_s or 0.0) / (fixed.epoch_s or 1.0))
    first = reports[0]
    own = [f for report in reports for f in report.findings if f.code == chosen.cause and f.speedup]
    result: dict[str, Any] = {
        "case": chosen.name,
        "cause": chosen.cause,
        "found": [[finding.code for finding in report.findings] for report in reports],
        "verdict": first.verdict,
    }
    if ratios and own:
        predicted = statistics.median(f.speedup.expected for f in own if f.speedup)
        measured = statistics.median(ratios)
        result |= {
            "predicted": predicted,
            "low": statistics.median(f.speedup.low for f in own if f.speedup),
            "high": statistics.median(f.speedup.high for f in own if f.speedup),
            "measured": measured,
            "measured_min": min(ratios),
            "measured_max": max(ratios),
            "error": predicted / measured - 1,
        }
    return result


def main() -> None:
    """Runs the cases and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    results = []
    print("| case | cause | found | predicted | measured | error |\n|---|---|---|---|---|---|", flush=True)
    for chosen in CASES:
        if arguments.only and chosen.name not in arguments.only:
            continue
        result = run(chosen, arguments.repeat)
        results.append(result)
        found = " / ".join(",".join(codes) or "-" for codes in result["found"])
        row = f"| {chosen.name} | {chosen.cause or '-'} | {found} |"
        if "error" in result:
            predicted = "{predicted:.2f} ({low:.2f}-{high:.2f})".format(**result)
            measured = "{measured:.2f} ({measured_min:.2f}-{measured_max:.2f})".format(**result)
            row += f" {predicted} | {measured} | {result['error']:+.0%} |"
        else:
            row += " | | |"
        print(row, flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
