"""TensorBoard starts, whatever happens to the plugin, and needs nothing but itself for it."""

import argparse
import pathlib
import subprocess
import sys

import pytest

from tb_trainspeed.plugin import app, static_files, store
from tb_trainspeed.plugin.loader import Loader

ROOT = pathlib.Path(__file__).parents[2]


def listing(server):
    return server.client.get("/data/plugins_listing").get_json()


def test_the_tab_is_inactive_without_records(serve_python, tmp_path):
    entry = listing(serve_python(tmp_path))["trainspeed"]
    assert entry["enabled"] is False
    assert entry["tab_name"] == "TrainSpeed"


def test_the_tab_is_active_with_a_record(serve, tmp_path, write):
    write(tmp_path, "one", "finished")
    server = serve(tmp_path)
    server.wait_for(lambda body: body["runs"])
    entry = listing(server)["trainspeed"]
    assert entry["enabled"] is True
    assert entry["loading_mechanism"]["type"] == "IFRAME"


def fail(*args, **kwargs):
    raise RuntimeError("broken")


@pytest.mark.parametrize(
    ("owner", "name"),
    [(app, "Store"), (app, "load_files"), (app, "fingerprint"), (app.Plugin, "__init__"), (store, "Lru")],
)
def test_a_broken_plugin_is_only_absent(serve_python, tmp_path, monkeypatch, caplog, owner, name):
    monkeypatch.setattr(owner, name, fail)
    server = serve_python(tmp_path, loader=Loader)
    plugins = listing(server)
    assert "scalars" in plugins
    assert "trainspeed" not in plugins
    assert "The TrainSpeed tab is missing" in caplog.text


@pytest.mark.parametrize("name", ["tb_trainspeed.plugin.app", "tb_trainspeed.summary", "google.protobuf.message"])
def test_a_missing_module_is_no_harm(serve_python, tmp_path, monkeypatch, name):
    for loaded in [key for key in sys.modules if key.startswith(("tb_trainspeed.plugin.", "tb_trainspeed.summary"))]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, name, None)
    plugins = listing(serve_python(tmp_path, loader=Loader))
    assert "scalars" in plugins
    assert "trainspeed" not in plugins


@pytest.mark.parametrize("imported", [True, False])
def test_what_makes_reports_is_imported_ahead_and_no_harm_is_done_where_it_cannot_be(serve_python, tmp_path, imported):
    """In an interpreter of its own, as the tests have imported everything."""
    script = f"""import argparse, sys, threading
from tensorboard.plugins.base_plugin import TBContext
from tb_trainspeed.plugin.loader import Loader
if not {imported}:
    sys.modules["tb_trainspeed.rules"] = None
assert Loader().load(TBContext(logdir={str(tmp_path)!r}, flags=argparse.Namespace())) is not None
[one.join() for one in threading.enumerate() if one.name == "trainspeed-import"]
print("tb_trainspeed.report.diagnose" in sys.modules)"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    assert (done.stdout, "Traceback" in done.stderr) == (f"{imported}\n", False)


@pytest.mark.parametrize("hook", ["is_active", "get_plugin_apps"])
def test_hooks_that_tensorboard_guards(serve_python, tmp_path, monkeypatch, hook):
    monkeypatch.setattr(app.Plugin, hook, fail)
    assert listing(serve_python(tmp_path))["trainspeed"]["enabled"] is False


def test_a_missing_panel_is_no_harm(serve_python, tmp_path, monkeypatch):
    monkeypatch.setattr(app, "load_files", lambda: static_files.load_files(tmp_path / "missing"))
    server = serve_python(tmp_path)
    assert "trainspeed" in listing(server)
    assert server.get("/static/index.js")[0] == 404


@pytest.mark.parametrize("flags", [{}, {"samples_per_plugin": None}, {"samples_per_plugin": "odd"}])
def test_odd_flags(flags):
    Loader().fix_flags(argparse.Namespace(**flags))


def test_the_user_may_ask_for_more_records():
    flags = argparse.Namespace(samples_per_plugin={"trainspeed": 0, "images": 5})
    Loader().fix_flags(flags)
    assert flags.samples_per_plugin == {"trainspeed": 0, "images": 5}


def test_only_the_last_record_is_kept_in_memory(serve_python, tmp_path, write):
    write(tmp_path, "one", *(f"at {step}" for step in range(30)))
    server = serve_python(tmp_path)
    assert len(server.multiplexer.Tensors("trainspeed/one", "trainspeed/profile")) == 1
    assert server.runs()["runs"][0]["fits"][0]["status"] == "at 29"
    assert len(server.multiplexer.Tensors("trainspeed/one", "trainspeed/step_s")) == 30


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        ("tb_trainspeed.plugin.loader", ["google.protobuf", "werkzeug", "grpc", "tb_trainspeed.summary"]),
        ("tb_trainspeed.plugin.loader, tb_trainspeed.plugin.app", []),
    ],
)
def test_the_server_side_loads_no_backend(modules, unwanted):
    script = f"import sys, {modules}\nprint(sorted(set(sys.modules) & set(sys.argv[1:])))"
    command = [sys.executable, "-c", script, "keras", "tensorflow", "jax", "torch", *unwanted]
    assert subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout == "[]\n"
