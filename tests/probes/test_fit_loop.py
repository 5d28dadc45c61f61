"""Everything that is replaced in a live object is put back as it was."""

import gc

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


def test_there_is_no_fit_loop_outside_a_fit():
    assert fit_loop.find_fit_loop() is None


class MyCheckpoint(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        pass

    def on_test_end(self, logs=None):
        pass


def test_hooks_and_their_phases():
    recorder, undo = FitRecorder(), Undo()
    callbacks = [
        MyCheckpoint(),
        keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None),
        keras.callbacks.Callback(),
    ]
    fit_loop.time_callbacks(callbacks, recorder, undo, lambda: None)
    assert [(row.callback, row.hook, row.phase) for row in recorder.hooks.rows] == [
        ("MyCheckpoint", "on_epoch_end", "checkpointing"),
        ("MyCheckpoint", "on_test_end", "validation"),
        ("LambdaCallback", "on_train_batch_end", "callbacks"),
    ]
    undo.run()


def test_what_saves_state(tmp_path):
    assert fit_loop.saves_state(keras.callbacks.ModelCheckpoint(tmp_path / "a.keras"))
    assert fit_loop.saves_state(keras.callbacks.BackupAndRestore(tmp_path))
    assert fit_loop.saves_state(MyCheckpoint())
    assert not fit_loop.saves_state(keras.callbacks.EarlyStopping())


def test_fits_of_a_model_are_counted_and_how_often_its_train_function_was_made_anew(make_model, arrays):
    model, other = make_model(), make_model()
    counts = []
    for compiles in (False, False, True, True):
        if compiles:
            model.compile("sgd", "mse")
        model.fit(*arrays, verbose=0)
        counts.append(fit_loop.count_fits(model))
    other.fit(*arrays, verbose=0)
    assert counts == [(1, 0), (2, 0), (3, 1), (4, 2)]
    assert fit_loop.count_fits(other) == (1, 0)


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
