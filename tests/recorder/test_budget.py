"""What samples of steps may cost."""

import pytest

from tb_trainspeed.recorder import Budget

SECOND_NS = 10**9


@pytest.fixture
def spending():
    """A budget of 1 %, of which samples have three tenths, and wait(seconds), which moves its clock."""
    now = [0]

    def wait(seconds):
        now[0] += seconds * SECOND_NS

    return Budget(0.01, now=lambda: now[0]), wait


def test_a_few_samples_are_allowed_from_the_start_and_more_as_time_passes(spending):
    budget, wait = spending
    assert budget.allows(0.04 * SECOND_NS)
    assert not budget.allows(0.041 * SECOND_NS)
    budget.spend(int(0.04 * SECOND_NS))
    wait(13)
    assert not budget.allows(0.001 * SECOND_NS)
    wait(1)
    assert budget.allows(0.001 * SECOND_NS)


def test_a_fit_after_another_of_the_same_model_earns_all_of_it(spending):
    budget, wait = spending
    budget.earn_all()
    wait(1)
    assert not budget.allows(0.004 * SECOND_NS)
    wait(1)
    assert budget.allows(0.004 * SECOND_NS)


def test_nothing_is_allowed_without_overhead():
    assert not Budget(0.0).allows(0.0)
