"""FW: the framework, used against its grain."""

from tb_trainspeed.rules.framework import compiling, debugging, eager, refits

_MODULES = (eager, compiling, refits, debugging)
RULES = tuple(sorted((rule for module in _MODULES for rule in module.RULES), key=lambda rule: rule.code))
