"""Facts of the machine, the model and the callbacks."""

import builtins
import io
import os

import keras
import pytest

from tb_trainspeed.probes import facts


@pytest.mark.parametrize(
    ("cpu_max", "cores"),
    [("max 100000\n", 8.0), ("150000 100000\n", 1.5), ("1600000 100000\n", 8.0), ("odd\n", 8.0), (None, 8.0)],
)
def test_usable_cores(monkeypatch, cpu_max, cores):
    original = builtins.open

    def fake_open(path, *args, **kwargs):
        if path != "/sys/fs/cgroup/cpu.max":
            return original(path, *args, **kwargs)
        if cpu_max is None:
            raise FileNotFoundError(path)
        return io.StringIO(cpu_max)

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(builtins, "open", fake_open)
    assert facts.usable_cores() == cores


def test_the_environment_tells_versions_of_what_is_loaded():
    environment = facts.environment("tensorflow", ())
    assert environment.versions["keras"] == keras.__version__
    assert environment.versions["tb_trainspeed"]
    assert environment.memory_bytes > environment.memory_available_bytes > 0


def test_model_facts(make_model):
    model = make_model(steps_per_execution=4)
    model.layers[1].trainable = False
    found = facts.model_facts(model)
    assert (found.parameters, found.trainable_parameters) == (4 * 8 + 8 + 8 + 1, 8 + 1)
    assert (found.optimizer, found.loss, found.steps_per_execution) == ("Adam", "mse", 4)
    assert [layer.kind for layer in found.layers] == ["InputLayer", "Dense", "Dropout", "Dense"]
    assert [layer.trainable_parameters for layer in found.layers] == [0, 0, 0, 9]


def test_callback_facts():
    (found,) = facts.callback_facts([keras.callbacks.EarlyStopping(monitor="loss", patience=3)])
    assert (found.name, found.options["patience"], found.options["monitor"]) == ("EarlyStopping", "3", "loss")
