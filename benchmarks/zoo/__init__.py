"""Slow trainings with a known cause, and the same fixed: is the cause named first, and does the prediction hold?

A case is a training that can be made slow or fixed. Without a cause it is a healthy control or a trap: nothing may be
found. One file a family of causes; a case says on which backends it holds. `python -m benchmarks.zoo` runs those of the
backend in `KERAS_BACKEND`.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.zoo import (
    afterwards,
    callbacks,
    controls,
    convergence,
    distribution,
    framework,
    hardware,
    input_pipeline,
    model_compute,
    optimizer,
    tf_data,
    transfer,
    unseen,
)
from benchmarks.zoo.case import CASES, Case, Fit, measure, on_this_backend, run

__all__ = [
    "CASES",
    "Case",
    "Fit",
    "afterwards",
    "callbacks",
    "controls",
    "convergence",
    "distribution",
    "framework",
    "hardware",
    "input_pipeline",
    "measure",
    "model_compute",
    "on_this_backend",
    "optimizer",
    "run",
    "tf_data",
    "transfer",
    "unseen",
]
