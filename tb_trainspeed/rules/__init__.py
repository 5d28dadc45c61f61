"""Profile -> outcomes. One file per family of causes; a new rule is one function in one of them, and rows in its test.

In: a `Profile`. Out: for every rule of the catalogue whether its cause was found, with what evidence and what remedy.
Nothing here computes a speed-up: a rule says what its remedy changes in the step, `whatif` what that gives.
"""

import dataclasses
import logging
import re
from collections.abc import Container
from typing import Literal

from tb_trainspeed.profile import Profile
from tb_trainspeed.rules import (
    callbacks,
    convergence,
    distribution,
    framework,
    hardware,
    input_pipeline,
    model_compute,
    optimizer,
    transfer,
)
from tb_trainspeed.rules.facts import FACTS
from tb_trainspeed.rules.missing import Missing, MissingFactError
from tb_trainspeed.rules.rule import HEADINGS, Found, NotApplicable, Passed, Rule

log = logging.getLogger("tb_trainspeed")

#: What other programs do, a GPU that is too hot, and chance: true of one run on one machine, and no property of the
#: training. So it fails no check, and counts for no case of the zoo.
OF_THE_MACHINE = frozenset({"HW03", "HW04", "HW06", "HW07", "IP27"})

CheckOutcome = Literal["found", "passed", "not_applicable", "not_measured", "failed"]


@dataclasses.dataclass(frozen=True)
class Check:
    """What became of one rule. `symptom_of` is the code of the cause for which it was silenced, though found."""

    rule: Rule
    outcome: CheckOutcome
    reason: str
    found: Found | None = None
    symptom_of: str = ""


def catalogue() -> tuple[Rule, ...]:
    """Returns all rules, by family."""
    families = (
        input_pipeline,
        transfer,
        model_compute,
        optimizer,
        framework,
        hardware,
        callbacks,
        distribution,
        convergence,
    )
    return tuple(rule for family in families for rule in family.RULES)


def page(rule: Rule) -> str:
    """Returns the page of a rule as Markdown."""
    text = re.sub(
        rf"^({'|'.join(HEADINGS)}): (https?:|.)",
        lambda match: f"## {match[1]}\n\n{match[2] if len(match[2]) > 1 else match[2].upper()}",
        rule.doc,
        flags=re.MULTILINE,
    )
    return f"# {rule.code} {rule.name}\n\n{text}\n"


def index() -> str:
    """Returns the page that lists all rules as Markdown."""
    rows = (f"| [{rule.code}]({rule.code}.md) | `{rule.name}` | {rule.summary} |\n" for rule in catalogue())
    return f"# All causes\n\n| code | name | cause |\n|---|---|---|\n{''.join(rows)}"


def check(profile: Profile, rules: tuple[Rule, ...] | None = None) -> tuple[Check, ...]:
    """Runs the rules. One that fails is an outcome like the others; it never takes the report with it."""
    return tuple(_check(rule, profile) for rule in rules or catalogue())


def silence(checks: tuple[Check, ...], told: Container[str]) -> tuple[Check, ...]:
    """Makes symptoms of what was found because of another cause.

    Args:
        checks: what became of the rules.
        told: the codes of the causes that are told of. One that is not, as its remedy gains too little, explains
            nothing. One that is a mere hint explains other hints.
    """
    causes = [(done.rule, done.found) for done in checks if done.found and done.rule.code in told]

    def cause_of(symptom: str, found: Found) -> str | None:
        return next(
            (
                rule.code
                for rule, cause in causes
                if symptom in rule.silences
                and cause.subject in ("", found.subject)
                and (cause.confidence != "hint" or found.confidence == "hint")
            ),
            None,
        )

    return tuple(
        Check(done.rule, "not_applicable", f"a symptom of {cause}, which was found", symptom_of=cause)
        if done.found and (cause := cause_of(done.rule.code, done.found))
        else done
        for done in checks
    )


def _check(rule: Rule, profile: Profile) -> Check:
    try:
        values = {name: FACTS[name](profile) for name in rule.needs}
        outcome = rule(**{name: Missing(name) if value is None else value for name, value in values.items()})
    except MissingFactError as error:
        return Check(rule, "not_measured", f"not known: {error}")
    except Exception as error:
        log.warning("Rule %s failed on this record.", rule.code, exc_info=True)
        return Check(rule, "failed", f"{type(error).__name__}: {error}")
    if isinstance(outcome, Found):
        return Check(rule, "found", outcome.title, outcome)
    return Check(rule, "passed" if isinstance(outcome, Passed) else "not_applicable", outcome.reason)


__all__ = [
    "OF_THE_MACHINE",
    "Check",
    "Found",
    "NotApplicable",
    "Passed",
    "Rule",
    "catalogue",
    "check",
    "index",
    "page",
    "silence",
]
