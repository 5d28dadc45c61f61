"""Recurrent layers, which compute one time step after the other, and dropout."""

import itertools
from collections.abc import Mapping

from tb_trainspeed.profile import Layer, LayerTime
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import seconds_of, sizes
from tb_trainspeed.rules.model_compute.shared import computes_little, cost, less, masked, names, option, uses_cudnn
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, rule

_SPEAK_FROM, _DOMINATES_FROM = 0.2, 0.6
_LONG = 200
_RECURRENT = ("LSTM", "GRU", "SimpleRNN")
#: What keeps `LSTM` and `GRU` from cuDNN: `use_cudnn` in keras/src/layers/rnn/{lstm,gru}.py and the backends' rnn.py.
_BLOCKS = ("activation", "recurrent_activation", "unroll", "use_bias", "reset_after", "use_cudnn")


# What cuDNN saves of a layer at least, probably, at best. The PR that brought it to JAX speaks of 5 times
# (https://github.com/keras-team/keras/pull/22399).
_SAVED_BY_CUDNN = {"tensorflow": (0.5, 0.85, 0.96), "jax": (0.0, 0.6, 0.8), "torch": (0.5, 0.85, 0.96)}


def _blocked(layer: Layer) -> str:
    """The option that keeps a layer from cuDNN, empty where there is none."""
    if option(layer, "recurrent_dropout"):
        return "recurrent_dropout"
    return next((name for name in _BLOCKS if name in layer.options), "")


@rule("MC01", "rnn-not-cudnn", silences=("MC02",))
def rnn_not_cudnn(
    layers: tuple[Layer, ...],
    layer_s: dict[str, tuple[float, float]],
    accelerators: tuple[str, ...],
    backend: str,
    versions: Mapping[str, str],
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """An option, or a mask, keeps a recurrent layer from the fast path.

    What it means: `LSTM` and `GRU` with their defaults run as one call of cuDNN on a GPU; on JAX only `LSTM`, from
    Keras 3.14 on, on torch `LSTM` from 3.15 on and `GRU` from 3.14 on. `recurrent_dropout`, another activation,
    `unroll`, `use_bias=False` or `reset_after=False` rule that out, and on JAX and torch every mask, as of
    `Embedding(..., mask_zero=True)`. On a CPU, `recurrent_dropout` makes a layer of TensorFlow dearer too.

    Why it is slow: without cuDNN every time step is a handful of small operations, each started by itself.

    What to change: the default. For dropout, `dropout` instead of `recurrent_dropout`. Instead of a mask, rows that
    begin with their padding: the last state is still that of the last token.

    When this is wrong: the option is what makes the model good: compare the validation loss. With cuDNN, TensorFlow
    does not compile the rest of the model with XLA. A mask is seen by the order of the layers only, and is a hint.

    Sources: https://keras.io/api/layers/recurrent_layers/lstm, https://github.com/tensorflow/tensorflow/issues/38236
    (25 times), https://github.com/keras-team/keras/issues/8135 (7.8 times),
    https://github.com/keras-team/keras/pull/22399 (5 times on JAX); Keras, `backend/jax/rnn.py` and
    `backend/torch/rnn.py`. The time of the layers is measured by deep samples. Measured on two cores: 2 times faster
    without `recurrent_dropout`, on another machine 1.2 and 1.4 times. Not verified on hardware for GPUs.
    """
    found = [layer for layer in layers if layer.kind in ("LSTM", "GRU")]
    if not found:
        return NotApplicable("no LSTM or GRU")
    on_gpu = "GPU" in accelerators
    if not on_gpu and backend != "tensorflow":
        return NotApplicable("cuDNN is for GPUs")
    found = [layer for layer in found if uses_cudnn(layer, backend, versions)]
    if not found:
        return NotApplicable(f"Keras {versions['keras']} has no cuDNN for them on {backend}")
    blocked = [layer for layer in found if _blocked(layer) and (on_gpu or option(layer, "recurrent_dropout"))]
    by_mask = [layer for layer in masked(layers, backend) if layer in found]
    if not blocked and not by_mask:
        return Passed("the recurrent layers have the options of the fast path")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    slow = blocked or by_mask
    own_s = seconds_of(slow, layer_s)
    if own_s < _SPEAK_FROM * computing_s:
        return Passed(f"they take {words.share(own_s / computing_s)} of what a step computes")
    if not blocked:
        return _masked(by_mask, layers, cost(own_s, computing_s), less(own_s, 0.0, *_SAVED_BY_CUDNN[backend][1:]))
    layer, why = blocked[0], _blocked(blocked[0])
    value = layer.options[why]
    drops = why == "recurrent_dropout"
    return Found(
        title="An option keeps recurrent layers from the fast path",
        message=f"`{why}={value}` of {names(blocked)} rules "
        f"{'cuDNN' if on_gpu else 'the faster loop'} out; they take {cost(own_s, computing_s)} of computing.",
        phase="compute",
        evidence={"layers": names(blocked), "option": f"{why}={value}", "computing": cost(own_s, computing_s)},
        remedy="Drop the inputs instead of the state." if drops else "Use the default.",
        code=f"- keras.layers.{layer.kind}({layer.options.get('units', '...')}, {why}={value})\n"
        f"+ keras.layers.{layer.kind}({layer.options.get('units', '...')}{f', dropout={value}' if drops else ''})",
        change=less(own_s, *_SAVED_BY_CUDNN[backend]) if on_gpu else less(own_s, 0.15, 0.4, 0.6),
        confidence="likely",
        changes_results="training",
    )


def _masked(slow: list[Layer], layers: tuple[Layer, ...], spent: str, change: Change) -> Found:
    """What is to be said of layers that get a mask."""
    source = next(layer for layer in layers if layer.kind == "Masking" or "mask_zero" in layer.options)
    if source.kind == "Masking":
        code = "- keras.layers.Masking(...)"
    else:
        size = f"{source.options.get('input_dim', '...')}, {source.options.get('output_dim', '...')}"
        code = f"- keras.layers.Embedding({size}, mask_zero=True)\n+ keras.layers.Embedding({size})"
    return Found(
        title="A mask keeps recurrent layers from the fast path",
        message=f"The mask of `{source.name}` rules cuDNN out for {names(slow)}; they take {spent} of computing.",
        phase="compute",
        evidence={"layers": names(slow), "mask": f"of {source.name}", "computing": spent},
        remedy="Do without the mask: put the padding at the beginning of the rows, or batches of rows of one length.",
        code=f'{code}\n+ x = keras.utils.pad_sequences(rows, padding="pre")',
        change=change,
        confidence="hint",
        changes_results="training",
    )


@rule("MC02", "rnn-inherently-serial")
def rnn_serial(
    layers: tuple[Layer, ...], layer_s: dict[str, tuple[float, float]], computing_share: float, computing_s: float
) -> Outcome:
    """Most of a step is a recurrent layer that goes through a long sequence step by step.

    What it means: the sequence is longer than 200, and the recurrent layers take most of the step.

    Why it is slow: a time step needs the result of the one before, so nothing runs in parallel along the sequence.

    What to change: shorter sequences (`strides` of a `Conv1D` in front), or layers that look at all positions at once:
    `Conv1D`, attention.

    When this is wrong: it is another model. It is a hint; compare the validation loss.

    Sources: https://arxiv.org/abs/1803.01271. The time of the layers is measured by deep samples. Measured on two
    cores: 4.8 times faster with `Conv1D`.
    """
    found = [
        (layer, before)
        for before, layer in itertools.pairwise(layers)
        if layer.kind in _RECURRENT and len(sizes(before.output_shape)) == 2
    ]
    if not found:
        return NotApplicable("no recurrent layer over a sequence of known length")
    length = max(sizes(before.output_shape)[0] for _, before in found)
    if length < _LONG:
        return Passed(f"the sequences are {length} long")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    recurrent = [layer for layer, _ in found]
    own_s = seconds_of(recurrent, layer_s)
    if own_s < _DOMINATES_FROM * computing_s:
        return Passed(f"recurrent layers take {words.share(own_s / computing_s)} of what a step computes")
    units = recurrent[0].options.get("units", "64")
    return Found(
        title="A recurrent layer goes through a long sequence",
        message=f"{names(recurrent)} go through {length} positions in turn: {cost(own_s, computing_s)} of computing.",
        phase="compute",
        evidence={"layers": names(recurrent), "positions": str(length), "computing": cost(own_s, computing_s)},
        remedy="Shorten the sequence, or use layers that look at all positions at once.",
        code=f'+ keras.layers.Conv1D({units}, 5, strides=2, activation="relu")   # in front of `{recurrent[0].name}`',
        change=less(own_s, 0.2, 0.45, 0.8),
        confidence="hint",
        changes_results="training",
    )


@rule("MC13", "dropout-rng")
def dropout_rng(
    layers: tuple[Layer, ...],
    layer_times: tuple[LayerTime, ...],
    layer_s: dict[str, tuple[float, float]],
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """Making random numbers for dropout takes a good part of the step.

    What it means: `Dropout` or noise is applied to large arrays, often.

    Why it is slow: each element needs a random number, in every step.

    What to change: fewer of them, where the arrays are small; `SpatialDropout2D` needs one number a channel.

    When this is wrong: dropout is there for the quality of the model. It is a hint; compare the validation loss.

    Sources: Keras, Dropout. The time of the layers is measured by deep samples. Measured on two cores: 2.6 to
    3.5 times faster without four of them, on TensorFlow; no difference on JAX. The prediction takes 30 to 110 % of that
    time away.
    """
    found = [layer for layer in layers if "Dropout" in layer.kind or layer.kind.endswith("Noise")]
    if not found:
        return NotApplicable("no dropout")
    if not layer_times:
        return NotApplicable("no layer was timed")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    own_s = seconds_of(found, layer_s)
    if own_s < _SPEAK_FROM * computing_s:
        return Passed(f"dropout takes {words.share(own_s / computing_s)} of what a step computes")
    largest = max(found, key=lambda layer: sum(layer_s.get(layer.path, (0.0, 0.0))))
    return Found(
        title="Random numbers for dropout take a good part of the step",
        message=f"{names(found)} take {cost(own_s, computing_s)} of computing, most of it `{largest.name}`.",
        phase="compute",
        evidence={"layers": names(found), "computing": cost(own_s, computing_s)},
        remedy="See whether training does without them, or with one number a channel.",
        code="\n".join(
            f'- keras.layers.{layer.kind}({layer.options.get("rate", "...")}, name="{layer.name}")' for layer in found
        ),
        change=less(own_s, 0.3, 0.95, 1.1),
        confidence="hint",
        changes_results="training",
    )


RULES = (rnn_not_cudnn, rnn_serial, dropout_rng)
