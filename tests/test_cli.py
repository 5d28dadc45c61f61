"""The command line, on golden records: none of it needs Keras."""

import json
import pathlib
import subprocess
import sys

import pytest

from tb_trainspeed.cli import main
from tb_trainspeed.rules import catalogue

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
