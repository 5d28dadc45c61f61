"""`trainspeed check`: findings -> an exit status."""

import argparse
import sys

from tb_trainspeed.cli.log import fail, read, where
from tb_trainspeed.report import Finding, Report, diagnose
from tb_trainspeed.report.markdown import gain
from tb_trainspeed.report.terminal import say
from tb_trainspeed.rules import catalogue
from tb_trainspeed.rules.facts import steady_of

# What other programs do, a GPU that is too hot, and chance: no property of the training.
_OF_THE_MACHINE = frozenset({"HW03", "HW04", "HW06", "HW07", "IP27"})


def check(arguments: argparse.Namespace) -> int:
    """Says what was found, and returns whether anything was."""
    codes = tuple(code.strip().upper() for code in arguments.codes.split(",") if code.strip())
    unknown = [code for code in codes if not any(rule.code.startswith(code) for rule in catalogue())]
    if unknown:
        return fail(f"There is no rule {', '.join(unknown)}: `trainspeed rules` lists them.", 2)
    fits, doubtful = read(arguments.logdir)
    if not fits or (doubtful and not arguments.all):
        return 2
    status = 2 if doubtful else 0
    for number in range(1 if arguments.all else len(fits), len(fits) + 1):
        at = where(arguments.logdir, fits, number)
        status = max(status, _checked(at, diagnose(fits[number - 1][0].profile), codes, arguments.min_speedup))
    return status


def _checked(at: str, report: Report, codes: tuple[str, ...], min_speedup: float) -> int:
    """Says what was found in one fit and returns the exit status for it."""
    counted = [
        finding
        for finding in report.findings
        if _is_asked_for(finding, codes) and _worth(finding, report.wall_s) >= min_speedup
    ]
    for finding in counted:
        told = gain(finding)
        say(f"{at}: {finding.code} {finding.name}: {finding.title} ({told[0] if told else 'gain unknown'})")
    if counted:
        return 1
    if steady_of(report.profile) is None:
        return fail(f"{at}: too few steps to tell ({report.profile.ledger.steps}): train for ten and more", 2)
    untold = [done for done in report.checks if done.rule.code in codes and done.outcome in ("not_measured", "failed")]
    for done in untold:
        print(f"{at}: {done.rule.code} cannot be told: {done.reason}", file=sys.stderr)
    return 2 if untold else 0


def _is_asked_for(finding: Finding, codes: tuple[str, ...]) -> bool:
    if finding.code in _OF_THE_MACHINE:
        return finding.code in codes
    if codes:
        return finding.code.startswith(codes)
    return finding.confidence != "hint"


def _worth(finding: Finding, wall_s: float) -> float:
    """How many times as fast an epoch would be, or the whole fit where what is saved once makes that more."""
    fit = wall_s / max(1e-9, wall_s - finding.saves_s) if wall_s else 1.0
    return max(fit, finding.speedup.expected) if finding.speedup else fit
