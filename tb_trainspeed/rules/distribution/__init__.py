"""DS: several devices, or several machines.

But for a strategy over logical CPUs, nothing here was verified on hardware, and the pages say so.
"""

from tb_trainspeed.rules.distribution import devices, replicas

_MODULES = (replicas, devices)
RULES = tuple(sorted((rule for module in _MODULES for rule in module.RULES), key=lambda rule: rule.code))
