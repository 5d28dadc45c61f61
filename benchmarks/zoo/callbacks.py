"""CB: callbacks, validation and checkpoints."""

import collections
import os
import tempfile
from typing import Any

import keras
import numpy as np

from benchmarks.zoo.case import EVERYWHERE, Fit, case
from benchmarks.zoo.trainings import convnet, fit, mlp, numbers


class _Norms(keras.callbacks.Callback):  # type: ignore[misc]
    """Computes norms of all weights, as monitoring callbacks do."""

    def __init__(self, every: int):
        super().__init__()
        self.every = every

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch % self.every == 0:
            self.norms = [float(np.linalg.norm(weight)) for weight in self.model.get_weights()]


@case("weights_after_every_batch", "CB09")
def _slow_callback(fixed: bool) -> Fit:
    model = mlp(32, 1024, 3, "sgd")  # with Adam, half of a step would be its update: a second cause
    return fit(model, *numbers(32 * 60), batch_size=32, callbacks=[_Norms(50 if fixed else 1)])


class _Counts(keras.callbacks.Callback):  # type: ignore[misc]
    """Formats a table of what it has seen, as home-made loggers do; nothing of the model."""

    def __init__(self, every: int):
        super().__init__()
        self.every = every

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch % self.every == 0:
            rows = [f"{number:08d} {number * 0.1:.6f}" for number in range(4000)]
            self.table = "\n".join(rows)


@case(
    "table_after_every_batch",
    "CB01",
    quick=True,
    on=EVERYWHERE,
)
def _table(fixed: bool) -> Fit:
    return fit(mlp(32), *numbers(64 * 60), batch_size=64, epochs=8, callbacks=[_Counts(50 if fixed else 1)])


class _Report(keras.callbacks.Callback):  # type: ignore[misc]
    """Sorts and formats a long list after an epoch, as for a report."""

    def __init__(self, every: int):
        super().__init__()
        self.every = every

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch % self.every == 0:
            self.lines = sorted(f"{number * 7919 % 10007:05d}" for number in range(200_000))


@case("report_after_every_epoch", "CB10", on=EVERYWHERE)
def _report(fixed: bool) -> Fit:
    model = mlp(32, 1024, 3, "sgd")
    return fit(model, *numbers(64 * 40), batch_size=64, epochs=11, callbacks=[_Report(5 if fixed else 1)])


class _Keeps(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps all it has seen and joins it again after every batch; or the last of it."""

    def __init__(self, most: int | None):
        super().__init__()
        self.values: Any = collections.deque(maxlen=most)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.values.extend([float(batch)] * 1500)
        self.mean = sum(sorted(self.values)) / len(self.values)


@case("callback_keeps_everything", "CB11")
def _keeps(fixed: bool) -> Fit:
    keeps = _Keeps(15000 if fixed else None)
    return fit(mlp(32, 1024, 3, "sgd"), *numbers(64 * 40), batch_size=64, epochs=8, callbacks=[keeps])


@case("tensorboard_histograms", "CB04")
def _tensorboard(fixed: bool) -> Fit:
    board = keras.callbacks.TensorBoard(tempfile.mkdtemp(), histogram_freq=0 if fixed else 1)
    return fit(mlp(32, 512, 6), *numbers(64 * 20), batch_size=64, callbacks=[board])


@case("trap_callback_sees_every_batch", on=EVERYWHERE)
def _sees_every_batch(fixed: bool) -> Fit:
    seen: list[Any] = []
    look = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    x = np.random.default_rng(0).normal(size=(64 * 40, 28, 28, 1)).astype("float32")
    return fit(convnet(), x, numbers(64 * 40)[1], batch_size=64, callbacks=[look])


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
    x, y = numbers(64 * 40)
    return fit(mlp(32), x, y, batch_size=64, callbacks=[_Predicts(x[:8], fixed)])


@case("checkpoint_every_batch", "CB03")
def _checkpoint(fixed: bool) -> Fit:
    path = os.path.join(tempfile.mkdtemp(), "model.keras")
    checkpoint = keras.callbacks.ModelCheckpoint(path, save_freq="epoch" if fixed else 1)
    return fit(mlp(32, 256), *numbers(64 * 30), batch_size=64, epochs=6, callbacks=[checkpoint])


@case("validation_every_epoch", "CB06", quick=True)
def _validation(fixed: bool) -> Fit:
    x, y = numbers(64 * 40)
    xv, yv = numbers(64 * 160)
    options: dict[str, Any] = {"validation_freq": 5} if fixed else {}
    return fit(
        mlp(32, 256), x, y, batch_size=64, epochs=11, validation_data=(xv, yv), validation_batch_size=64, **options
    )


@case(
    "validation_in_tiny_batches",
    "CB06",
    total=False,
)
def _validation_batches(fixed: bool) -> Fit:
    x, y = numbers(64 * 40)
    return fit(
        mlp(32),
        x,
        y,
        batch_size=64,
        epochs=8,
        validation_data=numbers(16 * 200),
        validation_batch_size=256 if fixed else 16,
    )


@case("tiny_epochs", "CB07", total=True)
def _tiny_epochs(fixed: bool) -> Fit:
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(numbers(64 * 2)).shuffle(128).batch(64)
    return fit(mlp(32), dataset.repeat(50) if fixed else dataset, epochs=3 if fixed else 150)
