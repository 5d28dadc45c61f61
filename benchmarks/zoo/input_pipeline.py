"""IP: the input pipeline."""

import time
from typing import Any

import keras
import numpy as np

from benchmarks.zoo.case import Fit, case
from benchmarks.zoo.trainings import fit, mlp, numbers


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


@case("pydataset_waits_for_files", "IP01", quick=True)
def _pydataset(fixed: bool) -> Fit:
    options = {"workers": 8, "max_queue_size": 16} if fixed else {}
    return fit(mlp(32), _FromFiles(*numbers(64 * 60), **options))


@case("py_function_in_map", "IP06", quick=True)
def _py_function(fixed: bool) -> Fit:
    import tensorflow as tf

    x, y = numbers(32 * 60, 256)

    def in_python(row: Any) -> Any:
        return np.array([value * 2 if value > 0 else value / 2 for value in row.numpy()], "float32")

    def slow(row: Any, label: Any) -> Any:
        row = tf.py_function(in_python, [row], tf.float32)
        return tf.ensure_shape(row, [256]), label

    def fast(row: Any, label: Any) -> Any:
        return tf.where(row > 0, row * 2, row / 2), label

    dataset = tf.data.Dataset.from_tensor_slices((x, y)).map(fast if fixed else slow).batch(32)
    return fit(mlp(256), dataset)


@case("map_before_batch", "IP08", quick=True)
def _map_before_batch(fixed: bool) -> Fit:
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(numbers(512 * 40, 16))

    def scale(row: Any, label: Any) -> Any:
        return row * 2 + 1, label

    dataset = dataset.batch(512).map(scale) if fixed else dataset.map(scale).batch(512)
    return fit(mlp(16, 32), dataset)
