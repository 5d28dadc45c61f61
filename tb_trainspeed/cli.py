"""The command line: `trainspeed demo`, `trainspeed report LOGDIR`, `trainspeed rules [CODE]`."""

import argparse
import json
import pathlib
import sys
import tempfile
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="trainspeed", description="Why is my Keras training slow, and what to change?"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="a slow training on real data, the verdict, the fix, and what it gave")
    demo.add_argument("--no-serve", action="store_true", help="do not start TensorBoard afterwards")
    demo.add_argument("--logdir", help="where to put the records; a temporary directory by default")
    report = commands.add_parser("report", help="the report on the fits in a log directory")
    report.add_argument("logdir")
    report.add_argument("--format", choices=("text", "json"), default="text")
    report.add_argument("--all", action="store_true", help="all fits instead of the latest")
    rules = commands.add_parser("rules", help="all rules, or the page of one")
    rules.add_argument("code", nargs="?")
    rules.add_argument("--write", metavar="DIR", help="write the pages as Markdown files")
    arguments = parser.parse_args(argv)
    return {"demo": _demo, "report": _report, "rules": _rules}[arguments.command](arguments)


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


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
    from tb_trainspeed.report import diagnose
    from tb_trainspeed.report.terminal import render
    from tb_trainspeed.summary import read_log

    try:
        log = read_log(arguments.logdir)
    except FileNotFoundError as error:
        return _fail(str(error))
    for problem in log.problems:
        print(f"{problem.run}: {problem.message}", file=sys.stderr)
    if not log.fits:
        return _fail(
            f"No fit was recorded in {arguments.logdir}: add TrainSpeedCallback(log_dir={arguments.logdir!r}) to "
            "fit(callbacks=[...])."
        )
    fits = sorted(log.fits, key=lambda fit: fit.profile.started_at_s)
    chosen = fits if arguments.all else fits[-1:]
    reports = [(fit.run, diagnose(fit.profile)) for fit in chosen]
    if arguments.format == "json":
        values = [{**report.to_dict(), "run": run} for run, report in reports]
        print(json.dumps(values if arguments.all else values[0], allow_nan=False))
    else:
        for run, report in reports:
            print(f"\nrun {run}, fit {report.profile.fit_index}, {report.profile.status}")
            print(render(report))
    return 0


def _rules(arguments: argparse.Namespace) -> int:
    from tb_trainspeed.rules import catalogue, page

    if arguments.write:
        for rule in catalogue():
            (pathlib.Path(arguments.write) / f"{rule.code}.md").write_text(page(rule), encoding="utf-8")
        return 0
    if arguments.code is None:
        for rule in catalogue():
            print(f"{rule.code}  {rule.name:26} {rule.summary}")
        return 0
    for rule in catalogue():
        if arguments.code in (rule.code, rule.name):
            print(page(rule), end="")
            return 0
    return _fail(f"There is no rule {arguments.code!r}: `trainspeed rules` lists them.")
