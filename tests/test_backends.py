"""What holds on TensorFlow holds on JAX and torch: the same tests once more, as one process has one backend."""

import os
import pathlib
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).parent
EVERYWHERE = (
    "test_harmless.py",
    "test_callback.py",
    "test_faults.py",
    "probes/test_facts.py",
    "probes/test_fit_entry.py",
    "probes/test_flops.py",
    "probes/test_resources.py",
    "probes/test_source.py",
)
ONLY = {"jax": ("probes/test_jax.py", "probes/test_deep.py"), "torch": ("probes/test_torch.py",)}


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Both at once, as each keeps hardly more than one core busy, and beside the tests between the two below."""
    running = {}
    for backend, own in ONLY.items():
        path = tmp_path_factory.mktemp(backend) / "output"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--no-header",
            *(str(TESTS / name) for name in (*EVERYWHERE, *own)),
        ]
        environment = {**os.environ, "KERAS_BACKEND": backend}
        with open(path, "wb") as output:
            run = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        running[backend] = run, path
    yield running
    for run, _ in running.values():
        run.kill()


def test_they_begin(runs):
    """Before the long tests that do not mind: see `pytest_collection_modifyitems`."""
    assert all(run.poll() is None for run, _ in runs.values())


@pytest.mark.parametrize("backend", ONLY)
def test_on(backend, runs):
    run, path = runs[backend]
    assert run.wait() == 0, path.read_text(errors="replace")[-7000:]
