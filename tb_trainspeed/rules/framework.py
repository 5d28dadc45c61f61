"""FW: the framework, used against its grain."""

from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule

# What a compiled step still dispatches, seconds, and what it leaves of the rest, which in eager mode is mostly waiting
# for single operations. Measured on two cores: 1.9 ms, and 0.8 of 5.3 ms.
_COMPILED_DISPATCH = Range(0.004, 0.002, 0.001)
_COMPILED_REST = Range(1.0, 0.5, 0.15)
# From here on dispatch is worth batching: below, the most that could be gained is less than runs differ.
_DISPATCH_FROM = 0.3
_STEPS_PER_EXECUTION = 16


@rule("FW01", "eager", silences=("FW07", "MC00"))
def eager(
    backend: str,
    run_eagerly: bool,
    functions_run_eagerly: bool,
    jit_compile: bool,
    compute_s: float,
    dispatch_s: float,
    steady: Steady,
) -> Outcome:
    """Steps run operation by operation in Python.

    What it means: the model was compiled with `run_eagerly=True`, or `tf.config.run_functions_eagerly(True)` is on, or
    on JAX the step is not compiled: `jit_compile=False`, or a layer that does not support it.

    Why it is slow: every operation of every layer goes through Python and is dispatched by itself; nothing is fused,
    reordered or run in parallel.

    What to change: drop the flag. It is for debugging; `model.compile(..., run_eagerly=False)` is the default.

    When this is wrong: while you are stepping through `train_step` with a debugger. Torch runs operation by operation
    by design.

    Sources: Keras, Model.compile. The prediction takes the CPU time of the main thread inside the step, which in eager
    mode is dispatch, down to that of a compiled step, 1 to 4 ms. Measured on two cores: 18 to 33 times faster on small
    models.
    """
    if backend == "torch":
        return NotApplicable("torch runs operation by operation by design")
    unjitted = backend == "jax" and not jit_compile
    if not (run_eagerly or functions_run_eagerly or unjitted):
        return Passed("steps run as compiled graphs")
    share = words.share(min(1.0, dispatch_s / compute_s))
    if run_eagerly:
        flag, remedy = "`run_eagerly=True` is on", "Drop the flag: it is for debugging."
        code = "- model.compile(..., run_eagerly=True)\n+ model.compile(...)"
    elif functions_run_eagerly:
        flag, remedy = "`tf.config.run_functions_eagerly(True)` is on", "Drop the call: it is for debugging."
        code = "- tf.config.run_functions_eagerly(True)"
    else:
        flag = "`jit_compile` is off"
        remedy = (
            "Compile the step. Layers that do not support it, such as `RandomRotation`, belong into the data pipeline."
        )
        code = "- model.compile(..., jit_compile=False)\n+ model.compile(..., jit_compile=True)"
    return Found(
        title="Steps run operation by operation",
        message=f"{flag}, so Python dispatches every operation: {words.seconds(dispatch_s)} of the "
        f"{words.seconds(compute_s)} that a step computes.",
        phase="compute",
        evidence={
            "compute a step": words.seconds(compute_s),
            "of it Python and dispatch": f"{words.seconds(dispatch_s)}, {share}",
        },
        remedy=remedy,
        code=code,
        change=Change(factors={"device_s": _COMPILED_REST}, sets={"dispatch_s": _COMPILED_DISPATCH}),
        changes_results="rounding",
    )


@rule("FW07", "dispatch-bound-small-step")
def dispatch_bound(
    backend: str,
    steps_per_execution: int,
    run_eagerly: bool,
    dispatch_share: float,
    dispatch_s: float,
    compute_s: float,
    steady: Steady,
) -> Outcome:
    """The step is so small that starting it costs more than computing it.

    What it means: much of a step is Keras and TensorFlow getting it on its way: fetching the batch, calling the
    function, reading the logs, calling the callbacks.

    Why it is slow: that work is done in Python, once a step, and the device idles meanwhile.

    What to change: let one call make several steps, with `steps_per_execution` in `compile`. A larger batch does the
    same, but changes training.

    When this is wrong: callbacks that must see every batch see only every n-th. Nothing is gained where the step waits
    for its input anyway.

    Sources: Keras, Model.compile; measured on two cores: 3.6 times faster for a tiny model. The prediction divides the
    host's part of a step, measured as the CPU time of the main thread, by the steps in a call.
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
    count = int(min(_STEPS_PER_EXECUTION, steady.steps_per_epoch))
    left = Range(min(1.0, 0.25 + 1 / count), min(1.0, 0.1 + 1 / count), 1 / count)
    return Found(
        title="The steps are so small that starting them costs most",
        message=f"Of the {words.seconds(compute_s)} of a step, {words.seconds(dispatch_s)} are Keras and the backend "
        "getting it on its way, in Python.",
        phase="compute",
        evidence={
            "compute a step": words.seconds(compute_s),
            "of it dispatch": f"{words.seconds(dispatch_s)}, {words.share(dispatch_share)}",
            "steps an epoch": words.number(steady.steps_per_epoch),
        },
        remedy=f"Make {count} steps in one call. Callbacks then see every {count}th batch.",
        code=f"- model.compile(...)\n+ model.compile(..., steps_per_execution={count})",
        change=Change(factors={"dispatch_s": left}),
        confidence="likely",
        bars={"dispatch": dispatch_s, "the rest of computing": max(0.0, compute_s - dispatch_s)},
    )


RULES = (eager, dispatch_bound)
