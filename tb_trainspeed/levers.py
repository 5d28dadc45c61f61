"""Levers: quantities of a fit that can be turned to ask what would change, each a `Change` of the step-time model.

A lever is offered only where everything that its prediction needs was measured in this fit. Where a rule predicts the
same quantity, the lever uses the rule's own arithmetic.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

from tb_trainspeed.profile import Profile
from tb_trainspeed.rules import Found, words
from tb_trainspeed.rules.callbacks.shared import may_watch_validation, watching
from tb_trainspeed.rules.facts import awake, sample_flops, sampled_layers
from tb_trainspeed.rules.input_pipeline.shared import order_of_draws
from tb_trainspeed.rules.input_pipeline.side_by_side import change_of_workers
from tb_trainspeed.rules.model_compute.batch import arithmetic_of, made_of
from tb_trainspeed.rules.rule import Change, ChangesResults, Range, exactly
from tb_trainspeed.whatif import StepModel

_WORKERS = (1, 2, 3, 4, 6, 8, 12, 16)
_BATCHES = (1, 2, 4, 8, 16)
_FREQUENCIES = (1, 2, 3, 5, 10, 20)
_SCALES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
_MOST_LAYERS = 12
_LEAST_SHARE = 0.01


@dataclasses.dataclass(frozen=True)
class Lever:
    """One quantity that can be turned.

    Attributes:
        code: what a request calls it.
        title: what it is; `group` is the title that several of a kind share, or empty.
        unit: what stands behind a value, such as `×`.
        current: its value in this fit, one of `values`.
        values: what it can be turned to, ascending.
        note: what the prediction assumes.
        changes_results: as of a finding.
        replaces: codes of findings whose remedies turn the same quantity.
        change: value to change of the step-time model.
    """

    code: str
    title: str
    current: float
    values: tuple[float, ...]
    note: str
    changes_results: ChangesResults
    change: Callable[[float], Change] = dataclasses.field(repr=False)
    group: str = ""
    unit: str = ""
    replaces: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Returns the lever as JSON values."""
        names = ("code", "title", "group", "unit", "current", "values", "note", "changes_results")
        return {name: getattr(self, name) for name in names}


def levers_of(profile: Profile, model: StepModel, found: Mapping[str, Found]) -> tuple[Lever, ...]:
    """Returns the levers that this fit has.

    Args:
        profile: what was measured.
        model: the step-time model of the fit as it is.
        found: code of a rule -> what it found in this fit.
    """
    offered = (
        *_workers(profile, model, found),
        *_batch_size(profile, model),
        *_validation(profile, model, found),
        *_layers(profile, model),
    )
    return tuple(lever for lever in offered if len(lever.values) > 1)


def _workers(profile: Profile, model: StepModel, found: Mapping[str, Found]) -> Iterator[Lever]:
    data = profile.data
    source = data.source
    if data.adapter != "PyDatasetAdapter" or (data.workers or 1) > 1 or not source or not source.calls:
        return
    # With workers Keras switches the autotuner off, and the pauses are gone.
    pauses = {"pauses_s": found["IP27"].change.removes["pauses_s"]} if "IP27" in found else {}

    def change(count: float) -> Change:
        if count == 1:
            return Change()
        cores = profile.environment.cores or 1.0
        made = change_of_workers(source, int(count), awake(profile), cores, model.steps)
        return dataclasses.replace(made, removes={**made.removes, **pauses})

    draws, result = order_of_draws(data)
    note = f"Workers share the cores; how much of a batch holds the GIL is the width of the range.{draws}"
    yield Lever("workers", "workers", 1, _WORKERS, note, result, change, replaces=("IP01", "IP27"))


def _batch_size(profile: Profile, model: StepModel) -> Iterator[Lever]:
    batch = profile.data.batch_size
    flops = sample_flops(profile)
    # How fast an accelerator would compute a larger batch is not known from one batch size.
    if not batch or not flops or any(device.kind.upper() != "CPU" for device in profile.environment.devices):
        return
    # Batches that do not wait for their source say nothing of how fast they could come, unless they are slices.
    unknown = model.supply_s == 0 and "Array" not in profile.data.adapter

    def change(size: float) -> Change:
        larger = size / batch
        growth = arithmetic_of(flops * batch, profile.data.batch_bytes or 0, larger, model.device_s)
        supply = made_of(larger)
        return Change(
            factors={
                "steps": exactly(1 / larger),
                "device_s": growth,
                "supply_s": supply,
                "source_cpu_s": supply,
                "cpu_s": growth,
            },
            # To take away less than nothing is to add: at worst samples can come no faster than they do now.
            removes={"supply_s": Range(-model.busy_s(), 0.0, 0.0)} if unknown else {},
        )

    values = tuple(batch * times for times in _BATCHES if times == 1 or times <= model.steps)
    note = "Arithmetic and bytes grow with the samples, overhead does not. Whether memory has room is not predicted."
    yield Lever("batch_size", "batch size", batch, values, note, "training", change, replaces=("MC00",))


def _validation(profile: Profile, model: StepModel, found: Mapping[str, Found]) -> Iterator[Lever]:
    validation = profile.validation
    if not validation or not validation.runs or not validation.frequency or not model.validation_s:
        return  # `validation_freq` may also list its epochs
    now = validation.frequency
    longest = profile.epochs_planned or profile.ledger.epochs
    values = tuple(sorted({now, *(every for every in _FREQUENCIES if every <= longest)}))

    def change(every: float) -> Change:
        return Change(factors={"validation_s": exactly(now / every)})

    note = "The mean over epochs with and without validation."
    steers = watching(may_watch_validation(profile.callbacks))
    if steers:
        note += f" {steers[0]} then sees less of it; a best checkpoint is overwritten in epochs without."
    result: ChangesResults = "training" if steers else "no"
    # Its first choice are larger or fewer batches, which another frequency leaves as they are.
    replaces = tuple(code for code in ("CB06",) if code in found and "validation_freq=" in found[code].code)
    yield Lever("validation_freq", "epochs per validation", now, values, note, result, change, replaces=replaces)


def _layers(profile: Profile, model: StepModel) -> Iterator[Lever]:
    breakdown = profile.breakdown
    if not breakdown or not model.device_s:
        return
    seconds = {path: sum(times) for path, times in sampled_layers(profile).items()}
    parts = {part.name: part.mean_s for part in breakdown.parts if part.name != "input_wait"}
    layers_s, step_s = sum(seconds.values()), sum(parts.values())
    if not layers_s or not step_s:
        return
    in_layers = (parts.get("forward", 0.0) + parts.get("backward", 0.0)) / step_s
    compute_s = model.device_s + model.dispatch_s
    for name in sorted(seconds, key=lambda path: -seconds[path])[:_MOST_LAYERS]:
        share = seconds[name] / layers_s * in_layers
        if share < _LEAST_SHARE:
            return
        of_device = min(1.0, share * compute_s / model.device_s)
        title = f"{name} ({words.share(share)} of computing)"
        note = "By its measured share of the step; at the cautious end half of what is cut stays."
        yield Lever(f"layer:{name}", title, 1.0, _SCALES, note, "training", _scaled(of_device), "size of a layer", "×")


def _scaled(share: float) -> Callable[[float], Change]:
    """A layer that takes this share of the device's time does so many times the work."""

    def change(scale: float) -> Change:
        whole, half = 1 + share * (scale - 1), 1 + share * (scale - 1) / 2
        device = Range(half, whole, whole) if scale < 1 else Range(whole, whole, half)
        # Work that is gone takes its CPU time along; work that comes brings its own.
        return Change(factors={"device_s": device} if scale < 1 else {"device_s": device, "cpu_s": device})

    return change
