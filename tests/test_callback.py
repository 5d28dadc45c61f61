"""The callback in real fits: what it counts, and that it puts everything back however a fit ends."""

import contextlib
import copy
import dataclasses
import gc
import itertools
import logging
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tb_trainspeed import TrainSpeedCallback
from tb_trainspeed.profile import Profile
from tb_trainspeed.report import diagnose
from tb_trainspeed.report.spread import epochs_s
from tb_trainspeed.session import FitSession, guard, records, threads
from tb_trainspeed.summary import EventFile, read_log, seldom_s

ROOT = pathlib.Path(__file__).parents[1]
BACKEND = keras.backend.backend()
Hooks = keras.callbacks.LambdaCallback


class Busy(keras.callbacks.Callback):
    """Overrides hooks, and does nothing in them."""

    def on_train_batch_end(self, batch, logs=None):
        pass

    def on_epoch_end(self, epoch, logs=None):
        pass


@pytest.fixture
def model(make_model):
    return make_model(optimizer="sgd", metrics=[])


@pytest.fixture
def fit(model, arrays):
    """fit(callbacks, **options) fits `model` for two epochs of ten steps."""

    def run(callbacks, **options):
        x, y = arrays
        defaults = {"x": x, "y": y, "batch_size": 16, "epochs": 2, "verbose": 0}
        return model.fit(**{**defaults, **options}, callbacks=callbacks)

    return run


@pytest.fixture
def callback(tmp_path):
    return TrainSpeedCallback(tmp_path / "logs", verbose=0)


def profile_of(callback):
    return callback.report.profile


def adds_up(profile):
    values = [value for value in profile.ledger.phases.values() if value is not None]
    return sum(values) == pytest.approx(profile.ledger.wall_s, rel=1e-6)


def statuses(callback):
    return [fit.profile.status for fit in read_log(callback.log_dir).fits]


# --- arguments and the report


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"max_overhead": -0.1}, "max_overhead"),
        ({"max_overhead": 1.5}, "max_overhead"),
        ({"max_overhead": float("nan")}, "max_overhead"),
        ({"max_overhead": "1%"}, "max_overhead"),
        ({"max_overhead": None}, "max_overhead"),
        ({"log_dir": 7}, "log_dir"),
    ],
    ids=str,
)
def test_invalid_arguments(options, name):
    with pytest.raises(ValueError, match=rf"`{name}`.* Received: {name}="):
        TrainSpeedCallback(**options)


def test_no_report_before_the_first_fit(callback):
    with pytest.raises(RuntimeError, match="add this callback to `fit"):
        _ = callback.report


def test_verbose_prints_the_report_once(fit, tmp_path, capsys):
    callback = TrainSpeedCallback(tmp_path, verbose=1)
    fit([callback])
    printed = capsys.readouterr().out
    assert callback.report.verdict[:30] in printed


def test_fits_in_a_loop_do_not_repeat_themselves(fit, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tb_trainspeed.callback.diagnose", lambda profile: found[0])
    callback, found = TrainSpeedCallback(tmp_path, verbose=1), [diagnose(Profile())]
    told = []
    for causes in ((), (), ("IP01",), ("IP01",), ("IP01", "CB06")):
        findings = tuple(types.SimpleNamespace(code=code) for code in causes)
        found[0] = dataclasses.replace(found[0], findings=findings)
        monkeypatch.setattr("tb_trainspeed.callback.render", lambda report, log_dir: "all of it")
        fit([callback], epochs=1)
        told.append(capsys.readouterr().out.strip())
    assert [text == "all of it" for text in told] == [True, False, True, False, True]
    assert told[1] == f"TrainSpeed: {found[0].verdict}"
    assert told[3].endswith("The same causes as in the fit before: IP01.")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ArithmeticError("mine")], ids=["interrupt", "error"])
def test_a_fit_that_is_stopped_tells_what_it_was_bound_by(fit, tmp_path, capsys, error):
    class Stops(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.params["epochs"] == 1 or (batch == 5 and self.model.optimizer.iterations > 12):
                raise error

    callback = TrainSpeedCallback(tmp_path, verbose=1)
    with pytest.raises(type(error)):
        fit([callback, Stops()], epochs=3)
    assert callback.report.verdict[:30] in capsys.readouterr().out
    with pytest.raises(type(error)):  # in its first step
        fit([callback, Stops()], epochs=1)
    assert capsys.readouterr().out == ""


def test_where_nothing_can_be_written_no_log_directory_is_offered(fit, tmp_path, capsys):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("mine")
    fit([TrainSpeedCallback(in_the_way, verbose=1)])
    told = capsys.readouterr().out
    assert "tensorboard --logdir" not in told
    assert "was not saved (NotADirectoryError" in told
    assert in_the_way.read_text() == "mine"


def test_quiet_without_verbose(fit, callback, capsys):
    fit([callback])
    assert capsys.readouterr().out == ""


def test_the_report_can_be_read_while_the_fit_runs(fit, callback):
    seen = []
    fit([callback, Hooks(on_epoch_end=lambda epoch, logs: seen.append(profile_of(callback)))])
    assert [(profile.status, profile.steps.count) for profile in seen] == [("running", 10), ("running", 20)]
    assert all(adds_up(profile) for profile in seen)


# --- what is counted


def test_five_fits_in_a_row(fit, callback, model, left_on):
    for index in range(1, 6):
        fit([callback])
        profile = profile_of(callback)
        assert (profile.fit_index, profile.status, profile.steps.count) == (index, "finished", 20)
        assert left_on(model) == set()
    assert [entry.profile.fit_index for entry in read_log(callback.log_dir).fits] == [1, 2, 3, 4, 5]
    assert statuses(callback) == ["finished"] * 5


@pytest.mark.parametrize("position", [0, 1, 2])
def test_the_callback_may_stand_anywhere(fit, callback, position):
    callbacks = [Busy(), Busy()]
    callbacks.insert(position, callback)
    fit(callbacks)
    rows = {(hook.callback, hook.hook): hook.calls for hook in profile_of(callback).hooks}
    for name in ("Busy", "Busy #2"):
        assert rows[name, "on_train_batch_end"] == 20
        assert rows[name, "on_epoch_end"] == 2


def test_what_is_called_on_the_model_in_hooks(fit, callback, model, arrays):
    x, y = arrays

    class Plots(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.predict(x, verbose=0)
            self.model.evaluate(x, y, verbose=0)
            self.model.get_weights()

    fit([callback, Plots()], validation_data=arrays)
    profile = profile_of(callback)
    calls = {(call.callback, call.hook, call.function): call.calls for call in profile.nested_calls}
    functions = "predict", "evaluate", "get_weights"
    assert calls == {("Plots", "on_epoch_end", function): 2 for function in functions}
    phases = profile.ledger.phases
    assert sum(call.total_s for call in profile.nested_calls) <= phases["callbacks"] + phases["gc"]
    assert profile.validation.runs == 2


def test_the_last_call_of_a_validation_may_make_fewer_steps(callback, make_model, arrays):
    model = make_model(steps_per_execution=1 if BACKEND == "torch" else 4)  # torch knows no more
    data = {"x": arrays[0], "y": arrays[1], "batch_size": 16, "validation_data": arrays, "validation_batch_size": 16}
    model.fit(**data, epochs=2, verbose=0, callbacks=[callback])
    profile = profile_of(callback)
    assert (profile.validation.runs, profile.validation.steps, profile.steps.count) == (2, 20, 20)


def test_a_slow_hook_is_a_row_and_a_phase(fit, callback):
    fit([callback, Hooks(on_epoch_end=lambda epoch, logs: time.sleep(0.05))])
    profile = profile_of(callback)
    row = next(hook for hook in profile.hooks if hook.callback == "LambdaCallback")
    assert (row.hook, row.phase, row.calls) == ("on_epoch_end", "callbacks", 2)
    assert row.total_s >= 0.1
    assert profile.ledger.phases["callbacks"] >= row.total_s


def test_what_is_done_once_the_epochs_are_over_is_in_none_of_them(fit, callback, model, arrays):
    def test(logs):
        model.evaluate(*arrays, verbose=0)
        time.sleep(0.2)

    fit([callback, Hooks(on_train_end=test)], epochs=3)
    profile = profile_of(callback)
    row = next(hook for hook in profile.hooks if hook.hook == "on_train_end")
    assert row.total_s >= 0.2
    assert profile.ledger.phases["callbacks"] >= row.total_s
    assert profile.steady.epochs == 2
    assert profile.steady.phases["callbacks"] < row.total_s
    assert profile.status == "finished"
    assert adds_up(profile)


class Unfreeze(keras.callbacks.Callback):
    """Makes a new train function after the first epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and BACKEND == "jax":  # whose `fit` holds the state of all weights as it was
            self.model.make_train_function(force=True)
        elif epoch == 1:
            self.model.layers[1].trainable = True
            self.model.compile("sgd", "mse")
            self.model.make_train_function()


@pytest.mark.parametrize("first", [True, False])
def test_a_train_function_made_during_the_fit_is_measured_too(fit, callback, model, left_on, first):
    model.layers[1].trainable = False
    fit([Unfreeze(), callback] if first else [callback, Unfreeze()], epochs=3)
    profile = profile_of(callback)
    assert profile.steps.count == 30
    assert profile.compilation.retraces == (0 if BACKEND == "torch" else 1)  # which compiles nothing here
    assert adds_up(profile)
    assert model.train_function is not None
    assert left_on(model) == set()


def test_a_train_function_made_during_the_fit_trains_the_same(make_model, arrays):
    weights = []
    for ours in ([], [TrainSpeedCallback(None, verbose=0)]):
        model = make_model()
        model.layers[1].trainable = False
        model.fit(*arrays, verbose=0, epochs=3, callbacks=[*ours, Unfreeze()])
        weights.append(model.get_weights())
    for measured, plain in zip(*weights, strict=True):
        np.testing.assert_array_equal(measured, plain)


class Composite(keras.callbacks.Callback):
    """Passes some hooks on to a callback that Keras does not know of."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def set_model(self, model):
        self.inner.set_model(model)

    def on_train_begin(self, logs=None):
        self.inner.on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        self.inner.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self.inner.on_epoch_end(epoch, logs)


def test_inside_another_callback(fit, callback):
    for _ in range(2):
        begin = time.perf_counter()
        fit([Composite(callback)])
        profile = profile_of(callback)
        assert (profile.status, profile.steps.count, profile.ledger.epochs) == ("finished", 20, 2)
        assert profile.ledger.wall_s <= time.perf_counter() - begin
        assert adds_up(profile)


def test_in_a_list_made_by_the_user(fit, callback, model):
    fit([])  # without us, and the wall time is not from here on
    callbacks = keras.callbacks.CallbackList([callback, Busy()], add_history=True, model=model, epochs=2, steps=10)
    time.sleep(0.2)
    begin = time.perf_counter()
    fit(callbacks)
    assert profile_of(callback).ledger.wall_s <= time.perf_counter() - begin
    assert profile_of(callback).start_seen == "fit"
    assert profile_of(callback).steps.count == 20
    assert vars(callbacks).keys().isdisjoint({"on_train_end"})
    assert [type(one).__name__ for one in callbacks.callbacks] == ["TrainSpeedCallback", "Busy", "History"]


def test_a_fit_that_is_resumed_has_fewer_epochs_to_do(fit, callback):
    fit([callback], initial_epoch=3, epochs=5)
    assert (profile_of(callback).epochs_planned, profile_of(callback).ledger.epochs) == (2, 2)
    assert len(epochs_s(profile_of(callback))) == 1


def test_a_fit_that_is_resumed_from_a_backup_has_fewer_epochs_to_do(fit, callback, tmp_path):
    class Broken(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise InterruptedError

    backup = tmp_path / "backup"
    with pytest.raises(InterruptedError):
        fit([keras.callbacks.BackupAndRestore(backup), Broken()], epochs=5)
    fit([keras.callbacks.BackupAndRestore(backup), callback], epochs=5)
    profile = profile_of(callback)
    assert profile.epochs_planned == profile.ledger.epochs < 5


class Copier(keras.callbacks.Callback):
    """Keeps copies of itself, as some do to go back to their best epoch."""

    def on_epoch_end(self, epoch, logs=None):
        self.epochs = [*getattr(self, "epochs", []), epoch]
        state = {name: value for name, value in vars(self).items() if name != "_model"}
        COPIES.append((copy.deepcopy(self), pickle.loads(pickle.dumps(self)), pickle.loads(pickle.dumps(state))))


COPIES = []


def test_a_callback_may_copy_and_pickle_itself(fit, callback):
    copier = Copier()
    fit([callback, copier])
    copied, pickled, state = COPIES[0]
    COPIES.clear()
    assert copied.epochs == pickled.epochs == state["epochs"] == [0]
    assert vars(copied).keys() == vars(pickled).keys() == {*state, "_model"} == vars(copier).keys()
    assert copier.epochs == [0, 1]


def test_it_can_be_pickled_and_goes_on_measuring(fit, callback):
    fit([callback])
    for again in (pickle.loads(pickle.dumps(callback)), copy.deepcopy(callback)):
        with pytest.raises(RuntimeError, match="No fit was measured"):
            _ = again.report
        fit([again])
        assert (profile_of(again).steps.count, profile_of(again).start_seen) == (20, "fit")
    assert pickle.loads(pickle.dumps(callback.report)).verdict == callback.report.verdict


def test_a_fit_in_a_thread(fit, callback):
    thread = threading.Thread(target=fit, args=([callback, Busy()],))
    thread.start()
    thread.join()
    profile = profile_of(callback)
    assert (profile.status, profile.steps.count) == ("finished", 20)
    assert profile.not_measured == {}
    assert adds_up(profile)


def test_two_fits_in_two_threads(callback, make_model, arrays):
    """The second begins while the first fetches a batch, which on JAX it does amid a step."""
    x, y = arrays
    other, inner, begun, raised = make_model(), TrainSpeedCallback(None, verbose=0), threading.Event(), []

    def second():
        try:
            other.fit(x, y, epochs=2, verbose=0, callbacks=[inner, Hooks(on_train_begin=lambda logs: begun.set())])
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=second)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            if index == 3 and not begun.is_set():
                thread.start()
                assert begun.wait(60)
            return x[:8], y[:8]

    make_model().fit(Batches(), epochs=2, shuffle=False, verbose=0, callbacks=[callback])
    thread.join()
    assert raised == []
    assert profile_of(callback).steps.count == 8
    assert profile_of(inner).status == "finished"


@pytest.mark.parametrize("ends", [True, False])
def test_a_loop_of_ones_own(callback, make_model, arrays, left_on, ends):
    """As Keras' documentation of callbacks has it."""
    model = make_model()
    threads = threading.active_count()
    listed = keras.callbacks.CallbackList([callback], model=model)
    listed.on_train_begin()
    for _ in range(3):
        model.train_on_batch(*(value[:8] for value in arrays))
    if ends:
        listed.on_train_end()
    del listed
    gc.collect()  # the list and its callbacks know of each other
    profile = profile_of(callback)
    assert profile.status == ("finished" if ends else "interrupted")
    assert {"callbacks", "compute"} <= set(profile.not_measured)
    assert left_on(model) == set()
    assert threading.active_count() == threads
    model.fit(*arrays, verbose=0)


def test_a_fit_inside_a_fit(fit, callback, make_model, arrays, left_on):
    other = make_model()
    inner = TrainSpeedCallback(None, verbose=0)

    def on_epoch_end(epoch, logs):
        other.fit(*arrays, verbose=0, callbacks=[inner])

    fit([callback, Hooks(on_epoch_end=on_epoch_end)])
    assert profile_of(callback).steps.count == 20
    assert profile_of(inner).fit_index == 2
    assert left_on(other) == set()


def test_steps_of_the_same_model_in_a_hook_are_no_steps_of_the_fit(fit, callback, model, arrays):
    x, y = arrays

    def on_epoch_end(epoch, logs):
        model.fit(x, y, batch_size=32, verbose=0)
        model.train_on_batch(x[:16], y[:16])

    fit([callback, Hooks(on_epoch_end=on_epoch_end)])
    profile = profile_of(callback)
    assert (profile.steps.count, profile.ledger.epochs) == (20, 2)
    assert adds_up(profile)


def test_whole_calls_of_several_steps_are_counted(callback, make_model, arrays):
    model = make_model(steps_per_execution=1 if BACKEND == "torch" else 4)  # torch knows no more
    data = tf.data.Dataset.from_tensor_slices(arrays).batch(16)
    options = {"epochs": 2, "shuffle": False, "verbose": 0, "callbacks": [callback]}
    model.fit(data.repeat(), steps_per_epoch=6, **options)
    assert profile_of(callback).steps.count == int(model.optimizer.iterations) == (12 if BACKEND == "torch" else 16)
    model.fit(data, **options)
    assert profile_of(callback).steps.count == 20


def test_two_of_us_in_one_fit(fit, callback, model, left_on, caplog):
    idle = TrainSpeedCallback(None, verbose=0)
    fit([callback, idle])
    assert profile_of(callback).steps.count == 20
    assert caplog.messages == ["Another TrainSpeedCallback measures this fit already; this one does nothing."]
    assert left_on(model) == set()
    with pytest.raises(RuntimeError):
        _ = idle.report
    caplog.clear()
    fit([idle])  # alone it does measure
    assert profile_of(idle).steps.count == 20
    assert caplog.messages == []


# --- however the fit ends

HOOKS = ["on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_test_begin",
         "on_test_batch_end", "on_test_end", "on_epoch_end", "on_train_end"]  # fmt: skip


class Raises(keras.callbacks.Callback):
    def __init__(self, hook, error):
        super().__init__()
        self.error = error
        setattr(self, hook, self.fail)

    def fail(self, *args, **kwargs):
        raise self.error


def test_what_does_not_end_is_not_waited_for_one_after_the_other(monkeypatch):
    now = [0.0]

    class HeldUp:
        def join(self, timeout):
            now[0] += timeout

    monkeypatch.setattr(threads.time, "monotonic", lambda: now[0])
    ours, first = threads.Threads(None), HeldUp()
    ours._threads = [first, HeldUp(), HeldUp()]
    ours.end(first)
    assert ours.stop.is_set()
    assert now[0] == threads._CLOSE_TIMEOUT_S


def assert_put_back(callback, model, left_on, *others, status="interrupted"):
    assert profile_of(callback).status == status
    for thread in threading.enumerate():  # the garbage collector may have ended the fit in another thread than this
        if thread.name.startswith("trainspeed"):
            thread.join(30)
    assert statuses(callback)[-1] == status
    assert adds_up(profile_of(callback))
    for owner in (model, *others):
        assert left_on(owner) - {"fail"} == set()


@pytest.mark.parametrize("error", [ArithmeticError("mine"), KeyboardInterrupt()], ids=["error", "interrupt"])
@pytest.mark.parametrize("hook", HOOKS)
def test_an_exception_in_a_hook(fit, callback, model, arrays, left_on, hook, error):
    raising = Raises(hook, error)
    with pytest.raises(type(error)) as caught:
        fit([callback, raising], validation_data=arrays)
    assert caught.value is error
    assert_put_back(callback, model, left_on, raising)
    fit([callback], epochs=1)
    assert_put_back(callback, model, left_on, status="finished")


def test_an_exception_in_a_hook_before_ours(fit, callback, model, left_on):
    raising = Raises("on_epoch_begin", ArithmeticError("mine"))
    with pytest.raises(ArithmeticError):
        fit([raising, callback])
    assert_put_back(callback, model, left_on, raising)


def test_an_exception_that_a_hook_catches_is_no_end(fit, callback):
    class Careful(Busy):
        def on_epoch_end(self, epoch, logs=None):
            with contextlib.suppress(ArithmeticError):
                self.on_train_batch_end(None)

        def on_train_batch_end(self, batch, logs=None):
            if batch is None:
                raise ArithmeticError

    fit([callback, Careful()])
    assert (profile_of(callback).status, profile_of(callback).steps.count) == ("finished", 20)


class FailingBatches(keras.utils.PyDataset):
    def __init__(self, at, arrays):
        super().__init__()
        self.at, self.arrays, self.epochs = at, arrays, 0

    def __len__(self):
        return 10

    def __getitem__(self, index):
        if index == self.at:
            raise ArithmeticError("in the data")
        return tuple(array[index * 16 : (index + 1) * 16] for array in self.arrays)

    def on_epoch_end(self):
        self.epochs += 1
        if (self.at, self.epochs) == ("epoch end", 2):  # Keras calls it once before the first epoch
            raise ArithmeticError("in the data")


@pytest.mark.parametrize("at", [7, "epoch end"])
def test_an_exception_in_the_data(fit, callback, model, arrays, left_on, at):
    with pytest.raises((ArithmeticError, tf.errors.OpError), match="in the data"):
        fit([callback], x=FailingBatches(at, arrays), y=None, batch_size=None, shuffle=False)
    assert_put_back(callback, model, left_on)


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt])
def test_an_exception_in_train_step(callback, make_model, arrays, left_on, eagerly, error):
    class Fails(keras.Model):
        def train_step(self, *args):
            raise error("mine")

    model = make_model(Fails, run_eagerly=eagerly)
    with pytest.raises(error):
        model.fit(*arrays, verbose=0, callbacks=[callback])
    assert_put_back(callback, model, left_on)
    assert profile_of(callback).steps.count == 0


def test_an_exception_in_test_step(callback, make_model, arrays, left_on):
    class Fails(keras.Model):
        def test_step(self, *args):
            raise ArithmeticError("mine")

    model = make_model(Fails)
    with pytest.raises(ArithmeticError):
        model.fit(*arrays, verbose=0, callbacks=[callback], validation_data=arrays)
    assert_put_back(callback, model, left_on)


def interrupt_unseen(model, monkeypatch):
    """Lets Ctrl-C come where none of our clocks is: Keras resets the metrics when an epoch begins."""

    def reset_metrics():
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "reset_metrics", reset_metrics)


def test_an_interrupt_that_no_clock_sees(fit, callback, model, left_on, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_unseen(model, patch)
        with contextlib.suppress(KeyboardInterrupt):
            fit([callback, Busy()])
    gc.collect()
    assert_put_back(callback, model, left_on)


@pytest.mark.parametrize("same", [True, False])
def test_an_interrupt_whose_traceback_is_kept(fit, callback, model, left_on, monkeypatch, tmp_path, same):
    """As in a notebook: the fit's list of callbacks lives on, so the next fit has to put things back."""
    with monkeypatch.context() as patch:
        interrupt_unseen(model, patch)
        with pytest.raises(KeyboardInterrupt) as kept:
            fit([callback])
    following = callback if same else TrainSpeedCallback(callback.log_dir, verbose=0)
    fit([following])
    assert statuses(callback) == ["interrupted", "finished"]
    assert profile_of(following).steps.count == 20
    assert left_on(model) == set()
    assert kept.type is KeyboardInterrupt


# --- nothing of ours may disturb a fit


def test_without_a_log_directory(fit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    callback = TrainSpeedCallback(log_dir=None, verbose=0)
    fit([callback])
    assert profile_of(callback).status == "finished"
    assert list(tmp_path.iterdir()) == []


def test_a_log_directory_that_cannot_be_written(fit, tmp_path, caplog):
    (tmp_path / "taken").write_text("a file")
    callback = TrainSpeedCallback(tmp_path / "taken", verbose=0)
    history = fit([callback])
    assert len(history.history["loss"]) == 2
    assert len(caplog.messages) == 1
    assert "Training is not affected" in caplog.text
    profile = profile_of(callback)
    assert (profile.status, profile.steps.count) == ("finished", 20)


def test_another_backend_gives_one_warning_and_nothing_else(fit, callback, model, left_on, monkeypatch, caplog):
    monkeypatch.setattr(keras.backend, "backend", lambda: "openvino")
    fit([callback])
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "openvino" in caplog.text
    assert left_on(model) == set()
    assert not pathlib.Path(callback.log_dir).exists()
    with pytest.raises(RuntimeError):
        _ = callback.report


@pytest.mark.parametrize(
    "broken",
    [
        "tb_trainspeed.probes.fit_loop.find_fit_loop",
        "tb_trainspeed.probes.fit_loop.time_callbacks",
        "tb_trainspeed.probes.fit_loop.watch_end",
        f"tb_trainspeed.probes.{BACKEND}.time_steps",
        f"tb_trainspeed.probes.{BACKEND}.model_facts",
        "tb_trainspeed.recorder.fit.FitRecorder.step_begin",
        "tb_trainspeed.recorder.fit.FitRecorder.epoch_begin",
        "tb_trainspeed.recorder.fit.FitRecorder.validation_end",
        "tb_trainspeed.recorder.fit.FitRecorder.finish",
        "tb_trainspeed.session.FitSession.start",
        "tb_trainspeed.session.FitSession.validation_begin",
        "tb_trainspeed.session.records.encode",
    ],
)
def test_a_failure_of_ours_is_one_warning(fit, callback, model, arrays, left_on, monkeypatch, caplog, broken):
    def fail(*args, **kwargs):
        raise ArithmeticError("ours")

    busy = Busy()
    with monkeypatch.context() as patch:
        patch.setattr(broken, fail)
        history = fit([callback, busy], validation_data=arrays).history
    assert len(history["val_loss"]) == 2
    assert len(caplog.messages) == 1
    assert "ArithmeticError('ours')" in caplog.text
    assert "Training is not affected" in caplog.text
    assert left_on(model) == left_on(busy) == set()
    assert not callback._running


def test_without_the_private_parts_of_keras(fit, callback, model, monkeypatch, left_on):
    monkeypatch.setattr("tb_trainspeed.probes.fit_loop.find_fit_loop", lambda: None)
    fit([callback, Busy()])
    profile = profile_of(callback)
    assert (profile.status, profile.steps.count, profile.hooks) == ("finished", 20, ())
    assert "callbacks" in profile.not_measured
    assert adds_up(profile)
    assert left_on(model) == set()


def test_the_session_lets_go_of_the_users_data(fit, callback):
    fit([callback])
    assert callback._session._facts.loop is None


# --- on disk


def start_process(log_dir, *fits):
    """Starts a process of its own that runs `fits`, lines of Python in which `fit`, `ours` and `log_dir` are known."""
    script = """
        import functools, sys
        import keras, numpy as np
        from tb_trainspeed import TrainSpeedCallback
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        fit = functools.partial(model.fit, np.zeros((64, 4), "float32"), np.zeros((64, 1), "float32"), verbose=0)
        log_dir = sys.argv[1]
        ours = TrainSpeedCallback(log_dir, verbose=0)
    """
    command = [sys.executable, "-c", "\n".join([textwrap.dedent(script), *fits]), str(log_dir)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)


def test_a_killed_process_leaves_a_running_record(tmp_path):
    process = start_process(tmp_path, "fit(epochs=10**9, callbacks=[ours])")
    try:
        deadline = time.monotonic() + 120
        # The first record of a slow machine comes before the first step.
        while not any(fit.profile.steps.count for fit in read_log(tmp_path).fits) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        errors = process.communicate()[1].decode(errors="replace")
    log = read_log(tmp_path)
    assert log.fits, errors
    assert log.problems == ()
    profile = log.fits[0].profile
    assert (profile.status, profile.steps.count > 0) == ("running", True)
    assert adds_up(profile)


def test_beside_the_users_own_tensorboard_callback(tmp_path):
    # In a process of its own, because the tests of the server keep TensorBoard away from TensorFlow.
    process = start_process(
        tmp_path,
        "fit(callbacks=[keras.callbacks.TensorBoard(log_dir), ours])",
        "fit(callbacks=[ours, keras.callbacks.TensorBoard(log_dir)])",
    )
    errors = process.communicate()[1].decode(errors="replace")
    assert process.returncode == 0, errors
    fits = read_log(tmp_path).fits
    assert [(entry.run, entry.profile.status) for entry in fits] == [(".", "finished")] * 2
    theirs = EventAccumulator(str(tmp_path / "train")).Reload()
    assert "epoch_loss" in theirs.Tags()["tensors"]


def test_records_come_ever_more_seldom():
    assert [seldom_s(elapsed_s, "logs") for elapsed_s in (1, 300, 3600)] == [10, 10, 120]
    assert [seldom_s(elapsed_s, "gs://bucket") for elapsed_s in (1, 300, 3600)] == [60, 60, 120]
    count, at_s = 0, 0.0
    while at_s < 86_400:
        count, at_s = count + 1, at_s + seldom_s(at_s, "logs")
    assert count < 220


def test_a_record_that_cannot_be_written_loses_none_that_follows(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(records, "_FIRST_S", 0.001)
    written, original, done = [], EventFile.write, threading.Event()

    def write(self, *arguments):
        written.append(arguments)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        original(self, *arguments)
        if len(written) == 4:
            done.set()

    monkeypatch.setattr(EventFile, "write", write)
    guarded = guard.Guard(lambda error: None)
    running = threads.Threads(guarded)
    times = itertools.count(1)
    running.spawn(
        "trainspeed-writer",
        lambda: records.write_records(
            str(tmp_path), "some-fit", lambda: Profile(fit_id="some-fit", updated_at_s=next(times)), running
        ),
    )
    assert done.wait(20)
    running.end(None)
    (entry,) = read_log(tmp_path).fits
    assert entry.profile.updated_at_s == len(written) > 2
    assert "No space left" in guarded.not_measured["a record"]
    assert len(caplog.records) == 1


def test_a_session_stops_once(fit, callback, monkeypatch):
    stops = []
    original = FitSession.stop
    monkeypatch.setattr(FitSession, "stop", lambda self, status: stops.append(status) or original(self, status))
    with pytest.raises(ArithmeticError):
        fit([callback, Raises("on_train_end", ArithmeticError())])
    assert stops == ["interrupted"]
