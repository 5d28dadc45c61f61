"""Two reports -> what became faster, by how much, what else differs, and whether the first report had predicted it."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tb_trainspeed import whatif
from tb_trainspeed.profile import ONE_OFF_PHASES, PHASES, Model, Profile
from tb_trainspeed.report.report import Finding, Part, Report
from tb_trainspeed.report.spread import epochs_s, margin_of, per_step_s, ratio_interval
from tb_trainspeed.report.tables import called
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import FACTS, Steady, steady_of, typical_of
from tb_trainspeed.rules.rule import Range

SCHEMA = 1

# Two fits whose epochs hold this much more or less data than each other are compared by the sample.
_SAME_WORK = 0.01
# Share of an epoch below which what is left out of it cannot be seen.
_SEEN_FROM = 0.01
# A step's share in a phase that is less is what rounding leaves of nothing.
_LEAST_S = 1e-9
# Facts that differ between two starts of the same script. An optimizer has its variables from the first step on.
_INCIDENTAL = frozenset(
    {
        "memory_available_bytes", "name", "batch", "random", "opens_nothing", "called_model", "called_x", "called_y",
        "built", "optimizer_variables", "optimizer_parameters",
    }
)  # fmt: skip
#: What `Comparison.changed` calls the cores that were not the fit's.
OTHERS = "cores used by other programs"
# Phases with pauses that come by chance.
_PAUSING = ("epoch_restart", "gc")
_GONE = ("passed", "not_applicable")


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the two fits, in steady training. `None` where there is none yet."""

    fit_id: str
    fit_index: int
    status: str
    started_at_s: float
    epochs: int
    steps: int
    epoch_s: float | None
    step_s: float | None
    steps_per_epoch: float | None
    samples_per_s: float | None


@dataclasses.dataclass(frozen=True)
class PhaseRow:
    """One phase in both fits, in seconds of steady training; `None` where it was not measured.

    Attributes:
        phase: name of the phase.
        epoch_s: a steady epoch of the first and of the second fit.
        step_s: a step of the first and of the second fit.
        difference_s: second minus first, a step.
        interval_s: 95 % interval of `difference_s`, `None` where the records hold too little of a spread.
    """

    phase: str
    epoch_s: tuple[float | None, float | None]
    step_s: tuple[float | None, float | None]
    difference_s: float | None
    interval_s: tuple[float, float] | None


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A finding of the first fit. `outcome` is what the same rule says of the second: `passed` is: it is gone."""

    code: str
    name: str
    title: str
    speedup: Range | None
    outcome: str


@dataclasses.dataclass(frozen=True)
class Together:
    """What the first report predicted for all its findings that were fixed, as far as that can be told."""

    codes: tuple[str, ...]
    speedup: Range
    error: float
    within: bool


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What `compare` returns.

    Attributes:
        headline: the answer in one sentence.
        explanation: the phases that changed most.
        a: the first fit, `before`.
        b: the second fit, `after`.
        per: what `speedup` is about: the time of an `epoch`, of a `sample` where the epochs hold different amounts of
            data, or of a `step` where nothing better is known.
        speedup: measured, old time over new time of steady training.
        interval: its 95 % interval, `None` where the records hold too little of a spread.
        phases: the ledger phase by phase.
        phases_per: what the phases are to be read for, to agree with `speedup`: a `step`, an `epoch` where the steps of
            the two fits differ in their work, or a `sample`.
        changed: facts that differ: name -> value in the first and in the second fit.
        predictions: the findings of the first fit.
        together: predicted against measured, for the findings that were fixed; `None` where none is, or where
            `not_measured["predictions"]` says why that cannot be judged.
        not_measured: what cannot be told, and why.
    """

    headline: tuple[Part, ...]
    explanation: str
    a: Side
    b: Side
    per: str
    speedup: float | None
    interval: tuple[float, float] | None
    phases: tuple[PhaseRow, ...]
    phases_per: str
    changed: Mapping[str, tuple[str, str]]
    predictions: tuple[Prediction, ...]
    together: Together | None
    not_measured: Mapping[str, str]

    @property
    def verdict(self) -> str:
        """The headline as plain text."""
        return "".join(part.text for part in self.headline)

    def __repr__(self) -> str:
        return f"<Comparison: {self.verdict}>"

    def to_dict(self) -> dict[str, Any]:
        """Returns the comparison as JSON values."""
        values = dataclasses.asdict(self)
        values["headline"] = [
            {"text": part.text, **({"strong": True} if part.strong else {})} for part in self.headline
        ]
        changed = [{"what": what, "a": a, "b": b} for what, (a, b) in self.changed.items()]
        return {"schema": SCHEMA, "verdict": self.verdict, **values, "changed": changed}


def compare(a: Report, b: Report) -> Comparison:
    """Says what changed in speed from one fit to another.

    Args:
        a: the report on the first fit, the one before the change.
        b: the report on the second fit.

    Returns:
        The comparison. It depends on nothing but the two reports.

    Example:
        ```python
        compare(before.report, after.report).verdict
        ```
    """
    predictions = tuple(_prediction(finding, b) for finding in a.findings)
    gone = _fixed(a, b, tuple(one.code for one in predictions if one.outcome in _GONE and one.speedup))
    # Predictions leave pauses out that come by chance, and so does what they are held against.
    about_pauses = whatif.tells([one.change for one in a.findings if one.code in gone], "pauses_s")
    training = steady_of if about_pauses else typical_of
    steady = training(a.profile), training(b.profile)
    sides = _side(a.profile, steady[0]), _side(b.profile, steady[1])
    missing: dict[str, str] = {}
    per, units = _unit(*(_work(report, side) for report, side in zip((a, b), sides, strict=True)))
    gain = interval = None
    if _is_same(a.profile, b.profile):
        missing["speedup"] = "These are the same fit: choose another one to compare it with."
    elif steady[0] and steady[1]:
        gain = steady[0].epoch_s / units[0] / (steady[1].epoch_s / units[1])
        without = () if about_pauses else _PAUSING
        interval = ratio_interval(gain, epochs_s(a.profile, without), epochs_s(b.profile, without))
        if interval is None:
            missing["interval"] = "it takes two whole epochs after the first in both fits"
    else:
        which = " and ".join(name for name, one in zip(("the first", "the second"), steady, strict=True) if one is None)
        missing["speedup"] = f"They cannot be compared yet: {which} fit has too few steps after its start."
    together = _together(a, gone, gain)
    if together and (why := _ungraded(a.profile.model, b.profile.model, together.speedup, interval)):
        missing["predictions"], together = why, None
    rows = tuple(_rows(a.profile, b.profile, *steady))
    changed = {**_changed(a.profile, b.profile), **_others(a.profile, b.profile)}
    phases_per = _phases_per(per, *sides)
    explanation = " ".join(filter(None, (_explanation(rows, phases_per, units, *sides), _left_out(a, b, steady))))
    return Comparison(
        _headline(gain, interval, per, missing), explanation, *sides, per, gain, interval, rows, phases_per, changed,
        predictions, together, missing,
    )  # fmt: skip


def _is_same(a: Profile, b: Profile) -> bool:
    return (a.fit_id, a.started_at_s) == (b.fit_id, b.started_at_s)


def _side(profile: Profile, steady: Steady | None) -> Side:
    batch = profile.data.batch_size
    return Side(
        fit_id=profile.fit_id,
        fit_index=profile.fit_index,
        status=profile.status,
        started_at_s=profile.started_at_s,
        epochs=profile.ledger.epochs,
        steps=profile.ledger.steps,
        epoch_s=steady.epoch_s if steady else None,
        step_s=steady.epoch_s / steady.steps_per_epoch if steady else None,
        steps_per_epoch=steady.steps_per_epoch if steady else None,
        samples_per_s=steady.steps_per_epoch / steady.epoch_s * batch if steady and batch else None,
    )


def _work(report: Report, side: Side) -> tuple[float, float | None]:
    """Steps and samples of a steady epoch."""
    steps, batch = side.steps_per_epoch or 1.0, report.profile.data.batch_size
    return steps, steps * batch if batch else None


def _unit(a: tuple[float, float | None], b: tuple[float, float | None]) -> tuple[str, tuple[float, float]]:
    """What two epochs are compared by, and how many of those each holds."""
    if a[1] is not None and b[1] is not None:
        same = abs(a[1] / b[1] - 1) <= _SAME_WORK
        return ("epoch", (1.0, 1.0)) if same else ("sample", (a[1], b[1]))
    same = abs(a[0] / b[0] - 1) <= _SAME_WORK
    return ("epoch", (1.0, 1.0)) if same else ("step", (a[0], b[0]))


def _rows(a: Profile, b: Profile, steady_a: Steady | None, steady_b: Steady | None) -> Iterable[PhaseRow]:
    for phase in PHASES:
        if phase in ONE_OFF_PHASES:
            continue
        step_s = _per_step(a, steady_a, phase), _per_step(b, steady_b, phase)
        if max(value or 0.0 for value in step_s) < _LEAST_S:
            continue
        first, second = step_s
        epoch_s = (
            None if first is None or steady_a is None else first * steady_a.steps_per_epoch,
            None if second is None or steady_b is None else second * steady_b.steps_per_epoch,
        )
        if first is None or second is None:
            yield PhaseRow(phase, epoch_s, step_s, None, None)
            continue
        margin = margin_of(per_step_s(a, phase), per_step_s(b, phase))
        difference = second - first
        interval = None if margin is None else (difference - margin, difference + margin)
        yield PhaseRow(phase, epoch_s, step_s, difference, interval)


def _per_step(profile: Profile, steady: Steady | None, phase: str) -> float | None:
    measured = (profile.steady or profile.ledger).phases.get(phase) is not None
    return steady.per_step(phase) if steady and measured else None


def _prediction(finding: Finding, b: Report) -> Prediction:
    done = next((done for done in b.checks if done.rule.code == finding.code), None)
    # A symptom of another cause is still there.
    outcome = "not_measured" if done is None else "found" if done.symptom_of else done.outcome
    return Prediction(finding.code, finding.name, finding.title, finding.speedup, outcome)


def _fixed(a: Report, b: Report, gone: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are gone, without such as went with the others: what their remedies would turn was not turned."""
    settings = {lever.code: lever.current for lever in b.levers}
    kept = {code for lever in a.levers if settings.get(lever.code) == lever.current for code in lever.replaces}
    return tuple(code for code in gone if code not in kept) or gone


def _together(a: Report, gone: tuple[str, ...], measured: float | None) -> Together | None:
    speedup = a.what_if(gone)["speedup"] if gone and measured else None
    if speedup is None or not measured:
        return None
    predicted = Range(**speedup)
    within = predicted.low <= measured <= predicted.high
    return Together(gone, predicted, predicted.expected / measured - 1, within)


def _ungraded(a: Model, b: Model, predicted: Range, interval: tuple[float, float] | None) -> str | None:
    """Why what was measured says nothing of a prediction, if that is so."""
    if None not in (a.parameters, b.parameters) and _shape(a) != _shape(b):  # of those that are built
        return "the two models differ in their layers or parameters: compare fits of the same model"
    if interval and (interval[0] <= 1 <= interval[1] or interval[1] / interval[0] > predicted.high / predicted.low):
        between = words.times_range(*interval)
        return f"what was measured is too unsure ({between}): train for more epochs, or run both fits again"
    return None


def _shape(model: Model) -> tuple[object, ...]:
    return model.parameters, [(layer.kind, layer.parameters) for layer in model.layers]


def _left_out(a: Report, b: Report, steady: Sequence[Steady | None]) -> str:
    """How much of an epoch is not compared, in words."""
    told = [
        f"{words.seconds(report.epoch_s - typical.epoch_s)} an epoch of the {which} fit"
        for which, report, typical in zip(("first", "second"), (a, b), steady, strict=True)
        if report.epoch_s and typical and report.epoch_s - typical.epoch_s >= _SEEN_FROM * report.epoch_s
    ]
    return f"Left out are pauses that come by chance, and measuring: {', '.join(told)}." if told else ""


def _others(a: Profile, b: Profile) -> dict[str, tuple[str, str]]:
    """What other programs used meanwhile, where that slows a fit down."""
    used = [FACTS["others_cores"](profile) for profile in (a, b)]
    crowded = any(FACTS["others_compute"](profile) for profile in (a, b))
    first, second = ("" if cores is None else f"{cores:.1f}" for cores in used)
    return {OTHERS: (first, second)} if crowded and first != second else {}


def _changed(a: Profile, b: Profile) -> dict[str, tuple[str, str]]:
    facts = _facts(a), _facts(b)
    names = dict.fromkeys([*facts[0], *facts[1]])
    pairs = {name: (facts[0].get(name, ""), facts[1].get(name, "")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _facts(profile: Profile) -> dict[str, str]:
    """What was set up by hand or found on the machine, as words."""
    found: dict[str, str] = {}
    for part in (profile.environment, profile.model, profile.data):
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if field.name in _INCIDENTAL:
                continue
            if isinstance(value, Mapping):
                found |= {key.replace("_", " "): str(item) for key, item in value.items() if key not in _INCIDENTAL}
            elif value is None or isinstance(value, str | int | float):
                found[field.name.replace("_", " ")] = _word(value)
    found["devices"] = ", ".join(device.kind for device in profile.environment.devices)
    found["pipeline"] = " → ".join(stage.kind for stage in profile.data.stages)
    found["callbacks"] = ", ".join(callback.name for callback in profile.callbacks)
    return found


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)


def _headline(
    gain: float | None, interval: tuple[float, float] | None, per: str, missing: Mapping[str, str]
) -> tuple[Part, ...]:
    if gain is None:
        return (Part(missing["speedup"]),)
    scope = {"epoch": "", "sample": ", by the sample", "step": ", by the step"}[per]
    if interval and interval[0] <= 1 <= interval[1]:
        between = words.times_range(*interval)
        return (Part("No difference", True), Part(f" can be told from chance: {between} as fast{scope}."))
    faster = gain >= 1
    size = words.times(gain if faster else 1 / gain)
    return (Part("The second fit is "), Part(f"{size} {'faster' if faster else 'slower'}", True), Part(f"{scope}."))


def _is_chance(interval: tuple[float, float] | None) -> bool:
    return interval is not None and interval[0] <= 0 <= interval[1]


def _phases_per(per: str, a: Side, b: Side) -> str:
    same = abs((a.steps_per_epoch or 1.0) / (b.steps_per_epoch or 1.0) - 1) <= _SAME_WORK
    return "step" if per == "epoch" and same else per


def _explanation(rows: Sequence[PhaseRow], per: str, amounts: tuple[float, float], a: Side, b: Side) -> str:
    """The phases that make up most of the difference, in words, for the same amount of work as the verdict."""
    steps = a.steps_per_epoch or 1.0, b.steps_per_epoch or 1.0
    if per == "sample":
        unit, parts = "per 1,000 samples", (amounts[0] / 1000, amounts[1] / 1000)
    elif per == "epoch":
        unit, parts = "an epoch", (1.0, 1.0)
    else:
        unit, parts = "a step", steps
    told = [
        (called(row.phase), row.epoch_s[0] / parts[0], row.epoch_s[1] / parts[1])
        for row in rows
        if row.epoch_s[0] is not None and row.epoch_s[1] is not None
        if not (unit == "a step" and _is_chance(row.interval_s))  # which is that of a step
    ]
    told.sort(key=lambda one: -abs(one[2] - one[1]))
    most = abs(told[0][2] - told[0][1]) if told else 0.0
    text = " and ".join(
        f"{phase} went from {words.seconds(before)} to {words.seconds(after)} {unit}"
        for phase, before, after in told[:2]
        if most and abs(after - before) >= 0.1 * most
    )
    return f"{text[0].upper()}{text[1:]}." if text else ""
