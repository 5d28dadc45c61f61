"""TR: from the host to the device."""

from typing import Any

import keras
import numpy as np

from benchmarks.zoo.case import EVERYWHERE, Fit, case
from benchmarks.zoo.trainings import fit, mlp, numbers


@case("float64_arrays", "TR01", on=EVERYWHERE)
def _float64(fixed: bool) -> Fit:
    x, y = numbers(2048 * 40, 400)
    return fit(mlp(400, 16, 1), x if fixed else x.astype("float64"), y, batch_size=2048)


def _wide_softmax(classes: int, loss: str) -> Any:
    layers = keras.layers
    model = keras.Sequential([layers.Input((16,)), layers.Dense(4), layers.Dense(classes, activation="softmax")])
    model.compile("sgd", loss)
    return model


@case("one_hot_targets", "TR02", on=("torch",))
def _one_hot(fixed: bool) -> Fit:
    classes, samples = 4000, 128 * 40
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
