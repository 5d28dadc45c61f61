"""Small models and data that the cases share."""

import functools
import os
import tempfile
from typing import Any

import keras
import numpy as np
from PIL import Image

from benchmarks.zoo.case import Fit
from tb_trainspeed.rules.model_compute.batch import TRIMMED
from tb_trainspeed.rules.optimizer.embedding import LOOKED_UP


def mlp(features: int, width: int = 128, layers: int = 2, optimizer: str = "adam", **options: Any) -> Any:
    hidden = [keras.layers.Dense(width, activation="relu") for _ in range(layers)]
    model = keras.Sequential([keras.layers.Input((features,)), *hidden, keras.layers.Dense(10)])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options)
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


def pooled(size: int) -> Any:
    """Hardly a network: what the step waits for is its input."""
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((size, size, 3)), layers.MaxPooling2D(1, strides=8), layers.Flatten(), layers.Dense(10)]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def classifier(*layers: Any, pooling: int = 0, optimizer: Any = "adam") -> Any:
    """These layers, global pooling over so many dimensions, and ten classes."""
    last = [getattr(keras.layers, f"GlobalAveragePooling{pooling}D")()] if pooling else []
    model = keras.Sequential([*layers, *last, keras.layers.Dense(10)])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def tokens(samples: int, length: int, vocabulary: int = 5000) -> tuple[Any, Any]:
    """Rows of tokens, none of them 0, and a label in 0..9 for each."""
    random = np.random.default_rng(0)
    return random.integers(1, vocabulary, (samples, length)).astype("int32"), random.integers(0, 10, samples)


def numbers(samples: int, features: int = 32) -> tuple[Any, Any]:
    """Rows of normal numbers in float32, and a label in 0..9 for each."""
    random = np.random.default_rng(0)
    return random.normal(size=(samples, features)).astype("float32"), random.integers(0, 10, samples)


def table(rows: int, width: int, fixed: bool, **options: Any) -> Any:
    """An embedding; the fixed one of TensorFlow is that of the code that OP08 shows."""
    kind = keras.layers.Embedding
    if fixed and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        names = {"keras": keras, "tf": tf}
        exec("\n".join(line[2:] for line in LOOKED_UP.splitlines()), names)
        kind = names["LookedUp"]
    return kind(rows, width, name="embedding", **options)


def trimmed(x: Any, y: Any, size: int) -> Any:
    """Rows of similar length in a batch, without the zeros that none of them needs: the code that MC03 shows."""
    lines = [line[2:] for line in TRIMMED.splitlines() if line.startswith("+")]
    names = {"keras": keras, "np": np}
    exec("\n".join(lines[:-1]), names)  # the last one is the fit
    return names["Trimmed"](x, y, size)


def images(samples: int, size: int = 28, channels: int = 1) -> tuple[Any, Any]:
    """Images in uint8, and a label in 0..9 for each."""
    random = np.random.default_rng(0)
    return random.integers(0, 255, (samples, size, size, channels)).astype("uint8"), random.integers(0, 10, samples)


def fit(model: Any, *data: Any, **options: Any) -> Fit:
    """Returns the fit of a model, to be run with further callbacks."""
    options.setdefault("epochs", 4)
    own = options.pop("callbacks", [])
    return lambda callbacks: model.fit(*data, verbose=0, callbacks=[*callbacks, *own], **options)


class Folder:
    """A folder that is gone with the process."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()

    def path(self, name: str) -> str:
        """Path of a file in it."""
        return os.path.join(self._folder.name, name)


@functools.cache
def image_files(count: int, size: int, kind: str) -> tuple[list[str], Any]:
    """Photograph-like images of a size, as files of a kind ("jpeg" or "png"), and a label in 0..9 for each."""
    folder, random = Folder(), np.random.default_rng(0)
    coarse = random.integers(0, 255, (8, 8, 8, 3)).astype("uint8")
    few = [Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC) for pixels in coarse]
    noise = random.normal(0, 4, (size, size, 3))
    few = [Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype("uint8")) for image in few]
    paths = [folder.path(f"{number:05}.{kind}") for number in range(count)]
    for number, path in enumerate(paths):
        few[number % len(few)].save(path, kind)
    _folders.append(folder)
    return paths, random.integers(0, 10, count)


_folders: list[Folder] = []
