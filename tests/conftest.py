"""What all tests share: tiny models and data, and the promise that nothing of ours is left behind."""

import functools
import gc
import os
import sys
import threading
import traceback

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import tb_trainspeed
from tb_trainspeed.probes import sampling

_OUR_FOLDER = os.path.dirname(tb_trainspeed.__file__) + os.sep
SAMPLES, FEATURES = 160, 4
_LONGEST_GARBAGE_S = 60


def pytest_collection_modifyitems(items):
    """The other backends' tests begin first, and are waited for before the diagnoses, which need quiet."""
    named = ("test_backends.py", "test_diagnosis.py")
    others, diagnoses = ([item for item in items if item.path.name == name] for name in named)
    rest = [item for item in items if item.path.name not in named]
    items[:] = others[:1] + rest + others[1:] + diagnoses


def _is_ours(value):
    code = getattr(value, "__code__", None)
    return code is not None and code.co_filename.startswith(_OUR_FOLDER)


def _left_behind():
    found = []
    for thread in threading.enumerate():
        if thread.name.startswith("trainspeed-"):
            # One that collects the garbage of earlier tests may have to wait for an iterator of tf.data to go, longer
            # than a fit waits for it. One that does not end at all is still there.
            thread.join(_LONGEST_GARBAGE_S)
            if thread.is_alive():
                where = traceback.format_stack(sys._current_frames()[thread.ident])
                found.append(f"thread {thread.name}: {''.join(where)}")
    found += [f"gc callback {callback}" for callback in gc.callbacks if _is_ours(callback)]
    return found


@functools.cache
def _freeze_what_is_imported():
    """Collections leave out what the import of Keras has brought: to go through that takes a third of a second."""
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch):
    """No thread, no gc callback, no replaced attribute of a live object survives a test."""
    assert _left_behind() == []
    replaced = []
    if "keras" in sys.modules:
        _freeze_what_is_imported()

        from tb_trainspeed.probes.fit_loop import Undo

        replace, replace_item = Undo.replace, Undo.replace_item

        def seen(self, owner, name, value):
            attributes = vars(owner)  # not the owner, for whose end we may wait
            replaced.append((lambda: attributes.get(name), name, value))
            replace(self, owner, name, value)

        def seen_item(self, items, item, value):
            replaced.append((lambda: next((found for found in items if found is value), None), item, value))
            replace_item(self, items, item, value)

        monkeypatch.setattr(Undo, "replace", seen)
        monkeypatch.setattr(Undo, "replace_item", seen_item)
    yield
    assert [name for current, name, value in replaced if current() is value] == []
    fitted = bool(replaced)
    replaced.clear()
    assert _left_behind() == []
    if fitted:
        # Its iterator of tf.data may be in a cycle. One that is garbage for minutes may take minutes to end, at the end
        # of Python at the latest: the thread that tunes it sleeps for ever longer periods.
        gc.collect()


@pytest.fixture(scope="session", autouse=True)
def every_sample_is_used():
    """Steps of tests are so small that looking inside them may make them several times as long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "_MOST_SLOWDOWN", 1e9)
        yield


@pytest.fixture(scope="session")
def arrays():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, FEATURES)).astype("float32")
    return x, x.sum(axis=1, keepdims=True)


@pytest.fixture(scope="session")
def make_model():
    """make_model(**options of compile) -> a compiled model that is the same every time."""
    import keras

    def make(kind=keras.Model, **options):
        keras.utils.set_random_seed(7)
        inputs = keras.Input((FEATURES,))
        hidden = keras.layers.Dropout(0.3)(keras.layers.Dense(8, activation="relu")(inputs))
        model = kind(inputs, keras.layers.Dense(1)(hidden))
        model.compile(**{"optimizer": "adam", "loss": "mse", "metrics": ["mae"], **options})
        return model

    return make


@pytest.fixture(scope="session")
def left_on():
    """left_on(object) -> names of its attributes where a function of ours is still in place."""
    return lambda owner: {name for name, value in vars(owner).items() if _is_ours(value)}


def pytest_sessionfinish(session):
    """In CI a skipped test is a failure: there everything is in place that a test may miss elsewhere."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
