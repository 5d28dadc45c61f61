"""The command line, on golden records: none of it needs Keras."""

import json
import pathlib
import subprocess
import sys

import pytest

from tb_trainspeed.cli import main
from tb_trainspeed.rules import catalogue
from tb_trainspeed.summary import EventFile, encode, fit_directory
from tests.report.fits import fit

GOLDEN = str(pathlib.Path(__file__).parent / "golden" / "event_files")


def test_report_as_text(capsys):
    assert main(["report", GOLDEN]) == 0
    assert "TrainSpeed ───" in capsys.readouterr().out


def test_report_as_json_of_the_latest_and_of_all(capsys):
    assert main(["report", GOLDEN, "--format", "json"]) == 0
    latest = json.loads(capsys.readouterr().out)
    assert main(["report", GOLDEN, "--format", "json", "--all"]) == 0
    everything = json.loads(capsys.readouterr().out)
    assert latest["fit_id"] in [report["fit_id"] for report in everything]


def put(folder, profile):
    events = EventFile(fit_directory(str(folder), profile.fit_id))
    events.write(0, profile.updated_at_s, {"profile": encode(profile)})
    events.close()
    return str(folder)


@pytest.mark.parametrize(("kind", "start"), [("markdown", "## "), ("html", "<!DOCTYPE html>")])
def test_report_as_a_file(kind, start, capsys):
    assert main(["report", GOLDEN, "--format", kind]) == 0
    assert capsys.readouterr().out.startswith(start)


def test_a_page_holds_one_fit(capsys):
    assert main(["report", GOLDEN, "--format", "html", "--all"]) == 2
    assert "--all" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["text", "json", "markdown"])
def test_compare(kind, tmp_path, capsys):
    a, b = put(tmp_path / "a", fit()), put(tmp_path / "b", fit(step_s=0.02, wait_s=0.005))
    assert main(["compare", a, b, "--format", kind]) == 0
    said = capsys.readouterr().out
    assert "2× faster" in said or json.loads(said)["speedup"] == pytest.approx(2.0)
    assert main(["compare", a, str(tmp_path / "nowhere")]) == 1


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ([], 1),
        (["--codes", "IP01"], 1),
        (["--codes", "IP"], 1),
        (["--codes", "CB,FW01"], 0),
        (["--min-speedup", "1.2"], 1),
        (["--min-speedup", "99"], 0),
        (["--codes", "FW07"], 2),
        (["--codes", "XX99"], 2),
    ],
)
def test_check_of_a_slow_fit(options, status, tmp_path, capsys):
    assert main(["check", put(tmp_path, fit(step_s=0.04, wait_s=0.03)), *options]) == status
    said = capsys.readouterr()
    assert ("IP01 pydataset-serial" in said.out) == (status == 1)
    assert bool(said.err) == (status == 2)


def test_check_of_a_healthy_fit_and_of_the_latest_of_two(tmp_path):
    put(tmp_path, fit(step_s=0.04, wait_s=0.03))
    put(tmp_path, fit(step_s=0.04, wait_s=0.0001, fit_id="later", started_at_s=5000.0, updated_at_s=5010.0))
    assert main(["check", str(tmp_path)]) == 0
    assert main(["check", str(tmp_path), "--all"]) == 1


def test_check_of_nothing(tmp_path, capsys):
    assert main(["check", str(tmp_path)]) == 2
    assert "TrainSpeedCallback" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_report_on_nothing_says_what_to_do(folder, tmp_path, capsys):
    assert main(["report", str(tmp_path / folder)]) == 1
    said = capsys.readouterr().err
    assert "TrainSpeedCallback" in said
    assert len(said.splitlines()) == 1


def test_rules(capsys):
    assert main(["rules"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(catalogue())
    assert main(["rules", "IP01"]) == 0
    assert "## Why it is slow" in capsys.readouterr().out
    assert main(["rules", "XX99"]) == 1


def test_python_dash_m_is_the_same_and_imports_no_backend():
    code = """
import runpy, sys
sys.argv = ["trainspeed", "rules"]
try:
    runpy.run_module("tb_trainspeed", run_name="__main__")
finally:
    assert not {"keras", "tensorflow", "jax", "torch"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "IP01" in done.stdout
