"""MC: the model and what it computes."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks.zoo.case import EVERYWHERE, Fit, case
from benchmarks.zoo.trainings import classifier, convnet, fit, mlp, numbers, tokens, trimmed

layers = keras.layers


@case("tiny_batch", "MC00", quick=True)
def _tiny_batch(fixed: bool) -> Fit:
    return fit(mlp(32, 32), *numbers(8 * 400), batch_size=64 if fixed else 8)


@case("recurrent_dropout", "MC01")
def _recurrent_dropout(fixed: bool) -> Fit:
    dropout = {"dropout": 0.2} if fixed else {"recurrent_dropout": 0.2}
    model = classifier(layers.Input((80,)), layers.Embedding(5000, 64), layers.LSTM(128, **dropout))
    return fit(model, *tokens(32 * 30, 80), batch_size=32)


@case("padding", "MC03")
def _padding(fixed: bool) -> Fit:
    x, y = tokens(64 * 40, 200)
    lengths = np.random.default_rng(1).integers(10, 40, len(x))
    x[np.arange(200) >= lengths[:, None]] = 0
    model = classifier(layers.Input((None,)), layers.Embedding(5000, 64), layers.Conv1D(128, 5), pooling=1)
    return fit(model, trimmed(x, y, 64)) if fixed else fit(model, x, y, batch_size=64)


def _under(policy: str, make: Callable[[], keras.Model]) -> keras.Model:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return make()
    finally:
        keras.config.set_dtype_policy(before)


@case("bfloat16_on_a_cpu", "MC05", on=("jax",))
def _bfloat16(fixed: bool) -> Fit:
    model = _under("float32" if fixed else "mixed_bfloat16", lambda: mlp(512, 1024))
    return fit(model, *numbers(256 * 20, 512), batch_size=256)


@case("convolutions_in_float16_on_a_cpu", "MC05", on=("tensorflow", "torch"))
def _float16(fixed: bool) -> Fit:
    """A processor without units for it, as of most machines that are rented."""

    def make() -> keras.Model:
        return classifier(
            layers.Input((32, 32, 3)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
        )

    return fit(_under("float32" if fixed else "mixed_float16", make), *_pictures(32 * 12, 32), batch_size=32)


@case(
    "flatten_dense",
    "MC07",
    on=EVERYWHERE,
)
def _flatten_dense(fixed: bool) -> Fit:
    flat = layers.GlobalAveragePooling2D() if fixed else layers.Flatten()
    model = classifier(
        layers.Input((32, 32, 3)), layers.Conv2D(32, 3, activation="relu"), flat, layers.Dense(256, activation="relu")
    )
    return fit(model, *_pictures(32 * 40, 32), batch_size=32)


@case("frozen_backbone", "MC09")
def _frozen(fixed: bool) -> Fit:
    base = keras.applications.MobileNetV2(input_shape=(96, 96, 3), include_top=False, pooling="avg", weights=None)
    base.trainable = False
    x, y = _pictures(16 * 30, 96)
    if fixed:
        return fit(classifier(layers.Input((1280,))), base.predict(x, verbose=0), y, batch_size=16)
    return fit(classifier(layers.Input((96, 96, 3)), base), x, y, batch_size=16)


@case(
    "float64",
    "MC14",
)
def _float64(fixed: bool) -> Fit:
    kind = "float32" if fixed else "float64"
    before = keras.config.floatx()
    keras.config.set_floatx(kind)
    keras.config.set_dtype_policy(kind)
    try:
        model = mlp(512, 1024)
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(before)
    x, y = numbers(256 * 20, 512)
    return fit(model, x.astype(kind), y, batch_size=256)


@case(
    "convolutions_at_full_resolution",
    "MC08",
)
def _large_images(fixed: bool) -> Fit:
    size = 64 if fixed else 128
    model = classifier(
        layers.Input((size, size, 3)),
        layers.Conv2D(32, 3, activation="relu", padding="same"),
        layers.Conv2D(32, 3, activation="relu", padding="same"),
        layers.MaxPooling2D(4),
        layers.Conv2D(64, 3, activation="relu"),
        pooling=2,
    )
    return fit(model, *_pictures(16 * 12, size), batch_size=16)


@case("areas_under_curves", "MC18", on=("tensorflow", "torch"))
def _areas(fixed: bool) -> Fit:
    """For each of 20 labels."""
    x = numbers(256 * 30, 64)[0]
    areas = [] if fixed else [keras.metrics.AUC(multi_label=True, num_labels=20)]
    model = keras.Sequential([layers.Input((64,)), layers.Dense(64, "relu"), layers.Dense(20, "sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=areas)
    return fit(model, x, (x[:, :20] > 0).astype("float32"), batch_size=256)


@case("much_dropout", "MC13")
def _dropout(fixed: bool) -> Fit:
    dropout = [] if fixed else [layers.Dropout(0.1) for _ in range(4)]
    blocks = [layers.Conv2D(16, 3, activation="relu"), *dropout, layers.Conv2D(16, 3, activation="relu")]
    return fit(classifier(layers.Input((48, 48, 3)), *blocks, pooling=2), *_pictures(32 * 30, 48), batch_size=32)


@case("lstm_over_a_long_sequence", "MC02", timed=False)
def _long_sequence(fixed: bool) -> Fit:
    model = classifier(layers.Input((300,)), layers.Embedding(5000, 32), layers.LSTM(64))
    return fit(model, *tokens(32 * 12, 300), batch_size=32, epochs=3)


@case("python_loop_in_a_layer", "MC12", total=True)
def _python_loop(fixed: bool) -> Fit:
    class Mixer(layers.Layer):  # type: ignore[misc]
        """A score for each position, and their weighted mean."""

        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(32, activation="tanh")
            self.score = layers.Dense(1)

        def call(self, x: Any) -> Any:
            if fixed:
                states = self.dense(x)
                return keras.ops.mean(states * keras.ops.sigmoid(self.score(states)), 1)
            total = 0.0
            for position in range(x.shape[1]):
                state = self.dense(x[:, position])
                total += state * keras.ops.sigmoid(self.score(state))
            return total / x.shape[1]

    model = classifier(layers.Input((80, 16)), Mixer())
    x = np.random.default_rng(0).normal(size=(32 * 40, 80, 16)).astype("float32")
    return fit(model, x, numbers(32 * 40)[1], batch_size=32, epochs=3)


def _reciprocal_ranks(y: Any, scores: Any) -> Any:
    """The reciprocal rank of the true class, by sorting in Python."""
    rows = zip(y.ravel(), scores.tolist(), strict=True)
    return np.float32([1 / (1 + sorted(row, reverse=True).index(row[int(label)])) for label, row in rows])


@case("python_function_as_metric", "MC19")
def _python_metric(fixed: bool) -> Fit:
    import tensorflow as tf

    class Rank(keras.metrics.Mean):  # type: ignore[misc]
        """The mean reciprocal rank of the true class."""

        def update_state(self, y: Any, scores: Any, sample_weight: Any = None) -> Any:
            if fixed:
                labels = keras.ops.cast(keras.ops.reshape(y, (-1, 1)), "int32")
                above = scores > keras.ops.take_along_axis(scores, labels, 1)
                return super().update_state(1 / (1 + keras.ops.sum(keras.ops.cast(above, "float32"), 1)))
            ranks = tf.numpy_function(_reciprocal_ranks, [y, scores], tf.float32)
            return super().update_state(tf.ensure_shape(ranks, (None,)))

    model = keras.Sequential([layers.Input((64,)), layers.Dense(128, activation="relu"), layers.Dense(100)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=[Rank()])
    return fit(model, *numbers(2048 * 30, 64), batch_size=2048)


@case("trap_python_function_of_a_small_batch")
def _small_python_metric(fixed: bool) -> Fit:
    import tensorflow as tf

    class Correct(keras.metrics.Mean):  # type: ignore[misc]
        def update_state(self, y: Any, scores: Any, sample_weight: Any = None) -> Any:
            inputs = [y, scores]
            share = tf.numpy_function(lambda y, scores: np.float32((y == scores.argmax(-1)).mean()), inputs, tf.float32)
            return super().update_state(tf.ensure_shape(share, ()))

    model = convnet()
    model.compile("adam", model.loss, metrics=[Correct()])
    x = np.random.default_rng(0).normal(size=(64 * 40, 28, 28, 1)).astype("float32")
    return fit(model, x, numbers(64 * 40)[1], batch_size=64)


def _pictures(samples: int, size: int) -> tuple[Any, Any]:
    """Images of normal numbers, and a label in 0..9 for each."""
    random = np.random.default_rng(0)
    return random.normal(size=(samples, size, size, 3)).astype("float32"), random.integers(0, 10, samples)
