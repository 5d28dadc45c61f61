"""The parts of a step as rules see them: shares of deep samples, of the time that steady steps take."""

import dataclasses

import pytest

from tb_trainspeed.profile import (
    Breakdown,
    Data,
    Device,
    Environment,
    Layer,
    LayerTime,
    Ledger,
    Model,
    Part,
    Profile,
    Steps,
)
from tb_trainspeed.rules.facts import FACTS
from tb_trainspeed.rules.optimizer import embedding
from tests.rules.optimizer import OP01, OP08


def part(name, mean_s):
    return Part(name, mean_s, mean_s, mean_s)


PROFILE = Profile(
    ledger=Ledger(2.0, 100, 1, {"startup": 1.0, "compute": 0.8, "optimizer": 0.2}),
    model=Model(layers=(Layer("lstm", "LSTM", 10, 10, path="lstm"), Layer("lstm_2", "LSTM", 10, 10, path="lstm_2"))),
    breakdown=Breakdown(
        1,
        3,
        (part("forward", 0.012), part("optimizer", 0.004), part("host_overhead", 0.004), part("input_wait", 0.5)),
        (LayerTime("lstm", 0.002, 0.001), LayerTime("lstm/lstm_cell", 0.004, 0.0), LayerTime("lstm_2", 0.006, 0.0)),
    ),
)


def test_the_arithmetic_of_a_sample():
    layers = (
        Layer("words", "Embedding", 10**6, 10**6, "(None, 20, 64)", forward_flops=0),
        Layer("each", "Dense", 64 * 8, 64 * 8, "(None, 20, 8)", forward_flops=2 * 20 * 64 * 8),
        Layer("pooled", "GlobalAveragePooling1D", 0, 0, "(None, 8)", forward_flops=160),
    )
    unknown = (*layers, Layer("own", "Mine", 100, 100, "(None, 7)"))
    uncounted = tuple(dataclasses.replace(layer, forward_flops=None) for layer in layers)
    counted = 3 * 2 * 20 * 64 * 8
    for kept, expected in ((layers, counted), (unknown, counted + 6 * 100), (uncounted, counted), ((), None)):
        assert FACTS["sample_flops"](dataclasses.replace(PROFILE, model=Model(layers=kept))) == expected


def test_the_parts_are_scaled_to_a_steady_step():
    """A sampled step computes for 20 ms, a steady one for 10."""
    assert FACTS["computing_s"](PROFILE) == pytest.approx(0.010)
    assert FACTS["optimizer_s"](PROFILE) == pytest.approx(0.002)


def test_what_is_inside_a_layer_counts_as_the_layer():
    assert FACTS["layer_s"](PROFILE) == {
        "lstm": (pytest.approx(0.003), pytest.approx(0.0005)),
        "lstm_2": (pytest.approx(0.003), 0.0),
    }


def test_without_deep_samples_no_part_is_known():
    for name in ("optimizer_s", "metrics_s", "layer_s"):
        assert FACTS[name](Profile(ledger=PROFILE.ledger)) is None


def test_metrics_have_no_share_of_the_gaps():
    parts = (part("forward", 0.01), part("metrics", 0.005), part("host_overhead", 0.005))
    profile = Profile(ledger=PROFILE.ledger, breakdown=Breakdown(1, 3, parts))
    assert FACTS["metrics_s"](profile) == pytest.approx(0.010 / 4)


@pytest.mark.parametrize(
    ("backend", "devices", "kind", "flops", "overhead_s"),
    [
        ("jax", (), "Dense", 1e6, 0.003),  # the host's dispatch
        ("torch", (Device("CPU", "cpu"),), "Dense", 1.2e6, 0.010 - 3 * 1.2e6 * 10 / 15e9),  # less the arithmetic
        ("torch", (Device("CPU", "cpu"),), "Dense", 0.0, 0.008),  # no more than one layer takes
        ("torch", (Device("CPU", "cpu"),), "LSTM", 0.0, 0.010),  # which calls its cell again and again
        ("torch", (Device("CPU", "cpu"),), "Dense", 1e9, 0.0),
        ("torch", (Device("CPU", "cpu"),), "Dense", None, None),
        ("torch", (Device("GPU", "cuda:0"),), "Dense", 1e6, None),
    ],
)
def test_the_overhead_of_a_step(backend, devices, kind, flops, overhead_s):
    profile = Profile(
        environment=Environment(backend=backend, devices=devices),
        data=Data(batch_size=10),
        ledger=PROFILE.ledger,
        model=Model(layers=(Layer("layer", kind, 10, 10, forward_flops=flops),)),
        steps=Steps(count=100, dispatch_s=0.003),
    )
    found = FACTS["overhead_s"](profile)
    assert found is None if overhead_s is None else found == pytest.approx(overhead_s)


def test_what_is_left_of_a_step_that_goes_through_a_table():
    """The host's part and the other layers, one of which frees the copy; never more than the table leaves already."""
    assert embedding.embedding_copied(**OP08).change.removes["device_s"].expected == pytest.approx(
        0.04 - 0.002 - 0.0015
    )
    slow_host = embedding.embedding_copied(**{**OP08, "told_dispatch_s": 0.02})
    assert slow_host.change.removes["device_s"].expected == pytest.approx(0.035)
    untimed = embedding.adam_on_embedding(**{**OP01, "timed_layers": {}})
    assert untimed.change.removes["device_s"].expected == pytest.approx(0.06 * 16 / 16.1)
