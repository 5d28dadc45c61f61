"""The facts by name."""

from collections.abc import Callable
from typing import Any

from tb_trainspeed.profile import Profile

FACTS: dict[str, Callable[[Profile], Any]] = {}


def fact(function: Callable[[Profile], Any]) -> Callable[[Profile], Any]:
    """Makes a function of a profile a fact that rules can ask for by its name."""
    FACTS[function.__name__] = function
    return function
