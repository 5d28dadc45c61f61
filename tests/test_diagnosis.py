"""Real fits: the true cause is named first, and where there is none nothing is named."""

import pytest

from benchmarks import zoo


@pytest.mark.parametrize(
    "case", [case for case in zoo.CASES if case.quick and zoo.on_this_backend(case)], ids=lambda case: case.name
)
@pytest.mark.filterwarnings("ignore:.shuffle=True. was passed:UserWarning")
def test_the_cause_comes_first(case):
    # A shared machine can stall in the middle of a fit, and the stall is then the truth about that fit: an answer
    # is wrong if it is wrong twice in a row.
    for _ in range(2):
        report = zoo.run(case)
        if case.right([finding.code for finding in report.findings]):
            return
    pytest.fail(str(report))
