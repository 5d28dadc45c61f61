"""The Python generator that a tf.data pipeline begins with."""

import dataclasses

from tb_trainspeed.profile import Profile, Source
from tb_trainspeed.rules.facts.registry import fact

# Of calls that take less, what they take beside their CPU time is waiting for Python's lock, and clocks.
_SHORT_S = 200e-6


def own_s_of(generator: Source | None) -> float | None:
    """Returns the seconds that a generator's own code takes for an element; `None` where that was not timed."""
    if not generator or not generator.calls:
        return None
    wall_s, cpu_s = generator.wall_s / generator.calls, generator.cpu_s / generator.calls
    return cpu_s if wall_s < _SHORT_S else wall_s


def generated_elements_of(profile: Profile) -> float | None:
    """Returns how many elements of a Python generator a batch of a tf.data pipeline takes; `None` without one."""
    stages = profile.data.stages
    return next((stage.elements_per_batch for stage in stages if "GeneratorDataset" in stage.operations), None)


@fact
def generated(profile: Profile) -> Source | None:
    """The generator that a tf.data pipeline begins with, by what it takes for a batch."""
    made, elements = profile.data.generator, generated_elements_of(profile)
    own_s = own_s_of(made)
    if made is None or own_s is None or not elements:
        return None
    return dataclasses.replace(made, wall_s=own_s * made.calls * elements, cpu_s=made.cpu_s * elements)
