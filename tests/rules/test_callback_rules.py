"""What the CB rules say beside the cause: which remedy, of which callback, and whether it changes results."""

import dataclasses
import types

import pytest

from tb_trainspeed.profile import CallbackFacts, Data, Hook, NestedCall, Stage, Validation
from tb_trainspeed.rules import catalogue
from tb_trainspeed.rules.callbacks import batches, epochs, model_calls, shared, validation
from tests.rules.callbacks import (
    BATCH_HOOK,
    CB01,
    CB02,
    CB03,
    CB06,
    CB07,
    CB08,
    CB09,
    CB10,
    EPOCH_HOOK,
    SAVE_EACH,
    SAVE_EPOCHS,
    SAVES,
    SAVES_EPOCHS,
)
from tests.rules.rows import STEADY

STOPS = CallbackFacts("EarlyStopping", "MonitorCallback", {"monitor": "val_loss"})
BACKUP = CallbackFacts("BackupAndRestore", "Callback", {"save_freq": "epoch"})


def said(rule, facts, **changed):
    return rule(**{**facts, **changed})


# --- CB06


@pytest.mark.parametrize(
    ("callbacks", "options", "changes_results"),
    [
        ((), "validation_freq=5", "no"),
        ((STOPS,), "validation_freq=5", "training"),
        ((CallbackFacts("Patient", "EarlyStopping"),), "validation_freq=5", "training"),
        ((SAVE_EPOCHS,), "validation_batch_size=64, validation_steps=2", "training"),
        ((CallbackFacts("Mine", "ModelCheckpoint"),), "validation_batch_size=64, validation_steps=2", "training"),
        ((CallbackFacts("BestCheckpoint", "Callback"),), "validation_batch_size=64, validation_steps=2", "training"),
        ((dataclasses.replace(SAVE_EPOCHS, options={"monitor": "loss"}),), "validation_freq=5", "no"),
        ((dataclasses.replace(STOPS, options={"monitor": "loss"}),), "validation_freq=5", "no"),
        ((BACKUP,), "validation_freq=5", "no"),
    ],
)
def test_a_checkpoint_that_may_need_a_metric_of_the_validation_gets_one_in_every_epoch(
    callbacks, options, changes_results
):
    found = said(validation.validation_dominates, CB06, callbacks=callbacks)
    assert found.code.endswith(f"validation_data=..., {options})")
    assert found.changes_results == changes_results


@pytest.mark.parametrize(
    ("epochs_planned", "frequency", "proposed"), [(2, 1, 2), (10, 1, 5), (10, 5, 10), (12, 4, 12), (100, 5, 25)]
)
def test_there_is_a_validation_left(epochs_planned, frequency, proposed):
    once = dataclasses.replace(CB06["validation"], frequency=frequency)
    found = said(validation.validation_dominates, CB06, epochs_planned=epochs_planned, validation=once)
    assert f"validation_freq={proposed})" in found.code
    assert found.change.factors["validation_s"].expected == pytest.approx(frequency / proposed)


def test_on_torch_larger_batches_leave_little_of_what_validation_takes_beside_its_steps():
    steady = dataclasses.replace(CB06["steady"], phases={**CB06["steady"].phases, "validation": 3.0})
    small = Validation(runs=3, steps=300, step_s=0.002, batch_size=32)
    left = [
        said(validation.validation_dominates, CB06, backend=backend, validation=small, steady=steady)
        .change.factors["validation_s"].expected
        for backend in ("tensorflow", "torch")
    ]  # fmt: skip
    assert left[1] < left[0] / 2


def test_what_a_validation_takes_beside_its_steps_it_takes_for_fewer_batches_too():
    steady = dataclasses.replace(STEADY, phases={"validation": 3 * 0.4})  # steps of 0.2 s, and as much beside them
    found = said(validation.validation_dominates, CB06, callbacks=(SAVE_EPOCHS,), steady=steady)
    left = found.change.factors["validation_s"]
    assert left.expected == pytest.approx(0.2 + 0.8 * 0.5 * 0.8)
    assert left.low > left.expected > left.high > 0.2


@pytest.mark.parametrize("frequency", [1, None])
def test_of_data_other_than_arrays_nothing_is_said_of_batch_sizes(frequency):
    dataset = Validation(runs=3, steps=300, step_s=0.002, frequency=frequency)
    found = said(validation.validation_dominates, CB06, validation=dataset)
    assert "batch_size" not in found.code
    assert "in batches of" not in found.message
    assert ("every epoch" in found.message) == (frequency == 1)


# --- CB07


def test_the_passes_divide_the_epochs_if_they_can():
    exact = said(validation.tiny_epochs, CB07, epochs_planned=145)
    assert "repeat(29), epochs=5)" in exact.code
    assert (exact.changes_results, exact.change.factors["restart_s"].high) == ("no", pytest.approx(1 / 29))
    one_step = dataclasses.replace(CB07["steady"], steps_per_epoch=1)
    prime = said(validation.tiny_epochs, CB07, epochs_planned=19, steady=one_step)
    assert "repeat(9), epochs=2)" in prime.code
    assert "18 passes in all instead of 19" in prime.remedy
    assert prime.changes_results == "training"


@pytest.mark.parametrize(
    ("data", "trains"),
    [
        (Data("TFDatasetAdapter", stages=(Stage("Batch"), Stage("Repeat", count=-1))), "model.fit(dataset, "),
        (Data("TFDatasetAdapter", stages=(Stage("Repeat", count=3), Stage("Batch"))), "model.fit(dataset.repeat(), "),
        (Data("ArrayDataAdapter", batch_size=8), "model.fit(dataset.repeat(), "),
        (Data("GeneratorDataAdapter"), "model.fit(generator, "),
        (Data("PyDatasetAdapter"), "model.fit(train, "),
        (Data("TorchDataLoaderAdapter"), "model.fit(forever(loader), "),
    ],
    ids=lambda value: value.adapter if isinstance(value, Data) else None,
)
def test_epochs_of_so_many_steps_become_longer_by_that_number(data, trains):
    data = dataclasses.replace(data, steps_per_epoch=2)
    found = said(validation.tiny_epochs, CB07, data=data)
    assert f"+ {trains}steps_per_epoch=100, epochs=3)" in found.code
    assert "steps_per_epoch=2, epochs=150)" in found.code


# --- CB03


def saving(**changed):
    return said(model_calls.checkpoint_too_often, CB03, **changed)


@pytest.mark.parametrize(
    ("epochs_planned", "saver", "frequency", "after_fit"),
    [
        (3, SAVE_EPOCHS, 300, '+ model.save("last.keras")'),
        (12, SAVE_EPOCHS, 500, '+ model.save("last.keras")'),
        (
            12,
            CallbackFacts("Mine", "ModelCheckpoint", {"save_freq": "epoch", "save_weights_only": "True"}),
            500,
            '+ model.save_weights("last.weights.h5")',
        ),
        (12, BACKUP, 500, ""),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_last_epoch_is_saved_whatever_their_number(epochs_planned, saver, frequency, after_fit):
    row = dataclasses.replace(SAVES_EPOCHS, callback=saver.name)
    found = saving(hooks=(row,), callbacks=(saver,), epochs_planned=epochs_planned)
    first, _, rest = found.code.partition("  model.fit(...)\n")
    assert first.rstrip() == f"- {saver.name}(...)\n+ {saver.name}(..., save_freq={frequency})"
    assert rest == after_fit
    assert found.change.factors["checkpointing_s"].expected == pytest.approx(100 / frequency)


def test_keras_counts_whole_calls_of_several_steps():
    found = saving(hooks=(SAVES_EPOCHS,), callbacks=(SAVE_EPOCHS,), steps_per_execution=32)
    assert f"save_freq={5 * 128})" in found.code


def test_of_two_checkpoints_one_is_told_of():
    second = dataclasses.replace(SAVES, callback="ModelCheckpoint #2", total_s=9.0)
    every_tenth = dataclasses.replace(SAVE_EACH, options={"save_freq": "10"})
    found = saving(hooks=(SAVES, second), callbacks=(SAVE_EACH, STOPS, every_tenth))
    assert "`ModelCheckpoint #2` saves every 10 batches, 300 ms each: 30 % of training" in found.message
    assert "- ModelCheckpoint(..., save_freq=10)" in found.code
    assert found.change.factors["checkpointing_s"].expected == pytest.approx(1 - 0.75 * 0.9)
    assert found.bars["checkpoints an epoch"] == pytest.approx(0.3 * STEADY.epoch_s)


def test_no_more_is_saved_than_hooks_are_called():
    found = saving(hooks=(dataclasses.replace(SAVES, calls=10),), steps_per_execution=32)
    assert found.evidence["saves"] == "10"


def test_a_callback_of_the_users_own_gets_no_options_of_keras():
    mine = CallbackFacts("MyCheckpoint", "Callback", {"save_freq": "2"})
    each_batch = dataclasses.replace(SAVES, callback="MyCheckpoint", max_s=0.5)
    found = saving(hooks=(each_batch,), callbacks=(mine,))
    assert "save_freq" not in found.code
    assert "in `on_train_batch_end`" in found.message
    assert found.evidence["saves"] == "6"  # the slowest of 3 s took half a second
    each_epoch = dataclasses.replace(SAVES_EPOCHS, callback="MyCheckpoint")
    found = saving(hooks=(each_epoch,), callbacks=(mine,), epochs_planned=12)
    assert "save_freq" not in found.code
    assert "if (epoch + 1) % 5:" in found.code
    assert "in `on_epoch_end`" in found.message


# --- CB08


def test_of_keras_own_callbacks_an_instance_says_that_it_is_safe():
    hooks = (BATCH_HOOK, SAVES, dataclasses.replace(SAVES, callback="Mine"))
    mine = CallbackFacts("Mine", "ModelCheckpoint", SAVE_EPOCHS.options)
    found = said(batches.synchronous_callback, CB08, hooks=hooks, callbacks=(*CB08["callbacks"], SAVE_EPOCHS, mine))
    assert found.code == (
        "  class Logger(keras.callbacks.Callback):\n+     async_safe = True\n"
        "+ checkpoint.async_safe = True\n"
        "  class Mine(keras.callbacks.ModelCheckpoint):\n+     async_safe = True"
    )


# --- several steps a call, and labels


@pytest.mark.parametrize(
    ("steps_per_execution", "batch_numbers", "worked"),
    [(1, range(101), [0, 50, 100]), (32, range(31, 32 * 101, 32), [31, 50 * 32 + 31, 100 * 32 + 31])],
)
@pytest.mark.parametrize(("rule", "facts"), [(batches.slow_batch_callback, CB01), (batches.weights_each_batch, CB09)])
def test_a_hook_works_in_one_call_of_fifty(rule, facts, steps_per_execution, batch_numbers, worked):
    code = said(rule, facts, steps_per_execution=steps_per_execution).code
    lines = [line[2:] for line in code.splitlines()]
    names, callback = {}, types.SimpleNamespace(seen=[])
    exec("\n".join([*lines, "    self.seen.append(batch)"]), names)
    for batch in batch_numbers:
        names["on_train_batch_end"](callback, batch)
    assert callback.seen == worked


@pytest.mark.parametrize(
    ("rule", "facts"),
    [
        (batches.slow_batch_callback, CB01),
        (batches.weights_each_batch, CB09),
        (model_calls.predict_in_callback, CB02),
        (epochs.epoch_end_heavy, CB10),
    ],
    ids=["CB01", "CB09", "CB02", "CB10"],
)
@pytest.mark.parametrize(
    ("name", "kind", "changes_results"),
    [
        ("Plots", "Callback", "no"),
        ("EarlyStopping", "MonitorCallback", "training"),
        ("Patient", "EarlyStopping", "training"),
        ("WarmUp", "Callback", "training"),
        ("Unfreeze", "Callback", "training"),
    ],
)
def test_what_decides_how_training_goes_on_changes_it_when_it_is_asked_less_often(
    rule, facts, name, kind, changes_results
):
    called = {"callback": f"{name} #2"}
    changed = {
        "callbacks": (CallbackFacts(name, kind), CallbackFacts(name, kind)),
        "hooks": tuple(dataclasses.replace(row, **called) for row in facts.get("hooks", ())),
        "nested_calls": tuple(dataclasses.replace(call, **called) for call in facts["nested_calls"]),
    }
    found = rule(**{**facts, **{key: value for key, value in changed.items() if key in facts}})
    assert found.changes_results == changes_results
    assert ("thread" in found.remedy) == (rule is epochs.epoch_end_heavy and changes_results == "no")


def test_nobody_is_told_to_change_the_code_of_keras():
    stops = dataclasses.replace(EPOCH_HOOK, callback="EarlyStopping")
    found = said(epochs.epoch_end_heavy, CB10, hooks=(stops,), callbacks=(STOPS,))
    assert found.code.startswith("+ class Seldom(keras.callbacks.EarlyStopping):")
    assert "super().on_epoch_end(epoch, logs)" in found.code


# --- symptoms, and whose row it is


def test_other_code_than_what_predicts_or_draws_histograms_is_no_symptom_of_it():
    """The rules leave out the hooks of that callback themselves."""
    silences = {rule.code: rule.silences for rule in catalogue()}
    assert silences["CB02"] == silences["CB04"] == ()


def test_the_hook_that_predicts_is_left_out_and_another_is_not():
    predicts = NestedCall("Predicts", "on_train_batch_end", "predict", 300, 9.0)
    dearer = dataclasses.replace(BATCH_HOOK, callback="Predicts", total_s=9.0)
    found = said(batches.slow_batch_callback, CB01, hooks=(BATCH_HOOK, dearer), nested_calls=(predicts,))
    assert found.message.startswith("`Logger.")


@pytest.mark.parametrize(
    ("label", "own"), [("History", True), ("History #2", True), ("HistoryPlotter", False), ("ProgbarLoggerX", False)]
)
def test_callbacks_whose_names_begin_like_those_of_keras_are_none_of_them(label, own):
    assert shared.is_keras_own(Hook(label, "on_epoch_end", "callbacks", 1, 1.0, 1.0)) is own


def test_the_facts_of_a_callback_are_found_by_its_number():
    facts = (SAVE_EACH, STOPS, SAVE_EPOCHS)
    assert shared.facts_of("ModelCheckpoint", facts) is SAVE_EACH
    assert shared.facts_of("ModelCheckpoint #2", facts) is SAVE_EPOCHS
    assert shared.facts_of("ModelCheckpoint #3", facts) == CallbackFacts("ModelCheckpoint", "")


def test_predictions_that_a_checkpoint_acts_on_are_made_in_every_epoch():
    of_epochs = {"nested_calls": (NestedCall("F1", "on_epoch_end", "predict", 3, 1.4),)}
    seldom = model_calls.predict_in_callback(**{**CB02, **of_epochs})
    assert "if epoch % 5 == 0:" in seldom.code
    keeps = CallbackFacts("ModelCheckpoint", "Callback", {"monitor": "f1", "save_best_only": "True"})
    always = model_calls.predict_in_callback(**{**CB02, **of_epochs, "callbacks": (keeps,)})
    assert always.code == "- y = self.model.predict(x)\n+ y = self.model.predict(x, batch_size=1024, verbose=0)"
    assert "`ModelCheckpoint` acts on" in always.remedy
    assert always.change.removes["epoch_callbacks_s"].expected < seldom.change.removes["epoch_callbacks_s"].expected
    plain = dataclasses.replace(keeps, options={"monitor": "val_loss"})
    assert model_calls.predict_in_callback(**{**CB02, **of_epochs, "callbacks": (plain,)}).code == seldom.code
