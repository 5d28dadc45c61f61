"""TR: from the host to the device."""

from typing import Any

import keras
import numpy as np

from benchmarks.zoo.case import Fit, case
from benchmarks.zoo.trainings import Folder, convnet, fit, mlp, numbers


@case(
    "float64_arrays",
    "TR01",
    on=("jax", "torch"),
)
def _float64(fixed: bool) -> Fit:
    x, y = numbers(1024 * 20, 1600)
    return fit(mlp(1600, 16, 1), x if fixed else x.astype("float64"), y, batch_size=1024)


@case("float64_arrays_converted_once", "TR01", total=True)
def _float64_start(fixed: bool) -> Fit:
    x, y = numbers(2048 * 200, 200)
    return fit(mlp(200, 16, 1), x if fixed else x.astype("float64"), y, batch_size=2048, epochs=2)


def _wide_softmax(classes: int, loss: str) -> Any:
    layers = keras.layers
    model = keras.Sequential([layers.Input((16,)), layers.Dense(4), layers.Dense(classes, activation="softmax")])
    model.compile("sgd", loss)
    return model


@case("one_hot_targets", "TR02", on=("torch",))
def _one_hot(fixed: bool) -> Fit:
    classes, samples = 8000, 128 * 40
    x = numbers(samples, 16)[0]
    y = np.random.default_rng(0).integers(0, classes, samples)
    if fixed:
        return fit(_wide_softmax(classes, "sparse_categorical_crossentropy"), x, y, batch_size=128)
    one_hot = np.zeros((samples, classes), "float32")
    one_hot[np.arange(samples), y] = 1
    return fit(_wide_softmax(classes, "categorical_crossentropy"), x, one_hot, batch_size=128)


class _Rows(keras.utils.PyDataset):  # type: ignore[misc]
    """Takes rows of arrays, a batch at a time."""

    def __init__(self, x: Any, y: Any, batch: int):
        super().__init__()
        self.x, self.y, self.batch = x, y, batch

    def __len__(self) -> int:
        return len(self.y) // self.batch

    def __getitem__(self, index: int) -> Any:
        rows = slice(index * self.batch, (index + 1) * self.batch)
        return self.x[rows], self.y[rows]


@case("gigabytes_of_arrays", "TR04", total=True)
def _gigabytes(fixed: bool) -> Fit:
    x, y = np.ones((300_000, 1000), "float32"), numbers(300_000, 1)[1]
    return fit(
        mlp(1000, 16, 1), *([_Rows(x, y, 2048)] if fixed else [x, y]), batch_size=None if fixed else 2048, epochs=1
    )


@case("callback_in_the_step", "TR05", on=("jax",))
def _callback(fixed: bool) -> Fit:
    import jax

    folder = Folder()

    class Watched(keras.Sequential):  # type: ignore[misc]
        """Writes the norm of every weight into a file, in every step."""

        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().compute_loss(*args, **kwargs)
            if not fixed:
                norms = [keras.ops.norm(weight) for weight in self.trainable_weights]
                jax.debug.callback(self._write, loss, *norms)
            return loss

        def _write(self, *values: Any) -> None:
            with open(folder.path("norms.txt"), "a", encoding="utf-8") as file:
                print(*values, file=file)

    layers = keras.layers
    model = Watched([layers.Input((32,)), *[layers.Dense(64, activation="relu") for _ in range(8)], layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, *numbers(32 * 100), batch_size=32)


@case("trap_print_in_the_step")
def _print(fixed: bool) -> Fit:
    import tensorflow as tf

    folder = Folder()
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def printed(y: Any, scores: Any) -> Any:
        loss = plain(y, scores)
        tf.print(loss, output_stream=f"file://{folder.path('losses.txt')}")
        return loss

    model = convnet()
    model.compile("adam", printed)
    x = np.random.default_rng(0).normal(size=(64 * 40, 28, 28, 1)).astype("float32")
    return fit(model, x, numbers(64 * 40)[1], batch_size=64)
