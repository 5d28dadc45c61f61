"""Beside a TensorFlow fit; what TensorFlow tells of its compiler, its switches and its devices."""

import json
import subprocess
import sys
import textwrap
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from tb_trainspeed import TrainSpeedCallback
from tb_trainspeed.probes import tensorflow as probe
from tb_trainspeed.recorder import FitRecorder

pytestmark = pytest.mark.filterwarnings("ignore:Your input ran out of data")


def lengths_in_turn(jit_compile):
    """A fit on batches of two lengths, of which the second comes first in step 3."""
    batches = [(np.zeros((2, length, 3), "float32"), np.zeros((2, 1), "float32")) for length in [4, 4, 4, 9, 4, 9]]
    spec = (tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, 1)))
    data = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec)
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.GlobalMaxPooling1D(), keras.layers.Dense(1)])
    model.compile(loss="mse", jit_compile=jit_compile)
    callback = TrainSpeedCallback(None, verbose=0)
    model.fit(data, verbose=0, shuffle=False, callbacks=[callback])
    return callback.report.profile


@pytest.mark.parametrize("steps_per_execution", [1, 4])
def test_letting_the_iterator_of_an_epoch_go_is_told_apart(make_model, arrays, steps_per_execution):
    callback = TrainSpeedCallback(None, verbose=0)
    make_model(steps_per_execution=steps_per_execution).fit(
        *arrays, batch_size=8, epochs=3, verbose=0, callbacks=[callback]
    )
    release = callback.report.profile.epochs.release
    assert release.count == 2
    assert release.p05_s > 0


def test_xla_compiles_for_every_new_shape():
    found = lengths_in_turn(True).compilation
    (event,) = found.events
    assert (event.step, event.batch) == (3, "float32(2, 9, 3), float32(2, 1)")
    assert event.duration_s > 0
    assert (found.count, found.retraces) == (2, 1)


def test_without_xla_a_new_shape_is_no_compilation():
    found = lengths_in_turn(False).compilation
    assert (found.events, found.retraces) == ((), 0)


def test_switches_are_seen():
    before = probe.settings()
    tf.debugging.enable_check_numerics()
    tf.config.run_functions_eagerly(True)
    try:
        after = probe.settings()
    finally:
        tf.debugging.disable_check_numerics()
        tf.config.run_functions_eagerly(False)
    changed = {name for name, value in after.items() if before[name] != value}
    assert changed == {"tf.debugging.enable_check_numerics", "tf.config.run_functions_eagerly"}
    assert probe.settings() == before


def test_data_debug_mode_is_seen(monkeypatch):
    from tensorflow.python.data.ops import debug_mode

    monkeypatch.setattr(debug_mode, "DEBUG_MODE", True)
    assert probe.settings()["tf.data.experimental.enable_debug_mode"] == "True"


def test_a_strategy_is_seen(make_model):
    assert probe.distribution(make_model()) == (None, 1)
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        model = make_model()
    assert probe.distribution(model) == ("OneDeviceStrategy", 1)


def test_a_strategy_has_the_name_by_which_it_is_made():
    strategy = tf.distribute.MultiWorkerMirroredStrategy
    model = types.SimpleNamespace(distribute_strategy=type(strategy.__name__, (), {"num_replicas_in_sync": 2})())
    assert probe.distribution(model) == ("MultiWorkerMirroredStrategy", 2)


@pytest.mark.parametrize(
    ("cluster", "kind", "number", "worker"),
    [
        ({"worker": ["a:1", "b:1"]}, "worker", 1, 1),
        ({"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "chief", 0, 0),
        ({"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "worker", 1, 2),
        ({}, None, None, 0),
    ],
)
def test_the_task_of_the_cluster_is_the_number_of_the_worker(cluster, kind, number, worker):
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(tf.train.ClusterSpec(cluster), "", kind, number)
    strategy = types.SimpleNamespace(cluster_resolver=resolver)
    assert probe.worker(types.SimpleNamespace(distribute_strategy=strategy)) == worker


def test_alone_it_is_the_first_worker(make_model, monkeypatch):
    """Whatever a `TF_CONFIG` says that no strategy uses."""
    task = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(task))
    assert probe.worker(make_model()) == 0


def test_gpus(monkeypatch):
    """On devices that are made up."""
    gpu = tf.config.LogicalDevice("/device:GPU:0", "GPU")
    cpu = tf.config.LogicalDevice("/device:CPU:0", "CPU")
    details = {"device_name": "NVIDIA A100", "compute_capability": (8, 0)}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu"])
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: [gpu] if kind else [cpu, gpu])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: details)
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", {"GPU:0": {"current": 3, "peak": 5}}.get)
    assert [(d.kind, d.name, d.capability) for d in probe.devices()] == [
        ("CPU", "/device:CPU:0", None),
        ("GPU", "/device:GPU:0 NVIDIA A100", "8.0"),
    ]
    monkeypatch.setattr(probe, "_memory_limits", lambda: {"CPU:0": 7, "GPU:0": 9})
    (memory,) = probe.device_memory()
    assert (memory.device, memory.in_use_bytes, memory.peak_bytes, memory.limit_bytes) == ("GPU:0", 3, 5, 9)


def test_tensorflow_tells_how_much_an_allocator_may_take():
    """By a private way, which a version may not have: this fails then. A CPU has a number of its own there."""
    limits = probe._memory_limits()
    assert limits["CPU:0"] > 2**20


def test_without_that_way_the_limit_is_not_known(monkeypatch):
    from tensorflow.python import pywrap_tfe

    monkeypatch.delattr(pywrap_tfe, "TFE_ContextListDevices")
    assert probe._memory_limits() == {}


def test_gpus_that_were_hidden_are_seen(monkeypatch):
    name = "tf.config.set_visible_devices"
    assert probe.settings()[name] == "0 of 0 GPUs"
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["GPU:0", "GPU:1"])
    assert probe.settings()[name] == "0 of 2 GPUs"


class Counting(keras.Model):
    """Counts how often its step is traced."""

    traces = 0

    def train_step(self, *args):
        self.traces += 1
        return super().train_step(*args)


def test_the_time_of_a_gpu_is_that_of_the_step_and_not_of_what_comes_after_it(make_model, arrays, monkeypatch):
    """Without one, for what is read is there: Keras has read the same when the callbacks come."""
    told, read = [], []
    list_devices = tf.config.list_logical_devices
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: list_devices(kind and "CPU"))
    monkeypatch.setattr(probe, "_await", read.append)
    monkeypatch.setattr(FitRecorder, "dispatched", lambda self, plain=FitRecorder.dispatched: told.append(plain(self)))
    make_model().fit(*arrays, batch_size=32, verbose=0, callbacks=[TrainSpeedCallback(None, verbose=0)])
    assert len(read) == 5
    assert all("loss" in outputs for outputs in read)
    assert len(told) >= 5


def test_awaiting_a_step_takes_what_it_returns_whatever_that_is():
    probe._await({"loss": tf.constant(1.0), "other": [2.0, None]})


@pytest.mark.parametrize("options", [{}, {"jit_compile": True}, {"run_eagerly": True}])
def test_nothing_is_traced_more_often(options, make_model, arrays):
    traces = []
    for callbacks in ([], [TrainSpeedCallback(None, verbose=0)]):
        model = make_model(Counting, **options)
        # Of 160 samples: the last batch is smaller than the others.
        model.fit(*arrays, batch_size=64, epochs=2, verbose=0, callbacks=callbacks)
        traces.append(model.traces)
    assert traces[0] == traces[1]


@pytest.mark.parametrize("jit_compile", [True, False])
def test_shapes_are_new_once(make_model, jit_compile):
    new = probe.new_shapes(make_model(jit_compile=jit_compile))
    assert [new("a"), new("a"), new("b"), new("")] == [jit_compile, False, jit_compile, False]


def test_no_iterator_waits_for_the_garbage_collector():
    """Its end joins a thread that may sleep for up to a minute, in the middle of whatever runs then."""
    script = """
        import gc
        import keras, numpy as np, tensorflow as tf
        from tb_trainspeed import TrainSpeedCallback

        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        callback = TrainSpeedCallback(None, verbose=0)
        kind = type(iter(tf.data.Dataset.range(1)))
        gc.collect()
        gc.disable()
        model.fit(np.zeros((64, 4)), np.zeros((64, 1)), epochs=2, verbose=0, callbacks=[callback])
        assert callback.report.phases["input_wait"] is not None
        assert not [value for value in gc.get_objects() if isinstance(value, kind)]
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


class OwnTrainFunction(keras.Model):
    """Makes its train function itself, and fetches the batch in it."""

    def make_train_function(self, force=False):
        step = tf.function(lambda iterator: self.train_step(next(iterator)))
        self.train_function = (lambda iterator: dict(step(iterator))) if self.in_python else step


@pytest.mark.parametrize("in_python", [False, True])
def test_a_train_function_of_the_users_own_fetches_its_batches_itself(in_python, make_model, arrays):
    weights = []
    callback = TrainSpeedCallback(None, verbose=0)
    for callbacks in ([], [callback]):
        model = make_model(OwnTrainFunction)
        model.in_python = in_python
        model.fit(*arrays, batch_size=32, epochs=2, verbose=0, shuffle=False, callbacks=callbacks)
        weights.append(model.get_weights())
    for without, with_us in zip(*weights, strict=True):
        np.testing.assert_array_equal(without, with_us)
    assert callback.report.profile.steps.count == 10


class Mixer(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(4)

    def call(self, x):
        state = 0.0
        for position in range(12):
            state = keras.ops.tanh(self.dense(x[:, position]) + state)
        return state


def test_a_loop_of_a_layer_is_counted_in_a_fit():
    model = keras.Sequential([keras.Input((12, 4)), Mixer(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callback = TrainSpeedCallback(log_dir=None, verbose=0)
    model.fit(np.zeros((32, 12, 4), "float32"), np.zeros((32, 1)), batch_size=8, verbose=0, callbacks=[callback])
    found = callback.report.profile.model
    copies = {layer.kind: layer.copies for layer in found.layers if layer.copies}
    assert (copies["Mixer"], [layer.copies for layer in found.layers if layer.kind == "Dense"]) == (12, [12, 1])
    assert found.operations > sum(layer.operations for layer in found.layers) > 0
    assert [line.text for line in found.code] == ["for position in range(12):"]
