"""Which records are of one fit."""

import pytest

from tb_trainspeed.summary import Place, join_workers

CHIEF = Place("r", 1, 0, 100.0, 200.0)


def joined(*places):
    return [[place.worker for place in group] for group in join_workers(places, lambda place: place)]


def test_workers_that_run_at_the_same_time_are_one_fit_in_the_order_of_their_numbers():
    assert joined(Place("r", 1, 2, 99.0, 200.0), CHIEF, Place("r", 1, 1, 101.0, 150.0)) == [[0, 1, 2]]


@pytest.mark.parametrize(
    "other",
    [
        Place("other", 1, 1, 100.0, 200.0),
        Place("r", 2, 1, 100.0, 200.0),
        Place("r", 1, 0, 150.0, 300.0),
        Place("r", 1, 1, 201.0, 300.0),
    ],
    ids=["another run", "another fit of the process", "the same worker", "started after the end"],
)
def test_what_is_not_one_fit(other):
    assert sorted(joined(CHIEF, other)) == sorted([[CHIEF.worker], [other.worker]])


def test_many_fits_of_one_directory():
    places = [Place("tuner", 1, 0, float(start), start + 0.5) for start in range(20_000)]
    assert join_workers(places, lambda place: place) == [(place,) for place in places]


def test_a_fit_that_was_started_again_joins_its_own_workers():
    again = [Place("r", 1, worker, 300.0 + worker, 400.0) for worker in (0, 1)]
    assert joined(CHIEF, Place("r", 1, 1, 101.0, 200.0), *again) == [[0, 1], [0, 1]]
