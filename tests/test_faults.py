"""Whatever function of ours raises, wherever it is called from: the fit goes on, unchanged, and one warning says so."""

import contextlib
import importlib
import inspect
import logging
import pkgutil
import sys

import keras
import numpy as np
import pytest

from tb_trainspeed import TrainSpeedCallback

BACKEND = keras.backend.backend()
MEASURING = ("probes", "recorder", "summary", "session")
# Of modules that run on every backend those with a part of their own here; on torch, whose fits are the quickest, all.
OF_TRACES = ("profiler", "trace", "op_names", "hlo", "intervals", "tf_data_trace", "xspace")
ONLY_HERE = {
    "tensorflow": {"tensorflow", "tf_data", "sampling", "deep", *OF_TRACES},
    "jax": {"jax", "fetches", "device"},
}
ELSEWHERE = {"tensorflow", "jax", "tf_data", *OF_TRACES}
# These stand in for the user's own code and hold nothing but guarded calls; the rest puts things back, or is the guard.
STAND_INS = {
    "_TimedDataset.__getitem__", "_TimedDataset.__getattr__", "_timed_iterator", "SourceClock.timed",
    "SourceClock._safely", "SourceClock.one_of", "_TimedElements.__init__", "_TimedElements.__next__",
    "TimedBatches.__init__", "TimedBatches.__iter__", "TimedBatches.__next__", "TimedBatches.__del__",
    "_WatchedPool.__init__", "_WatchedPool.apply_async", "_WatchedPool.__getattr__",
    "_TimedIterable.__init__", "_TimedIterable.__iter__", "EventFile.close", "Undo.run",
    "DeepSampler.close", "DeepSampler.run", "Profiler.stop", "Profiler.run", "Profiler.close", "_Session.stop",
    "_Watched.__init__", "_Watched.__enter__", "_Watched.__exit__",
    "TorchTool.run", "TorchTool._safely", "TorchTool._guarded", "TorchTool._before_layer", "TorchTool._after_layer",
    "TorchTool._before_node", "TorchTool.close",
    "FitSession.stop", "FitSession._stop_measuring", "Guard.guarded", "switch_off", "ignore", "Threads._counted",
    "Threads.end", "join", "_TimedCallback.__getattr__", "_TimedCallback.__setattr__", "_TimedCallback.__eq__",
    "_TimedCallback.__hash__",
}  # fmt: skip


def is_looked_at(*names):
    """Whether one of the names, a unit and perhaps a module in it, is among those of this backend."""
    if BACKEND in ONLY_HERE:
        return not ONLY_HERE[BACKEND].isdisjoint(names)
    return ELSEWHERE.isdisjoint(names)


def looked_at():
    for name in MEASURING:
        unit = importlib.import_module(f"tb_trainspeed.{name}")
        if is_looked_at(name):
            yield unit
        for child in pkgutil.iter_modules(getattr(unit, "__path__", ())):
            if is_looked_at(name, child.name) and not child.name.endswith("_pb2"):
                yield importlib.import_module(f"{unit.__name__}.{child.name}")


def functions():
    """(owner, name) of all functions and methods of what runs beside a fit."""
    for module in looked_at():
        for name, value in vars(module).items():
            if name in STAND_INS:
                continue
            if inspect.isfunction(value) and value.__module__ == module.__name__:
                yield pytest.param(module, name, id=f"{module.__name__.removeprefix('tb_trainspeed.')}.{name}")
            elif inspect.isclass(value) and value.__module__ == module.__name__:
                for method, function in vars(value).items():
                    ours = inspect.isfunction(function) and function.__module__ == module.__name__
                    if (
                        ours
                        and f"{name}.{method}" not in STAND_INS
                        and function.__code__.co_filename == module.__file__
                    ):  # not what dataclasses generate
                        label = f"{module.__name__.removeprefix('tb_trainspeed.')}.{name}.{method}"
                        yield pytest.param(value, method, id=label)


def everywhere(monkeypatch, owner, name, replacement):
    """Replaces a function also where other modules of ours imported it by its name."""
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, replacement)
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("tb_trainspeed.") and vars(module).get(name) is original:
            monkeypatch.setattr(module, name, replacement)


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 6

    def __getitem__(self, index):
        part = slice(index * 8, (index + 1) * 8)
        return self.x[part], self.y[part]


def train(make_model, arrays, callbacks):
    model = make_model(optimizer="sgd", metrics=[])
    history = model.fit(
        Batches(*arrays), epochs=2, verbose=0, shuffle=False, callbacks=callbacks, validation_data=arrays
    ).history
    return model, history


@pytest.fixture(scope="module")
def plain(make_model, arrays):
    model, history = train(make_model, arrays, [])
    return model.get_weights(), history


@pytest.mark.parametrize(("owner", "name"), list(functions()))
def test_a_function_that_raises(owner, name, plain, make_model, arrays, left_on, tmp_path, monkeypatch, caplog):
    called = []

    def fail(*args, **kwargs):
        called.append(name)
        raise ArithmeticError("ours")

    caplog.set_level(logging.WARNING, "tb_trainspeed")
    callback = TrainSpeedCallback(tmp_path / "logs", verbose=0)
    with monkeypatch.context() as patch:
        everywhere(patch, owner, name, fail)
        model, history = train(make_model, arrays, [callback])
    with contextlib.suppress(RuntimeError):  # it may not have got as far as to measure anything
        assert callback.report.profile.status == "finished"
    weights, expected = plain
    assert history == expected
    for ours, theirs in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert left_on(model) == set()
    ours = [record for record in caplog.records if record.name == "tb_trainspeed"]
    assert len(ours) <= 1
    assert all("Training is not affected" in record.getMessage() for record in ours)
