"""What a rule is: a function of facts, and the values it may return."""

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal

from tb_trainspeed.rules.facts import FACTS

Confidence = Literal["certain", "likely", "hint"]
ChangesResults = Literal["no", "rounding", "training"]

#: The headings of every rule's docstring, which is its page in the docs and the panel's "more" text.
HEADINGS = ("What it means", "Why it is slow", "What to change", "When this is wrong", "Sources")


@dataclasses.dataclass(frozen=True)
class Range:
    """Three ends of one estimate: what the remedy gives at least, probably, and at best."""

    low: float
    expected: float
    high: float


def exactly(value: float) -> Range:
    """An estimate without uncertainty."""
    return Range(value, value, value)


@dataclasses.dataclass(frozen=True)
class Change:
    """What a remedy does to the step-time model (`whatif.StepModel`); field names are those of the model.

    `factors` multiply quantities of the model, `removes` subtract seconds from them, `sets` replace them.
    `first_epoch` is whether the remedy helps from the first epoch on, or only from the second.
    """

    factors: Mapping[str, Range] = dataclasses.field(default_factory=dict)
    removes: Mapping[str, Range] = dataclasses.field(default_factory=dict)
    sets: Mapping[str, Range] = dataclasses.field(default_factory=dict)
    first_epoch: bool = True


@dataclasses.dataclass(frozen=True)
class Found:
    """The cause is there.

    `bars` are seconds that show it side by side, where that helps, label to value. `subject` is which of several it is
    about, such as one of the callbacks: it silences no symptoms of another.
    """

    title: str
    message: str
    phase: str
    evidence: Mapping[str, str]
    remedy: str
    code: str
    change: Change
    confidence: Confidence = "certain"
    changes_results: ChangesResults = "no"
    bars: Mapping[str, float] = dataclasses.field(default_factory=dict)
    subject: str = ""


@dataclasses.dataclass(frozen=True)
class Passed:
    """The cause is not there, or costs too little to speak of."""

    reason: str


@dataclasses.dataclass(frozen=True)
class NotApplicable:
    """This fit has nothing the rule could look at."""

    reason: str


Outcome = Found | Passed | NotApplicable


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule of the catalogue. `silences` lists the codes that are only symptoms of this cause."""

    code: str
    name: str
    function: Callable[..., Outcome]
    needs: tuple[str, ...]
    silences: tuple[str, ...] = ()

    @property
    def doc(self) -> str:
        """The page of the rule."""
        return inspect.getdoc(self.function) or ""

    @property
    def summary(self) -> str:
        """The first line of the page."""
        return self.doc.partition("\n")[0]

    def to_dict(self) -> dict[str, str]:
        """Returns what is told of the rule as JSON values; `doc` is the text of its page."""
        return {"code": self.code, "name": self.name, "summary": self.summary, "doc": self.doc}

    def __call__(self, *args: Any, **kwargs: Any) -> Outcome:
        return self.function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        # For reports that another process asked for: the name of the function is the rule itself.
        return _named, (self.function.__module__, self.function.__name__)


def _named(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def rule(code: str, name: str, silences: tuple[str, ...] = ()) -> Callable[[Callable[..., Outcome]], Rule]:
    """Makes a rule of a function. Its parameters name the facts it needs.

    Raises:
        TypeError: if a parameter names no fact.
    """

    def decorate(function: Callable[..., Outcome]) -> Rule:
        needs = tuple(inspect.signature(function).parameters)
        unknown = [need for need in needs if need not in FACTS]
        if unknown:
            raise TypeError(f"{code} asks for facts that do not exist: {', '.join(unknown)}")
        return Rule(code, name, function, needs, silences)

    return decorate
