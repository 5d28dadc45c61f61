"""IP: the input pipeline, made of tf.data; every backend takes one."""

import time
from typing import Any

import keras
import numpy as np
from PIL import Image

from benchmarks.zoo.case import EVERYWHERE, Fit, case
from benchmarks.zoo.input_pipeline import FromFiles
from benchmarks.zoo.trainings import convnet, fit, image_files, mlp, numbers, pooled


@case("py_function_in_map", "IP06", quick=True, on=EVERYWHERE)
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


@case("generator_of_samples", "IP05", on=EVERYWHERE)
def _generator(fixed: bool) -> Fit:
    import tensorflow as tf

    x, y = numbers(128 * 20, 16)

    def samples() -> Any:
        yield from zip(x, y, strict=True)

    def batches() -> Any:
        for begin in range(0, len(x), 128):
            yield x[begin : begin + 128], y[begin : begin + 128]

    one = (tf.TensorSpec((16,), tf.float32), tf.TensorSpec((), tf.int64))
    many = (tf.TensorSpec((None, 16), tf.float32), tf.TensorSpec((None,), tf.int64))
    whole = tf.data.Dataset.from_generator(batches, output_signature=many)
    single = tf.data.Dataset.from_generator(samples, output_signature=one).batch(128)
    return fit(mlp(16, 32), whole if fixed else single)


@case("generator_of_photos", "IP29", on=EVERYWHERE)
def _photos(fixed: bool) -> Fit:
    """Decodes each, which a cache keeps."""
    import tensorflow as tf

    paths, y = image_files(32 * 30, 96, "png")

    def samples() -> Any:
        for path, label in zip(paths, y, strict=True):
            image = Image.open(path).convert("L").resize((28, 28))
            yield np.asarray(image, "float32")[..., None] / 255, label

    one = (tf.TensorSpec((28, 28, 1), tf.float32), tf.TensorSpec((), tf.int64))
    dataset = tf.data.Dataset.from_generator(samples, output_signature=one)
    return fit(convnet(), (dataset.cache() if fixed else dataset).batch(32))


@case("generator_from_afar", "IP29", on=EVERYWHERE)
def _afar(fixed: bool) -> Fit:
    """Waits for each batch as for a network disk, and goes on from epoch to epoch."""
    import tensorflow as tf

    x, y = numbers(64 * 60)
    if fixed:
        return fit(mlp(32), FromFiles(x, y, workers=16, max_queue_size=32))

    def batches() -> Any:
        for begin in range(0, len(x), 64):
            time.sleep(0.03)
            yield x[begin : begin + 64], y[begin : begin + 64]

    many = (tf.TensorSpec((None, 32), tf.float32), tf.TensorSpec((None,), tf.int64))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=many).repeat()
    return fit(mlp(32), dataset, steps_per_epoch=60)


@case("serial_random_map", "IP07")
def _serial_random(fixed: bool) -> Fit:
    import tensorflow as tf

    x, y = numbers(16 * 40, 40_000)

    def noisy_quantiles(row: Any, label: Any) -> Any:
        return tf.sort(row + tf.random.normal(row.shape))[::200], label

    calls = {"num_parallel_calls": tf.data.AUTOTUNE} if fixed else {}
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).map(noisy_quantiles, **calls).batch(16)
    return fit(mlp(200), dataset)


@case("csv_record_by_record", "IP20", on=EVERYWHERE)
def _csv(fixed: bool) -> Fit:
    import tensorflow as tf

    x, y = numbers(256 * 20, 40)
    lines = [",".join(f"{value:.3f}" for value in row) for row in x]
    dataset = tf.data.Dataset.from_tensor_slices((lines, y))

    def parse(line: Any, label: Any) -> Any:
        return tf.stack(tf.io.decode_csv(line, [0.0] * 40), -1), label

    dataset = dataset.batch(256).map(parse) if fixed else dataset.map(parse).batch(256)
    return fit(mlp(40, 32), dataset)


@case("rows_of_arrays", "IP23")
def _slices(fixed: bool) -> Fit:
    import tensorflow as tf

    x, y = numbers(1024 * 40, 16)
    if fixed:
        return fit(mlp(16, 16, 1), x, y, batch_size=1024)
    return fit(mlp(16, 16, 1), tf.data.Dataset.from_tensor_slices((x, y)).shuffle(10_000).batch(1024))


def _decoder(size: int, resize: int | None = None, ratio: int = 1) -> Any:
    import tensorflow as tf

    def decode(path: Any, label: Any) -> Any:
        data = tf.io.read_file(path)
        if resize:
            image = tf.io.decode_jpeg(data, channels=3, ratio=ratio)
            return tf.image.resize(image, (resize, resize)) / 255, label
        image = tf.io.decode_image(data, channels=3, expand_animations=False)
        return tf.ensure_shape(tf.cast(image, tf.float32) / 255, (size, size, 3)), label

    return decode


def _decoded(count: int, size: int, kind: str, resize: int | None = None, ratio: int = 1) -> Any:
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(image_files(count, size, kind))
    return dataset.map(_decoder(size, resize, ratio), num_parallel_calls=tf.data.AUTOTUNE)


@case("images_decoded_every_epoch", "IP09", on=("tensorflow", "jax"))
def _decodes(fixed: bool) -> Fit:
    dataset = _decoded(16 * 40, 224, "png")
    return fit(pooled(224), (dataset.cache() if fixed else dataset).batch(16), epochs=6)


@case("files_decoded_beside_the_steps", "IP09")
def _beside(fixed: bool) -> Fit:
    """No step waits for them, but decoding takes cores from the steps."""
    dataset = _decoded(2000, 32, "jpeg")
    return fit(convnet(32, 3), (dataset.cache() if fixed else dataset).batch(32))


@case("large_images", "IP10", on=("tensorflow", "jax"))
def _large(fixed: bool) -> Fit:
    size = 64 if fixed else 768
    return fit(pooled(64), _decoded(16 * 20, size, "jpeg", 64).batch(16))


@case("png_files", "IP11")
def _png(fixed: bool) -> Fit:
    return fit(pooled(256), _decoded(16 * 60, 256, "jpeg" if fixed else "png").batch(16), epochs=1)


@case("shuffle_of_images", "IP14")
def _shuffle(fixed: bool) -> Fit:
    import tensorflow as tf

    files = tf.data.Dataset.from_tensor_slices(image_files(640, 256, "jpeg"))
    decode = _decoder(256, 64)
    if fixed:
        dataset = files.shuffle(600).map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    else:
        dataset = files.map(decode, num_parallel_calls=tf.data.AUTOTUNE).shuffle(600)
    return fit(_wide(64), dataset.batch(16), epochs=5)


def _wide(size: int) -> Any:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((size, size, 3)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@case("skipped_images", "IP15")
def _skip(fixed: bool) -> Fit:
    import tensorflow as tf

    files = tf.data.Dataset.from_tensor_slices(image_files(640, 256, "jpeg"))
    decode = _decoder(256, 64)
    if fixed:
        dataset = files.skip(480).map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    else:
        dataset = files.map(decode, num_parallel_calls=tf.data.AUTOTUNE).skip(480)
    return fit(convnet(64, 3), dataset.batch(16), epochs=6)


@case("cache_read_in_part", "IP16")
def _cache(fixed: bool) -> Fit:
    dataset = _decoded(32 * 30, 128, "png")
    dataset = dataset.take(32 * 20).cache() if fixed else dataset.cache().take(32 * 20)
    return fit(pooled(128), dataset.batch(32))


@case("optimisations_off", "IP17")
def _off(fixed: bool) -> Fit:
    import tensorflow as tf

    x, y = numbers(16 * 60, 20_000)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
    dataset = dataset.map(lambda rows, labels: (tf.sort(rows)[:, ::100], labels))
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    dataset = dataset.with_options(options)
    return fit(mlp(200, 1024, 3), dataset.prefetch(tf.data.AUTOTUNE) if fixed else dataset)


@case("numpy_function_in_map", "IP06")
def _numpy_function(fixed: bool) -> Fit:
    import tensorflow as tf

    x, y = numbers(64 * 40, 64)

    def clipped(row: Any) -> Any:
        return np.array([min(max(value, -1.0), 1.0) for value in row.tolist()], "float32")

    def slow(row: Any, label: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(clipped, [row], tf.float32), [64]), label

    def fast(row: Any, label: Any) -> Any:
        return tf.clip_by_value(row, -1.0, 1.0), label

    return fit(mlp(64, 32), tf.data.Dataset.from_tensor_slices((x, y)).map(fast if fixed else slow).batch(64))


@case("records_parsed_one_by_one", "IP20")
def _records(fixed: bool) -> Fit:
    import tensorflow as tf

    x, y = numbers(256 * 20, 30)

    def record(row: Any, label: Any) -> bytes:
        features = {f"f{n}": tf.train.Feature(float_list=tf.train.FloatList(value=[v])) for n, v in enumerate(row)}
        features["label"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
        return bytes(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())

    spec: dict[str, Any] = {f"f{n}": tf.io.FixedLenFeature([], tf.float32) for n in range(30)}
    spec["label"] = tf.io.FixedLenFeature([], tf.int64)

    def together(parsed: Any) -> Any:
        return tf.stack([parsed[f"f{n}"] for n in range(30)], -1), parsed["label"]

    records = tf.data.Dataset.from_tensor_slices([record(row, label) for row, label in zip(x, y, strict=True)])
    if fixed:
        return fit(mlp(30, 32), records.batch(256).map(lambda batch: together(tf.io.parse_example(batch, spec))))
    return fit(mlp(30, 32), records.map(lambda one: together(tf.io.parse_single_example(one, spec))).batch(256))


@case("augmentation_in_model", "IP21")
def _augmentation(fixed: bool) -> Fit:
    layers = keras.layers
    augment = [layers.RandomFlip()] if fixed else [layers.RandomRotation(0.2), layers.RandomZoom(0.2)]
    model = keras.Sequential([layers.Input((96, 96, 3)), *augment, layers.AveragePooling2D(8), layers.Flatten()])
    model.add(layers.Dense(10))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = np.random.default_rng(0).random((32 * 30, 96, 96, 3), "float32")
    return fit(model, x, np.arange(len(x)) % 10, batch_size=32, epochs=6)


@case("trap_text_looked_up_on_busy_cores")
def _text(fixed: bool) -> Fit:
    """In the pipeline it takes the same two cores."""
    import tensorflow as tf

    layers = keras.layers
    words = np.array([f"word{number}" for number in range(2000)])
    texts = [" ".join(row) for row in np.random.default_rng(0).choice(words, (64 * 30, 300))]
    look_up = layers.TextVectorization(output_sequence_length=300, vocabulary=words)
    model = keras.Sequential([layers.Input((), dtype="string"), look_up])
    model.add(layers.Embedding(2002, 16))
    model.add(layers.GlobalAveragePooling1D())
    model.add(layers.Dense(10))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, tf.data.Dataset.from_tensor_slices((texts, np.arange(len(texts)) % 10)).batch(64))
