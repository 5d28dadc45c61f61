"""What the writer writes, the reader reads; whatever happens in between."""

import dataclasses
import io
import json
import os
import pathlib
import signal
import subprocess
import sys

import fsspec
import pytest

from tb_trainspeed.profile import Profile
from tb_trainspeed.summary import (
    EventFile,
    encode,
    event_pb2,
    fit_directory,
    framing,
    join_workers,
    place_of,
    read_log,
    run_of,
)

ROOT = pathlib.Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "event_files"


def record(fit_id="fit", status="running", **fields):
    return encode(Profile(fit_id=fit_id, status=status, **fields))


def write(log_dir, fit_id, *statuses, **fields):
    """An event file with one record per status; returns its path."""
    directory = fit_directory(str(log_dir), fit_id)
    events = EventFile(directory)
    for step, status in enumerate(statuses):
        events.write(step, 1e9 + step, {"profile": record(fit_id, status, **fields), "step_s": 0.5})
    events.close()
    return max(pathlib.Path(directory).iterdir())


def found(log_dir):
    return [(fit.run, fit.profile.fit_id, fit.profile.status) for fit in read_log(log_dir).fits]


def test_the_last_record_counts(tmp_path):
    write(tmp_path / "baseline", "one", "running", "finished")
    assert found(tmp_path) == [("baseline", "one", "finished")]
    assert read_log(tmp_path).problems == ()


def test_fits_by_run_and_the_oldest_first(tmp_path):
    write(tmp_path, "z", "finished", started_at_s=1.0)
    write(tmp_path, "a", "finished", started_at_s=2.0)
    write(tmp_path / "deep" / "er", "b", "finished")
    assert [fit[:2] for fit in found(tmp_path)] == [(".", "z"), (".", "a"), (os.path.join("deep", "er"), "b")]


def test_a_fit_directory_itself_can_be_read(tmp_path):
    path = write(tmp_path, "one", "finished")
    assert [fit[1] for fit in found(path.parent)] == ["one"]


def test_the_fits_of_one_run_can_be_read(tmp_path, monkeypatch):
    for worker in (0, 1):
        write(tmp_path, f"w{worker}", "finished", worker=worker, started_at_s=1.0, updated_at_s=2.0)
    monkeypatch.chdir(tmp_path / "trainspeed")
    for folder in (".", str(tmp_path / "trainspeed") + "/"):
        fits = read_log(folder).fits
        assert [fit.run for fit in fits] == [".", "."]
        assert len(join_workers(fits, lambda fit: place_of(fit.run, fit.profile))) == 1


def test_other_event_files_are_not_opened(tmp_path):
    (tmp_path / "events.out.tfevents.1.user").write_bytes(b"garbage " * 9)
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "events.out.tfevents.1.user").write_bytes(b"garbage " * 9)
    write(tmp_path, "one", "finished")
    assert len(read_log(tmp_path).fits) == 1
    assert read_log(tmp_path).problems == ()


def test_event_files_of_others_in_a_folder_of_our_name_are_no_damaged_fits(tmp_path):
    """As of `TensorBoard("trainspeed")` beside `TrainSpeedCallback("trainspeed")`."""
    write(tmp_path / "trainspeed", "one", "finished")
    loss = event_pb2.Summary(values=[event_pb2.Value(tag="epoch_loss", tensor=event_pb2.Tensor(dtype=1))])
    head = framing.frame(event_pb2.Event(file_version="brain.Event:2").SerializeToString())
    scalar = framing.frame(event_pb2.Event(summary=loss).SerializeToString())
    for name, content in (("train", head + scalar), ("validation", head), ("written", head + scalar + scalar[:-9])):
        (tmp_path / "trainspeed" / name).mkdir()
        (tmp_path / "trainspeed" / name / "events.out.tfevents.1.user").write_bytes(content)
    for log_dir in (tmp_path, tmp_path / "trainspeed"):
        log = read_log(log_dir)
        assert [fit.profile.fit_id for fit in log.fits] == ["one"]
        assert log.problems == ()


def test_no_such_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match="give the log_dir"):
        read_log(tmp_path / "missing")


def test_every_torn_tail(tmp_path):
    path = write(tmp_path, "one", "running", "finished")
    whole = path.read_bytes()
    first = list(framing.frames(io.BytesIO(path.read_bytes())))[2]
    for size in (first, first + 1, first + 11, first + 12, first + 40, len(whole) - 5, len(whole) - 1):
        path.write_bytes(whole[:size])
        log = read_log(tmp_path)
        assert [fit.profile.status for fit in log.fits] == ["running"], size
        assert log.problems == (), size


def test_damage_in_the_middle_is_reported(tmp_path):
    path = write(tmp_path, "one", "first", "second", "third")
    whole = bytearray(path.read_bytes())
    second = list(framing.frames(io.BytesIO(path.read_bytes())))[2]
    whole[second] ^= 255
    path.write_bytes(whole)
    log = read_log(tmp_path)
    assert [fit.profile.status for fit in log.fits] == ["first"]
    assert "damaged after byte" in log.problems[0].message


def test_a_record_with_a_bad_checksum_is_skipped(tmp_path):
    path = write(tmp_path, "one", "first", "second")
    whole = bytearray(path.read_bytes())
    whole[-2] ^= 255
    path.write_bytes(whole)
    assert found(tmp_path) == [(".", "one", "first")]
    (problem,) = read_log(tmp_path).problems
    assert (problem.run, problem.fit) == (".", "one")
    assert "is damaged; the one before it counts" in problem.message


@pytest.mark.parametrize("content", [b"", b"short", b"garbage " * 100], ids=["empty", "short", "garbage"])
def test_garbage_files(tmp_path, content):
    path = write(tmp_path, "one", "finished")
    path.write_bytes(content)
    assert found(tmp_path) == []
    assert len(read_log(tmp_path).problems) == 1


def test_runs_behind_links_are_found_as_by_tensorboard(tmp_path):
    write(tmp_path / "elsewhere" / "run", "one", "finished")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "run").symlink_to(tmp_path / "elsewhere" / "run")
    (tmp_path / "elsewhere" / "run" / "loop").symlink_to(tmp_path / "elsewhere")
    assert found(tmp_path / "logs") == [("run", "one", "finished")]


def test_a_directory_of_another_machine():
    with pytest.raises(FileNotFoundError, match="copy it here"):
        read_log("gs://bucket/logs")


def test_an_undecodable_record_is_a_problem(tmp_path):
    events = EventFile(fit_directory(str(tmp_path), "bad"))
    events.write(0, 1.0, {"profile": b"not a record"})
    events.close()
    (problem,) = read_log(tmp_path).problems
    assert problem.run == "."
    assert "This record is damaged" in problem.message


@pytest.mark.parametrize("folder", sorted(GOLDEN.iterdir()), ids=lambda folder: folder.name)
def test_old_event_files_stay_readable(folder):
    """What earlier versions wrote, never written again: an entry of expected.json is what the fit was.

    Fields that `Profile` has got since then are not in there.
    """
    (fit,) = read_log(folder).fits
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    assert read_log(folder).problems == ()
    assert_contains(json.loads(json.dumps(dataclasses.asdict(fit.profile))), expected, "profile")


def assert_contains(actual, expected, path):
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert_contains(actual[key], value, f"{path}.{key}")
    elif isinstance(expected, list):
        assert len(actual) == len(expected), path
        for index, value in enumerate(expected):
            assert_contains(actual[index], value, f"{path}[{index}]")
    else:
        assert actual == expected, path


def test_names_of_runs():
    assert run_of("trainspeed/f1") == "."
    assert run_of("a/b/trainspeed/f1") == "a/b"
    assert run_of("trainspeed/trainspeed/f1") == "trainspeed"
    assert run_of("a\\trainspeed\\f1") == "a"
    assert run_of("f1") == "f1"
    assert run_of("a/trainspeed/f1/deeper") == "a/trainspeed/f1/deeper"
    assert run_of(".") == "."
    assert run_of("f1", "/logs/trainspeed") == "."
    assert run_of("trainspeed/f1", "/logs/trainspeed") == "."
    assert run_of("a/trainspeed/f1", "/logs/trainspeed") == "a"


def test_names_of_directories():
    assert fit_directory("logs", "f") == "logs/trainspeed/f"
    assert fit_directory("gs://bucket/logs/", "f") == "gs://bucket/logs/trainspeed/f"
    assert fit_directory("/", "f") == "/trainspeed/f"


def test_nothing_is_made_before_the_first_write(tmp_path):
    EventFile(tmp_path / "new").close()
    assert not (tmp_path / "new").exists()


def test_two_files_of_one_process_differ(tmp_path):
    for _ in range(2):
        events = EventFile(tmp_path, suffix=".worker1")
        events.write(0, 1.0, {})
        events.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 2
    assert all(name.startswith("events.out.tfevents.") and name.endswith(".worker1") for name in names)


@pytest.mark.parametrize("wall_time_s", [float("nan"), float("inf")])
def test_wall_times_are_finite(tmp_path, wall_time_s):
    with pytest.raises(ValueError, match="wall_time_s must be finite"):
        EventFile(tmp_path).write(0, wall_time_s, {})


def test_no_write_after_close(tmp_path):
    events = EventFile(tmp_path)
    events.close()
    events.close()
    with pytest.raises(ValueError, match="closed"):
        events.write(0, 1.0, {})


def test_errors_reach_the_caller(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        EventFile(tmp_path / "file" / "fit").write(0, 1.0, {})


def test_a_killed_process_loses_nothing(tmp_path):
    script = (
        "import sys; from tests.summary.test_event_files import *\n"
        "events = EventFile(fit_directory(sys.argv[1], 'killed'))\n"
        "for step in range(3): events.write(step, 1e9 + step, {'profile': record('killed', f'at {step}')})\n"
        "print('written', flush=True); signal.pause()"
    )
    process = subprocess.Popen([sys.executable, "-c", script, tmp_path], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert found(tmp_path) == [(".", "killed", "at 2")]


def test_a_full_disk_does_not_spoil_later_records(tmp_path):
    script = (
        "import resource, sys; from tests.summary.test_event_files import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "events = EventFile(fit_directory(sys.argv[1], 'full'))\n"
        "events.write(0, 1.0, {'profile': record('full', 'before')})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "try: events.write(1, 2.0, {'profile': bytes(5000)}); raise SystemExit('no error')\n"
        "except OSError: pass\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "events.write(2, 3.0, {'profile': record('full', 'after')})\n"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path], cwd=ROOT, check=True)
    assert found(tmp_path) == [(".", "full", "after")]
    assert read_log(tmp_path).problems == ()


def test_remote_directories_get_a_new_file_for_every_write(tmp_path):
    directory = fit_directory("memory://logs", "remote")
    events = EventFile(directory)
    for step in range(3):
        events.write(step, 1e9 + step, {"profile": record("remote", f"at {step}")})
    events.close()
    files = fsspec.open_files(f"{directory}/*", "rb")
    assert len(files) == 3
    local = tmp_path / "trainspeed" / "remote"
    local.mkdir(parents=True)
    for remote in files:
        with remote as file:
            (local / os.path.basename(remote.path)).write_bytes(file.read())
    assert found(tmp_path) == [(".", "remote", "at 2")]


def test_remote_directories_without_fsspec(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ImportError, match=r"gs:// needs fsspec .*\(pip install fsspec\[gs\]\); or give a local "):
        EventFile("gs://bucket/logs").write(0, 1.0, {})


def test_writing_imports_neither_tensorboard_nor_a_backend(tmp_path):
    script = (
        "import sys; from tb_trainspeed.profile import Profile; from tb_trainspeed.summary import *\n"
        "EventFile(sys.argv[1]).write(0, 1.0, {'profile': encode(Profile()), 'step_s': 1})\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & set(sys.argv[2:])))"
    )
    unwanted = ["tensorboard", "tensorflow", "keras", "jax", "torch", "numpy", "grpc", "fsspec"]
    command = [sys.executable, "-c", script, tmp_path, *unwanted]
    assert subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout == "[]\n"
