"""What the cases have shown, and the page of it."""

import collections
import datetime
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.cores import Cores
from benchmarks.zoo.case import Case, of_the_case
from tb_trainspeed import Report, whatif
from tb_trainspeed.rules import OF_THE_MACHINE

_INPUT = ("input_pipeline", "tf_data")
# Families that stand beside the others, as nothing was set from them when they first ran.
_APART = ("unseen", "afterwards")
_PARTS = {
    "input_wait": "waiting for data",
    "compute": "computing and the host's part",
    "callbacks": "callbacks",
    "validation": "validation",
    "checkpointing": "checkpoints",
    "epoch_restart": "the boundary between epochs",
    "other": "the rest",
}


def result(chosen: Case, slow: Report, fixed: Report | None, cores: Cores) -> dict[str, Any]:
    """What one turn of a case has shown: what was found, predicted and measured."""
    codes = [finding.code for finding in slow.findings]
    told: dict[str, Any] = {"found": codes, "right": chosen.right(codes), "profile": slow.profile}
    if fixed:
        by_clock = _time(slow, chosen) / _time(fixed, chosen)
        measured = by_clock / _alike(slow, fixed, chosen, cores)
        told |= {"measured": measured, "by_clock": by_clock, **_predicted(slow, chosen)}
        if "predicted" in told and not chosen.total:
            told["furthest_off"] = _furthest_off(slow, fixed, chosen)
    return told


def _time(report: Report, chosen: Case) -> float:
    return report.wall_s if chosen.total else report.typical_epoch_s or report.epoch_s or report.wall_s


def _alike(slow: Report, fixed: Report, chosen: Case, cores: Cores) -> float:
    """What the fixed fit would have taken, over what it took, had the cores been as fast as they were for the slow one:
    the share of it that computes gets longer or shorter."""
    profile = fixed.profile
    computes = min(1.0, (profile.resources.process_cpu_s or 0.0) / profile.ledger.wall_s)
    return 1 - computes + computes * _slowdown(slow, chosen, cores) / _slowdown(fixed, chosen, cores)


def _slowdown(report: Report, chosen: Case, cores: Cores) -> float:
    profile = report.profile
    lasted_s = (profile.ledger if chosen.total or not profile.steady else profile.steady).wall_s
    return cores.slowdown(profile.updated_at_s - lasted_s, profile.updated_at_s)


def _predicted(report: Report, chosen: Case) -> dict[str, float]:
    own = [finding for finding in report.findings if finding.code in chosen.causes]
    if len(own) < len(chosen.causes):
        return {}
    if chosen.total:
        saved = sum(finding.saves_s for finding in own)
        expected = report.wall_s / max(1e-9, report.wall_s - saved)
        return {"predicted": expected, "low": expected, "high": expected}
    gain = report.what_if(chosen.causes)["speedup"]
    return {"predicted": gain["expected"], "low": gain["low"], "high": gain["high"]} if gain else {}


def _furthest_off(slow: Report, fixed: Report, chosen: Case) -> str:
    """The part of an epoch that was foreseen worst: what it would be, and what it was."""
    now, then = whatif.baseline(slow.profile), whatif.baseline(fixed.profile)
    if now is None or then is None:
        return ""
    changes = [finding.change for finding in slow.findings if finding.code in chosen.causes]
    foreseen, seen = whatif.predict(now, changes).after.phases, whatif.predict(then, ()).before.phases
    name = max(_PARTS, key=lambda part: abs(foreseen[part] - seen[part]))
    return f"{_PARTS[name]}: {foreseen[name] * 1e3:.0f} ms an epoch foreseen, {seen[name] * 1e3:.0f} ms taken"


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
            "error_by_clock": predicted / statistics.median(pair["by_clock"] for pair in pairs) - 1,
        }
        if len(pairs) > 1:
            values["again"] = pairs[1]["measured"] / pairs[0]["measured"] - 1
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


def markdown(cases: Sequence[Mapping[str, Any]]) -> str:
    """The whole page: what was run where, how good it was, and every case."""
    turns = [repeat["found"] for case in cases for repeat in case["repeats"]]
    named = sum(not OF_THE_MACHINE.isdisjoint(found) for found in turns)
    led = sum(found[0] in OF_THE_MACHINE for found in turns if found)
    lines = [
        "# How well it names causes, and how well its predictions hold",
        "",
        *_where(cases),
        "",
        *_totals(cases),
        "",
    ]
    lines += [
        "Written by `python -m benchmarks.zoo`. Slow and fixed alternate; predicted and measured are medians over the",
        "repeats, with the predicted range and the least and the most that was measured; in brackets above, of how",
        "many pairs. Bold: another answer than expected, or measured outside the range. Where only the fit as a whole",
        "gets shorter, as by compiling less, no range is told. Else these are times of a steady epoch, without the",
        "pauses that a few epochs have.",
        "",
        "The cores of the machine are slower now and then, by half, as somebody else uses theirs",
        "([measured](benchmarks.md#the-machines-a-core-is-slower-now-and-then-by-half)). So measured is how many",
        "times faster the fixed training would have been on cores as fast as the slow one had: what of it computes is",
        "divided by how long the same small work took meanwhile, and multiplied by how long it took for the slow one.",
        "",
        "What is true of the machine or came by chance (HW03, HW04, HW06, HW07, and IP27, the autotuner of tf.data) is",
        f"in the tables, but never counted: it was named in {named} of {len(turns)} turns, first in {led}, also of",
        "controls.",
    ]
    lines += [
        "",
        "The constants of the step-time model, and what many rules say that their remedies leave, were set from",
        "runs of these same cases on five other machines of two cores; how wide the ranges are, from five of the",
        "eight before this one. Of this one come what the boundary between epochs saves beside Python code on",
        "TensorFlow and beside tf.data on torch, how much longer a step takes after a pause, that the device of JAX",
        "hides what is added between epochs, what a cache leaves of the cores, what generators in tf.data leave of",
        "both (IP05, IP29), and three causes that a first run on it did not name: the rules of the input",
        "pipeline now count the cores that making batches takes from the steps, and speak from a tenth of training on",
        "(IP01, IP08, IP09). So do what is left of a step that no longer goes through a large table (OP01, OP02 and",
        "OP08 on TensorFlow), of one whose batches come from processes (IP03), of one of torch whose batches Python",
        "makes in the thread that trains, what steps are without a callback that takes longer than they do (CB01,",
        "CB02, CB03), FW09, FW16, MC05 on TensorFlow and torch, parts of CB06, FW05 and MC01.",
        "Those of the input pipeline ran after that, on a machine that was slower and less even than the day before;",
        "the others are of that day: TensorFlow's twice, JAX' and torch's once, and once more on 2026-12-01, as",
        "generators in tf.data and the trainings written afterwards, which ran twice. The controls of these two ran",
        "once more with the rules of the day after, of which several name less than before. 48 turns, most of them of",
        "JAX' input pipeline, had run beside another program that took a core, as their records told: they ran anew.",
        "",
        "The unseen ones, the last family, tell how well it does with other models and data. When they first ran, the",
        "first cause named was right in 39 of 46, but for five trainings whose planted cause cost nothing or was not",
        "the only one; they were planted anew or dropped, as was a store that is too quick for this machine; three",
        "rules were mended since, and three of them led to how IP05, IP18 and IP19 see. No prediction was set from",
        "them but OP01's on TensorFlow, until the last changes to what a fix of the input pipeline leaves, as above:",
        "these were set from the records of all trainings of this page, and took the median error of the unseen ones",
        "from 15 to 12 %, of all from 15 to 13 %, of the input pipeline from 18 to 12 %. Then five trainings of the",
        "input pipeline were written, 15 pairs, most of which gained more than foreseen: the predictions were off by",
        "27 %, and eight of them held. What they told of generators and of caches went into the model, they joined",
        "the unseen ones, and nothing of what these say is unseen any more. So five more were written afterwards,",
        "once all constants had been set: they tell what to expect elsewhere, of the input pipeline. At first the",
        "cause was named first in 11 of their 15 pairs: files that `open` reads were not seen in a source that takes",
        "milliseconds (IP09, on all backends), and a generator that counts letters was only one that hands samples",
        "over, on torch. How the source is read and from where on IP29 speaks were mended, and no prediction.",
        "[The machine before](benchmarks.md#predictions-on-an-eighth-machine) was a quicker one.",
        "",
        _times(cases),
    ]
    lines += ["", "## Outside the range", "", *_misses(cases)]
    for family in dict.fromkeys(case["family"] for case in cases):
        title = family.replace("_", " ")
        lines += ["", f"## {title[0].upper()}{title[1:]}", "", HEAD]
        lines += [row(case) for case in cases if case["family"] == family]
    return "\n".join(lines) + "\n"


def _times(cases: Sequence[Mapping[str, Any]]) -> str:
    """How often the cases ran."""
    counts = collections.Counter(len(case["repeats"]) for case in cases)
    ran = [f"{cases} ran {'once' if times == 1 else f'{times} times'}" for times, cases in sorted(counts.items())]
    return f"Of {len(cases)} cases {', '.join(ran)}." if len(ran) > 1 else f"All {', '.join(ran)}."


def _misses(cases: Iterable[Mapping[str, Any]]) -> list[str]:
    """What was measured outside the predicted range, the worst first, each with what of it was foreseen worst."""
    missed = [(case, values) for case in cases if not (values := summary(case)).get("inside", True)]
    missed.sort(key=lambda pair: -abs(math.log(1 + pair[1]["error"])))
    rows = [
        f"| {case['name']} | {case['backend']} | {values['low']:.2f}–{values['high']:.2f} | {values['measured']:.2f}× "
        f"| {case['repeats'][0].get('furthest_off', '')} |"
        for case, values in missed
    ]
    return [
        "| case | backend | predicted | measured | the part furthest off, first turn |",
        "|---|---|---|---|---|",
        *rows,
    ]


def _where(cases: Iterable[Mapping[str, Any]]) -> list[str]:
    """Date, versions and machine, as the records tell them."""
    profiles = [repeat["profile"] for case in cases for repeat in case["repeats"]]
    days = sorted(
        {datetime.datetime.fromtimestamp(profile.started_at_s, datetime.timezone.utc).date() for profile in profiles}
    )
    environments = [profile.environment for profile in profiles]
    versions = dict.fromkeys(f"{name} {version}" for each in environments for name, version in each.versions.items())
    machines = dict.fromkeys(f"{each.platform}, {each.cores or 0:g} cores" for each in environments)
    dates = days[0].isoformat() if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return [f"Date: {dates}  ", f"Versions: {', '.join(versions)}  ", f"Machine: {'; '.join(machines)}  "]


def _totals(cases: Sequence[Mapping[str, Any]]) -> list[str]:
    apart = {name: [case for case in cases if case["family"] == name] for name in _APART}
    cases = [case for case in cases if case["family"] not in _APART]
    backends = dict.fromkeys(case["backend"] for case in cases)
    columns = {"": _answers(cases)} | {
        name: _answers([case for case in cases if case["backend"] == name]) for name in backends
    }
    columns |= {name: _answers(own) for name, own in apart.items() if own}
    lines = [f"| | {' | '.join(name or 'all' for name in columns)} |", "|---" * (len(columns) + 1) + "|"]
    rows = {question: [each[question] for each in columns.values()] for question in columns[""]}
    lines += [f"| {question} | {' | '.join(cells)} |" for question, cells in rows.items() if any(cells)]
    return lines


def _answers(cases: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    pairs = [(case, summary(case)) for case in cases if case["causes"]]
    controls = [summary(case) for case in cases if not case["causes"]]
    compared = [values for _, values in pairs if "error" in values]
    of_input = [values for case, values in pairs if "error" in values and _is_of_input(case)]
    ranged = [values for values in compared if "inside" in values]
    widths = [(values["high"] - values["low"]) / 2 / values["predicted"] for values in ranged]
    return {
        "true cause first": _of(values["first"] for _, values in pairs),
        "among the first three": _of(values["third"] for _, values in pairs),
        "controls and traps without a finding": _of(values["first"] for values in controls),
        "median error of the predicted speed-up": _median(abs(values["error"]) for values in compared),
        "of that of the input pipeline": _median(abs(values["error"]) for values in of_input),
        "two measurements of the same speed-up differ by": _median(
            abs(values["again"]) for values in compared if "again" in values
        ),
        "median error by the clock alone": _median(abs(values["error_by_clock"]) for values in compared),
        "measured inside the predicted range": _of(values["inside"] for values in ranged),
        "median predicted range": _median(widths, "±"),
    }


def _is_of_input(case: Mapping[str, Any]) -> bool:
    return case["family"] in _INPUT or (case["family"] in _APART and case["causes"][0].startswith("IP"))


def _of(hits: Iterable[bool]) -> str:
    seen = list(hits)
    return f"{sum(seen)} of {len(seen)}"


def _median(values: Iterable[float], sign: str = "") -> str:
    seen = list(values)
    return f"{sign}{statistics.median(seen):.0%} ({len(seen)})" if seen else ""
