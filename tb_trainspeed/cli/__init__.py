"""The command line: `trainspeed demo | report | compare | check | rules`.

In: words. Out: an exit status, and text. `log` finds fits in directories, `check` and `commands` are what is done then.
"""

import argparse
import math
import os
import sys
from collections.abc import Sequence

from tb_trainspeed import __version__

_FITS = """\
A directory may be the log directory, a run in it, or one fit, named after its
start: LOGDIR/trainspeed/20261130-162347-... Of several fits the latest counts,
unless you give a number: 1 is the oldest.
"""
_REPORT = f"""\
The report on a fit.

{_FITS}
  trainspeed report logs               the latest fit
  trainspeed report logs --fit 1       the first one
  trainspeed report logs --all         all of them, the oldest first
"""
_COMPARE = f"""\
What became faster from one fit to another, by how much, and whether the first
report had predicted it.

{_FITS}
  trainspeed compare before after      the latest fit in each of two directories
  trainspeed compare logs              the last two fits in one
  trainspeed compare logs --fits 1,3   the first and the third
"""
_CHECK = """\
Fails when a fit has a known cause of slow training: for scripts and CI.

Exit status: 0, nothing of the kind was found; 1, it was, and is named; 2, it
cannot be told (no record, the latest one cannot be read, too few steps, or a
cause that was asked for by its code could not be looked for in this fit).

  trainspeed check logs                     any finding, hints aside
  trainspeed check logs --min-speedup 1.2   a finding that would make training,
                                            or this fit as a whole, 1.2 times
                                            as fast or faster
  trainspeed check logs --codes IP01,CB     the finding IP01, or one of the
                                            family CB; hints count as well

What other programs on the machine do, a GPU that is too hot, and chance (HW03,
HW04, HW06, HW07, IP27) fail a check only if they are named by their codes.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit status."""
    arguments = _parser().parse_args(argv)
    from tb_trainspeed.cli import check, commands  # not before the help is printed

    run = {"check": check.check, **{name: getattr(commands, name) for name in ("demo", "report", "compare", "rules")}}
    try:
        status: int = run[arguments.command](arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # as of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trainspeed", description="Why is my Keras training slow, and what to change?"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, about: str, more: str | None = None) -> argparse.ArgumentParser:
        raw = argparse.RawDescriptionHelpFormatter
        return commands.add_parser(name, help=about, description=more or about, formatter_class=raw)

    demo = command("demo", "a slow training on real data, the verdict, the fix, and what it gave")
    demo.add_argument("--no-serve", action="store_true", help="do not start TensorBoard afterwards")
    demo.add_argument("--logdir", help="where to put the records; a temporary directory by default")
    report = command("report", "the report on the fits in a log directory", _REPORT)
    report.add_argument("logdir", type=_directory, help="directory of the fit")
    report.add_argument("--format", choices=("text", "json", "markdown", "html"), default="text")
    which = report.add_mutually_exclusive_group()
    which.add_argument("--fit", type=_number, metavar="N", help="the fit of this number, 1 is the oldest")
    which.add_argument("--all", action="store_true", help="all fits instead of the latest; not for html")
    compare = command("compare", "what became faster from one fit to another, and was it predicted", _COMPARE)
    compare.add_argument("a", metavar="A", type=_directory, help="directory of the fit before the change")
    compare.add_argument("b", metavar="B", type=_directory, nargs="?", help="of the one after it; A if not given")
    compare.add_argument("--fits", type=_two_numbers, metavar="N,M", help="the Nth fit of A, and the Mth of B")
    compare.add_argument("--format", choices=("text", "json", "markdown"), default="text")
    check = command("check", "exit status 1 when a fit has a known cause of slow training", _CHECK)
    check.add_argument("logdir", type=_directory, help="log directory, run or fit; its latest fit counts")
    check.add_argument("--codes", default="", help="only these causes: codes (IP01) or families (IP), with commas")
    check.add_argument("--min-speedup", type=_speedup, default=1.0, metavar="X", help="only findings worth X or more")
    check.add_argument("--all", action="store_true", help="all fits instead of the latest")
    rules = command("rules", "all rules, or the page of one")
    rules.add_argument("code", nargs="?")
    rules.add_argument("--write", metavar="DIR", help="write the pages as Markdown files")
    return parser


def _directory(text: str) -> str:
    """A directory; for an event file the one that it is in."""
    is_file = "tfevents" in os.path.basename(text) and os.path.isfile(text)
    return (os.path.dirname(text) or os.curdir) if is_file else text


def _number(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of a fit, such as 1 for the oldest")
    return int(text)


def _two_numbers(text: str) -> tuple[int, int]:
    numbers = text.split(",")
    if len(numbers) != 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not the numbers of two fits, such as 1,3")
    return _number(numbers[0]), _number(numbers[1])


def _speedup(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0, such as 1.2")
    return value
