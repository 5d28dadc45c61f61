"""FW: the framework, used against its grain."""

from typing import Any

import keras
import numpy as np

from benchmarks.zoo.case import Fit, case
from benchmarks.zoo.trainings import convnet, fit, mlp, numbers


@case("run_eagerly", "FW01", quick=True)
def _eager(fixed: bool) -> Fit:
    return fit(mlp(32, run_eagerly=not fixed), *numbers(64 * 30), batch_size=64)


@case(
    "jit_off",
    "FW01",
    on=("jax",),
)
def _jit_off(fixed: bool) -> Fit:
    options: dict[str, Any] = {} if fixed else {"jit_compile": False}
    return fit(mlp(32, **options), *numbers(64 * 30), batch_size=64)


def _sequences(lengths: list[int]) -> Any:
    """Batches of sequences of these lengths, in turn."""

    class Sequences(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return len(lengths)

        def __getitem__(self, index: int) -> Any:
            random = np.random.default_rng(index)
            return random.normal(size=(32, lengths[index], 8)).astype("float32"), random.integers(0, 10, 32)

    return Sequences()


def _sequence_model(units: int = 32, **options: Any) -> Any:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((None, 8)),
            layers.Conv1D(units, 3, activation="relu", padding="same"),
            layers.Conv1D(units, 3, activation="relu", padding="same"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(10),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options)
    return model


@case("variable_lengths_compiled", "FW02", on=("tensorflow", "jax"), total=True)
def _variable_lengths(fixed: bool) -> Fit:
    lengths = list(range(32, 64, 2))
    on_tensorflow = keras.backend.backend() == "tensorflow"
    if fixed and not on_tensorflow:
        lengths = [next(padded for padded in (16, 32, 48, 64) if padded >= length) for length in lengths]
    options: dict[str, Any] = {"jit_compile": not fixed} if on_tensorflow else {}
    return fit(_sequence_model(**options), _sequences(lengths))


@case("trap_variable_lengths")
def _variable_lengths_without_jit(fixed: bool) -> Fit:
    # Of 32 units a step is so short that making 16 in one call is 1.35 times as fast (nine pairs): FW07 was right then.
    return fit(_sequence_model(128), _sequences(list(range(32, 64, 2)) * 4))


@case("python_number_that_changes", "FW02b", total=True)
def _python_number(fixed: bool) -> Fit:
    """Noise on the inputs that fades: its scale is an argument of the step."""
    import tensorflow as tf

    class Faded(keras.Sequential):  # type: ignore[misc]
        def make_train_function(self, force: bool = False) -> Any:
            if self.train_function is not None and not force:
                return self.train_function
            steps = 0

            def one_step(data: Any, scale: Any) -> Any:
                x, y = data
                return self.train_step((x + scale * tf.random.normal(tf.shape(x)), y))

            step = tf.function(one_step)

            def train_function(iterator: Any) -> Any:
                nonlocal steps
                steps += 1
                scale = 1.0 / steps
                return step(next(iterator), tf.constant(scale) if fixed else scale)

            self.train_function = train_function
            return train_function

    layers = keras.layers
    model = Faded([layers.Input((32,)), layers.Dense(64, activation="relu"), layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, *numbers(32 * 40), batch_size=32, epochs=2)


@case("last_partial_batch", "FW03", on=("jax",), total=True)
def _last_batch(fixed: bool) -> Fit:
    samples = 64 * 12 + (0 if fixed else 7)
    x = np.random.default_rng(0).normal(size=(samples, 28, 28, 1)).astype("float32")
    return fit(convnet(), x, numbers(samples)[1], batch_size=64, epochs=3)


@case("jit_compile_on_cpu", "FW05")
def _jit_compile(fixed: bool) -> Fit:
    model = convnet()
    model.compile("adam", model.loss, jit_compile=not fixed)
    x = np.random.default_rng(0).normal(size=(64 * 40, 28, 28, 1)).astype("float32")
    return fit(model, x, numbers(64 * 40)[1], batch_size=64)


@case("augmentation_disables_jit", "FW06", on=("jax",))
def _augmentation(fixed: bool) -> Fit:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((16, 16, 3)),
            *([] if fixed else [layers.RandomRotation(0.1)]),
            *[layers.Conv2D(8, 3, activation="relu", padding="same") for _ in range(6)],
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = np.random.default_rng(0).normal(size=(32 * 20, 16, 16, 3)).astype("float32")
    return fit(model, x, numbers(32 * 20)[1], batch_size=32)


@case("steps_per_execution", "FW07", quick=True)
def _steps_per_execution(fixed: bool) -> Fit:
    return fit(mlp(32, 16, steps_per_execution=16 if fixed else 1), *numbers(32 * 320), batch_size=32)


@case("fit_in_a_loop", "FW08", timed=False)
def _fit_in_a_loop(fixed: bool) -> Fit:
    model = mlp(32)
    data = numbers(64 * 2)

    def run(callbacks: list[Any]) -> None:
        for _ in range(8):
            model.fit(*data, batch_size=64, verbose=0, callbacks=callbacks)

    return run


@case("recompile_in_a_loop", "FW09", total=True)
def _recompile(fixed: bool) -> Fit:
    model = mlp(32, 256, 6)
    data = numbers(64 * 10)

    def run(callbacks: list[Any]) -> None:
        for rate in (1e-3, 5e-4, 2e-4, 1e-4):
            if fixed:
                model.optimizer.learning_rate = rate
            else:
                model.compile(keras.optimizers.Adam(rate), model.loss)
            model.fit(*data, batch_size=64, epochs=2, verbose=0, callbacks=callbacks)

    return run


@case("model_for_every_fold", "FW16", on=("tensorflow", "jax"), total=True)
def _folds(fixed: bool) -> Fit:
    data = numbers(64 * 10)

    def run(callbacks: list[Any]) -> None:
        model = mlp(32, 256, 6)
        model.optimizer.build(model.trainable_variables)
        variables = [*model.variables, *model.optimizer.variables]
        initial = [keras.ops.convert_to_numpy(variable) for variable in variables]
        for _ in range(5):
            if fixed:
                for variable, value in zip(variables, initial, strict=True):
                    variable.assign(value)
            else:
                model = mlp(32, 256, 6)
            model.fit(*data, batch_size=64, epochs=3, verbose=0, callbacks=callbacks)

    return run


@case("unrolled_lstm", "FW11", on=("tensorflow",), total=True)
def _unrolled(fixed: bool) -> Fit:
    layers = keras.layers
    model = keras.Sequential([layers.Input((60, 8)), layers.LSTM(16, unroll=not fixed), layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = np.random.default_rng(0).normal(size=(32 * 20, 60, 8)).astype("float32")
    return fit(model, x, numbers(32 * 20)[1], batch_size=32, epochs=2)


@case("anomaly_detection", "FW12", on=("torch",))
def _anomaly(fixed: bool) -> Fit:
    import torch

    run = fit(mlp(32, 256, 4), *numbers(64 * 40), batch_size=64)

    def watched(callbacks: list[Any]) -> None:
        with torch.autograd.set_detect_anomaly(not fixed):  # type: ignore[attr-defined]
            run(callbacks)

    return watched


@case("check_numerics", "FW12", environment={})
def _check_numerics(fixed: bool) -> Fit:
    import tensorflow as tf

    if not fixed:
        tf.debugging.enable_check_numerics()
    return fit(mlp(32, 256, 4), *numbers(64 * 40), batch_size=64)


@case("small_layers_on_torch", "FW14", on=("torch",), timed=False)
def _small_layers(fixed: bool) -> Fit:
    return fit(mlp(32, 32, 10), *numbers(64 * 40), batch_size=64)


@case("debug_nans", "FW12", on=("jax",))
def _debug_nans(fixed: bool) -> Fit:
    import jax

    run = fit(mlp(32, 256, 4), *numbers(64 * 40), batch_size=64)

    def watched(callbacks: list[Any]) -> None:
        with jax.debug_nans(not fixed):
            run(callbacks)

    return watched


@case("compiling_a_deep_network", "FW04", on=("jax",), timed=False)
def _compiles_long(fixed: bool) -> Fit:
    """A network as deep as those that people train, for one epoch of a few steps."""
    model = keras.applications.EfficientNetB0(input_shape=(32, 32, 3), weights=None, classes=10)
    model.compile("adam", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).normal(size=(8 * 12, 32, 32, 3)).astype("float32")
    return fit(model, x, numbers(8 * 12)[1], batch_size=8, epochs=1)
