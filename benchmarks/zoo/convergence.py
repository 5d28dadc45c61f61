"""CV: how many epochs it takes to get as good."""

import keras
import numpy as np

from benchmarks.zoo.case import EVERYWHERE, Fit, case
from benchmarks.zoo.trainings import classifier, fit, numbers

layers = keras.layers


@case("loss_is_nan", "CV03", on=EVERYWHERE, quick=True, total=True)
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
    x = np.random.default_rng(0).normal(size=(64 * 22, 28, 28, 1)).astype("float32")
    y = numbers(len(x))[1]
    model = classifier(layers.Input((28, 28, 1)), layers.Conv2D(64, 3, activation="relu"), layers.Flatten())
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    validation = x[64 * 20 :], y[64 * 20 :]
    return fit(
        model,
        x[: 64 * 20],
        y[: 64 * 20],
        batch_size=64,
        epochs=15,
        validation_data=validation,
        callbacks=[stop] if fixed else [],
    )
