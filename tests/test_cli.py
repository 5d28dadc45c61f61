"""The command line, on golden records: none of it needs Keras."""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

import tb_trainspeed
from tb_trainspeed.cli import main
from tb_trainspeed.profile import Curve, Data, Device
from tb_trainspeed.rules import OF_THE_MACHINE, catalogue
from tb_trainspeed.summary import EventFile, encode, fit_directory
from tests.report.fits import fit
from tests.rules.hardware import using

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


def test_what_was_found_in_one_fit_stands_whatever_cannot_be_told_of_another(tmp_path, capsys):
    put(tmp_path, fit(fit_id="broken-off", epochs=1, steps=3, started_at_s=2000.0))
    put(tmp_path, fit(fit_id="healthy", wait_s=0.0001, started_at_s=3000.0))
    assert main(["check", str(tmp_path), "--all"]) == 2
    put(tmp_path, fit(fit_id="slow", wait_s=0.03, started_at_s=4000.0))
    assert main(["check", str(tmp_path), "--all"]) == 1
    assert "IP01" in capsys.readouterr().out


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


def test_check_beside_event_files_of_others_in_a_folder_of_our_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    put("trainspeed", fit(wait_s=0.0001))
    put("elsewhere", fit())
    head = next(pathlib.Path("elsewhere").glob("*/*/*")).read_bytes()[:40]  # all event files begin with it
    pathlib.Path("trainspeed/train").mkdir()
    pathlib.Path("trainspeed/train/events.out.tfevents.1.user").write_bytes(head)
    assert main(["check", "trainspeed"]) == 0
    assert capsys.readouterr().err == ""


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
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(1000.0))
    assert f"run photos, fit 1 of 1, started {started}, finished" in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "said"), [("html", "<title>TrainSpeed: photos<"), ("markdown", "Run photos, ")])
@pytest.mark.parametrize("given", [".", "trainspeed", "trainspeed/fit-0", "trainspeed/fit-0/events"])
def test_a_run_has_its_name_whatever_of_it_is_given(kind, said, given, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(put(tmp_path / "photos", fit()))
    if given.endswith("events"):
        (file,) = pathlib.Path(given).parent.iterdir()
        given = str(file)
    assert main(["report", given, "--format", kind]) == 0
    assert said in capsys.readouterr().out


def test_a_log_directory_that_has_the_name_of_ours_keeps_it(tmp_path, capsys):
    put(tmp_path / "trainspeed", fit())
    assert main(["report", str(tmp_path / "trainspeed"), "--format", "markdown"]) == 0
    assert "Run trainspeed, fit 1 of 1, " in capsys.readouterr().out


def test_what_is_wrong_with_a_run_names_it_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(put(tmp_path / "photos", fit()))
    (record,) = pathlib.Path(fit_directory(".", "fit-0")).iterdir()
    record.write_bytes(b"")
    assert main(["report", "."]) == 1
    assert capsys.readouterr().err.startswith("photos: events.out")


def several(folder):
    """Three fits, each twice as fast as the one before."""
    for number, step_s in enumerate((0.04, 0.02, 0.01)):
        times = {"started_at_s": 1000.0 * number, "updated_at_s": 1000.0 * number + 10}
        put(folder, fit(fit_id=f"fit-{number}", step_s=step_s, wait_s=step_s / 2, **times))
    return str(folder)


def test_one_of_several_fits(tmp_path, capsys):
    logs = several(tmp_path / "my logs")
    for options, number in (([], 3), (["--fit", "1"], 1)):
        assert main(["report", logs, *options]) == 0
        said = capsys.readouterr().out
        assert f"run my logs, fit {number} of 3, started " in said
        assert main(["report", logs, *options, "--format", "markdown"]) == 0
        assert f"Run my logs, fit {number} of 3, " in capsys.readouterr().out
        assert f"This is fit {number} of 3; the others: trainspeed report '{logs}' --fit N, or --all" in said
    assert main(["report", logs, "--all"]) == 0
    assert "--fit N" not in capsys.readouterr().out
    assert main(["report", logs, "--fit", "4"]) == 2
    assert f"There is no fit 4 in {logs}: the latest is 3." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "speedup", "names"),
    [([], 2.0, ("2", "3")), (["--fits", "1,3"], 4.0, ("1", "3")), (["--fits", "3,2"], 0.5, ("3", "2"))],
)
def test_compare_fits_of_one_directory(options, speedup, names, tmp_path, capsys):
    logs = several(tmp_path / "logs")
    assert main(["compare", logs, *options, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["speedup"] == pytest.approx(speedup)
    assert main(["compare", logs, *options]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for name in names:
        assert f"{logs} (run logs, fit {name} of 3, started " in said


def test_compare_says_which_fit_there_is_not(tmp_path, capsys):
    logs, one = several(tmp_path / "logs"), put(tmp_path / "one", fit())
    assert main(["compare", one]) == 1
    assert "give another directory" in capsys.readouterr().err
    assert main(["compare", one, logs, "--fits", "2,3"]) == 2
    assert f"no fit 2 in {one}" in capsys.readouterr().err
    assert main(["compare", one, logs, "--fits", "1,3"]) == 0
    for wrong in ("1", "1,2,3", "0,1", "a,b"):
        with pytest.raises(SystemExit):
            main(["compare", logs, f"--fits={wrong}"])


@pytest.mark.parametrize(
    ("lasted_s", "silent_s", "said"),
    [
        (10, 30, "running, last record 30 s ago"),
        (10, 660, "not finished, last record 11 min 00 s ago: the process may have been killed"),
        (36000, 660, "running, last record 11 min 00 s ago"),
    ],
)
def test_a_fit_that_writes_no_more_may_have_been_killed(lasted_s, silent_s, said, tmp_path, monkeypatch, capsys):
    now = 1e6
    monkeypatch.setattr("time.time", lambda: now)
    times = {"updated_at_s": now - silent_s, "started_at_s": now - silent_s - lasted_s}
    put(tmp_path, dataclasses.replace(fit(epochs=1, steps=0), status="running", **times))
    for kind in ("text", "markdown", "html", "json"):
        assert main(["report", str(tmp_path), "--format", kind]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert ("the fit is starting and compiling" in text) == said.startswith("running")
        assert (said in text) == (kind == "text")
    assert json.loads(text)["status"] == ("running" if said.startswith("running") else "interrupted")


CROWDED = fit(
    wait_s=0.0,
    data=Data("ArrayDataAdapter", "", 32),
    environment=dataclasses.replace(fit().environment, devices=(Device("CPU", "cpu"),)),
    resources=using(machine_cores=4.0, process_cores=0.5),
)


@pytest.mark.parametrize(("codes", "status"), [("", 0), ("HW", 0), ("HW06", 1)])
def test_check_of_a_fit_that_others_hold_up(codes, status, tmp_path, capsys):
    assert main(["check", put(tmp_path, CROWDED), "--codes", codes]) == status
    assert bool(re.search(r"HW06 .* \([\d.]+× faster\)", capsys.readouterr().out)) == (status == 1)


def test_the_help_of_check_names_what_is_of_the_machine(capsys):
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    assert f"({', '.join(sorted(OF_THE_MACHINE))})" in " ".join(capsys.readouterr().out.split())
    assert {rule.code for rule in catalogue()} >= OF_THE_MACHINE


def test_check_counts_what_is_saved_once(tmp_path, capsys):
    nan = Curve("loss", epochs=5, first=1.0, previous=None, last=None, not_finite_epoch=1)
    logs = put(tmp_path, fit(wait_s=0.0, curves=(nan,)))
    for least, status in (("1.2", 1), ("50", 0)):
        assert main(["check", logs, "--codes", "CV03", "--min-speedup", least]) == status
        assert bool(re.search(r"CV03 .* \(saves [\d.]+ s\)", capsys.readouterr().out)) == (status == 1)


def test_an_earlier_record_of_the_same_fit_is_no_other_fit(tmp_path, capsys):
    profile = fit(fit_id="20260101-120000-1-1")
    logs = put(tmp_path, profile)
    (record,) = pathlib.Path(fit_directory(logs, profile.fit_id)).iterdir()
    record.write_bytes(record.read_bytes() + b"damaged" * 20)
    assert main(["report", logs]) == 0
    said = capsys.readouterr().err
    assert "what follows is lost" in said
    assert "later fit" not in said


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
    listed = capsys.readouterr().out
    assert re.findall(r"^  ([A-Z]{2}\d\d\w?)  ", listed, re.MULTILINE) == [rule.code for rule in catalogue()]
    assert len(re.findall(r"^[A-Z].* \([A-Z]{2}\)$", listed, re.MULTILINE)) == 9
    assert max(map(len, listed.splitlines())) <= 80
    assert main(["rules", "IP01"]) == 0
    page = capsys.readouterr().out
    assert "\nWhy it is slow\n" in "\n".join(map(str.strip, page.splitlines()))
    assert not re.search("[#`*]", page.replace("**kwargs", ""))
    assert max(map(len, page.splitlines())) <= 80
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


def test_the_demo_says_how_to_install_what_it_needs(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tb_trainspeed.demo", None)  # as if what it imports were missing
    monkeypatch.delattr(tb_trainspeed, "demo", raising=False)
    assert main(["demo"]) == 1
    assert 'pip install ".[demo]" in the clone' in capsys.readouterr().err


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
