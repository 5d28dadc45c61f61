"""Real fits: the true cause is named first, and where there is none nothing is named."""

import pytest

from benchmarks import zoo


@pytest.mark.parametrize("case", zoo.CASES, ids=lambda case: case.name)
@pytest.mark.filterwarnings("ignore:.shuffle=True. was passed:UserWarning")
def test_the_cause_comes_first(case):
    report = zoo.measure(case.slow)
    assert [finding.code for finding in report.findings][:1] == ([case.cause] if case.cause else []), str(report)
