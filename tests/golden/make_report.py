"""Writes report.json, the report that Python promises and the panel reads in its tests; also the other two files.

    python -m tests.golden.make_report                # after a wanted change of the report
    python -m tests.golden.make_report --record LOG   # from a new record: a run of `trainspeed demo`

The record in event_files/demo/ is of a real fit, with the paths of the machine cut to file names, and given four cores
instead of the two that it had, so that there are two remedies to combine.
"""

import argparse
import dataclasses
import json
import pathlib
import shutil
from typing import Any

from tb_trainspeed.profile import Source
from tb_trainspeed.report import compare, diagnose, workers_of
from tb_trainspeed.summary import EventFile, encode, fit_directory, read_log
from tests.report.fits import fit

HERE = pathlib.Path(__file__).parent
RECORD = HERE / "event_files" / "demo"
REPORT = HERE / "report.json"
COMPARISON = HERE / "comparison.json"
WORKERS = HERE / "workers.json"


def make_report() -> dict[str, Any]:
    """The report on the record as the plugin sends it, floats cut to what all machines agree on."""
    (fit,) = read_log(RECORD).fits
    report: dict[str, Any] = _cut({**diagnose(fit.profile).to_dict(), "run": "demo"})
    return report


def make_comparison() -> dict[str, Any]:
    """What a fix of the input pipeline gave, on fits whose numbers are made up."""
    fixed = fit(step_s=0.012, wait_s=0.0005, jitter=0.05, batch=64, started_at_s=2000.0)
    comparison: dict[str, Any] = _cut(compare(diagnose(fit(jitter=0.05)), diagnose(fixed)).to_dict())
    return comparison


def make_workers() -> dict[str, Any]:
    """Three workers, the second of which holds the others up; the third has done fewer steps."""
    waits = (0.02, 0.002, 0.02)
    profiles = [fit(wait_s=0.001, collectives=wait, worker=worker, epochs=5 - worker // 2)
                for worker, wait in enumerate(waits)]  # fmt: skip
    workers: dict[str, Any] = _cut(workers_of(profiles))
    return workers


def _cut(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.12g}")
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(item) for item in value]
    return value


def make_record(log_dir: pathlib.Path) -> None:
    """Takes over the last record of the fit in `log_dir`."""
    (fit,) = read_log(log_dir).fits
    source = fit.profile.data.source
    data = dataclasses.replace(fit.profile.data, source=_without_paths(source) if source else None)
    profile = dataclasses.replace(fit.profile, fit_id="demo", data=data)
    shutil.rmtree(RECORD, ignore_errors=True)
    events = EventFile(fit_directory(str(RECORD), profile.fit_id))
    events.write(profile.ledger.steps, profile.updated_at_s, {"profile": encode(profile)})
    events.close()
    for number, path in enumerate(sorted(RECORD.rglob("events.out.tfevents.*"))):
        path.rename(path.with_name(f"events.out.tfevents.{profile.started_at_s:.0f}.demo.1.{number:06}"))
    _write(RECORD / "expected.json", dataclasses.asdict(profile))


def _without_paths(source: Source) -> Source:
    spots = (dataclasses.replace(spot, file=pathlib.PurePath(spot.file).name) for spot in source.hot_spots)
    return dataclasses.replace(source, hot_spots=tuple(spots))


def _write(path: pathlib.Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Writes the golden report.")
    parser.add_argument("--record", type=pathlib.Path, help="take over the fit of this log folder first")
    arguments = parser.parse_args()
    if arguments.record:
        make_record(arguments.record)
    _write(REPORT, make_report())
    _write(COMPARISON, make_comparison())
    _write(WORKERS, make_workers())
