"""The results of the cases: kept in a file that a run adds to, and shown as Markdown."""

import json
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.zoo.case import of_the_case

Results = dict[str, Any]
_INPUT = ("input_pipeline", "tf_data")


def load(path: str | None) -> Results:
    """Returns what a file holds, or nothing yet."""
    if not path or not os.path.exists(path):
        return {"machine": {}, "cases": {}}
    with open(path, encoding="utf-8") as file:
        results: Results = json.load(file)
    return results


def save(results: Results, path: str) -> None:
    """Writes the file anew, so that a run that is cut off leaves a whole one."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
    os.replace(path + ".new", path)


def summary(case: Mapping[str, Any]) -> dict[str, Any]:
    """What the repeats of a case say together: medians, and the ends of what was measured."""
    repeats = case["repeats"]
    values: dict[str, Any] = {
        "first": all(repeat["right"] for repeat in repeats),
        "third": all({*case["causes"]} <= {*of_the_case(case["causes"], repeat["found"])[:3]} for repeat in repeats),
    }
    pairs = [repeat for repeat in repeats if "measured" in repeat and "predicted" in repeat]
    if pairs:
        predicted, measured = (statistics.median(pair[name] for pair in pairs) for name in ("predicted", "measured"))
        low, high = (statistics.median(pair[name] for pair in pairs) for name in ("low", "high"))
        values |= {
            "predicted": predicted,
            "low": low,
            "high": high,
            "measured": measured,
            "measured_min": min(pair["measured"] for pair in pairs),
            "measured_max": max(pair["measured"] for pair in pairs),
            "error": predicted / measured - 1,
        }
        if low < high:  # of what is saved once only the expected seconds are told
            values["inside"] = low <= measured <= high
    return values


HEAD = "| case | backend | cause | found | predicted | measured | error |\n|---|---|---|---|---|---|---|"


def row(case: Mapping[str, Any]) -> str:
    """One case as a row of the table."""
    values = summary(case)
    found = [", ".join(repeat["found"]) or "nothing" for repeat in case["repeats"]]
    told = " / ".join(dict.fromkeys(found))
    cells = [
        case["name"],
        case["backend"],
        ", ".join(case["causes"]) or "none",
        told if values["first"] else f"**{told}**",
    ]
    if "error" in values:
        inside = "{error:+.0%}" if values.get("inside", True) else "**{error:+.0%}**"
        within = " ({low:.2f}–{high:.2f})" if "inside" in values else ""
        cells.append(("{predicted:.2f}×" + within).format(**values))
        cells.append("{measured:.2f}× ({measured_min:.2f}–{measured_max:.2f})".format(**values))
        cells.append(inside.format(**values))
    else:
        cells += ["", "", ""]
    return f"| {' | '.join(cells)} |"


def markdown(results: Results) -> str:
    """The whole page: what was run where, how good it was, and every case."""
    cases = list(results["cases"].values())
    lines = ["# How well it names causes, and how well its predictions hold", ""]
    lines += [*(f"{name}: {value}  " for name, value in results["machine"].items()), "", *_totals(cases), ""]
    lines += [
        "Written by `python -m benchmarks.zoo`. Slow and fixed alternate; predicted and measured are medians over the",
        "repeats, with the predicted range and the least and the most that was measured; in brackets above, of how",
        "many pairs. Bold: another answer than expected, or measured outside the range. Where only the fit as a whole",
        "gets shorter, as by compiling less, no range is told. Else these are times of a steady epoch, without the",
        "pauses that a few epochs have.",
    ]
    lines[-1] += f" {sum(len(case['repeats']) == 1 for case in cases)} of {len(cases)} cases ran once."
    for family in dict.fromkeys(case["family"] for case in cases):
        title = family.replace("_", " ")
        lines += ["", f"## {title[0].upper()}{title[1:]}", "", HEAD]
        lines += [row(case) for case in cases if case["family"] == family]
    return "\n".join(lines) + "\n"


def _totals(cases: Sequence[Mapping[str, Any]]) -> list[str]:
    backends = dict.fromkeys(case["backend"] for case in cases)
    columns = {"": _answers(cases)} | {
        name: _answers([case for case in cases if case["backend"] == name]) for name in backends
    }
    lines = [f"| | {' | '.join(name or 'all' for name in columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {question} | {' | '.join(each[question] for each in columns.values())} |" for question in columns[""]]
    return lines


def _answers(cases: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    pairs = [(case, summary(case)) for case in cases if case["causes"]]
    controls = [summary(case) for case in cases if not case["causes"]]
    compared = [values for _, values in pairs if "error" in values]
    of_input = [values for case, values in pairs if "error" in values and case["family"] in _INPUT]
    ranged = [values for values in compared if "inside" in values]
    widths = [(values["high"] / values["low"] - 1) / 2 for values in ranged]
    return {
        "true cause first": _of(values["first"] for _, values in pairs),
        "among the first three": _of(values["third"] for _, values in pairs),
        "controls and traps without a finding": _of(values["first"] for values in controls),
        "median error of the predicted speed-up": _median(abs(values["error"]) for values in compared),
        "of that of the input pipeline": _median(abs(values["error"]) for values in of_input),
        "measured inside the predicted range": _of(values["inside"] for values in ranged),
        "median predicted range": _median(widths, "±"),
    }


def _of(hits: Iterable[bool]) -> str:
    seen = list(hits)
    return f"{sum(seen)} of {len(seen)}"


def _median(values: Iterable[float], sign: str = "") -> str:
    seen = list(values)
    return f"{sign}{statistics.median(seen):.0%} ({len(seen)})" if seen else ""
