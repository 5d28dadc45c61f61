"""From event files to fits, through both of TensorBoard's data loaders."""

import pathlib
import signal
import subprocess
import sys
import types

import numpy
import pytest
from tensorboard import errors
from tensorboard.data import provider

from tb_trainspeed.plugin.folder import Folder
from tb_trainspeed.plugin.store import Store, UnavailableError
from tb_trainspeed.profile import Profile
from tb_trainspeed.summary import PROFILE_TAG, EventFile, Problem, encode, event_pb2, fit_directory, framing

ROOT = pathlib.Path(__file__).parents[2]


def names(body):
    return [(run["run"], [(fit["fit"], fit["status"]) for fit in run["fits"]]) for run in body["runs"]]


def test_several_fits_and_runs(serve, tmp_path, write):
    write(tmp_path, "z", "running", "finished", started_at_s=1.0)
    write(tmp_path, "a", "running", started_at_s=2.0)
    write(tmp_path / "base line" / "ü&<b>", "b", "finished")
    server = serve(tmp_path)
    body = server.wait_for(lambda body: len(body["runs"]) == 2)
    assert names(body) == [(".", [("z", "finished"), ("a", "running")]), ("base line/ü&<b>", [("b", "finished")])]
    assert body["problems"] == []
    assert server.get("/report?run=base+line%2F%C3%BC%26%3Cb%3E&fit=b")[0] == 200
    assert server.get("/report?run=.&fit=z")[1]["run"] == "."


def test_the_folder_of_the_fits_of_one_run_is_that_run(serve, tmp_path, write):
    for worker in (0, 1):
        write(tmp_path, f"w{worker}", "finished", worker=worker, started_at_s=1.0, updated_at_s=2.0)
    write(tmp_path, "lost", "finished")
    next((tmp_path / "trainspeed" / "lost").iterdir()).write_bytes(b"no record")
    body = serve(tmp_path / "trainspeed").wait_for(
        lambda body: body["runs"] and body["runs"][0]["fits"][0]["workers"] == 2
    )
    assert names(body) == [(".", [("w0", "finished")])]
    assert [problem["run"] for problem in body["problems"]] == ["."]


def test_a_record_may_end_in_zero_bytes(serve, tmp_path, write):
    """Because arrays of bytes drop them, if they are not arrays of objects."""
    payload = next(
        payload
        for count in range(100_000)
        if (payload := encode(Profile(fit_id="zero", fit_index=count))).endswith(b"\0")
    )
    write(tmp_path, "zero", payload)
    body = serve(tmp_path).wait_for(lambda body: body["runs"])
    assert names(body) == [(".", [("zero", "running")])]


def test_a_fit_that_goes_on(serve, tmp_path, write):
    events = write(tmp_path, "one", "running")
    server = serve(tmp_path)
    server.wait_for(lambda body: body["runs"])
    # At the same step, as the last record of a fit often is.
    events.write(0, 2e9, {"profile": encode(Profile(fit_id="one", status="finished"))})
    server.reload()
    server.wait_for(lambda body: names(body) == [(".", [("one", "finished")])])


def test_steps_never_go_back(serve, tmp_path):
    events = EventFile(fit_directory(str(tmp_path), "one"))
    for step, status in ((0, ""), (5, "a"), (3, "b"), (-1, "c")):
        events.write(step, 1e9, {"profile": encode(Profile(fit_id="one", status=status)), "wall_s": float(step)})
    events.close()
    server = serve(tmp_path)
    assert names(server.wait_for(lambda body: body["runs"])) == [(".", [("one", "c")])]
    scalars = server.client.get("/data/plugin/scalars/scalars?run=trainspeed/one&tag=trainspeed/wall_s").get_json()
    assert sorted({step for _, step, _ in scalars}) == [0, 5]


def test_a_killed_writer(serve, tmp_path):
    script = (
        "import signal, sys; from tests.plugin.test_store import *\n"
        "events = EventFile(fit_directory(sys.argv[1], 'killed'))\n"
        "for step in range(3):\n"
        "    profile = Profile(fit_id='killed', status=f'at {step}')\n"
        "    events.write(step, 1e9 + step, {'profile': encode(profile)})\n"
        "print('written', flush=True); signal.pause()"
    )
    process = subprocess.Popen([sys.executable, "-c", script, tmp_path], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    body = serve(tmp_path).wait_for(lambda body: body["runs"])
    assert names(body) == [(".", [("killed", "at 2")])]


def test_a_torn_tail(serve, tmp_path, write):
    write(tmp_path, "one", "whole", "torn")
    (path,) = (tmp_path / "trainspeed" / "one").iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    body = serve(tmp_path).wait_for(lambda body: body["runs"])
    assert names(body) == [(".", [("one", "whole")])]
    assert body["problems"] == []


def test_the_users_own_event_files_are_left_alone(serve, tmp_path, write):
    """Our records have a run of their own, so the file that the user's TensorBoard callback has open goes on."""
    (tmp_path / "train").mkdir()
    path = tmp_path / "train" / "events.out.tfevents.1700000000.host.1.0.v2"
    path.write_bytes(scalar_event("epoch_loss", 0))
    write(tmp_path / "train", "one", "running")
    write(tmp_path, "two", "running")
    with path.open("ab") as file:
        file.write(scalar_event("epoch_loss", 1))
    server = serve(tmp_path)
    server.wait_for(lambda body: len(body["runs"]) == 2)
    tags = server.client.get("/data/plugin/scalars/tags").get_json()
    assert set(tags) == {"train", "train/trainspeed/one", "trainspeed/two"}
    assert set(tags["train"]) == {"epoch_loss"}
    assert set(tags["trainspeed/two"]) == {"trainspeed/step_s"}
    loss = server.client.get("/data/plugin/scalars/scalars?run=train&tag=epoch_loss").get_json()
    assert [step for _, step, _ in loss] == [0, 1]
    ours = server.client.get("/data/plugin/scalars/scalars?run=trainspeed/two&tag=trainspeed/step_s").get_json()
    assert [(step, value) for _, step, value in ours] == [(0, 0.5)]


def scalar_event(tag, step):
    value = event_pb2.Value(tag=tag, tensor={"dtype": 1, "shape": {}, "float_val": [0.25]})
    value.metadata.plugin_data.plugin_name = "scalars"
    value.metadata.data_class = event_pb2.SCALAR
    event = event_pb2.Event(wall_time=1e9 + step, step=step, summary={"values": [value]})
    return framing.frame(event.SerializeToString())


def test_bad_records_are_problems_of_their_runs(serve, tmp_path, write):
    write(tmp_path / "good", "fine", "finished")
    write(tmp_path / "bad", "text", b"hello")
    write(tmp_path / "bad", "cut", encode(Profile())[:-4])
    raw(tmp_path / "bad" / "trainspeed" / "floats", {"dtype": 1, "shape": {}, "float_val": [1.0]})
    raw(tmp_path / "bad" / "trainspeed" / "many", {"dtype": 7, "shape": {"dimensions": [{"size": 2}]},
                                                   "string_val": [b"a", b"b"]})  # fmt: skip
    raw(tmp_path / "bad" / "trainspeed" / "empty", {"dtype": 7, "shape": {"dimensions": [{"size": 0}]}})
    server = serve(tmp_path)
    body = server.wait_for(lambda body: len(body["problems"]) == 5 and body["runs"])
    assert names(body) == [("good", [("fine", "finished")])]
    assert {problem["run"] for problem in body["problems"]} == {"bad"}
    assert all("damaged" in problem["message"] for problem in body["problems"])


def test_of_a_damaged_file_the_last_readable_record_is_shown_and_the_damage_told(serve, kind, tmp_path, write):
    write(tmp_path / "run", "one", "first", "second")
    path = flip_last_byte(tmp_path / "run")
    server = serve(tmp_path)
    body = server.wait_for(lambda body: body["runs"])
    assert names(body) == [("run", [("one", "first")])]
    damage = server.get("/report?run=run&fit=one")[1]["damage"]
    assert damage.startswith(f"run/trainspeed/one/{path.name}: its record at byte ")
    assert damage.endswith(" is damaged; the one before it counts.")
    # The Python loader keeps quiet about checksums that are wrong.
    assert [problem["message"] for problem in body["problems"]] == ([damage] if kind == "fast" else [])


def flip_last_byte(run_dir):
    """Damages the record in the last event, before the number that follows it and the checksum."""
    (path,) = run_dir.glob("trainspeed/*/*")
    data = bytearray(path.read_bytes())
    with path.open("rb") as file:
        *_, last = framing.frames(file)
    data[(last + len(data)) // 2] ^= 0xFF
    path.write_bytes(data)
    return path


def test_a_record_that_is_newer_than_the_damage_needs_no_notice(tmp_path, write):
    write(tmp_path / "run", "one", "first", "second")
    flip_last_byte(tmp_path / "run")
    fake = FakeProvider({"run/trainspeed/one": encode(Profile(fit_id="one", updated_at_s=1e9))})
    store = Store(fake, str(tmp_path))
    fit, _ = store.fit(None, "", "run", "one")
    assert store.damage("", fit) == ""


def test_files_without_a_readable_record_are_told(serve, tmp_path, write):
    write(tmp_path / "good", "fine", "finished")
    for run, content in (("random", bytes(range(256)) * 10), ("cut", b"")):
        write(tmp_path / run, "lost", "finished")
        (path,) = (tmp_path / run).glob("trainspeed/*/*")
        path.write_bytes(content or path.read_bytes()[:50])
    server = serve(tmp_path)
    body = server.wait_for(lambda body: body["runs"])
    assert names(body) == [("good", [("fine", "finished")])]
    told = {problem["run"]: problem["message"] for problem in body["problems"]}
    what = {"random": "it is damaged after byte 0; what follows is lost.", "cut": "it holds no whole record"}
    assert told.keys() == what.keys()
    for run, message in told.items():
        assert message.startswith(f"{run}/trainspeed/lost/events.out.tfevents.")
        assert what[run] in message
        assert message.endswith("Nothing of this fit can be shown: run it again, or delete its event file.")


def test_a_fit_that_tensorboard_has_not_loaded_yet_is_no_problem(tmp_path, write):
    write(tmp_path, "new", "running")
    assert Folder(str(tmp_path)).unread(()) == []
    (path,) = tmp_path.glob("trainspeed/*/*")
    path.write_bytes(b"no record")
    assert [problem.fit for problem in Folder(str(tmp_path)).unread(())] == ["new"]
    assert Folder(str(tmp_path)).unread(("trainspeed/new",)) == []


def test_event_files_of_others_in_a_folder_of_our_name_are_no_problem(tmp_path):
    (tmp_path / "trainspeed" / "train").mkdir(parents=True)
    (tmp_path / "trainspeed" / "train" / "events.out.tfevents.1.user").write_bytes(scalar_event("epoch_loss", 0))
    assert Folder(str(tmp_path)).unread(()) == []


@pytest.mark.parametrize("log_dir", ["", "gs://bucket/logs"])
def test_a_folder_that_is_not_here_is_left_alone(log_dir, monkeypatch, tmp_path, write):
    write(tmp_path, "one", b"no record")
    monkeypatch.chdir(tmp_path)
    folder = Folder(log_dir)
    assert (folder.read("trainspeed/one"), folder.unread(())) == ((None, ""), [])


def test_one_series_without_data_does_not_hide_the_others(serve_python, tmp_path, write):
    """The Python loader fails with a KeyError for all series of the plugin if one has metadata only."""
    write(tmp_path, "fine", "finished")
    raw(tmp_path / "trainspeed" / "null", None)
    body = serve_python(tmp_path).runs()
    assert names(body) == [(".", [("fine", "finished")])]
    assert body["problems"][0]["message"] == "trainspeed/null: TensorBoard cannot list this record (KeyError)."


def raw(directory, tensor):
    """An event file with a record as we would never write it."""
    value = event_pb2.Value(tag=PROFILE_TAG, tensor=tensor)
    value.metadata.plugin_data.plugin_name = "trainspeed"
    value.metadata.data_class = event_pb2.TENSOR
    event = event_pb2.Event(wall_time=1e9, summary={"values": [value]})
    directory.mkdir(parents=True)
    (directory / "events.out.tfevents.1").write_bytes(framing.frame(event.SerializeToString()))


class FakeProvider(provider.DataProvider):
    """Answers from a dict, and counts what it is asked."""

    def __init__(self, records, unreadable=()):
        self.records = records
        self.unreadable = unreadable
        self.reads = []

    def list_runs(self, ctx=None, *, experiment_id):
        raise RuntimeError("the data server has gone")

    def list_plugins(self, ctx=None, *, experiment_id):
        return ["trainspeed"]

    def list_tensors(self, ctx=None, *, experiment_id, plugin_name, run_tag_filter=None):
        if self.records is None:
            raise RuntimeError("the data server has gone")
        series = types.SimpleNamespace(max_step=1, max_wall_time=1.0)
        return {run: {PROFILE_TAG: series, "other": series} for run in self.records}

    def read_tensors(self, ctx=None, *, experiment_id, plugin_name, downsample=None, run_tag_filter=None):
        self.reads.append(tuple(run_tag_filter.runs))
        if set(run_tag_filter.runs) & set(self.unreadable):
            raise RuntimeError("RESOURCE_EXHAUSTED")
        return {
            run: {PROFILE_TAG: [provider.TensorDatum(1, 1.0, numpy.array(self.records[run], dtype=object))]}
            for run in run_tag_filter.runs
        }

    list_scalars = read_scalars = read_last_scalars = list_blob_sequences = read_blob_sequences = read_blob = list_runs


def test_each_record_is_read_once():
    fake = FakeProvider({f"r{index}/trainspeed/f": encode(Profile(fit_id="f")) for index in range(250)})
    store = Store(fake)
    for _ in range(3):
        assert len(store.listing(None, "").fits) == 250
    assert [len(runs) for runs in fake.reads] == [100, 100, 50]
    fit, _ = store.fit(None, "", "r7", "f")
    assert store.profile(None, "", fit) is store.profile(None, "", fit)
    assert fake.reads[3:] == [("r7/trainspeed/f",)]


def test_a_read_that_fails_is_repeated_one_by_one():
    records = {f"r{index}/trainspeed/f": encode(Profile(fit_id="f")) for index in range(5)}
    listing = Store(FakeProvider(records, unreadable=["r3/trainspeed/f"])).listing(None, "")
    assert len(listing.fits) == 4
    (problem,) = listing.problems
    assert problem == Problem("r3", "r3/trainspeed/f: TensorBoard cannot read this record (RuntimeError).", "f")


def test_a_read_that_failed_is_tried_again():
    fake = FakeProvider({"r/trainspeed/f": encode(Profile(fit_id="f"))}, unreadable=["r/trainspeed/f"])
    store = Store(fake)
    assert len(store.listing(None, "").problems) == 1
    fake.unreadable = ()
    assert [len(part) for part in (store.listing(None, "").fits, store.listing(None, "").problems)] == [1, 0]
    assert len(fake.reads) == 2


def test_a_data_server_that_has_gone_is_no_empty_list(serve_python, tmp_path, write, monkeypatch):
    """The tab keeps what it shows while the server answers 5xx, and says "no training yet" of an empty list."""
    with pytest.raises(UnavailableError, match=r"TensorBoard cannot list its runs \(RuntimeError\)\."):
        Store(FakeProvider(None)).listing(None, "")
    write(tmp_path, "one", "finished")
    server = serve_python(tmp_path)
    for name in ("list_tensors", "list_runs"):
        monkeypatch.setattr(server.provider, name, FakeProvider(None).list_runs)
    for path in ("/runs", "/report?run=.&fit=one"):
        assert server.get(path) == (503, "TensorBoard cannot list its runs (RuntimeError).")


def test_a_record_that_vanished_after_it_was_listed():
    fake = FakeProvider({"r/trainspeed/f": encode(Profile(fit_id="f"))})
    store = Store(fake)
    fit, _ = store.fit(None, "", "r", "f")
    fake.unreadable = ["r/trainspeed/f"]
    with pytest.raises(errors.NotFoundError, match="fit 'f' of run 'r'"):
        store.profile(None, "", fit)


def test_errors_meant_for_the_user_pass():
    fake = FakeProvider({})
    fake.list_tensors = lambda *args, **kwargs: (_ for _ in ()).throw(errors.PermissionDeniedError("no"))
    with pytest.raises(errors.PermissionDeniedError):
        Store(fake).listing(None, "")
