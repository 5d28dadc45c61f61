"""On JAX training stays as asynchronous as it was, and time counts as compute when the device is busy."""

import time

import keras
import numpy as np
import pytest

from tb_trainspeed import TrainSpeedCallback

pytestmark = pytest.mark.filterwarnings("ignore:Your input ran out of data")
EPOCHS, STEPS = 3, 40


class Batches(keras.utils.PyDataset):
    """Batches that each take a while, on the CPU or asleep."""

    def __init__(self, features, work):
        super().__init__()
        self.work, self.x = work, np.ones((64, features), "float32")

    def __len__(self):
        return STEPS

    def __getitem__(self, index):
        self.work()
        return self.x, self.x[:, :1]


def model_of(width, steps=1):
    model = keras.Sequential(
        [keras.Input((32,)), *[keras.layers.Dense(width) for _ in range(3)], keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse", steps_per_execution=steps)
    return model


def fit(width, work=lambda: None, steps=1, callbacks=(), **options):
    callback = TrainSpeedCallback(None, verbose=0)
    model_of(width, steps).fit(Batches(32, work), epochs=EPOCHS, verbose=0, callbacks=[*callbacks, callback], **options)
    return callback.report.profile


def spin():
    end = time.perf_counter() + 0.01
    while time.perf_counter() < end:
        pass


class Dispatch(keras.callbacks.Callback):
    """Notes whether Keras dispatches callbacks asynchronously, and how many steps it is ahead of the device."""

    async_safe = True

    def on_train_begin(self, logs=None):
        self.ahead = []
        train_function = self.model.train_function

        def step(state, iterator):
            logs, state = train_function(state, iterator)
            self.ahead.append(not logs["loss"].is_ready())
            return logs, state

        self.model.train_function = step


def test_training_stays_asynchronous(monkeypatch):
    lists = []
    original = keras.callbacks.CallbackList.on_train_begin

    def on_train_begin(self, logs=None):
        lists.append(self)
        original(self, logs)

    monkeypatch.setattr(keras.callbacks.CallbackList, "on_train_begin", on_train_begin)
    ahead = Dispatch()
    fit(1024, callbacks=[ahead])
    assert lists[0]._async_train
    # A step that was waited for every time would always be over when the next begins.
    assert sum(ahead.ahead) > 0.9 * len(ahead.ahead)


@pytest.mark.parametrize("work", [spin, lambda: time.sleep(0.01)], ids=["busy", "asleep"])
@pytest.mark.parametrize("steps", [1, 4])
def test_a_slow_fetch_is_waited_for(work, steps):
    profile = fit(16, work, steps)
    phases = profile.steady.phases
    assert phases["input_wait"] >= 0.8 * 0.01 * STEPS * (EPOCHS - 1)
    assert phases["epoch_restart"] < 0.1 * phases["input_wait"]


def test_a_fetch_behind_the_device_is_not_waited_for():
    profile = fit(1500, lambda: time.sleep(0.001))
    phases = profile.steady.phases
    assert phases["compute"] > 0.8 * profile.steady.wall_s
    assert phases["input_wait"] + phases["host_overhead"] < 0.1 * phases["compute"]
    assert phases["epoch_restart"] < 0.05 * phases["compute"]  # not the waiting for the last steps


def test_the_steps_are_those_of_the_device():
    profile = fit(1500)
    step = profile.steps.step
    assert step.count == STEPS * (EPOCHS - 1)
    # The host hands over steps far faster than they are computed, and waits for all of them at the end of the epoch.
    assert step.mean_s == pytest.approx(profile.steady.wall_s / profile.steady.steps, rel=0.2)
    assert step.p99_s < 8 * step.p50_s


def test_a_step_is_compiled_once_and_again_for_a_new_shape():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 32)).astype("float32")
    callback = TrainSpeedCallback(None, verbose=0)
    model_of(16).fit(x, x[:, :1], batch_size=16, epochs=EPOCHS, verbose=0, callbacks=[callback])
    profile = callback.report.profile
    assert profile.compilation.retraces == 1  # for the last, smaller batch
    assert profile.ledger.phases["compilation"] > 0.01


def test_what_jax_says_of_the_batch_and_the_device():
    profile = fit(16)
    assert (profile.environment.backend, profile.environment.devices[0].kind) == ("jax", "CPU")
    assert (profile.data.batch_size, profile.data.batch_bytes) == (64, 64 * 33 * 4)
    assert profile.data.batch == "float32(64, 32), float32(64, 1)"
