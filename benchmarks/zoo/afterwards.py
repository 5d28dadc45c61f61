"""Trainings of the input pipeline that were written after all constants had been set, and are not used to set any."""

import functools
import json
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from benchmarks.zoo.case import EVERYWHERE, Fit, case
from benchmarks.zoo.input_pipeline import Batches
from benchmarks.zoo.trainings import Folder, classifier, fit, mlp, numbers

layers = keras.layers


def _dataset(make: Any, *shape: int) -> Any:
    """Samples of a shape that a generator makes, and their labels."""
    import tensorflow as tf

    signature = (tf.TensorSpec(shape, tf.float32), tf.TensorSpec((), tf.int64))
    return tf.data.Dataset.from_generator(make, output_signature=signature)


@case("letters_counted_in_a_generator", "IP29", on=EVERYWHERE)
def _letters(fixed: bool) -> Fit:
    random = np.random.default_rng(0)
    texts = ["".join(map(chr, random.integers(97, 123, 2000))) for _ in range(48 * 20)]
    y = random.integers(0, 10, len(texts))

    def samples() -> Iterator[Any]:
        for text, label in zip(texts, y, strict=True):
            counts = dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 0)
            for letter in text:
                counts[letter] += 1
            yield np.array(list(counts.values()), "float32"), label

    dataset = _dataset(samples, 26)
    return fit(mlp(26, 600, 3), (dataset.cache() if fixed else dataset).batch(48))


@case("spectra_from_a_generator", "IP29", on=EVERYWHERE)
def _spectra(fixed: bool) -> Fit:
    """Shuffled after what is kept."""
    x, y = numbers(32 * 30, 4096)

    def samples() -> Iterator[Any]:
        for row, label in zip(x, y, strict=True):
            windows = row.reshape(64, 64) * np.hanning(64)
            yield np.log1p(np.abs(np.fft.rfft(windows))).astype("float32"), label

    dataset = _dataset(samples, 64, 33)
    blocks = [layers.Conv1D(48, 5, activation="relu"), layers.Conv1D(48, 5, activation="relu")]
    model = classifier(layers.Input((64, 33)), *blocks, pooling=1)
    return fit(model, (dataset.cache() if fixed else dataset).shuffle(200).batch(32))


@case("measurements_by_name", "IP05", on=EVERYWHERE)
def _measurements(fixed: bool) -> Fit:
    """Three inputs by their names."""
    import tensorflow as tf

    x, y = numbers(100 * 25, 30)
    parts = {"size": slice(0, 10), "weight": slice(10, 20), "age": slice(20, 30)}

    def one_by_one() -> Iterator[Any]:
        for row, label in zip(x, y, strict=True):
            yield {name: row[part] for name, part in parts.items()}, label

    def together() -> Iterator[Any]:
        for begin in range(0, len(x), 100):
            rows = x[begin : begin + 100]
            yield {name: rows[:, part] for name, part in parts.items()}, y[begin : begin + 100]

    size = (None,) if fixed else ()
    signature = ({name: tf.TensorSpec((*size, 10), tf.float32) for name in parts}, tf.TensorSpec(size, tf.int64))
    dataset = tf.data.Dataset.from_generator(together if fixed else one_by_one, output_signature=signature)
    inputs = {name: layers.Input((10,), name=name) for name in parts}
    wide = layers.Dense(900, activation="relu")(layers.Concatenate()(list(inputs.values())))
    model = keras.Model(inputs, layers.Dense(10)(layers.Dense(400, activation="relu")(wide)))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, dataset if fixed else dataset.batch(100))


@functools.cache
def _notes() -> tuple[Folder, list[str]]:
    folder, x = Folder(), numbers(1200, 120)[0]
    paths = [folder.path(f"{number}.json") for number in range(60)]
    for path, part in zip(paths, np.array_split(x, 60), strict=True):
        with open(path, "w", encoding="utf-8") as file:
            json.dump([{"values": [round(float(value), 4) for value in row]} for row in part], file)
    return folder, paths


def _noted(path: str) -> Any:
    with open(path, encoding="utf-8") as file:
        return np.array([[value - 0.5 for value in note["values"]] for note in json.load(file)], "float32")


@case("notes_parsed_again", "IP09", on=EVERYWHERE)
def _parsed(fixed: bool) -> Fit:
    paths, y = _notes()[1], numbers(1200, 1)[1]
    load = functools.cache(_noted) if fixed else _noted

    def make(rows: Any) -> Any:
        return np.concatenate([load(paths[row // 20]) for row in rows[::20]]), y[rows]

    return fit(mlp(120, 500), Batches(len(y), make, 60))


@functools.cache
def _sounds() -> tuple[Folder, list[str]]:
    folder, x = Folder(), numbers(600, 2048)[0]
    paths = [folder.path(f"{number}.npy") for number in range(len(x))]
    for path, row in zip(paths, x, strict=True):
        np.save(path, row)
    return folder, paths


def _heard(path: str) -> Any:
    sound = np.load(path).astype("float64")
    return np.stack([np.abs(np.fft.rfft(sound[begin : begin + 256])) for begin in range(0, 1792, 56)]).astype("float32")


@case("sounds_read_again", "IP09", on=EVERYWHERE)
def _read(fixed: bool) -> Fit:
    """Most of what a cache keeps is computed, and not read."""
    paths, y = _sounds()[1], numbers(600, 1)[1]
    load = functools.cache(_heard) if fixed else _heard

    def make(rows: Any) -> Any:
        return np.stack([load(paths[row]) for row in rows]), y[rows]

    model = classifier(layers.Input((32, 129)), layers.Conv1D(64, 3, activation="relu"), pooling=1)
    return fit(model, Batches(len(paths), make, 20))
