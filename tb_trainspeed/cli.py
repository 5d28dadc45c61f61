"""The command line: `trainspeed demo | report | compare | check | rules`."""

import argparse
import json
import math
import os
import pathlib
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tb_trainspeed import __version__

if TYPE_CHECKING:
    from tb_trainspeed.profile import Profile
    from tb_trainspeed.report import Finding, Report
    from tb_trainspeed.summary import Fit, Problem

_STARTED = re.compile(r"\d{8}-\d{6}")

_CHECK = """\
Fails when a fit has a known cause of slow training: for scripts and CI.

Exit status: 0, nothing of the kind was found; 1, it was, and is named; 2, it cannot be told (no record, the latest one
cannot be read, too few steps, or a cause that was asked for by its code could not be looked for in this fit).

  trainspeed check logs                         any finding, hints aside
  trainspeed check logs --min-speedup 1.2       a finding that would make training 1.2 times as fast or faster
  trainspeed check logs --codes IP01,CB         the finding IP01, or one of the family CB; named ones count as hints too
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="trainspeed", description="Why is my Keras training slow, and what to change?"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="a slow training on real data, the verdict, the fix, and what it gave")
    demo.add_argument("--no-serve", action="store_true", help="do not start TensorBoard afterwards")
    demo.add_argument("--logdir", help="where to put the records; a temporary directory by default")
    report = commands.add_parser("report", help="the report on the fits in a log directory")
    report.add_argument("logdir")
    report.add_argument("--format", choices=("text", "json", "markdown", "html"), default="text")
    report.add_argument("--all", action="store_true", help="all fits instead of the latest; not for html")
    compare = commands.add_parser("compare", help="what became faster from one fit to another, and was it predicted")
    compare.add_argument("a", metavar="A", help="log directory, run or fit before the change; its latest fit counts")
    compare.add_argument("b", metavar="B", help="the same after the change")
    compare.add_argument("--format", choices=("text", "json", "markdown"), default="text")
    check = commands.add_parser(
        "check",
        help="exit status 1 when a fit has a known cause of slow training",
        description=_CHECK,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("logdir")
    check.add_argument("--codes", default="", help="only these causes: codes (IP01) or families (IP), with commas")
    check.add_argument("--min-speedup", type=_speedup, default=1.0, metavar="X", help="only findings worth X or more")
    check.add_argument("--all", action="store_true", help="all fits instead of the latest")
    rules = commands.add_parser("rules", help="all rules, or the page of one")
    rules.add_argument("code", nargs="?")
    rules.add_argument("--write", metavar="DIR", help="write the pages as Markdown files")
    arguments = parser.parse_args(argv)
    run = {"demo": _demo, "report": _report, "compare": _compare, "check": _check, "rules": _rules}[arguments.command]
    try:
        status = run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # as of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
    return status


def _speedup(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0, such as 1.2")
    return value


def _fail(message: str, status: int = 1) -> int:
    print(message, file=sys.stderr)
    return status


def _where(logdir: str, run: str, profile: "Profile") -> str:
    """A fit as it is told from the others in a log directory."""
    named = os.path.basename(os.path.abspath(logdir)) if run == "." and "://" not in logdir else run
    at = time.strftime("%H:%M:%S", time.localtime(profile.started_at_s))
    return f"run {_shown(named)}, fit {profile.fit_index}, started {at}"


def _shown(name: str) -> str:
    """The name of a run or file, without what a terminal would obey or no encoding can hold."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)


def _fits(logdir: str) -> "list[tuple[Fit, ...]]":
    """The fits in a directory, the oldest first, each with all its workers; none says on standard error why."""
    return _read(logdir)[0]


def _read(logdir: str) -> "tuple[list[tuple[Fit, ...]], list[Problem]]":
    """The fits, and the problems with the latest or with one that may be later."""
    from tb_trainspeed.summary import join_workers, place_of, read_log

    try:
        log = read_log(logdir)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return [], []
    for problem in log.problems:
        print(f"{_shown(problem.run)}: {_shown(problem.message)}", file=sys.stderr)
    if not log.fits and not log.problems:
        print(
            f"No fit was recorded in {logdir}: add TrainSpeedCallback(log_dir={logdir!r}) to fit(callbacks=[...]).",
            file=sys.stderr,
        )
    fits = join_workers(log.fits, lambda fit: place_of(fit.run, fit.profile))
    latest = max((_started(fit.profile.fit_id) for fit in fits[-1]), default="") if fits else ""
    doubtful = [problem for problem in log.problems if _started(problem.fit) >= latest]
    if fits and doubtful:
        print("There may be a later fit than the one that is shown: its record cannot be read.", file=sys.stderr)
    return fits, doubtful


def _started(name: str) -> str:
    """When the fit of this directory started, to be compared; of a name that does not tell, later than all others."""
    found = _STARTED.match(name)
    return found[0] if found else "9"


def _demo(arguments: argparse.Namespace) -> int:
    try:
        from tb_trainspeed import demo
    except ImportError as error:
        return _fail(f"The demo needs more than is installed ({error}): pip install 'tb-trainspeed[demo]'")
    log_dir = arguments.logdir or tempfile.mkdtemp(prefix="trainspeed-demo-")
    demo.run(log_dir)
    if arguments.no_serve:
        print(f"See it:  tensorboard --logdir {log_dir}")
    else:
        demo.serve(log_dir)
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from tb_trainspeed.report import diagnose, markdown, page, workers_of
    from tb_trainspeed.report.terminal import render, say

    if arguments.format == "html" and arguments.all:
        return _fail("One page holds one fit: leave out --all, or give the directory of a run.", 2)
    fits = _fits(arguments.logdir)
    chosen = fits if arguments.all else fits[-1:]
    reports = [(workers[0].run, diagnose(workers[0].profile)) for workers in chosen]
    values = [
        {**report.to_dict(), "run": run, "workers": workers_of([fit.profile for fit in workers])}
        for (run, report), workers in zip(reports, chosen, strict=True)
    ]
    if not fits:
        return 1
    if arguments.format == "json":
        print(json.dumps(values if arguments.all else values[0], allow_nan=False))
    elif arguments.format == "html":
        html = page.render({**values[0], "run": _shown(values[0]["run"])})
        sys.stdout.buffer.write(html.encode("utf-8"))  # as the page says of itself
    elif arguments.format == "markdown":
        say("\n".join(markdown.render(report, _shown(run)) for run, report in reports).rstrip("\n"))
    else:
        for run, report in reports:
            say(f"\n{_where(arguments.logdir, run, report.profile)}, {report.profile.status}")
            say(render(report))
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from tb_trainspeed.report import compare, diagnose, markdown, terminal

    names = arguments.a, arguments.b
    found = [_fits(name) for name in names]
    if not all(found):
        return 1
    comparison = compare(*(diagnose(fits[-1][0].profile) for fits in found))
    if arguments.format == "json":
        print(json.dumps(comparison.to_dict(), allow_nan=False))
    else:
        renderer = markdown if arguments.format == "markdown" else terminal
        terminal.say(renderer.render_comparison(comparison, *names))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from tb_trainspeed.report import diagnose
    from tb_trainspeed.rules import catalogue

    codes = tuple(code.strip().upper() for code in arguments.codes.split(",") if code.strip())
    unknown = [code for code in codes if not any(rule.code.startswith(code) for rule in catalogue())]
    if unknown:
        return _fail(f"There is no rule {', '.join(unknown)}: `trainspeed rules` lists them.", 2)
    fits, doubtful = _read(arguments.logdir)
    if not fits or (doubtful and not arguments.all):
        return 2
    status = 2 if doubtful else 0
    for workers in fits if arguments.all else fits[-1:]:
        where = _where(arguments.logdir, workers[0].run, workers[0].profile)
        status = max(status, _checked(where, diagnose(workers[0].profile), codes, arguments.min_speedup))
    return status


def _checked(where: str, report: "Report", codes: tuple[str, ...], min_speedup: float) -> int:
    """Says what was found in one fit and returns the exit status for it."""
    from tb_trainspeed.report.terminal import say
    from tb_trainspeed.rules.facts import steady_of

    counted = [finding for finding in report.findings if _counts(finding, codes, min_speedup)]
    for finding in counted:
        gain = f"{finding.speedup.expected:.2f}x faster without it" if finding.speedup else "gain unknown"
        say(f"{where}: {finding.code} {finding.name}: {finding.title} ({gain})")
    if counted:
        return 1
    if steady_of(report.profile) is None:
        few = f"{where}: too few steps to tell ({report.profile.ledger.steps}): train for ten and more"
        print(few, file=sys.stderr)
        return 2
    untold = [done for done in report.checks if done.rule.code in codes and done.outcome in ("not_measured", "failed")]
    for done in untold:
        print(f"{where}: {done.rule.code} cannot be told: {done.reason}", file=sys.stderr)
    return 2 if untold else 0


def _counts(finding: "Finding", codes: tuple[str, ...], min_speedup: float) -> bool:
    named = any(finding.code.startswith(code) for code in codes)
    if codes and not named:
        return False
    if finding.speedup is None:
        return min_speedup <= 1.0 and (named or finding.confidence != "hint")
    return finding.speedup.expected >= min_speedup and (named or finding.confidence != "hint")


def _rules(arguments: argparse.Namespace) -> int:
    from tb_trainspeed.report.terminal import say
    from tb_trainspeed.rules import catalogue, index, page

    if arguments.write is not None:
        folder = pathlib.Path(arguments.write)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "README.md").write_text(index(), encoding="utf-8")
            for rule in catalogue():
                (folder / f"{rule.code}.md").write_text(page(rule), encoding="utf-8")
        except OSError as error:
            return _fail(f"{folder} cannot be written ({error.strerror}): give another directory.")
        return 0
    if arguments.code is None:
        for rule in catalogue():
            say(f"{rule.code}  {rule.name:26} {rule.summary}")
        return 0
    for rule in catalogue():
        if arguments.code.upper() == rule.code or arguments.code == rule.name:
            say(page(rule).rstrip("\n"))
            return 0
    return _fail(f"There is no rule {arguments.code!r}: `trainspeed rules` lists them.")
