"""Usage over time keeps means, extremes and its size, however long the run is."""

import pytest

from tb_trainspeed.recorder.usage import BUCKETS, UsageLog


def test_nothing_was_sampled():
    assert UsageLog().facts().columns == {}


def test_a_bucket_holds_the_mean_the_most_or_the_least():
    log = UsageLog(most=["peak"], least=["floor"])
    for at_s, value in ((0.5, 1.0), (1.5, 3.0), (2.5, 7.0)):
        log.add(at_s, {"mean": value, "peak": value, "floor": value})
    found = log.facts()
    assert found.bucket_s == 2.0
    assert found.columns == {"mean": (2.0, 7.0), "peak": (3.0, 7.0), "floor": (1.0, 7.0)}


def test_what_was_not_sampled_is_none():
    log = UsageLog()
    log.add(0.0, {"a": 1.0, "b": None})
    log.add(5.0, {"a": 2.0, "c": 0.0})
    assert log.facts().columns == {"a": (1.0, None, 2.0), "c": (None, None, 0.0)}


@pytest.mark.parametrize("seconds", [127, 128, 129, 1000, 36_000])
def test_buckets_merge_as_the_run_grows(seconds):
    log = UsageLog(most=["peak"], least=["floor"])
    for second in range(seconds):
        log.add(second, {"mean": float(second), "peak": float(second), "floor": float(second)})
    found = log.facts()
    columns = found.columns
    assert len(columns["mean"]) == -(-seconds // int(found.bucket_s))
    assert BUCKETS // 2 < len(columns["mean"]) <= BUCKETS
    for bucket in range(len(columns["mean"])):
        first = int(bucket * found.bucket_s)
        last = min(seconds, first + int(found.bucket_s)) - 1
        assert columns["mean"][bucket] == (first + last) / 2
        assert (columns["floor"][bucket], columns["peak"][bucket]) == (first, last)


def test_a_pause_of_hours():
    log = UsageLog()
    log.add(0.0, {"a": 1.0})
    log.add(100_000.0, {"a": 3.0})
    column = log.facts().columns["a"]
    assert (column[0], column[-1], set(column[1:-1])) == (1.0, 3.0, {None})
    assert len(column) <= BUCKETS
