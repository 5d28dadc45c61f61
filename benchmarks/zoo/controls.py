"""Healthy trainings, and traps: what looks like a cause and is none. Nothing may be found."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from benchmarks.zoo.case import EVERYWHERE, Fit, case
from benchmarks.zoo.trainings import classifier, convnet, fit, image_files, images, numbers, pooled, tokens


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


@case("trap_generator_beside_a_large_model", on=EVERYWHERE)
def _generator_is_hidden(fixed: bool) -> Fit:
    """Samples of a generator cost little beside what is computed with them."""
    import tensorflow as tf

    x, y = numbers(32 * 12, 64 * 64 * 3)

    def samples() -> Iterator[Any]:
        for row, label in zip(x, y, strict=True):
            yield row.reshape(64, 64, 3), label

    signature = (tf.TensorSpec((64, 64, 3), tf.float32), tf.TensorSpec((), tf.int64))
    dataset = tf.data.Dataset.from_generator(samples, output_signature=signature).batch(32)
    blocks = [keras.layers.Conv2D(48, 3, activation="relu"), keras.layers.MaxPooling2D()]
    deep = [keras.layers.Conv2D(64, 3, activation="relu"), keras.layers.Conv2D(64, 3, activation="relu")]
    return fit(classifier(keras.layers.Input((64, 64, 3)), *blocks, *deep, pooling=2), dataset)


class _Slices(keras.utils.PyDataset):  # type: ignore[misc]
    """Slices arrays, which costs nothing: workers would only cost."""

    def __init__(self, x: Any, y: Any, **options: Any):
        super().__init__(**options)
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x) // 64

    def __getitem__(self, index: int) -> Any:
        batch = slice(index * 64, index * 64 + 64)
        return self.x[batch].astype("float32") / 255, self.y[batch]


@case("trap_pydataset_of_slices", on=EVERYWHERE)
def _slices(fixed: bool) -> Fit:
    return fit(convnet(), _Slices(*images(64 * 20)))


@case("trap_generator_of_slices", on=EVERYWHERE)
def _generator(fixed: bool) -> Fit:
    x, y = images(64 * 20)

    def batches() -> Iterator[Any]:
        while True:
            for begin in range(0, len(x), 64):
                yield x[begin : begin + 64].astype("float32") / 255, y[begin : begin + 64]

    return fit(convnet(), batches(), steps_per_epoch=20)


@case("healthy_workers", on=EVERYWHERE)
def _workers(fixed: bool) -> Fit:
    return fit(convnet(), _Slices(*images(64 * 20), workers=2, max_queue_size=8))


def _from_file(path: Any, label: Any) -> Any:
    import tensorflow as tf

    image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
    return tf.ensure_shape(tf.cast(image, tf.float32) / 255, (32, 32, 3)), label


@case("trap_many_small_files")
def _small_files(fixed: bool) -> Fit:
    """Read once: a second epoch would gain from a cache, though no step waits, as decoding takes cores."""
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(image_files(2000, 32, "jpeg")).shuffle(2000)
    dataset = dataset.map(_from_file, num_parallel_calls=tf.data.AUTOTUNE)
    return fit(convnet(32, 3), dataset.batch(32).prefetch(tf.data.AUTOTUNE), epochs=1)


@case("healthy_cached_files", on=EVERYWHERE)
def _cached(fixed: bool) -> Fit:
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(image_files(1984, 32, "jpeg"))  # whole batches, which is FW03
    dataset = dataset.map(_from_file, num_parallel_calls=tf.data.AUTOTUNE).cache().shuffle(1984)
    return fit(convnet(32, 3), dataset.batch(32).prefetch(tf.data.AUTOTUNE))


def _augmented(image: Any, label: Any) -> Any:
    import tensorflow as tf

    seed = tf.cast(tf.stack([label, label + 1]), tf.int32)
    image = tf.image.stateless_random_brightness(image, 0.2, seed)
    image = tf.image.stateless_random_contrast(image, 0.8, 1.2, seed)
    return tf.nn.avg_pool2d(tf.image.resize(image[None], (320, 320), "bicubic"), 10, 10, "SAME")[0], label


@case("healthy_input_bound")
def _input_bound(fixed: bool) -> Fit:
    """Decoded once, augmented in parallel on all cores, and still what the small model waits for."""
    import tensorflow as tf

    x, y = images(32 * 20, 32, 3)
    dataset = tf.data.Dataset.from_tensor_slices((x.astype("float32") / 255, y)).shuffle(640)
    dataset = dataset.map(_augmented, num_parallel_calls=tf.data.AUTOTUNE)
    return fit(pooled(32), dataset.batch(32).prefetch(tf.data.AUTOTUNE))


@case("healthy_compute_bound", on=EVERYWHERE)
def _compute_bound(fixed: bool) -> Fit:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((32, 32, 3)),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = images(32 * 12, 32, 3)
    return fit(model, x.astype("float32") / 255, y, batch_size=32, epochs=3)


@case("trap_loader_of_tensors", on=("torch",))
def _loader(fixed: bool) -> Fit:
    """Rows in memory: a DataLoader without workers is right."""
    import torch

    x, y = images(64 * 20)
    tensors = torch.utils.data.TensorDataset(torch.from_numpy(x.astype("float32") / 255), torch.from_numpy(y))
    return fit(convnet(), torch.utils.data.DataLoader(tensors, batch_size=64, shuffle=True))


@case("trap_run_eagerly_on_torch", on=("torch",))
def _eager_torch(fixed: bool) -> Fit:
    model = convnet()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    x, y = images(64 * 20)
    return fit(model, x.astype("float32") / 255, y, batch_size=64)


@case("healthy_normalised_convnet")
def _normalised(fixed: bool) -> Fit:
    """Bound by computing, and nothing about it is cheap to fix."""
    layers = keras.layers
    blocks = [
        layer
        for filters in (32, 64, 64)
        for layer in (
            layers.Conv2D(filters, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
        )
    ]
    x = np.random.default_rng(0).normal(size=(64 * 20, 32, 32, 3)).astype("float32")
    return fit(classifier(layers.Input((32, 32, 3)), *blocks, pooling=2), x, numbers(64 * 20)[1], batch_size=64)


@case("trap_depthwise_on_a_cpu")
def _depthwise(fixed: bool) -> Fit:
    layers = keras.layers
    x = np.random.default_rng(0).normal(size=(64 * 20, 32, 32, 3)).astype("float32")
    separable = [layers.SeparableConv2D(64, 3, activation="relu") for _ in range(3)]
    return fit(classifier(layers.Input((32, 32, 3)), *separable, pooling=2), x, numbers(64 * 20)[1], batch_size=64)


@case("healthy_lstm")
def _lstm(fixed: bool) -> Fit:
    layers = keras.layers
    model = classifier(layers.Input((60,)), layers.Embedding(5000, 64), layers.LSTM(128))
    return fit(model, *tokens(64 * 20, 60), batch_size=64)


@case("trap_progress_bar", on=EVERYWHERE)
def _progress_bar(fixed: bool) -> Fit:
    """Written into a file, the bar costs next to nothing."""
    model, x = convnet(), np.random.default_rng(0).normal(size=(64 * 40, 28, 28, 1)).astype("float32")

    def run(callbacks: list[Any]) -> None:
        with open(os.devnull, "w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
            model.fit(x, numbers(64 * 40)[1], batch_size=64, epochs=4, verbose=1, callbacks=callbacks)

    return run


@case("trap_attention_on_a_cpu", on=EVERYWHERE)
def _attention(fixed: bool) -> Fit:
    """The kernel that GPUs have for attention does not exist here."""
    layers = keras.layers
    entries = layers.Input((512,))
    hidden = layers.Embedding(5000, 32)(entries)
    pooled = layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 16)(hidden, hidden))
    model = keras.Model(entries, layers.Dense(10)(pooled))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, *tokens(16 * 12, 512), batch_size=16, epochs=3)


@case("healthy_fit_with_validation", on=EVERYWHERE)
def _validated(fixed: bool) -> Fit:
    """A tenth is held out, of epochs long enough for what setting a validation up takes to be little."""
    x, y = np.random.default_rng(0).normal(size=(64 * 200, 28, 28, 1)).astype("float32"), numbers(64 * 200)[1]
    stop = keras.callbacks.EarlyStopping(patience=3)
    held_out = x[64 * 180 :], y[64 * 180 :]
    return fit(convnet(), x[: 64 * 180], y[: 64 * 180], batch_size=64, validation_data=held_out, callbacks=[stop])


@case("healthy_gru", on=("tensorflow", "jax"))
def _gru(fixed: bool) -> Fit:
    layers = keras.layers
    model = classifier(layers.Input((50,)), layers.Embedding(5000, 64), layers.GRU(128), layers.LayerNormalization())
    return fit(model, *tokens(64 * 20, 50), batch_size=64)


@case("trap_models_without_clear_session", on=EVERYWHERE)
def _models_kept(fixed: bool) -> Fit:
    """The last of eight models that all stay in memory, of which there is enough."""
    x = np.random.default_rng(0).normal(size=(64 * 40, 28, 28, 1)).astype("float32")
    y = numbers(64 * 40)[1]
    *before, last = [convnet() for _ in range(8)]

    def run(callbacks: list[Any]) -> None:
        for model in before:
            model.fit(x, y, batch_size=64, verbose=0, callbacks=callbacks)
        last.fit(x, y, batch_size=64, epochs=8, verbose=0, callbacks=callbacks)

    return run
