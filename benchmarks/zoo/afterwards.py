"""Trainings of the input pipeline that were written after all constants had been set, and are not used to set any."""

import functools
import os
import pickle
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from PIL import Image

from benchmarks.zoo.case import EVERYWHERE, Fit, case
from benchmarks.zoo.input_pipeline import Batches
from benchmarks.zoo.trainings import Folder, classifier, fit, image_files, mlp, numbers

layers = keras.layers


@functools.cache
def _shards() -> tuple[Folder, list[str]]:
    folder, x = Folder(), numbers(4000, 300)[0]
    paths = [folder.path(f"{number}.pickle") for number in range(4)]
    for path, part in zip(paths, np.array_split(x, 4), strict=True):
        with open(path, "wb") as file:
            pickle.dump([dict(enumerate(map(float, row))) for row in part[:250]], file)
    return folder, paths


def _unpickled(path: str) -> Any:
    with open(path, "rb") as file:
        return np.array([list(row.values()) for row in pickle.load(file)], "float32")


@case("shards_unpickled_again_and_again", "IP09", on=EVERYWHERE)
def _pickles(fixed: bool) -> Fit:
    paths, y = _shards()[1], numbers(1000, 1)[1]
    once = np.concatenate([_unpickled(path) for path in paths])

    def make(rows: Any) -> Any:
        if fixed:
            return once[rows], y[rows]
        shard = rows[0] // 250
        return _unpickled(paths[shard])[rows - 250 * shard], y[rows]

    return fit(mlp(300, 400, 3), Batches(len(y), make, 50))


@case("pairs_from_a_generator", "IP05", on=EVERYWHERE)
def _pairs(fixed: bool) -> Fit:
    """Two inputs a sample."""
    import tensorflow as tf

    x, y = numbers(128 * 30, 48)

    def one_by_one() -> Iterator[Any]:
        for row, label in zip(x, y, strict=True):
            yield (row[:24], row[24:]), label

    def together() -> Iterator[Any]:
        for begin in range(0, len(x), 128):
            rows = x[begin : begin + 128]
            yield (rows[:, :24], rows[:, 24:]), y[begin : begin + 128]

    size = (None,) if fixed else ()
    half = tf.TensorSpec((*size, 24), tf.float32)
    signature = ((half, half), tf.TensorSpec(size, tf.int64))
    dataset = tf.data.Dataset.from_generator(together if fixed else one_by_one, output_signature=signature)
    inputs = [layers.Input((24,)), layers.Input((24,))]
    joined = layers.Dense(700, activation="relu")(layers.Concatenate()(inputs))
    model = keras.Model(inputs, layers.Dense(10)(layers.Dense(700, activation="relu")(joined)))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, dataset if fixed else dataset.batch(128))


@functools.cache
def _examples() -> tuple[Folder, str]:
    import tensorflow as tf

    folder, (x, y) = Folder(), numbers(100 * 30, 60)
    path = folder.path("examples.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for row, label in zip(x, y, strict=True):
            features = {
                "row": tf.train.Feature(float_list=tf.train.FloatList(value=row)),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return folder, path


@case("examples_parsed_one_by_one", "IP20", on=EVERYWHERE)
def _parsed(fixed: bool) -> Fit:
    import tensorflow as tf

    features = {"row": tf.io.FixedLenFeature([60], tf.float32), "label": tf.io.FixedLenFeature([], tf.int64)}

    def parse(record: Any) -> Any:
        parsed = (tf.io.parse_example if fixed else tf.io.parse_single_example)(record, features)
        return parsed["row"], parsed["label"]

    records = tf.data.TFRecordDataset(_examples()[1]).apply(tf.data.experimental.assert_cardinality(3000))
    dataset = records.batch(100).map(parse) if fixed else records.map(parse).batch(100)
    return fit(mlp(60, 300), dataset)


@case("thumbnails_opened_by_python", "IP09", on=EVERYWHERE)
def _thumbnails(fixed: bool) -> Fit:
    paths, y = image_files(32 * 20, 120, "png")

    def open_one(path: str) -> Any:
        return np.asarray(Image.open(os.fspath(path)).resize((32, 32)), "float32") / 255

    load = functools.cache(open_one) if fixed else open_one

    def make(rows: Any) -> Any:
        return np.stack([load(paths[row]) for row in rows]), y[rows]

    blocks = [layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(), layers.Conv2D(16, 3, activation="relu")]
    return fit(classifier(layers.Input((32, 32, 3)), *blocks, pooling=2), Batches(len(paths), make, 32), epochs=5)


@case("clipped_in_python", "IP06", on=EVERYWHERE)
def _clipped(fixed: bool) -> Fit:
    import tensorflow as tf

    def in_python(row: Any) -> Any:
        return np.clip(row, -1, 1).astype("float32")

    def slow(row: Any, label: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(in_python, [row], tf.float32), [80]), label

    def fast(row: Any, label: Any) -> Any:
        return tf.clip_by_value(row, -1.0, 1.0), label

    dataset = tf.data.Dataset.from_tensor_slices(numbers(100 * 30, 80)).map(fast if fixed else slow)
    return fit(mlp(80, 400), dataset.batch(100))
