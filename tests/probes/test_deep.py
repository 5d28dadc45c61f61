"""Deep samples of real fits on the backend of the process: their structure and their sums, never their times."""

import keras
import numpy as np
import pytest

from tb_trainspeed import TrainSpeedCallback
from tb_trainspeed.probes.profiler import Profiler

BACKEND = keras.backend.backend()
layers = keras.layers
BATCH, BATCHES, EPOCHS = 16, 15, 2
PARTS = {
    "forward", "backward", "metrics", "optimizer", "transfer", "collectives", "input_wait", "host_overhead", "unknown",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def compiled_anew():
    """JAX' cache of executables, where there is one, gives the names of layers of the first model that was alike."""
    if BACKEND != "jax":
        yield
        return
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    enabled = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_enable_compilation_cache", enabled)
    compilation_cache.reset_cache()


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="subclassed")
        self.first = layers.Dense(8, name="first")
        self.blocks = [layers.Dense(8, "relu", name=f"block_{index}") for index in range(2)]
        self.tail = keras.Sequential([layers.Dense(4, name="d1"), layers.Dense(1, name="d2")], name="tail")

    def call(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.tail(x)


def sequential(optimizer="adam", **options):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu", name="a-1.b"), layers.Dense(1, name="out")])
    model.compile(optimizer, "mse", metrics=["mae"], **options)
    return model


def subclassed():
    model = Subclassed()
    model.compile("adam", "mse")
    return model


def nested():
    inner = keras.Sequential([layers.Dense(8, "relu", name="d1"), layers.Dense(8, name="d2")], name="inner")
    shared = layers.Dense(8, name="shared")
    inputs = keras.Input((8,))
    hidden = shared(shared(inner(inputs)))
    model = keras.Model(inputs, layers.Dense(1, name="out")(inner(hidden)), name="nested")
    model.compile("sgd", "mse")
    return model


def recurrent():
    inputs = keras.Input((8,))
    hidden = layers.LSTM(4, name="rnn")(layers.Reshape((4, 2))(inputs))
    model = keras.Model(inputs, layers.Dense(1, name="out")(hidden))
    model.compile("adam", "mse")
    return model


def with_lora():
    model = sequential()
    model.layers[0].enable_lora(2)
    model.compile("adam", "mse")
    return model


def in_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return sequential()
    finally:
        keras.config.set_dtype_policy("float32")


DENSE = {"a-1.b", "out"}
MODELS = {
    "sequential": (sequential, DENSE),
    "jit": (lambda: sequential(jit_compile=True), DENSE),
    "steps_per_execution": (lambda: sequential(steps_per_execution=3), DENSE),
    "ema": (lambda: sequential(keras.optimizers.Adam(use_ema=True)), DENSE),
    "accumulation": (lambda: sequential(keras.optimizers.Adam(gradient_accumulation_steps=2)), DENSE),
    "mixed": (in_half_precision, DENSE),
    "lora": (with_lora, DENSE),
    "subclassed": (subclassed, {"first", "block_0", "block_1", "tail/d1", "tail/d2"}),
    "nested": (nested, {"inner/d1", "inner/d2", "shared", "out"}),
    "recurrent": (recurrent, {"rnn", "out"}),
}

if hasattr(keras.optimizers, "MultiOptimizer"):  # since Keras 3.15

    def several_optimizers():
        first, others = keras.optimizers.SGD(), keras.optimizers.Adam()
        return sequential(keras.optimizers.MultiOptimizer(lambda variable: first if "a-1" in variable.path else others))

    MODELS["several_optimizers"] = (several_optimizers, DENSE)


def arrays(features=8):
    rng = np.random.default_rng(0)
    return rng.normal(size=(BATCH * BATCHES, features)).astype("float32"), np.zeros((BATCH * BATCHES, 1), "float32")


def fit(model, *callbacks, data=None, epochs=EPOCHS, max_overhead=1.0):
    callback = TrainSpeedCallback(None, max_overhead, verbose=0)
    x, y = data or arrays()
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0, shuffle=False, callbacks=[callback, *callbacks])
    return callback.report.profile


@pytest.mark.parametrize("name", MODELS)
def test_the_parts_of_a_step(name):
    make, expected = MODELS[name]
    profile = fit(make())
    found = profile.breakdown
    assert profile.not_measured == {}
    assert found.samples >= 1
    assert found.steps >= found.samples
    values = {part.name: part.mean_s for part in found.parts}
    assert set(values) == PARTS
    for part in ("forward", "backward", "optimizer"):
        assert values[part] > 0, part
    assert all(part.low_s <= part.mean_s * (1 + 1e-9) <= part.high_s * (1 + 2e-9) for part in found.parts)
    assert values["unknown"] <= 0.1 * sum(values.values())
    times = {layer.name: layer for layer in found.layers}
    assert expected <= set(times)
    for layer in expected - {"rnn"}:
        assert times[layer].forward_s > 0, layer
        assert times[layer].backward_s > 0, layer
    assert sum(layer.forward_s for layer in found.layers) <= values["forward"] * (1 + 1e-9)
    assert sum(layer.backward_s for layer in found.layers) <= values["backward"] * (1 + 1e-9)
    assert sum(profile.ledger.phases.values()) == pytest.approx(profile.ledger.wall_s, rel=1e-6)


def wide(units):
    """A model whose middle layer is that wide; all else stays."""
    model = keras.Sequential(
        [
            keras.Input((128,)),
            layers.Dense(512, name="first"),
            layers.Dense(units, name="middle"),
            layers.Dense(512, name="last"),
            layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    return model


def test_a_dear_layer_takes_the_larger_share():
    def share_of_middle(units):
        found = fit(wide(units), data=arrays(128), epochs=3 * EPOCHS).breakdown
        times = {layer.name: layer.forward_s + layer.backward_s for layer in found.layers}
        return (times["middle"] + times["last"]) / sum(times.values())

    for _ in range(3):  # who takes a core away in the midst of a small layer makes that look dear
        cheap, dear = share_of_middle(16), share_of_middle(16 * 64)
        if dear > 1.3 * cheap:
            break
    assert dear > 1.3 * cheap
    assert dear > 0.6


def test_no_budget_no_samples():
    profile = fit(sequential(), max_overhead=0.0)
    assert profile.breakdown is None


def test_fits_of_a_moment_are_looked_into_once_for_a_model():
    """A loop around `fit` would pay for the allowance of each."""
    model = sequential()
    assert [fit(model, max_overhead=0.001).cost.sampling_s > 0 for _ in range(2)] == [True, False]


class StartsProfiler(keras.callbacks.Callback):
    """The user's profiler for a few batches, which are the ones that we would sample."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.errors = folder, []

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 5:
            start_profiler(self.folder)
        if batch == 8:
            stop_profiler()


def start_profiler(folder):
    if BACKEND == "jax":
        import jax

        jax.profiler.start_trace(folder)
    else:
        import tensorflow as tf

        tf.profiler.experimental.start(str(folder))


def stop_profiler():
    if BACKEND == "jax":
        import jax

        jax.profiler.stop_trace()
    else:
        import tensorflow as tf

        tf.profiler.experimental.stop()


def test_a_profiler_of_the_users_may_start_while_ours_is_on(tmp_path, monkeypatch):
    dropped = []
    drop = Profiler.stop
    monkeypatch.setattr(Profiler, "stop", lambda self: (dropped.append(len(dropped)), drop(self))[1])
    profile = fit(sequential(), StartsProfiler(tmp_path), epochs=1)
    assert profile.status == "finished"
    assert list(tmp_path.rglob("*.xplane.pb"))
    assert dropped


def test_a_profiler_of_the_users_that_is_on_is_left_alone(tmp_path):
    start_profiler(tmp_path)
    try:
        profile = fit(sequential())
    finally:
        stop_profiler()
    assert list(tmp_path.rglob("*.xplane.pb"))
    assert profile.breakdown is None
    assert profile.not_measured == {"the parts of a step": "a profiler of yours was on"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_nothing_is_on_after_an_exception_in_a_sampled_step(error, tmp_path):
    class Fails(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 5:
                raise error

    with pytest.raises(error):
        fit(sequential(), Fails())
    start_profiler(tmp_path)  # which fails while another is on
    stop_profiler()
    assert list(tmp_path.rglob("*.xplane.pb"))
