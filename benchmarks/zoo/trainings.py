"""Small models and data that the cases share."""

from typing import Any

import keras
import numpy as np

from benchmarks.zoo.case import Fit


def mlp(features: int, width: int = 128, layers: int = 2, **options: Any) -> Any:
    hidden = [keras.layers.Dense(width, activation="relu") for _ in range(layers)]
    model = keras.Sequential([keras.layers.Input((features,)), *hidden, keras.layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options)
    return model


def convnet(size: int = 28, channels: int = 1) -> Any:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((size, size, channels)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def numbers(samples: int, features: int = 32) -> tuple[Any, Any]:
    """Rows of normal numbers in float32, and a label in 0..9 for each."""
    random = np.random.default_rng(0)
    return random.normal(size=(samples, features)).astype("float32"), random.integers(0, 10, samples)


def images(samples: int, size: int = 28, channels: int = 1) -> tuple[Any, Any]:
    """Images in uint8, and a label in 0..9 for each."""
    random = np.random.default_rng(0)
    return random.integers(0, 255, (samples, size, size, channels)).astype("uint8"), random.integers(0, 10, samples)


def fit(model: Any, *data: Any, **options: Any) -> Fit:
    """Returns the fit of a model, to be run with further callbacks."""
    options.setdefault("epochs", 4)
    own = options.pop("callbacks", [])
    return lambda callbacks: model.fit(*data, verbose=0, callbacks=[*callbacks, *own], **options)
