"""Facts of the parts of a step and of its layers, known from deep samples.

Their shares are applied to what a steady step was measured to take, so that they add up to it.
"""

from tb_trainspeed.profile import Layer, LayerTime, Profile
from tb_trainspeed.rules.facts.registry import fact
from tb_trainspeed.rules.facts.timing import computing_s


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
    """Seconds of a steady step that go to the metrics."""
    return _part_s(profile, "metrics")


@fact
def python_s(profile: Profile) -> dict[str, float] | None:
    """Seconds of a steady step in operations that run Python or print on the host, by their kind."""
    scale = _scale(profile)
    if scale is None or profile.breakdown is None:
        return None
    return {kind: seconds * scale for kind, seconds in profile.breakdown.python_s.items()}


@fact
def layer_times(profile: Profile) -> tuple[LayerTime, ...] | None:
    """What each layer takes of a step, by deep samples."""
    return profile.breakdown.layers or None if profile.breakdown else None


@fact
def layer_s(profile: Profile) -> dict[str, tuple[float, float]] | None:
    """Seconds forward and backward of a steady step, by the path of the layer; a layer without an entry takes none."""
    scale = _scale(profile)
    if scale is None or profile.breakdown is None or not profile.breakdown.layers:
        return None
    return {path: (forward * scale, backward * scale) for path, (forward, backward) in sampled_layers(profile).items()}


@fact
def timed_layers(profile: Profile) -> dict[str, tuple[float, float]]:
    """As `layer_s`, but empty where no layer was timed."""
    return layer_s(profile) or {}


def sampled_layers(profile: Profile) -> dict[str, tuple[float, float]]:
    """Seconds forward and backward of a sampled step, by the path of the layer.

    What a layer of Keras is made of, such as the cell of an `LSTM`, counts as its own time.
    """
    known = {layer.path or layer.name for layer in profile.model.layers}
    seconds: dict[str, tuple[float, float]] = {}
    for time in profile.breakdown.layers if profile.breakdown else ():
        path = _owner(time.name, known)
        forward, backward = seconds.get(path, (0.0, 0.0))
        seconds[path] = (forward + time.forward_s, backward + time.backward_s)
    return seconds


def _owner(path: str, known: set[str]) -> str:
    """The layer itself, or the nearest around it of which there are facts."""
    around = path
    while around and around not in known:
        around = around.rpartition("/")[0]
    return around or path


def seconds_of(layers: tuple[Layer, ...] | list[Layer], layer_s: dict[str, tuple[float, float]]) -> float:
    """Seconds of a step that these layers take, forward and backward."""
    return sum(sum(layer_s.get(layer.path, (0.0, 0.0))) for layer in layers)
