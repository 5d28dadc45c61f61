"""HW: the machine, and what else it does."""

import contextlib
import os
import signal
import subprocess
import sys
from typing import Any

import keras
import numpy as np

from benchmarks.zoo.case import EVERYWHERE, Fit, case
from benchmarks.zoo.trainings import classifier, fit, mlp, numbers

# Computes for as long as the process of this number is there: it may be killed.
_LOOP = "import os, sys\nwhile os.kill(int(sys.argv[1]), 0) is None:\n    for _ in range(10**6):\n        pass"


@case(
    "competing_processes",
    "HW06",
    on=EVERYWHERE,
)
def _competing(fixed: bool) -> Fit:
    """Other processes compute, as many as the machine has cores; they are not started by this one."""
    run = fit(mlp(512, 1024), *numbers(256 * 40, 512), batch_size=256, epochs=6)

    def crowded(callbacks: list[Any]) -> None:
        with contextlib.ExitStack() as others:
            for _ in range(0 if fixed else os.cpu_count() or 1):
                # By a shell that ends at once, so that it is no child of ours: those count as workers of the training.
                loop = [sys.executable, "-c", _LOOP, str(os.getpid())]
                started = subprocess.check_output(["sh", "-c", '"$@" >/dev/null 2>&1 & echo $!', "sh", *loop])
                others.callback(os.kill, int(started), signal.SIGKILL)
            run(callbacks)

    return crowded


@case(
    "vector_instructions_off",
    "HW11",
    environment={"TF_ENABLE_ONEDNN_OPTS": "0"},
)
def _no_vectors(fixed: bool) -> Fit:
    return fit(mlp(512, 1024, 3), *numbers(256 * 20, 512), batch_size=256)


@case("far_more_threads_than_cores", "HW05", environment={})
def _oversubscribed(fixed: bool) -> Fit:
    import tensorflow as tf

    if not fixed:
        tf.config.threading.set_intra_op_parallelism_threads(64)
    return fit(_convolutions(), *_pictures(), batch_size=64)


@case("trap_one_thread_on_few_cores", environment={})
def _one_thread(fixed: bool) -> Fit:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    return fit(_convolutions(), *_pictures(), batch_size=64)


def _convolutions() -> Any:
    layers = keras.layers
    return classifier(layers.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"), pooling=2)


def _pictures() -> tuple[Any, Any]:
    return np.random.default_rng(0).normal(size=(64 * 25, 28, 28, 1)).astype("float32"), numbers(64 * 25)[1]
