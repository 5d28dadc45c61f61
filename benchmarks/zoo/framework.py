"""FW: the framework, used against its grain."""

from benchmarks.zoo.case import Fit, case
from benchmarks.zoo.trainings import fit, mlp, numbers


@case("run_eagerly", "FW01", quick=True)
def _eager(fixed: bool) -> Fit:
    return fit(mlp(32, run_eagerly=not fixed), *numbers(64 * 30), batch_size=64)


@case("steps_per_execution", "FW07", quick=True)
def _steps_per_execution(fixed: bool) -> Fit:
    return fit(mlp(32, 16, steps_per_execution=16 if fixed else 1), *numbers(32 * 320), batch_size=32)
