"""The command line, on golden records: none of it needs Keras."""

import json
import os
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
    a, b = put(tmp_path / "a", fit()), put(tmp_path / "b", fit(step_s=0.02, wait_s=0.005, fit_id="fit-1"))
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
        (["--codes", "cb, ip01"], 1),
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


def test_check_when_the_latest_record_cannot_be_read(tmp_path, capsys):
    put(tmp_path, fit(wait_s=0.0001, fit_id="20260101-120000-1-1"))
    (damaged,) = pathlib.Path(fit_directory(put(tmp_path, fit()), "fit-0")).iterdir()
    damaged.write_bytes(damaged.read_bytes()[:-20])
    for name, status in (("20260101-110000-1-1", 0), ("20260101-130000-1-1", 2), ("renamed", 2)):
        damaged.parent.rename(tmp_path / "trainspeed" / name)
        damaged = tmp_path / "trainspeed" / name / damaged.name
        assert main(["check", str(tmp_path)]) == status
        said = capsys.readouterr().err
        assert "no whole record" in said
        assert ("later fit" in said) == (status == 2)


def test_check_of_a_fit_that_hardly_began(tmp_path, capsys):
    assert main(["check", put(tmp_path, fit(epochs=1, steps=3))]) == 2
    assert "too few steps to tell (3)" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["nan", "inf", "fast", "-3"])
def test_check_against_no_number(value, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["check", str(tmp_path), f"--min-speedup={value}"])
    assert f"--min-speedup: '{value}' is no number above 0" in capsys.readouterr().err


def test_a_fit_without_a_run_is_called_by_its_folder(tmp_path, capsys):
    put(tmp_path / "photos", fit())
    assert main(["report", str(tmp_path / "photos")]) == 0
    assert "run photos, fit 1, started " in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["text", "markdown", "html", "json"])
def test_names_of_runs_that_no_terminal_should_see(kind, tmp_path, capsys):
    put(tmp_path / os.fsdecode(b"caf\xe9\x1b[2J"), fit())
    assert main(["report", str(tmp_path), "--format", kind]) == 0
    said = capsys.readouterr().out
    assert "caf" in said
    assert "\x1b[2J" not in said
    assert main(["check", str(tmp_path)]) == 1


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
    assert main(["rules", "ip01"]) == 0
    assert main(["rules", "XX99"]) == 1


def test_pages_of_rules_as_files(tmp_path, capsys):
    assert main(["rules", "--write", str(tmp_path / "new" / "folder")]) == 0
    assert len(list((tmp_path / "new" / "folder").iterdir())) == len(catalogue()) + 1
    assert main(["rules", "--write", str(tmp_path / "new" / "folder" / "README.md")]) == 1
    assert "give another directory" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_traceback():
    command = f"{sys.executable} -m tb_trainspeed rules | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr, len(done.stdout)) in [(141, "", 10), (0, "", 10)]


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
