"""A backbone that is not trained, and is computed all the same; or one that is, from the first epoch on."""

from tb_trainspeed.profile import Data, Layer, Stage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import seconds_of
from tb_trainspeed.rules.input_pipeline.shared import PYTHON, does
from tb_trainspeed.rules.input_pipeline.shared import RANDOM as RANDOM_OPERATIONS
from tb_trainspeed.rules.model_compute.shared import RANDOM, computes_little, cost, less
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule

_DOMINATES_FROM = 0.5
_EPOCHS_FROM = 3
# What the host takes to start a layer in TensorFlow's graph. Measured on two cores: 1.9 ms for the 155 of MobileNetV2.
_START_LAYER_S = 12e-6
_VARIES = ("Dropout", "Noise")
_MODELS = ("Functional", "Sequential", "Model")
_PRETRAINED = (
    "convnext", "densenet", "efficientnet", "inception", "mobilenet", "nasnet", "resnet", "vgg16", "vgg19", "xception",
)  # fmt: skip


def _leading(layers: tuple[Layer, ...]) -> list[Layer]:
    """The layers before the first that is trained."""
    first = next((index for index, layer in enumerate(layers) if layer.trainable_parameters), len(layers))
    return list(layers[:first])


def _head(layers: tuple[Layer, ...], last_frozen: Layer) -> str | None:
    """The layer of the model itself at which the part that changes from epoch to epoch begins.

    The input of a nested model is its own: `None` where it is one.
    """
    behind = layers[layers.index(last_frozen) + 1 :]
    for layer in behind:
        if "/" not in layer.path and (layer.trainable_parameters or layer.kind.endswith(_VARIES)):
            return None if layer.kind in _MODELS else layer.name
    return None


@rule("MC09", "frozen-backbone-recomputed", silences=("MC08",))
def frozen_backbone(
    layers: tuple[Layer, ...],
    layer_s: dict[str, tuple[float, float]],
    stages: tuple[Stage, ...],
    data: Data,
    backend: str,
    epochs_planned: int,
    computing_share: float,
    computing_s: float,
) -> Outcome:
    """A frozen backbone computes the same features again in every epoch.

    What it means: the first part of the model is not trained, and takes most of the step. For the same image it gives
    the same features in every epoch.

    Why it is slow: all of them are computed again, although once would do.

    What to change: compute the features once, with `predict`, and train the head on them.

    When this is wrong: images are augmented, so that none comes twice (the rule is silent where it sees that, and only
    hints where Python code makes the images, also inside tf.data); or the backbone is to be unfrozen soon. Dropout
    inside a frozen backbone goes on dropping, unless it is called with `training=False`: then features differ from
    epoch to epoch, and this is a hint.

    Sources: https://keras.io/guides/transfer_learning. The time of the layers is measured by deep samples. Measured on
    two cores: 10 times faster epochs; computing the features takes about as long as one epoch. The prediction takes 85
    to 100 % of the layers' time away, 99 % as expected, and on TensorFlow 12 µs of the host's for each, from the second
    epoch on.
    """
    leading = _leading(layers)
    frozen = [layer for layer in leading if layer.parameters]
    if not frozen:
        return NotApplicable("no frozen layers in front")
    if any(layer.kind.startswith(RANDOM) for layer in leading):
        return Passed("the model augments its inputs")
    if any(does(stage, RANDOM_OPERATIONS) for stage in stages):
        return Passed("the pipeline augments the inputs")
    if data.options.get("random"):
        return Passed("the code that makes the batches draws random numbers")
    if epochs_planned < _EPOCHS_FROM:
        return Passed(f"there are {epochs_planned} epochs")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    own_s = seconds_of(leading, layer_s)
    if own_s < _DOMINATES_FROM * computing_s:
        return Passed(f"frozen layers take {words.share(own_s / computing_s)} of what a step computes")
    head = _head(layers, frozen[-1])
    # From the model's inputs on: what scales or crops them in front of a backbone belongs to the features.
    features = f'keras.Model(model.inputs, model.get_layer("{head}").input)' if head else "backbone"
    behind = (
        f'keras.Model(model.get_layer("{head}").input, model.outputs)' if head else "keras.Sequential(layers_after)"
    )
    behind = f"+ head = {behind}\n+ head.compile(...)   # as the model\n"
    fewer = len(leading) * _START_LAYER_S if backend == "tensorflow" else 0.0
    started = {"dispatch_s": Range(0.0, fewer, 1.5 * fewer)} if fewer else {}
    # What Python code does to the inputs cannot be told.
    hidden = data.adapter in ("GeneratorDataAdapter", "PyDatasetAdapter", "TorchDataLoaderAdapter") or any(
        does(stage, PYTHON) for stage in stages
    )
    # A layer that is frozen drops out all the same, unless the model is called with `training=False`.
    varies = any(layer.kind.endswith(_VARIES) for layer in leading[: leading.index(frozen[-1])])
    if data.adapter == "TFDatasetAdapter":  # which may come shuffled: features and labels have to stay together
        once = f"dataset.take({data.steps_per_epoch})" if data.steps_per_epoch else "dataset"
        code = (
            f"+ backbone = {features}\n"
            f"+ pairs = [(backbone.predict_on_batch(x), y) for x, y in {once}.as_numpy_iterator()]\n"
            f"+ features, labels = map(np.concatenate, zip(*pairs))\n{behind}"
            "- model.fit(dataset, ...)\n+ head.fit(features, labels, ...)"
        )
    else:
        code = (
            f"+ features = {features}.predict(x, batch_size={data.batch_size or 32})\n"
            f"{behind}- model.fit(x, y, ...)\n+ head.fit(features, y, ...)"
        )
    return Found(
        title="A frozen backbone computes the same features in every epoch",
        message=f"{len(frozen)} layers up to `{frozen[-1].name}` are not trained and take {cost(own_s, computing_s)} "
        f"of computing, in each of {epochs_planned} epochs.",
        phase="compute",
        evidence={
            "frozen layers": str(len(frozen)),
            "computing": cost(own_s, computing_s),
            "epochs": str(epochs_planned),
        },
        remedy="Compute the features once, and train the rest of the model on them; those of validation data too.",
        code=code,
        change=Change(removes={**less(own_s, 0.85, 0.99, 1.0).removes, **started}, first_epoch=False),
        confidence="hint" if hidden or varies else "likely",
        changes_results="training" if varies or hidden else "rounding",
    )


@rule("MC10", "training-whole-backbone")
def training_whole_backbone(
    layers: tuple[Layer, ...], layer_s: dict[str, tuple[float, float]], computing_share: float, computing_s: float
) -> Outcome:
    """A known architecture is trained as a whole from the first epoch on.

    What it means: the model holds one of `keras.applications`, and all of its layers are trained.

    Why it is slow: the backward pass goes through all layers and costs twice the forward pass.

    What to change: if its weights are pretrained, freeze it first (`base.trainable = False`), train the head, and
    unfreeze a part of it with a low learning rate.

    When this is wrong: it is trained from scratch, which cannot be seen from the model. It is a hint.

    Sources: https://keras.io/guides/transfer_learning. The time of the layers is measured by deep samples. Measured on
    two cores: 4.8 times faster epochs.
    """
    base = next(
        (
            layer
            for layer in layers
            if layer.kind in ("Functional", "Model") and layer.name.lower().startswith(_PRETRAINED)
        ),
        None,
    )
    if base is None:
        return NotApplicable("no architecture of keras.applications")
    inside = [layer for layer in layers if layer.path.startswith(f"{base.path}/")]
    if not any(layer.trainable_parameters for layer in inside):
        return Passed(f"`{base.name}` is frozen")
    if any(layer.parameters and not layer.trainable for layer in inside):
        return Passed(f"a part of `{base.name}` is frozen")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    backward_s = sum(layer_s.get(layer.path, (0.0, 0.0))[1] for layer in inside)
    if backward_s < _DOMINATES_FROM * computing_s:
        return Passed(f"its backward pass takes {words.share(backward_s / computing_s)} of what a step computes")
    return Found(
        title="A known architecture is trained as a whole",
        message=f"All {len(inside)} layers of `{base.name}` are trained; their backward pass takes "
        f"{cost(backward_s, computing_s)} of computing.",
        phase="compute",
        evidence={"backbone": base.name, "backward pass": cost(backward_s, computing_s)},
        remedy="If its weights are pretrained, freeze it first and train the head.",
        code=f'+ model.get_layer("{base.name}").trainable = False   # before `compile`',
        change=less(backward_s, 0.7, 0.9, 1.0),
        confidence="hint",
        changes_results="training",
    )


RULES = (frozen_backbone, training_whole_backbone)
