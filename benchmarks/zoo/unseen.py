"""Trainings that no rule was set from, and late constants of the input pipeline only: what answers are worth elsewhere.

Their steps take 3 to 60 ms, which is more usual than what the other cases do to be quick.
"""

import functools
import itertools
import json
import os
import pickle
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from PIL import Image

from benchmarks.zoo.case import EVERYWHERE, Fit, case
from benchmarks.zoo.input_pipeline import Batches
from benchmarks.zoo.trainings import Folder, classifier, fit, image_files, mlp, numbers, table, tokens, trimmed

layers = keras.layers


def _network(size: int, width: int = 16, channels: int = 3) -> Any:
    """Two blocks of convolutions, as one begins with."""
    blocks = [
        layer
        for filters in (width, 2 * width)
        for layer in (layers.Conv2D(filters, 3, activation="relu", padding="same"), layers.MaxPooling2D())
    ]
    return classifier(layers.Input((size, size, channels)), *blocks, pooling=2)


def _pictures(samples: int, size: int) -> tuple[Any, Any]:
    random = np.random.default_rng(7)
    return random.random((samples, size, size, 3), "float32"), random.integers(0, 10, samples)


def _photo(path: str) -> Any:
    return np.asarray(Image.open(path).convert("RGB").resize((48, 48)), "float32") / 255


@case("photos_opened_by_python", "IP09", on=("tensorflow", "torch"))  # on JAX it costs next to nothing
def _photos(fixed: bool) -> Fit:
    paths, y = image_files(24 * 25, 160, "jpeg")
    load, random = functools.cache(_photo) if fixed else _photo, np.random.default_rng(0)

    def make(rows: Any) -> Any:
        photos = [load(paths[row]) for row in rows]
        return np.stack([photo[:, ::-1] if random.random() < 0.5 else photo for photo in photos]), y[rows]

    return fit(_network(48), Batches(len(paths), make, 24), epochs=5)


@case(
    "differences_one_by_one",
    "IP19",
    on=EVERYWHERE,
)
def _differences(fixed: bool) -> Fit:
    x, y = numbers(48 * 30, 3000)

    def make(rows: Any) -> Any:
        if fixed:
            return np.diff(x[rows])[..., None], y[rows]
        changed = [[float(after) - float(before) for before, after in itertools.pairwise(row)] for row in x[rows]]
        return np.array(changed, "float32")[..., None], y[rows]

    model = classifier(
        layers.Input((2999, 1)),
        layers.Conv1D(16, 9, strides=4, activation="relu"),
        layers.Conv1D(16, 9, strides=4),
        pooling=1,
    )
    return fit(model, Batches(len(y), make, 48))


@functools.cache
def _readings() -> tuple[Folder, str]:
    folder = Folder()
    path = folder.path("readings.txt")
    np.savetxt(path, numbers(96 * 20, 192)[0], "%.5f")
    return folder, path


@case("readings_read_for_every_batch", "IP18", on=EVERYWHERE)
def _read(fixed: bool) -> Fit:
    path, y = _readings()[1], numbers(96 * 20, 1)[1]
    once = np.loadtxt(path, "float32")

    def make(rows: Any) -> Any:
        return (once if fixed else np.loadtxt(path, "float32"))[rows], y[rows]

    return fit(mlp(192, 512, 2, "sgd"), Batches(len(y), make, 96))


@case(
    "rows_from_a_distant_store",
    "IP01",
    on=EVERYWHERE,
)
def _store(fixed: bool) -> Fit:
    """The distance is a sleep."""
    x, y = numbers(64 * 50, 256)

    def make(rows: Any) -> Any:
        time.sleep(0.04)
        return x[rows], y[rows]

    return fit(mlp(256, 768), Batches(len(y), make, 64, **({"workers": 16, "max_queue_size": 32} if fixed else {})))


@case(
    "samples_from_a_generator",
    "IP05",
    on=EVERYWHERE,
)
def _samples(fixed: bool) -> Fit:
    import tensorflow as tf

    x, y = numbers(200 * 24, 40)

    def one_by_one() -> Iterator[Any]:
        for row, label in zip(x, y, strict=True):
            yield row / np.abs(row).max(), label

    def together() -> Iterator[Any]:
        for begin in range(0, len(x), 200):
            rows = x[begin : begin + 200]
            yield rows / np.abs(rows).max(1, keepdims=True), y[begin : begin + 200]

    shapes: Any = [(None, 40), (None,)] if fixed else [(40,), ()]
    spec = tf.TensorSpec(shapes[0], tf.float32), tf.TensorSpec(shapes[1], tf.int64)
    dataset = tf.data.Dataset.from_generator(together if fixed else one_by_one, output_signature=spec)
    return fit(mlp(40, 512, 3), dataset if fixed else dataset.batch(200))


@case(
    "standardised_in_python",
    "IP06",
    on=EVERYWHERE,
)
def _standardised(fixed: bool) -> Fit:
    import tensorflow as tf

    def in_python(row: Any) -> Any:
        values = row.numpy()
        return ((values - values.mean()) / values.std()).astype("float32")

    def slow(row: Any, label: Any) -> Any:
        return tf.ensure_shape(tf.py_function(in_python, [row], tf.float32), [300]), label

    def fast(row: Any, label: Any) -> Any:
        return (row - tf.reduce_mean(row)) / tf.math.reduce_std(row), label

    dataset = tf.data.Dataset.from_tensor_slices(numbers(64 * 30, 300)).map(fast if fixed else slow).batch(64)
    return fit(mlp(300, 512), dataset)


@case("scaled_row_by_row", "IP08")
def _scaled(fixed: bool) -> Fit:
    import tensorflow as tf

    def scale(row: Any, label: Any) -> Any:
        return tf.tanh(row), label

    dataset = tf.data.Dataset.from_tensor_slices(numbers(300 * 40, 100))
    return fit(mlp(100, 256), dataset.batch(300).map(scale) if fixed else dataset.map(scale).batch(300))


class _Log(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes all it knows as JSON, now and then or always."""

    def __init__(self, every: int):
        super().__init__()
        self.every = every
        self.known = [{"step": step, "loss": step * 0.1} for step in range(3000)]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch % self.every == 0:
            self.text = json.dumps(self.known)


@case(
    "json_after_every_batch",
    "CB01",
    on=EVERYWHERE,
)
def _json(fixed: bool) -> Fit:
    return fit(_network(32), *_pictures(32 * 40, 32), batch_size=32, epochs=5, callbacks=[_Log(50 if fixed else 1)])


@case("checkpoint_every_fifth_batch", "CB03", on=EVERYWHERE)
def _checkpoints(fixed: bool) -> Fit:
    path = os.path.join(tempfile.mkdtemp(), "model.weights.h5")
    checkpoint = keras.callbacks.ModelCheckpoint(path, save_weights_only=True, save_freq="epoch" if fixed else 5)
    return fit(mlp(64, 1200, 3, "sgd"), *numbers(64 * 40, 64), batch_size=64, callbacks=[checkpoint])


@case("as_much_validation_as_training", "CB06", on=EVERYWHERE)
def _validation(fixed: bool) -> Fit:
    freq = {"validation_freq": 5} if fixed else {}
    return fit(
        _network(32),
        *_pictures(32 * 20, 32),
        batch_size=32,
        epochs=11,
        validation_data=_pictures(32 * 45, 32),
        **freq,
    )


@case(
    "pictures_by_eights",
    "MC00",
    on=("tensorflow", "torch"),
)
def _eights(fixed: bool) -> Fit:
    return fit(_network(16, 8), *_pictures(8 * 160, 16), batch_size=64 if fixed else 8)


@case("flattened_feature_maps", "MC07", on=EVERYWHERE)
def _flattened(fixed: bool) -> Fit:
    top = layers.GlobalAveragePooling2D() if fixed else layers.Flatten()
    convolutions = layers.Conv2D(24, 3, activation="relu"), layers.Conv2D(24, 3, activation="relu")
    model = classifier(layers.Input((24, 24, 3)), *convolutions, top, layers.Dense(200, activation="relu"))
    return fit(model, *_pictures(32 * 30, 24), batch_size=32)


@case(
    "frozen_convolutions",
    "MC09",
    on=EVERYWHERE,
)
def _frozen(fixed: bool) -> Fit:
    base = keras.Sequential(
        [
            layers.Input((48, 48, 3)),
            *(layers.Conv2D(32, 3, activation="relu", strides=stride) for stride in (1, 2, 1, 2)),
            layers.GlobalAveragePooling2D(),
        ]
    )
    base.trainable = False
    x, y = _pictures(16 * 30, 48)
    head = layers.Dense(256, activation="relu")
    if fixed:
        return fit(classifier(layers.Input((32,)), head), base.predict(x, verbose=0), y, batch_size=16)
    return fit(classifier(layers.Input((48, 48, 3)), base, head), x, y, batch_size=16)


@case(
    "adam_on_many_items",
    "OP01",
    on=EVERYWHERE,
)
def _items(fixed: bool) -> Fit:
    optimizer: Any = "adam"
    if fixed:
        plain, others = keras.optimizers.SGD(), keras.optimizers.Adam()
        optimizer = keras.optimizers.MultiOptimizer(lambda variable: plain if "embedding" in variable.path else others)
    stack = table(120_000, 48, fixed), layers.Flatten(), layers.Dense(256, activation="relu")
    model = classifier(layers.Input((10,)), *stack, optimizer=optimizer)
    return fit(model, *tokens(128 * 20, 10, 120_000), batch_size=128)


@case("eager_convolutions", "FW01")
def _eager(fixed: bool) -> Fit:
    model = _network(32)
    model.compile("adam", model.loss, run_eagerly=not fixed)
    return fit(model, *_pictures(16 * 30, 32), batch_size=16)


@case("sentences_padded_to_the_limit", "MC03", on=EVERYWHERE)
def _padded(fixed: bool) -> Fit:
    x, y = tokens(48 * 25, 256)
    lengths = np.random.default_rng(3).integers(20, 64, len(x))
    x[np.arange(256) >= lengths[:, None]] = 0
    stack = layers.Embedding(5000, 32), layers.Conv1D(64, 3, activation="relu"), layers.Conv1D(64, 3, activation="relu")
    model = classifier(layers.Input((None,)), *stack, pooling=1)
    return fit(model, trimmed(x, y, 48)) if fixed else fit(model, x, y, batch_size=48)


@case("dropout_within_a_gru", "MC01")
def _gru(fixed: bool) -> Fit:
    dropout = {"dropout": 0.2} if fixed else {"recurrent_dropout": 0.2}
    model = classifier(layers.Input((60,)), layers.Embedding(5000, 48), layers.GRU(96, **dropout))
    return fit(model, *tokens(48 * 25, 60), batch_size=48)


@case("table_in_float64", "TR01", on=("jax", "torch"))
def _table(fixed: bool) -> Fit:
    x, y = numbers(512 * 100, 300)
    return fit(mlp(300, 48), x if fixed else x.astype("float64"), y, batch_size=512)


@case("histograms_of_weights", "CB04")
def _histograms(fixed: bool) -> Fit:
    board = keras.callbacks.TensorBoard(tempfile.mkdtemp(), histogram_freq=0 if fixed else 1)
    return fit(mlp(64, 700, 4, "sgd"), *numbers(64 * 25, 64), batch_size=64, callbacks=[board])


@case("healthy_pictures", on=EVERYWHERE)
def _healthy(fixed: bool) -> Fit:
    return fit(_network(32), *_pictures(32 * 30, 32), batch_size=32)


@case("healthy_sentences", on=EVERYWHERE)
def _healthy_text(fixed: bool) -> Fit:
    stack = layers.Embedding(5000, 48), layers.Conv1D(64, 5, activation="relu"), layers.Conv1D(64, 5)
    return fit(classifier(layers.Input((60,)), *stack, pooling=1), *tokens(96 * 25, 60), batch_size=96)


@case("healthy_cached_photos", on=EVERYWHERE)
def _healthy_photos(fixed: bool) -> Fit:
    import tensorflow as tf

    def decode(path: Any, label: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(tf.ensure_shape(image, (96, 96, 3)), (48, 48)) / 255, label

    dataset = tf.data.Dataset.from_tensor_slices(image_files(24 * 30, 96, "jpeg"))
    dataset = dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE).cache().shuffle(24 * 30).batch(24)
    return fit(_network(48), dataset.prefetch(tf.data.AUTOTUNE))


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
