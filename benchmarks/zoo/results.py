"""The results of the cases: kept in a file that a run adds to, and shown as Markdown."""

import json
import os
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.zoo.case import OF_THE_MACHINE

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
        "third": all({*case["causes"]} <= {*_own(case, repeat["found"])[:3]} for repeat in repeats),
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


def _own(case: Mapping[str, Any], found: Iterable[str]) -> list[str]:
    return [code for code in found if code in case["causes"] or code not in OF_THE_MACHINE]


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
        "Slow and fixed alternate; predicted and measured are medians over the repeats, with the predicted range and",
        "the least and the most that was measured. Bold: another answer than expected, or measured outside the range.",
    ]
    for family in dict.fromkeys(case["family"] for case in cases):
        title = family.replace("_", " ")
        lines += ["", f"## {title[0].upper()}{title[1:]}", "", HEAD]
        lines += [row(case) for case in cases if case["family"] == family]
    return "\n".join(lines) + "\n"


def _totals(cases: Iterable[Mapping[str, Any]]) -> list[str]:
    pairs = [(case, summary(case)) for case in cases if case["causes"]]
    controls = [summary(case) for case in cases if not case["causes"]]
    compared = [values for _, values in pairs if "error" in values]
    of_input = [abs(values["error"]) for case, values in pairs if "error" in values and case["family"] in _INPUT]
    lines = ["| | |", "|---|---|"]
    lines.append(f"| true cause first | {sum(values['first'] for _, values in pairs)} of {len(pairs)} |")
    lines.append(f"| among the first three | {sum(values['third'] for _, values in pairs)} of {len(pairs)} |")
    lines.append(
        f"| controls and traps without a finding | {sum(values['first'] for values in controls)} of {len(controls)} |"
    )
    if compared:
        error = statistics.median(abs(values["error"]) for values in compared)
        ranged = [values for values in compared if "inside" in values]
        width = statistics.median((values["high"] / values["low"] - 1) / 2 for values in ranged or compared)
        inside = sum(values["inside"] for values in ranged)
        lines.append(f"| median error of the prediction, {len(compared)} pairs | {error:.0%} |")
        if of_input:
            lines.append(f"| of those of the input pipeline, {len(of_input)} | {statistics.median(of_input):.0%} |")
        lines.append(f"| measured inside the predicted range | {inside} of {len(ranged)} |")
        lines.append(f"| median predicted range | ±{width:.0%} |")
    return lines
