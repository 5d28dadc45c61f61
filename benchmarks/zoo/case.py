"""What a case is, and how one is run."""

import dataclasses
import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import keras

from tb_trainspeed import Report, TrainSpeedCallback
from tb_trainspeed.probes import fit_loop
from tb_trainspeed.report import diagnose
from tb_trainspeed.rules import OF_THE_MACHINE
from tb_trainspeed.summary import decode

Fit = Callable[[list[Any]], None]
EVERYWHERE = ("tensorflow", "jax", "torch")

CASES: list["Case"] = []


@dataclasses.dataclass(frozen=True)
class Case:
    """A training. `slow` and `fixed` make a fit that takes callbacks.

    Attributes:
        causes: the codes expected; none for a control or a trap.
        backends: where it holds.
        quick: whether the tests run it.
        fixed: none where the fix is no `fit`, so that it cannot be timed by its report.
        environment: variables with which the slow one runs in a process of its own, and so does the fixed one without
            them; for what is decided when a backend starts. `None` where it runs in this process.
        total: whether it is the wall time of the whole fit that the fix shortens, startup and compilation included;
            else it is the time of a steady epoch.
    """

    name: str
    family: str
    causes: tuple[str, ...]
    backends: tuple[str, ...]
    slow: Callable[[], Fit]
    fixed: Callable[[], Fit] | None = None
    quick: bool = False
    total: bool = False
    environment: Mapping[str, str] | None = None

    def right(self, codes: list[str]) -> bool:
        """Whether these findings, in this order, name a cause first and all causes among the first three."""
        codes = of_the_case(self.causes, codes)
        if not self.causes:
            return not codes
        return set(codes[:1]) <= set(self.causes) <= set(codes[:3])


def of_the_case(causes: Collection[str], codes: Iterable[str]) -> list[str]:
    """The codes found, without those that are of the machine or the run, unless they are the cause."""
    return [code for code in codes if code in causes or code not in OF_THE_MACHINE]


def case(
    name: str,
    *causes: str,
    on: tuple[str, ...] = ("tensorflow",),
    quick: bool = False,
    total: bool = False,
    timed: bool = True,
    environment: Mapping[str, str] | None = None,
) -> Callable[[Callable[[bool], Fit]], Callable[[bool], Fit]]:
    """Registers `make(fixed)` as a case; one without a cause, or that is not `timed`, is only run slow."""

    def register(make: Callable[[bool], Fit]) -> Callable[[bool], Fit]:
        family = make.__module__.rpartition(".")[2]
        fixed = (lambda: make(True)) if causes and timed else None
        CASES.append(Case(name, family, causes, on, lambda: make(False), fixed, quick, total, environment))
        return make

    return register


def on_this_backend(chosen: Case) -> bool:
    """Whether a case holds on the backend that runs."""
    return keras.backend.backend() in chosen.backends


def run(chosen: Case, fixed: bool = False) -> Report:
    """Runs a case as it is or fixed, in a process of its own where it needs one, and returns the report of its fit."""
    if chosen.environment is None:
        return measure(chosen.fixed if fixed and chosen.fixed else chosen.slow)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "profile")
        command = [sys.executable, "-m", "benchmarks.zoo.alone", chosen.name, "fixed" if fixed else "slow", path]
        variables = os.environ if fixed else {**os.environ, **chosen.environment}
        subprocess.run(command, check=True, env=variables)
        with open(path, "rb") as file:
            return diagnose(decode(file.read()))


def measure(make: Callable[[], Fit]) -> Report:
    """Runs a fit and returns its report; what earlier fits left is collected before."""
    gc.collect()
    fit_loop.forget_models()
    keras.utils.set_random_seed(0)
    callback = TrainSpeedCallback(log_dir=None, verbose=0)
    make()([callback])
    return callback.report
