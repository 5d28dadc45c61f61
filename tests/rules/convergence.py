"""The rows of the CV rules."""

import dataclasses

from tb_trainspeed.profile import CallbackFacts, Curve, Data, Layer, Model, Stage, Validation
from tb_trainspeed.rules.convergence import course, setup
from tb_trainspeed.rules.rule import NotApplicable, Passed
from tests.rules.rows import STEADY, fires, silent

DENSE = Layer("dense", "Dense", 100, 100)
FLIP = Layer("flip", "RandomFlip", 0, 0)
OWN = Layer("own", "Centered", 0, 0)
RESCALING = Layer("rescaling", "Rescaling", 0, 0)
NORMALIZATION = Layer("normalization", "LayerNormalization", 10, 10)
SOFTMAX = Layer("output", "Dense", 100, 100, dtype="float16", options={"activation": "softmax"})
SLOW = Curve("loss", 4, 2.0, 1.97, 1.96, 1.96, 3, 2.0, 0)
FALLING = Curve("loss", 4, 2.0, 1.2, 1.0, 1.0, 3, 2.0, 0)
LOST = Curve("loss", 10, 2.0, 2.0, 3.0, 2.0, 0, 3.0, 1, not_finite_epoch=2)
OVERFIT = Curve("val_loss", 20, 2.0, 1.5, 1.6, 1.0, 5, 2.0, 0)
STOPS = CallbackFacts("EarlyStopping", "Callback")
SHUFFLE = Stage("Shuffle", buffer=64, elements=10_000)

FLOATS = Data(batch="float32(64, 28, 28, 1), int64(64,)", options={"largest_pixel": "255"})
CV01 = {"layers": (DENSE,), "data": Data(batch="uint8(64, 28, 28, 1), int64(64,)"), "steady": STEADY}
CV02 = {"optimizer": "Adam", "learning_rate": 1e-5, "curves": (SLOW,), "steady": STEADY}
CV03 = {"curves": (LOST,), "callbacks": (), "steady": STEADY}
CV04 = {"stages": (SHUFFLE, Stage("Batch", batch_size=32)), "batch_size": 32, "steady": STEADY}
CV05 = {
    "optimizer": "Adam",
    "learning_rate": 0.001,
    "batch_size": 2048,
    "curves": (FALLING,),
    "steady": dataclasses.replace(STEADY, steps_per_epoch=20),
}
CV06 = {"curves": (OVERFIT,), "callbacks": (), "validation": Validation(runs=20), "steady": STEADY}
CV07 = {"model": Model(optimizer_options={"momentum": "0.0"}), "optimizer": "SGD", "steady": STEADY}
CV08 = {"model": Model(dtype_policy="mixed_float16"), "layers": (SOFTMAX,), "steady": STEADY}
CV09 = {"layers": (DENSE,) * 12, "steady": STEADY}

FIRES = [
    fires(setup.unnormalised_inputs, CV01),
    fires(setup.unnormalised_inputs, CV01, "floats", data=FLOATS, layers=(FLIP, DENSE)),
    fires(
        setup.unnormalised_inputs,
        CV01,
        "of twelve bits",
        data=dataclasses.replace(FLOATS, options={"largest_pixel": "4095"}),
    ),
    fires(course.lr_too_low, CV02),
    fires(course.loss_not_finite, CV03),
    fires(setup.short_shuffle, CV04),
    fires(course.big_batch_same_lr, CV05),
    fires(course.epochs_after_plateau, CV06),
    fires(course.epochs_after_plateau, CV06, "every third epoch", validation=Validation(runs=20, frequency=3)),
    fires(setup.sgd_no_momentum, CV07),
    fires(setup.softmax_in_float16, CV08),
    fires(setup.deep_without_normalisation, CV09),
]

SILENT = [
    silent(setup.unnormalised_inputs, CV01, Passed, "rescaled", layers=(RESCALING, DENSE)),
    silent(
        setup.unnormalised_inputs,
        CV01,
        NotApplicable,
        "floats of any sign",
        data=dataclasses.replace(FLOATS, options={}),
    ),
    silent(
        setup.unnormalised_inputs,
        CV01,
        Passed,
        "floats around 1",
        data=dataclasses.replace(FLOATS, options={"largest_pixel": "2"}),
    ),
    silent(setup.unnormalised_inputs, CV01, Passed, "floats, rescaled", data=FLOATS, layers=(FLIP, RESCALING, DENSE)),
    silent(setup.unnormalised_inputs, CV01, Passed, "trap: a layer of one's own", data=FLOATS, layers=(OWN, DENSE)),
    silent(
        setup.unnormalised_inputs,
        CV01,
        Passed,
        "trap: what was trained on such",
        data=FLOATS,
        layers=(dataclasses.replace(DENSE, trainable_parameters=0), DENSE),
    ),
    silent(setup.unnormalised_inputs, CV01, NotApplicable, "no layers", data=FLOATS, layers=()),
    silent(setup.unnormalised_inputs, CV01, NotApplicable, "no images", data=Data(batch="uint8(64, 10)")),
    silent(course.lr_too_low, CV02, Passed, "default", learning_rate=0.001),
    silent(course.lr_too_low, CV02, Passed, "falls", curves=(FALLING,)),
    silent(course.lr_too_low, CV02, NotApplicable, "too early", curves=(dataclasses.replace(SLOW, epochs=2),)),
    silent(course.loss_not_finite, CV03, Passed, "finite", curves=(FALLING,)),
    silent(course.loss_not_finite, CV03, Passed, "ends", callbacks=(CallbackFacts("TerminateOnNaN", "Callback"),)),
    silent(course.loss_not_finite, CV03, Passed, "last epoch", curves=(dataclasses.replace(LOST, epochs=3),)),
    silent(setup.short_shuffle, CV04, Passed, "long", stages=(dataclasses.replace(SHUFFLE, buffer=65),)),
    silent(setup.short_shuffle, CV04, Passed, "all", stages=(dataclasses.replace(SHUFFLE, elements=639),)),
    silent(setup.short_shuffle, CV04, NotApplicable, "none", stages=()),
    silent(course.big_batch_same_lr, CV05, Passed, "many updates", steady=STEADY),
    silent(course.big_batch_same_lr, CV05, Passed, "raised", learning_rate=0.008),
    silent(course.big_batch_same_lr, CV05, Passed, "no longer falls", curves=(SLOW,)),
    silent(course.epochs_after_plateau, CV06, Passed, "stops", callbacks=(STOPS,)),
    silent(
        course.epochs_after_plateau, CV06, Passed, "just now", curves=(dataclasses.replace(OVERFIT, lowest_epoch=16),)
    ),
    silent(course.epochs_after_plateau, CV06, NotApplicable, "no validation", curves=(FALLING,)),
    silent(setup.sgd_no_momentum, CV07, Passed, "momentum", model=Model(optimizer_options={"momentum": "0.9"})),
    silent(setup.sgd_no_momentum, CV07, NotApplicable, "Adam", optimizer="Adam"),
    silent(setup.softmax_in_float16, CV08, Passed, "float32", layers=(dataclasses.replace(SOFTMAX, dtype="float32"),)),
    silent(setup.softmax_in_float16, CV08, NotApplicable, "bfloat16", model=Model(dtype_policy="mixed_bfloat16")),
    silent(setup.deep_without_normalisation, CV09, Passed, "shallow", layers=(DENSE,) * 11),
    silent(
        setup.deep_without_normalisation,
        CV09,
        Passed,
        "trap: heads side by side",
        layers=(DENSE, *(Layer(f"task {n}", "Dense", 65, 65, "(None, 1)") for n in range(14))),
    ),
    silent(setup.deep_without_normalisation, CV09, Passed, "normalised", layers=(DENSE,) * 12 + (NORMALIZATION,)),
]
