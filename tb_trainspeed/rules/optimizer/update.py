"""The update of all weights: the optimizer, its options, and how often it runs."""

from tb_trainspeed.profile import Model
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.optimizer.shared import BOUND_FROM, CLIPS, cheap, evidence, given, less
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, exactly, rule

_SMALL_BATCH, _LARGER = 128, 4
# The update of fewer is bound by dispatch, not by memory.
_PARAMETERS_FROM = 1_000_000
# What Adam reads and writes for a parameter, and how fast: pessimistic, expected, optimistic. Pairs on two cores gave
# 4.6 GB a second on TensorFlow and 20 on JAX, where one loop does it all.
_ADAM_BYTES, _BYTES_PER_S = 28, {"tensorflow": (3e9, 6e9, 20e9), "jax": (6e9, 20e9, 60e9), "torch": (3e9, 6e9, 20e9)}
_MANY_VARIABLES, _SMALL_VARIABLE = 150, 4000
_ROOM_FROM = 0.2


@rule("OP03", "update-dominates-small-batch", silences=("OP06",))
def update_dominates(
    model: Model,
    optimizer: str,
    trainable_parameters: int,
    batch_size: int,
    optimizer_s: float,
    computing_s: float,
    steady: Steady,
) -> Outcome:
    """Updating the weights takes a good part of each step, because the batch is small.

    What it means: forward and backward passes over a few samples are quick; then all parameters are updated.

    Why it is slow: the update reads and writes every weight, its gradient and its averages, 28 bytes a parameter with
    Adam, and is as fast as the memory is. It costs the same for one sample as for many.

    What to change: a larger batch: fewer updates an epoch. Or an optimizer that keeps less: `Lion` one average, plain
    `SGD` none. `gradient_accumulation_steps` saves the update as well, at the same memory.

    When this is wrong: memory does not allow more, or training needs the many updates. Both remedies change training:
    raise the learning rate with the batch, and compare the validation loss.

    Sources: https://arxiv.org/abs/1706.02677 (learning rate and batch size). The time of the update is measured by deep
    samples; the prediction lets the rest of a step grow with the batch, to 40 to 90 % of that. Measured on two cores:
    58 %.
    """
    samples = batch_size * max(1, int(given(model, "gradient_accumulation_steps")))
    if samples > _SMALL_BATCH:
        return Passed(f"{samples} samples an update")
    if steady.steps_per_epoch < _LARGER:
        return NotApplicable("the data are a few batches")
    if trainable_parameters < _PARAMETERS_FROM:
        return Passed(f"{words.number(trainable_parameters)} parameters")
    if too_little := cheap(optimizer_s, computing_s, BOUND_FROM):
        return Passed(too_little)
    rest_s = max(0.0, computing_s - optimizer_s)
    growth = Range(*((optimizer_s + part * _LARGER * rest_s) / computing_s for part in (0.9, 0.6, 0.4)))
    larger = samples * _LARGER
    return Found(
        title="Updating the weights takes a good part of each step",
        message=f"{optimizer} updates {words.number(trainable_parameters)} parameters after every {samples} "
        f"samples: {words.seconds(optimizer_s)} of the {words.seconds(computing_s)} that a step computes.",
        phase="optimizer",
        evidence={
            **evidence(optimizer_s, computing_s, trainable_parameters),
            "samples a batch": str(batch_size),
        },
        remedy=f"Update after {larger} samples, raise the learning rate with it, and check the validation loss.",
        code=f"- batch_size={batch_size}\n+ batch_size={batch_size * _LARGER}",
        change=Change(
            factors={
                "steps": exactly(1 / _LARGER),
                "device_s": growth,
                "cpu_s": growth,
                "supply_s": Range(_LARGER, _LARGER, _LARGER / 2),
                "source_cpu_s": exactly(_LARGER),
            }
        ),
        confidence="likely",
        changes_results="training",
    )


@rule("OP04", "many-small-variables", silences=("OP03", "OP06"))
def many_small_variables(
    model: Model, backend: str, jit_compile: bool, trainable_parameters: int, optimizer_s: float, computing_s: float
) -> Outcome:
    """The model has hundreds of small variables, and each is updated by itself.

    What it means: many narrow layers, each with a kernel, a bias and perhaps a scale.

    Why it is slow: the update of a variable is a chain of small operations, each of which must be started; there are
    hundreds of such chains a step, and tracing them makes the first step long.

    What to change: fewer, wider layers. With an accelerator, `jit_compile=True` fuses each chain.

    When this is wrong: the architecture is given. On a CPU, compiling did not help.

    Sources: https://github.com/tensorflow/tensorflow/issues/59961, https://github.com/keras-team/keras/issues/19307.
    The time of the update is measured by deep samples. Measured on two cores: a model with few variables and as many
    parameters is 1.9 times faster. The prediction takes 20 to 80 % of the update away.
    """
    count = model.trainable_variables or 0
    if count <= _MANY_VARIABLES:
        return Passed(f"{count} trainable variables")
    if trainable_parameters / count >= _SMALL_VARIABLE:
        return Passed("the variables are large")
    if backend == "jax" or jit_compile:
        return Passed("the update is compiled as a whole")
    if too_little := cheap(optimizer_s, computing_s, BOUND_FROM):
        return Passed(too_little)
    return Found(
        title="Hundreds of small variables are updated one by one",
        message=f"{count} trainable variables hold {words.number(trainable_parameters / count)} parameters on average; "
        f"updating them takes {words.seconds(optimizer_s)} of the {words.seconds(computing_s)} that a step computes.",
        phase="optimizer",
        evidence={**evidence(optimizer_s, computing_s, trainable_parameters), "trainable variables": str(count)},
        remedy="Use fewer, wider layers. With an accelerator, let XLA fuse the update.",
        code="- model.compile(...)\n+ model.compile(..., jit_compile=True)   # with an accelerator",
        change=less(optimizer_s, 0.2, 0.5, 0.8),
        confidence="hint",
        changes_results="rounding",
    )


@rule("OP05", "muon-cost", silences=("OP03", "OP06"))
def muon_cost(
    backend: str,
    optimizer: str,
    trainable_parameters: int,
    batch_size: int,
    optimizer_s: float,
    computing_s: float,
) -> Outcome:
    """Muon multiplies every matrix of weights with itself several times a step.

    What it means: `keras.optimizers.Muon` makes the update of each matrix orthogonal, by five steps of a Newton-Schulz
    iteration.

    Why it is slow: each of these is three matrix products of the size of the weights, whatever the batch. With small
    batches they are more than the forward and backward passes.

    What to change: a larger batch, over which the update is spread; or `AdamW` for small models.

    When this is wrong: Muon may need fewer steps to the same loss, which is what it is for: compare the time to that
    loss, not the time of a step.

    Sources: https://kellerjordan.github.io/posts/muon. The time of the update is measured by deep samples. Measured on
    two cores, matrices of 512 by 512, batch 32: AdamW steps are 7 to 16 times faster on TensorFlow, 17 to 31 times on
    JAX. The prediction leaves what AdamW itself takes, 28 bytes a parameter at 3 to 20 GB a second, on JAX 6 to 60, but
    no more than 15 % of the update.
    """
    if optimizer != "Muon":
        return NotApplicable(f"the optimizer is {optimizer}")
    if too_little := cheap(optimizer_s, computing_s, BOUND_FROM):
        return Passed(too_little)
    adam_s = [min(0.15 * optimizer_s, _ADAM_BYTES * trainable_parameters / rate) for rate in _BYTES_PER_S[backend]]
    removed = Range(*(optimizer_s - stays_s for stays_s in adam_s))
    return Found(
        title="Muon's update takes most of each step",
        message=f"Making the update of {words.number(trainable_parameters)} parameters orthogonal takes "
        f"{words.seconds(optimizer_s)} of the {words.seconds(computing_s)} that {batch_size} samples take.",
        phase="optimizer",
        evidence={
            **evidence(optimizer_s, computing_s, trainable_parameters),
            "samples a batch": str(batch_size),
        },
        remedy="Use AdamW for a model of this size, or a larger batch. Compare the time to the same validation loss.",
        code="- model.compile(optimizer=keras.optimizers.Muon(...), ...)\n"
        "+ model.compile(optimizer=keras.optimizers.AdamW(learning_rate=0.001, ...), ...)   # a rate to be tried",
        change=Change(removes={"device_s": removed}),
        confidence="likely",
        changes_results="training",
    )


@rule("OP06", "averaging-and-clipping")
def averaging_and_clipping(model: Model, trainable_parameters: int, optimizer_s: float, computing_s: float) -> Outcome:
    """Averaged weights or clipping by norm make a dear update dearer.

    What it means: `use_ema=True` keeps a second copy of all weights; `clipnorm` and `global_clipnorm` need the norms of
    all gradients before any weight can be updated.

    Why it is slow: each is one more pass over all parameters, and the update is bound by memory.

    What to change: average every so many steps in a callback (`keras.callbacks.SwapEMAWeights` needs the averages);
    clip by value, which needs no norm.

    When this is wrong: training diverges without. It is a hint: stability is worth more than a tenth of the time.

    Sources: Keras, Optimizer. The time of the update is measured by deep samples. Measured on two cores, 8 million
    parameters, batch 32: 1.7 times faster without `use_ema`, 1.2 times without `global_clipnorm`.
    """
    averages = bool(given(model, "use_ema"))
    clips = [name for name in CLIPS if given(model, name)]
    if not averages and not clips:
        return NotApplicable("weights are not averaged, gradients not clipped by norm")
    if too_little := cheap(optimizer_s, computing_s, BOUND_FROM):
        return Passed(too_little)
    name = "use_ema" if averages else clips[0]
    return Found(
        title="Averaged weights make the update dearer" if averages else "Clipping makes the update dearer",
        message=f"`{name}` is one more pass over {words.number(trainable_parameters)} parameters; the update takes "
        f"{words.seconds(optimizer_s)} of the {words.seconds(computing_s)} that a step computes.",
        phase="optimizer",
        evidence={**evidence(optimizer_s, computing_s, trainable_parameters), "option": name},
        remedy="See whether training does without." if averages else "Clip by value, which needs no norm.",
        code=f"- keras.optimizers.{model.optimizer}(..., {name}=...)\n"
        f"+ keras.optimizers.{model.optimizer}(...{'' if averages else ', clipvalue=1.0'})",
        change=less(optimizer_s, 0.1, 0.4, 0.6) if averages else less(optimizer_s, 0.05, 0.2, 0.35),
        confidence="hint",
        changes_results="training",
    )


@rule("OP07", "needless-gradient-accumulation")
def needless_accumulation(
    model: Model, device_memory_share: float, batch_size: int, computing_s: float, steady: Steady
) -> Outcome:
    """Gradients are accumulated over several small batches although memory has room for a large one.

    What it means: `gradient_accumulation_steps` updates the weights once in so many steps. It is there for batches that
    do not fit into memory; this one would fit.

    Why it is slow: several small steps cost more than a large one: each is dispatched, and small arrays do not keep an
    accelerator busy. The sum of the gradients is kept and updated in each of them.

    What to change: a batch that much larger, without accumulation: the same update. A schedule of the learning rate
    counts the small steps as well, so its steps have to be divided by as many.

    When this is wrong: the peak of memory was measured with another program on the device. Batch normalization sees
    larger batches then, which changes training.

    Sources: Keras, Optimizer (`iterations`, `_get_current_learning_rate`). Not verified on hardware: the prediction
    lets a step grow by 60 to 100 % of the factor.
    """
    count = int(given(model, "gradient_accumulation_steps"))
    if count < 2:
        return NotApplicable("gradients are not accumulated")
    if steady.steps_per_epoch < count:
        return NotApplicable("the data are a few batches")
    if device_memory_share * count > 1 - _ROOM_FROM:
        return Passed(
            f"{words.share(device_memory_share)} of the memory is in use: a batch {count} times as large may not fit"
        )
    normalizes = any(layer.kind == "BatchNormalization" for layer in model.layers)
    schedule = model.optimizer_options.get("learning_rate_schedule", "")
    remedy = f"Train on {batch_size * count} samples a step, without accumulation."
    if schedule:
        remedy += f" Divide the steps of `{schedule}` by {count}: it counted each of the {count} as one."
    growth = Range(float(count), 0.85 * count, 0.6 * count)
    return Found(
        title="Gradients are accumulated although a large batch would fit",
        message=f"The weights are updated once in {count} steps of {batch_size} samples, {words.seconds(computing_s)} "
        f"each; at most {words.share(device_memory_share)} of the device's memory is in use.",
        phase="compute",
        evidence={
            "steps an update": str(count),
            "samples a batch": str(batch_size),
            "memory in use": words.share(device_memory_share),
        },
        remedy=remedy,
        code=f"- optimizer = keras.optimizers.{model.optimizer}(..., gradient_accumulation_steps={count})\n"
        f"+ optimizer = keras.optimizers.{model.optimizer}(...)\n"
        f"- batch_size={batch_size}\n+ batch_size={batch_size * count}",
        change=Change(
            factors={
                "steps": exactly(1 / count),
                "device_s": growth,
                "cpu_s": growth,
                "supply_s": exactly(float(count)),
                "source_cpu_s": exactly(float(count)),
            }
        ),
        confidence="hint",
        changes_results="training" if normalizes or schedule else "rounding",
    )


RULES = (
    update_dominates,
    many_small_variables,
    muon_cost,
    averaging_and_clipping,
    needless_accumulation,
)
