"""Everything that is replaced in a live object is put back as it was."""

import copy
import gc
import pickle
import types
import weakref

import keras

from tb_trainspeed.probes import fit_loop
from tb_trainspeed.probes.fit_loop import Undo
from tb_trainspeed.recorder import FitRecorder


class Owner:
    def hook(self):
        return "class"


def test_undo_restores_what_was_there():
    owner, undo = Owner(), Undo()
    owner.mine = 1
    undo.replace(owner, "hook", lambda: "ours")
    undo.replace(owner, "mine", 2)
    assert (owner.hook(), owner.mine) == ("ours", 2)
    undo.run()
    undo.run()
    assert vars(owner) == {"mine": 1}


def test_undo_in_reverse_order():
    owner, undo = Owner(), Undo()
    undo.replace(owner, "hook", lambda: "first")
    undo.replace(owner, "hook", lambda: "second")
    undo.run()
    assert vars(owner) == {}


def test_undo_leaves_what_somebody_else_put_there_since():
    owner, undo = Owner(), Undo()
    undo.replace(owner, "hook", lambda: "ours")
    owner.hook = theirs = lambda: "theirs"
    undo.run()
    assert owner.hook is theirs


def test_an_item_of_a_list_is_put_back_wherever_it_is_by_then():
    items, undo = ["first", "second"], Undo()
    undo.replace_item(items, items[1], ours := object())
    assert items == ["first", ours]
    items.insert(0, "another")
    undo.run()
    assert items == ["another", "first", "second"]


def test_there_is_no_fit_loop_outside_a_fit():
    assert fit_loop.find_fit_loop() is None


class MyCheckpoint(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        pass

    def on_test_end(self, logs=None):
        pass


class OldNames(keras.callbacks.Callback):
    def on_batch_end(self, batch, logs=None):
        self.seen = batch


def in_a_list(callbacks, recorder, undo):
    """Times the hooks of these callbacks in a list of Keras', and returns what that holds then."""
    keras_list = keras.callbacks.CallbackList(callbacks)
    loop = fit_loop.FitLoop(weakref.ref(keras_list), tuple(callbacks), None, {})
    fit_loop.time_callbacks(loop, recorder, undo, lambda: None)
    return keras_list.callbacks


def test_hooks_and_their_phases():
    recorder, undo = FitRecorder(), Undo()
    callbacks = [
        MyCheckpoint(),
        keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None),
        keras.callbacks.Callback(),
        old := OldNames(),
    ]
    listed = in_a_list(callbacks, recorder, undo)
    listed[3].on_train_batch_end(5)
    assert old.seen == 5
    assert [(row.callback, row.hook, row.phase, row.calls) for row in recorder.hooks.rows] == [
        ("MyCheckpoint", "on_epoch_end", "checkpointing", 0),
        ("MyCheckpoint", "on_test_end", "validation", 0),
        ("LambdaCallback", "on_train_batch_end", "callbacks", 0),
        ("OldNames", "on_batch_end", "callbacks", 1),
    ]
    undo.run()
    assert all(now is then for now, then in zip(listed, callbacks, strict=True))


def test_what_stands_in_for_a_callback_is_like_it():
    callback, undo = MyCheckpoint(), Undo()
    callbacks = in_a_list([callback], FitRecorder(), undo)
    (stand_in,) = callbacks
    assert stand_in is not callback
    assert vars(callback).keys() == vars(MyCheckpoint()).keys()
    assert isinstance(stand_in, MyCheckpoint)
    assert (stand_in == callback, callback in callbacks, hash(stand_in)) == (True, True, hash(callback))
    stand_in.patience = 3
    assert callback.patience == 3
    assert type(copy.deepcopy(stand_in)) is type(pickle.loads(pickle.dumps(stand_in))) is MyCheckpoint
    callbacks.remove(callback)
    undo.run()
    assert callbacks == []


def test_the_epochs_are_over_before_the_first_callback_ends_and_the_fit_is_after_the_last():
    order, undo = [], Undo()
    recorder = types.SimpleNamespace(safely=lambda action: action(), epochs_over=lambda: order.append("epochs over"))
    ends = keras.callbacks.LambdaCallback(on_train_end=lambda logs: order.append("callback"))
    keras_list = keras.callbacks.CallbackList([ends])
    loop = fit_loop.FitLoop(weakref.ref(keras_list), (ends,), None, {})
    before = dict(vars(keras_list))
    fit_loop.watch_end(loop.callback_list, undo, order.append)
    fit_loop.watch_logs(loop, recorder, undo)
    keras_list.on_train_begin()
    keras_list.on_train_end()
    assert order == ["epochs over", "callback", "finished"]
    undo.run()
    assert vars(keras_list).keys() == before.keys()


def test_what_saves_state(tmp_path):
    assert fit_loop.saves_state(keras.callbacks.ModelCheckpoint(tmp_path / "a.keras"))
    assert fit_loop.saves_state(keras.callbacks.BackupAndRestore(tmp_path))
    assert fit_loop.saves_state(MyCheckpoint())
    assert not fit_loop.saves_state(keras.callbacks.EarlyStopping())


def test_fits_of_a_model_are_counted_and_how_often_its_train_function_was_made_anew(make_model):
    model, other = make_model(), make_model()
    counts = []
    for compiles in (False, False, True, True):
        if compiles:
            model.compile("sgd", "mse")
        model.make_train_function()
        counts.append(fit_loop.count_fits(model))
    other.make_train_function()
    before = counts[0][2]
    assert counts == [(1, 0, before), (2, 0, before), (3, 1, before), (4, 2, before)]
    assert fit_loop.count_fits(other) == (1, 0, before + 1)
    cell, again = (compile("", "cell", "exec") for _ in range(2))
    alike = []
    for program in (cell, cell, again):
        model = make_model()
        model.make_train_function()
        alike.append(fit_loop.count_fits(model, program)[2])
    assert alike == [0, 1, 0]
    another = keras.Sequential([keras.Input((4,)), keras.layers.Dense(77), keras.layers.Dense(1)])
    another.compile("sgd", "mse")
    another.make_train_function()
    assert fit_loop.count_fits(another) == (1, 0, 0)


def test_models_are_counted_while_they_are_in_memory(make_model, arrays):
    def trained():
        model = make_model()
        model.fit(*arrays, verbose=0)
        fit_loop.count_fits(model)
        return model

    gc.collect()
    before = fit_loop.live_models()
    kept = [trained(), trained()]
    assert fit_loop.live_models() == before + len(kept)
    kept.clear()
    gc.collect()
    assert fit_loop.live_models() == before
