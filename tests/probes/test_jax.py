"""On JAX training stays as asynchronous as it was, and time counts as compute when the device is busy."""

import time
from types import SimpleNamespace

import jax
import keras
import numpy as np
import pytest

from tb_trainspeed import TrainSpeedCallback
from tb_trainspeed.probes import jax as probe
from tb_trainspeed.probes.fit_loop import Undo
from tb_trainspeed.profile import Compilation, Device, DeviceMemory
from tb_trainspeed.recorder.device import DeviceQueue

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


def test_a_validation_begins_while_the_device_still_trains(monkeypatch):
    """As Keras has it: what our code waits for it waits for where Keras reads the logs, after the validation."""
    told, ends = [], []
    drain = DeviceQueue.drain
    monkeypatch.setattr(DeviceQueue, "drain", lambda self: (told.append("waits"), drain(self)))
    hooks = keras.callbacks.Callback()
    hooks.on_train_batch_begin = lambda batch, logs=None: told.clear()  # in a step samples wait on their own account
    hooks.on_test_begin = lambda logs=None: told.append("validation")
    hooks.on_test_end = lambda logs=None: told.append("validated")
    hooks.on_epoch_end = lambda epoch, logs=None: ends.append(list(told))
    callback, batches = TrainSpeedCallback(None, verbose=0), Batches(32, lambda: None)
    model_of(64).fit(batches, validation_data=batches, epochs=2, verbose=0, callbacks=[hooks, callback])
    assert ends == [["validation", "validated", "waits"]] * 2
    phases = callback.report.phases
    assert phases["validation"] > 0
    assert phases["compute"] > 0
    assert sum(value or 0.0 for value in phases.values()) == pytest.approx(callback.report.profile.ledger.wall_s)


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
    fetch_s = 0.004  # of steps of about 6 ms
    profile = fit(1500, lambda: time.sleep(fetch_s))
    phases = profile.steady.phases
    fetching_s = fetch_s * STEPS * (EPOCHS - 1)
    assert phases["compute"] + phases["optimizer"] > 0.8 * profile.steady.wall_s
    assert phases["input_wait"] < 0.1 * fetching_s
    # Samples of the device, which wait for it, leave it idle for a moment each.
    assert phases["host_overhead"] < 0.5 * fetching_s
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
    (event,) = profile.compilation.events
    assert (event.step, event.batch) == (6, "float32(4, 32), float32(4, 1)")
    assert set(profile.compilation.compiler_s) == {"trace", "lower", "compile"}
    assert min(profile.compilation.compiler_s.values()) > 0
    assert max(profile.compilation.functions_s, key=profile.compilation.functions_s.get) == "train_step"


def listeners():
    from jax._src import monitoring

    return list(monitoring._event_duration_secs_listeners)


def test_nobody_listens_to_the_compiler_after_the_fit():
    before = listeners()
    undo = Undo()
    add_facts = probe.watch_compiler(0.0, undo)
    jax.jit(lambda x: x + 1)(1.0)
    assert len(listeners()) == len(before) + 1
    undo.run()
    assert listeners() == before
    assert add_facts(Compilation()).compiler_s["compile"] > 0


def test_where_it_cannot_be_taken_out_the_listener_goes_still(monkeypatch):
    before, undo = listeners(), Undo()
    add_facts = probe.watch_compiler(0.0, undo)
    with monkeypatch.context() as patch:
        patch.setattr(probe, "_unregister", lambda: 1 / 0)
        undo.run()
    jax.jit(lambda x: x + 2)(1.0)
    assert add_facts(Compilation()).compiler_s == {}
    (left,) = set(listeners()) - set(before)
    probe._unregister()(left)


def test_a_listener_that_fails_does_not_stop_the_compiler(monkeypatch):
    monkeypatch.setattr(probe.CompilerLog, "listen", lambda *args, **kwargs: 1 / 0)
    undo = Undo()
    add_facts = probe.watch_compiler(0.0, undo)
    assert jax.jit(lambda x: x + 3)(1.0) == 4.0
    undo.run()
    with pytest.raises(ZeroDivisionError):
        add_facts(Compilation())


def test_what_is_compiled_inside_another_function_counts_once():
    now = 0.0
    log = probe.CompilerLog(lambda: now)

    def report(at_s, stage, duration_s, name):
        nonlocal now
        now = at_s
        log.listen(f"/jax/core/compile/{stage}_duration", duration_s, fun_name=name)

    report(1.0, "backend_compile", 0.5, "jit(before)")
    report(2.5, "jaxpr_trace", 0.5, "inner")  # from 2.0
    report(3.5, "backend_compile", 0.75, "jit(inner)")  # from 2.75
    report(4.0, "jaxpr_trace", 2.5, "step")  # from 1.5: around the two
    report(6.0, "backend_compile", 2.0, "jit(step)")
    report(6.0, "unheard_of", 9.0, "step")
    found = log.add_facts(Compilation())
    assert found.compiler_s == {"compile": 0.5 + 0.75 + 2.0, "trace": 0.5 + (2.5 - 0.5 - 0.75)}
    assert found.functions_s == {"step": 1.25 + 2.0, "inner": 1.25, "before": 0.5}
    assert sum(found.compiler_s.values()) == sum(found.functions_s.values())


def test_switches_are_seen():
    before = probe.settings()
    with jax.debug_nans(True):
        after = probe.settings()
    assert {name for name, value in after.items() if before[name] != value} == {"jax_debug_nans"}


def test_a_distribution_is_seen(make_model):
    assert probe.distribution(None) == (None, 1)
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=["cpu:0"]))
    try:
        assert probe.distribution(None) == ("DataParallel", 1)
    finally:
        keras.distribution.set_distribution(None)


@pytest.mark.parametrize(
    ("shape", "found"), [((1, 8), ("ModelParallel (1, 8)", 1)), ((2, 4), ("ModelParallel (2, 4)", 2)),
                         ((8, 1), ("ModelParallel", 8))],
)  # fmt: skip
def test_a_distribution_that_divides_the_model_tells_its_mesh(shape, found):
    mesh = keras.distribution.DeviceMesh(shape, ("batch", "model"), [f"cpu:{index}" for index in range(8)])
    layout = keras.distribution.LayoutMap(mesh)
    keras.distribution.set_distribution(keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch"))
    try:
        assert probe.distribution(None) == found
    finally:
        keras.distribution.set_distribution(None)


def test_memory_of_a_gpu(monkeypatch):
    """On a device that is made up."""
    stats = {"bytes_in_use": 3, "peak_bytes_in_use": 5, "bytes_limit": 9}
    gpu = SimpleNamespace(
        platform="gpu", id=1, device_kind="NVIDIA A100", compute_capability="8.0", memory_stats=lambda: stats
    )
    monkeypatch.setattr(jax, "local_devices", lambda: [gpu])
    assert probe.device_memory() == (DeviceMemory("gpu:1", 3, 5, 9),)
    assert probe.devices() == (Device("GPU", "NVIDIA A100", 9, "8.0"),)


def test_what_jax_says_of_the_batch_and_the_device():
    profile = fit(16)
    assert (profile.environment.backend, profile.environment.devices[0].kind) == ("jax", "CPU")
    assert (profile.data.batch_size, profile.data.batch_bytes) == (64, 64 * 33 * 4)
    assert profile.data.batch == "float32(64, 32), float32(64, 1)"
