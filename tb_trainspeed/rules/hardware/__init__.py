"""HW: the machine, whether it is used, and what else it does."""

from tb_trainspeed.rules.hardware import accelerator, host

RULES = tuple(sorted(accelerator.RULES + host.RULES, key=lambda rule: rule.code))
