"""A real TensorBoard around the plugin: its own WSGI application, with each of its two data loaders."""

import contextlib
import json
import sys
import time
import types
import warnings

import pytest
import werkzeug.test
from tensorboard import program
from tensorboard.backend import application
from tensorboard.plugins.core import core_plugin
from tensorboard.plugins.scalar import scalars_plugin

from tb_trainspeed.plugin.loader import Loader
from tb_trainspeed.profile import Profile
from tb_trainspeed.summary import EventFile, encode, fit_directory

# The server has to work without TensorFlow. Where it is installed TensorBoard imports it, unless this module exists.
sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("notf"))


class Server:
    """A TensorBoard; `get` answers (status, JSON or text)."""

    def __init__(self, tensorboard):
        with warnings.catch_warnings():
            # TensorBoard forgets the process of its data server and that one's temporary directory right here.
            warnings.simplefilter("ignore", ResourceWarning)
            self.provider, self.multiplexer = tensorboard._make_data_provider()
        # None: without TensorBoard's own pages, which take a third of a second to unpack.
        app = application.TensorBoardWSGIApp(
            tensorboard.flags, tensorboard.plugin_loaders, self.provider, None, self.multiplexer
        )
        self.client = werkzeug.test.Client(app)

    def get(self, path, prefix=""):
        response = self.client.get(f"{prefix}/data/plugin/trainspeed{path}")
        text = response.get_data(as_text=True)
        return response.status_code, json.loads(text) if response.mimetype == "application/json" else text

    def runs(self):
        status, body = self.get("/runs")
        assert status == 200
        return body

    def reload(self):
        """The fast loader reloads every second; the Python loader when told."""
        if self.multiplexer is not None:
            self.multiplexer.Reload()

    def wait_for(self, condition):
        """Until `condition(runs)`, which the fast loader needs a moment for."""
        deadline = time.monotonic() + (0 if self.multiplexer else 20)
        while not condition(self.runs()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert condition(self.runs()), self.runs()
        return self.runs()


class FakeReport:
    """Stands for a report: the routes are tested here, not the rules."""

    def __init__(self, profile):
        self.profile = profile
        self.findings = [types.SimpleNamespace(code=code) for code in ("IP01", "CB01")]

    def to_dict(self):
        return {"schema": 1, "steps": self.profile.ledger.steps, "verdict": "Fine.", "odd": float("nan")}

    def what_if(self, codes, settings):
        unknown = set(codes) - {finding.code for finding in self.findings}
        if unknown:
            raise ValueError(f"unknown: {', '.join(unknown)}")
        return {"applied": list(codes), "settings": settings}


def fake_catalogue():
    rule = {"code": "IP01", "name": "a-name", "summary": "A summary.", "doc": "A page."}
    return [types.SimpleNamespace(to_dict=lambda: rule)]


@contextlib.contextmanager
def running(log_dir, kind, *flags, loader=None, diagnose=FakeReport):
    class TestLoader(Loader):
        def load(self, context):
            from tb_trainspeed.plugin.app import Plugin

            return Plugin(context, diagnose=diagnose, catalogue=fake_catalogue)

    plugins = [core_plugin.CorePluginLoader(), scalars_plugin.ScalarsPlugin, loader or TestLoader]
    tensorboard = program.TensorBoard(plugins=plugins)
    loading = {
        "python": ["--load_fast", "false", "--reload_interval", "0", "--reload_task", "blocking"],
        "fast": ["--load_fast", "true", "--reload_interval", "1"],
    }
    tensorboard.configure(argv=["tensorboard", "--logdir", str(log_dir), *loading[kind], *flags])
    try:
        yield Server(tensorboard)
    finally:
        handle = getattr(getattr(tensorboard, "_ingester", None), "_stdin_handle", None)
        if handle is not None:  # The data server dies when its standard input closes.
            handle.close()


@pytest.fixture(params=["python", "fast"])
def kind(request):
    return request.param


@pytest.fixture
def serve(kind):
    """serve(log_dir, *flags) -> Server, with both loaders in turn."""
    with contextlib.ExitStack() as stack:
        yield lambda log_dir, *flags, **options: stack.enter_context(running(log_dir, kind, *flags, **options))


@pytest.fixture
def serve_python():
    """The same with the Python loader only, for what does not depend on the loader."""
    with contextlib.ExitStack() as stack:
        yield lambda log_dir, *flags, **options: stack.enter_context(running(log_dir, "python", *flags, **options))


@pytest.fixture(scope="module")
def serve_module():
    """The same for all tests of a module."""
    with contextlib.ExitStack() as stack:
        yield lambda log_dir, *flags, **options: stack.enter_context(running(log_dir, "python", *flags, **options))


@pytest.fixture
def write():
    """write(log_dir, fit_id, *payloads or statuses, **fields) writes a fit, a record for each; returns its file."""

    opened = []

    def write_fit(log_dir, fit_id, *records, **fields):
        events = EventFile(fit_directory(str(log_dir), fit_id))
        opened.append(events)
        for step, record in enumerate(records):
            profile = Profile(fit_id=fit_id, status=str(record), **fields)
            payload = record if isinstance(record, bytes) else encode(profile)
            events.write(step, 1e9 + step, {"profile": payload, "step_s": 0.5 + step})
        return events

    yield write_fit
    for events in opened:
        events.close()
