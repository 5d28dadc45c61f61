"""The routes, through TensorBoard's own WSGI application."""

import json
import types
import urllib.parse

import pytest
from tensorboard.plugins import base_plugin

from tb_trainspeed.plugin import app, static_files
from tb_trainspeed.profile import SCHEMA, Environment, Ledger, Profile
from tb_trainspeed.summary import EventFile, encode, fit_directory, seldom_s
from tests.plugin.test_store import FakeProvider

REPORT = "/report?run=baseline&fit=one"


@pytest.fixture(scope="module")
def server(serve_module, tmp_path_factory):
    log_dir = tmp_path_factory.mktemp("logs")
    environment, ledger = Environment("jax"), Ledger(wall_s=2.5, steps=7)
    profile = Profile(fit_id="one", status="finished", started_at_s=5.0, environment=environment, ledger=ledger)
    events = EventFile(fit_directory(str(log_dir / "baseline"), "one"))
    events.write(7, 1e9, {"profile": encode(profile)})
    events.close()
    return serve_module(log_dir)


def test_runs(server):
    body = server.runs()
    assert set(body) == {"version", "runs", "problems"}
    assert body["problems"] == []
    (run,) = body["runs"]
    assert run["run"] == "baseline"
    assert run["fits"] == [
        {
            "fit": "one",
            "index": 1,
            "status": "finished",
            "started_at_s": 5.0,
            "updated_at_s": 0.0,
            "steps": 7,
            "wall_s": 2.5,
            "backend": "jax",
            "workers": 1,
            "due_s": 10.0,
            "silent": False,
        }
    ]


@pytest.mark.parametrize("log_dir", ["logs", "gs://bucket/logs"])
@pytest.mark.parametrize("elapsed_s", [3.0, 36_000.0])
def test_when_records_are_due_is_when_they_are_written_and_loaded(log_dir, elapsed_s):
    record = encode(Profile(fit_id="f", started_at_s=1e9, updated_at_s=1e9 + elapsed_s))
    flags = types.SimpleNamespace(reload_interval=5.0)
    provider = FakeProvider({"trainspeed/f": record})
    plugin = app.Plugin(base_plugin.TBContext(data_provider=provider, flags=flags, logdir=log_dir))
    ((fit,),) = (run["fits"] for run in plugin.runs_impl(None, "")["runs"])
    assert fit["due_s"] == pytest.approx(seldom_s(elapsed_s, log_dir) + 5.0)


@pytest.mark.parametrize(
    ("log_dir", "lasted_s", "silent_s", "silent"),
    [
        ("logs", 5.0, 124.0, False),
        ("logs", 5.0, 126.0, True),  # 12 records stay away, and what TensorBoard takes to load one
        ("logs", 36_000.0, 3604.0, False),
        ("logs", 36_000.0, 3606.0, True),
        ("gs://bucket/logs", 5.0, 724.0, False),
        ("gs://bucket/logs", 5.0, 726.0, True),
    ],
)
def test_a_fit_that_was_killed_has_ended_in_all_that_is_said_of_it(log_dir, lasted_s, silent_s, silent, monkeypatch):
    provider = FakeProvider({})
    flags = types.SimpleNamespace(reload_interval=5.0)
    plugin = app.Plugin(base_plugin.TBContext(data_provider=provider, flags=flags, logdir=log_dir))
    monkeypatch.setattr("time.time", lambda: 1e9)
    times = {"started_at_s": 1e9 - silent_s - lasted_s, "updated_at_s": 1e9 - silent_s}
    provider.records = {"r/trainspeed/f": encode(Profile(fit_id="f", **times))}
    ((row,),) = (run["fits"] for run in plugin.runs_impl(None, "")["runs"])
    assert (row["status"], row["silent"]) == ("running", silent)
    report = plugin.report_impl(None, "", "r", "f")
    said = "The fit ended before its first step." if silent else "No step has finished yet: the fit is starting"
    assert report["status"] == ("interrupted" if silent else "running")
    assert report["verdict"].startswith(said)
    assert report["verdict"] in plugin.file_impl(None, "", "r", "f", "markdown")
    monkeypatch.setattr("time.time", lambda: 1e9 + 1e6)  # the record is the same
    assert plugin.report_impl(None, "", "r", "f")["status"] == "interrupted"


def test_report(server):
    assert server.get(REPORT) == (
        200,
        {"schema": 1, "steps": 7, "verdict": "Fine.", "odd": "NaN", "run": "baseline", "workers": None, "damage": ""},
    )


def test_rules(server):
    rule = {"code": "IP01", "name": "a-name", "summary": "A summary.", "doc": "A page."}
    assert server.get("/rules") == (200, [rule])


def test_whatif(server):
    route = "/whatif?run=baseline&fit=one&apply="
    assert server.get(route + "IP01,CB01") == (200, {"applied": ["IP01", "CB01"], "settings": {}})
    assert server.get(route + "IP01,IP01,") == (200, {"applied": ["IP01"], "settings": {}})
    assert server.get(route) == (200, {"applied": [], "settings": {}})
    status, message = server.get(route + "IP01,IP99")
    assert status == 400
    assert "unknown: IP99" in message


def test_whatif_with_levers_whose_names_may_hold_anything(server):
    settings = {"layer:a,b/{c}": 0.5, "workers": 4}
    levers = urllib.parse.quote(json.dumps(settings))
    status, answer = server.get(f"/whatif?run=baseline&fit=one&apply=&levers={levers}")
    assert (status, answer["settings"]) == (200, settings)


@pytest.mark.parametrize("levers", ["", "{", "[1]", '{"a": "1"}', '{"a": true}', "null", "[" * 3000])
def test_whatif_with_levers_that_make_no_sense(server, levers):
    status, message = server.get(f"/whatif?run=baseline&fit=one&apply=&levers={urllib.parse.quote(levers)}")
    assert status == 400
    assert "the parameter 'levers' must be a JSON object of numbers" in message


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/report", 400, "give the parameter 'run' once; it was given 0 times"),
        ("/report?run=baseline", 400, "give the parameter 'fit' once"),
        ("/report?run=baseline&fit=one&fit=two", 400, "give the parameter 'fit' once; it was given 2 times"),
        (f"/report?run={'x' * 5000}&fit=one", 400, "the parameter 'run' is longer than"),
        ("/whatif?run=baseline&fit=one", 400, "give the parameter 'apply' once"),
        ("/report?run=nope&fit=one", 404, "run 'nope' has no TrainSpeed record of a fit 'one'"),
        ("/report?run=baseline&fit=nope", 404, "run 'baseline' has no TrainSpeed record of a fit 'nope'"),
        ("/report?run=&fit=", 404, "run '' has no TrainSpeed record"),
        ("/report?run=../../etc&fit=%00", 404, "has no TrainSpeed record"),
        ("/nope", 404, ""),
    ],
)
def test_bad_requests(server, path, status, message):
    answer = server.get(path)
    assert answer[0] == status
    assert message in answer[1]


def test_experiments(server):
    response = server.client.get("/experiment/some/data/plugin/trainspeed/runs")
    assert response.status_code == 200


def test_a_report_is_made_once_per_record(serve_python, tmp_path, write):
    calls = []

    class Report:
        findings = ()

        def to_dict(self):
            return {"calls": len(calls)}

    def diagnose(profile):
        calls.append(profile)
        return Report()

    events = write(tmp_path / "baseline", "one", "running")
    server = serve_python(tmp_path, diagnose=diagnose)
    assert [server.get(REPORT)[1]["calls"] for _ in range(2)] == [1, 1]
    events.write(9, 2e9, {"profile": encode(Profile(fit_id="one", status="finished"))})
    server.reload()
    assert server.get(REPORT)[1]["calls"] == 2
    assert calls[-1].status == "finished"


@pytest.mark.parametrize("broken", ["diagnose", "to_dict", "what_if"])
def test_a_record_that_cannot_be_analysed(serve_python, tmp_path, write, caplog, broken):
    def fail(*args):
        raise ZeroDivisionError("oh")

    class Report:
        findings = ()
        to_dict = fail
        what_if = fail

    write(tmp_path / "baseline", "one", "finished")
    server = serve_python(tmp_path, diagnose=fail if broken == "diagnose" else lambda profile: Report())
    path = "/whatif?run=baseline&fit=one&apply=" if broken == "what_if" else REPORT
    status, message = server.get(path)
    assert status == 400
    assert "This record could not be analysed: ZeroDivisionError: oh. Please report this" in message
    assert "Traceback" in caplog.text


@pytest.fixture(scope="module")
def panel(tmp_path_factory):
    """A folder of static files with things in and around it that must not be served."""
    folder = tmp_path_factory.mktemp("plugin") / "static"
    (folder / "deeper").mkdir(parents=True)
    (folder / "index.js").write_text("export function render() {}")
    (folder / "deeper" / "style.css").write_text("body {}")
    (folder / "secret.py").write_text("outside")
    (folder.parent / "outside.js").write_text("outside")
    return static_files.load_files(folder)


@pytest.fixture(scope="module")
def panel_client(panel, serve_module, tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(app, "load_files", lambda: panel)
        return serve_module(tmp_path_factory.mktemp("empty")).client


def test_static_files(panel, panel_client):
    index = panel_client.get("/data/plugin/trainspeed/static/index.js")
    assert (index.status_code, index.mimetype) == (200, "text/javascript")
    assert index.headers["X-Content-Type-Options"] == "nosniff"
    assert "no-cache" in index.headers["Cache-Control"]
    style = panel_client.get("/data/plugin/trainspeed/static/deeper/style.css")
    assert (style.status_code, style.mimetype) == (200, "text/css")
    version = static_files.fingerprint(panel)
    kept = panel_client.get(f"/data/plugin/trainspeed/static/index.js?v={version}")
    assert kept.headers["Cache-Control"] == "private, max-age=86400"
    old = panel_client.get("/data/plugin/trainspeed/static/index.js?v=old")
    assert "no-cache" in old.headers["Cache-Control"]


@pytest.mark.parametrize(
    "path",
    ["", "nope.js", "secret.py", "../outside.js", "%2e%2e/outside.js", "..%2foutside.js", "deeper/../../outside.js",
     "deeper", "deeper/", "/etc/passwd", "//etc/passwd", "..\\outside.js", "index.js%00", "./index.js/"],
)  # fmt: skip
def test_nothing_else_is_served(panel_client, path):
    response = panel_client.get(f"/data/plugin/trainspeed/static/{path}")
    assert response.status_code == 404
    assert b"outside" not in response.get_data()


def test_fingerprint_follows_the_content(panel):
    changed = {**panel, "index.js": static_files.StaticFile(b"new", "text/javascript")}
    assert static_files.fingerprint(changed) != static_files.fingerprint(panel)
    assert static_files.fingerprint(dict(reversed(panel.items()))) == static_files.fingerprint(panel)


def test_path_prefix(serve_python, tmp_path, write, panel, monkeypatch):
    monkeypatch.setattr(app, "load_files", lambda: panel)
    write(tmp_path / "baseline", "one", "finished")
    server = serve_python(tmp_path, "--path_prefix", "/a/b")
    assert server.get(REPORT, prefix="/a/b")[0] == 200
    assert server.get("/static/index.js", prefix="/a/b")[0] == 200
    assert server.get("/runs")[0] == 404


def test_newer_records_are_explained(serve_python, tmp_path, write, monkeypatch):
    write(tmp_path / "baseline", "one", "finished", schema=SCHEMA + 1)
    server = serve_python(tmp_path)
    (problem,) = server.runs()["problems"]
    assert problem["run"] == "baseline"
    assert "upgrade tb-trainspeed where TensorBoard runs" in problem["message"]
    status, message = server.get(REPORT)
    assert status == 404
    assert "upgrade tb-trainspeed" in message


def test_plugin_in_an_empty_context():
    plugin = app.Plugin(base_plugin.TBContext())
    assert plugin.plugin_name == "trainspeed"
    assert plugin.data_plugin_names() == ("trainspeed",)
    assert plugin.is_active() is False
    assert plugin.frontend_metadata().tab_name == "TrainSpeed"
    assert plugin.frontend_metadata().es_module_path.startswith("/static/index.js?v=")
