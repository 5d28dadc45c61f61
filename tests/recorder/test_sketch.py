"""Quantiles within 1 %, however many durations there were."""

import random

import numpy as np
import pytest

from tb_trainspeed.recorder import Sketch

SHARES = (0.01, 0.05, 0.5, 0.95, 0.99, 0.999)


@pytest.mark.parametrize("count", [100, 10_000, 50_000])
@pytest.mark.parametrize("sigma", [0.1, 1.0, 3.0])
def test_relative_error(count, sigma):
    durations = (np.random.default_rng(0).lognormal(np.log(5e6), sigma, count)).astype(int) + 50
    sketch = Sketch()
    for duration in durations.tolist():
        sketch.add(duration)
    exact = np.quantile(durations, SHARES, method="lower")
    np.testing.assert_allclose(sketch.quantiles_ns(*SHARES), exact, rtol=0.0101)


def test_summary():
    sketch = Sketch()
    for duration in (1_000_000, 2_000_000, 3_000_000):
        sketch.add(duration)
    summary = sketch.summary()
    assert summary.count == 3
    assert summary.mean_s == pytest.approx(0.002)
    assert summary.max_s == pytest.approx(0.003)
    assert summary.p50_s == pytest.approx(0.002, rel=0.01)


def test_no_quantile_above_the_maximum():
    sketch = Sketch()
    sketch.add(1_000_000)
    assert sketch.summary().p99_s <= sketch.summary().max_s


def test_nothing_added():
    assert Sketch().summary() is None
    assert Sketch().quantiles_ns(0.5) == [0.0]


def test_durations_of_nothing():
    sketch = Sketch()
    sketch.add(0)
    assert sketch.quantiles_ns(0.5) == [0.0]


def test_constant_size():
    rng = random.Random(0)
    sketch = Sketch()
    for _ in range(50_000):
        sketch.add(int(10 ** rng.uniform(0, 12)))  # from a nanosecond to a quarter of an hour
    assert len(sketch._counts) < 1500
