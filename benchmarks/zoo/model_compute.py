"""MC: the model and what it computes."""

from benchmarks.zoo.case import Fit, case
from benchmarks.zoo.trainings import fit, mlp, numbers


@case("tiny_batch", "MC00", quick=True)
def _tiny_batch(fixed: bool) -> Fit:
    return fit(mlp(32, 32), *numbers(8 * 400), batch_size=64 if fixed else 8)
