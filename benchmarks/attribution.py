"""Is the ledger true? Known time is injected into one place of a fit, and has to be found again there and nowhere else.

    python -m benchmarks.attribution [--only NAME ...] [--repeat N] [--json FILE] [--layers [--xla]]

A case is a fit that can be made slower in one place, by 30 % of its step or by 5 ms. What it really got slower by is
what the fit without the callback got slower by. The four fits of a case (with and without the injection, with and
without the callback) take turns; each number is the median of the slower fits less that of the others, milliseconds a
step, with a 95 % bootstrap interval: who else uses the machine may disturb it for seconds, and so the one fit or the
other of most rounds, but not most fits of a kind. `found` is what the phase grew by, `elsewhere` the phase that grew or
shrank most besides it, and `all phases` what the ledger as a whole grew by: injected time also slows down what comes
after it.

`--layers` makes one layer 2, 4 and 8 times as expensive instead, and compares its share of the step, as measured by
deep samples, with what the times of fits without the callback imply; `--xla` compiles the step. KERAS_BACKEND chooses
the backend.
"""

import argparse
import contextlib
import dataclasses
import gc
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
import unittest.mock
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import ops

from benchmarks.overhead import batches, interval, untuned
from tb_trainspeed import Report, TrainSpeedCallback

EPOCHS, STEPS, BATCH, CLASSES = 4, 30, 64, 10
FIRST_KERNEL = 3, 3, 1, 16
_SIDE = 128
_SHARE, _FIXED_S = 0.3, 0.005
# About what it takes to compile the small convnet once more.
_COMPILING_S = 0.3
_PARTS = ("forward", "backward", "metrics")


# --- time that can be injected


def burn(x: Any, units: int) -> Any:
    """A scalar that takes `units` dependent products of small matrices to compute, and is next to nothing."""
    product = ops.ones((_SIDE, _SIDE), "float32") * ops.mean(ops.cast(x, "float32"))
    for _ in range(units):
        product = ops.matmul(product, product) * (1 / _SIDE)
        product = product / (1 + ops.max(ops.abs(product)))
    return 1e-30 * ops.sum(product)


def spin(duration_s: float) -> None:
    """Keeps this thread computing."""
    end = time.perf_counter() + duration_s
    while time.perf_counter() < end:
        pass


class Repeated(keras.layers.Conv2D):  # type: ignore[misc]
    """A convolution that is applied so many times, with the same weights."""

    def __init__(self, times: int, **options: Any):
        super().__init__(16, 3, activation="relu", padding="same", **options)
        self.times = times

    def call(self, x: Any) -> Any:
        for _ in range(self.times):
            x = super().call(x)
        return x


class BurnForward(keras.layers.Layer):  # type: ignore[misc]
    """Costs in the forward pass alone."""

    def __init__(self, units: int, **options: Any):
        super().__init__(**options)
        self.units = units

    def call(self, x: Any) -> Any:
        return x + burn(ops.stop_gradient(x), self.units)


class BurnBackward(BurnForward):
    """Costs in the backward pass alone."""

    def call(self, x: Any) -> Any:
        units = self.units

        @ops.custom_gradient
        def identity(x: Any) -> Any:
            def gradient(*gradients: Any, upstream: Any = None) -> Any:
                upstream = gradients[0] if upstream is None else upstream
                return upstream + burn(upstream, units)

            return ops.add(x, 0.0), gradient

        return identity(x)


class BurnOptimizer(keras.optimizers.SGD):  # type: ignore[misc]
    """Costs in the update of the first layer's kernel, whose gradient comes last: nothing runs beside it."""

    units = 0

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self.units and tuple(variable.shape) == FIRST_KERNEL:
            gradient = gradient + burn(gradient, self.units)
        super().update_step(gradient, variable, learning_rate)


class BurnMetric(keras.metrics.Metric):  # type: ignore[misc]
    """Costs in the update of a metric."""

    def __init__(self, units: int):
        super().__init__(name="burnt")
        self.units = units
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.total.assign(self.total + (burn(y_pred, self.units) if self.units else 0.0))

    def result(self) -> Any:
        return ops.convert_to_tensor(self.total)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches that take `fetch_s` to come, as from a disk, and an epoch that takes `boundary_s` to begin anew."""

    def __init__(self, fetch_s: float = 0.0, boundary_s: float = 0.0, **options: Any):
        super().__init__(**options)
        self.fetch_s, self.boundary_s = fetch_s, boundary_s
        self.x, self.y = data()

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> Any:
        if self.fetch_s:
            time.sleep(self.fetch_s)
        part = slice(index * BATCH, (index + 1) * BATCH)
        return self.x[part], self.y[part]

    def on_epoch_end(self) -> None:
        spin(self.boundary_s)


class Spins(keras.callbacks.Callback):  # type: ignore[misc]
    """A callback that works before every batch, of training or of validation; or has garbage looked for in a heap."""

    def __init__(self, train_s: float = 0.0, test_s: float = 0.0, heap: int = 0):
        super().__init__()
        self.train_s, self.test_s, self.heap = train_s, test_s, heap

    def on_train_begin(self, logs: Any = None) -> None:
        if self.heap:
            gc.freeze()  # what the process holds already would take far longer to look through
            self.kept = [[number] for number in range(self.heap)]

    def on_train_end(self, logs: Any = None) -> None:
        self.kept = []
        gc.unfreeze()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        spin(self.train_s)
        if self.heap:
            gc.collect()

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        spin(self.test_s)


class SlowCheckpoint(keras.callbacks.ModelCheckpoint):  # type: ignore[misc]
    """A checkpoint to a slow disk."""

    extra_s = 0.0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        spin(self.extra_s)


# --- the fits


def data(steps: int = STEPS) -> tuple[Any, Any]:
    """Images and labels for so many steps."""
    random = np.random.default_rng(0)
    x = random.normal(size=(steps * BATCH, 28, 28, 1)).astype("float32")
    return x, random.integers(0, CLASSES, steps * BATCH)


def convnet(
    forward: int = 0, backward: int = 0, update: int = 0, metric: int = 0, middle: int = 1, **options: Any
) -> Any:
    """A small convnet that costs more in one place. `middle` is how often its middle layer is applied."""
    layers = keras.layers
    inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(16, 3, activation="relu", name="first")(inputs)
    x = layers.MaxPooling2D(name="pool")(x)
    x = Repeated(middle, name="middle")(x)
    x = layers.Flatten(name="flatten")(x)
    if forward:
        x = BurnForward(forward, name="burnt_forward")(x)
    if backward:
        x = BurnBackward(backward, name="burnt_backward")(x)
    model = keras.Model(inputs, layers.Dense(CLASSES, name="last")(x))
    optimizer = BurnOptimizer(0.001)
    optimizer.units = update
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=[BurnMetric(metric)], **options)
    return model


Fit = Callable[[list[Any]], None]
#: Makes the fit of a case with this much injected, in seconds a step, or burnt, in units.
Make = Callable[[float], Fit]


@dataclasses.dataclass(frozen=True)
class Case:
    """A place where time can be injected, and the phase that has to show it; `burns` in units, else in seconds."""

    name: str
    phase: str
    make: Make
    burns: bool = False
    hidden: bool = False


def _fit(model: Any, *arrays: Any, callbacks: tuple[Any, ...] = (), **options: Any) -> Fit:
    def fit(ours: list[Any]) -> None:
        model.fit(*arrays, epochs=EPOCHS, verbose=0, shuffle=False, callbacks=[*ours, *callbacks], **options)

    return fit


def _arrays(model: Any, **options: Any) -> Fit:
    return _fit(model, **batches(*data(), BATCH), **options)


def pooled_convnet() -> Any:
    """A compiled convnet that takes images of any size."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((None, None, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Conv2D(16, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES),
        ]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=True)
    return model


_sizes = itertools.count(29)


def _odd_sizes(model: Any, many: int) -> Fit:
    """A fit in which so many batches of the steady epochs have a size never seen before, so that the step compiles."""
    x, y = data(1)
    odd = {STEPS + (index + 1) * (EPOCHS - 1) * STEPS // (many + 1) for index in range(many)}

    def padded() -> Iterator[Any]:
        for index in range(EPOCHS * STEPS):
            margin = next(_sizes) - 28 if index in odd else 0
            yield np.pad(x, ((0, 0), (0, margin), (0, 0), (0, 0))), y

    def fit(ours: list[Any]) -> None:
        made: Any = padded()
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            kinds = tf.TensorSpec((BATCH, None, 28, 1), "float32"), tf.TensorSpec((BATCH,), "int64")
            made = tf.data.Dataset.from_generator(padded, output_signature=kinds)
        model.fit(made, steps_per_epoch=STEPS, epochs=EPOCHS, verbose=0, callbacks=ours)

    return fit


def cases(folder: str) -> list[Case]:
    """All places. The dear models are made once each."""
    plain = convnet()

    def fetch(extra_s: float) -> Fit:
        return _fit(plain, Batches(fetch_s=0.015 + extra_s))

    def hidden(extra_s: float) -> Fit:
        return _fit(plain, Batches(fetch_s=0.002 + extra_s, workers=4, max_queue_size=8))

    def callback(extra_s: float) -> Fit:
        return _arrays(plain, callbacks=(Spins(train_s=extra_s),))

    def collections(extra_s: float) -> Fit:
        # As many live objects as take about that long to look through; without the injection nobody looks.
        return _arrays(plain, callbacks=(Spins(heap=int(extra_s * 20_000_000)),))

    def validation(extra_s: float) -> Fit:
        given = batches(*data(), BATCH)
        validated = (given["x"], given["y"]) if "y" in given else given["x"]
        return _fit(plain, **given, callbacks=(Spins(test_s=extra_s),), validation_data=validated)

    def checkpointing(extra_s: float) -> Fit:
        checkpoint = SlowCheckpoint(os.path.join(folder, "slow.weights.h5"), save_weights_only=True)
        checkpoint.extra_s = extra_s * STEPS
        return _arrays(plain, callbacks=(checkpoint,))

    def boundary(extra_s: float) -> Fit:
        return _fit(plain, Batches(boundary_s=extra_s * STEPS))

    def burnt(place: str) -> Make:
        return lambda units: _arrays(convnet(**{place: int(units)}))

    compiled = pooled_convnet()

    def recompilation(extra_s: float) -> Fit:
        many = max(1, round(extra_s * STEPS * (EPOCHS - 1) / _COMPILING_S)) if extra_s else 0
        return _odd_sizes(compiled, many)

    return [
        Case("batch fetching", "input_wait", fetch),
        Case("batch fetching, hidden", "input_wait", hidden, hidden=True),
        Case("forward", "forward", burnt("forward"), burns=True),
        Case("backward", "backward", burnt("backward"), burns=True),
        Case("optimizer", "optimizer", burnt("update"), burns=True),
        Case("metrics", "metrics", burnt("metric"), burns=True),
        Case("callback", "callbacks", callback),
        Case("validation", "validation", validation),
        Case("checkpointing", "checkpointing", checkpointing),
        Case("epoch boundary", "epoch_restart", boundary),
        Case("garbage collection", "gc", collections),
        # torch compiles nothing
        *([Case("recompilation", "compilation", recompilation)] if keras.backend.backend() != "torch" else []),
    ]


# --- measuring


class _Epochs(keras.callbacks.Callback):  # type: ignore[misc]
    """Notes when the first epoch was over: what comes later is steady."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.steady_since: float | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            self.steady_since = time.perf_counter()


def step_s(fit: Fit, ours: list[Any]) -> float:
    """Runs a fit; returns the time of a steady step with all that comes with it, boundaries included."""
    epochs = _Epochs()
    gc.collect()  # else the graphs of earlier fits are collected in the middle of this one
    fit([*ours, epochs])
    assert epochs.steady_since is not None
    return (time.perf_counter() - epochs.steady_since) / ((EPOCHS - 1) * STEPS)


def phases_of(report: Report) -> dict[str, float]:
    """Seconds a steady step in each phase, with compute split where it is."""
    ledger = report.profile.steady
    assert ledger is not None
    values = {name: value / ledger.steps for name, value in ledger.phases.items() if value is not None}
    parts = {name: value for name, value in report.compute_parts.items() if value is not None}
    whole = sum(parts.values())
    if whole:
        compute_s = values.pop("compute")
        values |= {name: value / whole * compute_s for name, value in parts.items()}
    return values


def measured(fit: Fit) -> dict[str, float]:
    """Runs a fit with the callback; returns its phases."""
    callback = TrainSpeedCallback(log_dir=None, verbose=0)
    gc.collect()
    fit([callback])
    return phases_of(callback.report)


@contextlib.contextmanager
def without_autotuner() -> Iterator[None]:
    """On TensorFlow Keras makes a `tf.data` pipeline of a `PyDataset` itself: it goes without its autotuner, too."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    original = tf.data.Dataset.from_generator
    with unittest.mock.patch.object(
        tf.data.Dataset, "from_generator", lambda *given, **options: untuned(original(*given, **options))
    ):
        yield


def units_for(make: Make, extra_s: float) -> int:
    """How much has to be burnt to take this long, roughly."""
    probe = 100
    without, with_it = make(0), make(probe)
    for fit in (without, with_it):
        fit([])
    each_s = statistics.median(step_s(with_it, []) - step_s(without, []) for _ in range(3)) / probe
    return max(1, round(extra_s / max(each_s, 2e-5)))


def run(case: Case, extra_s: float, rounds: int) -> dict[str, Any]:
    """Injects, measures in turn, and compares."""
    amount = float(units_for(case.make, extra_s)) if case.burns else extra_s
    base, slower = case.make(0), case.make(amount)
    for fit in (base, slower):  # the first fit of each model compiles, and TensorFlow then names its operations
        measured(fit)
    plain: list[tuple[float, float]] = []
    ledgers: list[tuple[dict[str, float], dict[str, float]]] = []
    for _ in range(rounds):
        seconds = step_s(slower, [])
        plain.append((step_s(base, []), seconds))
        ledgers.append((measured(base), measured(slower)))
    phases = {
        name: grown([(before.get(name, 0.0), after.get(name, 0.0)) for before, after in ledgers])
        for name in set().union(*itertools.chain(*ledgers))
    }
    results = {
        "injected": grown(plain),
        "found": phases.pop(case.phase, (None, (0.0, 0.0))),
        "together": grown([(sum(before.values()), sum(after.values())) for before, after in ledgers]),
    }
    elsewhere = max(phases, key=lambda name: abs(phases[name][0]))
    results["elsewhere"] = phases[elsewhere]
    return {
        "backend": keras.backend.backend(),
        "case": case.name,
        "phase": case.phase,
        "elsewhere": elsewhere,
        **{f"{name}_s": value for name, (value, _) in results.items()},
        **{f"{name}_interval_s": ends for name, (_, ends) in results.items()},
    }


def grown(pairs: Sequence[tuple[float, float]]) -> tuple[float, tuple[float, float]]:
    """What the second of all pairs are longer than the first, by their medians, and its 95 % bootstrap interval."""

    def of(chosen: Sequence[tuple[float, float]]) -> float:
        before, after = zip(*chosen, strict=True)
        return statistics.median(after) - statistics.median(before)

    return of(pairs), interval(pairs, of)


def row(result: Mapping[str, Any]) -> str:
    """One row of the table."""

    def ms(name: str) -> str:
        if result[f"{name}_s"] is None:
            return "not measured"
        low, high = result[f"{name}_interval_s"]
        return f"{result[f'{name}_s'] * 1e3:.2f} ({low * 1e3:.2f} to {high * 1e3:.2f})"

    return (
        f"| {result['backend']} | {result['case']} | {ms('injected')} | {result['phase']} | {ms('found')} "
        f"| {result['elsewhere']} {ms('elsewhere')} | {ms('together')} |"
    )


def layer_shares(rounds: int, **options: Any) -> list[dict[str, Any]]:
    """Makes the middle layer of the convnet k times as expensive, by applying it k times."""
    times = (1, 2, 4, 8)
    fits = {k: _arrays(convnet(middle=k, **options)) for k in times}
    for fit in fits.values():
        measured(fit)
    plain: dict[int, list[float]] = {k: [] for k in times}
    shares: dict[int, list[float]] = {k: [] for k in times}
    for _ in range(rounds):
        for k, fit in fits.items():
            plain[k].append(step_s(fit, []))
            callback = TrainSpeedCallback(log_dir=None, verbose=0)
            fit([callback])
            breakdown, steady = callback.report.profile.breakdown, callback.report.profile.steady
            assert breakdown is not None
            assert steady is not None
            own = sum(layer.forward_s + layer.backward_s for layer in breakdown.layers if layer.name == "middle")
            whole = sum(part.mean_s for part in breakdown.parts)
            computing = sum(steady.phases.get(name) or 0.0 for name in ("compute", "optimizer", "host_overhead"))
            shares[k].append(own / whole * computing / steady.wall_s)
    once = statistics.median(plain[1])
    results = []
    for k in times[1:]:
        slower = statistics.median(plain[k])
        results.append(
            {
                "backend": keras.backend.backend(),
                "k": k,
                "step_s": slower,
                "step_once_s": once,
                "implied": k * (slower - once) / (k - 1) / slower,
                "measured": statistics.median(shares[k]),
                "measured_interval": interval(shares[k]),
            }
        )
    return results


def main() -> None:
    """Runs the cases and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--layers", action="store_true")
    parser.add_argument("--xla", action="store_true")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    results: list[dict[str, Any]] = []
    if arguments.layers:
        print("| backend | layer made | share implied | share measured |\n|---|---|---|---|", flush=True)
        for result in layer_shares(arguments.repeat, **({"jit_compile": True} if arguments.xla else {})):
            results.append(result)
            low, high = result["measured_interval"]
            print(
                f"| {result['backend']} | {result['k']} times as expensive | {result['implied']:.1%} |"
                f" {result['measured']:.1%} ({low:.1%} to {high:.1%}) |",
                flush=True,
            )
    else:
        print("| backend | injected into | really slower by | phase | found | elsewhere | all |\n" + "|---" * 7 + "|")
        with tempfile.TemporaryDirectory() as folder, without_autotuner():
            chosen = [case for case in cases(folder) if not arguments.only or case.name in arguments.only]
            typical = _arrays(convnet())
            typical([])
            ordinary_s = step_s(typical, [])
            for case in chosen:
                for extra_s in (_SHARE * ordinary_s, _FIXED_S):
                    result = run(case, extra_s, arguments.repeat)
                    results.append(result)
                    print(row(result), flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
