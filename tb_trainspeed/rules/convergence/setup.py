"""What can be seen of the data, the model and the optimizer before the first epoch."""

import re

from tb_trainspeed.profile import Data, Layer, Model, Stage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.convergence.shared import fewer
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.input_pipeline.shared import batches, image_shape
from tb_trainspeed.rules.rule import Found, NotApplicable, Outcome, Passed, rule

_DEEP_FROM = 12
_BUFFERED_BATCHES, _SHORT_SHUFFLE = 2, 10
# Numbers up to this are around 1. Of a few images in bytes one is brighter than the second.
_SCALED_TO, _DARK = 2.0, 127.0
# Layers after which numbers are as large as before, and what other layers are in.
_KEEPS_SCALE = (
    "InputLayer", "Functional", "Sequential", "Flatten", "Reshape", "Resizing", "CenterCrop", "ZeroPadding",
    "RandomCrop", "RandomErasing", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "Dropout",
)  # fmt: skip
_TRAINED = ("Dense", "Conv1D", "Conv2D", "Conv3D", "SeparableConv2D", "DepthwiseConv2D")


@rule("CV01", "unnormalised-inputs")
def unnormalised_inputs(layers: tuple[Layer, ...], data: Data, steady: Steady) -> Outcome:
    """Images go into the model as numbers from 0 to 255.

    What it means: the batches are of `uint8`, or of numbers up to far more than 1 none of which is negative, as
    `keras.utils.image_dataset_from_directory` makes them, and nothing in the model scales them before the first layer
    with weights.

    Why it is slow: initial weights and learning rates are made for numbers around 1. With larger ones the first layers
    saturate, and training takes many more epochs, or fails.

    What to change: `keras.layers.Rescaling(1 / 255)` as the first layer, or `Normalization` for tables.

    When this is wrong: a layer of your own scales them; where one comes first, or one whose weights are not trained,
    the rule is silent.

    Sources: LeCun et al., "Efficient BackProp", 1998, section 4.3. Measured: 2 epochs to a loss of 0.1, never without.
    It is a hint; the prediction is half the epochs. How large numbers are is looked up in a few images.
    """
    described = data.batch or ""
    pixel = "255" if described.startswith("uint8") else data.options.get("largest_pixel")
    if image_shape(described) is None or pixel is None:
        return NotApplicable("no images that are known to have no negative numbers")
    largest = float(pixel)
    if largest <= _SCALED_TO:
        return Passed(f"the images go up to {largest:g}")
    if scales := [layer.name for layer in layers if layer.kind in ("Rescaling", "Normalization")]:
        return Passed(f"`{scales[0]}` scales them")
    first = next((layer for layer in layers if not layer.kind.startswith(_KEEPS_SCALE)), None)
    if first is None:
        return NotApplicable("the layers are not known")
    if first.kind not in _TRAINED or not first.trainable_parameters:
        return Passed(f"`{first.name}` comes first")
    most = 255 if _DARK < largest <= 255 else largest
    return Found(
        title="Images are not scaled",
        message=f"`{first.name}` gets numbers from 0 to {most:g}; training was made for numbers around 1.",
        phase="compute",
        evidence={"a batch": described, "first layer": first.name, "an epoch": words.seconds(steady.epoch_s)},
        remedy="Scale them in the model.",
        code=f"+ keras.layers.Rescaling(1 / {most:g})   # as the first layer",
        change=fewer(1.0, 0.5, 0.2),
        confidence="hint",
        changes_results="training",
    )


@rule("CV04", "short-shuffle")
def short_shuffle(stages: tuple[Stage, ...], batch_size: int, steady: Steady) -> Outcome:
    """The shuffle buffer holds hardly more than a batch.

    What it means: `shuffle(n)` picks from the next n samples. With n near the batch, a batch holds what lies side by
    side in the data.

    Why it is slow: where the data are sorted, by class or by date, each step learns one class and forgets the others.

    What to change: a buffer of many batches; best shuffle the paths or indices, which are small, all of them.

    When this is wrong: the data are in random order already, or order matters, as in a time series.

    Sources: https://www.tensorflow.org/api_docs/python/tf/data/Dataset#shuffle. Measured on sorted data: 10 epochs to a
    loss that a buffer of 64 never reached. It is a hint; the prediction is two thirds of the epochs.
    """
    shuffles = [
        stage
        for index, stage in enumerate(stages)
        if stage.kind == "Shuffle" and not any(batches(before) for before in stages[:index])
    ]
    if not shuffles:
        return NotApplicable("samples are not shuffled by tf.data")
    stage = max(shuffles, key=lambda one: one.buffer or 0)
    if stage.buffer is None or stage.elements is None:
        return NotApplicable("how much is shuffled is not known")
    if stage.buffer > _BUFFERED_BATCHES * batch_size or stage.elements < _SHORT_SHUFFLE * stage.buffer:
        return Passed(f"{words.number(stage.buffer)} of {words.number(stage.elements)} samples are shuffled at a time")
    wanted = min(stage.elements, 50 * batch_size)
    return Found(
        title="The shuffle buffer holds hardly more than a batch",
        message=f"`shuffle({stage.buffer})` mixes that many of {words.number(stage.elements)} samples at a time for "
        f"batches of {batch_size}.",
        phase="compute",
        evidence={
            "buffer": str(stage.buffer),
            "samples": words.number(stage.elements),
            "an epoch": words.seconds(steady.epoch_s),
        },
        remedy="Unless the data are in random order already, mix more of them.",
        code=f"- dataset.shuffle({stage.buffer})\n+ dataset.shuffle({wanted})",
        change=fewer(1.0, 0.67, 0.3),
        confidence="hint",
        changes_results="training",
    )


@rule("CV07", "sgd-no-momentum")
def sgd_no_momentum(model: Model, optimizer: str, steady: Steady) -> Outcome:
    """SGD runs without momentum.

    What it means: `SGD` with its default, `momentum=0.0`.

    Why it is slow: where the loss is steep one way and flat the other, steps go back and forth on the steep one.

    What to change: `SGD(momentum=0.9, nesterov=True)`, with a lower learning rate if it was tuned without.

    When this is wrong: a large embedding is trained, whose update is sparse only without; the rule is silent there.

    Sources: Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013. Measured:
    3 epochs instead of 4 to the same loss. It is a hint.
    """
    if optimizer != "SGD":
        return NotApplicable(f"the optimizer is {optimizer}")
    if model.optimizer_options.get("momentum") not in ("0.0", "0"):
        return Passed("it has momentum")
    if any(layer.kind == "Embedding" for layer in model.layers):
        return Passed("without momentum the update of the embedding is sparse")
    return Found(
        title="SGD runs without momentum",
        message=f"`momentum` is 0; with 0.9 the same loss is commonly reached in fewer epochs of "
        f"{words.seconds(steady.epoch_s)}.",
        phase="compute",
        evidence={"momentum": "0", "an epoch": words.seconds(steady.epoch_s)},
        remedy="Try momentum, and compare the validation loss.",
        code="- keras.optimizers.SGD(...)\n+ keras.optimizers.SGD(..., momentum=0.9, nesterov=True)",
        change=fewer(1.0, 0.75, 0.5),
        confidence="hint",
        changes_results="training",
    )


@rule("CV08", "softmax-in-float16")
def softmax_in_float16(model: Model, layers: tuple[Layer, ...], steady: Steady) -> Outcome:
    """The last softmax is computed in float16.

    What it means: the policy is `mixed_float16`, and the output layer has it too.

    Why it is slow: in 16 bits probabilities below 6e-8 are 0, and their logarithms infinite: the gradients are lost, or
    the loss scale falls and the step is skipped.

    What to change: `dtype="float32"` for that layer; or `mixed_bfloat16`, which needs no loss scale.

    When this is wrong: the logits are small throughout. It is a hint.

    Sources: https://keras.io/api/mixed_precision, https://www.tensorflow.org/guide/mixed_precision. The prediction, a
    tenth of the steps, is an assumption.
    """
    if "float16" not in (model.dtype_policy or "") or "bfloat16" in (model.dtype_policy or ""):
        return NotApplicable(f"the policy is {model.dtype_policy}")
    if not layers:
        return NotApplicable("the layers are not known")
    last = layers[-1]
    if last.dtype != "float16" or (last.kind != "Softmax" and last.options.get("activation") != "softmax"):
        return Passed("the output is not a softmax in float16")
    return Found(
        title="The last softmax is computed in float16",
        message=f"`{last.name}` is in float16, where small probabilities become 0: their gradients are lost, or steps "
        "are skipped.",
        phase="compute",
        evidence={
            "policy": str(model.dtype_policy),
            "output": f"{last.name}, float16",
            "an epoch": words.seconds(steady.epoch_s),
        },
        remedy="Compute it in float32.",
        code=f'- keras.layers.{last.kind}(...)\n+ keras.layers.{last.kind}(..., dtype="float32")',
        change=fewer(1.0, 0.9, 0.8),
        confidence="hint",
        changes_results="rounding",
    )


@rule("CV09", "deep-without-normalisation")
def deep_without_normalisation(layers: tuple[Layer, ...], steady: Steady) -> Outcome:
    """A deep network has no normalisation layers.

    What it means: a dozen layers with weights or more follow each other, and none of them normalises.

    Why it is slow: the scale of what goes through them, and of the gradients, grows or shrinks with every layer. Only
    low learning rates keep that stable, and those take more epochs.

    What to change: `BatchNormalization` after each convolution (which then needs no bias), `LayerNormalization` in
    networks of `Dense` layers and for small batches.

    When this is wrong: `selu` or a careful initialisation does the same; the rule is silent for `selu`. Each layer
    makes the step longer.

    Sources: https://arxiv.org/abs/1502.03167 (batch normalization: the same accuracy in 14 times fewer steps),
    https://arxiv.org/abs/1607.06450. It is a hint; the prediction is two thirds of the epochs.
    """
    trained = _chained([layer for layer in layers if layer.kind in _TRAINED and layer.trainable_parameters])
    if any("Normalization" in layer.kind for layer in layers):
        return Passed("there are normalisation layers")
    if len(trained) < _DEEP_FROM:
        return Passed(f"{len(trained)} layers with weights")
    if any(layer.options.get("activation") == "selu" for layer in trained):
        return Passed("`selu` normalises by itself")
    convolves = sum(layer.kind != "Dense" for layer in trained) > len(trained) / 2
    kind = "BatchNormalization" if convolves else "LayerNormalization"
    return Found(
        title="A deep network has no normalisation layers",
        message=f"{len(trained)} layers with weights follow each other, `{trained[0].name}` to `{trained[-1].name}`, "
        "and none of them normalises.",
        phase="compute",
        evidence={"layers with weights": str(len(trained)), "an epoch": words.seconds(steady.epoch_s)},
        remedy=f"Try {kind} between them, with a higher learning rate.",
        code=f'+ keras.layers.{kind}()   # after "{trained[0].name}" and those that follow',
        change=fewer(1.0, 0.67, 0.3),
        confidence="hint",
        changes_results="training",
    )


def _chained(layers: list[Layer]) -> list[Layer]:
    """Without layers that do not take what the one before them gives, as heads side by side: known of `Dense`."""
    kept = layers[:1]
    for layer in layers[1:]:
        before, width = _width(kept[-1]), _width(layer)
        takes = layer.parameters // width if width else 0  # and one more where there is a bias
        if not (layer.kind == kept[-1].kind == "Dense" and before and width) or takes in (before, before + 1):
            kept.append(layer)
    return kept


def _width(layer: Layer) -> int:
    sizes = re.findall(r"\d+", layer.output_shape or "")
    return int(sizes[-1]) if sizes else 0


RULES = (unnormalised_inputs, short_shuffle, sgd_no_momentum, softmax_in_float16, deep_without_normalisation)
