"""Nothing of ours may raise into `fit`: what fails is noted as not measured, with its reason, and the fit goes on."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from tb_trainspeed.recorder import OwnCost

log = logging.getLogger("tb_trainspeed")

# What is called beside the steps and hooks of a fit, by its owner.
CLOCK = ("tick", "push", "pop", "switch", "move")
SAMPLER = ("before_step", "after_step", "end")
RECORDER = (
    "safely", "step_begin", "fetched", "fetch_begin", "fetch_end", "dispatched", "step_end", "step_abort",
    "watch_device", "drain_device", "epoch_logs_read", "epoch_begin", "epoch_end", "validation_begin",
    "validation_call", "validation_end", "enter", "leave", "nested_call", "released", "new_function", "sample_begin",
    "sample_end",
)  # fmt: skip
#: What may fail of writing: a disk that is full now may not be for the next record.
RECORDS = ("a record", "the last record")
IN_STEPS = ("step_begin", "fetched", "fetch_begin", "fetch_end", "dispatched", "step_end", "enter", "leave")


class Guard:
    """Catches what we raise in one fit; the first time, it warns.

    Args:
        give_up: is told of a failure after which nothing can be measured any more.
    """

    def __init__(self, give_up: Callable[[Exception], None]):
        #: What is not measured, and why.
        self.not_measured: dict[str, str] = {}
        self._give_up = give_up
        self._warned = False

    def attempt(self, what: str, action: Callable[[], None]) -> None:
        """Runs `action`; if it fails, `what` is not measured."""
        try:
            action()
        except Exception as error:
            self.note(what, error)

    def note(self, what: str, error: Exception) -> None:
        """`what` is not measured because of this error."""
        self.not_measured[what] = f"{type(error).__name__}: {error}"
        if not self._warned:
            self._warned = True
            fails = "cannot save" if what in RECORDS else "does not measure"
            log.warning("TrainSpeed %s %s of this fit: %r. Training is not affected.", fails, what, error)

    def guarded(self, method: Callable[..., Any], cost: OwnCost | None = None) -> Callable[..., Any]:
        """Returns `method`, but a failure in it is the end of measuring instead of an exception.

        `cost`: what weighs it in some steps.
        """

        def guarded(*args: Any) -> Any:
            try:
                if cost is not None and cost.weighs:
                    return cost.weigh(method, args)
                return method(*args)
            except Exception as error:
                self._give_up(error)

        return guarded

    def put_around(self, owner: Any, names: Iterable[str], cost: OwnCost | None = None) -> None:
        """Guards these methods of `owner`, and has those weighed that are called in every step."""
        for name in names:
            setattr(owner, name, self.guarded(getattr(owner, name), cost if name in IN_STEPS else None))


def switch_off(owner: Any, names: Iterable[str]) -> None:
    """Makes these methods of `owner` do nothing, for the hooks and steps that are still on the stack."""
    for name in names:
        setattr(owner, name, ignore)


def ignore(*args: Any) -> None:
    pass
