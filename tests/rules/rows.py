"""How a row of a rule's table is written."""

import pytest

from tb_trainspeed.profile import CodeLine
from tb_trainspeed.rules.facts import Steady

STEADY = Steady(epoch_s=2.0, epochs=3, steps_per_epoch=100, phases={"compute": 6.0})


def line(kind, calls, function="Net.train_step", text=""):
    """A line of the user's own code."""
    return CodeLine(kind, calls, function, "net.py", 12, text or f"{calls}(loss)")


def fires(rule, facts, case="", **changed):
    """The rule speaks on these facts, some of them changed."""
    return pytest.param(rule, facts, changed, id=f"{rule.code} {case}".strip())


def silent(rule, facts, outcome, case, **changed):
    """The rule does not speak: it passes, or does not apply."""
    return pytest.param(rule, facts, changed, outcome, id=f"{rule.code} {case}")
