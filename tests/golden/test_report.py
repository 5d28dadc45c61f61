"""The report on a stored fit stays what it is, field for field: the panel's tests read the same file."""

import json

from tests.golden.make_report import REPORT, make_report


def test_the_golden_report():
    """If the change is wanted: python -m tests.golden.make_report, then `npm run check` in frontend/."""
    report = json.loads(json.dumps(make_report(), allow_nan=False))
    assert report == json.loads(REPORT.read_text("utf-8"))


def test_it_has_what_the_tests_of_the_panel_need():
    report = make_report()
    assert report["verdict"].startswith("Waiting for data")
    assert report["steady"]
    assert report["timeline"]["first_step"]
    assert any("- " in finding["remedy"]["code"] for finding in report["findings"])
