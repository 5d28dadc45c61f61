"""Records in a log folder, real TensorBoards that read them, and a real Chromium that looks at them.

Nearly all records are made from one of a real fit (tests/golden/event_files/demo), so that what is on screen does not
depend on how fast the machine is; the run `real` is trained here.
"""

import dataclasses
import os
import pathlib
import time

import pytest

from tb_trainspeed.profile import Breakdown, CompilationEvent, LayerTime, Part, Steps, Timeline, Usage
from tb_trainspeed.report import diagnose
from tb_trainspeed.summary import EventFile, encode, fit_directory, read_log
from tests.browser.drive import MissingError, Server, Tab, chromium, write

RECORD = pathlib.Path(__file__).parents[1] / "golden" / "event_files" / "demo"
# Longer than what is shown whole, and from right to left.
HEBREW_RUN = "ניסוי ראשון עם שכבות רבות מאוד וקצב למידה קטן"
HOSTILE_RUN = "<img src=x onerror=alert(1)> &amp; \u202etxt"


@pytest.fixture(scope="session")
def browser():
    try:
        with chromium() as browser:
            yield browser
    except MissingError as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def log_dir(tmp_path_factory, browser):
    """A recorded fit in the run `slow`, what else there may be of it in other runs, and a broken record."""
    folder = tmp_path_factory.mktemp("logs")
    train(folder / "real")
    (fit,) = read_log(RECORD).fits
    now = time.time()
    profile = dataclasses.replace(fit.profile, started_at_s=now - fit.profile.ledger.wall_s, updated_at_s=now)
    write(folder / "slow", profile)
    write(folder / HOSTILE_RUN, profile, fit_id="hostile", updated_at_s=now - 1000)
    write(folder / HEBREW_RUN, profile, fit_id="hebrew", updated_at_s=now - 1000)
    write(folder / "deep", with_deep_samples(profile))
    write(folder / "fixed", faster(profile))
    write(folder / "one-step", beginning(profile), fit_id="one-step")
    for worker in range(3):
        write(folder / "workers", at_work(profile, worker))
    # Its process was killed a minute ago.
    write(folder / "silent", profile, fit_id="silent", status="running", updated_at_s=now - 60)
    damage(folder / "damaged", profile, now)
    broken = EventFile(fit_directory(str(folder / "broken"), "broken"))
    broken.write(0, now, {"profile": b"not a record"})
    broken.close()
    return folder


def damage(run_dir, profile, now):
    """A fit of two records, of which the newer one cannot be read."""
    events = EventFile(fit_directory(str(run_dir), "damaged"))
    for steps in (100, 200):
        ledger = dataclasses.replace(profile.ledger, steps=steps)
        old = dataclasses.replace(profile, fit_id="damaged", ledger=ledger, updated_at_s=now - 1500)
        events.write(steps, now, {"profile": encode(old)})
    events.close()
    (path,) = run_dir.glob("trainspeed/*/*")
    data = bytearray(path.read_bytes())
    data[-100] ^= 0xFF
    path.write_bytes(data)


def train(log_dir):
    """A real fit."""
    import keras
    import numpy as np

    from tb_trainspeed import TrainSpeedCallback

    class Slow(keras.utils.PyDataset):
        def __len__(self):
            return 20

        def __getitem__(self, index):
            time.sleep(0.01)
            return np.zeros((8, 4), "float32"), np.zeros((8, 1), "float32")

    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(Slow(), epochs=3, verbose=0, callbacks=[TrainSpeedCallback(str(log_dir), verbose=0)])


def scaled(ledger, factors):
    """The ledger with its phases multiplied, and the wall time they then add up to."""
    phases = {name: value and value * factors.get(name, 1.0) for name, value in ledger.phases.items()}
    saved_s = sum((value or 0.0) - (phases[name] or 0.0) for name, value in ledger.phases.items())
    return dataclasses.replace(ledger, phases=phases, wall_s=ledger.wall_s - saved_s)


def faster(profile):
    """The fit with a tenth of the waiting, a minute later."""
    factors = {"input_wait": 0.1}
    ledger, steady = scaled(profile.ledger, factors), scaled(profile.steady, factors)
    times = {"started_at_s": profile.started_at_s + 60, "updated_at_s": profile.updated_at_s - 100}
    return dataclasses.replace(profile, fit_id="fixed", ledger=ledger, steady=steady, **times)


def beginning(profile):
    """The fit as its record was after one step."""
    ledger = dataclasses.replace(profile.ledger, steps=1, epochs=0)
    old = {"updated_at_s": profile.updated_at_s - 2000, "started_at_s": profile.started_at_s - 2000}
    empty = {"steps": Steps(), "timeline": Timeline(), "markers": (), "hooks": ()}
    return dataclasses.replace(profile, status="interrupted", ledger=ledger, steady=None, **empty, **old)


def at_work(profile, worker):
    """One of three workers of the fit; the second computes when the others wait for it."""
    line = profile.timeline
    waits = tuple((0.1 if worker == 1 else 0.5) * wall_s for wall_s in line.wall_s)
    computes = tuple(wall_s - wait for wall_s, wait in zip(line.wall_s, waits, strict=True))
    nothing = dict.fromkeys(line.phases, (0.0,) * len(waits))
    phases = {**nothing, "collectives": waits, "compute": computes}

    def shared(ledger):
        share = 0.1 if worker == 1 else 0.5
        mine = {"collectives": share * ledger.wall_s, "compute": (1 - share) * ledger.wall_s}
        return dataclasses.replace(ledger, phases={**dict.fromkeys(ledger.phases, 0.0), **mine})

    return dataclasses.replace(
        profile,
        fit_id=f"worker-{worker}",
        worker=worker,
        started_at_s=profile.started_at_s - 50,
        updated_at_s=profile.updated_at_s - 50,
        ledger=shared(profile.ledger),
        steady=shared(profile.steady),
        timeline=dataclasses.replace(line, phases=phases),
    )


@pytest.fixture(scope="session")
def profiles(log_dir):
    return {fit.run: fit.profile for fit in read_log(log_dir).fits}


@pytest.fixture(scope="session")
def profile(profiles):
    return profiles["slow"]


def with_deep_samples(profile):
    """The fit as it would be after deep samples of a model within a model, and after a second compilation."""
    parts = (Part("forward", 3e-4, 2e-4, 4e-4), Part("backward", 6e-4, 5e-4, 7e-4), Part("optimizer", 1e-4, 1e-4, 1e-4))
    times = {"encoder/<b>x,1</b>": (1e-4, 3e-4), "encoder/b": (5e-5, 1e-4), "dense": (5e-5, 5e-5)}
    layers = tuple(LayerTime(path, *seconds) for path, seconds in times.items())
    cores = tuple(1 + 0.5 * (bucket % 3) for bucket in range(48))
    again = CompilationEvent(30, 0.5, 0.1, "float32(3, 4)", "new shapes")
    changes = {
        "breakdown": Breakdown(3, 9, parts, layers),
        "compilation": dataclasses.replace(profile.compilation, events=(again,)),
        "resources": dataclasses.replace(profile.resources, usage=Usage(0.5, {"process_cores": cores})),
    }
    return dataclasses.replace(profile, fit_id="deep", updated_at_s=profile.updated_at_s - 500, **changes)


@pytest.fixture(scope="session")
def deep_profile(profiles):
    return profiles["deep"]


@pytest.fixture(scope="session")
def report(profile):
    return diagnose(profile).to_dict()


class RunningFit:
    """A fit that never ends, in the run `running`."""

    def __init__(self, log_dir, profile):
        self._profile = profile
        self._events = EventFile(fit_directory(str(log_dir / "running"), "running"))
        self.write(1234)

    def write(self, steps):
        self.steps = steps
        now = time.time()
        ledger = dataclasses.replace(self._profile.ledger, steps=steps)
        changes = {"fit_id": "running", "status": "running", "ledger": ledger, "updated_at_s": now}
        self._events.write(steps, now, {"profile": encode(dataclasses.replace(self._profile, **changes))})

    def close(self):
        self._events.close()


@pytest.fixture(scope="session")
def running_fit(log_dir, profile):
    fit = RunningFit(log_dir, profile)
    yield fit
    fit.close()


@pytest.fixture(scope="session")
def empty_log_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(scope="session")
def tabs(browser, log_dir, running_fit, empty_log_dir):
    """By name: a server with the fast loader, one with the Python loader and a prefix, one without records."""
    servers = {
        "fast": Server(log_dir, "--load_fast=true"),
        "prefix": Server(log_dir, "--load_fast=false", "--path_prefix=/a/b"),
        "empty": Server(empty_log_dir, "--load_fast=true"),
    }
    yield {name: Tab(browser, server.url) for name, server in servers.items()}
    for server in servers.values():
        server.stop()


@pytest.fixture
def show(tabs):
    """show(name of a tab, **options of Tab.show) -> the tab; nothing may have been said on the console in the end."""
    for tab in tabs.values():
        tab.complaints.clear()
    yield lambda name, **options: tabs[name].show(**options)
    assert [complaint for tab in tabs.values() for complaint in tab.complaints] == []
