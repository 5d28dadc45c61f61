"""HW: the machine, and what else it does."""

import contextlib
import os
import subprocess
import sys
from typing import Any

from benchmarks.zoo.case import EVERYWHERE, Fit, case
from benchmarks.zoo.trainings import fit, mlp, numbers


@case("competing_processes", "HW06", on=EVERYWHERE)
def _competing(fixed: bool) -> Fit:
    """Other processes compute, as many as the machine has cores; they are not started by this one."""
    run = fit(mlp(512, 1024), *numbers(256 * 40, 512), batch_size=256, epochs=6)

    def crowded(callbacks: list[Any]) -> None:
        with contextlib.ExitStack() as others:
            for _ in range(0 if fixed else os.cpu_count() or 1):
                others.callback(subprocess.Popen([sys.executable, "-c", "while True: pass"]).kill)
            run(callbacks)

    return crowded
