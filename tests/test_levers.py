"""Levers: offered where their facts are known, and true to the model at both ends."""

import dataclasses

import pytest

from tb_trainspeed import whatif
from tb_trainspeed.levers import levers_of
from tb_trainspeed.profile import (
    Breakdown,
    CallbackFacts,
    Data,
    Device,
    Environment,
    Layer,
    LayerTime,
    Ledger,
    Model,
    Part,
    Profile,
    Source,
    Steps,
    Validation,
)
from tb_trainspeed.rules import check
from tb_trainspeed.whatif.changes import apply

PHASES = {"input_wait": 3.0, "compute": 1.0, "validation": 0.5}
PYDATASET = Data("PyDatasetAdapter", "Photos", 32, workers=1, source=Source("f", 100, 4.0, 0.2))
PROFILE = Profile(
    environment=Environment(cores=4.0, devices=(Device("CPU", "cpu"),)),
    epochs_planned=10,
    model=Model(layers=(Layer("dense", "Dense", 100_000, 100_000, "(None, 10)"),)),
    data=PYDATASET,
    validation=Validation(2, 20, frequency=1),
    ledger=Ledger(9.0, 200, 2, PHASES),
    steady=Ledger(4.5, 100, 1, PHASES),
    steps=Steps(200, dispatch_s=0.002, cpu_s=0.01),
    breakdown=Breakdown(
        3,
        9,
        (Part("forward", 3e-3, 0, 0), Part("backward", 6e-3, 0, 0), Part("optimizer", 1e-3, 0, 0)),
        (LayerTime("dense", 2e-3, 4e-3), LayerTime("a/b,c:d", 1e-3, 2e-3), LayerTime("nothing", 0.0, 0.0)),
    ),
)
BUSY = {**PHASES, "input_wait": 0.0}


def offered(profile):
    model = whatif.baseline(profile)
    found = {done.rule.code: done.found for done in check(profile) if done.found}
    return {lever.code: lever for lever in levers_of(profile, model, found)}


def gain(profile, **settings):
    levers, model = offered(profile), whatif.baseline(profile)
    changes = [levers[code.replace("__", ":")].change(value) for code, value in settings.items()]
    return whatif.predict(model, changes).speedup


def test_all_levers():
    levers = offered(PROFILE)
    assert list(levers) == ["workers", "batch_size", "validation_freq", "layer:dense", "layer:a/b,c:d"]
    for lever in levers.values():
        assert lever.current in lever.values
        assert list(lever.values) == sorted(lever.values)
        assert lever.note
        assert "change" not in lever.to_dict()


def test_validating_less_often_is_no_safe_change_where_a_callback_watches_it():
    def beside(monitor):
        facts = CallbackFacts("EarlyStopping", "EarlyStopping", {"monitor": monitor})
        return offered(dataclasses.replace(PROFILE, callbacks=(facts,)))["validation_freq"].changes_results

    assert offered(PROFILE)["validation_freq"].changes_results == "no"
    assert [beside("val_accuracy"), beside("loss")] == ["training", "no"]


def test_a_layer_made_of_others_is_one_lever():
    """As TensorFlow and JAX name what an `LSTM` computes itself, and what its cell does."""
    times = (LayerTime("rnn", 1e-3, 1e-3), LayerTime("rnn/lstm_cell", 3e-3, 3e-3))
    model = Model(layers=(Layer("rnn", "LSTM", 10, 10, path="rnn"),))
    breakdown = dataclasses.replace(PROFILE.breakdown, layers=times)
    levers = offered(dataclasses.replace(PROFILE, model=model, breakdown=breakdown))
    assert [(code, levers[code].title) for code in levers if code.startswith("layer:")] == [
        ("layer:rnn", "rnn (90 % of computing)")
    ]


def test_workers_of_a_dataset_that_draws_are_no_safe_change():
    draws = dataclasses.replace(PYDATASET, options={"random": "Photos.augment"})
    for data, result in ((PYDATASET, "no"), (draws, "training")):
        lever = offered(dataclasses.replace(PROFILE, data=data))["workers"]
        assert lever.changes_results == result
        assert ("random numbers" in lever.note) == (result == "training")


@pytest.mark.parametrize(
    ("batch_size", "replaced"), [(64, ("CB06",)), (32, ())], ids=["less often", "in larger batches"]
)
def test_the_frequency_of_validation_stands_for_a_remedy_that_sets_it(batch_size, replaced):
    validation = Validation(2, 2000, 0.002, batch_size, frequency=1)
    phases = {**PHASES, "validation": 2.0}
    layers = tuple(dataclasses.replace(layer, forward_flops=1000) for layer in PROFILE.model.layers)
    profile = dataclasses.replace(
        PROFILE, validation=validation, steady=Ledger(6.0, 100, 1, phases), ledger=Ledger(12.0, 200, 2, phases),
        model=Model(layers=layers), environment=dataclasses.replace(PROFILE.environment, backend="tensorflow"),
    )  # fmt: skip
    assert "CB06" in {done.rule.code for done in check(profile) if done.found}
    assert offered(profile)["validation_freq"].replaces == replaced


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("workers", {"data": dataclasses.replace(PYDATASET, source=None)}),
        ("workers", {"data": dataclasses.replace(PYDATASET, workers=4)}),
        ("workers", {"data": dataclasses.replace(PYDATASET, adapter="TFDatasetAdapter")}),
        ("batch_size", {"model": Model()}),
        ("batch_size", {"data": dataclasses.replace(PYDATASET, batch_size=None)}),
        ("batch_size", {"environment": Environment(cores=4.0, devices=(Device("GPU", "H100"),))}),
        ("validation_freq", {"validation": None}),
        ("validation_freq", {"validation": Validation(2, 20, frequency=None)}),  # a list of epochs
        ("validation_freq", {"epochs_planned": 1}),
        ("layer:dense", {"breakdown": None}),
        ("layer:dense", {"breakdown": Breakdown()}),
    ],
)
def test_a_lever_without_its_facts_is_not_offered(code, changes):
    assert code in offered(PROFILE)
    assert code not in offered(dataclasses.replace(PROFILE, **changes))


def test_workers_remove_what_the_step_waits_for_up_to_what_computing_allows():
    two, four, sixteen = (gain(PROFILE, workers=count) for count in (2, 4, 16))
    assert 1.5 < two.expected < four.expected < sixteen.expected
    assert 4.5 / 1.5 < sixteen.expected < 4.5 / (0.7 * 1.5)  # a step that need not wait is up to 30 % faster


def test_a_larger_batch_saves_overhead_and_never_more_than_all_of_it():
    profile = dataclasses.replace(PROFILE, steady=Ledger(1.5, 100, 1, BUSY), data=Data("ArrayDataAdapter", "", 32))
    twice, most = gain(profile, batch_size=64), gain(profile, batch_size=512)
    assert 1.0 < twice.expected < most.expected
    # Validation stays. The range is wider than the model, by what no part of it explains.
    change = offered(profile)["batch_size"].change(512)
    assert apply(whatif.baseline(profile), [change], "high").epoch_s(1.0) > 0.5
    assert most.expected < 1.5 / 0.5


ARRAYS = Data("ArrayDataAdapter", "", 32)


def test_a_batch_whose_source_is_not_known_may_come_less_fast():
    profile = dataclasses.replace(PROFILE, steady=Ledger(1.5, 100, 1, BUSY), data=Data("TFDatasetAdapter", "", 32))
    unknown, known = gain(profile, batch_size=128), gain(dataclasses.replace(profile, data=ARRAYS), batch_size=128)
    assert unknown.expected == known.expected
    assert unknown.low < known.low


def test_validating_every_other_epoch_saves_half_of_it():
    assert gain(PROFILE, validation_freq=2).expected == pytest.approx(4.5 / 4.25)


def test_a_layer_counts_by_its_share_of_computing_and_larger_ones_make_a_step_slower():
    steps = dataclasses.replace(PROFILE.steps, dispatch_s=0.0)
    profile = dataclasses.replace(PROFILE, steady=Ledger(1.5, 100, 1, BUSY), data=Data(), steps=steps)
    half, twice = gain(profile, layer__dense=0.5), gain(profile, layer__dense=2.0)
    # 60 % of a computing second are in the layer.
    assert half.expected == pytest.approx(1.5 / 1.2)
    assert half.low < half.expected <= half.high
    assert twice.expected == pytest.approx(1.5 / 2.1)
    assert twice.low < twice.expected < twice.high


def test_levers_and_remedies_leave_the_cpu_time_of_the_source_where_it_is():
    profile = dataclasses.replace(PROFILE, steps=Steps(200, dispatch_s=0.0, cpu_s=0.01))
    model, levers = whatif.baseline(profile), offered(profile)
    for value in (0.5, 2.0):
        after = whatif.apply(model, [levers["layer:dense"].change(value)], "expected")
        assert after.cpu_s == pytest.approx(0.002 + 0.008 * (1 + 0.6 * (value - 1)))
