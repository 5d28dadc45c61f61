"""Workers side by side, on time lines whose numbers are known."""

import dataclasses
import json

import pytest

from tb_trainspeed.report import workers_of
from tests.report.fits import fit

FAST = fit(step_s=0.04, wait_s=0.001, collectives=0.02, worker=0)
#: In synchronous training all steps are equally long: the straggler is the one that does not wait for the others.
SLOW = fit(step_s=0.04, wait_s=0.001, collectives=0.001, worker=1)


def test_one_worker_needs_no_map():
    assert workers_of([FAST]) is None
    assert workers_of([]) is None


def test_the_straggler_is_the_one_that_others_wait_for():
    joined = workers_of([FAST, SLOW, dataclasses.replace(FAST, worker=2)])
    assert [row["worker"] for row in joined["workers"]] == [0, 1, 2]
    assert [row["straggler"] for row in joined["workers"]] == [False, True, False]
    assert [row["own_s"] for row in joined["workers"]] == pytest.approx([0.02, 0.039, 0.02])
    assert joined["slow"] == [[False] * 5, [True] * 5, [False] * 5]
    assert joined["phases"]["collectives"][1] == pytest.approx([0.001] * 5)
    json.dumps(joined, allow_nan=False)


def test_of_two_the_faster_one_is_the_measure():
    assert [row["straggler"] for row in workers_of([FAST, SLOW])["workers"]] == [False, True]


def test_workers_of_the_same_speed_do_not_straggle():
    joined = workers_of([FAST, dataclasses.replace(FAST, worker=1)])
    assert not any(row["straggler"] for row in joined["workers"])
    assert not any(any(row) for row in joined["slow"])


def test_without_the_wait_for_others_nobody_is_accused():
    joined = workers_of([fit(worker=0), fit(worker=1, step_s=0.08)])
    assert joined["waiting_measured"] is False
    assert not any(row["straggler"] for row in joined["workers"])
    assert joined["own"][1] == pytest.approx([0.08] * 5)


def test_time_lines_of_different_grain_meet_at_the_coarser_one():
    coarse = fit(step_s=0.04, collectives=0.001, steps=200, epochs=3, worker=1)
    joined = workers_of([fit(step_s=0.04, collectives=0.001, steps=100, epochs=6), coarse])
    assert joined["first_step"] == [0, 200, 400]
    assert (joined["steps_per_column"], joined["last_step"]) == (200, 600)
    assert joined["own"][0] == pytest.approx(joined["own"][1])


def test_a_worker_that_lags_behind_has_holes_and_not_zeros():
    joined = workers_of([FAST, fit(collectives=0.001, epochs=3, worker=1)])
    assert joined["own"][1][3:] == [None, None]
    assert joined["slow"][1][3:] == [False, False]


def test_seconds_survive_however_many_columns_merge():
    joined = workers_of([fit(epochs=500, jitter=0.3, collectives=0.001), fit(epochs=500, collectives=0.001, worker=1)])
    assert len(joined["first_step"]) <= 60
    steps = joined["steps_per_column"]
    whole = [min(steps, 500 * 100 - first) for first in joined["first_step"]]
    own_s = fit(epochs=500, jitter=0.3).ledger.wall_s - 0.001 * 50_000
    assert sum(a * b for a, b in zip(joined["own"][0], whole, strict=True)) == pytest.approx(own_s)


def test_what_comes_after_the_last_step_is_no_column():
    line = FAST.timeline
    tail = {name: (*column, 0.5) for name, column in line.phases.items()}
    longer = dataclasses.replace(
        line,
        first_step=(*line.first_step, 500),
        steps=(*line.steps, 0),
        start_s=(*line.start_s, 20.0),
        wall_s=(*line.wall_s, 0.5),
        slowest_step_s=(*line.slowest_step_s, 0.0),
        phases=tail,
    )
    joined = workers_of([dataclasses.replace(FAST, timeline=longer), SLOW])
    assert joined == workers_of([FAST, SLOW])
