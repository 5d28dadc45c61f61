"""A fact that was not measured. A rule that does not get as far as needing it can still speak."""

from typing import Any, NoReturn


class MissingFactError(Exception):
    """A rule used a fact that was not measured; the message is its name."""


class Missing:
    """Stands in for a fact that was not measured, and stops the rule at the first use."""

    def __init__(self, name: str):
        self._fact = name

    def _stop(self, *_: Any) -> NoReturn:
        raise MissingFactError(self._fact.replace("_", " "))

    __bool__ = __iter__ = __len__ = __contains__ = __getitem__ = __call__ = __hash__ = _stop
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _stop
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _stop
    __floordiv__ = __rfloordiv__ = _stop
    __float__ = __int__ = __str__ = __format__ = __round__ = _stop

    def __getattr__(self, name: str) -> NoReturn:
        self._stop()
