"""Tracing and compiling: too often, for too long, or for nothing."""

import re
from collections.abc import Mapping

from tb_trainspeed.profile import Compilation, CompilationEvent, Data, Layer
from tb_trainspeed.rules import words
from tb_trainspeed.rules.rule import Change, ChangesResults, Found, NotApplicable, Outcome, Passed, Range, rule

# Shapes that a compiled step may meet without anything being wrong: the usual, and a smaller last batch.
_USUAL_SHAPES = 2
# Of as many lengths a padded input has in the remedy.
_BUCKETS = 4
# Of a first step that XLA compiled, what tracing alone does not take. Pairs on two machines of two cores gave 1.2 of
# 1.7 s and 0.7 of 1.5 s.
_XLA_SHARE = 0.57
# On a CPU the main thread computes a part of what XLA compiled: what is left of its part of a step without XLA.
# Measured on two cores: 0.4.
_WITHOUT_XLA = Range(1.0, 0.55, 0.35)
# Keras asks TensorFlow to relax shapes, so that plain variable shapes are traced once or twice more and then no longer.
_RELAXED = 3
_SPEAK_FROM = 0.1
# A fit that compiles for a fifth of its time, and for longer than one likes to wait.
_SHORT_FIT, _LONG_COMPILE_S = 0.2, 5.0
_UNROLL_FROM = 30
_RECURRENT = ("LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D")
# A compiled step on torch was 2.6 times faster, on two cores.
_TORCH_GAIN = 2.6


def _sizes(batch: str) -> list[int]:
    return [int(size) for size in re.findall(r"\d+", " ".join(re.findall(r"\(([^()]*)\)", batch)))]


def _odd_last_batch(events: tuple[CompilationEvent, ...], usual: str) -> bool:
    """Whether all of it was for one batch with fewer samples, and else like the others."""
    shapes = {event.batch for event in events}
    if len(shapes) != 1:
        return False
    odd, sizes = _sizes(events[0].batch), _sizes(usual)
    differing = {(mine, theirs) for mine, theirs in zip(odd, sizes, strict=False) if mine != theirs}
    return len(odd) == len(sizes) and len(differing) == 1 and odd[0] < sizes[0]


def _spent_s(compilation: Compilation) -> float:
    """Seconds of all calls that compiled once more; of many only the first are listed."""
    listed = sum(event.duration_s for event in compilation.events)
    if (compilation.retraces or 0) <= len(compilation.events):
        return listed
    return max(listed, compilation.total_s - (compilation.first_step_s or 0.0))


def _without(spent_s: float, compilation_s: float, low: float, expected: float, high: float) -> Change:
    """Compiling without these shares of what was spent on it."""
    left = (max(0.0, min(1.0, 1 - share * spent_s / compilation_s)) for share in (low, expected, high))
    return Change(factors={"compilation_s": Range(*left)})


def _compiles(backend: str, jit_compile: bool) -> str | None:
    """Returns why nothing is compiled for a shape, or `None` where it is."""
    if jit_compile:
        return None
    return "the step is a graph that takes any shape" if backend == "tensorflow" else "the step is not compiled"


@rule("FW02", "xla-recompile-per-shape", silences=("FW03", "FW04", "FW05"))
def recompile_per_shape(
    backend: str, jit_compile: bool, compilation: Compilation, compilation_s: float, fit_s: float, data: Data
) -> Outcome:
    """The step is compiled anew for every new shape of a batch.

    What it means: batches come in many shapes, and each of them made the compiler run once more.

    Why it is slow: a compiled step is made for one shape. Compiling it again takes as long as hundreds of steps.

    What to change: pad to one length, or to a few. On TensorFlow a step that is not compiled by XLA takes any shape:
    `jit_compile=False`.

    When this is wrong: the shapes are few and the training is long, so that each is compiled early and once.

    Sources: https://github.com/keras-team/keras-cv/pull/2406. Measured on two cores for 32 lengths: the whole fit 18
    times faster on TensorFlow and on JAX. The prediction takes the measured calls that compiled out of the fit, but for
    the lengths to which it pads; without XLA the first call is 40 to 57 % shorter, too.
    """
    if reason := _compiles(backend, jit_compile):
        return NotApplicable(reason)
    shapes = {event.batch for event in compilation.events if event.batch}
    if len(shapes) < _USUAL_SHAPES:
        return Passed("the step was compiled for one shape, and perhaps for the last batch")
    spent_s = _spent_s(compilation)
    if spent_s < _SPEAK_FROM * fit_s:
        return Passed(f"compiling again took {words.share(spent_s / fit_s)} of the fit")
    retraces = max(len(shapes), compilation.retraces or 0)
    columns = list(zip(*(_sizes(batch) for batch in sorted(shapes)), strict=False))
    # The first dimension of all that a batch holds is its samples. If others vary too, those are what to pad.
    lengths_seen = [column for column in columns if len(set(column)) > 1 and column != columns[0]]
    seen = lengths_seen[0] if lengths_seen else columns[0] if columns else (0,)
    axis = columns.index(seen) if lengths_seen else 0
    longest = max(seen)
    changes_results: ChangesResults = "rounding"
    if not lengths_seen:
        changes_results = "training"  # the samples that are left over are dropped
        remedy = "Make all batches the same size."
        code = f"+ dataset = dataset.unbatch().batch({data.batch_size or longest}, drop_remainder=True)"
        change = _without(spent_s, compilation_s, 0.7, 0.95, 1.0)
    elif backend == "tensorflow":
        remedy = "Without XLA the step takes any shape; or pad to a few lengths."
        code = "- model.compile(..., jit_compile=True)\n+ model.compile(..., jit_compile=False)"
        # One graph is traced for all lengths; XLA no longer compiles the first one either.
        first_s = compilation.first_step_s or 0.0
        change = _without(spent_s + first_s * _XLA_SHARE, compilation_s, 0.7, 1.0, 1.0)
    else:
        lengths = sorted({-(-longest * part // (_BUCKETS * 8)) * 8 for part in range(1, _BUCKETS + 1)})
        changes_results = "training"  # a mean over the length, or a state at its end, goes over the zeros as well
        remedy = (
            "Pad every batch to the next of a few lengths, or all to one; layers that a mask tells leave padding out."
        )
        if len(lengths_seen) > 1:
            remedy += " Other dimensions vary as well, and are to be padded likewise."
        before = "(0, 0), " * axis
        code = (
            f"+ lengths = {lengths}   # where a batch is made\n"
            f"+ length = next(length for length in lengths if length >= x.shape[{axis}])\n"
            f"+ x = np.pad(x, [{before}(0, length - x.shape[{axis}])] + [(0, 0)] * (x.ndim - {axis + 1}))"
        )
        needed = {min(length for length in lengths if length >= size) for size in seen}
        fewer = 1 - (len(needed) - 1) / retraces  # one of them is compiled in the first step
        change = _without(spent_s, compilation_s, 0.9 * fewer, fewer, min(1.0, 1.1 * fewer))
    return Found(
        title="The step is compiled anew for every new shape",
        message=f"The compiler ran {retraces} times more after the first step, for batches of "
        f"{min(seen)} to {longest}: {words.seconds(spent_s)}, {words.share(spent_s / fit_s)} of the fit.",
        phase="compilation",
        evidence={
            "compiled again": f"{retraces} times",
            "each": words.seconds(spent_s / retraces),
            "for batches such as": " and ".join(sorted(shapes)[:2]),
        },
        remedy=remedy,
        code=code,
        change=change,
        confidence="likely",
        changes_results=changes_results,
    )


@rule("FW02b", "tf-retracing", silences=("FW04",))
def retracing(
    backend: str,
    jit_compile: bool,
    run_eagerly: bool,
    custom_train_step: bool,
    compilation: Compilation,
    compilation_s: float,
    fit_s: float,
) -> Outcome:
    """TensorFlow traces the training step again and again.

    What it means: the Python code of the step ran once more to make a new graph, many times.

    Why it is slow: a graph is made for its arguments. A Python number or a new object counts as new every time, and so
    does a `tf.function` that is defined inside the step.

    What to change: hand over tensors instead of Python numbers, and define every `tf.function` once, outside.

    When this is wrong: batches of variable shape are traced once or twice more and then no longer: Keras asks
    TensorFlow to relax their shapes. The rule waits for more than that.

    Sources: https://www.tensorflow.org/guide/function (retracing), https://github.com/tensorflow/tensorflow/issues/34025.
    The prediction takes the measured calls that traced out of the fit.
    """
    if backend != "tensorflow" or run_eagerly:
        return NotApplicable("nothing is traced into a graph of TensorFlow")
    if jit_compile:
        return NotApplicable("XLA compiles, which is FW02")
    retraces = compilation.retraces or 0
    if retraces <= _RELAXED:
        return Passed(f"the step was traced {retraces} times more" if retraces else "the step was traced once")
    spent_s = _spent_s(compilation)
    if spent_s < _SPEAK_FROM * fit_s:
        return Passed(f"tracing again took {words.share(spent_s / fit_s)} of the fit")
    where = "your `train_step`" if custom_train_step else "the step"
    return Found(
        title="The training step is traced again and again",
        message=f"TensorFlow made a new graph of {where} {retraces} times: {words.seconds(spent_s)}, "
        f"{words.share(spent_s / fit_s)} of the fit.",
        phase="compilation",
        evidence={
            "traced again": f"{retraces} times",
            "each": words.seconds(spent_s / retraces),
            "last before step": str(compilation.events[-1].step) if compilation.events else "not known",
        },
        remedy="Hand over tensors instead of Python numbers, and define every tf.function once.",
        code="- self.scale = 0.1 * step\n"
        "+ self.scale = tf.Variable(0.1, trainable=False)  # once; later self.scale.assign(...)",
        change=_without(spent_s, compilation_s, 0.9, 0.99, 1.0),
        confidence="likely",
    )


@rule("FW03", "last-partial-batch")
def last_partial_batch(
    backend: str, jit_compile: bool, compilation: Compilation, compilation_s: float, fit_s: float, data: Data
) -> Outcome:
    """The last batch is smaller, so the step is compiled a second time for it.

    What it means: the number of samples is no multiple of the batch size.

    Why it is slow: a compiled step is made for one shape; the odd one costs a compilation of its own.

    What to change: drop the rest, `dataset.batch(n, drop_remainder=True)`, or take a multiple of the batch size.

    When this is wrong: the training is long, and this is paid only once. Of arrays, and of data that are not shuffled,
    the same samples are left out in every epoch: where they matter, take a batch size that divides the data.

    Sources: Keras, `jit_compile`. Measured on two cores: the whole fit of three epochs 2.4 times faster on TensorFlow
    with XLA, 2.3 times on JAX; validation data has a last batch too. The prediction takes the measured call out of the
    fit.
    """
    if reason := _compiles(backend, jit_compile):
        return NotApplicable(reason)
    if not compilation.events or not data.batch:
        return Passed("the step was compiled for one shape")
    if not _odd_last_batch(compilation.events, data.batch):
        return Passed("it was compiled again, but not for a smaller last batch")
    spent_s = _spent_s(compilation)
    if spent_s < _SPEAK_FROM * fit_s:
        return Passed(f"compiling for the last batch took {words.share(spent_s / fit_s)} of the fit")
    rest, size = _sizes(compilation.events[0].batch)[0], _sizes(data.batch)[0]
    if data.adapter == "ArrayDataAdapter":
        whole = f"keras.tree.map_structure(lambda rows: rows[:-{rest}], (x, y))   # also of dictionaries of arrays"
        code = f"+ x, y = {whole}\n  model.fit(x, y, ...)"
        remedy = f"Leave out the last {rest} samples, or take a batch size that divides the data."
    else:
        remedy = "Drop the rest of each epoch."
        code = f"- dataset.batch({size})\n+ dataset.batch({size}, drop_remainder=True)"
    return Found(
        title="The smaller last batch is compiled for itself",
        message=f"The last batch has {rest} samples instead of {size}; compiling for it took {words.seconds(spent_s)}, "
        f"{words.share(spent_s / fit_s)} of the fit.",
        phase="compilation",
        evidence={"samples of the last batch": f"{rest} of {size}", "compiling for it": words.seconds(spent_s)},
        remedy=remedy,
        code=code,
        change=_without(spent_s, compilation_s, 0.8, 0.95, 1.0),
        changes_results="training",
    )


@rule("FW04", "compile-dominates-short-run")
def compile_dominates(
    backend: str,
    jit_compile: bool,
    settings: Mapping[str, str],
    compilation: Compilation,
    compilation_s: float,
    fit_s: float,
    fit_steps: int,
    compute_s: float,
) -> Outcome:
    """A short training compiles for a good part of its time.

    What it means: compiling took more than five seconds, and more than a fifth of the fit.

    Why it is slow: the same program is compiled anew in every process that is started.

    What to change: on JAX, keep compiled programs on disk: the next run with the same model finds them. On torch,
    leave compiling to long trainings.

    When this is wrong: in a training of hours it is paid once. The first run after a change of the model compiles
    anyway.

    Sources: https://docs.jax.dev/en/latest/persistent_compilation_cache.html. Measured with it: a first step of 1.5
    instead of 8.1 s (https://github.com/keras-team/keras/pull/22911). On torch compiling took 61 s and made steps 2.6
    times faster on two cores; the prediction takes what the steps would lose off what compiling costs.
    """
    if not jit_compile or backend == "tensorflow":
        return NotApplicable("nothing is compiled that could be kept")
    share = compilation_s / fit_s
    if share < _SHORT_FIT or compilation_s < _LONG_COMPILE_S:
        return Passed(f"compiling took {words.seconds(compilation_s)}, {words.share(share)} of the fit")
    if backend == "jax":
        if settings.get("jax_compilation_cache_dir", "None") != "None":
            return Passed("compiled programs are kept on disk")
        remedy = "Keep compiled programs on disk; the next run finds them."
        code = (
            "+ import os, jax\n"
            '+ jax.config.update("jax_compilation_cache_dir", os.path.expanduser("~/.cache/jax"))\n'
            '+ jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)'
        )
        left = Range(0.6, 0.3, 0.15)
    else:
        lost_s = fit_steps * compute_s * (_TORCH_GAIN - 1)
        if lost_s > compilation_s / 2:
            return Passed(f"the {fit_steps} steps repay what compiling them costs")
        remedy, code = "So few steps do not repay it.", "- model.compile(..., jit_compile=True)\n+ model.compile(...)"
        lost = lost_s / compilation_s
        left = Range(min(1.0, 2 * lost + 0.1), lost, 0.0)
    dearest = next(iter(compilation.functions_s), "")
    return Found(
        title="A short training that mostly compiles",
        message=f"Compiling took {words.seconds(compilation_s)}, {words.share(share)} of the fit.",
        phase="compilation",
        evidence={
            "compiling": f"{words.seconds(compilation_s)}, {words.share(share)} of the fit",
            **({"most of it for": dearest} if dearest else {}),
        },
        remedy=remedy,
        code=code,
        change=Change(factors={"compilation_s": left}),
        confidence="likely",
        changes_results="no" if backend == "jax" else "rounding",
    )


@rule("FW05", "jit-compile-hurts")
def jit_compile_hurts(
    backend: str,
    jit_compile: bool,
    run_eagerly: bool,
    accelerators: tuple[str, ...],
    layers: tuple[Layer, ...],
    compute_s: float,
    step_s: float,
    compilation_s: float,
) -> Outcome:
    """XLA was asked for on a CPU, where TensorFlow's own kernels are faster.

    What it means: the model was compiled with `jit_compile=True`, and there is no accelerator. By default Keras does
    not do that on a CPU.

    Why it is slow: without XLA, TensorFlow uses oneDNN and all cores for convolutions and matrix products; XLA's CPU
    code does not keep up, and it takes longer to compile.

    What to change: drop the argument.

    When this is wrong: models with large embeddings or with recurrent layers are as fast with XLA, or faster; the rule
    stays silent there. Try it: it is one argument.

    Sources: https://github.com/tensorflow/tensorflow/issues/62808. Measured on two cores: without XLA a small
    convolutional network 2.7 times faster, on another machine 1.4 times; a dense one 1.5 times, an LSTM the same.
    """
    if backend != "tensorflow" or not jit_compile or run_eagerly:
        return NotApplicable("TensorFlow's step is not compiled by XLA")
    if accelerators:
        return NotApplicable("XLA is meant for accelerators")
    if any(layer.kind in _RECURRENT for layer in layers):
        return Passed("recurrent layers are no slower with XLA")
    weights = sum(layer.parameters for layer in layers)
    if sum(layer.parameters for layer in layers if layer.kind == "Embedding") > weights / 2:
        return Passed("XLA updates large embeddings faster")
    if compute_s < 0.5 * step_s:
        return Passed(f"computing is {words.share(compute_s / step_s)} of the step")
    convolves = any("Conv" in layer.kind for layer in layers)
    return Found(
        title="XLA on a CPU is slower than none",
        message=f"`jit_compile=True` gives up TensorFlow's own CPU kernels; a step computes "
        f"{words.seconds(compute_s)}, and compiling took {words.seconds(compilation_s)}.",
        phase="compute",
        evidence={"compute a step": words.seconds(compute_s), "compiling": words.seconds(compilation_s)},
        remedy="Drop the argument; Keras decides for itself.",
        code="- model.compile(..., jit_compile=True)\n+ model.compile(...)",
        change=Change(
            factors={
                "device_s": Range(1.0, 0.5, 0.3) if convolves else Range(1.0, 0.55, 0.35),
                "dispatch_s": _WITHOUT_XLA,
                "compilation_s": Range(1.0, 0.6, 0.4),
            }
        ),
        confidence="likely",
        changes_results="rounding",
    )


@rule("FW11", "rnn-unroll", silences=("FW04",))
def rnn_unroll(layers: tuple[Layer, ...], data: Data, compilation_s: float, fit_s: float) -> Outcome:
    """A recurrent layer is unrolled over a long sequence.

    What it means: a layer has `unroll=True` and many time steps.

    Why it is slow: the step contains one copy of the cell for every time step, and all of them are traced and compiled.

    What to change: drop the argument: then the cell is compiled once, and looped over.

    When this is wrong: for a few time steps, unrolling is faster.

    Sources: https://github.com/tensorflow/tensorflow/issues/55811. Measured on two cores: the first step 0.8 instead
    of 7.1 s on TensorFlow, 3.6 instead of 62.9 s on JAX; epochs took the same.
    The prediction leaves 10 to 50 % of compiling.
    """
    unrolled = [index for index, layer in enumerate(layers) if layer.options.get("unroll") == "True"]
    if not unrolled:
        return NotApplicable("no layer is unrolled")
    steps = max(_time_steps(layers, index, data) for index in unrolled)
    if steps <= _UNROLL_FROM:
        return Passed(f"{steps} time steps are few")
    share = compilation_s / fit_s
    if share < _SPEAK_FROM:
        return Passed(f"compiling took {words.share(share)} of the fit")
    layer = layers[unrolled[0]]
    return Found(
        title="A recurrent layer is unrolled over a long sequence",
        message=f"`{layer.name}` is unrolled over {steps} time steps, so that the compiler sees {steps} copies of its "
        f"cell; compiling took {words.seconds(compilation_s)}, {words.share(share)} of the fit.",
        phase="compilation",
        evidence={"time steps": str(steps), "compiling": words.seconds(compilation_s)},
        remedy="Drop the argument.",
        code=f"- keras.layers.{layer.kind}(..., unroll=True)\n+ keras.layers.{layer.kind}(...)",
        change=Change(factors={"compilation_s": Range(0.5, 0.28, 0.1)}),
        changes_results="rounding",
    )


def _time_steps(layers: tuple[Layer, ...], index: int, data: Data) -> int:
    """How long the sequence is that a layer gets: the second dimension of what the layer before it puts out."""
    # What stands in the list before it may be a part of another layer.
    inside = layers[index].path.rpartition("/")[0]
    siblings = [layer for layer in layers[:index] if layer.path.rpartition("/")[0] == inside]
    before = [_sizes(layer.output_shape or "") for layer in reversed(siblings)]
    shape = next((sizes for sizes in before if sizes), _sizes((data.batch or "").partition(")")[0] + ")")[1:])
    return shape[0] if len(shape) >= 2 else 0


RULES = (recompile_per_shape, retracing, last_partial_batch, compile_dominates, jit_compile_hurts, rnn_unroll)
