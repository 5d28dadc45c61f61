"""The report for a terminal: one screen, as wide as it but for code, readable without colour and in a file."""

import io
import re
import shlex
import shutil
import sys
from collections.abc import Iterable

from rich.console import Console
from rich.markdown import Markdown
from rich.text import Text

from tb_trainspeed.profile import PHASES
from tb_trainspeed.report.compare import Comparison
from tb_trainspeed.report.markdown import gain, outcome, phase_rows, predicted, steps_of, verdict_on_predictions
from tb_trainspeed.report.report import Finding, Report
from tb_trainspeed.report.tables import INSIDE, called
from tb_trainspeed.rules import words

_NARROWEST, _WIDEST = 40, 100
# Rich breaks lines at every white space, a no-break space too: a character of nobody's stands for that.
_BESIDE_ITS_UNIT, _JOINED = re.compile(r"(?<=\d) (?=%|(?:[nµm]?s|min|h|[kMGT]?B)\b)"), "\ue000"
# What the columns beside the bars need, and those of a comparison up to the difference and to its interval.
_BESIDE_BARS, _TO_DIFFERENCE, _TO_INTERVAL = 46, 52, 78
_SHOWN_FINDINGS = 3
_COLOURS = {
    "input_wait": "dark_orange", "compute": "blue", "callbacks": "magenta", "checkpointing": "magenta",
    "validation": "green", "compilation": "grey50", "startup": "grey50", "epoch_restart": "yellow",
}  # fmt: skip


def render(report: Report, log_dir: str | None = None, colour: bool | None = None) -> str:
    """Returns the report as text.

    Args:
        report: what to say.
        log_dir: the log directory, for the line that says how to open the tab.
        colour: whether to use colour. Defaults to whether standard output is a terminal.
    """
    width = _width()
    return _print(_lines(report, log_dir, width), width, colour)


def render_comparison(comparison: Comparison, a: str, b: str, colour: bool | None = None) -> str:
    """Returns the comparison as text.

    Args:
        comparison: what to say.
        a: what to call the first fit.
        b: what to call the second fit.
        colour: whether to use colour. Defaults to whether standard output is a terminal.
    """
    width = _width()
    return _print(_comparison(comparison, a, b, width), width, colour)


def render_page(text: str, colour: bool | None = None) -> str:
    """Returns the page of a rule, which is Markdown, as text.

    Args:
        text: the page.
        colour: whether to use colour. Defaults to whether standard output is a terminal.
    """
    return _print([Markdown(text, hyperlinks=False)], _width(), colour)


def render_list(heading: str, rows: Iterable[tuple[str, str]], colour: bool | None = None) -> str:
    """Returns a list as text.

    Args:
        heading: what stands above it.
        rows: code and text of each entry.
        colour: whether to use colour. Defaults to whether standard output is a terminal.
    """
    width = _width()
    lines = [_hanging(f"  {code}  ", text, width) for code, text in rows]
    return _print([Text(heading, "bold"), *lines, Text()], width, colour)


def _width() -> int:
    return min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)


def _print(lines: Iterable[Text | Markdown], width: int, colour: bool | None) -> str:
    if colour is None:  # what stands in for standard output may have no `isatty`
        colour = getattr(sys.stdout, "isatty", bool)()
    # In a notebook Rich would show every line by itself.
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colour, force_jupyter=False, highlight=False, emoji=False,
        markup=False,
    )  # fmt: skip
    for line in lines:
        if isinstance(line, Text):
            # What is printed is put together anew, without what it says of itself.
            console.print(line, no_wrap=line.no_wrap, overflow=line.overflow, crop=False)
        else:
            console.print(line)
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def _comparison(comparison: Comparison, a: str, b: str, width: int) -> Iterable[Text]:
    yield Text()
    yield Text(f"TrainSpeed {'─' * (width - 11)}", style="bold")
    yield Text.assemble(*((part.text, "bold" if part.strong else "") for part in comparison.headline))
    if comparison.explanation:
        yield Text(comparison.explanation)
    yield Text()
    yield Text(f"first   {a}", style="dim")
    yield Text(f"second  {b}", style="dim")
    if comparison.speedup and comparison.interval:
        between = words.times_range(*comparison.interval)
        yield Text(
            f"measured {words.times(comparison.speedup)} (95 % interval {between}), per {comparison.per}", style="dim"
        )
    yield Text()
    unit, rows = phase_rows(comparison)
    if rows:
        yield Text(_row(width, unit, "first", "second", "difference", "95 % interval"), style="dim")
    yield from (Text(_row(width, *row)) for row in rows)
    if comparison.predictions:
        yield Text()
        yield Text("What the first report predicted", style="bold")
    for one in comparison.predictions:
        line = f"  {one.code} {predicted(one.speedup):>19}  {outcome(one.outcome):<12} {one.title}"
        yield Text(line, no_wrap=True, overflow="ellipsis")
    if judged := verdict_on_predictions(comparison):
        yield Text(judged, style="green" if comparison.together and comparison.together.within else "")
    if comparison.changed:
        yield Text()
        yield Text("What else differs", style="bold")
    for what, (first, second) in comparison.changed.items():
        yield Text(f"  {what}: {first or '–'} -> {second or '–'}")
    yield Text("─" * width, style="bold")


def _row(width: int, phase: str, first: str, second: str, difference: str, interval: str) -> str:
    difference = f" {difference:>12}" if width >= _TO_DIFFERENCE else ""
    return f"{phase:>13} {first:>12} {second:>12}{difference}{f'  {interval}' if width >= _TO_INTERVAL else ''}"


def _lines(report: Report, log_dir: str | None, width: int) -> Iterable[Text]:
    profile = report.profile
    yield Text()
    yield Text(f"TrainSpeed {'─' * (width - 11)}", style="bold")
    yield Text.assemble(*((part.text, "bold" if part.strong else "") for part in report.headline))
    yield Text()
    yield from _ledger(report, width)
    facts = [steps_of(report)]
    if profile.steps.step:
        facts.append(f"step {words.seconds(profile.steps.step.p50_s)} (p95 {words.seconds(profile.steps.step.p95_s)})")
    if report.epoch_s:
        facts.append(f"epoch {words.seconds(report.epoch_s)}")
    if report.wall_s:
        facts.append(f"TrainSpeed cost {words.share(profile.cost.foreground_s / report.wall_s)}")
    yield Text(" · ".join(facts), style="dim")
    for number, finding in enumerate(report.findings[:_SHOWN_FINDINGS], 1):
        yield from _finding(number, finding, width)
    if len(report.findings) > _SHOWN_FINDINGS:
        yield Text(f"… and {len(report.findings) - _SHOWN_FINDINGS} more in the tab.", style="dim")
    if report.findings:
        yield Text()
        code = report.findings[0].code
        yield Text(f"trainspeed rules {code} says why {code} is slow, and when it is wrong.", style="dim")
    if not report.findings:
        yield Text()
        yield Text(report.explanation.replace("`", ""))
    for what, reason in profile.not_measured.items():
        yield Text(f"Not measured: {what.replace('_', ' ')} ({reason}).", style="dim")
    yield Text()
    if log_dir is not None:
        yield Text("All of it, and how it went over time, in the TrainSpeed tab:", style="dim")
        yield Text(f"  tensorboard --logdir {shlex.quote(log_dir)}", style="dim", no_wrap=True, overflow="ignore")
    yield Text("─" * width, style="bold")


def _ledger(report: Report, width: int) -> Iterable[Text]:
    rows = [(name, value) for name in PHASES if (value := report.phases[name]) and value >= 0.005 * report.wall_s]
    rest = report.wall_s - sum(value for _, value in rows)
    if rows:
        yield Text(f"Where the {words.seconds(report.wall_s)} of this fit went, its start included:", style="dim")
    for name, value in [*rows, *([("everything else", rest)] if rest > 0.0005 * report.wall_s else [])]:
        share = value / report.wall_s
        line = Text(f"{called(name):>16} ")
        line.append(f"{words.seconds(value):>12} {words.share(share):>6}  ")
        if width > _BESIDE_BARS:
            bar = "█" * max(1, round(share * (width - _BESIDE_BARS)))
            line.append(bar, style=_COLOURS.get(name, "grey50"))
        yield line
    hidden = [called(name) for name in PHASES if name in INSIDE and report.phases[name] is None]
    if hidden and report.profile.ledger.steps:
        yield Text(f"Not told apart from compute: {', '.join(hidden)}.", style="dim")


def say(text: str) -> None:
    """Prints what `render` returned, with what the output cannot hold replaced, as of a file in an old encoding."""
    try:
        print(text)
    except UnicodeEncodeError:
        encoding = getattr(sys.stdout, "encoding", None) or "ascii"
        print(text.encode(encoding, "replace").decode(encoding))


def _finding(number: int, finding: Finding, width: int) -> Iterable[Text]:
    yield Text()
    hint = ", a hint" * (finding.confidence == "hint")
    yield Text.assemble((f"{number}. {finding.title}", "bold"), (f"  {finding.code}{hint}", "dim"))
    if told := gain(finding):
        yield _indented(f"{told[0]}{told[1]}", width, "green")
    first, dot, _ = finding.message.partition(". ")
    yield _indented(finding.message if number == 1 else f"{first}{dot.rstrip()}", width)
    yield _indented(finding.remedy.text, width)
    for line in finding.remedy.code.splitlines():  # which a terminal may break, and paste whole
        style = "red" if line.startswith("-") else "cyan" if line.startswith("+") else ""
        yield Text(f"     {line}", style=style, no_wrap=True, overflow="ignore")


def _indented(text: str, width: int, style: str = "") -> Text:
    return _hanging("   ", text.replace("`", ""), width, style)


def _hanging(first: str, text: str, width: int, style: str = "") -> Text:
    """Lines of which all but the first begin as far to the right as the text does."""
    left = len(first)
    lines = Text(_BESIDE_ITS_UNIT.sub(_JOINED, text)).wrap(Console(width=width - left), width - left)
    plain = [line.plain.rstrip().replace(_JOINED, " ") for line in lines]
    return Text(first + f"\n{' ' * left}".join(plain), style)
