"""Runs the cases of one backend and prints a table.

    KERAS_BACKEND=jax python -m benchmarks.zoo [--only NAME ...] [--repeat N] [--json FILE] [--markdown FILE]

Slow and fixed alternate, and which of them begins does too. With `--json` every result is kept as soon as there is one:
a run that is cut off goes on where it was, and runs on several backends add to the same file.
"""

import argparse
import datetime
import platform
import sys
import time
from importlib import metadata
from typing import Any

import keras

from benchmarks.zoo import CASES, Case, measure, on_this_backend, run
from benchmarks.zoo.results import HEAD, load, markdown, row, save
from benchmarks.zoo.trainings import fit, mlp, numbers
from tb_trainspeed import Report

PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "tb-trainspeed")


def machine(cores: float | None) -> dict[str, str]:
    """Date, versions and machine, as they stand in the page."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    return {
        "Date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "Versions": f"Python {platform.python_version()}, {versions}",
        "Machine": f"{platform.platform()}, {cores or 0:g} cores",
    }


def once(chosen: Case, turn: int) -> tuple[dict[str, Any], Report]:
    """Runs a case once, in odd turns the fixed one first; returns what was found, predicted and measured."""
    begin, fixed = time.perf_counter(), None
    if chosen.fixed and turn % 2:
        fixed = run(chosen, fixed=True)
    slow = run(chosen)
    if chosen.fixed and not turn % 2:
        fixed = run(chosen, fixed=True)
    codes = [finding.code for finding in slow.findings]
    result: dict[str, Any] = {"found": codes, "right": chosen.right(codes), "verdict": slow.verdict}
    result["took_s"] = time.perf_counter() - begin
    if fixed:
        result |= {"measured": _time(slow, chosen) / _time(fixed, chosen), **_predicted(slow, chosen)}
        result["left"] = [finding.code for finding in fixed.findings]
    return result, slow


def _time(report: Report, chosen: Case) -> float:
    return report.wall_s if chosen.total else report.typical_epoch_s or report.epoch_s or report.wall_s


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


def main() -> None:
    """Runs the cases and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", metavar="NAME", help="cases or families")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="keep the results here, and go on from those that are there")
    parser.add_argument("--markdown", metavar="FILE", help="write the page of all results")
    arguments = parser.parse_args()
    backend = keras.backend.backend()
    results = load(arguments.json)
    chosen = [case for case in CASES if on_this_backend(case)]
    if arguments.only:
        chosen = [case for case in chosen if {case.name, case.family} & set(arguments.only)]
    print(HEAD, flush=True)
    measure(lambda: fit(mlp(32), *numbers(64 * 10), batch_size=64))  # the first fit of a process pays for much else
    for index, case in enumerate(chosen, 1):
        entry = results["cases"].setdefault(
            f"{backend} {case.name}",
            {"name": case.name, "family": case.family, "backend": backend, "causes": case.causes, "repeats": []},
        )
        repeats = entry["repeats"]
        for turn in range(len(repeats), arguments.repeat):
            print(
                f"\r{index}/{len(chosen)} {case.name}, {turn + 1}/{arguments.repeat}", end="\x1b[K\r", file=sys.stderr
            )
            result, report = once(case, turn)
            repeats.append(result)
            results["machine"] = machine(report.profile.environment.cores)
            if arguments.json:
                save(results, arguments.json)
        took_s = sum(repeat.get("took_s", 0.0) for repeat in repeats)
        print(f"{index}/{len(chosen)} {case.name}, {took_s:.1f} s", end="\x1b[K\n", file=sys.stderr)
        print(row(entry), flush=True)
    if arguments.markdown:
        with open(arguments.markdown, "w", encoding="utf-8") as file:
            file.write(markdown(results))


if __name__ == "__main__":
    main()
