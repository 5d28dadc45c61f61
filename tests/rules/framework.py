"""The rows of the FW rules."""

import dataclasses

from tb_trainspeed.profile import Compilation, CompilationEvent, Data, Layer, Model, Stage
from tb_trainspeed.rules.facts import REACHED_FLOPS
from tb_trainspeed.rules.framework import compiling, debugging, eager, refits
from tb_trainspeed.rules.rule import NotApplicable, Passed
from tests.rules.rows import STEADY, fires, line, silent

DENSE = Layer("dense", "Dense", 4096, 4096, "(None, 64)", forward_flops=8192)
CONV = Layer("conv", "Conv2D", 4096, 4096, "(None, 8, 8, 64)", forward_flops=500_000)
ROTATION = Layer("rotation", "RandomRotation", 0, 0, options={"supports_jit": "False"})


def _events(*lengths, step_s=0.5):
    return tuple(
        CompilationEvent(index, index * 1.0, step_s, f"float32(32, {length}, 8), int64(32,)")
        for index, length in enumerate(lengths, 1)
    )


FW01 = {
    "backend": "tensorflow",
    "run_eagerly": True,
    "functions_run_eagerly": False,
    "jit_compile": False,
    "settings": {"jax_disable_jit": "False"},
    "model": Model(),
    "layers": (DENSE,),
    "compute_s": 0.05,
    "dispatch_s": 0.045,
    "sample_flops": 1e5,
    "batch_size": 64,
    "accelerator_flops": (),
}
FW02 = {
    "backend": "jax",
    "jit_compile": True,
    "compilation": Compilation(count=9, retraces=8, events=_events(*range(10, 26, 2))),
    "compilation_s": 5.0,
    "fit_s": 10.0,
    "data": Data(batch="float32(32, 8, 8), int64(32,)"),
}
FW02B = {
    "backend": "tensorflow",
    "jit_compile": False,
    "run_eagerly": False,
    "custom_train_step": True,
    "compilation": Compilation(count=9, retraces=8, events=_events(*[10] * 8)),
    "compilation_s": 5.0,
    "fit_s": 10.0,
}
ODD = CompilationEvent(9, 1.0, 2.0, "float32(7, 32), int64(7,)")
FW03 = {
    "backend": "jax",
    "jit_compile": True,
    "compilation": Compilation(count=2, retraces=1, events=(ODD,)),
    "compilation_s": 4.0,
    "fit_s": 10.0,
    "data": Data("ArrayDataAdapter", batch="float32(32, 32), int64(32,)", batch_size=32),
}
FW04 = {
    "backend": "jax",
    "jit_compile": True,
    "settings": {"jax_compilation_cache_dir": "None"},
    "compilation": Compilation(functions_s={"train_step": 15.0}),
    "compilation_s": 20.0,
    "fit_s": 60.0,
    "fit_steps": 500,
    "compute_s": 0.01,
}
FW05 = {
    "backend": "tensorflow",
    "jit_compile": True,
    "run_eagerly": False,
    "accelerators": (),
    "layers": (CONV, DENSE),
    "compute_s": 0.02,
    "step_s": 0.025,
    "compilation_s": 4.0,
}
FW06 = {
    "backend": "jax",
    "layers": (ROTATION, CONV),
    "jit_compile": False,
    "run_eagerly": False,
    "compute_s": 0.05,
    "dispatch_s": 0.045,
    "sample_flops": 1e6,
    "batch_size": 64,
    "data": Data("TFDatasetAdapter"),
    "accelerator_flops": (),
}
FW07 = {
    "backend": "tensorflow",
    "steps_per_execution": 1,
    "run_eagerly": False,
    "dispatch_share": 0.6,
    "dispatch_s": 0.001,
    "gap_s": 0.0003,
    "compute_s": 0.0015,
    "steady": STEADY,
}
FW08 = {
    "fit_index": 6,
    "steps": 2,
    "startup_s": 0.05,
    "compilation_s": 0.02,
    "boundaries_s": 0.005,
    "wall_s": 0.1,
    "compilation": Compilation(remade=0),
}
FW09 = {"fit_index": 4, "compilation": Compilation(remade=3), "compilation_s": 0.8, "wall_s": 1.2}
FW16 = {"backend": "tensorflow", "compilation": Compilation(alike=4), "compilation_s": 0.4, "wall_s": 1.2}
FW13 = {"live_models": 6, "memory_pressure": 0.1, "steady_wall_s": 60.0}
UNROLLED = Layer("lstm", "LSTM", 4096, 4096, "(None, 64)", options={"unroll": "True"})
FW11 = {
    "layers": (Layer("input", "InputLayer", 0, 0, "(None, 100, 8)"), UNROLLED),
    "data": Data(),
    "compilation_s": 7.0,
    "fit_s": 10.0,
}
FW12 = {
    "backend": "tensorflow",
    "settings": {"tf.debugging.enable_check_numerics": "True"},
    "stages": (Stage("Map", operations=("RandomUniform",)),),
    "accelerators": (),
    "layers": (DENSE,),
    "input_share": 0.0,
    "step_s": 0.01,
    "idle_cores": 1.0,
}
FW14 = {
    "backend": "torch",
    "jit_compile": False,
    "custom_train_step": False,
    "layers": (DENSE,) * 10,
    "step_flops": 8e6,
    "compute_s": 0.005,
    "held_up_share": 0.05,
    "accelerator_flops": (),
}
FW15 = {
    "backend": "torch",
    "versions": {"keras": "3.9.2"},
    "layers": (UNROLLED,),
    "accelerators": ("GPU",),
    "compute_s": 0.2,
}

FIRES = [
    fires(eager.eager, FW01, "run_eagerly"),
    fires(eager.eager, FW01, "code that needs it", model=Model(code=(line("read", "numpy"),))),
    fires(eager.eager, FW01, "functions", run_eagerly=False, functions_run_eagerly=True),
    fires(eager.eager, FW01, "JAX without jit", backend="jax", run_eagerly=False),
    fires(
        eager.eager, FW01, "JAX_DISABLE_JIT",
        backend="jax", run_eagerly=False, jit_compile=True, settings={"jax_disable_jit": "True"},
    ),
    fires(compiling.recompile_per_shape, FW02, "JAX"),
    fires(compiling.recompile_per_shape, FW02, "TensorFlow", backend="tensorflow"),
    fires(
        compiling.recompile_per_shape, FW02, "batches of many sizes",
        compilation=Compilation(
            retraces=2,
            events=tuple(dataclasses.replace(ODD, batch=f"float32({size}, 32), int64({size},)") for size in (7, 9)),
        ),
    ),
    fires(
        compiling.recompile_per_shape, FW02, "lengths, and a last batch that is not full",
        compilation=Compilation(
            retraces=3,
            events=tuple(
                dataclasses.replace(ODD, batch=f"float32({size}, {length}), int64({size},)")
                for size, length in ((32, 40), (32, 50), (7, 60))
            ),
        ),
    ),
    fires(compiling.retracing, FW02B),
    fires(compiling.last_partial_batch, FW03, "arrays"),
    fires(
        compiling.last_partial_batch, FW03, "dataset",
        data=dataclasses.replace(FW03["data"], adapter="TFDatasetAdapter"),
    ),
    fires(compiling.compile_dominates, FW04, "JAX"),
    fires(compiling.compile_dominates, FW04, "torch", backend="torch"),
    fires(compiling.jit_compile_hurts, FW05, "convolutions"),
    fires(compiling.jit_compile_hurts, FW05, "dense", layers=(DENSE,)),
    fires(eager.layer_disables_jit, FW06),
    fires(eager.layer_disables_jit, FW06, "of a PyDataset", data=Data("PyDatasetAdapter")),
    fires(eager.layer_disables_jit, FW06, "of arrays", data=Data("ArrayDataAdapter"), layers=(ROTATION, ROTATION)),
    fires(eager.dispatch_bound, FW07),
    fires(eager.dispatch_bound, FW07, "JAX", backend="jax"),
    fires(refits.fit_in_a_loop, FW08),
    fires(refits.fit_in_a_loop, FW08, "ends slowly", startup_s=0.02, boundaries_s=0.02),
    fires(refits.recompile_in_loop, FW09),
    fires(refits.model_for_every_fit, FW16),
    fires(refits.model_for_every_fit, FW16, "JAX", backend="jax"),
    fires(compiling.rnn_unroll, FW11),
    fires(refits.models_kept, FW13),
    fires(debugging.debug_flags, FW12, "numeric checks"),
    fires(
        debugging.debug_flags, FW12, "tf.data's debug mode",
        settings={"tf.data.experimental.enable_debug_mode": "True"}, input_share=0.5,
    ),
    fires(
        debugging.debug_flags, FW12, "determinism",
        settings={"tf.config.experimental.enable_op_determinism": "True"}, input_share=0.5,
    ),
    fires(
        debugging.debug_flags, FW12, "anomaly detection",
        backend="torch", settings={"torch.autograd.set_detect_anomaly": "True"},
    ),
    fires(debugging.debug_flags, FW12, "NaN checks", backend="jax", settings={"jax_debug_nans": "True"}),
    fires(
        debugging.debug_flags, FW12, "kernels in turn",
        settings={"CUDA_LAUNCH_BLOCKING": "1"}, accelerators=("GPU",),
    ),
    fires(
        debugging.debug_flags, FW12, "determinism of a GPU",
        settings={"tf.config.experimental.enable_op_determinism": "True"}, accelerators=("GPU",),
    ),
    fires(
        debugging.debug_flags, FW12, "determinism of torch",
        backend="torch", settings={"torch.use_deterministic_algorithms": "True"}, accelerators=("GPU",),
    ),
    fires(
        debugging.debug_flags, FW12, "determinism of cuDNN",
        backend="torch", settings={"torch.backends.cudnn.deterministic": "True"}, accelerators=("GPU",), layers=(CONV,),
    ),
    fires(debugging.debug_flags, FW12, "a debugger", settings={"sys.settrace": "True"}),
    fires(eager.torch_small_operations, FW14),
    fires(
        eager.torch_small_operations, FW14, "convolutions on a GPU", step_flops=1.3e9, accelerator_flops=REACHED_FLOPS,
    ),
    fires(eager.slow_version, FW15),
    fires(
        eager.slow_version, FW15, "a GRU",
        versions={"keras": "3.13.0"}, layers=(dataclasses.replace(UNROLLED, kind="GRU"),),
    ),
    fires(eager.slow_version, FW15, "torch, whose call of cuDNN failed", versions={"keras": "3.14.1"}),
    fires(eager.slow_version, FW15, "JAX", backend="jax", versions={"keras": "3.13.2"}),
]  # fmt: skip

SILENT = [
    silent(eager.eager, FW01, Passed, "compiled", run_eagerly=False),
    silent(eager.eager, FW01, NotApplicable, "torch", backend="torch"),
    silent(eager.eager, FW01, Passed, "a layer's fault", backend="jax", run_eagerly=False, layers=(ROTATION,)),
    silent(
        compiling.recompile_per_shape, FW02, NotApplicable, "trap: variable shapes without jit",
        backend="tensorflow", jit_compile=False,
    ),
    silent(compiling.recompile_per_shape, FW02, Passed, "a last batch", compilation=FW03["compilation"]),
    silent(compiling.recompile_per_shape, FW02, Passed, "a long fit", fit_s=41.0),
    silent(compiling.retracing, FW02B, NotApplicable, "JAX", backend="jax"),
    silent(compiling.retracing, FW02B, NotApplicable, "XLA", jit_compile=True),
    silent(
        compiling.retracing, FW02B, Passed, "trap: relaxed shapes",
        compilation=Compilation(retraces=3, events=_events(10, 11, 12)),
    ),
    silent(compiling.retracing, FW02B, Passed, "a long fit", fit_s=41.0),
    silent(compiling.last_partial_batch, FW03, NotApplicable, "not compiled", jit_compile=False),
    silent(compiling.last_partial_batch, FW03, Passed, "divides", compilation=Compilation(count=1, retraces=0)),
    silent(
        compiling.last_partial_batch, FW03, Passed, "another shape",
        compilation=Compilation(retraces=1, events=(dataclasses.replace(ODD, batch="float32(32, 7), int64(32,)"),)),
    ),
    silent(compiling.last_partial_batch, FW03, Passed, "a long fit", fit_s=20.1),
    silent(compiling.compile_dominates, FW04, NotApplicable, "TensorFlow", backend="tensorflow"),
    silent(compiling.compile_dominates, FW04, Passed, "a long fit", fit_s=101.0),
    silent(compiling.compile_dominates, FW04, Passed, "seconds", compilation_s=4.9, fit_s=10.0),
    silent(compiling.compile_dominates, FW04, Passed, "kept", settings={"jax_compilation_cache_dir": "/cache"}),
    silent(compiling.compile_dominates, FW04, Passed, "repaid", backend="torch", fit_steps=700),
    silent(compiling.jit_compile_hurts, FW05, NotApplicable, "not asked for", jit_compile=False),
    silent(compiling.jit_compile_hurts, FW05, NotApplicable, "GPU", accelerators=("GPU",)),
    silent(compiling.jit_compile_hurts, FW05, NotApplicable, "JAX", backend="jax"),
    silent(compiling.jit_compile_hurts, FW05, Passed, "LSTM", layers=(UNROLLED,)),
    silent(
        compiling.jit_compile_hurts, FW05, Passed, "embedding",
        layers=(Layer("words", "Embedding", 10**7, 10**7), DENSE),
    ),
    silent(compiling.jit_compile_hurts, FW05, Passed, "does not compute", step_s=0.041),
    silent(eager.layer_disables_jit, FW06, NotApplicable, "TensorFlow on a CPU", backend="tensorflow"),
    silent(eager.layer_disables_jit, FW06, Passed, "all compile", layers=(CONV,)),
    silent(eager.layer_disables_jit, FW06, Passed, "compiled all the same", jit_compile=True),
    silent(eager.dispatch_bound, FW07, Passed, "done already", steps_per_execution=8),
    silent(eager.dispatch_bound, FW07, Passed, "computes", dispatch_share=0.39),
    silent(
        eager.dispatch_bound, FW07, Passed, "a small convnet on a busy machine",
        dispatch_share=0.31, dispatch_s=0.00174, compute_s=0.0055,
    ),
    silent(eager.dispatch_bound, FW07, NotApplicable, "eager", run_eagerly=True),
    silent(eager.dispatch_bound, FW07, NotApplicable, "torch", backend="torch"),
    silent(refits.fit_in_a_loop, FW08, Passed, "a few fits", fit_index=5),
    silent(refits.fit_in_a_loop, FW08, Passed, "long fits", steps=20),
    silent(refits.fit_in_a_loop, FW08, Passed, "starts quickly", startup_s=0.02),
    silent(refits.fit_in_a_loop, FW08, Passed, "compiled in between", compilation=Compilation(remade=20)),
    silent(refits.recompile_in_loop, FW09, Passed, "twice, to unfreeze", compilation=Compilation(remade=2)),
    silent(refits.recompile_in_loop, FW09, Passed, "now and then", fit_index=8),
    silent(refits.recompile_in_loop, FW09, Passed, "long fits", wall_s=4.1),
    silent(refits.recompile_in_loop, FW09, NotApplicable, "an old record", compilation=Compilation()),
    silent(refits.model_for_every_fit, FW16, NotApplicable, "an old record", compilation=Compilation()),
    silent(refits.model_for_every_fit, FW16, Passed, "the second one", compilation=Compilation(alike=1)),
    silent(refits.model_for_every_fit, FW16, Passed, "the first one", compilation=Compilation(alike=0)),
    silent(refits.model_for_every_fit, FW16, Passed, "long fits", wall_s=1.4),
    silent(refits.model_for_every_fit, FW16, Passed, "broken off at once", compilation_s=0.0, wall_s=0.0),
    silent(refits.models_kept, FW13, Passed, "few", live_models=5),
    silent(refits.models_kept, FW13, Passed, "trap: enough memory", memory_pressure=0.09),
    silent(compiling.rnn_unroll, FW11, NotApplicable, "not unrolled", layers=(DENSE,)),
    silent(
        compiling.rnn_unroll, FW11, Passed, "few steps",
        layers=(Layer("input", "InputLayer", 0, 0, "(None, 30, 8)"), UNROLLED),
    ),
    silent(compiling.rnn_unroll, FW11, Passed, "a long fit", fit_s=71.0),
    silent(debugging.debug_flags, FW12, Passed, "none", settings={"tf.debugging.enable_check_numerics": "False"}),
    silent(
        debugging.debug_flags, FW12, Passed, "determinism costs nothing",
        settings={"tf.config.experimental.enable_op_determinism": "True"}, input_share=0.09,
    ),
    silent(
        debugging.debug_flags, FW12, Passed, "trap: determinism on busy cores",
        settings={"tf.config.experimental.enable_op_determinism": "True"}, input_share=0.5, idle_cores=0.4,
    ),
    silent(debugging.debug_flags, FW12, Passed, "oneDNN, which is HW11", settings={"TF_ENABLE_ONEDNN_OPTS": "0"}),
    silent(
        debugging.debug_flags, FW12, Passed, "determinism of torch on a CPU",
        backend="torch", settings={"torch.use_deterministic_algorithms": "True"}, layers=(CONV,),
    ),
    silent(
        debugging.debug_flags, FW12, Passed, "determinism of cuDNN without convolutions",
        backend="torch", settings={"torch.backends.cudnn.deterministic": "True"}, accelerators=("GPU",),
    ),
    silent(debugging.debug_flags, FW12, Passed, "kernels of a CPU", settings={"CUDA_LAUNCH_BLOCKING": "1"}),
    silent(debugging.debug_flags, FW12, Passed, "another backend's", settings={"jax_debug_nans": "True"}),
    silent(eager.torch_small_operations, FW14, NotApplicable, "JAX", backend="jax"),
    silent(eager.torch_small_operations, FW14, Passed, "computes", step_flops=3.2e7),
    silent(
        eager.torch_small_operations, FW14, Passed, "a GPU computes", step_flops=1.4e9, accelerator_flops=REACHED_FLOPS
    ),
    silent(eager.torch_small_operations, FW14, Passed, "compiled", jit_compile=True),
    silent(eager.torch_small_operations, FW14, Passed, "trap: a loader takes the cores", held_up_share=0.3),
    silent(eager.torch_small_operations, FW14, NotApplicable, "its own step", custom_train_step=True),
    silent(eager.slow_version, FW15, Passed, "a newer one", versions={"keras": "3.15.0"}),
    silent(
        eager.slow_version, FW15, Passed, "a GRU of a newer one",
        versions={"keras": "3.14.0"}, layers=(dataclasses.replace(UNROLLED, kind="GRU"),),
    ),
    silent(eager.slow_version, FW15, Passed, "a newer one on JAX", backend="jax", versions={"keras": "3.14.0"}),
    silent(
        eager.slow_version, FW15, NotApplicable, "trap: a GRU on JAX, for which there is none",
        backend="jax", layers=(dataclasses.replace(UNROLLED, kind="GRU"),),
    ),
    silent(
        eager.slow_version, FW15, Passed, "trap: masked",
        layers=(Layer("tokens", "Embedding", 64, 64, options={"mask_zero": "True"}), UNROLLED),
    ),
    silent(eager.slow_version, FW15, NotApplicable, "TPU", backend="jax", accelerators=("TPU",)),
    silent(eager.slow_version, FW15, NotApplicable, "CPU", accelerators=()),
    silent(eager.slow_version, FW15, NotApplicable, "not recurrent", layers=(DENSE,)),
]  # fmt: skip
