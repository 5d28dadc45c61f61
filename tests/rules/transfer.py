"""The rows of the TR rules."""

import dataclasses

from tb_trainspeed.profile import Data, Environment, Model
from tb_trainspeed.rules import transfer
from tb_trainspeed.rules.rule import NotApplicable, Passed
from tests.rules.rows import STEADY, fires, line, silent

TR01 = {
    "inputs": "float64(1000000, 100), int64(1000000,)",
    "adapter": "ArrayDataAdapter",
    "backend": "jax",
    "input_share": 0.3,
    "wait_s": 0.001,
    "startup_s": 1.0,
    "restart_s": 0.2,
    "wall_s": 60.0,
    "step_s": 0.01,
    "steady": STEADY,
}
TR01_BATCHES = {"adapter": "PyDatasetAdapter", "inputs": "float64(64, 32), int64(64,)"}
TR02 = {
    "data": Data(one_hot_classes=5000),
    "model": Model(metrics=("AUC",)),
    "loss": "categorical_crossentropy",
    "input_share": 0.3,
    "wait_s": 0.001,
    "batch_bytes": 64 * (5000 * 4 + 128),
    "batch_size": 64,
}
TR03 = {
    "data": Data(holds_bytes=True),
    "accelerators": ("GPU",),
    "step_s": 0.01,
    "batch_bytes": 40_000_000,
    "steady": STEADY,
}
TR04 = {
    "adapter": "ArrayDataAdapter",
    "data": Data(inputs_bytes=4 * 10**9, batch_size=256),
    "startup_s": 6.0,
    "wall_s": 30.0,
    "backend": "tensorflow",
}
TR05 = {
    "backend": "torch",
    "step_code": (line("read", "float", text="total += float(loss)"),),
    "run_eagerly": False,
    "functions_run_eagerly": False,
    "accelerators": ("GPU",),
    "python_s": {},
    "computing_s": 0.01,
}


def copies(share):
    return dataclasses.replace(STEADY, phases={"transfer": share * STEADY.epoch_s * STEADY.epochs})


PRINTS = {"step_code": (line("print", "tf.print"),), "accelerators": (), "backend": "tensorflow"}
TR06 = {
    "backend": "jax",
    "accelerators": ("GPU", "GPU"),
    "environment": Environment(distribution="DataParallel", replicas=2),
    "versions": {"keras": "3.10.0"},
    "transfer_share": 0.06,
    "steady": STEADY,
}

FIRES = [
    fires(transfer.sync_every_step, TR05, "torch"),
    fires(transfer.sync_every_step, TR05, "TensorFlow prints", **PRINTS, python_s={"PrintV2": 0.001}),
    fires(
        transfer.sync_every_step,
        TR05,
        "JAX prints",
        backend="jax",
        step_code=(line("print", "jax.debug.print"),),
        python_s={"debug_callback": 0.001},
    ),
    fires(transfer.no_device_prefetch, TR06),
    fires(transfer.no_device_prefetch, TR06, "Keras before 3.10", versions={"keras": "3.9.2"}),
    fires(transfer.float64_inputs, TR01, "every epoch", input_share=0.0, startup_s=0.0),
    fires(transfer.float64_inputs, TR01, "every batch", **TR01_BATCHES),
    fires(transfer.float64_inputs, TR01, "starts slowly", backend="tensorflow", startup_s=1.0, wall_s=10.0),
    fires(transfer.one_hot_huge_classes, TR02),
    fires(
        transfer.one_hot_huge_classes,
        TR02,
        "metrics of one-hot targets",
        model=Model(metrics=("CategoricalAccuracy", "TopKCategoricalAccuracy")),
    ),
    fires(transfer.float32_images, TR03),
    fires(transfer.float32_images, TR03, "copies measured", steady=copies(0.05)),
    fires(transfer.arrays_copied, TR04),
]

SILENT = [
    silent(transfer.sync_every_step, TR05, NotApplicable, "torch on a CPU", accelerators=()),
    silent(transfer.sync_every_step, TR05, Passed, "nothing read", step_code=(line("loop", "range"),)),
    silent(transfer.sync_every_step, TR05, Passed, "prints little", **PRINTS, python_s={"PrintV2": 0.0009}),
    silent(
        transfer.sync_every_step,
        TR05,
        Passed,
        "trap: a print that is traced",
        **{**PRINTS, "step_code": (line("print", "print"),)},
        python_s={},
    ),
    silent(transfer.sync_every_step, TR05, NotApplicable, "eager", **PRINTS, run_eagerly=True),
    silent(transfer.no_device_prefetch, TR06, NotApplicable, "torch", backend="torch"),
    silent(transfer.no_device_prefetch, TR06, NotApplicable, "CPU", accelerators=()),
    silent(transfer.no_device_prefetch, TR06, Passed, "Keras looks ahead", environment=Environment()),
    silent(transfer.no_device_prefetch, TR06, Passed, "hidden", transfer_share=0.049),
    silent(transfer.float64_inputs, TR01, Passed, "labels only", inputs="float32(64, 32), float64(64,)"),
    silent(transfer.float64_inputs, TR01, Passed, "single precision", inputs="float32(64, 32), int64(64,)"),
    silent(transfer.float64_inputs, TR01, Passed, "hardly waits", **TR01_BATCHES, input_share=0.09),
    silent(transfer.float64_inputs, TR01, Passed, "quick between epochs", restart_s=0.19, startup_s=6.0),
    silent(transfer.float64_inputs, TR01, Passed, "starts quickly", backend="tensorflow", startup_s=0.99, wall_s=10.0),
    silent(transfer.float64_inputs, TR01, Passed, "small", inputs="float64(124999, 100)"),
    silent(transfer.one_hot_huge_classes, TR02, NotApplicable, "smoothed", data=Data()),
    silent(transfer.one_hot_huge_classes, TR02, Passed, "few classes", data=Data(one_hot_classes=999)),
    silent(transfer.one_hot_huge_classes, TR02, NotApplicable, "sparse", loss="sparse_categorical_crossentropy"),
    silent(transfer.one_hot_huge_classes, TR02, NotApplicable, "another loss", loss="mean_squared_error"),
    silent(transfer.one_hot_huge_classes, TR02, NotApplicable, "focal", loss="categorical_focal_crossentropy"),
    silent(transfer.one_hot_huge_classes, TR02, Passed, "hardly waits", input_share=0.04),
    silent(transfer.float32_images, TR03, NotApplicable, "CPU", accelerators=()),
    silent(transfer.float32_images, TR03, Passed, "not bytes", data=Data(holds_bytes=False)),
    silent(transfer.float32_images, TR03, Passed, "little", step_s=0.021),
    silent(transfer.float32_images, TR03, Passed, "hidden", steady=copies(0.049)),
    silent(transfer.arrays_copied, TR04, NotApplicable, "a dataset", adapter="TFDatasetAdapter"),
    silent(transfer.arrays_copied, TR04, NotApplicable, "JAX", backend="jax"),
    silent(
        transfer.arrays_copied, TR04, Passed, "small", data=dataclasses.replace(TR04["data"], inputs_bytes=9 * 10**8)
    ),
    silent(transfer.arrays_copied, TR04, Passed, "starts quickly", startup_s=2.9),
]
