"""IP: the input pipeline.

Every rule here speaks only where steps wait for their data, or computing shares its cores with what makes them:
loading that hides behind computing costs nothing else.
"""

from tb_trainspeed.rules.input_pipeline import (
    decoding,
    epoch,
    few_workers,
    files,
    generators,
    mapping,
    options,
    preprocessing,
    python_code,
    workers,
)
from tb_trainspeed.rules.input_pipeline.shared import SPEAK_FROM

__all__ = ["RULES", "SPEAK_FROM"]

RULES = tuple(
    sorted(
        (
            rule
            for module in (
                workers,
                few_workers,
                python_code,
                generators,
                mapping,
                decoding,
                files,
                epoch,
                options,
                preprocessing,
            )
            for rule in module.RULES
        ),
        key=lambda rule: rule.code,
    )
)
