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


@pytest.mark.parametrize("backend", ONLY)
def test_on(backend):
    files = [str(TESTS / name) for name in (*EVERYWHERE, *ONLY[backend])]
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", *files]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    run = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
