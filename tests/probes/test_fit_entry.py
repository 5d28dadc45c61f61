"""The stamp on Keras' own check lasts exactly as long as there are callbacks to use it."""

import gc
import inspect
import threading
import time
import weakref

import keras
import pytest

from tb_trainspeed.probes import fit_entry


class User:
    pass


@pytest.fixture
def check(monkeypatch):
    """check() -> the function of Keras' models that is called first in `fit`; untouched when a test begins."""
    owner = next(kind for kind in keras.Model.__mro__ if "_assert_compile_called" in vars(kind))
    original = inspect.unwrap(owner._assert_compile_called)
    # Callbacks of other tests may still be alive.
    monkeypatch.setattr(owner, "_assert_compile_called", original)
    monkeypatch.setattr(fit_entry, "_users", weakref.WeakSet())
    yield lambda: keras.Model._assert_compile_called
    gc.collect()
    assert keras.Model._assert_compile_called is original


def test_it_goes_with_its_last_user(check):
    original = check()
    first, second = User(), User()
    fit_entry.watch(first)
    stamped = check()
    fit_entry.watch(second)
    assert check() is stamped
    assert stamped is not original
    del first
    gc.collect()
    assert check() is stamped
    del second
    gc.collect()
    assert check() is original


def test_it_sees_when_fit_begins(check, make_model, arrays):
    user, model = User(), make_model()
    fit_entry.watch(user)
    assert fit_entry.take_start(model) is None
    before = time.perf_counter_ns()
    model.evaluate(*arrays, verbose=0)
    assert fit_entry.take_start(model) is None
    model._assert_compile_called("fit")
    assert fit_entry.take_start(make_model()) is None
    assert before <= fit_entry.take_start(model) <= time.perf_counter_ns()
    assert fit_entry.take_start(model) is None


def test_each_thread_has_its_own(check, make_model):
    user = User()
    fit_entry.watch(user)
    model = make_model()
    thread = threading.Thread(target=model._assert_compile_called, args=("fit",))
    thread.start()
    thread.join()
    assert fit_entry.take_start(model) is None


def test_no_model_is_kept_and_none_is_not_that_of_a_model_which_is_gone(check, make_model):
    user = User()
    fit_entry.watch(user)
    make_model()._assert_compile_called("fit")
    gc.collect()
    assert fit_entry.take_start(None) is None


def test_a_model_that_is_not_compiled_still_raises(check):
    user = User()
    fit_entry.watch(user)
    with pytest.raises(ValueError, match="compile"):
        keras.Sequential([keras.layers.Dense(1)]).fit([1.0], [1.0])
