"""The rows of the IP rules. Traps, which look right and are wrong, are marked as such."""

import dataclasses

from tb_trainspeed.profile import Data, Files, HotSpot, Layer, Quantiles, Source, Stage
from tb_trainspeed.rules.input_pipeline import (
    decoding,
    epoch,
    few_workers,
    files,
    generators,
    mapping,
    options,
    preprocessing,
    python_code,
    workers,
)
from tb_trainspeed.rules.rule import NotApplicable, Passed
from tests.rules.rows import STEADY, fires, silent

FILE = "/home/me/train.py"
WAITING = Source("Photos.__getitem__", calls=100, wall_s=4.0, cpu_s=0.2)
PYTHON = dataclasses.replace(WAITING, cpu_s=3.9)
# Of 10 ms only the first five show that the lock is held.
SHORT = dataclasses.replace(PYTHON, wall_s=1.0, gil_share=0.26)
SLICING = Source("Photos.__getitem__", 100, 0.05, 0.05)
DECODING = dataclasses.replace(
    PYTHON,
    hot_spots=(
        HotSpot("load", FILE, 7, "convert", "PIL", 0.5),
        HotSpot("load", FILE, 8, "resize", "PIL", 0.3),
        HotSpot("augment", FILE, 12, "roll", "numpy", 0.2),
    ),
)


def spending(share, function, callee, library, given_the_same=None):
    rest = HotSpot("augment", FILE, 12, "roll", "numpy", 1 - share)
    return HotSpot(function, FILE, 9, callee, library, share, given_the_same), rest


SLICES = Stage("TensorSlice", elements_per_batch=512, output="float32(16,)", output_bytes=64, elements=10240)
MAP = Stage("Map", function="scale", operations=("Mul", "AddV2"), elements_per_batch=512, output_bytes=128)
PYTHON_MAP = dataclasses.replace(MAP, operations=("EagerPyFunc",), stateful_operations=("EagerPyFunc",))
ONCE_A_BATCH = dataclasses.replace(PYTHON_MAP, elements_per_batch=1)
RANDOM_MAP = dataclasses.replace(MAP, operations=("RandomUniform",), stateful_operations=("RandomUniform",))
PARSE = dataclasses.replace(MAP, function="parse", operations=("DecodeCSV",), output="float32(), float32()")
BATCH = Stage("Batch", batch_size=512, elements_per_batch=1)
GENERATOR = Stage("FlatMap", operations=("GeneratorDataset",), elements_per_batch=512, output="float32(16,)")
PATHS = Stage("TensorSlice", elements_per_batch=32, output="string()", elements=3200)
JPEGS = Stage(
    "ParallelMap",
    function="load",
    operations=("ReadFile", "DecodeJpeg", "ResizeBilinear"),
    elements_per_batch=32,
    output="float32(64, 64, 3), int64()",
    output_bytes=64 * 64 * 3 * 4 + 8,
    elements=3200,
)
NO_RESIZE = dataclasses.replace(JPEGS, operations=("ReadFile", "DecodePng"))
AUGMENT = Stage("Map", function="augment", operations=("StatelessRandomUniformV2",), elements_per_batch=32)
SHUFFLE = Stage("Shuffle", buffer=1000, elements_per_batch=32, elements=3200, output_bytes=49_160)
SKIP = Stage("Skip", count=800, elements_per_batch=32, elements=2400)
CACHE = Stage("Cache", elements_per_batch=32, elements=3200)
TAKE = Stage("Take", count=1600, elements_per_batch=32, elements=1600)
BATCH32 = Stage("Batch", batch_size=32, elements_per_batch=1)
LARGE_JPEG = Files(5, "ext4", 200_000, "jpeg", 1024, 1024)
PNG = Files(5, "ext4", 400_000, "png", 96, 96)

FROM_DIRECTORY = "image_dataset_from_directory"

IP01 = {
    "adapter": "PyDatasetAdapter",
    "data_kind": "Photos",
    "workers": 1,
    "input_share": 0.7,
    "wait_s": 0.03,
    "step_s": 0.04,
    "idle_cores": 3.5,
    "cores": 4.0,
    "others_compute": False,
    "source": WAITING,
    "awake": 0.7,
    "steady": STEADY,
    "data": Data(),
}
IP02 = {
    **IP01,
    "workers": 4,
    "multiprocessing": False,
    "idle_cores": 2.95,
    "source": dataclasses.replace(PYTHON, gil_share=0.9),
    "data": Data(batch_bytes=8_000),
    "restart_s": 0.1,
}
for name in ("wait_s", "others_compute", "awake", "steady"):
    del IP02[name]
IP03 = {
    "adapter": "PyDatasetAdapter",
    "data_kind": "Photos",
    "workers": 4,
    "multiprocessing": True,
    "input_share": 0.7,
    "wait_s": 0.03,
    "step_s": 0.04,
    "batch_bytes": 20_000_000,
    "receive_s": 0.016,
    "backend": "tensorflow",
    "accelerators": (),
    "least_call_share": 0.4,
    "idle_cores": 0.4,
}
ALONE = ("input_share", "wait_s", "step_s", "idle_cores", "cores", "others_compute", "source", "awake", "steady")
IP04 = {
    **{name: IP01[name] for name in ALONE},
    "adapter": "GeneratorDataAdapter",
    "backend": "jax",
    "data": Data(),
}
IP24 = {
    **{name: IP01[name] for name in ALONE},
    "adapter": "TorchDataLoaderAdapter",
    "data": Data(workers=0, batches_per_epoch=10),
    "restart_s": 0.01,
    "accelerators": (),
}
RESTARTED = Data(workers=2, persistent_workers=False, batches_per_epoch=10)
IP05 = {"stages": (GENERATOR, BATCH), "data": Data(), "epochs_planned": 5, "held_up_share": 0.7, "step_s": 0.1}
# An element takes 0.2 ms, of which the clocks that time it, and Python, take a part.
CHEAP = Source("samples", 1000, 0.03, 0.02)
IP29 = {
    **{name: IP01[name] for name in ALONE if name != "source"},
    "backend": "tensorflow",
    "stages": (dataclasses.replace(GENERATOR, elements_per_batch=32), BATCH32),
    "data": Data(generator=Source("samples", 1000, 1.0, 0.9)),
    "generated": Source("samples", 1000, 32.0, 29.0, (HotSpot("samples", FILE, 7, "resize", "PIL", 0.9),)),
    "epochs_planned": 5,
    "held_up_share": 0.7,
    "batch_bytes": 10**6,
    "epoch_bytes": 10**8,
    "memory_available_bytes": 10**9,
}
FROM_AFAR = {"generated": Source("samples", 1000, 36.0, 1.0)}
DRAWS_SAMPLES = Data(options={"random": "samples"})
IP06 = {"stages": (PYTHON_MAP, BATCH), "epochs_planned": 5, "held_up_share": 0.7, "step_s": 0.04}
IP07 = {
    "stages": (RANDOM_MAP, BATCH),
    "epochs_planned": 5,
    "input_share": 0.7,
    "wait_s": 0.03,
    "busy_cores": 1.1,
    "cores": 4.0,
}
MIXED, REPEATED = Stage("Shuffle", buffer=100), Stage("Repeat", count=-1)
IP08 = {"stages": (MAP, BATCH), "epochs_planned": 5, "held_up_share": 0.7, "step_s": 0.04}
IP09 = {
    "backend": "tensorflow",
    "held_up_share": 0.7,
    "adapter": "PyDatasetAdapter",
    "data": Data(batch_size=32),
    "stages": (),
    "step_s": 0.04,
    "source": DECODING,
    "hot_spots": DECODING.hot_spots,
    "epochs_planned": 5,
    "epoch_bytes": 10**8,
    "batch_bytes": 10**6,
    "batches_per_epoch": 100,
    "memory_available_bytes": 10**9,
    "restart_s": 0.01,
    "steady": STEADY,
}
IP09_TF = {**IP09, "adapter": "TFDatasetAdapter", "stages": (PATHS, JPEGS, BATCH32)}
IN_STEPS = Data(batch_size=32, steps_per_epoch=100)
# Its source shows that it passes over its files again and again.
PASSES = {
    "adapter": "GeneratorDataAdapter",
    "data": dataclasses.replace(IN_STEPS, options={"generator": "passes"}),
}
HALVED = dataclasses.replace(JPEGS, operations=("ReadFile", "DecodeJpeg/2", "ResizeBilinear"))
IP10 = {
    "stages": (PATHS, JPEGS, BATCH32),
    "files": LARGE_JPEG,
    "input_share": 0.7,
    "wait_s": 0.03,
    "step_s": 0.04,
}
IP11 = {"stages": (PATHS, NO_RESIZE, BATCH32), "files": PNG, "input_share": 0.7, "wait_s": 0.03}
IP13 = {
    "data": Data(files=dataclasses.replace(LARGE_JPEG, file_system="nfs4")),
    "epochs_planned": 5,
    "input_share": 0.7,
    "wait_s": 0.03,
    "busy_cores": 0.5,
    "cores": 4.0,
}
PAUSES = Quantiles(count=8, mean_s=0.25, p05_s=0.01, p50_s=0.01, p95_s=0.9, p99_s=1.0, max_s=1.0)
IP27 = {
    "backend": "tensorflow",
    "adapter": "TFDatasetAdapter",
    "data": Data(batch_size=32),
    "stages": (PATHS, JPEGS, BATCH32),
    "steady": STEADY,
    "releases": PAUSES,
    "releasing_s": PAUSES.mean_s,
}
LOADER = {
    **IP27,
    "adapter": "PyDatasetAdapter",
    "data": Data(kind="Photos", workers=1),
    "stages": (),
    "releasing_s": 0.35,
}
DRAWS = Data(kind="Photos", workers=1, options={"random": "Photos.augment"})
IP14 = {"stages": (PATHS, JPEGS, SHUFFLE, BATCH32), "epochs_planned": 5, "restart_s": 0.4, "steady": STEADY}
IP15 = {"stages": (PATHS, JPEGS, SKIP, BATCH32), "epochs_planned": 5, "restart_s": 0.4, "steady": STEADY}
IP16 = {
    "stages": (PATHS, JPEGS, CACHE, TAKE, BATCH32),
    "epochs_planned": 5,
    "input_share": 0.7,
    "wait_s": 0.03,
    "step_s": 0.04,
    "batch_bytes": 10**6,
}
IP17 = {
    "stages": (SLICES, MAP, BATCH),
    "data": Data(options={"apply_default_optimizations": "False"}),
    "input_share": 0.5,
    "wait_s": 0.02,
    "step_s": 0.04,
}
IP18 = {
    "adapter": "PyDatasetAdapter",
    "held_up_share": 0.7,
    "source": PYTHON,
    "hot_spots": spending(0.8, "Photos.__getitem__", "load", "numpy"),
    "data": Data(),
}
IP19 = {
    **IP18,
    "source": dataclasses.replace(PYTHON, gil_share=0.9),
    "hot_spots": spending(0.8, "Photos.__getitem__.<locals>.<listcomp>", "", ""),
}
IP20 = {"stages": (SLICES, PARSE, BATCH), "held_up_share": 0.7, "step_s": 0.04}
ROTATION = Layer("random_rotation", "RandomRotation", 0, 0, path="augment/random_rotation")
IP21 = {
    "layers": (ROTATION, Layer("dense", "Dense", 10, 10, path="dense")),
    "layer_s": {"augment/random_rotation": (0.01, 0.0), "dense": (0.01, 0.01)},
    "step_s": 0.04,
    "accelerators": (),
    "data": Data("TFDatasetAdapter"),
    "input_share": 0.05,
    "idle_cores": 6.0,
    "cores": 8.0,
}
IP22 = {
    "layers": (Layer("vectorize", "TextVectorization", 0, 0, path="vectorize"),),
    "layer_s": {"vectorize": (0.01, 0.0)},
    "step_s": 0.04,
    "accelerators": ("GPU",),
    "idle_cores": 2.0,
    "data": Data("TFDatasetAdapter"),
}
IP23 = {
    "stages": (SLICES, BATCH),
    "held_up_share": 0.7,
    "step_s": 0.04,
    "batch_bytes": 512 * 64,
}
ARRAYS = Data("ArrayDataAdapter", batch_size=32)
WEIGHTED = Data("ArrayDataAdapter", batch_size=32, options={"sample_weight": "True"})
SHUFFLED = Stage("ParallelMap", operations=("RandomShuffle",))
IP25 = {
    "accelerators": ("GPU",),
    "stages": (PATHS, JPEGS, BATCH32),
    "data": Data("TFDatasetAdapter"),
    "input_share": 0.7,
    "wait_s": 0.03,
    "step_s": 0.04,
    "busy_cores": 1.9,
    "cores": 2.0,
}
IP26 = {**IP18, "hot_spots": spending(0.8, "Photos.__getitem__", "__getitem__", "h5py")}
IP28 = {
    "adapter": "TorchDataLoaderAdapter",
    "data_kind": "DataLoader",
    "stages": (),
    "epochs_planned": 5,
    "workers": 2,
    "multiprocessing": False,
    "input_share": 0.7,
    "wait_s": 0.03,
    "step_s": 0.04,
    "unused_cores": 12.0,
    "cores": 16.0,
    "source": WAITING,
    "steady": STEADY,
    "data": Data(),
}
LIMITED = dataclasses.replace(JPEGS, parallelism=2)

FIRES = [
    fires(workers.pydataset_serial, IP01, "waits for files"),
    fires(workers.pydataset_serial, IP01, "draws at random", data=DRAWS),
    fires(workers.pydataset_serial, IP01, "decodes, cores idle", source=DECODING, idle_cores=2.8),
    fires(workers.gil_bound_workers, IP02, "waits"),
    fires(workers.gil_bound_workers, IP02, "computes slowly", input_share=0.05),
    fires(workers.multiprocessing_copies, IP03, "waits"),
    fires(workers.multiprocessing_copies, IP03, "torch computes slowly", input_share=0.05, backend="torch"),
    fires(workers.plain_generator, IP04, "waits for files"),
    fires(workers.plain_generator, IP04, "TensorFlow", backend="tensorflow"),
    fires(workers.dataloader_defaults, IP24, "no workers"),
    fires(workers.dataloader_defaults, IP24, "new workers every epoch", data=RESTARTED, restart_s=0.3),
    fires(generators.generator_per_sample, IP05),
    fires(generators.generator_per_sample, IP05, "timed", data=Data(generator=CHEAP)),
    fires(generators.generator_per_sample, IP05, "most of it is handing over", step_s=0.6, data=Data(generator=CHEAP)),
    fires(generators.generator_per_sample, IP05, "holds the lock", held_up_share=0.09, step_s=0.122),
    fires(generators.generator_per_sample, IP05, "one epoch", stages=(GENERATOR, CACHE, BATCH), epochs_planned=1),
    fires(generators.slow_generator, IP29),
    fires(generators.slow_generator, IP29, "from afar", data=DRAWS_SAMPLES, **FROM_AFAR),
    fires(generators.slow_generator, IP29, "in parts of epochs", data=Data(steps_per_epoch=10), **FROM_AFAR),
    fires(generators.slow_generator, IP29, "too large to keep", epoch_bytes=10**9, **FROM_AFAR),
    fires(generators.slow_generator, IP29, "one epoch", epochs_planned=1, **FROM_AFAR),
    fires(mapping.py_function_in_map, IP06),
    fires(mapping.py_function_in_map, IP06, "beside decoding", stages=(PATHS, PYTHON_MAP, JPEGS, BATCH32)),
    fires(mapping.py_function_in_map, IP06, "once a batch", stages=(SLICES, BATCH, ONCE_A_BATCH)),
    fires(mapping.py_function_in_map, IP06, "after a cache", stages=(SLICES, CACHE, PYTHON_MAP, BATCH)),
    fires(mapping.py_function_in_map, IP06, "one epoch", stages=(PYTHON_MAP, CACHE, BATCH), epochs_planned=1),
    fires(mapping.serial_stateful_map, IP07),
    fires(mapping.map_before_batch, IP08),
    fires(mapping.map_before_batch, IP08, "after a cache", stages=(PYTHON_MAP, CACHE, SHUFFLE, MAP, BATCH)),
    fires(mapping.per_record_parse, IP20),
    fires(mapping.slices_of_small_rows, IP23),
    fires(decoding.redecode_each_epoch, IP09, "Python"),
    fires(decoding.redecode_each_epoch, IP09, "DataLoader", adapter="TorchDataLoaderAdapter"),
    fires(
        decoding.redecode_each_epoch,
        IP09,
        "nothing but decoding, in parts that add up to a little more than 1",
        hot_spots=tuple(
            HotSpot("load", FILE, line, "convert", "PIL", share)
            for line, share in enumerate(
                (0.8404255319148937, 0.07446808510638298, 0.06914893617021277, 0.015957446808510637)
            )
        ),
    ),
    fires(
        decoding.redecode_each_epoch,
        IP09,
        "draws in there as well",
        data=Data(options={"random": "load"}),
        hot_spots=(HotSpot("load", FILE, 7, "convert", "PIL", 0.5), HotSpot("load", FILE, 9, "rotate", "PIL", 0.4)),
    ),
    fires(decoding.redecode_each_epoch, IP09, "a generator that passes again", **PASSES),
    fires(
        decoding.redecode_each_epoch,
        IP09,
        "in a comprehension",
        hot_spots=(HotSpot("A.__getitem__.<locals>.<listcomp>", FILE, 7, "load", "numpy", 0.8, False),),
    ),
    fires(decoding.redecode_each_epoch, IP09_TF, "tf.data"),
    fires(
        decoding.redecode_each_epoch,
        IP09_TF,
        "tf.data in steps",
        data=dataclasses.replace(IN_STEPS, steps_per_epoch=40),
    ),
    fires(
        decoding.redecode_each_epoch,
        IP09_TF,
        "fills a shuffle buffer",
        stages=(PATHS, JPEGS, SHUFFLE, BATCH32),
        held_up_share=0.02,
        restart_s=0.4,
    ),
    fires(
        decoding.redecode_each_epoch,
        IP09_TF,
        "of a directory",
        data=Data(options={"loaded_by": FROM_DIRECTORY}),
        stages=(PATHS, dataclasses.replace(JPEGS, function="<lambda>"), BATCH32),
    ),
    fires(decoding.redecode_each_epoch, IP09_TF, "augments afterwards", stages=(PATHS, JPEGS, AUGMENT, BATCH32)),
    fires(files.oversized_images, IP10, "JPEG"),
    fires(files.oversized_images, IP10, "PNG", files=dataclasses.replace(LARGE_JPEG, image_format="png")),
    fires(files.oversized_images, IP10, "JPEG at a half", stages=(PATHS, HALVED, BATCH32)),
    fires(
        files.oversized_images,
        IP10,
        "JPEG at an eighth",
        stages=(PATHS, dataclasses.replace(JPEGS, operations=("DecodeJpeg/8", "ResizeBilinear")), BATCH32),
    ),
    fires(files.slow_image_format, IP11),
    fires(files.remote_storage, IP13),
    fires(files.remote_storage, IP13, "bucket", data=Data(files=Files(5, "gs"))),
    fires(
        files.remote_storage,
        IP13,
        "caches paths",
        data=dataclasses.replace(IP13["data"], stages=(PATHS, CACHE, JPEGS, BATCH32)),
    ),
    fires(epoch.shuffle_after_decode, IP14),
    fires(
        epoch.shuffle_after_decode,
        IP14,
        "batches",
        stages=(PATHS, JPEGS, BATCH32, dataclasses.replace(SHUFFLE, buffer=50, elements_per_batch=1, elements=100)),
    ),
    fires(epoch.skip_after_heavy_work, IP15),
    fires(epoch.cache_never_filled, IP16),
    fires(epoch.autotuner_holds_up_epochs, IP27, "dataset"),
    fires(epoch.autotuner_holds_up_epochs, IP27, "arrays", adapter="ArrayDataAdapter", stages=(SLICES, BATCH)),
    fires(epoch.autotuner_holds_up_epochs, IP27, "JAX", backend="jax"),
    fires(epoch.autotuner_holds_up_epochs, LOADER, "Keras' own dataset"),
    fires(options.automatic_prefetch_off, IP17),
    fires(options.automatic_prefetch_off, IP17, "autotuning off", data=Data(options={"autotune.enabled": "False"})),
    fires(python_code.open_file_per_batch, IP18),
    fires(
        python_code.open_file_per_batch,
        IP18,
        "archive",
        hot_spots=spending(0.8, "A.__getitem__", "__getitem__", "numpy"),
    ),
    fires(
        python_code.open_file_per_batch,
        IP18,
        "generator",
        adapter="GeneratorDataAdapter",
        hot_spots=spending(0.8, "rows", "read_csv", "pandas"),
    ),
    fires(
        python_code.open_file_per_batch,
        IP18,
        "always the same file",
        hot_spots=spending(0.8, "rows", "loadtxt", "numpy", True),
    ),
    fires(python_code.python_row_assembly, IP19, "comprehension"),
    fires(python_code.python_row_assembly, IP19, "a short batch", source=SHORT),
    fires(
        python_code.python_row_assembly,
        IP19,
        "table",
        hot_spots=spending(0.8, "A.__getitem__.<locals>.<loop>", "__getitem__", "pandas"),
    ),
    fires(
        python_code.python_row_assembly,
        IP19,
        "goes over a table",
        hot_spots=spending(0.8, "A.__getitem__", "iterrows", "pandas"),
    ),
    fires(
        python_code.python_row_assembly,
        IP19,
        "a DataLoader asks for samples",
        adapter="TorchDataLoaderAdapter",
        hot_spots=spending(0.8, "A.__getitem__", "__getitem__", "pandas"),
    ),
    fires(python_code.h5_random_access, IP26),
    fires(preprocessing.augmentation_in_model, IP21, "on a CPU"),
    fires(preprocessing.augmentation_in_model, IP21, "on a GPU", accelerators=("GPU",)),
    fires(few_workers.too_few_workers, IP28, "DataLoader"),
    fires(few_workers.too_few_workers, IP28, "threads", adapter="PyDatasetAdapter", data_kind="Photos"),
    fires(few_workers.too_few_workers, IP28, "draws at random", data=DRAWS),
    fires(few_workers.too_few_workers, IP28, "parallel calls", stages=(PATHS, LIMITED, BATCH32)),
    fires(preprocessing.augmentation_in_model, IP21, "on a GPU, of arrays", accelerators=("GPU",), data=ARRAYS),
    fires(preprocessing.text_lookup_in_model, IP22),
    fires(preprocessing.text_lookup_in_model, IP22, "of weighted arrays", data=WEIGHTED),
    fires(preprocessing.text_lookup_in_model, IP22, "of a PyDataset", data=Data("PyDatasetAdapter", "Photos")),
    fires(preprocessing.text_lookup_in_model, IP22, "of a generator", data=Data("GeneratorDataAdapter")),
    fires(preprocessing.text_lookup_in_model, IP22, "of a loader", data=Data("TorchDataLoaderAdapter")),
    fires(preprocessing.too_few_cores, IP25),
    fires(preprocessing.too_few_cores, IP25, "of a PyDataset", stages=(), data=Data("PyDatasetAdapter")),
    fires(preprocessing.too_few_cores, IP25, "of arrays, which Keras shuffles", stages=(SHUFFLED,), data=ARRAYS),
    fires(preprocessing.too_few_cores, IP25, "augments", stages=(PATHS, JPEGS, AUGMENT, BATCH32)),
]

SILENT = [
    silent(workers.pydataset_serial, IP01, NotApplicable, "arrays", adapter="ArrayDataAdapter"),
    silent(workers.pydataset_serial, IP01, Passed, "has workers", workers=4),
    silent(workers.pydataset_serial, IP01, Passed, "hardly waits", input_share=0.09),
    silent(
        workers.pydataset_serial,
        IP01,
        Passed,
        "trap: others have the cores",
        idle_cores=0.2,
        others_compute=True,
    ),
    silent(workers.pydataset_serial, IP01, Passed, "trap: decodes, one core idle", source=DECODING, idle_cores=1.4),
    silent(
        workers.pydataset_serial,
        IP01,
        Passed,
        "trap: short epochs",
        steady=dataclasses.replace(STEADY, steps_per_epoch=5),
    ),
    silent(
        workers.pydataset_serial,
        IP01,
        Passed,
        "locked by h5py",
        source=dataclasses.replace(WAITING, hot_spots=spending(0.8, "A.__getitem__", "__getitem__", "h5py")),
    ),
    silent(workers.pydataset_serial, IP01, Passed, "trap: only slices arrays", source=SLICING),
    silent(workers.gil_bound_workers, IP02, NotApplicable, "no workers", workers=1),
    silent(workers.gil_bound_workers, IP02, Passed, "processes", multiprocessing=True),
    silent(workers.gil_bound_workers, IP02, Passed, "waits for files", source=WAITING),
    silent(workers.gil_bound_workers, IP02, Passed, "no idle core", idle_cores=0.4),
    silent(
        workers.gil_bound_workers,
        IP02,
        Passed,
        "GIL released",
        source=dataclasses.replace(PYTHON, gil_share=0.4),
    ),
    silent(workers.gil_bound_workers, IP02, Passed, "trap: only slices arrays", source=SLICING),
    silent(workers.gil_bound_workers, IP02, Passed, "GIL unknown, hardly waits", input_share=0.09, source=PYTHON),
    silent(workers.multiprocessing_copies, IP03, NotApplicable, "threads", multiprocessing=False),
    silent(workers.multiprocessing_copies, IP03, Passed, "small batches", batch_bytes=4_900_000),
    silent(workers.multiprocessing_copies, IP03, Passed, "heavy work", step_s=0.15),
    silent(workers.multiprocessing_copies, IP03, Passed, "hardly waits", input_share=0.09),
    silent(
        workers.multiprocessing_copies,
        IP03,
        Passed,
        "torch hardly waits, and nothing disturbs it",
        input_share=0.09,
        backend="torch",
        least_call_share=0.6,
    ),
    silent(
        workers.multiprocessing_copies,
        IP03,
        Passed,
        "torch hardly waits, and a core is idle",
        input_share=0.09,
        backend="torch",
        idle_cores=1.1,
    ),
    silent(
        workers.multiprocessing_copies,
        IP03,
        Passed,
        "torch on a GPU hardly waits",
        input_share=0.09,
        backend="torch",
        accelerators=("GPU",),
    ),
    silent(workers.plain_generator, IP04, NotApplicable, "arrays", adapter="ArrayDataAdapter"),
    silent(workers.plain_generator, IP04, Passed, "only slices arrays", source=SLICING),
    silent(workers.plain_generator, IP04, Passed, "one core idle", source=PYTHON, idle_cores=1.4),
    silent(workers.plain_generator, IP04, Passed, "hardly waits", input_share=0.09),
    silent(workers.dataloader_defaults, IP24, NotApplicable, "arrays", adapter="ArrayDataAdapter"),
    silent(workers.dataloader_defaults, IP24, Passed, "rows in memory", source=SLICING),
    silent(workers.dataloader_defaults, IP24, Passed, "hardly waits", input_share=0.09),
    silent(workers.dataloader_defaults, IP24, Passed, "long epochs", data=RESTARTED, restart_s=0.04),
    silent(
        workers.dataloader_defaults,
        IP24,
        Passed,
        "persistent",
        data=dataclasses.replace(RESTARTED, persistent_workers=True),
        restart_s=0.3,
    ),
    silent(generators.slow_generator, IP29, NotApplicable, "arrays", stages=()),
    silent(generators.slow_generator, IP29, Passed, "no generator", stages=(SLICES, BATCH)),
    silent(generators.slow_generator, IP29, Passed, "cached", stages=(GENERATOR, CACHE, BATCH)),
    silent(generators.slow_generator, IP29, Passed, "hardly waits", held_up_share=0.09),
    silent(generators.slow_generator, IP29, Passed, "hands over", generated=Source("samples", 1000, 3.9, 3.9)),
    silent(generators.slow_generator, IP29, Passed, "at random, no idle core", data=DRAWS_SAMPLES, idle_cores=0.3),
    silent(
        generators.generator_per_sample,
        IP05,
        Passed,
        "its own work",
        data=Data(generator=Source("samples", 1000, 0.15, 0.15)),
    ),
    silent(generators.generator_per_sample, IP05, NotApplicable, "arrays", stages=()),
    silent(generators.generator_per_sample, IP05, Passed, "whole batches", stages=(GENERATOR,)),
    silent(
        generators.generator_per_sample,
        IP05,
        Passed,
        "small batches",
        stages=(GENERATOR, dataclasses.replace(BATCH, batch_size=8)),
    ),
    silent(generators.generator_per_sample, IP05, Passed, "no generator", stages=(SLICES, BATCH)),
    silent(generators.generator_per_sample, IP05, Passed, "real work a sample", step_s=0.6),
    silent(
        generators.generator_per_sample,
        IP05,
        Passed,
        "waits not, nor holds the lock",
        held_up_share=0.09,
        step_s=0.123,
    ),
    silent(generators.generator_per_sample, IP05, Passed, "cached", stages=(GENERATOR, CACHE, BATCH)),
    silent(mapping.py_function_in_map, IP06, Passed, "no Python", stages=(MAP, BATCH)),
    silent(mapping.py_function_in_map, IP06, Passed, "cached", stages=(PYTHON_MAP, CACHE, SHUFFLE, BATCH)),
    silent(mapping.py_function_in_map, IP06, NotApplicable, "arrays", stages=()),
    silent(mapping.py_function_in_map, IP06, Passed, "hardly waits", held_up_share=0.09),
    silent(mapping.serial_stateful_map, IP07, Passed, "trap: serial map without a state", stages=(MAP, BATCH)),
    silent(
        mapping.serial_stateful_map,
        IP07,
        Passed,
        "parallel",
        stages=(dataclasses.replace(RANDOM_MAP, kind="ParallelMap"),),
    ),
    silent(mapping.serial_stateful_map, IP07, Passed, "Python", stages=(PYTHON_MAP, BATCH)),
    silent(mapping.serial_stateful_map, IP07, Passed, "cached", stages=(RANDOM_MAP, CACHE, BATCH)),
    silent(mapping.serial_stateful_map, IP07, Passed, "no idle core", busy_cores=3.6),
    silent(mapping.serial_stateful_map, IP07, Passed, "hardly waits", input_share=0.09),
    silent(mapping.serial_stateful_map, IP07, NotApplicable, "arrays", stages=()),
    silent(mapping.map_before_batch, IP08, Passed, "batches first", stages=(BATCH, MAP)),
    silent(mapping.map_before_batch, IP08, Passed, "decodes", stages=(JPEGS, BATCH)),
    silent(mapping.map_before_batch, IP08, Passed, "cached", stages=(MAP, CACHE, BATCH)),
    silent(mapping.map_before_batch, IP08, Passed, "real work an element", step_s=0.2),
    silent(mapping.map_before_batch, IP08, Passed, "hardly waits", held_up_share=0.09),
    silent(
        mapping.map_before_batch,
        IP08,
        Passed,
        "draws for each element",
        stages=(dataclasses.replace(MAP, operations=(*MAP.operations, "RandomUniform")), BATCH),
    ),
    silent(mapping.per_record_parse, IP20, NotApplicable, "arrays", stages=()),
    silent(mapping.per_record_parse, IP20, Passed, "parses batches", stages=(SLICES, BATCH, PARSE)),
    silent(mapping.per_record_parse, IP20, Passed, "cached", stages=(SLICES, PARSE, CACHE, BATCH)),
    silent(mapping.per_record_parse, IP20, Passed, "large records", step_s=1.1),
    silent(mapping.per_record_parse, IP20, Passed, "hardly waits", held_up_share=0.09),
    silent(mapping.slices_of_small_rows, IP23, NotApplicable, "arrays", stages=()),
    silent(mapping.slices_of_small_rows, IP23, Passed, "mapped", stages=(SLICES, MAP, BATCH)),
    silent(
        mapping.slices_of_small_rows,
        IP23,
        Passed,
        "large rows",
        stages=(dataclasses.replace(SLICES, output_bytes=64_000), BATCH),
    ),
    silent(mapping.slices_of_small_rows, IP23, Passed, "hardly waits", held_up_share=0.09),
    silent(mapping.slices_of_small_rows, IP23, Passed, "held out", stages=(SLICES, SKIP, BATCH)),
    silent(
        decoding.redecode_each_epoch, IP09_TF, Passed, "repeats without end", stages=(PATHS, REPEATED, JPEGS, BATCH32)
    ),
    silent(decoding.redecode_each_epoch, IP09, NotApplicable, "arrays", adapter="ArrayDataAdapter"),
    silent(decoding.redecode_each_epoch, IP09, NotApplicable, "one epoch", epochs_planned=1),
    silent(decoding.redecode_each_epoch, IP09, Passed, "too large", epoch_bytes=6 * 10**8),
    silent(
        decoding.redecode_each_epoch,
        IP09,
        Passed,
        "trap: augments with what reads images",
        data=Data(options={"random": "augment", "opens_nothing": "augment"}),
        hot_spots=(HotSpot("augment", FILE, 7, "resize", "PIL", 0.8),),
    ),
    silent(
        decoding.redecode_each_epoch,
        IP09,
        Passed,
        "trap: mostly augments",
        data=Data(options={"random": "load"}),
        hot_spots=(HotSpot("load", FILE, 7, "convert", "PIL", 0.24), HotSpot("load", FILE, 9, "rotate", "PIL", 0.2)),
    ),
    silent(decoding.redecode_each_epoch, IP09, Passed, "a part of the files an epoch", data=IN_STEPS),
    silent(
        decoding.redecode_each_epoch,
        IP09,
        Passed,
        "a generator that may draw its files",
        adapter="GeneratorDataAdapter",
        data=IN_STEPS,
    ),
    silent(
        decoding.redecode_each_epoch,
        IP09_TF,
        Passed,
        "tf.data, less than two passes",
        data=dataclasses.replace(IN_STEPS, steps_per_epoch=39),
    ),
    silent(
        decoding.redecode_each_epoch,
        IP09_TF,
        Passed,
        "tf.data in steps, its length unknown",
        data=IN_STEPS,
        stages=(PATHS, dataclasses.replace(JPEGS, elements=None), BATCH32),
    ),
    silent(
        decoding.redecode_each_epoch,
        IP09,
        Passed,
        "always the same file",
        hot_spots=spending(0.8, "rows", "loadtxt", "numpy", True),
    ),
    silent(
        decoding.redecode_each_epoch,
        IP09,
        Passed,
        "nothing decoded",
        hot_spots=spending(0.5, "augment", "roll", "numpy"),
    ),
    silent(decoding.redecode_each_epoch, IP09, Passed, "hardly waits", held_up_share=0.09),
    silent(
        decoding.redecode_each_epoch,
        IP09_TF,
        Passed,
        "begins late for another reason",
        held_up_share=0.09,
        restart_s=0.4,
    ),
    silent(decoding.redecode_each_epoch, IP09_TF, Passed, "cached", stages=(PATHS, JPEGS, CACHE, BATCH32)),
    silent(
        decoding.redecode_each_epoch,
        IP09_TF,
        Passed,
        "trap: cuts drawn before",
        stages=(PATHS, AUGMENT, JPEGS, BATCH32),
    ),
    silent(decoding.redecode_each_epoch, IP09_TF, Passed, "nothing to decode", stages=(SLICES, MAP, BATCH)),
    silent(decoding.redecode_each_epoch, IP09_TF, Passed, "tf.data too large", memory_available_bytes=3 * 10**8),
    silent(files.oversized_images, IP10, NotApplicable, "arrays", stages=()),
    silent(files.oversized_images, IP10, NotApplicable, "no images", stages=(SLICES, MAP, BATCH)),
    silent(files.oversized_images, IP10, Passed, "just larger", files=Files(5, "ext4", 9_000, "jpeg", 127, 128)),
    silent(
        files.oversized_images,
        IP10,
        Passed,
        "decoded at a quarter",
        files=dataclasses.replace(LARGE_JPEG, image_height=508, image_width=512),
        stages=(PATHS, dataclasses.replace(JPEGS, operations=("DecodeJpeg/4", "ResizeBilinear")), BATCH32),
    ),
    silent(files.oversized_images, IP10, Passed, "not resized", stages=(PATHS, NO_RESIZE, BATCH32)),
    silent(files.oversized_images, IP10, Passed, "cached", stages=(PATHS, JPEGS, CACHE, BATCH32)),
    silent(
        files.oversized_images,
        IP10,
        Passed,
        "random crops",
        stages=(PATHS, dataclasses.replace(JPEGS, operations=("DecodeJpeg", "RandomUniformInt", "ResizeBilinear"))),
    ),
    silent(files.oversized_images, IP10, NotApplicable, "size unknown", files=Files(5, "ext4")),
    silent(files.oversized_images, IP10, Passed, "hardly waits", input_share=0.09),
    silent(files.slow_image_format, IP11, Passed, "JPEG", files=LARGE_JPEG),
    silent(files.slow_image_format, IP11, Passed, "cached", stages=(PATHS, NO_RESIZE, CACHE, BATCH32)),
    silent(files.slow_image_format, IP11, NotApplicable, "no images", stages=(SLICES, MAP, BATCH)),
    silent(files.slow_image_format, IP11, Passed, "hardly waits", input_share=0.09),
    silent(files.remote_storage, IP13, Passed, "trap: small files on a local disk", data=Data(files=LARGE_JPEG)),
    silent(files.remote_storage, IP13, NotApplicable, "no files", data=Data()),
    silent(
        files.remote_storage,
        IP13,
        Passed,
        "cached",
        data=dataclasses.replace(IP13["data"], stages=(PATHS, JPEGS, CACHE, BATCH32)),
    ),
    silent(files.remote_storage, IP13, Passed, "cores busy", busy_cores=2.1),
    silent(files.remote_storage, IP13, NotApplicable, "in memory", data=Data(files=Files(5, None))),
    silent(files.remote_storage, IP13, Passed, "hardly waits", input_share=0.09),
    silent(epoch.shuffle_after_decode, IP14, NotApplicable, "arrays", stages=()),
    silent(epoch.shuffle_after_decode, IP14, Passed, "shuffles paths", stages=(PATHS, SHUFFLE, JPEGS, BATCH32)),
    silent(epoch.shuffle_after_decode, IP14, Passed, "cached", stages=(PATHS, JPEGS, CACHE, SHUFFLE, BATCH32)),
    silent(
        epoch.shuffle_after_decode,
        IP14,
        Passed,
        "trap: kept from then on",
        stages=(PATHS, JPEGS, SHUFFLE, CACHE, BATCH32),
    ),
    silent(epoch.shuffle_after_decode, IP14, Passed, "starts quickly", restart_s=0.19),
    silent(epoch.shuffle_after_decode, IP14, Passed, "always bound by decoding", restart_s=0.7),
    silent(
        epoch.shuffle_after_decode,
        IP14,
        Passed,
        "small buffer",
        stages=(PATHS, JPEGS, dataclasses.replace(SHUFFLE, buffer=63), BATCH32),
    ),
    silent(
        epoch.autotuner_holds_up_epochs,
        IP27,
        NotApplicable,
        "arrays on JAX",
        backend="jax",
        adapter="ArrayDataAdapter",
    ),
    silent(
        epoch.autotuner_holds_up_epochs,
        IP27,
        NotApplicable,
        "off already",
        data=Data(options={"autotune.enabled": "False"}),
    ),
    silent(
        epoch.autotuner_holds_up_epochs,
        IP27,
        NotApplicable,
        "few epochs",
        releases=dataclasses.replace(PAUSES, count=4),
    ),
    silent(epoch.autotuner_holds_up_epochs, IP27, NotApplicable, "a generator", adapter="GeneratorDataAdapter"),
    silent(epoch.autotuner_holds_up_epochs, LOADER, NotApplicable, "JAX does not wrap it", backend="jax"),
    silent(
        epoch.autotuner_holds_up_epochs,
        LOADER,
        NotApplicable,
        "workers",
        data=Data(kind="Photos", workers=2),
    ),
    silent(
        epoch.autotuner_holds_up_epochs,
        LOADER,
        NotApplicable,
        "a process",
        data=Data(kind="Photos", workers=1, use_multiprocessing=True),
    ),
    silent(
        epoch.autotuner_holds_up_epochs,
        LOADER,
        Passed,
        "workers would cost as much",
        releasing_s=0.33,
    ),
    silent(
        epoch.autotuner_holds_up_epochs,
        IP27,
        Passed,
        "short pauses",
        releasing_s=0.209,
    ),
    silent(epoch.skip_after_heavy_work, IP15, NotApplicable, "arrays", stages=()),
    silent(epoch.skip_after_heavy_work, IP15, Passed, "skips paths", stages=(PATHS, SKIP, JPEGS, BATCH32)),
    silent(epoch.skip_after_heavy_work, IP15, Passed, "cached", stages=(PATHS, JPEGS, CACHE, SKIP, BATCH32)),
    silent(
        epoch.skip_after_heavy_work,
        IP15,
        Passed,
        "trap: kept from then on",
        stages=(PATHS, JPEGS, SKIP, CACHE, BATCH32),
    ),
    silent(epoch.skip_after_heavy_work, IP15, Passed, "starts quickly", restart_s=0.19),
    silent(
        epoch.skip_after_heavy_work,
        IP15,
        Passed,
        "little skipped before a large buffer",
        stages=(PATHS, JPEGS, dataclasses.replace(SKIP, count=319), SHUFFLE, BATCH32),
    ),
    silent(epoch.skip_after_heavy_work, IP15, Passed, "mixed before", stages=(PATHS, JPEGS, MIXED, SKIP, BATCH32)),
    silent(
        epoch.cache_never_filled,
        IP16,
        Passed,
        "trap: others in every epoch",
        stages=(PATHS, SHUFFLE, JPEGS, CACHE, TAKE),
    ),
    silent(epoch.cache_never_filled, IP16, Passed, "trap: augmented anew", stages=(PATHS, JPEGS, AUGMENT, CACHE, TAKE)),
    silent(epoch.cache_never_filled, IP16, NotApplicable, "arrays", stages=()),
    silent(epoch.cache_never_filled, IP16, NotApplicable, "one epoch", epochs_planned=1),
    silent(epoch.cache_never_filled, IP16, Passed, "takes first", stages=(PATHS, JPEGS, TAKE, CACHE, BATCH32)),
    silent(
        epoch.cache_never_filled,
        IP16,
        Passed,
        "takes all",
        stages=(PATHS, JPEGS, CACHE, dataclasses.replace(TAKE, count=3200), BATCH32),
    ),
    silent(epoch.cache_never_filled, IP16, Passed, "nothing lost", stages=(PATHS, MAP, CACHE, TAKE, BATCH32)),
    silent(epoch.cache_never_filled, IP16, Passed, "hardly waits", input_share=0.09),
    silent(epoch.cache_never_filled, IP16, Passed, "read whole", stages=(PATHS, JPEGS, CACHE, MIXED, TAKE, BATCH32)),
    silent(options.automatic_prefetch_off, IP17, NotApplicable, "arrays", stages=()),
    silent(options.automatic_prefetch_off, IP17, Passed, "trap: no prefetch", data=Data()),
    silent(
        options.automatic_prefetch_off, IP17, Passed, "prefetches itself", stages=(SLICES, BATCH, Stage("Prefetch"))
    ),
    silent(options.automatic_prefetch_off, IP17, Passed, "hardly waits", input_share=0.09),
    silent(python_code.open_file_per_batch, IP18, NotApplicable, "arrays", adapter="ArrayDataAdapter"),
    silent(
        python_code.open_file_per_batch,
        IP18,
        Passed,
        "a file a sample",
        hot_spots=spending(0.8, "load", "loadtxt", "numpy", False),
    ),
    silent(
        python_code.open_file_per_batch,
        IP18,
        Passed,
        "seldom",
        hot_spots=spending(0.29, "A.__getitem__", "load", "numpy"),
    ),
    silent(
        python_code.open_file_per_batch,
        IP18,
        Passed,
        "a function that can be cached",
        hot_spots=spending(0.8, "load", "load", "numpy"),
    ),
    silent(
        python_code.open_file_per_batch,
        IP18,
        Passed,
        "a file a batch",
        hot_spots=spending(0.8, "A.__getitem__", "load", "numpy", False),
    ),
    silent(python_code.open_file_per_batch, IP18, Passed, "hardly waits", held_up_share=0.09),
    silent(python_code.python_row_assembly, IP19, NotApplicable, "arrays", adapter="ArrayDataAdapter"),
    silent(
        python_code.python_row_assembly,
        IP19,
        Passed,
        "decodes rows",
        hot_spots=spending(0.8, "A.<listcomp>", "convert", "PIL"),
    ),
    silent(python_code.python_row_assembly, IP19, Passed, "decodes rows in C", source=PYTHON),
    silent(
        python_code.python_row_assembly,
        IP19,
        Passed,
        "a table's rows at once",
        hot_spots=spending(0.8, "A.__getitem__", "__getitem__", "pandas"),
    ),
    silent(
        python_code.python_row_assembly,
        IP19,
        Passed,
        "reads tables in a loop",
        hot_spots=spending(0.8, "A.__getitem__.<locals>.<listcomp>", "read_csv", "pandas"),
    ),
    silent(python_code.python_row_assembly, IP19, Passed, "cheap", source=SLICING),
    silent(
        python_code.python_row_assembly,
        IP19,
        Passed,
        "a short batch in C",
        source=dataclasses.replace(SHORT, gil_share=0.2),
    ),
    silent(python_code.python_row_assembly, IP19, Passed, "hardly waits", held_up_share=0.09),
    silent(python_code.h5_random_access, IP26, NotApplicable, "arrays", adapter="ArrayDataAdapter"),
    silent(
        python_code.h5_random_access,
        IP26,
        Passed,
        "opens it",
        hot_spots=spending(0.8, "A.__getitem__", "__init__", "h5py"),
    ),
    silent(python_code.h5_random_access, IP26, Passed, "hardly waits", held_up_share=0.09),
    silent(preprocessing.augmentation_in_model, IP21, NotApplicable, "none", layers=IP21["layers"][1:]),
    silent(
        preprocessing.augmentation_in_model,
        IP21,
        NotApplicable,
        "a layer of one's own",
        layers=(Layer("features", "RandomFourierFeatures", 0, 0, path="augment/random_rotation"),),
    ),
    silent(preprocessing.augmentation_in_model, IP21, Passed, "cheap", step_s=0.11),
    *(
        silent(preprocessing.augmentation_in_model, IP21, Passed, label, accelerators=("GPU",), **facts)
        for label, facts in {
            "the host is the limit": {"input_share": 0.1},
            "no core idle": {"idle_cores": 0.9},
            "a flip on a GPU": {"layers": (dataclasses.replace(ROTATION, kind="RandomFlip"),)},
        }.items()
    ),
    silent(few_workers.too_few_workers, IP28, NotApplicable, "arrays", adapter="ArrayDataAdapter"),
    silent(few_workers.too_few_workers, IP28, NotApplicable, "no workers", workers=0),
    silent(few_workers.too_few_workers, IP28, NotApplicable, "one thread", adapter="PyDatasetAdapter", workers=1),
    silent(few_workers.too_few_workers, IP28, NotApplicable, "tuned", stages=(PATHS, JPEGS, BATCH32)),
    silent(
        few_workers.too_few_workers,
        IP28,
        NotApplicable,
        "as many calls as cores",
        stages=(PATHS, dataclasses.replace(JPEGS, parallelism=16), BATCH32),
    ),
    silent(few_workers.too_few_workers, IP28, Passed, "cores used", unused_cores=0.9),
    silent(few_workers.too_few_workers, IP28, Passed, "hardly waits", input_share=0.09),
    silent(few_workers.too_few_workers, IP28, Passed, "as many as can be", workers=16),
    *(
        silent(few_workers.too_few_workers, IP28, Passed, f"calls: {label}", stages=(PATHS, LIMITED, BATCH32), **facts)
        for label, facts in {"cores used": {"unused_cores": 0.9}, "hardly waits": {"input_share": 0.09}}.items()
    ),
    silent(preprocessing.text_lookup_in_model, IP22, NotApplicable, "none", layers=(ROTATION,)),
    silent(preprocessing.text_lookup_in_model, IP22, Passed, "cheap", step_s=0.11),
    silent(preprocessing.text_lookup_in_model, IP22, Passed, "trap: busy cores", accelerators=(), idle_cores=0.9),
    silent(preprocessing.too_few_cores, IP25, NotApplicable, "no accelerator", accelerators=()),
    silent(preprocessing.too_few_cores, IP25, Passed, "cores idle", busy_cores=1.7),
    silent(preprocessing.too_few_cores, IP25, Passed, "hardly waits", input_share=0.09),
]
