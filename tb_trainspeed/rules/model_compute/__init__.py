"""MC: the model and what it computes."""

from tb_trainspeed.rules.model_compute import architecture, batch, frozen, precision, recurrent, switches, traced

RULES = tuple(
    sorted(
        (
            rule
            for module in (batch, recurrent, precision, switches, architecture, frozen, traced)
            for rule in module.RULES
        ),
        key=lambda rule: rule.code,
    )
)
