"""Many fits, of one model or of many."""

from tb_trainspeed.profile import Compilation
from tb_trainspeed.rules import words
from tb_trainspeed.rules.hardware.host import without_pressure
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule

# A fit of fewer steps is as short as people write in loops; from this many fits on it is a loop.
_FEW_STEPS, _MANY_FITS = 20, 5
_ONCE_FROM = 0.5
_STEP_BY_STEP = """\
+ for start in range(0, len(x), 32):
+     model.train_on_batch(x[start : start + 32], y[start : start + 32])"""
_REMADE_FROM, _COMPILING_FROM = 3, 0.2
# From the third model on it is a loop; a fit that compiles for less of its time is long enough to stand it.
_ALIKE_FROM, _COMPILING_FROM_OF_MODELS = 2, 0.3
# What is left of compiling where there is a step already: measured on two cores, 2 to 3 ms of 1.0 to 2.4 s.
_MADE_ONCE = Range(0.2, 0.003, 0.0)
# JAX builds the optimizer's variables before its first step: 3 ms of 35 without.
_BUILT_ONCE = {"startup_s": Range(1.0, 0.3, 0.08)}
# As for memory that is short for other reasons.
_PRESSURE_FROM = 0.1


@rule("FW08", "fit-in-a-loop", silences=("CB07",))
def fit_in_a_loop(
    fit_index: int,
    steps: int,
    startup_s: float,
    compilation_s: float,
    boundaries_s: float,
    wall_s: float,
    compilation: Compilation,
) -> Outcome:
    """`fit` is called again and again for a few steps.

    What it means: this model has been fitted many times, each time for a few steps only.

    Why it is slow: every call of `fit` checks and wraps the data, makes an iterator and callbacks, and throws them
    away. For a few steps that takes far longer than the steps.

    What to change: `model.train_on_batch(x, y)`, which is one step and nothing else; or one `fit` over a generator or
    `PyDataset` that yields what the loop made.

    When this is wrong: what the loop does between two fits takes far longer than the fits. Callbacks and validation
    have no place in `train_on_batch`.

    Sources: https://github.com/tensorflow/tensorflow/issues/35124. Measured on two cores: 83 times faster on
    TensorFlow, 8 on JAX, 2.3 on torch. The prediction leaves 2 to 30 % of what this fit took before its first step,
    and 2 to 50 % of what made that step longer than the others.
    """
    if fit_index <= _MANY_FITS:
        return Passed(f"this is fit {fit_index} of the model")
    if steps >= _FEW_STEPS:
        return Passed(f"each fit has {steps} steps")
    if _often(compilation.remade or 0, fit_index):
        return Passed("the model is compiled in between, which is FW09")
    once_s = startup_s + compilation_s
    around_s = once_s + boundaries_s  # the end of so short a fit is that of its epoch
    if around_s < _ONCE_FROM * wall_s:
        return Passed(f"starting and ending takes {words.share(around_s / wall_s)} of the fit")
    return Found(
        title="fit is called again and again for a few steps",
        message=f"This is fit {fit_index} of the model, of {steps} steps. It took {words.seconds(wall_s)}, of which "
        f"{words.seconds(once_s)} passed before the first step or made it longer.",
        phase="startup",
        evidence={
            "fits of this model": str(fit_index),
            "steps of this one": str(steps),
            "starting": f"{words.seconds(once_s)}, {words.share(once_s / wall_s)} of it",
        },
        remedy="Make single steps with `train_on_batch`, or one fit over all data.",
        code="- model.fit(x, y, epochs=1, verbose=0)\n"
        + ("+ model.train_on_batch(x, y)" if steps == 1 else _STEP_BY_STEP),
        change=Change(factors={"startup_s": Range(0.3, 0.1, 0.02), "compilation_s": Range(0.5, 0.1, 0.02)}),
        changes_results="no" if steps == 1 else "training",  # `fit` shuffles
    )


def _often(remade: int, fit_index: int) -> bool:
    """Whether the step was made anew for every other fit or more."""
    return 2 * remade >= fit_index - 1


@rule("FW09", "recompile-in-loop", silences=("FW04", "FW08", "FW03"))
def recompile_in_loop(fit_index: int, compilation: Compilation, compilation_s: float, wall_s: float) -> Outcome:
    """The model is compiled anew before every fit.

    What it means: `model.compile` was called again between the fits of one model.

    Why it is slow: `compile` throws the traced or compiled step away, and the next fit makes it anew.

    What to change: compile once. The learning rate can be assigned, `model.optimizer.learning_rate = 1e-4`, or follow a
    schedule.

    When this is wrong: what is compiled has to change, as when layers are unfrozen; twice in a training is no loop.

    Sources: Keras, Model.compile. Measured on two cores: 3.3 times faster. The prediction leaves
    up to 20 % of what this fit spent on compiling: a step that was compiled once starts like any other.
    """
    remade = compilation.remade
    if remade is None:
        return NotApplicable("whether the step was made anew is not known")
    if remade < _REMADE_FROM or not _often(remade, fit_index):
        return Passed(f"the step was made anew {remade} times in {fit_index} fits" if remade else "it was made once")
    share = compilation_s / wall_s
    if share < _COMPILING_FROM:
        return Passed(f"compiling took {words.share(share)} of the fit")
    return Found(
        title="The model is compiled anew before every fit",
        message=f"This is fit {fit_index} of the model, and its step was made anew {remade} times since the first. "
        f"That took {words.seconds(compilation_s)} of this fit, {words.share(share)}.",
        phase="compilation",
        evidence={
            "fits of this model": str(fit_index),
            "compiled anew": f"{remade} times",
            "compiling": f"{words.seconds(compilation_s)}, {words.share(share)} of the fit",
        },
        remedy="Compile once, and change the learning rate in place.",
        code="- model.compile(keras.optimizers.Adam(rate), ...)\n+ model.optimizer.learning_rate = rate",
        change=Change(factors={"compilation_s": _MADE_ONCE}),
        changes_results="training",
    )


@rule("FW16", "model-built-for-every-fit")
def model_for_every_fit(backend: str, compilation: Compilation, compilation_s: float, wall_s: float) -> Outcome:
    """A model of the same layers is built anew for every fit.

    What it means: this script, or cell of a notebook, fitted other models of the same layers and shapes before, as in a
    cross-validation or a search over learning rates, and compiling takes a good part of each fit.

    Why it is slow: a step is traced and compiled for its model. A new one starts from nothing, though it is the same.

    What to change: build and compile one model, and put all of its variables back before each further fit.

    When this is wrong: fits are long, so that compiling hardly counts; the rule is silent then. All fits begin with the
    same weights, where new models draw others: for an ensemble that is not wanted.

    Sources: Keras, Model.compile. Measured on two cores, five folds of a network with seven layers and 30 steps: 4.5
    times faster on TensorFlow, 5.3 on JAX. The prediction leaves up to 20 % of what this fit spent on compiling.
    """
    alike = compilation.alike
    if alike is None:
        return NotApplicable("whether models alike were fitted before is not known")
    if alike < _ALIKE_FROM:
        return Passed(f"{alike} models alike were fitted before" if alike else "no model alike was fitted before")
    share = compilation_s / wall_s if wall_s else 0.0
    if share < _COMPILING_FROM_OF_MODELS:
        return Passed(f"compiling took {words.share(share)} of the fit")
    return Found(
        title="A model is built anew for every fit",
        message=f"{alike} models of the same layers and shapes were fitted before from here. The step of this "
        f"one was {'traced' if backend == 'tensorflow' else 'compiled'} anew all the same: "
        f"{words.seconds(compilation_s)}, {words.share(share)} of the fit.",
        phase="compilation",
        evidence={
            "models alike before": str(alike),
            "compiling": f"{words.seconds(compilation_s)}, {words.share(share)} of the fit",
        },
        remedy="Build and compile one model, and put its variables back before each further fit. All fits then begin "
        "with the same weights.",
        code="+ model.optimizer.build(model.trainable_variables)   # once, after `compile`\n"
        "+ variables = [*model.variables, *model.optimizer.variables]\n"
        "+ initial = [keras.ops.convert_to_numpy(variable) for variable in variables]\n"
        "- model = build()   # before every fit\n"
        "+ for variable, value in zip(variables, initial):\n+     variable.assign(value)",
        change=Change(factors={"compilation_s": _MADE_ONCE, **(_BUILT_ONCE if backend == "jax" else {})}),
        changes_results="training",
    )


@rule("FW13", "models-kept", silences=("HW07",))
def models_kept(live_models: int, memory_pressure: float, steady_wall_s: float) -> Outcome:
    """Models of earlier fits fill the memory.

    What it means: more than five models that were trained in this process are still in memory, as after a search over
    parameters or a cross-validation, and memory is short.

    Why it is slow: tasks wait for memory, and may be swapped out. Something still refers to the models: a list of what
    `fit` returned does, as a `History` holds its model.

    What to change: keep `history.history`, which is numbers; then `del model`, `keras.utils.clear_session()` and
    `gc.collect()` before the next model is made.

    When this is wrong: the models are an ensemble and needed. With enough memory they cost nothing worth mentioning:
    twelve of them made an epoch 1.0 to 1.2 times as long with Keras 3, and the rule is silent.

    Sources: https://github.com/keras-team/keras/issues/3579. Models are counted whose fits had this callback. The
    prediction is that of HW07: how much of the memory the models hold is not known.
    """
    if live_models <= _MANY_FITS:
        return Passed(f"{live_models} models are in memory")
    if memory_pressure < _PRESSURE_FROM:
        return Passed(f"{live_models} models are in memory, which is not short")
    return Found(
        title="Models of earlier fits fill the memory",
        message=f"{live_models} models that were trained in this process are still in memory, and some task waits for "
        f"memory {words.share(memory_pressure)} of {words.seconds(steady_wall_s)} of training.",
        phase="compute",
        evidence={
            "models in memory": str(live_models),
            "waiting for memory": f"{words.share(memory_pressure)} of the time",
        },
        remedy="Keep the numbers, not the models, and let go of each before the next.",
        code="- histories.append(model.fit(...))\n"
        "+ histories.append(model.fit(...).history)\n"
        "+ del model\n"
        "+ keras.utils.clear_session()\n"
        "+ gc.collect()",
        change=without_pressure(memory_pressure),
        confidence="likely",
    )


RULES = (fit_in_a_loop, recompile_in_loop, model_for_every_fit, models_kept)
