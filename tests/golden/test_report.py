"""The report on a stored fit stays what it is, field for field: the panel's tests read the same file."""

import json

import pytest

from tests.golden import make_report as golden
from tests.golden.make_report import make_report


@pytest.mark.parametrize(
    ("file", "make"),
    [
        (golden.REPORT, make_report),
        (golden.COMPARISON, golden.make_comparison),
        (golden.WORKERS, golden.make_workers),
    ],
    ids=["report", "comparison", "workers"],
)
def test_the_golden_files(file, make):
    """If the change is wanted: python -m tests.golden.make_report, then `npm run check` in frontend/."""
    assert json.loads(json.dumps(make(), allow_nan=False)) == json.loads(file.read_text("utf-8"))


def test_it_has_what_the_tests_of_the_panel_need():
    report = make_report()
    assert report["verdict"].startswith("Waiting for data")
    assert report["steady"]
    assert report["timeline"]["first_step"]
    assert any("- " in finding["remedy"]["code"] for finding in report["findings"])
