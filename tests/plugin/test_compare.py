"""Comparing, files to keep, and workers, through TensorBoard's own WSGI application and both of its loaders."""

import json

import pytest

from tb_trainspeed.report import compare, diagnose, page, workers_of
from tb_trainspeed.summary import EventFile, decode, encode, fit_directory
from tests.report.fits import fit

SLOW, FAST = fit(), fit(step_s=0.02, wait_s=0.005, fit_index=2, started_at_s=5000.0, updated_at_s=5010.0)
WORKERS = [fit(worker=worker, collectives=0.009 - 0.004 * worker) for worker in range(3)]


def put(run_dir, profile, name=None):
    events = EventFile(fit_directory(str(run_dir), name or profile.fit_id))
    events.write(profile.ledger.steps, profile.updated_at_s, {"profile": encode(profile)})
    events.close()


@pytest.fixture
def log_dir(tmp_path):
    put(tmp_path / "a b", SLOW, "slow")
    put(tmp_path / "fast", FAST, "fast")
    for profile in WORKERS:
        put(tmp_path / "many", profile)
    return tmp_path


@pytest.fixture
def server(serve, log_dir):
    server = serve(log_dir, diagnose=diagnose)
    server.wait_for(lambda body: len(body["runs"]) == 3 and body["runs"][2]["fits"][0]["workers"] == 3)
    return server


def test_compare(server):
    status, body = server.get("/compare?a=a+b&b=fast")
    assert status == 200
    assert body == json.loads(json.dumps(compare(diagnose(SLOW), diagnose(FAST)).to_dict()))
    assert server.get("/compare?a=a+b&a_fit=fit-0&b=fast&b_fit=fit-0") == (200, body)


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("a=a+b", 400, "'b' once"),
        ("a=a+b&b=gone", 404, "run 'gone' has no TrainSpeed record"),
        ("a=a+b&b=fast&b_fit=x", 404, "fit 'x'"),
    ],
)
def test_what_cannot_be_compared(server, query, status, message):
    answer = server.get(f"/compare?{query}")
    assert answer[0] == status
    assert message in answer[1]


def test_workers_are_one_fit_in_the_list_and_a_map_in_its_report(server):
    (many,) = [run for run in server.runs()["runs"] if run["run"] == "many"]
    (row,) = many["fits"]
    assert (row["fit"], row["workers"]) == ("fit-0", 3)
    for name in ("fit-0", "fit-2"):  # each of them can still be looked at alone
        report = server.get(f"/report?run=many&fit={name}")[1]
        assert report["fit_id"] == name
        assert report["workers"] == json.loads(json.dumps(workers_of([decode(encode(one)) for one in WORKERS])))
    assert server.get("/report?run=fast&fit=fit-0")[1]["workers"] is None


@pytest.mark.parametrize(
    ("kind", "mime", "suffix"),
    [("markdown", "text/markdown", "md"), ("json", "application/json", "json"), ("html", "text/html", "html")],
)
def test_files_to_keep(serve_python, log_dir, kind, mime, suffix):
    server = serve_python(log_dir, diagnose=diagnose)
    path = "/data/plugin/trainspeed/report?run=a+b&fit=fit-0"
    response = server.client.get(f"{path}&format={kind}")
    assert response.mimetype == mime
    assert response.headers["Content-Disposition"] == f'attachment; filename="trainspeed-a-b.{suffix}"'
    values = server.get("/report?run=a+b&fit=fit-0")[1]
    text = response.get_data(as_text=True)
    if kind == "json":
        assert json.loads(text) == values
    if kind == "html":
        assert page.DATA_ID in text
    assert diagnose(SLOW).findings[0].code in text


def test_files_of_the_log_folder_itself_have_its_name_and_count_as_the_list_does(serve_python, tmp_path):
    logs = tmp_path / "logs"
    for number in range(3):  # of three scripts: each fit is the first of its process
        times = {"started_at_s": 1000.0 * number, "updated_at_s": 1000.0 * number + 10}
        put(logs, fit(fit_id=f"fit-{number}", **times))
    server = serve_python(logs, diagnose=diagnose)
    path = "/data/plugin/trainspeed/report?run=.&fit=fit-2&format="
    files = {kind: server.client.get(path + kind) for kind in ("markdown", "html", "json")}
    said = {kind: file.get_data(as_text=True) for kind, file in files.items()}
    assert "Run logs, fit 3 of 3, finished: " in said["markdown"]
    assert "<title>TrainSpeed: logs</title>" in said["html"]
    assert json.loads(said["json"])["run"] == "logs"
    assert 'filename="trainspeed-logs.md"' in files["markdown"].headers["Content-Disposition"]
    assert server.get("/report?run=.&fit=fit-2")[1]["run"] == "."  # what the tab asks for it by


def test_an_unknown_format_is_refused(serve_python, log_dir):
    status, message = serve_python(log_dir, diagnose=diagnose).get("/report?run=a+b&fit=fit-0&format=pdf")
    assert status == 400
    assert "json, markdown, html" in message
