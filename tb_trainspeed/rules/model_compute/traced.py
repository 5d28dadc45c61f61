"""What the step holds by the way it is written: copies of a loop, calls of Python, layers that are computed twice."""

from tb_trainspeed.profile import CodeLine, Layer
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import seconds_of
from tb_trainspeed.rules.model_compute.shared import computes_little, cost, less, names
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule

# As for unrolled recurrent layers.
_COPIES_FROM = 30
_SPEAK_FROM = 0.15
# A part of a step that one looks for in vain among its layers.
_PYTHON_FROM = 0.1
_COMPILING_FROM = 0.1
# An epoch 2.5 times faster, on two cores, was 60 % less.
_VECTORISED = 1 - 1 / 2.5
_CALLS_PYTHON = ("PyFunc", "PyFuncStateless", "EagerPyFunc", "pure_callback", "io_callback")
_HALF_FULL = 0.5


@rule("MC12", "python-loop-in-layer", silences=("FW04",))
def python_loop(
    backend: str,
    step_code: tuple[CodeLine, ...],
    layers: tuple[Layer, ...],
    operations: int,
    timed_layers: dict[str, tuple[float, float]],
    computing_s: float,
    compilation_s: float,
    fit_s: float,
) -> Outcome:
    """A loop of Python's fills the step with copies of the same operations.

    What it means: `call` of a layer, or `train_step`, loops with `for`, and every turn of the loop became operations of
    its own in the graph of the step: 30 or more of one kind.

    Why it is slow: all of them are traced, optimised and started one by one, forward and backward, where one operation
    on the whole tensor would do.

    What to change: compute all turns at once: `Dense` and most functions of `keras.ops` take tensors of any rank. Where
    a turn needs the result of the one before, `keras.ops.scan` is traced once.

    When this is wrong: the turns really differ from each other. `scan` makes compiling short, but its steps still run
    one after another. Operations are counted in the graph of TensorFlow, and on JAX in what XLA made of the step, if a
    deep sample saw it. Torch has neither, and the rule does not speak.

    Sources: Keras, `keras.ops.scan`, `keras.ops.vectorized_map`. The prediction takes, of what compiling took, the
    share that the copies are of all operations, and half of that at worst; and of the measured time of the layers
    nothing at worst, 60 % as expected (measured on two cores: an epoch 2.5 times faster, and a first step of 0.5
    instead of 2.8 s), and all but one copy at best.
    """
    if backend == "torch":
        return NotApplicable("torch traces nothing whose operations could be counted")
    loops = [line for line in step_code if line.kind == "loop"]
    if not loops:
        return Passed("your code of a step loops over nothing")
    copied = [layer for layer in layers if (layer.copies or 0) >= _COPIES_FROM and _loop_of(layer, layers, loops)]
    if not copied:
        most = max((layer.copies or 0 for layer in layers), default=0)
        return Passed(f"a layer holds at most {most} operations of one kind")
    most = max(layer.copies or 1 for layer in copied)
    share = sum(layer.operations or 0 for layer in copied) / max(1, operations) * (1 - 1 / most)
    own_s = seconds_of(copied, timed_layers)
    if own_s < _SPEAK_FROM * computing_s and compilation_s < _COMPILING_FROM * fit_s:
        return Passed(f"the copies take {words.share(own_s / computing_s)} of computing, and are compiled soon")
    worst = max(copied, key=lambda layer: layer.copies or 0)
    line = _loop_of(worst, layers, loops) or loops[0]
    return Found(
        title="A loop of Python's fills the step with copies",
        message=f"`{line.function}` loops in line {line.line}, which made {worst.copies} operations of one kind in "
        f"`{worst.name}`. Copies are {words.share(share)} of the {words.number(operations)} operations of a step; "
        f"compiling took {words.seconds(compilation_s)}.",
        phase="compute",
        evidence={
            "the loop": f"{line.text} ({line.function}, line {line.line})",
            "copies": f"{worst.copies} in `{worst.name}`",
            "of all operations": words.share(share),
            "compiling": f"{words.seconds(compilation_s)}, {words.share(compilation_s / fit_s)} of the fit",
            **({"computing": cost(own_s, computing_s)} if own_s else {}),
        },
        remedy="Compute all turns at once; where one needs the one before, use `keras.ops.scan`.",
        code=f"- {line.text}\n-     ...\n+ y = layer(x)   # {worst.name}, all positions at once",
        change=Change(
            removes=less(own_s, 0.0, _VECTORISED, max(_VECTORISED, 1 - 1 / most)).removes,
            factors={"compilation_s": Range(1 - share / 2, 1 - share, 1 - share)},
        ),
        confidence="likely",
        changes_results="rounding",
    )


def _loop_of(layer: Layer, layers: tuple[Layer, ...], loops: list[CodeLine]) -> CodeLine | None:
    """The loop that calls this layer: its own, one of a layer around it, or one of the model."""
    kinds = {row.kind for row in layers if layer.path == row.path or layer.path.startswith(f"{row.path}/")}
    inside = {row.kind for row in layers} - kinds
    owners = {line.function.rpartition(".")[0].rpartition(".")[2]: line for line in reversed(loops)}
    owners.pop("", None)  # a loss or a metric, which calls no layer
    return next((line for kind, line in owners.items() if kind in kinds or kind not in inside), None)


@rule("MC19", "python-in-the-step")
def python_in_step(
    backend: str,
    step_code: tuple[CodeLine, ...],
    python_s: dict[str, float],
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """A metric or loss calls Python from within the compiled step.

    What it means: `tf.py_function`, `tf.numpy_function`, `jax.pure_callback` or `jax.experimental.io_callback` is in
    the step, and what they call takes 10 % of it or more.

    Why it is slow: the step stops, its tensors are copied to the host, Python computes on one core with its lock held,
    and the result is copied back. XLA cannot compile across it.

    What to change: write the same with `keras.ops`; or compute the metric at the end of an epoch, on the validation
    data, in a callback.

    When this is wrong: for small batches and little to do it costs next to nothing, and the rule is silent.

    Sources: https://www.tensorflow.org/api_docs/python/tf/py_function (performance); measured on two cores: no effect
    at batches of 64. The calls are timed by deep samples; the prediction takes away nothing of that at worst, seven
    eighths as expected, and all of it at best: how long the same takes in the graph is not known.
    """
    if backend == "torch":
        return NotApplicable("on torch all of a step is called from Python")
    calls = {kind: seconds for kind, seconds in python_s.items() if kind in _CALLS_PYTHON}
    own_s = sum(calls.values())
    if not own_s:
        return Passed("the step calls no Python")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    if own_s < _PYTHON_FROM * computing_s:
        return Passed(f"Python inside the step takes {words.share(own_s / computing_s)} of computing")
    line = next((line for line in step_code if line.kind == "python"), None)
    kinds = ", ".join(calls)
    return Found(
        title="The step calls Python",
        message=(f"`{line.function}` calls Python from within the step, in line {line.line}: " if line else "")
        + f"{cost(own_s, computing_s)} of computing.",
        phase="compute",
        evidence={
            "operations": kinds,
            "computing": cost(own_s, computing_s),
            **({"called in": f"{line.function}, line {line.line}"} if line else {}),
        },
        remedy="Write it with keras.ops, or compute it once an epoch, in a callback.",
        code=(f"- {line.text}\n" if line else f"- ...   # {kinds}\n")
        + "+ value = keras.ops.mean(keras.ops.equal(y, keras.ops.argmax(y_pred, -1)))   # for example",
        change=less(own_s, 0.0, 0.87, 1.0),
        confidence="likely",
        changes_results="rounding",
    )


@rule("MC20", "needless-remat")
def needless_remat(
    layers: tuple[Layer, ...],
    accelerators: tuple[str, ...],
    device_memory_share: float,
    layer_s: dict[str, tuple[float, float]],
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """Layers are computed twice to save memory that is not short.

    What it means: layers were made under `keras.RematScope`, and less than half of the accelerator's memory was ever
    in use.

    Why it is slow: what such a layer computed is thrown away, and computed again for the backward pass.

    What to change: drop the scope, or keep it for the few layers with the largest outputs (`mode="larger_than"`).

    When this is wrong: without it twice as much memory may be needed: the rule waits until half of it is free. Larger
    batches may be worth more than the time saved.

    Sources: https://arxiv.org/abs/1604.06174 (one more forward pass). It is a hint, not verified on hardware: the
    prediction takes half to all of the measured forward pass of these layers.
    """
    found = [layer for layer in layers if "remat" in layer.options]
    if not found:
        return NotApplicable("no layer is computed twice")
    if not accelerators:
        return NotApplicable("no accelerator whose memory could be short")
    if device_memory_share >= _HALF_FULL:
        return Passed(f"{words.share(device_memory_share)} of the memory is in use")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    again_s = sum(layer_s.get(layer.path, (0.0, 0.0))[0] for layer in found)
    if again_s < _SPEAK_FROM * computing_s:
        return Passed(f"computing them again takes about {words.share(again_s / computing_s)} of a step")
    mode = found[0].options["remat"]
    return Found(
        title="Layers are computed twice to save memory that is not short",
        message=f"{names(found)} are computed again for the backward pass: about {cost(again_s, computing_s)} of "
        f"computing. At most {words.share(device_memory_share)} of the memory is in use.",
        phase="compute",
        evidence={
            "layers": names(found),
            "mode": mode,
            "memory in use": words.share(device_memory_share),
            "computing": cost(again_s, computing_s),
        },
        remedy="Drop the scope.",
        code=f'- with keras.RematScope(mode="{mode}"):\n-     model = build()\n+ model = build()',
        change=less(again_s, 0.5, 1.0, 1.0),
        confidence="hint",
        changes_results="rounding",
    )


RULES = (python_loop, python_in_step, needless_remat)
