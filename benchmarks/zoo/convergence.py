"""CV: how many epochs it takes to get as good."""

import keras
import numpy as np

from benchmarks.zoo.case import EVERYWHERE, Fit, case
from benchmarks.zoo.trainings import classifier, convnet, fit, images, numbers

layers = keras.layers


@case("loss_is_nan", "CV03", on=EVERYWHERE, total=True)
def _nan(fixed: bool) -> Fit:
    """The learning rate is far too high."""
    x, y = numbers(64 * 40)
    callbacks = [keras.callbacks.TerminateOnNaN()] if fixed else []
    model = keras.Sequential([layers.Input((32,)), layers.Dense(1024), layers.Dense(1024), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1.0, momentum=0.9), "mse")
    return fit(model, x, y.astype("float32"), batch_size=64, epochs=12, callbacks=callbacks)


@case("epochs_after_the_best", "CV06", on=EVERYWHERE, total=True)
def _plateau(fixed: bool) -> Fit:
    """The labels are chance: there is nothing to learn but the samples themselves."""
    x = np.random.default_rng(0).normal(size=(64 * 28, 28, 28, 1)).astype("float32")
    y = numbers(len(x))[1]
    model = classifier(layers.Input((28, 28, 1)), layers.Conv2D(64, 3, activation="relu"), layers.Flatten())
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    validation = x[64 * 25 :], y[64 * 25 :]
    return fit(
        model,
        x[: 64 * 25],
        y[: 64 * 25],
        batch_size=64,
        epochs=15,
        validation_data=validation,
        callbacks=[stop] if fixed else [],
    )


@case("bytes_into_convolutions", "CV01", on=EVERYWHERE, timed=False)
def _bytes(fixed: bool) -> Fit:
    return fit(convnet(), *images(64 * 40), batch_size=64)


@case("short_shuffle", "CV04", timed=False)
def _short_shuffle(fixed: bool) -> Fit:
    import tensorflow as tf

    x, y = images(64 * 40)
    dataset = tf.data.Dataset.from_tensor_slices((x.astype("float32") / 255, np.sort(y))).shuffle(64).batch(64)
    return fit(convnet(), dataset)


@case("plain_gradient_descent", "CV07", on=EVERYWHERE, timed=False)
def _plain_descent(fixed: bool) -> Fit:
    x = np.random.default_rng(0).normal(size=(64 * 40, 28, 28, 1)).astype("float32")
    model = classifier(layers.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"), pooling=2, optimizer="sgd")
    return fit(model, x, numbers(64 * 40)[1], batch_size=64)


@case("deep_without_normalisation", "CV09", on=EVERYWHERE, timed=False)
def _deep(fixed: bool) -> Fit:
    x = np.random.default_rng(0).normal(size=(64 * 20, 28, 28, 1)).astype("float32")
    deep = [layers.Conv2D(12, 3, activation="relu", padding="same") for _ in range(14)]
    return fit(classifier(layers.Input((28, 28, 1)), *deep, pooling=2), x, numbers(64 * 20)[1], batch_size=64)
