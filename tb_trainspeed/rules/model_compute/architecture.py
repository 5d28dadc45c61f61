"""Parts of the model that cost more than they need to: wide layers, high resolution, metrics."""

import itertools

from tb_trainspeed.profile import Layer, Model
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import seconds_of, sizes
from tb_trainspeed.rules.model_compute.shared import CONVOLUTIONS, computes_little, cost, less, names, option
from tb_trainspeed.rules.rule import Found, NotApplicable, Outcome, Passed, rule

_GIANT_FROM = 1_000_000
_GIANT_SHARE_FROM = 0.5
_SPEAK_FROM, _DOMINATES_FROM = 0.15, 0.5
_SIDE_FROM = 112
_CLASSES_FROM = 50_000
# A vocabulary of word pieces: BERT's has 30,522.
_FEW_CLASSES = 30_000
#: Metrics that count for many thresholds.
_HEAVY = ("AUC", "PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity")
_POOLED = {3: "GlobalAveragePooling2D", 4: "GlobalAveragePooling3D", 2: "GlobalAveragePooling1D"}


@rule("MC07", "flatten-dense-giant", silences=("OP03",))
def flatten_dense(
    layers: tuple[Layer, ...],
    layer_s: dict[str, tuple[float, float]],
    trainable_parameters: int,
    optimizer_s: float,
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """A `Dense` layer on a flattened feature map holds most of the parameters.

    What it means: `Flatten` turns the map of the last convolution into thousands of numbers, and the next layer has a
    weight for each of them and each of its units.

    Why it is slow: all these weights are multiplied, their gradient is computed, and the optimizer updates them in
    every step.

    What to change: `GlobalAveragePooling2D` in place of `Flatten`, as in networks since 2015; or one more pooling or
    strided convolution before it.

    When this is wrong: where in the map something is matters, not only that it is there. It is another model: compare
    the validation loss.

    Sources: https://arxiv.org/abs/1312.4400, section 3.2. The times of the layer and of the update are measured by deep
    samples. Measured on two cores: 6 to 15 times faster. The prediction takes 80 to 112 % of the layer, and of its
    share of the update, away: what is left has the caches to itself, and gets faster, too.
    """
    found = [
        (flat, dense, _map_before(layers, flat))
        for flat, dense in itertools.pairwise(layers)
        if flat.kind == "Flatten" and dense.kind == "Dense"
    ]
    if not found:
        return NotApplicable("no Dense layer on a flattened map")
    flat, dense, before = max(found, key=lambda row: row[1].trainable_parameters)
    held = dense.trainable_parameters / max(1, trainable_parameters)
    if dense.trainable_parameters < _GIANT_FROM or held < _GIANT_SHARE_FROM:
        return Passed(f"`{dense.name}` holds {words.share(held)} of the parameters")
    if len(before) not in _POOLED:
        return NotApplicable("what is flattened is no map")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    own_s = seconds_of([dense], layer_s) + held * optimizer_s
    if own_s < _SPEAK_FROM * computing_s:
        return Passed(f"`{dense.name}` takes {words.share(own_s / computing_s)} of what a step computes")
    return Found(
        title="A Dense layer on a flattened map holds most of the parameters",
        message=f"`{flat.name}` makes a row of a map of {' × '.join(map(str, before))}, and `{dense.name}` has "
        f"{words.number(dense.trainable_parameters)} weights on it, {words.share(held)} of all. With their update they "
        f"take {cost(own_s, computing_s)} of computing.",
        phase="compute",
        evidence={
            f"parameters of `{dense.name}`": f"{words.number(dense.trainable_parameters)}, {words.share(held)}",
            "computing": cost(own_s, computing_s),
        },
        remedy="Pool the map instead of flattening it.",
        code=f"- keras.layers.Flatten()\n+ keras.layers.{_POOLED[len(before)]}()",
        change=less(own_s, 0.8, 1.0, 1.12),
        confidence="likely",
        changes_results="training",
    )


def _map_before(layers: tuple[Layer, ...], flat: Layer) -> tuple[int, ...]:
    """The shape of what a `Flatten` flattens, as far as the layer before it tells."""
    index = layers.index(flat)
    return sizes(layers[index - 1].output_shape) if index else ()


@rule("MC08", "input-resolution")
def input_resolution(
    layers: tuple[Layer, ...], layer_s: dict[str, tuple[float, float]], computing_share: float, computing_s: float
) -> Outcome:
    """Most of a step goes to convolutions at the full resolution of large images.

    What it means: the first convolutions do not make the map smaller, and the images are large.

    Why it is slow: the cost of a convolution is proportional to the pixels. Half the width and height are a quarter of
    the work.

    What to change: smaller images; or a first convolution with `strides=2`, as ResNet and MobileNet have.

    When this is wrong: details count. It is a hint for classifiers, whose output has no position; it is silent for
    segmentation. Compare the validation loss.

    Sources: https://arxiv.org/abs/1905.11946 (resolution and cost). The time of the layers is measured by deep samples.
    Measured on two cores: 2.6 to 4.5 times faster from 128 to 64 pixels. The prediction takes half to 90 % of all
    layers away whose outputs have positions: a quarter of the pixels is what is left for the later ones, too.
    """
    convolutions = [layer for layer in layers if layer.kind in CONVOLUTIONS[1:] and len(sizes(layer.output_shape)) >= 3]
    if not convolutions:
        return NotApplicable("no convolutions of images")
    if len(sizes(layers[-1].output_shape)) > 1:
        return NotApplicable("the output has positions")
    side = max(sizes(convolutions[0].output_shape)[:2])
    if side < _SIDE_FROM or option(convolutions[0], "strides") > 1:
        return Passed(f"the first map is {side} wide")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    full = [layer for layer in convolutions if max(sizes(layer.output_shape)[:2]) > side * 0.75]
    own_s = seconds_of(full, layer_s)
    if own_s < _DOMINATES_FROM * computing_s:
        return Passed(f"the first maps take {words.share(own_s / computing_s)} of what a step computes")
    with_positions = [layer for layer in layers if len(sizes(layer.output_shape)) >= 3]
    return Found(
        title="Most of a step goes to convolutions at full resolution",
        message=f"{names(full)} compute maps {side} wide: {cost(own_s, computing_s)} of computing.",
        phase="compute",
        evidence={"layers": names(full), "map": f"{side} wide", "computing": cost(own_s, computing_s)},
        remedy="Use images of half the width and height, or make the first convolution skip every second pixel.",
        code=f'- keras.layers.{full[0].kind}(..., name="{full[0].name}")\n'
        f'+ keras.layers.{full[0].kind}(..., strides=2, name="{full[0].name}")',
        change=less(seconds_of(with_positions, layer_s), 0.5, 0.8, 0.9),
        confidence="hint",
        changes_results="training",
    )


@rule("MC11", "depthwise-on-gpu")
def depthwise_on_gpu(
    layers: tuple[Layer, ...],
    layer_s: dict[str, tuple[float, float]],
    accelerators: tuple[str, ...],
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """Depthwise or grouped convolutions take most of the time on a GPU.

    What it means: `DepthwiseConv2D`, `SeparableConv2D` or `groups` greater than 1.

    Why it is slow: they need few operations for each number that they read, so the GPU waits for its memory.

    What to change: ordinary convolutions in the first, large maps (fused MBConv of EfficientNetV2); mixed precision,
    which moves half the bytes.

    When this is wrong: on a CPU they are faster than ordinary ones (2.4 times, measured on two cores), and the rule is
    silent. It is a hint: it is another model.

    Sources: https://arxiv.org/abs/2104.00298, https://github.com/tensorflow/tensorflow/issues/12940. The time of the
    layers is measured by deep samples; the prediction takes up to half of it away, and nothing at worst. Not verified
    on hardware.
    """
    found = [layer for layer in layers if _is_depthwise(layer)]
    if not found:
        return NotApplicable("no depthwise or grouped convolutions")
    if "GPU" not in accelerators:
        return NotApplicable("on a CPU they are fast")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    own_s = seconds_of(found, layer_s)
    if own_s < _DOMINATES_FROM * computing_s:
        return Passed(f"they take {words.share(own_s / computing_s)} of what a step computes")
    return Found(
        title="Depthwise convolutions wait for the memory of the GPU",
        message=f"{names(found)} take {cost(own_s, computing_s)} of computing.",
        phase="compute",
        evidence={"layers": names(found), "computing": cost(own_s, computing_s)},
        remedy="Use ordinary convolutions in the first, large maps.",
        code=f"- keras.layers.{found[0].kind}(...)\n+ keras.layers.Conv2D(...)",
        change=less(own_s, 0.0, 0.25, 0.5),
        confidence="hint",
        changes_results="training",
    )


def _is_depthwise(layer: Layer) -> bool:
    return layer.kind.startswith(("DepthwiseConv", "SeparableConv")) or option(layer, "groups") > 1


@rule("MC17", "huge-softmax", silences=("OP03",))
def huge_softmax(
    backend: str,
    layers: tuple[Layer, ...],
    layer_s: dict[str, tuple[float, float]],
    trainable_parameters: int,
    optimizer_s: float,
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """The last layer has a unit for each of very many classes.

    What it means: a `Dense` of 50,000 units or more, as for words or products, takes most of the step.

    Why it is slow: every class is scored for every sample, and every weight is updated, though one class is right.

    What to change: fewer classes (a smaller vocabulary of word pieces); a loss over a sample of classes, which
    TensorFlow has (`tf.nn.sampled_softmax_loss`); two levels of classes.

    When this is wrong: all scores are needed in training. It changes training.

    Sources: https://arxiv.org/abs/1412.2007 (sampled softmax). The times of the layer and of the update are measured by
    deep samples. The prediction takes 30 to 90 % of them away.
    """
    dense = [layer for layer in layers if layer.kind == "Dense"]
    if not dense:
        return NotApplicable("no Dense layer")
    last = dense[-1]
    classes = int(option(last, "units")) or (sizes(last.output_shape) or (0,))[-1]
    if classes < _CLASSES_FROM:
        return Passed(f"`{last.name}` has {words.number(classes)} units")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    own_s = seconds_of([last], layer_s) + optimizer_s * last.trainable_parameters / max(1, trainable_parameters)
    if own_s < _DOMINATES_FROM * computing_s:
        return Passed(f"`{last.name}` takes {words.share(own_s / computing_s)} of what a step computes")
    if backend == "tensorflow":
        remedy = "Score a sample of the classes, or use fewer."
        code = (
            "- loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)\n"
            "+ loss = tf.nn.sampled_softmax_loss(\n"
            f"+     weights, biases, labels, inputs, num_sampled=1024, num_classes={classes}\n"
            "+ )   # in `train_step`"
        )
    else:
        remedy = "Use fewer classes, such as word pieces for words, or write a loss over a sample of them."
        code = f"- keras.layers.Dense({classes}, ...)\n+ keras.layers.Dense({_FEW_CLASSES}, ...)   # word pieces"
    return Found(
        title="Scoring all classes takes most of the step",
        message=f"`{last.name}` scores {words.number(classes)} classes: with its update {cost(own_s, computing_s)} of "
        "computing.",
        phase="compute",
        evidence={"classes": words.number(classes), "computing": cost(own_s, computing_s)},
        remedy=remedy,
        code=code,
        change=less(own_s, 0.3, 0.7, 0.9),
        confidence="likely",
        changes_results="training",
    )


@rule("MC18", "heavy-metrics")
def heavy_metrics(model: Model, metrics_s: float, computing_s: float) -> Outcome:
    """Metrics take a good part of each step.

    What it means: `AUC` and its like compare every prediction with 200 thresholds, in every step.

    Why it is slow: for a small model that is more than the forward pass.

    What to change: compute it where it is looked at, once an epoch on the validation data. Fewer thresholds do not
    help: Keras sorts the predictions into evenly spaced ones at once.

    When this is wrong: a callback watches the metric on the training data. For a large model it costs next to nothing,
    and the rule is silent.

    Sources: https://github.com/keras-team/keras/issues/19953. The time of the metrics is measured by deep samples,
    which make many small operations seem dearer than they are. Measured on two cores: without `AUC` 1.3 to 1.6 times
    faster on TensorFlow, 4.7 on JAX, 1.5 to 2.2 on torch. The prediction takes 30 to 100 % of their time away.
    """
    heavy = [name for name in model.metrics if name in _HEAVY]
    if not heavy:
        return NotApplicable("no metric with many thresholds")
    if metrics_s < _SPEAK_FROM * computing_s:
        return Passed(f"metrics take {words.share(metrics_s / computing_s)} of what a step computes")
    return Found(
        title="Metrics take a good part of each step",
        message=f"`{heavy[0]}` is updated in every step; metrics take {cost(metrics_s, computing_s)} of computing.",
        phase="compute",
        evidence={"metrics": ", ".join(model.metrics), "computing": cost(metrics_s, computing_s)},
        remedy="Compute it once an epoch, on the validation data.",
        code=f"- metrics=[keras.metrics.{heavy[0]}()]\n"
        f"+ metric = keras.metrics.{heavy[0]}()  # in on_epoch_end of a callback\n"
        "+ metric.update_state(y_val, self.model(x_val, training=False))",
        change=less(metrics_s, 0.3, 0.8, 1.0),
        confidence="likely",
    )


RULES = (flatten_dense, input_resolution, depthwise_on_gpu, huge_softmax, heavy_metrics)
