"""Switches for debugging that were left on."""

import dataclasses
from collections.abc import Mapping

from tb_trainspeed.profile import Layer, Stage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.input_pipeline.shared import PYTHON, RANDOM, SPEAK_FROM, does, maps
from tb_trainspeed.rules.model_compute.shared import CONVOLUTIONS
from tb_trainspeed.rules.rule import Change, ChangesResults, Found, Outcome, Passed, Range, rule

_STEP = ("device_s", "dispatch_s")
_SOURCE = ("supply_s", "source_cpu_s")


@dataclasses.dataclass(frozen=True)
class _Switch:
    """`left` is what remains of these quantities of the step once it is off, `off` how that is done.

    All but those of accelerators and of Python's own tracing were measured on two cores.
    """

    setting: str
    values: tuple[str, ...]
    names: tuple[str, ...]
    left: Range
    off: str
    wanted: str = ""
    changes_results: ChangesResults = "no"


_SWITCHES = (
    _Switch(
        "tf.debugging.enable_check_numerics", ("True",), _STEP, Range(0.8, 0.36, 0.25),
        "- tf.debugging.enable_check_numerics()",
    ),
    _Switch(
        "tf.data.experimental.enable_debug_mode", ("True",), _SOURCE, Range(0.6, 0.18, 0.1),
        "- tf.data.experimental.enable_debug_mode()", "source",
    ),
    _Switch(
        "tf.config.experimental.enable_op_determinism", ("True",), _SOURCE, Range(1.0, 0.5, 0.4),
        "- tf.config.experimental.enable_op_determinism()", "random source", "training",
    ),
    # On GPUs reports go from 6 % slower to more than seven times, for convolutions on a T4; the middle is an
    # assumption, and so is all that is said of torch.
    _Switch(
        "tf.config.experimental.enable_op_determinism", ("True",), ("device_s",), Range(1.0, 0.8, 0.14),
        "- tf.config.experimental.enable_op_determinism()", "accelerator", "training",
    ),
    _Switch(
        "torch.use_deterministic_algorithms", ("True",), ("device_s",), Range(1.0, 0.9, 0.5),
        "- torch.use_deterministic_algorithms(True)", "accelerator", "rounding",
    ),
    _Switch(
        "torch.backends.cudnn.deterministic", ("True",), ("device_s",), Range(1.0, 0.9, 0.5),
        "- torch.backends.cudnn.deterministic = True", "convolutions on an accelerator", "rounding",
    ),
    _Switch("jax_debug_nans", ("True",), _STEP, Range(1.0, 0.5, 0.42), '- jax.config.update("jax_debug_nans", True)'),
    _Switch(
        "torch.autograd.set_detect_anomaly", ("True",), _STEP, Range(0.6, 0.34, 0.25),
        "- torch.autograd.set_detect_anomaly(True)",
    ),
    _Switch(
        "CUDA_LAUNCH_BLOCKING", ("1",), _STEP, Range(1.0, 0.8, 0.4), "- export CUDA_LAUNCH_BLOCKING=1", "accelerator",
    ),
    _Switch("sys.settrace", ("True",), ("dispatch_s",), Range(1.0, 0.5, 0.2), "- sys.settrace(...)"),
    _Switch("sys.setprofile", ("True",), ("dispatch_s",), Range(1.0, 0.5, 0.2), "- sys.setprofile(...)"),
)  # fmt: skip
# What determinism serialises can only run in parallel where half a core is idle.
_IDLE_FROM = 0.5
_MORE: tuple[ChangesResults, ...] = ("no", "rounding", "training")
_BACKENDS = {"tf.": "tensorflow", "jax": "jax", "torch": "torch"}
# Debuggers and coverage run under these, and are usually wanted, as the same results on torch are.
_OFTEN_WANTED = (
    "sys.settrace", "sys.setprofile", "torch.use_deterministic_algorithms", "torch.backends.cudnn.deterministic",
)  # fmt: skip


@rule("FW12", "debug-flags-left-on")
def debug_flags(
    backend: str,
    settings: Mapping[str, str],
    stages: tuple[Stage, ...],
    accelerators: tuple[str, ...],
    layers: tuple[Layer, ...],
    input_share: float,
    step_s: float,
    idle_cores: float,
) -> Outcome:
    """A switch for debugging is on.

    What it means: the framework checks every number, runs data pipelines in Python, serialises what runs in parallel,
    or waits after every operation, because a switch says so.

    Why it is slow: checks cost more operations and more waiting in every step.

    What to change: drop the switch once the bug is found.

    When this is wrong: the switch is wanted: determinism for a published result, a debugger that is stepping through
    the code, the coverage of tests. Switches of the pipeline count only where the step waits for its input.

    Sources: TensorFlow, `tf.debugging`, `tf.data.experimental.enable_debug_mode`,
    `tf.config.experimental.enable_op_determinism`; PyTorch, `torch.autograd.set_detect_anomaly`; JAX, `jax_debug_nans`.
    Measured on two cores, without the switch: numeric checks 2.8 times faster, tf.data's debug mode 5.7, determinism
    2.5 where a random map was serialised, anomaly detection 2.9, NaN checks of JAX 1.2 to 2.2. Not verified on
    hardware: `CUDA_LAUNCH_BLOCKING`, and determinism on GPUs, for which
    https://github.com/NVIDIA/framework-reproducibility/issues/10 says 1.06 and
    https://github.com/tensorflow/tensorflow/issues/62100 more than 7.
    """

    def matters(switch: _Switch) -> bool:
        owner = next((name for prefix, name in _BACKENDS.items() if switch.setting.startswith(prefix)), backend)
        if settings.get(switch.setting) not in switch.values or (owner != backend and switch.wanted != "source"):
            return False
        if switch.wanted.endswith("accelerator"):
            convolves = any(layer.kind in CONVOLUTIONS for layer in layers)
            return bool(accelerators) and (convolves or switch.wanted == "accelerator")
        if not switch.wanted:
            return True
        if switch.wanted == "random source" and idle_cores < _IDLE_FROM:
            return False
        drawn = [stage for stage in stages if maps(stage) and (does(stage, RANDOM) or does(stage, PYTHON))]
        return bool(stages if switch.wanted == "source" else drawn) and input_share >= SPEAK_FROM

    on = [switch for switch in _SWITCHES if matters(switch)]
    if not on:
        return Passed("no switch for debugging is on that costs anything here")
    factors: dict[str, Range] = {}
    for switch in on:
        for name in switch.names:
            left, more = factors.get(name, Range(1.0, 1.0, 1.0)), switch.left
            factors[name] = Range(left.low * more.low, left.expected * more.expected, left.high * more.high)
    names = dict.fromkeys(f"`{switch.setting}`" for switch in on)  # one may slow down several things
    are = f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} on"
    deterministic = any("determinism" in switch.setting for switch in on)
    return Found(
        title="A switch for debugging is on",
        message=f"{are}, which makes a step of {words.seconds(step_s)} slower.",
        phase="input_wait" if on[0].names == _SOURCE else "compute",
        evidence={switch.setting: settings[switch.setting] for switch in on},
        remedy="Drop it once the bug is found."
        + (" Without it, two runs differ in what they draw at random." if deterministic else ""),
        code="\n".join(dict.fromkeys(switch.off for switch in on)),
        change=Change(factors=factors),
        confidence="hint" if all(switch.setting in _OFTEN_WANTED for switch in on) else "likely",
        changes_results=max((switch.changes_results for switch in on), key=_MORE.index),
    )


RULES = (debug_flags,)
