"""Reports and comparisons as Markdown, for an issue, a pull request or a notebook."""

import re
from collections.abc import Iterable, Sequence

from tb_trainspeed.profile import PHASES
from tb_trainspeed.report.compare import OTHERS, Comparison, Side
from tb_trainspeed.report.report import Finding, Part, Report
from tb_trainspeed.report.tables import called
from tb_trainspeed.rules import words

_EFFECT = {"no": "results unchanged", "rounding": "only rounding changes", "training": "changes training"}


def render(report: Report, run: str, fit: str) -> str:
    """Returns the report as Markdown.

    Args:
        report: what to say.
        run: name of the run it is about.
        fit: which fit of it, such as "3 of 3".
    """
    return "\n".join(_report(report, run, fit)).rstrip() + "\n"


def render_comparison(comparison: Comparison, a: str, b: str) -> str:
    """Returns the comparison as Markdown.

    Args:
        comparison: what to say.
        a: what to call the first fit.
        b: what to call the second fit.
    """
    return "\n".join(_comparison(comparison, a, b)).rstrip() + "\n"


def _report(report: Report, run: str, fit: str) -> Iterable[str]:
    profile = report.profile
    yield f"## {_headline(report.headline)}"
    yield ""
    if report.explanation:
        yield f"{_prose(report.explanation)}\n"
    facts = [f"{steps_of(report)} in {words.seconds(report.wall_s)}"]
    if profile.steps.step:
        facts.append(f"step {words.seconds(profile.steps.step.p50_s)} (p95 {words.seconds(profile.steps.step.p95_s)})")
    if report.epoch_s:
        facts.append(f"epoch {words.seconds(report.epoch_s)}")
    versions = [f"{name} {version}" for name, version in profile.environment.versions.items()]
    yield f"Run {_text(run)}, fit {fit}, {profile.status}: {'; '.join(facts)}."
    yield f"{_text(', '.join(versions))}.\n" if versions else ""
    rows = [(name, value) for name, value in report.phases.items() if value]
    yield from _table(
        (f"where the {words.seconds(report.wall_s)} of this fit went, its start included", "seconds", "share"),
        [(called(name), words.seconds(value), words.share(value / report.wall_s)) for name, value in rows],
    )
    unknown = [called(name) for name in PHASES if report.phases[name] is None]
    if unknown and report.wall_s:
        yield f"Not measured: {', '.join(unknown)}.\n"
    for number, finding in enumerate(report.findings, 1):
        yield from _finding(number, finding)
    counts = {outcome: sum(done.outcome == outcome for done in report.checks) for outcome in ("passed", "not_measured")}
    yield f"Also checked: {counts['passed']} passed, {counts['not_measured']} not measured."


def steps_of(report: Report) -> str:
    """How many steps the fit did, in words."""
    count = report.profile.ledger.steps
    return f"{words.number(count)} step{'s' * (count != 1)}"


def gain(finding: Finding) -> tuple[str, str] | None:
    """What a finding gains, and how sure and at what price; `None` where that is not predicted."""
    saves, effect = words.seconds(finding.saves_s), _EFFECT[finding.changes_results]
    if finding.speedup:
        faster, within = (
            words.times(finding.speedup.expected),
            words.times_range(finding.speedup.low, finding.speedup.high),
        )
        return f"{faster} faster", f" ({within}), saves {saves} of this fit; {effect}"
    return (f"saves {saves}", f" of this fit, once; {effect}") if finding.saves_s > 0 else None


def _finding(number: int, finding: Finding) -> Iterable[str]:
    hint = ", a hint" * (finding.confidence == "hint")
    yield f"### {number}. {_text(finding.title)} ({finding.code} {finding.name}{hint})\n"
    if told := gain(finding):
        yield f"**{told[0]}**{told[1]}.\n"
    yield f"{_prose(finding.message)}\n"
    yield f"{_prose(finding.remedy.text)}\n"
    yield from _code(finding.remedy.code)


def _comparison(comparison: Comparison, a: str, b: str) -> Iterable[str]:
    yield f"## {_headline(comparison.headline)}\n"
    if comparison.explanation:
        yield f"{comparison.explanation}\n"
    yield f"First: {_text(a)}. Second: {_text(b)}.\n"
    if comparison.speedup and comparison.interval:
        interval = words.times_range(*comparison.interval)
        yield f"Measured: {words.times(comparison.speedup)} (95 % interval {interval}), per {comparison.per}.\n"
    unit, rows = phase_rows(comparison)
    yield from _table((unit, "first", "second", "difference", "95 % interval"), rows)
    yield from _table(
        ("predicted", "speed-up", "in the second fit"),
        [
            (f"{one.code} {_text(one.title)}", predicted(one.speedup), outcome(one.outcome))
            for one in comparison.predictions
        ],
    )
    if judged := verdict_on_predictions(comparison):
        yield f"{judged}\n"
    yield from _table(
        ("what else differs", "first", "second"),
        [(_text(what), _text(first), _text(second)) for what, (first, second) in comparison.changed.items()],
    )


def phase_rows(comparison: Comparison) -> tuple[str, Sequence[tuple[str, ...]]]:
    """The phases of a comparison in words, and what they are times of: what the headline is about."""
    a, b, per = comparison.a, comparison.b, comparison.phases_per
    if per == "step":
        return "a step", [
            (called(row.phase), *_cells(row.step_s, row.difference_s, row.interval_s)) for row in comparison.phases
        ]
    unit, amounts = ("an epoch", (1.0, 1.0)) if per == "epoch" else ("1,000 samples", _thousands(a, b))
    rows = []
    for row in comparison.phases:
        first, second = (s and s / amount for s, amount in zip(row.epoch_s, amounts, strict=True))
        # Intervals are of the difference of two steps.
        difference = None if first is None or second is None else second - first
        rows.append((called(row.phase), *_cells((first, second), difference, None)))
    return unit, rows


def _thousands(*sides: Side) -> tuple[float, ...]:
    """How many thousand samples a steady epoch of each holds; 1 where there is none yet."""
    return tuple((side.samples_per_s or 0.0) * (side.epoch_s or 0.0) / 1000 or 1.0 for side in sides)


def _cells(
    seconds: tuple[float | None, float | None], difference: float | None, interval: tuple[float, float] | None
) -> tuple[str, str, str, str]:
    """A row of a comparison in words."""
    first, second = ("not measured" if value is None else words.seconds(value) for value in seconds)
    between = f"{signed(interval[0])} to {signed(interval[1])}" if interval else "–"
    return first, second, "–" if difference is None else signed(difference), between


def signed(value: float) -> str:
    """`-0.0392` -> `-39.2 ms`."""
    return f"{'+' if value > 0 else '-' if value < 0 else ''}{words.seconds(abs(value))}"


def outcome(name: str) -> str:
    """What became of a finding, in words."""
    return {"found": "still found", "passed": "gone", "not_applicable": "gone"}.get(name, "not measured")


def predicted(gain: object) -> str:
    """A predicted speed-up in words."""
    low, expected, high = (getattr(gain, end, None) for end in ("low", "expected", "high"))
    if low is None or expected is None or high is None:
        return "–"
    return f"{words.times(expected)} ({words.times_range(low, high)})"


def verdict_on_predictions(comparison: Comparison) -> str:
    """Predicted against measured, or why that cannot be judged; empty where nothing that was predicted was changed."""
    together, measured = comparison.together, comparison.speedup
    if why := comparison.not_measured.get("predictions"):
        return f"What was predicted cannot be judged: {why}."
    if not (together and measured):
        return ""
    where = "within" if together.within else "outside"
    others = comparison.changed.get(OTHERS)
    meanwhile = f" Cores that other programs used meanwhile: {' and then '.join(others)}." if others else ""
    return (
        f"Predicted for {' and '.join(together.codes)}{' together' if len(together.codes) > 1 else ''}: "
        f"{predicted(together.speedup)}. Measured: {words.times(measured)}, {where} the range, "
        f"{words.share(abs(together.error))} off.{'' if together.within else meanwhile}"
    )


def _headline(parts: Sequence[Part]) -> str:
    return "".join(f"**{_text(part.text)}**" if part.strong else _prose(part.text) for part in parts).strip()


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[str]:
    if rows:
        yield f"| {' | '.join(head)} |"
        yield f"|{'---|' * len(head)}"
        yield from (f"| {' | '.join(row)} |" for row in rows)
        yield ""


def _text(text: str) -> str:
    """Text from outside, as text: no markup of its own."""
    for sign in "\\`*_{}[]<>|#":
        text = text.replace(sign, f"\\{sign}")
    return re.sub(r"\s+", " ", text)


def _prose(text: str) -> str:
    """A sentence of ours, which marks names as `code`: those stay, and what is between them is text."""
    parts = re.sub(r"\s+", " ", text).split("`")
    if len(parts) % 2 == 0:
        return _text(text)
    return "".join(f"`{part}`" if i % 2 else _text(part) for i, part in enumerate(parts))


def _code(code: str) -> Iterable[str]:
    if code:
        fence = "```"
        while fence in code:
            fence += "`"
        yield f"{fence}diff" if any(line.startswith(("+ ", "- ")) for line in code.splitlines()) else f"{fence}python"
        yield code.rstrip()
        yield f"{fence}\n"
