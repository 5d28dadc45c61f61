"""Healthy trainings, and traps: what looks like a cause and is none. Nothing may be found."""

from typing import Any

import numpy as np

from benchmarks.zoo.case import EVERYWHERE, Fit, case
from benchmarks.zoo.trainings import convnet, fit, images, numbers


def _scaled(image: Any, label: Any) -> Any:
    import tensorflow as tf

    return tf.cast(image, tf.float32) / 255, label


@case("trap_no_prefetch", quick=True)
def _no_prefetch(fixed: bool) -> Fit:
    import tensorflow as tf

    return fit(convnet(), tf.data.Dataset.from_tensor_slices(images(64 * 40)).batch(64).map(_scaled))


@case("trap_serial_map", quick=True)
def _serial_map(fixed: bool) -> Fit:
    import tensorflow as tf

    return fit(convnet(), tf.data.Dataset.from_tensor_slices(images(64 * 40)).map(_scaled).batch(64))


@case("healthy_arrays", quick=True, on=EVERYWHERE)
def _healthy(fixed: bool) -> Fit:
    x = np.random.default_rng(0).normal(size=(64 * 40, 28, 28, 1)).astype("float32")
    return fit(convnet(), x, numbers(64 * 40)[1], batch_size=64)
