"""What holds on TensorFlow holds on JAX and torch: the same tests once more, as one process has one backend."""

import concurrent.futures
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
# XLA compiles the same few models for hundreds of fits, which took three fifths of JAX' time.
CACHE = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """One after the other, as each keeps a core busy, from the first test on."""
    started = []

    def run(backend, own, path):
        tests = [str(TESTS / name) for name in (*EVERYWHERE, *own)]
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", *tests]
        with open(path, "wb") as output:
            environment = {
                **os.environ,
                "KERAS_BACKEND": backend,
                **CACHE,
                "JAX_COMPILATION_CACHE_DIR": str(path.parent),
            }
            started.append(subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT))
            return started[-1].wait()

    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        paths = {backend: tmp_path_factory.mktemp(backend) / "output" for backend in ONLY}
        yield {backend: (executor.submit(run, backend, ONLY[backend], path), path) for backend, path in paths.items()}
        executor.shutdown(wait=False, cancel_futures=True)
        for process in started:
            process.kill()


def test_they_begin(runs):
    """Before all other tests: see `pytest_collection_modifyitems`. One that cannot would be over at once."""
    run, _ = runs[next(iter(ONLY))]
    with pytest.raises(concurrent.futures.TimeoutError):
        run.result(1)


@pytest.mark.parametrize("backend", ONLY)
def test_on(backend, runs):
    run, path = runs[backend]
    assert run.result() == 0, path.read_text(errors="replace")[-7000:]
