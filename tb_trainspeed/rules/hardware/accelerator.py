"""Accelerators: present and not used, too large for the model, shared, throttled, or not there."""

import re
from collections.abc import Mapping

from tb_trainspeed.profile import NOT_GIVEN, Accelerator, Device, Environment, Layer
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import REACHED_FLOPS, Steady, mean
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, exactly, rule

_COMPUTES_FROM = 0.5
_SMALL_STEP_S, _SMALL_SAMPLE_FLOPS, _IDLE_BELOW = 0.003, 3e6, 0.2
_THROTTLED_FROM = 0.2
_HELD_DOWN = ("hardware", "hardware_thermal", "hardware_power", "software_thermal")
_ROOM_BELOW, _UTILIZED_FROM, _LARGER = 0.4, 0.8, 2
_LONG_FIT_S, _LONG_STEP_S = 600.0, 0.02
# A step on an accelerator is never less than its dispatch.
_LEAST_STEP_S = (0.006, 0.003, 0.001)
# What a GPU leaves of computing on a CPU.
_LEFT_BY_A_GPU = (0.5, 0.1, 0.02)
_INSTALL = {
    "tensorflow": 'pip install "tensorflow[and-cuda]"',
    "jax": 'pip install "jax[cuda13]"',
    # A build for CPUs counts as the same version.
    "torch": "pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu126",
}


def _unused(environment: Environment) -> tuple[Device, ...]:
    """NVIDIA GPUs in the machine of which the backend uses none."""
    if any(device.kind != "CPU" for device in environment.devices):
        return ()
    others = ("Apple", "AMD", "DirectX under WSL 2")
    return tuple(device for device in environment.machine_devices if device.kind == "GPU" and device.name not in others)


def _hidden_by(environment: Environment) -> str | None:
    """What keeps the GPUs from this process, where that was set on purpose."""
    settings = environment.settings
    visible = settings.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and not re.match(r"\s*(\d|GPU-|MIG-)", visible):  # CUDA stops at what is none
        return f'CUDA_VISIBLE_DEVICES="{visible}"'
    platforms = settings.get("jax_platforms", settings.get("JAX_PLATFORMS", ""))
    if environment.backend == "jax" and platforms.partition(",")[0].strip() == "cpu":
        return f'JAX_PLATFORMS="{platforms}"'
    if re.match("0 of [1-9]", settings.get("tf.config.set_visible_devices", "")):
        return "tf.config.set_visible_devices"
    return None


@rule("HW01", "gpu-not-used", silences=("HW12", "HW05", "HW06"))
def gpu_not_used(
    environment: Environment,
    computing_share: float,
    computing_s: float,
    told_dispatch_s: float,
    dispatch_bound: bool,
) -> Outcome:
    """The machine has a GPU, and the backend does not use it.

    What it means: the driver knows a GPU, but the backend lists CPUs only: its package was built without CUDA, the
    versions of driver and CUDA do not match, or Docker started the container without the GPU.

    Why it is slow: convolutions and matrix products run ten times as fast on a GPU and more.

    What to change: install the backend with CUDA; on Windows, TensorFlow sees GPUs under WSL 2 only. Then look:
    `tf.config.list_physical_devices("GPU")`, `jax.devices()`, `torch.cuda.is_available()`. A container gets the GPU
    with `docker run --gpus all`.

    When this is wrong: the GPU is left to others on purpose, or is too old. The rule is silent where
    `CUDA_VISIBLE_DEVICES`, `JAX_PLATFORMS` or `tf.config.set_visible_devices` hides it. A tiny model gains nothing: the
    rule is silent where most of a step is dispatch; on torch, what the arithmetic of the layers does not explain, if
    that could be counted; and where a step takes no longer than the least of one on a GPU, 3 ms.

    Sources: https://www.tensorflow.org/install/pip, https://docs.jax.dev/en/latest/installation.html,
    https://github.com/tensorflow/tensorflow/issues/62328. Not verified on hardware: the prediction is 2 to 50 times
    faster computing, in steps of 6, 3 or 1 ms at least.
    """
    if not environment.devices:
        return NotApplicable("the devices of the backend are not known")
    unused = _unused(environment)
    if not unused:
        return Passed("no GPU that is not used")
    if hidden_by := _hidden_by(environment):
        return Passed(f"the accelerator is hidden from this process by {hidden_by}")
    if computing_share < _COMPUTES_FROM:
        return Passed(f"computing is {words.share(computing_share)} of training")
    if dispatch_bound:
        return Passed("most of a step is dispatch, which a GPU does not make faster")
    device_s = computing_s - told_dispatch_s
    ends = zip(_LEFT_BY_A_GPU, _LEAST_STEP_S, strict=True)
    steps = [max(left * device_s, least - told_dispatch_s) for left, least in ends]
    if steps[1] >= device_s:
        return Passed(f"a step computes for {words.seconds(computing_s)}, as it would on a GPU")
    given = [device for device in unused if not device.name.endswith(NOT_GIVEN)]
    install = f"+ {_INSTALL.get(environment.backend, 'pip install ...')}"
    return Found(
        title="The GPU is not used",
        message=f"{environment.backend} computes on the CPU, {words.seconds(computing_s)} a step, although the machine "
        f"has {(given or unused)[0].name}.",
        phase="compute",
        evidence={
            "in the machine": ", ".join(device.name for device in unused),
            "used": ", ".join(device.kind for device in environment.devices),
            "computing": f"{words.share(computing_share)} of training",
        },
        remedy="Install the backend with CUDA." if given else "Start the container with the GPU.",
        code=install if given else "+ docker run --gpus all ...",
        change=Change(sets=_on_a_gpu(steps)),
        confidence="likely" if given else "hint",
        changes_results="rounding",
    )


@rule("HW02", "gpu-slower-than-cpu")
def gpu_slower(
    accelerators: tuple[str, ...], utilization: float, layers: tuple[Layer, ...], computing_s: float, batch_size: int
) -> Outcome:
    """The model is so small that a GPU is hardly used.

    What it means: a step takes a few milliseconds, the GPU is idle most of that, and a sample needs few operations.
    Start-up and compilation do not count.

    Why it is slow: starting each kernel takes 20 to 40 microseconds, and a small model is hundreds of kernels that take
    less than that.

    What to change: first a larger batch and `steps_per_execution`; then try the CPU: `CUDA_VISIBLE_DEVICES=""`.

    When this is wrong: the CPU of the machine is slow, or has other things to do. It is a hint: compare 50 steps.

    Sources: https://github.com/tensorflow/docs/blob/master/site/en/guide/gpu_performance_analysis.md,
    https://stackoverflow.com/questions/42097115. Not verified on hardware: the prediction is up to 3 times faster.
    """
    if "GPU" not in accelerators:
        return NotApplicable("no GPU is used")
    if utilization >= _IDLE_BELOW or computing_s >= _SMALL_STEP_S:
        return Passed(f"the GPU is busy {words.share(utilization)} of the time, {words.seconds(computing_s)} a step")
    counted = [layer.forward_flops for layer in layers]
    if any(count is None for count in counted):
        return NotApplicable("the operations of a layer are not known")
    flops = 3 * sum(count or 0 for count in counted)
    if flops >= _SMALL_SAMPLE_FLOPS:
        return Passed(f"a sample is {words.number(flops / 1e6)} million operations")
    return Found(
        title="The model is too small for the GPU",
        message=f"A step of {batch_size} samples takes {words.seconds(computing_s)}, and the GPU is busy "
        f"{words.share(utilization)} of the time.",
        phase="compute",
        evidence={
            "the GPU is busy": words.share(utilization),
            "a sample": f"{words.number(flops / 1e6)} million operations",
        },
        remedy="Try a larger batch and several steps in a call; else the CPU.",
        code='+ os.environ["CUDA_VISIBLE_DEVICES"] = ""   # before the backend is imported',
        change=Change(factors={"device_s": Range(1.0, 0.7, 0.3), "dispatch_s": Range(1.0, 0.7, 0.3)}),
        confidence="hint",
        changes_results="rounding",
    )


@rule("HW03", "gpu-shared", silences=("HW10",))
def gpu_shared(
    accelerators: tuple[str, ...],
    used_accelerators: tuple[Accelerator, ...],
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """Another process computes on the same GPU.

    What it means: beside this training, other processes have a context on the GPU and use it. Where the driver does not
    say which of them compute, it is a hint.

    Why it is slow: the processes take turns, and each gets a part of the time and of the memory.

    What to change: another GPU, `CUDA_VISIBLE_DEVICES=1`, or another time; end what was forgotten.

    When this is wrong: the other process holds memory only, as an idle notebook does: one that computes for less than
    5 % of the time is not counted where the driver tells. Nor is what draws the screen, nor a GPU that this training
    does not compute on, as far as that can be told.

    Sources: https://docs.nvidia.com/deploy/nvml-api. Not verified on hardware: the prediction gives back the time that
    the others compute at best, or where that is not told an equal share of it, and nothing at worst.
    """
    if "GPU" not in accelerators:
        return NotApplicable("no GPU is used")
    shared = next((device for device in used_accelerators if device.other_processes), None)
    if shared is None:
        return Passed("no other process computes there")
    if computing_share < _COMPUTES_FROM:
        return Passed(f"computing is {words.share(computing_share)} of training")
    others, use = shared.other_processes or 0, mean(shared.usage, "others_utilization")
    some = f"{others} other process{'es' * (others > 1)}"
    does = f"compute{'s' * (others == 1)}" if use is not None else "may compute"
    left = 1 / (1 + others) if use is None else max(0.0, 1 - use)
    return Found(
        title="Another process computes on the same GPU" if use is not None else "Another process is on the same GPU",
        message=f"{some} {does} on {shared.name} ({shared.index}); a step computes for {words.seconds(computing_s)}.",
        phase="compute",
        evidence={
            "other processes": str(others),
            **({"they compute": f"{words.share(use)} of the time"} if use is not None else {}),
            "computing": f"{words.share(computing_share)} of training",
        },
        remedy="Use another GPU, or end the other process.",
        code=f'+ os.environ["CUDA_VISIBLE_DEVICES"] = "..."   # not {shared.index}; before the backend is imported',
        change=Change(factors={"device_s": Range(1.0, (1 + left) / 2, left)}),
        confidence="hint" if use is None else "likely",
    )


@rule("HW04", "gpu-throttled")
def gpu_throttled(
    accelerators: tuple[str, ...],
    used_accelerators: tuple[Accelerator, ...],
    clock_shares: Mapping[int, float],
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """The GPU is too hot, or gets too little power, and runs below its clock.

    What it means: the driver says that it holds the clock down, because of heat or of the power supply.

    Why it is slow: what computes takes as much longer as the clock is lower.

    What to change: cooling: dust, fans, the air in the rack; the power cable; plug in the laptop.

    When this is wrong: staying within the power limit (`power_cap`) is how GPUs work, and alone is no fault; the rule
    does not count it.

    Sources: https://docs.nvidia.com/deploy/nvml-api (clock event reasons), https://matt.sh/cloud-gpu-thermal-throttling.
    Not verified on hardware: the prediction brings the clock to its limit in the samples that are held down, which are
    taken to run at the mean clock while the GPU computes; at best all that the mean lacks is theirs.
    """
    if "GPU" not in accelerators:
        return NotApplicable("no GPU is used")
    held, reason, part = _held_down(used_accelerators)
    if held is None or part < _THROTTLED_FROM:
        return Passed(f"the clock is held down {words.share(part)} of the time")
    if computing_share < _COMPUTES_FROM:
        return Passed(f"computing is {words.share(computing_share)} of training")
    clock = clock_shares.get(held.index)
    # Where the clock is not told it is taken for half of the limit, at best.
    left = Range(1.0, 1 - part / 4, 1 - part / 2) if clock is None else _at_full_clock(part, clock)
    return Found(
        title="The GPU is held back",
        message=f"{held.name} is held below its clock {words.share(part)} of the time ({reason.replace('_', ' ')}); a "
        f"step computes for {words.seconds(computing_s)}.",
        phase="compute",
        evidence={
            "held back": f"{words.share(part)} of the time",
            "reason": reason.replace("_", " "),
            **({"clock": f"{words.share(clock)} of its limit"} if clock is not None else {}),
        },
        remedy="Cool it, or give it the power it asks for.",
        code="+ nvidia-smi --query-gpu=temperature.gpu,clocks.sm,power.draw --format=csv -l 1",
        change=Change(factors={"device_s": left}),
        confidence="likely",
    )


def _at_full_clock(part: float, clock: float) -> Range:
    """What computing leaves of itself once a clock is no longer held down, which it is for this part of the time.

    The limit of power lowers the mean clock as well, which is how GPUs work, and stays.
    """
    return Range(1.0, 1 - part * (1 - clock), max(clock, 1 - part))


def _held_down(accelerators: tuple[Accelerator, ...]) -> tuple[Accelerator | None, str, float]:
    """The accelerator that is held back most, why, and which part of the time."""
    rows = [(device, reason, device.throttled.get(reason, 0.0)) for device in accelerators for reason in _HELD_DOWN]
    return max(rows, key=lambda row: row[2]) if rows else (None, "", 0.0)


@rule("HW08", "metal-plugin")
def metal_plugin(environment: Environment, layers: tuple[Layer, ...], computing_s: float) -> Outcome:
    """Recurrent layers run on an Apple GPU through TensorFlow's plugin.

    What it means: `tensorflow-metal` computes on the GPU of the Mac, and the model is recurrent.

    Why it is slow: every time step is a handful of small kernels, each started anew, and XLA is off there.

    What to change: compute on the CPU: `tf.config.set_visible_devices([], "GPU")`; or another backend.

    When this is wrong: most of the model are convolutions. It is a hint: compare 50 steps.

    Sources: https://github.com/tensorflow/tensorflow/issues/62397 (670 ms a step with the plugin, 20 ms without). Not
    verified on hardware: the prediction is up to 25 times faster.
    """
    mac = "macOS" in environment.platform or "Darwin" in environment.platform
    gpus = [device for device in environment.devices if device.kind == "GPU"]
    if not (mac and environment.backend == "tensorflow" and gpus):
        return NotApplicable("no TensorFlow on an Apple GPU")
    recurrent = [layer.name for layer in layers if layer.kind in ("LSTM", "GRU", "SimpleRNN")]
    if not recurrent:
        return Passed("the model is not recurrent")
    return Found(
        title="Recurrent layers run on an Apple GPU",
        message=f"`{recurrent[0]}` runs through the Metal plugin; a step computes for {words.seconds(computing_s)}.",
        phase="compute",
        evidence={"recurrent layers": ", ".join(recurrent), "computing a step": words.seconds(computing_s)},
        remedy="Compute on the CPU.",
        code='+ tf.config.set_visible_devices([], "GPU")   # before the first operation',
        change=Change(factors={"device_s": Range(1.0, 0.3, 0.04)}),
        confidence="hint",
        changes_results="rounding",
    )


@rule("HW10", "batch-headroom")
def batch_headroom(
    accelerators: tuple[str, ...],
    device_memory_share: float,
    utilization: float,
    computing_share: float,
    computing_s: float,
    batch_size: int,
    steady: Steady,
) -> Outcome:
    """The accelerator has room for a larger batch, and is not busy.

    What it means: less than 40 % of its memory was ever in use, and kernels run less than 80 % of the time, start-up
    and compilation left out.

    Why it is slow: small arrays do not fill an accelerator; between two kernels it waits for the host.

    What to change: a larger batch. It changes training: raise the learning rate with it and check the validation loss.

    When this is wrong: the step waits for its input, or the batch is small for the sake of the result.

    Sources: https://arxiv.org/abs/1706.02677 (learning rate and batch size). The peak is that of the backend's own
    allocator. Not verified on hardware: the prediction lets a step of twice the samples take 1.1 to 2 times as long.
    """
    if not accelerators:
        return NotApplicable("no accelerator is used")
    peak = device_memory_share
    if peak >= _ROOM_BELOW or utilization >= _UTILIZED_FROM:
        return Passed(f"{words.share(peak)} of the memory is in use, busy {words.share(utilization)} of the time")
    if computing_share < _COMPUTES_FROM:
        return Passed(f"computing is {words.share(computing_share)} of training")
    if steady.steps_per_epoch < _LARGER:
        return NotApplicable("the data are one batch")
    larger = batch_size * _LARGER
    growth = Range(_LARGER, 0.75 * _LARGER, 0.55 * _LARGER)
    return Found(
        title="The accelerator has room for a larger batch",
        message=f"A step of {batch_size} samples computes for {words.seconds(computing_s)}; at most "
        f"{words.share(peak)} of the memory is in use, and the {accelerators[0]} is busy {words.share(utilization)} of "
        "the time.",
        phase="compute",
        evidence={
            "memory in use": words.share(peak),
            "busy": f"{words.share(utilization)} of the time",
            "samples a batch": str(batch_size),
        },
        remedy=f"Train on {larger} samples a step, raise the learning rate with it, and check the validation loss.",
        code=f"- batch_size={batch_size}\n+ batch_size={larger}",
        change=Change(
            factors={
                "steps": exactly(1 / _LARGER),
                "device_s": growth,
                "cpu_s": exactly(_LARGER),
                "supply_s": exactly(_LARGER),
                "source_cpu_s": exactly(_LARGER),
            }
        ),
        confidence="likely",
        changes_results="training",
    )


@rule("HW12", "compute-bound-on-cpu")
def compute_bound_on_cpu(
    environment: Environment,
    accelerators: tuple[str, ...],
    layers: tuple[Layer, ...],
    computing_share: float,
    computing_s: float,
    batch_size: int,
    planned_s: float,
) -> Outcome:
    """A long training computes on the CPU all the time.

    What it means: the machine has no accelerator, and hardly anything but computing takes time.

    Why it is slow: a few cores make some tens of billions of operations a second, a GPU thousands of billions.

    What to change: a machine with a GPU, rented for the hours it takes. Or a smaller model: the report says which
    layers cost most.

    When this is wrong: there is none to be had. The rule is silent for fits of less than ten minutes.

    Sources: the roofline model, Williams, Waterman and Patterson, CACM 2009; NVIDIA's data sheets: 8.1 TFLOP/s for a
    T4, 19.5 for an A100, in float32. The prediction divides the operations of a step, counted from the layers, three
    times the forward pass, by a tenth and a third of the former and half of the latter. Not verified on hardware.
    """
    if accelerators:
        return NotApplicable(f"a {accelerators[0]} is used")
    if _unused(environment):
        return NotApplicable("the machine has a GPU")
    if planned_s < _LONG_FIT_S:
        return Passed(f"all epochs take {words.seconds(planned_s)}")
    if computing_share < _COMPUTES_FROM or computing_s < _LONG_STEP_S:
        return Passed(f"computing is {words.share(computing_share)} of training")
    counted = [layer.forward_flops for layer in layers]
    flops = 3.0 * batch_size * sum(count or 0 for count in counted)
    if not flops or any(count is None for count in counted):
        return NotApplicable("the operations of a layer are not known")
    steps = [max(least, flops / rate) for rate, least in zip(REACHED_FLOPS, _LEAST_STEP_S, strict=True)]
    return Found(
        title="A long training computes on the CPU",
        message=f"A step of {words.number(flops / 1e9)} billion operations computes for {words.seconds(computing_s)}; "
        f"all epochs take {words.seconds(planned_s)}.",
        phase="compute",
        evidence={
            "computing": f"{words.share(computing_share)} of training",
            "operations a second": f"{words.number(flops / computing_s / 1e9)} billion",
            "a step on a GPU": f"{words.seconds(steps[2])} to {words.seconds(steps[0])}, by its data sheet",
        },
        remedy="Use a machine with a GPU.",
        code=f"+ {_INSTALL.get(environment.backend, 'pip install ...')}   # on a machine with a GPU",
        change=Change(sets=_on_a_gpu(steps)),
        confidence="hint",
        changes_results="rounding",
    )


def _on_a_gpu(steps: list[float]) -> Mapping[str, Range]:
    return {"device_s": Range(*steps)}


RULES = (
    gpu_not_used,
    gpu_slower,
    gpu_shared,
    gpu_throttled,
    metal_plugin,
    batch_headroom,
    compute_bound_on_cpu,
)
