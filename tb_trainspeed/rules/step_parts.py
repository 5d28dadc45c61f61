"""Facts of what the step computes: its layers, its update, its metrics, and the machine it runs on.

The parts of a step and its layers are known from deep samples. Their shares are applied to what a steady step was
measured to take, so that they add up to it.
"""

import re

from tb_trainspeed.profile import CodeLine, Curve, Environment, Layer, LayerTime, Model, Profile, Resources, Usage
from tb_trainspeed.rules.facts import COMPUTING, fact, steady_of


@fact
def model(profile: Profile) -> Model:
    """Static facts of the model. What of it may be missing is a fact of its own."""
    return profile.model


@fact
def environment(profile: Profile) -> Environment:
    return profile.environment


@fact
def resources(profile: Profile) -> Resources:
    return profile.resources


@fact
def optimizer(profile: Profile) -> str | None:
    return profile.model.optimizer


@fact
def trainable_parameters(profile: Profile) -> int | None:
    return profile.model.trainable_parameters


@fact
def computing_s(profile: Profile) -> float | None:
    """Seconds of a steady step that are computed: all of it but the wait for data and the callbacks."""
    steady = steady_of(profile)
    return sum(steady.per_step(name) for name in COMPUTING) or None if steady else None


@fact
def computing_share(profile: Profile) -> float | None:
    """Share of steady training that is computing, 0 to 1."""
    steady, computing = steady_of(profile), computing_s(profile)
    if steady is None or computing is None:
        return None
    return float(computing * steady.steps_per_epoch / steady.epoch_s)


def _scale(profile: Profile) -> float | None:
    """Seconds of a steady step over seconds of a sampled one, which the profiler made slower."""
    computing = computing_s(profile)
    if profile.breakdown is None or computing is None:
        return None
    sampled = sum(part.mean_s for part in profile.breakdown.parts if part.name != "input_wait")
    return float(computing / sampled) if sampled else None


def _part_s(profile: Profile, name: str) -> float | None:
    scale = _scale(profile)
    if scale is None or profile.breakdown is None:
        return None
    return next((part.mean_s * scale for part in profile.breakdown.parts if part.name == name), None)


@fact
def optimizer_s(profile: Profile) -> float | None:
    """Seconds of a steady step that go to the update of the weights."""
    return _part_s(profile, "optimizer")


@fact
def metrics_s(profile: Profile) -> float | None:
    """Seconds of a steady step that go to the metrics, with their share of the gaps between operations.

    Metrics are many small operations: it is the gaps between them that cost.
    """
    own, gaps, computing = _part_s(profile, "metrics"), _part_s(profile, "host_overhead"), computing_s(profile)
    if own is None or computing is None:
        return None
    running = computing - (gaps or 0.0)
    return own * computing / running if running > 0 else own


@fact
def layer_s(profile: Profile) -> dict[str, tuple[float, float]] | None:
    """Seconds forward and backward of a steady step, by the path of the layer; a layer without an entry takes none."""
    scale = _scale(profile)
    if scale is None or profile.breakdown is None or not profile.breakdown.layers:
        return None
    seconds: dict[str, tuple[float, float]] = {}
    for time in profile.breakdown.layers:
        path = _row_of(time, profile.model.layers)
        forward, backward = seconds.get(path, (0.0, 0.0))
        seconds[path] = (forward + time.forward_s * scale, backward + time.backward_s * scale)
    return seconds


@fact
def timed_layers(profile: Profile) -> dict[str, tuple[float, float]]:
    """As `layer_s`, but empty where no layer was timed."""
    return layer_s(profile) or {}


@fact
def python_s(profile: Profile) -> dict[str, float] | None:
    """Seconds of a steady step in operations that run Python or print on the host, by their kind."""
    scale = _scale(profile)
    if scale is None or profile.breakdown is None:
        return None
    return {kind: seconds * scale for kind, seconds in profile.breakdown.python_s.items()}


@fact
def step_code(profile: Profile) -> tuple[CodeLine, ...] | None:
    """Lines of the user's own code of a step, by its source."""
    return profile.model.code if profile.model.code_functions is not None else None


@fact
def operations(profile: Profile) -> int | None:
    """How many operations the traced step holds."""
    return profile.model.operations


@fact
def live_models(profile: Profile) -> int | None:
    return profile.resources.live_models


@fact
def memory_pressure(profile: Profile) -> float | None:
    """Share of the time in which some task waited for memory, 0 to 1."""
    return mean(profile.resources.usage, "memory_pressure")


@fact
def transfer_share(profile: Profile) -> float | None:
    """Share of steady training in which the step waits for a copy to the device, 0 to 1."""
    steady, copied = steady_of(profile), profile.ledger.phases.get("transfer")
    if steady is None or copied is None:
        return None
    return steady.phases.get("transfer", 0.0) / (steady.epoch_s * steady.epochs)


def _row_of(time: LayerTime, layers: tuple[Layer, ...]) -> str:
    """The path of the row that holds what was timed: itself, or the layer of Keras that it is a part of."""
    paths = [layer.path for layer in layers]
    inside = [path for path in paths if time.name == path or time.name.startswith(f"{path}/")]
    return max(inside, key=len) if inside else time.name


def seconds_of(layers: tuple[Layer, ...] | list[Layer], layer_s: dict[str, tuple[float, float]]) -> float:
    """Seconds of a step that these layers take, forward and backward."""
    return sum(sum(layer_s.get(layer.path, (0.0, 0.0))) for layer in layers)


def sizes(described: str | None) -> tuple[int, ...]:
    """The known dimensions of a shape without the batch: `(None, 28, 28, 1)` -> `(28, 28, 1)`."""
    parts = (described or "").strip("()[]").split(",")[1:]
    return tuple(int(part) for part in parts if re.fullmatch(r"\s*\d+\s*", part))


def mean(usage: Usage, column: str) -> float | None:
    """The mean of a column of usage over the fit, or `None` where it was not sampled."""
    values = [value for value in usage.columns.get(column, ()) if value is not None]
    return sum(values) / len(values) if values else None


@fact
def planned_s(profile: Profile) -> float | None:
    """What all epochs that were asked for take, seconds."""
    steady = steady_of(profile)
    return steady.epoch_s * (profile.epochs_planned or 1) if steady else None


@fact
def steady_wall_s(profile: Profile) -> float | None:
    """Seconds of steady training so far."""
    steady = steady_of(profile)
    return steady.epoch_s * steady.epochs if steady else None


@fact
def curves(profile: Profile) -> tuple[Curve, ...]:
    """What the loss and the metrics did from epoch to epoch."""
    return profile.curves


@fact
def learning_rate(profile: Profile) -> float | None:
    """The learning rate of the last epoch, known where a callback of Keras that changes it reports it."""
    return next((curve.last for curve in profile.curves if curve.name == "learning_rate"), None)
