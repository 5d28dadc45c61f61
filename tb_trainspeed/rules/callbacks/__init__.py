"""CB: callbacks, validation and checkpoints."""

from tb_trainspeed.rules.callbacks import batches, epochs, model_calls, validation

_MODULES = (batches, model_calls, epochs, validation)
RULES = tuple(sorted((rule for module in _MODULES for rule in module.RULES), key=lambda rule: rule.code))
