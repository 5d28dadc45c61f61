"""The Python generator that a tf.data pipeline begins with."""

import dataclasses

from tb_trainspeed.profile import Profile, Source
from tb_trainspeed.rules.facts.registry import fact


def generated_elements_of(profile: Profile) -> float | None:
    """Returns how many elements of a Python generator a batch of a tf.data pipeline takes; `None` without one."""
    stages = profile.data.stages
    return next((stage.elements_per_batch for stage in stages if "GeneratorDataset" in stage.operations), None)


@fact
def generated(profile: Profile) -> Source | None:
    """The generator that a tf.data pipeline begins with, by what it takes for a batch."""
    made, elements = profile.data.generator, generated_elements_of(profile)
    if not made or not made.calls or not elements:
        return None
    return dataclasses.replace(made, wall_s=made.wall_s * elements, cpu_s=made.cpu_s * elements)
