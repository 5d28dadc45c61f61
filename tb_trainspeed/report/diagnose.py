"""Profile -> Report: run the rules, simulate their remedies, rank them, and say it in one sentence."""

import re

from tb_trainspeed import whatif
from tb_trainspeed.profile import ONE_OFF_PHASES, Data, Profile
from tb_trainspeed.report.report import Finding, Part, Remedy, Report
from tb_trainspeed.rules import Check, Found, check, silence, words
from tb_trainspeed.rules.facts import generated, sampled_layers, steady_of, typical_of
from tb_trainspeed.rules.rule import Range

RULE_PAGES = "docs/rules"
# A remedy whose expected gain is less than runs differ from each other is no finding: of a steady epoch, or once of the
# whole fit.
_WORTH = 1.05
_WORTH_ONCE = 0.05
# The last steps of epochs are told of where they are so much shorter.
_SHORTER = 0.9

_BOUND = {
    "input_wait": "Waiting for data",
    "compute": "Computing",
    "transfer": "Copying data to the device",
    "optimizer": "Updating weights",
    "collectives": "Exchanging with other devices, or waiting for them",
    "host_overhead": "Keras and Python, while nothing computes",
    "callbacks": "Callbacks",
    "checkpointing": "Writing checkpoints",
    "validation": "Validation",
    "epoch_restart": "Restarting epochs",
    "gc": "Collecting garbage",
    "startup": "Starting up",
    "compilation": "Compiling",
    "trainspeed": "TrainSpeed itself",
    "other": "Something that was not measured",
}

# What data are called in code of remedies; and code that has an `x` of its own.
_DATA = {
    "TFDatasetAdapter": "dataset", "PyDatasetAdapter": "train", "GeneratorDataAdapter": "generator",
    "TorchDataLoaderAdapter": "loader",
}  # fmt: skip
_BINDS_X = re.compile(r"\b(class|def|lambda x)\b")
# A fix that changes what is trained leads where it gives so many times as much as all that do not.
_CLEARLY = 1.1
# What others do on the machine, a GPU that is too hot, and pauses that come by chance: the first two are no fix of the
# training, and what the last will gain the next time nobody knows. So causes of one's own come before them.
_WITHOUT = {
    "HW03": "Alone on the GPU it would be ",
    "HW04": "At the full clock of the GPU it would be ",
    "HW06": "Alone on the machine it would be ",
    "IP27": "Without tf.data's autotuner it would be ",
}
_FIX = {"no": "A fix", "rounding": "A fix that changes only rounding", "training": "A fix that changes training"}

# Phases with pauses that come by chance: tf.data's autotuner, and collections of garbage.
_PAUSING = ("epoch_restart", "gc")


def diagnose(profile: Profile) -> Report:
    """Says where the time of a fit went, why, and what to change.

    Args:
        profile: what was measured, also of a fit that still runs.

    Returns:
        The report. It depends on nothing but the profile.
    """
    model = whatif.baseline(profile)
    ran = check(profile)
    worth = {
        done.rule.code: finding
        for done in ran
        if done.found and (finding := _finding(done, done.found, profile, model))
    }
    checks = []
    findings = []
    for done in silence(ran, worth):
        finding = worth.get(done.rule.code) if done.found else None
        if finding:
            findings.append(finding)
        if done.found and not finding:
            reason = f"found, but its remedy would gain next to nothing here: {done.reason}"
            checks.append(Check(done.rule, "passed", reason))
        else:
            checks.append(done)
    findings.sort(key=lambda finding: (finding.confidence == "hint", not _is_ours(finding), -_weight(finding)))
    sure = [finding for finding in findings if finding.confidence != "hint"]
    safe = [finding for finding in sure if finding.changes_results == "no" and _is_ours(finding)]
    attainable, promised = _together(model, safe)
    headline = _headline(profile, attainable, sure)
    leading = safe if _is_more(attainable, sure) else sure
    explanation = leading[0].message if leading else _healthy(profile)
    return Report(headline, explanation, tuple(findings), tuple(checks), attainable, profile, promised)


def _together(model: whatif.StepModel | None, safe: list[Finding]) -> tuple[Range | None, tuple[str, ...]]:
    """What safe fixes give together, and the codes of those that add to it: workers, for one, may cost more than they
    give once what they would make is cached.
    """
    chosen: list[Finding] = []
    best: Range | None = None
    for finding in sorted(safe, key=lambda finding: -(finding.speedup.expected if finding.speedup else 0.0)):
        if not model or not finding.speedup:
            continue
        gain = whatif.speedup(model, [one.change for one in (*chosen, finding)])
        if best is None or gain.expected > best.expected:
            best = gain
            chosen.append(finding)
    return best, tuple(finding.code for finding in chosen)


def _finding(done: Check, found: Found, profile: Profile, model: whatif.StepModel | None) -> Finding | None:
    gain = whatif.speedup(model, [found.change]) if model else None
    once_s = whatif.saves_once_s(profile, [found.change])
    recurs = gain is None or gain.expected >= _WORTH
    if not recurs and once_s < _WORTH_ONCE * profile.ledger.wall_s:
        return None
    if not recurs:
        gain = None
    share = 1.0 if found.change.first_epoch else 1 - 1 / max(1, profile.ledger.epochs)
    rule = done.rule
    return Finding(
        code=rule.code,
        name=rule.name,
        title=found.title,
        message=found.message,
        phase=found.phase,
        evidence={**found.evidence, **_beside(found, profile, model)},
        remedy=Remedy(found.remedy, in_users_names(found.code, profile.data)),
        speedup=gain,
        saves_s=(_recurring_s(profile, found) * share * (1 - 1 / gain.expected) if gain else 0.0) + once_s,
        changes_results=found.changes_results,
        confidence=found.confidence,
        url=f"{RULE_PAGES}/{rule.code}.md",
        more=rule.doc,
        change=found.change,
        bars=found.bars,
    )


def in_users_names(code: str, data: Data) -> str:
    """Code with the names of the user's own for the model and the data."""
    x, y = data.options.get("called_x"), data.options.get("called_y")
    names = {"model": data.options.get("called_model"), _DATA.get(data.adapter, ""): x}
    if data.adapter == "ArrayDataAdapter" and not _BINDS_X.search(code):
        names |= {"x": x, "y": y}
    for general, name in names.items():
        if general and name and all(part.isidentifier() for part in name.split(".")):
            code = re.sub(rf"(?<![\w.]){general}(?![\w=])", name, code)
    return code


def _beside(found: Found, profile: Profile, model: whatif.StepModel | None) -> dict[str, str]:
    """What the last steps of epochs tell of a remedy that leaves the steps what the loader takes from them."""
    if not (model and model.alone_s and profile.steps.last and whatif.tells([found.change], "source_cpu_s")):
        return {}
    computing_s = model.dispatch_s + model.device_s
    if model.alone_s > _SHORTER * computing_s:
        return {}
    alone = f"{words.seconds(model.alone_s)} in the last of an epoch, when all batches are made"
    return {"computing a step": f"{words.seconds(computing_s)}, {alone}"}


def _recurring_s(profile: Profile, found: Found) -> float:
    """Seconds of this fit that every epoch pays anew, without pauses by chance unless it is these that were found."""
    ledger, steady, typical = profile.ledger, steady_of(profile), typical_of(profile)
    recurring_s = ledger.wall_s - sum(ledger.phases.get(name) or 0.0 for name in ONE_OFF_PHASES)
    if not steady or not typical or whatif.tells([found.change], "pauses_s"):
        return recurring_s
    return recurring_s * typical.epoch_s / steady.epoch_s


def _headline(profile: Profile, attainable: Range | None, findings: list[Finding]) -> tuple[Part, ...]:
    ledger = profile.ledger
    if not ledger.steps:
        running = profile.status == "running"
        starting = "No step has finished yet: the fit is starting and compiling."
        return (Part(starting if running else "The fit ended before its first step."),)
    steady = steady_of(profile)
    once_s = sum(ledger.phases.get(name) or 0.0 for name in ONE_OFF_PHASES)
    at_start_s = whatif.saves_once_s(profile, [finding.change for finding in findings if finding.speedup is None])
    earlier = (Part("The fit would end "), Part(f"{words.seconds(at_start_s)} earlier", True), Part("."))
    if steady is None and once_s < ledger.wall_s / 2:
        steps = "1 step was" if ledger.steps == 1 else f"{ledger.steps} steps were"
        return (Part(f"Only {steps} recorded: too few to say where their time goes."),)
    recurring = next((finding for finding in findings if finding.speedup), None)
    # What a short fit pays once counts less than what every epoch would pay of a longer one, unless it is most.
    most_s = max((finding.saves_s for finding in findings if finding.speedup), default=0.0)
    if steady is None or (once_s > ledger.wall_s / 2 and at_start_s >= most_s):
        once = words.share(once_s / ledger.wall_s) if ledger.wall_s else "all"
        short = (Part("Starting and compiling: "), Part(once, True))
        return (*short, Part(" of this short fit. "), *earlier) if at_start_s else (*short, Part(" of this short fit."))
    phases = steady.phases
    name = max(phases, key=lambda phase: phases[phase])
    share = phases[name] / (steady.epoch_s * steady.epochs)
    chance = ", most of it pauses that come by chance" if _paused(profile) else ""
    bound = (Part(f"{_BOUND[name]}: "), Part(words.share(share), True), Part(f" of training{chance}. "))
    if recurring:
        told = (*bound, *_faster(attainable if _is_more(attainable, findings) else None, recurring))
        return (*told, Part(" "), *earlier) if at_start_s and not attainable else told
    return (*bound, *earlier) if at_start_s else (*bound, Part("Nothing cheap to fix was found."))


def _is_more(attainable: Range | None, findings: list[Finding]) -> bool:
    """Whether all safe fixes together are worth telling, and give more than any one that changes what is trained."""
    others = (finding.speedup for finding in findings if finding.changes_results != "no")
    most = max((speedup.expected for speedup in others if speedup), default=1.0)
    return attainable is not None and attainable.expected >= max(_WORTH, most / _CLEARLY)


def _weight(finding: Finding) -> float:
    """What a finding saves; what changes training has to save clearly more than what does not, to come before it."""
    return finding.saves_s / (_CLEARLY if finding.changes_results == "training" else 1.0)


def _is_ours(finding: Finding) -> bool:
    return finding.code not in _WITHOUT


def _faster(attainable: Range | None, first: Finding) -> tuple[Part, ...]:
    """How much all safe fixes give, or else the first finding."""
    if attainable:
        return (
            Part("Safe fixes would make it "),
            Part(f"{words.times(attainable.expected)} faster", True),
            Part("."),
        )
    gain = Part(f"{words.times(first.speedup.expected) if first.speedup else ''} faster", True)
    if not _is_ours(first):
        return Part(_WITHOUT[first.code]), gain, Part(".")
    return Part(f"{_FIX[first.changes_results]} would make it "), gain, Part(".")


def _healthy(profile: Profile) -> str:
    if not profile.ledger.steps and profile.status == "running":
        return "The first numbers come with the first steps."
    if not profile.ledger.steps:
        return "What stopped it stands in the output of the program."
    if steady_of(profile) is None:
        return "What it is bound by shows after ten steps and more."
    if waits := _waits_for(profile):
        return waits
    largest = _costliest(profile) or _largest(profile)
    lever = "The pauses differ from fit to fit; without them the next" if _paused(profile) else "The next"
    return f"{lever} lever is the model itself, or faster hardware.{largest}"


def _waits_for(profile: Profile) -> str:
    """What makes the batches that most of training waits for, where it is the user's code."""
    steady, source = steady_of(profile), profile.data.source or generated(profile)
    if (
        not steady
        or not source
        or not source.calls
        or max(steady.phases, key=steady.phases.__getitem__) != "input_wait"
    ):
        return ""
    shares: dict[str, float] = {}
    for spot in source.hot_spots:
        shares[spot.function] = shares.get(spot.function, 0.0) + spot.share
    within = max(shares, key=shares.__getitem__, default="")
    most = f", {words.share(min(1.0, shares[within]))} of it in `{within}`" if within and within != source.name else ""
    lever = "The next lever is less work for a batch, or more cores to make batches on."
    return f"{lever} `{source.name}` takes {words.seconds(source.wall_s / source.calls)} a batch{most}."


def _paused(profile: Profile) -> bool:
    """Whether what takes most of training is mostly a pause that the training does not need."""
    steady, typical = steady_of(profile), typical_of(profile)
    if steady is None or typical is None:
        return False
    name = max(steady.phases, key=lambda phase: steady.phases[phase])
    return name in _PAUSING and typical.phases[name] < steady.phases[name] / 2


def _costliest(profile: Profile) -> str:
    """The layers that take most of a step, by the deep samples."""
    seconds = {path: sum(times) for path, times in sampled_layers(profile).items()}
    whole = sum(seconds.values())
    first = sorted(seconds, key=lambda name: -seconds[name])[:2]
    if not whole:
        return ""
    named = [f"`{name}` ({words.share(seconds[name] / whole)} of all layers)" for name in first]
    return f" Most of a step goes to {' and '.join(named)}."


def _largest(profile: Profile) -> str:
    layers = sorted(profile.model.layers, key=lambda layer: -layer.parameters)[:1]
    return f" The largest layer is `{layers[0].name}` with {layers[0].parameters:,} parameters." if layers else ""
