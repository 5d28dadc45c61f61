"""The rows of the MC rules. Traps, which look right and are wrong, are marked as such."""

import dataclasses

from tb_trainspeed.profile import Data, Device, Environment, Layer, Model, Stage
from tb_trainspeed.rules.missing import Missing
from tb_trainspeed.rules.model_compute import architecture, batch, frozen, precision, recurrent, switches, traced
from tb_trainspeed.rules.rule import NotApplicable, Passed
from tests.rules.rows import STEADY, fires, line, silent

V100 = Device("GPU", "Tesla V100", capability="7.0")
A100 = Device("GPU", "NVIDIA A100-SXM4-40GB", capability="8.0")
AMD = Device("GPU", "AMD Instinct MI250X", capability="gfx90a")
GTX = Device("GPU", "GTX 1080", capability="6.1")
ON_CPU = Environment(backend="jax", devices=(Device("CPU", "cpu"),), cpu="EPYC", cpu_features=("avx2", "avx512_bf16"))
COMPUTES = {"computing_share": 0.9, "computing_s": 0.1}


def layer(kind, name, shape=None, parameters=0, trainable=True, path="", dtype="float32", **options):
    return Layer(
        name, kind, parameters, parameters if trainable else 0, shape, dtype, path or name, trainable, 1, 10, options
    )


def a100(backend, **settings):
    return Environment(backend=backend, devices=(A100,), settings=settings)


def taking(name, forward=0.02, backward=0.04):
    return {name: (forward, backward)}


EMBEDDING = layer("Embedding", "tokens", "(None, 300, 64)", 64_000, input_dim="1000")
LSTM = layer("LSTM", "lstm", "(None, 64)", 33_000, units="64", recurrent_dropout="0.2")
PLAIN_LSTM = dataclasses.replace(LSTM, options={"units": "64"})
MASKING = layer("Embedding", "tokens", "(None, 300, 64)", 64_000, input_dim="1000", mask_zero="True")
SEQUENCES = layer("LSTM", "first", "(None, 300, 64)", 33_000, units="64", return_sequences="True")
GRU = layer("GRU", "gru", "(None, 64)", 25_000, units="64", reset_after="False")
DROPOUT = layer("Dropout", "drop", "(None, 1024)", rate="0.5")
WIDE = layer("Dense", "wide", "(None, 1003)", 2_000_000, units="1003")
ALIGNED = layer("Dense", "wide", "(None, 1008)", 2_000_000, units="1008")
OUTPUT = layer("Dense", "output", "(None, 10)", 10_000, units="10")
ATTENTION = layer("MultiHeadAttention", "attention", "(None, 1024, 64)", 16_000)
CONV = layer("Conv2D", "conv", "(None, 128, 128, 32)", 900, filters="32", kernel_size="3")
SMALL_CONV = layer("Conv2D", "conv", "(None, 56, 56, 32)", 900, filters="32", kernel_size="3")
FLATTEN = layer("Flatten", "flatten", "(None, 100352)")
GIANT = layer("Dense", "giant", "(None, 64)", 6_400_000, units="64")
DEPTHWISE = layer("DepthwiseConv2D", "depthwise", "(None, 64, 64, 32)", 300)
WORDS = layer("Dense", "words", "(None, 60000)", 6_000_000, units="60000")
BASE = layer("Functional", "mobilenet", "(None, 1280)", trainable=False)
BASE_CONV = layer("Conv2D", "stem", "(None, 48, 48, 32)", 900, trainable=False, path="mobilenet/stem")
TRAINED_BASE = dataclasses.replace(BASE, trainable=True)
TRAINED_CONV = dataclasses.replace(BASE_CONV, trainable=True, trainable_parameters=900)

MC00 = {
    "batch_size": 8,
    "backend": "jax",
    "overhead_s": 0.001,
    "compute_s": 0.0015,
    "step_s": 0.002,
    "sample_flops": 1e5,
    "data": Data(adapter="ArrayDataAdapter", batch_bytes=4_000),
    "steady": STEADY,
    "accelerator_flops": (),
}
MC01 = {
    **COMPUTES,
    "layers": (EMBEDDING, LSTM, OUTPUT),
    "layer_s": taking("lstm"),
    "accelerators": ("GPU",),
    "backend": "tensorflow",
    "versions": {"keras": "3.15.1"},
}
MC02 = {**COMPUTES, "layers": (EMBEDDING, PLAIN_LSTM, OUTPUT), "layer_s": taking("lstm")}
MC03 = {**COMPUTES, "data": Data(padding_share=0.7, batch_size=32), "layers": (EMBEDDING, PLAIN_LSTM)}
MC04 = {
    **COMPUTES,
    "environment": Environment(backend="tensorflow", devices=(V100,)),
    "model": Model(dtype_policy="float32", parameters=2_000_000, layers=(WIDE,)),
    "mixed_policy": "mixed_float16",
    "custom_train_step": False,
    "dispatch_s": 0.01,
}
MC05 = {
    **COMPUTES,
    "environment": ON_CPU,
    "model": Model(dtype_policy="mixed_bfloat16"),
    "mixed_policy": "mixed_bfloat16",
    "custom_train_step": False,
    "accelerators": (),
}
MC21 = {
    **COMPUTES,
    "environment": a100("torch", **{"torch.set_float32_matmul_precision": "highest"}),
    "model": Model(dtype_policy="float32", parameters=2_000_000, layers=(WIDE, CONV)),
    "dispatch_s": 0.01,
}
MC22 = {
    **COMPUTES,
    "backend": "torch",
    "settings": {"torch.backends.cudnn.benchmark": "False", "torch.backends.cudnn.deterministic": "False"},
    "accelerators": ("GPU",),
    "layers": (CONV, OUTPUT),
    "layer_s": taking("conv"),
}
MC06 = {
    **COMPUTES,
    "model": Model(dtype_policy="mixed_float16", layers=(WIDE, OUTPUT)),
    "layer_s": taking("wide"),
    "accelerators": ("GPU",),
}
MC07 = {
    **COMPUTES,
    "layers": (CONV, FLATTEN, GIANT, OUTPUT),
    "layer_s": taking("giant"),
    "trainable_parameters": 6_500_000,
    "optimizer_s": 0.03,
}
MC08 = {**COMPUTES, "layers": (CONV, OUTPUT), "layer_s": taking("conv")}
MC09 = {
    **COMPUTES,
    "layers": (BASE, BASE_CONV, OUTPUT),
    "layer_s": taking("mobilenet/stem", 0.08, 0.0),
    "stages": (),
    "data": Data(adapter="ArrayDataAdapter", batch_size=64),
    "backend": "tensorflow",
    "epochs_planned": 10,
}
MC10 = {**COMPUTES, "layers": (TRAINED_BASE, TRAINED_CONV, OUTPUT), "layer_s": taking("mobilenet/stem", 0.03, 0.06)}
MC11 = {**COMPUTES, "layers": (DEPTHWISE,), "layer_s": taking("depthwise"), "accelerators": ("GPU",)}
MC13 = {**COMPUTES, "layers": (DROPOUT,), "layer_times": ("timed",), "layer_s": taking("drop")}
MC14 = {
    **COMPUTES,
    "environment": Environment(backend="tensorflow", settings={"keras.config.floatx": "float64"}),
    "model": Model(dtype_policy="float64"),
}
MC15 = {
    **COMPUTES,
    "environment": Environment(backend="jax", settings={"keras.config.is_flash_attention_enabled": "False"}),
    "model": Model(dtype_policy="mixed_bfloat16", layers=(ATTENTION,)),
    "accelerators": ("GPU",),
    "layer_s": taking("attention"),
}
MC16 = {
    **COMPUTES,
    "layers": (layer("Conv2D", "conv", data_format="channels_first"),),
    "accelerators": (),
    "layer_s": taking("conv"),
    "backend": "jax",
}
MC17 = {
    **COMPUTES,
    "backend": "tensorflow",
    "layers": (EMBEDDING, WORDS),
    "layer_s": taking("words"),
    "trainable_parameters": 6_064_000,
    "optimizer_s": 0.01,
}
MC18 = {"model": Model(metrics=("AUC",)), "metrics_s": 0.03, "computing_s": 0.1}
LOOP = dataclasses.replace(layer("Mixer", "mixer"), operations=200, copies=1)
LOOPED = dataclasses.replace(layer("Dense", "dense", path="mixer/dense"), operations=1800, copies=30)
MC12 = {
    "backend": "tensorflow",
    "step_code": (line("loop", "range", "Mixer.call", "for t in range(30):"),),
    "layers": (EMBEDDING, LOOP, LOOPED, OUTPUT),
    "operations": 2500,
    "timed_layers": taking("mixer/dense"),
    "computing_s": 0.1,
    "compilation_s": 3.0,
    "fit_s": 60.0,
}
MC19 = {
    **COMPUTES,
    "backend": "tensorflow",
    "step_code": (line("python", "tf.numpy_function", "F1.update_state"),),
    "python_s": {"PyFunc": 0.0101},
}
REMAT = dataclasses.replace(CONV, options={"remat": "full"})
MC20 = {
    **COMPUTES,
    "layers": (REMAT, OUTPUT),
    "accelerators": ("GPU",),
    "device_memory_share": 0.49,
    "layer_s": taking("conv"),
}

FIRES = [
    fires(batch.tiny_batch, MC00),
    fires(batch.tiny_batch, MC00, "as many as fit takes", batch_size=32),
    fires(batch.tiny_batch, MC00, "torch", backend="torch", overhead_s=0.0006),
    fires(recurrent.rnn_not_cudnn, MC01),
    fires(recurrent.rnn_not_cudnn, MC01, "recurrent dropout on a CPU", accelerators=()),
    fires(recurrent.rnn_not_cudnn, MC01, "GRU", layers=(EMBEDDING, GRU), layer_s=taking("gru")),
    fires(recurrent.rnn_not_cudnn, MC01, "an LSTM on JAX", backend="jax"),
    fires(
        recurrent.rnn_not_cudnn,
        MC01,
        "a GRU on torch",
        backend="torch",
        versions={"keras": "3.14.1"},
        layers=(EMBEDDING, GRU),
        layer_s=taking("gru"),
    ),
    fires(recurrent.rnn_not_cudnn, MC01, "a mask on JAX", backend="jax", layers=(MASKING, DROPOUT, PLAIN_LSTM)),
    fires(
        recurrent.rnn_not_cudnn,
        MC01,
        "a mask on torch, behind another layer",
        backend="torch",
        layers=(dataclasses.replace(MASKING, kind="Masking"), SEQUENCES, PLAIN_LSTM),
    ),
    fires(recurrent.rnn_serial, MC02),
    fires(batch.padding_waste, MC03, "arrays"),
    fires(batch.padding_waste, MC03, "a loader", data=Data("TorchDataLoaderAdapter", padding_share=0.7, batch_size=32)),
    fires(batch.padding_waste, MC03, "a dataset", data=Data("TFDatasetAdapter", padding_share=0.7, batch_size=32)),
    fires(precision.float32_on_tensor_cores, MC04),
    fires(precision.float32_on_tensor_cores, MC04, "a step of the user's own", custom_train_step=True),
    fires(
        precision.float32_on_tensor_cores,
        MC04,
        "torch, whose dispatch is not known",
        environment=Environment(backend="torch", devices=(V100,)),
        dispatch_s=Missing("dispatch_s"),
    ),
    fires(precision.low_precision_on_wrong_hardware, MC05),
    fires(
        precision.low_precision_on_wrong_hardware,
        MC05,
        "convolutions on TensorFlow",
        environment=dataclasses.replace(ON_CPU, backend="tensorflow", cpu_features=("avx2", "avx512_fp16")),
        model=Model(dtype_policy="mixed_bfloat16", layers=(CONV,)),
    ),
    fires(
        precision.low_precision_on_wrong_hardware,
        MC05,
        "convolutions on torch",
        environment=dataclasses.replace(ON_CPU, backend="torch", cpu_features=("avx2",)),
        model=Model(dtype_policy="mixed_float16", layers=(CONV,)),
    ),
    fires(
        precision.low_precision_on_wrong_hardware,
        MC05,
        "old GPU",
        accelerators=("GPU",),
        environment=Environment(devices=(GTX,)),
    ),
    fires(
        precision.low_precision_on_wrong_hardware,
        MC05,
        "bfloat16 before Ampere",
        accelerators=("GPU",),
        mixed_policy="mixed_float16",
        environment=Environment(devices=(V100,)),
    ),
    fires(
        precision.low_precision_on_wrong_hardware,
        MC05,
        "bfloat16 before Ampere, in a step of the user's own",
        accelerators=("GPU",),
        mixed_policy="mixed_float16",
        custom_train_step=True,
        environment=Environment(devices=(V100,)),
    ),
    fires(precision.misaligned_dims, MC06),
    fires(architecture.flatten_dense, MC07),
    fires(architecture.input_resolution, MC08),
    fires(frozen.frozen_backbone, MC09),
    fires(frozen.frozen_backbone, MC09, "scaled before", layers=(layer("Rescaling", "scale"), BASE, BASE_CONV, OUTPUT)),
    fires(frozen.frozen_backbone, MC09, "a dataset", data=Data(adapter="TFDatasetAdapter")),
    fires(frozen.training_whole_backbone, MC10),
    fires(architecture.depthwise_on_gpu, MC11),
    fires(recurrent.dropout_rng, MC13),
    fires(precision.float64_policy, MC14),
    fires(precision.attention_no_flash, MC15),
    fires(precision.channels_first, MC16),
    fires(architecture.huge_softmax, MC17),
    fires(architecture.huge_softmax, MC17, "a backend without a loss of samples", backend="jax"),
    fires(architecture.heavy_metrics, MC18),
    fires(traced.python_loop, MC12, "takes time"),
    fires(traced.python_loop, MC12, "compiles long", timed_layers={}, compilation_s=6.0),
    fires(traced.python_loop, MC12, "of the model", step_code=(line("loop", "while", "Net.train_step"),)),
    fires(traced.python_in_step, MC19),
    fires(traced.python_in_step, MC19, "JAX", backend="jax", step_code=(), python_s={"pure_callback": 0.0101}),
    fires(traced.needless_remat, MC20),
    fires(switches.tf32_off, MC21),
    fires(
        switches.tf32_off,
        MC21,
        "TensorFlow",
        environment=a100("tensorflow", **{"tf.config.experimental.tensor_float_32_execution": "False"}),
        model=dataclasses.replace(MC21["model"], layers=(CONV,)),
    ),
    fires(switches.tf32_off, MC21, "JAX", environment=a100("jax", jax_default_matmul_precision="highest")),
    fires(switches.cudnn_not_tuned, MC22),
]

IDLE = {"computing_share": 0.49}
SILENT = [
    silent(
        switches.tf32_off,
        MC21,
        NotApplicable,
        "before Ampere",
        environment=dataclasses.replace(MC21["environment"], devices=(V100,)),
    ),
    silent(
        switches.tf32_off,
        MC21,
        NotApplicable,
        "trap: AMD on torch",
        environment=dataclasses.replace(
            MC21["environment"], devices=(Device("GPU", "AMD Instinct MI250X", capability="9.0"),)
        ),
    ),
    silent(
        switches.tf32_off,
        MC21,
        Passed,
        "on",
        environment=a100("torch", **{"torch.set_float32_matmul_precision": "high"}),
    ),
    silent(
        switches.tf32_off, MC21, Passed, "as JAX comes", environment=a100("jax", jax_default_matmul_precision="None")
    ),
    silent(
        switches.tf32_off,
        MC21,
        Passed,
        "trap: convolutions on torch",
        model=dataclasses.replace(MC21["model"], layers=(CONV,) * 5 + (WIDE,)),
    ),
    silent(
        switches.tf32_off,
        MC21,
        Passed,
        "16 bits",
        model=dataclasses.replace(MC21["model"], dtype_policy="mixed_float16"),
    ),
    silent(switches.tf32_off, MC21, Passed, "small", model=dataclasses.replace(MC21["model"], parameters=999_999)),
    silent(
        switches.tf32_off,
        MC21,
        Passed,
        "dispatches",
        environment=a100("jax", jax_default_matmul_precision="highest"),
        dispatch_s=0.041,
    ),
    silent(switches.tf32_off, MC21, Passed, "bound by something else", **IDLE),
    silent(switches.cudnn_not_tuned, MC22, NotApplicable, "CPU", accelerators=()),
    silent(switches.cudnn_not_tuned, MC22, NotApplicable, "JAX", backend="jax"),
    silent(switches.cudnn_not_tuned, MC22, Passed, "tuned", settings={"torch.backends.cudnn.benchmark": "True"}),
    silent(
        switches.cudnn_not_tuned,
        MC22,
        Passed,
        "deterministic",
        settings={"torch.backends.cudnn.benchmark": "False", "torch.use_deterministic_algorithms": "True"},
    ),
    silent(switches.cudnn_not_tuned, MC22, NotApplicable, "no convolutions", layers=(OUTPUT,)),
    silent(
        switches.cudnn_not_tuned,
        MC22,
        Passed,
        "pictures of many sizes",
        layers=(dataclasses.replace(CONV, output_shape="(None, None, None, 32)"),),
    ),
    silent(switches.cudnn_not_tuned, MC22, Passed, "cheap", layer_s=taking("conv", 0.005, 0.014)),
    silent(switches.cudnn_not_tuned, MC22, Passed, "bound by something else", **IDLE),
    silent(batch.tiny_batch, MC00, Passed, "large enough", batch_size=33),
    silent(batch.tiny_batch, MC00, Passed, "computes", overhead_s=0.00059),
    silent(recurrent.rnn_not_cudnn, MC01, Passed, "defaults", layers=(EMBEDDING, PLAIN_LSTM)),
    silent(recurrent.rnn_not_cudnn, MC01, Passed, "trap: cuDNN on a CPU", layers=(GRU,), accelerators=()),
    silent(
        recurrent.rnn_not_cudnn,
        MC01,
        NotApplicable,
        "trap: a GRU on JAX",
        backend="jax",
        layers=(GRU,),
        layer_s=taking("gru"),
    ),
    silent(
        recurrent.rnn_not_cudnn,
        MC01,
        NotApplicable,
        "trap: JAX before 3.14",
        backend="jax",
        versions={"keras": "3.13.2"},
    ),
    silent(
        recurrent.rnn_not_cudnn,
        MC01,
        NotApplicable,
        "trap: torch before 3.15",
        backend="torch",
        versions={"keras": "3.14.1"},
    ),
    silent(recurrent.rnn_not_cudnn, MC01, Passed, "a mask on TensorFlow", layers=(MASKING, PLAIN_LSTM)),
    silent(
        recurrent.rnn_not_cudnn,
        MC01,
        Passed,
        "a mask that ends before",
        backend="jax",
        layers=(MASKING, CONV, PLAIN_LSTM),
    ),
    silent(
        recurrent.rnn_not_cudnn,
        MC01,
        Passed,
        "a mask that ends in a layer before",
        backend="jax",
        layers=(MASKING, dataclasses.replace(SEQUENCES, options={}), PLAIN_LSTM),
        layer_s=taking("lstm") | taking("first", 0.0, 0.0),
    ),
    silent(recurrent.rnn_not_cudnn, MC01, Passed, "cheap", layer_s=taking("lstm", 0.005, 0.01)),
    silent(recurrent.rnn_not_cudnn, MC01, Passed, "bound by something else", **IDLE),
    silent(recurrent.rnn_serial, MC02, Passed, "cheap", layer_s=taking("lstm", 0.01, 0.04)),
    silent(
        recurrent.rnn_serial,
        MC02,
        Passed,
        "short",
        layers=(layer("Embedding", "tokens", "(None, 199, 64)"), PLAIN_LSTM),
    ),
    silent(batch.padding_waste, MC03, Passed, "little", data=Data(padding_share=0.39)),
    silent(batch.padding_waste, MC03, NotApplicable, "zeros that are no tokens", layers=(OUTPUT,)),
    silent(batch.padding_waste, MC03, NotApplicable, "rows of one length", layers=(EMBEDDING, FLATTEN, OUTPUT)),
    silent(batch.padding_waste, MC03, Passed, "bound by something else", **IDLE),
    silent(
        precision.float32_on_tensor_cores,
        MC04,
        Passed,
        "small",
        model=dataclasses.replace(MC04["model"], parameters=999_999),
    ),
    silent(
        precision.float32_on_tensor_cores,
        MC04,
        Passed,
        "16 bits by layer",
        model=dataclasses.replace(MC04["model"], layers=(dataclasses.replace(WIDE, dtype="float16"),)),
    ),
    silent(
        precision.low_precision_on_wrong_hardware,
        MC05,
        Passed,
        "float16 on tensor cores",
        accelerators=("GPU",),
        environment=Environment(devices=(V100,)),
        model=Model(dtype_policy="mixed_float16"),
    ),
    silent(
        precision.low_precision_on_wrong_hardware,
        MC05,
        Passed,
        "AMD on JAX",
        accelerators=("GPU",),
        environment=Environment(backend="jax", devices=(AMD,)),
    ),
    silent(
        precision.float32_on_tensor_cores,
        MC04,
        NotApplicable,
        "AMD on JAX",
        environment=Environment(backend="jax", devices=(AMD,)),
    ),
    silent(precision.float32_on_tensor_cores, MC04, Passed, "dispatches", dispatch_s=0.041),
    silent(
        precision.float32_on_tensor_cores, MC04, NotApplicable, "trap: mixed precision on a CPU", environment=ON_CPU
    ),
    silent(
        precision.float32_on_tensor_cores,
        MC04,
        NotApplicable,
        "GTX 1660",
        environment=Environment(devices=(Device("GPU", "GTX 1660", capability="7.5"),)),
    ),
    silent(
        precision.low_precision_on_wrong_hardware,
        MC05,
        Passed,
        "matrices on TensorFlow",
        environment=dataclasses.replace(ON_CPU, backend="tensorflow"),
    ),
    silent(
        precision.low_precision_on_wrong_hardware,
        MC05,
        Passed,
        "has units",
        environment=dataclasses.replace(ON_CPU, backend="tensorflow", cpu_features=("avx2", "avx512_bf16")),
        model=Model(dtype_policy="mixed_bfloat16", layers=(CONV,)),
    ),
    silent(precision.low_precision_on_wrong_hardware, MC05, NotApplicable, "float32", model=Model()),
    silent(precision.low_precision_on_wrong_hardware, MC05, Passed, "bound by something else", **IDLE),
    silent(precision.misaligned_dims, MC06, Passed, "cheap", layer_s=taking("wide", 0.004, 0.01)),
    silent(frozen.training_whole_backbone, MC10, Passed, "cheap", layer_s=taking("mobilenet/stem", 0.03, 0.01)),
    silent(precision.float64_policy, MC14, Passed, "bound by something else", **IDLE),
    silent(precision.channels_first, MC16, Passed, "cheap", layer_s=taking("conv", 0.004, 0.01)),
    silent(
        precision.misaligned_dims,
        MC06,
        Passed,
        "aligned",
        model=Model(dtype_policy="mixed_float16", layers=(ALIGNED, OUTPUT)),
    ),
    silent(precision.misaligned_dims, MC06, NotApplicable, "CPU", accelerators=()),
    silent(architecture.flatten_dense, MC07, Passed, "not most", trainable_parameters=13_000_000),
    silent(architecture.flatten_dense, MC07, Passed, "cheap", layer_s=taking("giant", 0.001, 0.002), optimizer_s=0.01),
    silent(architecture.flatten_dense, MC07, NotApplicable, "no map", layers=(CONV, GIANT)),
    silent(architecture.input_resolution, MC08, Passed, "small images", layers=(SMALL_CONV, OUTPUT)),
    silent(architecture.input_resolution, MC08, NotApplicable, "segmentation", layers=(CONV,)),
    silent(architecture.input_resolution, MC08, Passed, "cheap", layer_s=taking("conv", 0.01, 0.03)),
    silent(
        frozen.frozen_backbone,
        MC09,
        Passed,
        "the pipeline augments",
        stages=(Stage("Map", operations=("StatelessRandomUniformV2",)),),
    ),
    silent(
        frozen.frozen_backbone,
        MC09,
        Passed,
        "the model augments",
        layers=(layer("RandomFlip", "flip"), BASE, BASE_CONV, OUTPUT),
    ),
    silent(frozen.frozen_backbone, MC09, Passed, "trap: Python augments", data=Data(options={"random": "augment"})),
    silent(frozen.frozen_backbone, MC09, Passed, "two epochs", epochs_planned=2),
    silent(frozen.frozen_backbone, MC09, Passed, "cheap", layer_s=taking("mobilenet/stem", 0.049, 0.0)),
    silent(frozen.frozen_backbone, MC09, NotApplicable, "trained", layers=(OUTPUT,)),
    silent(frozen.training_whole_backbone, MC10, Passed, "frozen", layers=(BASE, BASE_CONV, OUTPUT)),
    silent(frozen.training_whole_backbone, MC10, NotApplicable, "own model", layers=(OUTPUT,)),
    silent(architecture.depthwise_on_gpu, MC11, NotApplicable, "trap: depthwise on a CPU", accelerators=()),
    silent(architecture.depthwise_on_gpu, MC11, Passed, "cheap", layer_s=taking("depthwise", 0.01, 0.03)),
    silent(recurrent.dropout_rng, MC13, Passed, "cheap", layer_s=taking("drop", 0.009, 0.01)),
    silent(recurrent.dropout_rng, MC13, NotApplicable, "none", layers=(OUTPUT,)),
    silent(precision.float64_policy, MC14, Passed, "float32", model=Model(dtype_policy="float32")),
    silent(precision.float64_policy, MC14, Passed, "JAX", environment=Environment(backend="jax")),
    silent(
        precision.attention_no_flash,
        MC15,
        NotApplicable,
        "trap: TensorFlow",
        environment=Environment(backend="tensorflow"),
    ),
    silent(precision.attention_no_flash, MC15, NotApplicable, "CPU", accelerators=()),
    silent(
        precision.attention_no_flash,
        MC15,
        Passed,
        "as Keras comes",
        environment=Environment(backend="jax", settings={"keras.config.is_flash_attention_enabled": "None"}),
    ),
    silent(precision.attention_no_flash, MC15, Passed, "cheap", layer_s=taking("attention", 0.005, 0.014)),
    silent(precision.channels_first, MC16, Passed, "channels last", layers=(CONV,)),
    silent(precision.channels_first, MC16, NotApplicable, "torch", backend="torch"),
    silent(architecture.huge_softmax, MC17, Passed, "few classes", layers=(EMBEDDING, OUTPUT)),
    silent(architecture.huge_softmax, MC17, Passed, "cheap", layer_s=taking("words", 0.01, 0.02)),
    silent(traced.python_loop, MC12, NotApplicable, "torch", backend="torch"),
    silent(traced.python_loop, MC12, Passed, "no loop", step_code=(line("read", "float"),)),
    silent(
        traced.python_loop,
        MC12,
        Passed,
        "few copies",
        layers=(LOOP, dataclasses.replace(LOOPED, copies=29)),
    ),
    silent(
        traced.python_loop,
        MC12,
        Passed,
        "another layer's loop",
        layers=(layer("Blocks", "blocks"), LOOP, LOOPED),
        step_code=(line("loop", "range", "Blocks.call"),),
    ),
    silent(
        traced.python_loop, MC12, Passed, "a loss, which calls no layer", step_code=(line("loop", "range", "my_loss"),)
    ),
    silent(traced.python_loop, MC12, Passed, "cheap", timed_layers=taking("mixer/dense", 0.005, 0.009)),
    silent(traced.python_loop, MC12, Passed, "compiles soon", timed_layers={}, compilation_s=5.9),
    silent(traced.python_in_step, MC19, NotApplicable, "torch", backend="torch"),
    silent(traced.python_in_step, MC19, Passed, "no Python", python_s={"PrintV2": 0.05}),
    silent(traced.python_in_step, MC19, Passed, "trap: a small batch", python_s={"PyFunc": 0.0099}),
    silent(traced.python_in_step, MC19, Passed, "bound by something else", **IDLE),
    silent(traced.needless_remat, MC20, NotApplicable, "none", layers=(CONV,)),
    silent(traced.needless_remat, MC20, NotApplicable, "CPU", accelerators=()),
    silent(traced.needless_remat, MC20, Passed, "memory needed", device_memory_share=0.5),
    silent(traced.needless_remat, MC20, Passed, "cheap", layer_s=taking("conv", 0.014, 0.03)),
    silent(traced.needless_remat, MC20, Passed, "bound by something else", **IDLE),
    silent(architecture.heavy_metrics, MC18, Passed, "cheap", metrics_s=0.014),
    silent(architecture.heavy_metrics, MC18, NotApplicable, "accuracy", model=Model(metrics=("Mean",))),
]
