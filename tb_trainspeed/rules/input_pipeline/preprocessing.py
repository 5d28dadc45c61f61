"""Where preprocessing runs: inside the model, or on a host with too few cores."""

import dataclasses

from tb_trainspeed.profile import Data, Layer, Stage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import seconds_of
from tb_trainspeed.rules.input_pipeline.shared import RANDOM, SPEAK_FROM, applied, does, waits
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, exactly, rule

# Of Keras 3.8 to 3.15, by their names: a `RandomFourierFeatures` of one's own is no augmentation.
_AUGMENTS = frozenset(
    ("AugMix", "AutoContrast", "CutMix", "Equalization", "MaxNumBoundingBoxes", "MixUp", "RandAugment",
     "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomCrop",
     "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
     "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation",
     "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom", "Solarization")
)  # fmt: skip
_CHEAP = ("RandomFlip", "RandomCrop")
_TEXT = ("TextVectorization", "StringLookup", "IntegerLookup", "Hashing", "HashedCrossing")
_SHARE_FROM = 0.1
# What a core of the host takes for augmentation, in times of what an accelerator does. An assumption.
_ON_HOST = Range(20.0, 10.0, 5.0)
# What is done once for each sample, by what the data are; arrays hold it already.
_KEEPS = {
    "TFDatasetAdapter": "+ dataset = dataset.cache()   # after what is decoded, before what is random",
    "ArrayDataAdapter": "+ # a machine with more cores for the accelerator",
}


@rule("IP21", "augmentation-in-model")
def augmentation_in_model(
    layers: tuple[Layer, ...],
    layer_s: dict[str, tuple[float, float]],
    step_s: float,
    accelerators: tuple[str, ...],
    data: Data,
    input_share: float,
    idle_cores: float,
    cores: float,
) -> Outcome:
    """Augmentation inside the model takes a good part of the step.

    What it means: layers such as `RandomRotation` are part of the model, so the step computes them.

    Why it is slow: they run on the device before the first layer can, and make the step longer; rotations, zooms and
    contrast cost far more than flips and crops.

    What to change: with a GPU or TPU, move them into the data pipeline, where the host works ahead. On a machine
    without one that only moves the work; there, choose cheaper augmentation.

    When this is wrong: the step waits for its input already, or no core is idle, so that the host has no time left:
    the rule is silent then. Augmentation is there for the quality of the model: less of it is no fix.

    Sources: https://github.com/keras-team/keras/issues/23245, https://keras.io/guides/preprocessing_layers. The time of
    the layers is measured by deep samples: with an accelerator the prediction takes half to all of it out of the step,
    and gives a core of the host 5 to 20 times of it to do, which is an assumption; on a CPU it takes nothing to all.
    """
    found = tuple(layer for layer in layers if layer.kind in _AUGMENTS)
    if not found:
        return NotApplicable("no augmentation in the model")
    own_s = seconds_of(found, layer_s)
    share = own_s / step_s
    if share < _SHARE_FROM:
        return Passed(f"augmentation takes {words.share(share)} of a step")
    cheap_s = seconds_of(tuple(layer for layer in found if layer.kind in _CHEAP), layer_s)
    if own_s - cheap_s < _SHARE_FROM * step_s:
        return Passed("what augments is cheap already")
    names = ", ".join(f"`{layer.name}`" for layer in found[:3])
    dearest = max(found, key=lambda layer: seconds_of((layer,), layer_s))
    on_host = {}
    if accelerators:
        if input_share >= SPEAK_FROM:
            return Passed("the step waits for its batches already: the host has no time left for augmentation")
        if idle_cores < 1:
            return Passed(f"{cores - idle_cores:.1f} of {cores:g} cores are busy: the host has none left for it")
        remedy, left = (
            "Move it into the data pipeline, where the host works ahead.",
            Range(own_s * 0.5, own_s * 0.9, own_s),
        )
        on_host = {"supply_s": Range(*(-times * own_s / idle_cores for times in dataclasses.astuple(_ON_HOST)))}
        code = (
            f"- model = keras.Sequential([augmentation, backbone])\n{applied('augmentation(x, training=True)', data)}"
        )
    else:
        remedy, left = (
            "Do with cheaper augmentation: flips and crops cost a fraction of rotations and zooms.",
            Range(0.0, (own_s - cheap_s) * 0.62, own_s - cheap_s),
        )
        code = f"- {dearest.kind}(...),   # {dearest.name}, {words.seconds(seconds_of((dearest,), layer_s))} of a step"
    return Found(
        title="Augmentation makes the step longer",
        message=f"{names} take {words.seconds(own_s)} of a step of {words.seconds(step_s)}.",
        phase="compute",
        evidence={"augmentation a step": words.seconds(own_s), "of the step": words.share(share)},
        remedy=remedy,
        code=code,
        change=Change(removes={"device_s": left, **on_host}),
        confidence="likely" if accelerators else "hint",
        changes_results="training",  # the random numbers are others at least
    )


@rule("IP22", "text-lookup-in-model")
def text_lookup_in_model(
    layers: tuple[Layer, ...],
    layer_s: dict[str, tuple[float, float]],
    step_s: float,
    accelerators: tuple[str, ...],
    idle_cores: float,
    data: Data,
) -> Outcome:
    """Strings are looked up inside the model.

    What it means: `TextVectorization`, `StringLookup`, `Hashing` or the like is a layer of the model that is trained.

    Why it is slow: operations on strings run on the host only, so every step goes there and back; and the step cannot
    be compiled by XLA.

    What to change: apply the layer in the data pipeline, and put it in front of the trained model again for serving.

    When this is wrong: on a machine without a GPU or TPU the work is the same wherever it is done: there the rule
    speaks only where a core is idle. Measured on two busy cores: 0.9 times as fast.

    Sources: https://keras.io/guides/preprocessing_layers. The time of the layers is measured by deep samples; the
    prediction takes a fifth to all of it out of the step, as the pipeline may work beside it.
    """
    found = tuple(layer for layer in layers if layer.kind in _TEXT)
    if not found:
        return NotApplicable("no strings are looked up in the model")
    own_s = seconds_of(found, layer_s)
    share = own_s / step_s
    if share < _SHARE_FROM:
        return Passed(f"looking strings up takes {words.share(share)} of a step")
    if not accelerators and idle_cores < 1:
        return Passed("looking strings up takes the same cores wherever it is done, and none of them is idle")
    name = found[0].name
    return Found(
        title="Strings are looked up inside the model",
        message=f"`{name}` takes {words.seconds(own_s)} of a step of {words.seconds(step_s)}, on the host.",
        phase="compute",
        evidence={"looking up a step": words.seconds(own_s), "of the step": words.share(share)},
        remedy="Look them up in the data pipeline, which works ahead.",
        code=applied(f"{name}(x)", data),
        change=Change(removes={"device_s": Range(own_s * 0.2, own_s * 0.8, own_s)}),
        confidence="likely" if accelerators else "hint",
    )


@rule("IP25", "too-few-cores")
def too_few_cores(
    accelerators: tuple[str, ...],
    stages: tuple[Stage, ...],
    data: Data,
    input_share: float,
    wait_s: float,
    step_s: float,
    busy_cores: float,
    cores: float,
) -> Outcome:
    """All cores prepare data, and the accelerator still waits.

    What it means: the process keeps all cores it may use busy, and the step waits for its batch.

    Why it is slow: the host cannot decode and augment as fast as the accelerator computes. Small cloud machines have
    two cores for a GPU.

    What to change: do less for each sample: cache what is decoded, store smaller images, move augmentation into the
    model. Or rent a machine with more cores for the same accelerator.

    When this is wrong: the cores are busy with something else than this training.

    Sources: https://www.tensorflow.org/guide/data_performance_analysis. The prediction is for twice the cores.
    """
    if not accelerators:
        return NotApplicable("no accelerator that could wait")
    if too_little := waits(input_share):
        return Passed(too_little)
    if busy_cores < 0.9 * cores:
        return Passed(f"{busy_cores:.1f} of {cores:g} cores are busy")
    augments = data.adapter == "TFDatasetAdapter" and any(does(stage, RANDOM) for stage in stages)
    code = _KEEPS.get(
        data.adapter, "+ import functools\n+\n+ @functools.cache   # if all of them fit into memory\n  def load(path):"
    )
    if augments:
        code = (
            "- images = augmentation(images)                       # in the data pipeline\n"
            "+ model = keras.Sequential([augmentation, backbone])   # on the accelerator"
        )
    return Found(
        title="All cores prepare data, and the accelerator still waits",
        message=f"{busy_cores:.1f} of {cores:g} cores are busy, and the {accelerators[0]} waits "
        f"{words.seconds(wait_s)} of {words.seconds(step_s)}.",
        phase="input_wait",
        evidence={
            "waiting for data": f"{words.share(input_share)} of training",
            "cores busy": f"{busy_cores:.1f} of {cores:g}",
        },
        remedy=f"Do less for each sample on the host, or use {round(2 * cores)} cores.",
        code=code,
        change=Change(factors={"supply_s": Range(0.8, 0.5, 0.4), "cpu_s": exactly(0.5)}),
        confidence="hint",
        changes_results="training" if augments else "no",
    )


RULES = (augmentation_in_model, text_lookup_in_model, too_few_cores)
