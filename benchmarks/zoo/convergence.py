"""CV: how many epochs it takes to get as good."""

import keras

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
    x, y = numbers(64 * 40)
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    model = classifier(layers.Input((32,)), layers.Dense(2048, activation="relu"), layers.Dense(2048))
    return fit(model, x, y, batch_size=64, epochs=15, validation_data=numbers(256), callbacks=[stop] if fixed else [])
