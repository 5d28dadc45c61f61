"""What is said about a fit."""

import dataclasses
import functools
import html
import json
from collections.abc import Iterable, Mapping
from typing import Any

from tb_trainspeed import whatif
from tb_trainspeed.levers import Lever, levers_of
from tb_trainspeed.profile import PHASES, Profile
from tb_trainspeed.report import tables
from tb_trainspeed.rules import Check, words
from tb_trainspeed.rules.facts import COMPUTING, steady_of
from tb_trainspeed.rules.rule import Change, Range

SCHEMA = 1

_COMPUTE_PARTS = ("forward", "backward", "metrics")
# Share of an epoch below which what a prediction leaves out cannot be seen.
_SEEN_FROM = 0.01


@dataclasses.dataclass(frozen=True)
class Remedy:
    """What to change: a sentence, and code for this model and pipeline. Lines of code start with `- ` or `+ `."""

    text: str
    code: str


@dataclasses.dataclass(frozen=True)
class Finding:
    """One cause of slow training that was found in a fit.

    Attributes:
        code: the rule's stable code, such as `IP01`.
        name: the rule's name, such as `pydataset-serial`.
        title: the cause in a few words.
        message: the cause in this fit, with numbers.
        phase: the phase of the ledger that it costs.
        evidence: what was measured, label to value.
        remedy: what to change.
        speedup: predicted, old time over new time of a steady epoch: at least, probably, at best.
        saves_s: seconds that the remedy would have saved in this very fit.
        changes_results: whether the remedy changes what is trained: `no`, `rounding` or `training`.
        confidence: `certain`, `likely` or `hint`.
        url: the rule's page, in the repository.
        more: the text of that page.
        bars: seconds that show the cause side by side, label to value.
    """

    code: str
    name: str
    title: str
    message: str
    phase: str
    evidence: Mapping[str, str]
    remedy: Remedy
    speedup: Range | None
    saves_s: float
    changes_results: str
    confidence: str
    url: str
    more: str
    change: Change
    bars: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        faster = f", {words.times(self.speedup.expected)} faster" if self.speedup else ""
        return f"<Finding {self.code}: {self.title}{faster}>"

    def to_dict(self) -> dict[str, Any]:
        """Returns the finding as JSON values."""
        values = dataclasses.asdict(self)
        del values["change"]
        return values


@dataclasses.dataclass(frozen=True)
class Part:
    """A piece of the verdict; `strong` ones carry the numbers."""

    text: str
    strong: bool = False


@dataclasses.dataclass(frozen=True)
class Report:
    """Where the time of a fit went, why, and what to change.

    Attributes:
        verdict: the answer in one sentence.
        explanation: one more sentence, on the first finding.
        phases: phase name to seconds, or `None` where not measured; adds up to `wall_s`.
        findings: ranked by the seconds they would have saved.
        checks: every rule with its outcome.
        attainable: predicted speed-up of those findings together that leave results unchanged, and give more together
            than without one of them.
        profile: what was measured.
        promised: the codes of these.
    """

    headline: tuple[Part, ...]
    explanation: str
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    attainable: Range | None
    profile: Profile
    promised: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        return "".join(part.text for part in self.headline)

    @property
    def wall_s(self) -> float:
        return self.profile.ledger.wall_s

    @property
    def phases(self) -> dict[str, float | None]:
        return {name: self.profile.ledger.phases.get(name) for name in PHASES}

    @property
    def compute_parts(self) -> dict[str, float | None]:
        """Seconds of the phase `compute` that are `forward`, `backward` and `metrics`; `None` without a deep sample."""
        parts = {part.name: part.mean_s for part in self.profile.breakdown.parts} if self.profile.breakdown else {}
        whole = sum(parts.get(name, 0.0) for name in (*_COMPUTE_PARTS, "unknown"))
        compute_s = self.phases["compute"] or 0.0
        return {name: parts.get(name, 0.0) / whole * compute_s if whole else None for name in _COMPUTE_PARTS}

    @property
    def epoch_s(self) -> float | None:
        """Seconds of a steady epoch."""
        steady = steady_of(self.profile)
        return steady.epoch_s if steady else None

    @property
    def typical_epoch_s(self) -> float | None:
        """Seconds of a steady epoch without the pauses that a few of them have, as predictions take it."""
        return self.epoch_s - self._model.pauses_s if self.epoch_s and self._model else None

    @property
    def steps_per_s(self) -> float | None:
        """Steps a second over a steady epoch."""
        steady = steady_of(self.profile)
        return steady.steps_per_epoch / steady.epoch_s if steady and steady.epoch_s > 0 else None

    @functools.cached_property
    def _model(self) -> whatif.StepModel | None:
        return whatif.baseline(self.profile)

    @functools.cached_property
    def levers(self) -> tuple[Lever, ...]:
        """What can be turned in this fit to ask `what_if`."""
        found = {done.rule.code: done.found for done in self.checks if done.found}
        return levers_of(self.profile, self._model, found) if self._model else ()

    def what_if(self, codes: Iterable[str], settings: Mapping[str, float] | None = None) -> dict[str, Any]:
        """Simulates the remedies of some findings, and levers, together.

        Args:
            codes: codes of findings of this report.
            settings: code of a lever of this report -> one of its values.

        Returns:
            What was applied (`apply`, `levers`; `notes` says what was left out, and why), what that does to results,
            and `None` or numbers: `before_s` and `after_s`, the time of an epoch, `speedup`, `step_s`, `samples_per_s`
            and `phases` of an epoch. `after_s` and `speedup` have three ends; the others `before` and `after`, which is
            the expected end.

        Raises:
            ValueError: if the report has no such finding or lever, or the lever no such value.
        """
        wanted, turned = set(codes), self._turned(settings or {})
        unknown = wanted - {finding.code for finding in self.findings}
        if unknown:
            raise ValueError(f"not among the findings of this fit: {', '.join(sorted(unknown))}")
        replaced = {code: lever for lever, _ in turned for code in lever.replaces if code in wanted}
        applied = [finding for finding in self.findings if finding.code in wanted - set(replaced)]
        effects = [*(finding.changes_results for finding in applied), *(lever.changes_results for lever, _ in turned)]
        answer: dict[str, Any] = {
            "apply": [finding.code for finding in applied],
            "levers": {lever.code: value for lever, value in turned},
            "notes": [
                f"{code} is left out: its remedy is what the lever “{lever.title}” turns."
                for code, lever in replaced.items()
            ],
            "changes_results": max(effects, key=("no", "rounding", "training").index, default="no"),
        }
        numbers = ("before_s", "after_s", "speedup", "step_s", "samples_per_s", "phases")
        if self._model is None:
            return {**answer, **dict.fromkeys(numbers)}
        changes = [*(finding.change for finding in applied), *(lever.change(value) for lever, value in turned)]
        foreseen = whatif.predict(self._model, changes)
        before, after, after_s, gain = foreseen.before, foreseen.after, foreseen.after_s, foreseen.speedup
        left_out_s = self._model.epoch_s(1.0) - before.epoch_s
        if left_out_s >= _SEEN_FROM * before.epoch_s:
            answer["notes"].append(
                f"Left out are pauses that come by chance, and measuring: {words.seconds(left_out_s)} an epoch."
            )
        if not turned:  # remedies make nothing slower
            gain = whatif.speedup(self._model, changes)
            after_s = Range(*(before.epoch_s / ratio for ratio in (gain.low, gain.expected, gain.high)))
        batch, per_s = self.profile.data.batch_size, self.steps_per_s
        samples = per_s * batch if per_s and batch else None
        values = (
            before.epoch_s,
            dataclasses.asdict(after_s),
            dataclasses.asdict(gain),
            {"before": before.step_s, "after": after.step_s},
            {"before": samples, "after": samples * gain.expected} if samples else None,
            {"before": self._split(before.phases), "after": self._split(after.phases)},
        )
        return {**answer, **dict(zip(numbers, values, strict=True))}

    def _split(self, phases: Mapping[str, float]) -> dict[str, float]:
        """Phases of the model, computing split as the ledger splits it: the model lets its parts shrink alike."""
        steady = steady_of(self.profile)
        parts = {name: steady.phases.get(name, 0.0) for name in COMPUTING} if steady else {}
        whole = sum(parts.values())
        if not whole:
            return dict(phases)
        return {**phases, **{name: phases["compute"] * part / whole for name, part in parts.items()}}

    def _turned(self, settings: Mapping[str, float]) -> list[tuple[Lever, float]]:
        """The levers that are not where they are in this fit."""
        known = {lever.code: lever for lever in self.levers}
        for code, value in settings.items():
            if code not in known:
                raise ValueError(f"this fit has no lever {code!r}")
            if value not in known[code].values:
                raise ValueError(f"the lever {code!r} cannot be set to {value!r}")
        return [(known[code], value) for code, value in settings.items() if value != known[code].current]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as JSON values."""
        profile = self.profile
        ledger, steady, steps, cost = profile.ledger, profile.steady, profile.steps, profile.cost
        steps_per_s = self.steps_per_s
        batch = profile.data.batch_size
        step = steps.step
        return {
            "schema": SCHEMA,
            "fit_id": profile.fit_id,
            "fit_index": profile.fit_index,
            "worker": profile.worker,
            "status": profile.status,
            "started_at_s": profile.started_at_s,
            "updated_at_s": profile.updated_at_s,
            "backend": profile.environment.backend,
            "versions": dict(profile.environment.versions),
            "devices": [dataclasses.asdict(device) for device in profile.environment.devices],
            "cores": profile.environment.cores,
            "wall_s": self.wall_s,
            "steps": ledger.steps,
            "epochs": ledger.epochs,
            "epochs_planned": profile.epochs_planned,
            "step_s": {"p50": step.p50_s, "p95": step.p95_s, "p99": step.p99_s} if step else None,
            "samples_per_s": steps_per_s * batch if steps_per_s and batch else None,
            "steps_per_s": steps_per_s,
            "epoch_s": self.epoch_s,
            "phases": self.phases,
            "steady": {
                "wall_s": steady.wall_s,
                "steps": steady.steps,
                "epochs": steady.epochs,
                "phases": {name: steady.phases.get(name) for name in PHASES},
            }
            if steady
            else None,
            "compute_parts": self.compute_parts,
            "breakdown": dataclasses.asdict(profile.breakdown) if profile.breakdown else None,
            "verdict": self.verdict,
            "headline": [{"text": part.text, **({"strong": True} if part.strong else {})} for part in self.headline],
            "explanation": self.explanation,
            "findings": [finding.to_dict() for finding in self.findings],
            "checks": [
                {"code": done.rule.code, "name": done.rule.name, "outcome": done.outcome, "reason": done.reason}
                for done in self.checks
            ],
            "attainable": {"speedup": dataclasses.asdict(self.attainable), "codes": list(self.promised)}
            if self.attainable
            else None,
            "overhead": {
                "share": cost.foreground_s / self.wall_s if self.wall_s else 0.0,
                "foreground_s": cost.foreground_s,
                "background_s": cost.background_s,
            },
            "timeline": dataclasses.asdict(profile.timeline),
            "markers": [dataclasses.asdict(marker) for marker in profile.markers],
            "hooks": [dataclasses.asdict(row) for row in profile.hooks],
            "data": dataclasses.asdict(profile.data),
            "model": dataclasses.asdict(profile.model),
            "environment": dataclasses.asdict(profile.environment),
            "meanings": tables.meanings(self.phases),
            "layers": tables.layers(profile),
            "pipeline": tables.pipeline(profile, self._model),
            "usage": tables.usage(profile),
            "levers": [lever.to_dict() for lever in self.levers],
            "validation": dataclasses.asdict(profile.validation) if profile.validation else None,
            "compilation": dataclasses.asdict(profile.compilation),
            "resources": dataclasses.asdict(profile.resources),
            "not_measured": dict(profile.not_measured),
        }

    def to_json(self) -> str:
        """Returns the report as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def __repr__(self) -> str:
        return f"<Report: {self.verdict}>"

    def __str__(self) -> str:
        from tb_trainspeed.report.terminal import render

        return render(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"
