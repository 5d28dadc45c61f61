"""Steps that are not compiled, or so small that dispatching them takes most of their time."""

import dataclasses
from collections.abc import Mapping

from tb_trainspeed.profile import Data, Layer, Model
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.input_pipeline.shared import applied
from tb_trainspeed.rules.model_compute.shared import USES_CUDNN_FROM, masked, uses_cudnn
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule

# What a compiled step still dispatches, seconds. Steps of two layers of 16 units took 0.45 ms on TensorFlow and 0.09 ms
# on JAX, on two idle cores; four times as much on busy ones. On another machine no step took TensorFlow below 1.2 ms.
_COMPILED_DISPATCH = {"tensorflow": Range(0.0025, 0.001, 0.0004), "jax": Range(0.0006, 0.0001, 0.00006)}
# What it leaves of the rest, which in eager mode is mostly waiting for single operations. Measured on TensorFlow: 0.8
# of 5.3 ms, 3.6 of 4.7; on JAX nothing that was not arithmetic.
_COMPILED_REST = {"tensorflow": Range(1.0, 0.5, 0.15), "jax": Range(1.0, 0.1, 0.02)}
# Where eager, the main thread may also be what computes: compiled, the arithmetic takes at least this, FLOP/s. Steps of
# small networks on two cores came to 60e9, those of convolutions on JAX to 20e9. On an accelerator see
# `accelerator_flops`.
_FLOPS = Range(15e9, 60e9, 150e9)
_COMPILED_FLOPS = {"tensorflow": _FLOPS, "jax": Range(8e9, 25e9, 150e9)}
# From here on dividing what starting a step takes by the steps of a call gives 1.4 times or more. It is no sharp line,
# but the share contains wall time between two calls, which other processes lengthen (0.25 was seen as 0.31): at 0.4
# there is a gain even so. Chosen, not measured.
_DISPATCH_FROM = 0.4
_STEPS_PER_EXECUTION = 16
# On torch, arithmetic that takes less than this share of the step, at the expected speed above, is not what it waits
# for.
_ARITHMETIC_BELOW = 0.1
# From this share of waiting on, the source's code, or cold caches, may be what lengthens a step. Seen at 0.44 and 0.6.
_STARVED_FROM = 0.3


def unjittable(layers: tuple[Layer, ...]) -> list[Layer]:
    """The layers that keep a step from being compiled by XLA."""
    return [layer for layer in layers if layer.options.get("supports_jit") == "False"]


def _compiled(backend: str, dispatch_s: float, flops: float, accelerator_flops: tuple[float, ...]) -> Change:
    still = _COMPILED_DISPATCH[backend]
    rates = accelerator_flops or dataclasses.astuple(_COMPILED_FLOPS[backend])
    arithmetic = [flops / rate for rate in rates]
    ends = zip((still.low, still.expected, still.high), arithmetic, strict=True)
    left = Range(*(min(dispatch_s, dispatched + computed) for dispatched, computed in ends))
    # What other threads compute for operations one by one says nothing of a compiled step.
    return Change(factors={"device_s": _COMPILED_REST[backend]}, sets={"dispatch_s": left, "cpu_s": left})


def in_one_call(steps: int) -> Range:
    """What is left of the host's part of a step where one call makes so many."""
    return Range(min(1.0, 0.25 + 1 / steps), min(1.0, 0.1 + 1 / steps), 1 / steps)


@rule("FW01", "eager", silences=("FW07", "MC00"))
def eager(
    backend: str,
    run_eagerly: bool,
    functions_run_eagerly: bool,
    jit_compile: bool,
    settings: Mapping[str, str],
    model: Model,
    layers: tuple[Layer, ...],
    compute_s: float,
    dispatch_s: float,
    sample_flops: float,
    batch_size: int,
    accelerator_flops: tuple[float, ...],
) -> Outcome:
    """Steps run operation by operation in Python.

    What it means: the model was compiled with `run_eagerly=True`, or `tf.config.run_functions_eagerly(True)` is on, or
    on JAX the step is not compiled: `jit_compile=False`, or `JAX_DISABLE_JIT` is set.

    Why it is slow: every operation of every layer goes through Python and is dispatched by itself; nothing is fused,
    reordered or run in parallel.

    What to change: drop the flag. It is for debugging; `model.compile(..., run_eagerly=False)` is the default. Code of
    the step that reads values, as `.numpy()` and `float(loss)` do, only runs eagerly and has to go first.

    When this is wrong: while you are stepping through `train_step` with a debugger. Torch runs operation by operation
    by design. A layer that cannot be compiled on JAX is FW06.

    Sources: Keras, Model.compile. The prediction takes the CPU time of the main thread inside the step, which in eager
    mode is dispatch, down to that of a compiled step, 0.4 to 2.5 ms, on JAX 0.06 to 0.6 ms, and the arithmetic counted
    from the layers at 15 to 150 GFLOP/s, on JAX 8 to 150. Measured on two cores: 7 to 33 times faster on small models,
    on JAX 40 to 170. On a GPU it takes 0.8 to 9.7 TFLOP/s, from Ampere on 2 to 21: not verified on hardware.
    """
    if backend == "torch":
        return NotApplicable("torch runs operation by operation by design")
    disabled = backend == "jax" and settings.get("jax_disable_jit") == "True"
    unjitted = backend == "jax" and not jit_compile
    if not (run_eagerly or functions_run_eagerly or unjitted or disabled):
        return Passed("steps run as compiled graphs")
    if unjitted and not (run_eagerly or disabled) and unjittable(layers):
        return Passed("a layer keeps the step from being compiled, which is FW06")
    # The one is a median of few steps, the other a mean of all.
    told_s, share = min(dispatch_s, compute_s), words.share(min(1.0, dispatch_s / compute_s))
    remedy = "Drop the flag: it is for debugging."
    if run_eagerly:
        flag, code = "`run_eagerly=True` is on", "- model.compile(..., run_eagerly=True)\n+ model.compile(...)"
    elif functions_run_eagerly:
        flag, code = "`tf.config.run_functions_eagerly(True)` is on", "- tf.config.run_functions_eagerly(True)"
    elif disabled:
        flag, code = "`JAX_DISABLE_JIT` is set", "- export JAX_DISABLE_JIT=1"
    else:
        flag, remedy = "`jit_compile` is off", "Compile the step."
        code = "- model.compile(..., jit_compile=False)\n+ model.compile(..., jit_compile=True)"
    reads = [line for line in model.code if line.kind == "read"]
    if reads:
        remedy += f" `{reads[0].calls}` in `{reads[0].function}`, line {reads[0].line}, needs it: take that out first."
        code = "".join(f"- {line.text}\n" for line in reads[:3]) + code
    return Found(
        title="Steps run operation by operation",
        message=f"{flag}, so Python dispatches every operation: {words.seconds(told_s)} of the "
        f"{words.seconds(compute_s)} that a step computes.",
        phase="compute",
        evidence={
            "compute a step": words.seconds(compute_s),
            "of it Python and dispatch": f"{words.seconds(told_s)}, {share}",
        },
        remedy=remedy,
        code=code,
        change=_compiled(backend, dispatch_s, sample_flops * batch_size, accelerator_flops),
        changes_results="rounding",
    )


@rule("FW06", "layer-disables-jit", silences=("FW07", "MC00", "IP21", "IP22"))
def layer_disables_jit(
    backend: str,
    layers: tuple[Layer, ...],
    jit_compile: bool,
    run_eagerly: bool,
    compute_s: float,
    dispatch_s: float,
    sample_flops: float,
    batch_size: int,
    accelerator_flops: tuple[float, ...],
    data: Data,
) -> Outcome:
    """One layer keeps the whole step from being compiled.

    What it means: a layer of the model does not support XLA, such as `RandomRotation`, `RandomZoom`, `RandomCrop` or
    `TextVectorization`. Keras then compiles nothing.

    Why it is slow: on JAX a step that is not compiled runs operation by operation, all other layers included.

    What to change: move that layer into the input pipeline, where it runs beside the training. The model may get it
    back for serving.

    When this is wrong: on TensorFlow the step is a graph without XLA too, and loses little: the rule is for JAX.

    Sources: Keras, `Layer.supports_jit`; https://github.com/keras-team/keras/issues/23229. Measured on two cores: 3
    times faster for six small convolutions, 58 times for a small model. The prediction is that of FW01.
    """
    if backend != "jax":
        return NotApplicable("only JAX runs a step operation by operation when it is not compiled")
    culprits = unjittable(layers)
    if not culprits:
        return Passed("all layers support compilation")
    if jit_compile or run_eagerly:
        return Passed("the step is compiled" if jit_compile else "the step runs eagerly by choice")
    names = ", ".join(dict.fromkeys(f"`{layer.kind}`" for layer in culprits))
    taken = " and ".join(f"`{layer.name}`" for layer in culprits)
    kinds = ", ".join(f"keras.layers.{layer.kind}(...)" for layer in culprits)
    code = (
        f"- keras.Sequential([{kinds}, ...])\n+ augment = keras.layers.Pipeline([{kinds}])\n"
        f"{applied('augment(x, training=True)', data)}"
    )
    return Found(
        title="A layer keeps the whole step from being compiled",
        message=f"{names} cannot be compiled, so JAX runs every operation of the step by itself: "
        f"{words.seconds(min(dispatch_s, compute_s))} of the {words.seconds(compute_s)} that a step computes are "
        "dispatch.",
        phase="compute",
        evidence={
            "not to be compiled": ", ".join(layer.path or layer.name for layer in culprits),
            "compute a step": words.seconds(compute_s),
        },
        remedy=f"Take {taken} out of the model and apply it in the input pipeline; as long as one stays, nothing is "
        "compiled.",
        code=code,
        change=_compiled(backend, dispatch_s, sample_flops * batch_size, accelerator_flops),
        changes_results="training",
    )


@rule("FW07", "dispatch-bound-small-step")
def dispatch_bound(
    backend: str,
    steps_per_execution: int,
    run_eagerly: bool,
    dispatch_share: float,
    dispatch_s: float,
    gap_s: float,
    compute_s: float,
    steady: Steady,
) -> Outcome:
    """The step is so small that starting it costs about as much as computing it.

    What it means: much of a step is Keras and TensorFlow getting it on its way: fetching the batch, calling the
    function, reading the logs, calling the callbacks.

    Why it is slow: that work is done in Python, once a step, and the device idles meanwhile.

    What to change: let one call make several steps, with `steps_per_execution` in `compile`. A larger batch does the
    same, but changes training.

    When this is wrong: callbacks that must see every batch see only every n-th. Nothing is gained where the step waits
    for its input anyway. The rule speaks from 40 % of the step on; from a quarter on there may be something to gain.

    Sources: Keras, Model.compile; measured on two cores: 3.6 times faster for a tiny model. The prediction divides the
    host's part of a step, measured as the CPU time of the main thread, by the steps in a call; on JAX, where Keras
    starts the steps of a call one by one (3.8 to 3.15), only what lies between two calls.
    """
    if backend == "torch":
        return NotApplicable("on torch Keras makes one step a call")
    if run_eagerly:
        return NotApplicable("steps run eagerly")
    if steps_per_execution > 1:
        return Passed(f"one call makes {steps_per_execution} steps")
    if dispatch_share < _DISPATCH_FROM:
        return Passed(f"dispatch is {words.share(dispatch_share)} of the step")
    if steady.steps_per_epoch < 2:
        return NotApplicable("an epoch has one step")
    count, told_s = int(min(_STEPS_PER_EXECUTION, steady.steps_per_epoch)), min(dispatch_s, compute_s)
    told = dataclasses.astuple(in_one_call(count))
    # On two cores calls of 16 steps on JAX left 0.19 of 0.22 ms in the call, and 0.02 of 0.11 ms between two.
    stays = 1 - min(1.0, gap_s / dispatch_s) if backend == "jax" else 0.0
    return Found(
        title="The steps are so small that starting them costs much",
        message=f"Of the {words.seconds(compute_s)} of a step, {words.seconds(told_s)} are Keras and the backend "
        "getting it on its way, in Python.",
        phase="compute",
        evidence={
            "compute a step": words.seconds(compute_s),
            "of it dispatch": f"{words.seconds(told_s)}, {words.share(dispatch_share)}",
            "steps an epoch": words.number(steady.steps_per_epoch),
        },
        remedy=f"Make {count} steps in one call. Callbacks then see every {count}th batch.",
        code=f"- model.compile(...)\n+ model.compile(..., steps_per_execution={count})",
        change=Change(factors={"dispatch_s": Range(*(stays + (1 - stays) * left for left in told))}),
        confidence="likely",
        bars={"dispatch": dispatch_s, "the rest of computing": max(0.0, compute_s - dispatch_s)},
    )


@rule("FW14", "torch-small-operations")
def torch_small_operations(
    backend: str,
    jit_compile: bool,
    custom_train_step: bool,
    layers: tuple[Layer, ...],
    step_flops: float,
    compute_s: float,
    accelerator_flops: tuple[float, ...],
    held_up_share: float,
) -> Outcome:
    """On torch, a step of many small operations spends its time between them.

    What it means: the arithmetic of all layers would take a small part of the step; the rest is torch and Keras calling
    one operation after another.

    Why it is slow: torch does not compile the step unless it is told to, and every operation costs some microseconds of
    Python and of dispatch, forward and backward.

    What to change: the same Keras code runs on JAX, which compiles the whole step: set `KERAS_BACKEND`. A larger batch
    helps too, and so does `jit_compile=True` in trainings of hours: compiling took a minute.

    When this is wrong: layers, losses or data of the user's own are written in torch. For large convolutions torch is
    as fast as the others. Where its data hold the step up for a third of the time, that comes first, and the rule is
    silent.

    Sources: https://github.com/keras-team/keras/issues/18873. Measured on two cores for ten small dense layers: 6 times
    faster on TensorFlow, 20 times on JAX; for convolutions no difference. The prediction leaves the arithmetic, counted
    from the layers at 15 to 150 GFLOP/s, and 0.3 to 2 ms of dispatch. On a GPU it takes 0.8 to 9.7 TFLOP/s, from Ampere
    on 2 to 21: not verified on hardware.
    """
    if backend != "torch":
        return NotApplicable("the backend compiles the step")
    if jit_compile:
        return Passed("the step is compiled")
    if custom_train_step:
        return NotApplicable("the training step is the user's own, in torch")
    if held_up_share >= _STARVED_FROM:
        return Passed(f"its data hold training up {words.share(held_up_share)} of the time, and slow computing as well")
    arithmetic = [step_flops / rate for rate in accelerator_flops or dataclasses.astuple(_FLOPS)]
    if arithmetic[1] > _ARITHMETIC_BELOW * compute_s:
        told_s = min(arithmetic[1], compute_s)
        return Passed(f"the arithmetic alone takes about {words.seconds(told_s)} of {words.seconds(compute_s)} a step")
    overhead = (0.002, 0.0006, 0.0003)
    left = (min(1.0, (more + fixed) / compute_s) for more, fixed in zip(arithmetic, overhead, strict=True))
    busy = [layer for layer in layers if layer.forward_flops]
    return Found(
        title="Many small operations, one after another",
        message=f"A step takes {words.seconds(compute_s)}, of which the arithmetic of its {len(busy)} layers needs "
        f"about {words.seconds(arithmetic[1])}: the rest is Python and torch getting from one operation to the next.",
        phase="compute",
        evidence={
            "compute a step": words.seconds(compute_s),
            "arithmetic": f"{words.number(step_flops / 1e6)} MFLOP, about {words.seconds(arithmetic[1])}",
        },
        remedy="Train on JAX, which compiles the whole step; the Keras code stays the same.",
        code="- export KERAS_BACKEND=torch\n+ export KERAS_BACKEND=jax",
        change=Change(factors={"device_s": Range(*left)}),
        confidence="hint",
        changes_results="rounding",
    )


@rule("FW15", "slow-version")
def slow_version(
    backend: str,
    versions: Mapping[str, str],
    layers: tuple[Layer, ...],
    accelerators: tuple[str, ...],
    compute_s: float,
) -> Outcome:
    """A version of Keras that is known to be slow for this model.

    What it means: the installed version has a known slowness that this model runs into.

    Why it is slow: on torch `LSTM` did not use cuDNN before Keras 3.15, nor `GRU` before 3.14, and on JAX `LSTM` before
    3.14: they looped over time, on torch in Python.

    What to change: install a newer version.

    When this is wrong: on a CPU, and where the layer has options that cuDNN does not know anyway. A mask rules cuDNN
    out in every version; where one is seen, the rule is silent.

    Sources: https://github.com/keras-team/keras/issues/20902, https://github.com/keras-team/keras/issues/22275,
    https://github.com/keras-team/keras/issues/22274, https://github.com/keras-team/keras/pull/22874 (from 3.10 on
    `LSTM` called cuDNN in a way that failed), https://github.com/keras-team/keras/pull/22399; the versions are read in
    the wheels. Not verified on hardware: reports speak of up to 10 times; the prediction says 1 to 10.
    """
    found = [layer for layer in layers if (backend, layer.kind) in USES_CUDNN_FROM]
    if backend == "tensorflow" or not found:
        return NotApplicable("nothing in this model that a version was slow for")
    if "GPU" not in accelerators:
        return NotApplicable("cuDNN is for GPUs")
    found = [layer for layer in found if not uses_cudnn(layer, backend, versions)]
    if not found:
        return Passed(f"Keras {versions['keras']} is not known to be slow for it")
    by_mask = tuple(masked(layers, backend))
    found = [layer for layer in found if layer not in by_mask]
    if not found:
        return Passed("a mask rules cuDNN out")
    return Found(
        title=f"This version of Keras is slow for recurrent layers on {backend}",
        message=f"Keras {versions['keras']} computes `{found[0].kind}` on {backend} in a loop over time.",
        phase="compute",
        evidence={"keras": versions["keras"], "compute a step": words.seconds(compute_s)},
        remedy="Install a newer Keras.",
        code="+ pip install -U keras",
        change=Change(factors={"device_s": Range(1.0, 0.5, 0.1)}),
        confidence="hint",
        changes_results="rounding",
    )


RULES = (eager, layer_disables_jit, dispatch_bound, torch_small_operations, slow_version)
