"""`trainspeed demo | report | compare | rules`."""

import argparse
import json
import pathlib
import shlex
import sys
import tempfile
import time

from tb_trainspeed.cli import log
from tb_trainspeed.cli.log import fail
from tb_trainspeed.report import compare as compare_reports
from tb_trainspeed.report import markdown, page, terminal, workers_of
from tb_trainspeed.report.terminal import say
from tb_trainspeed.rules import catalogue, index
from tb_trainspeed.rules import page as page_of
from tb_trainspeed.summary import Fit, as_of

_FAMILIES = {
    "IP": "Input pipeline and preprocessing", "TR": "The way to the device", "MC": "The model and what it computes",
    "OP": "The optimizer", "FW": "The framework, used against its grain", "HW": "The hardware",
    "CB": "Callbacks, validation, checkpoints", "DS": "Several devices", "CV": "Time to quality",
}  # fmt: skip


def demo(arguments: argparse.Namespace) -> int:
    """Trains slowly, says why, trains with the fix, and shows the tab."""
    try:
        from tb_trainspeed import demo as demonstration
    except ImportError as error:
        return fail(f'The demo needs more than is installed ({error}): pip install ".[demo]" in the clone')
    log_dir = arguments.logdir or tempfile.mkdtemp(prefix="trainspeed-demo-")
    demonstration.run(log_dir)
    if arguments.no_serve:
        print(f"See it:  tensorboard --logdir {log_dir}")
    else:
        demonstration.serve(log_dir)
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Prints the report on one fit in a directory, or on all."""
    logdir = arguments.logdir
    if arguments.format == "html" and arguments.all:
        return fail("One page holds one fit: leave out --all, or choose one with --fit.", 2)
    fits, _ = log.read(logdir)
    if not fits:
        return 1
    if not log.has(logdir, fits, arguments.fit or 1):
        return 2
    numbers = range(1, len(fits) + 1) if arguments.all else [arguments.fit or len(fits)]
    if arguments.format == "json":
        values = [_values(logdir, fits[number - 1]) for number in numbers]
        print(json.dumps(values if arguments.all else values[0], allow_nan=False))
    elif arguments.format == "html":
        html = page.render(_values(logdir, fits[numbers[0] - 1]))
        sys.stdout.buffer.write(html.encode("utf-8"))  # as the page says of itself
    else:
        for number in numbers:
            _say_report(logdir, fits, number, arguments.format == "markdown")
        if arguments.format == "text" and len(numbers) < len(fits):
            others = f"trainspeed report {shlex.quote(logdir)} --fit N, or --all"
            say(f"This is fit {numbers[0]} of {len(fits)}; the others: {others}")
    return 0


def _values(logdir: str, workers: tuple[Fit, ...]) -> dict[str, object]:
    """The report on a fit as the tab gets it."""
    told = log.report_on(workers).to_dict()
    profiles = [as_of(fit.profile, time.time()) for fit in workers]
    return {**told, "run": log.run_of(logdir, workers[0].run), "workers": workers_of(profiles)}


def _say_report(logdir: str, fits: log.Fits, number: int, as_markdown: bool) -> None:
    fit, told = fits[number - 1][0], log.report_on(fits[number - 1])
    if as_markdown:
        say(markdown.render(told, log.run_of(logdir, fit.run), f"{number} of {len(fits)}"))
    else:
        say(f"\n{log.where(logdir, fits, number)}, {log.standing(fit.profile)}")
        say(terminal.render(told))


def compare(arguments: argparse.Namespace) -> int:
    """Prints what changed from one fit to another, of two directories or of one."""
    places = arguments.a, arguments.b or arguments.a
    found = [log.read(place)[0] for place in dict.fromkeys(places)]
    if not all(found):
        return 1
    sides = found[0], found[-1]
    if arguments.b is None and len(sides[0]) < 2:
        return fail(f"There is one fit in {arguments.a}: give another directory to compare it with.")
    numbers = arguments.fits or (len(sides[0]) - (arguments.b is None), len(sides[1]))
    if not all(log.has(*side) for side in zip(places, sides, numbers, strict=True)):
        return 2
    first, second = (log.report_on(fits[number - 1]) for fits, number in zip(sides, numbers, strict=True))
    comparison = compare_reports(first, second)
    if arguments.format == "json":
        print(json.dumps(comparison.to_dict(), allow_nan=False))
        return 0
    a, b = (
        f"{place} ({log.where(place, fits, number)})" if len(fits) > 1 else place
        for place, fits, number in zip(places, sides, numbers, strict=True)
    )
    renderer = markdown if arguments.format == "markdown" else terminal
    say(renderer.render_comparison(comparison, a, b))
    return 0


def rules(arguments: argparse.Namespace) -> int:
    """Prints all causes, or the page of one, or writes all pages."""
    if arguments.write is not None:
        folder = pathlib.Path(arguments.write)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "README.md").write_text(index(), encoding="utf-8")
            for rule in catalogue():
                (folder / f"{rule.code}.md").write_text(page_of(rule), encoding="utf-8")
        except OSError as error:
            return fail(f"{folder} cannot be written ({error.strerror}): give another directory.")
        return 0
    if arguments.code is None:
        for family, name in _FAMILIES.items():
            of_it = [(rule.code, rule.summary) for rule in catalogue() if rule.code.startswith(family)]
            say(terminal.render_list(f"{name} ({family})", of_it))
        return 0
    for rule in catalogue():
        if arguments.code.upper() == rule.code or arguments.code == rule.name:
            say(terminal.render_page(page_of(rule)))
            return 0
    return fail(f"There is no rule {arguments.code!r}: `trainspeed rules` lists them.")
