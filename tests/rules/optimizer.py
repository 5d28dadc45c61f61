"""The rows of the OP rules."""

import dataclasses
from importlib import metadata

from tb_trainspeed.profile import Data, Layer, Model
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.optimizer import embedding, update
from tb_trainspeed.rules.rule import NotApplicable, Passed
from tests.rules.rows import STEADY, fires, silent

TABLE = Layer(
    "users", "Embedding", 16_000_000, 16_000_000, "(None, 4, 32)", "float32", "users", True, 1, 0,
    {"input_dim": "500000", "output_dim": "32"},
)  # fmt: skip
TOKENS = Data(batch="int32(64, 4), int64(64,)")
OPEN = dataclasses.replace(TABLE, output_shape="(None, None, 32)")  # as of sequences of any length
WITH_TABLE = Model(layers=(TABLE,), optimizer="Adam")
CLIPPED = dataclasses.replace(WITH_TABLE, optimizer="SGD", optimizer_options={"momentum": "0.0", "clipnorm": "1.0"})
UPDATE = {"trainable_parameters": 16_100_000, "optimizer_s": 0.06, "computing_s": 0.1}

# The code that is proposed has to run with the version that is installed.
OP01 = {
    "backend": "tensorflow",
    **UPDATE,
    "model": WITH_TABLE,
    "optimizer": "Adam",
    "batch_size": 64,
    "data": TOKENS,
    "told_dispatch_s": 0.002,
    "timed_layers": {"users": (0.0001, 0.0), "dense": (0.001, 0.002)},
    "versions": {"keras": metadata.version("keras")},
}
OP02 = {
    **UPDATE,
    "model": CLIPPED,
    "optimizer": "SGD",
    "backend": "tensorflow",
    "batch_size": 64,
    "data": TOKENS,
    "timed_layers": {"users": (0.02, 0.0)},
    "told_dispatch_s": 0.002,
}
OP08 = {
    "model": dataclasses.replace(WITH_TABLE, optimizer="SGD"),
    "backend": "tensorflow",
    "batch_size": 64,
    "data": TOKENS,
    "layer_s": {"users": (0.035, 0.0), "dense": (0.005, 0.0)},
    "computing_s": 0.04,
    "told_dispatch_s": 0.002,
}
OP03 = {**UPDATE, "model": Model(), "optimizer": "Adam", "batch_size": 32, "steady": STEADY}
ACCUMULATES = Model(optimizer="Adam", optimizer_options={"gradient_accumulation_steps": "4"})
OP04 = {
    "model": Model(trainable_variables=400),
    "backend": "tensorflow",
    "jit_compile": False,
    "trainable_parameters": 400_000,
    "optimizer_s": 0.06,
    "computing_s": 0.1,
}
OP05 = {**UPDATE, "backend": "tensorflow", "optimizer": "Muon", "batch_size": 32}
OP06 = {**UPDATE, "model": Model(optimizer="Adam", optimizer_options={"use_ema": "True"})}
OP07 = {
    "model": ACCUMULATES,
    "steady": STEADY,
    "device_memory_share": 0.15,
    "batch_size": 8,
    "computing_s": 0.02,
}
SCHEDULED = dataclasses.replace(
    ACCUMULATES, optimizer_options={**ACCUMULATES.optimizer_options, "learning_rate_schedule": "CosineDecay"}
)
REGULARIZED = dataclasses.replace(TABLE, options={**TABLE.options, "embeddings_regularizer": "L2"})

FIRES = [
    fires(embedding.adam_on_embedding, OP01),
    fires(embedding.adam_on_embedding, OP01, "one optimizer for all", versions={"keras": "3.14.1"}),
    fires(embedding.adam_on_embedding, OP01, "JAX", backend="jax"),
    fires(embedding.adam_on_embedding, OP01, "of any length", model=dataclasses.replace(WITH_TABLE, layers=(OPEN,))),
    fires(embedding.embedding_copied, OP08),
    fires(embedding.embedding_densified, OP02),
    fires(
        embedding.embedding_densified,
        OP02,
        "regularized",
        model=dataclasses.replace(CLIPPED, layers=(REGULARIZED,), optimizer_options={"momentum": "0.0"}),
    ),
    fires(update.update_dominates, OP03),
    fires(update.many_small_variables, OP04),
    fires(update.muon_cost, OP05),
    fires(update.averaging_and_clipping, OP06),
    fires(
        update.averaging_and_clipping,
        OP06,
        "clipping",
        model=Model(optimizer="Adam", optimizer_options={"global_clipnorm": "1.0"}),
    ),
    fires(update.needless_accumulation, OP07),
    fires(update.needless_accumulation, OP07, "under a schedule", model=SCHEDULED),
]

SILENT = [
    silent(
        embedding.adam_on_embedding,
        OP01,
        Passed,
        "trap: long sequences of a length left open",
        model=dataclasses.replace(WITH_TABLE, layers=(OPEN,)),
        data=Data(batch="int32(64, 1000), int64(64,)"),
    ),
    silent(
        embedding.adam_on_embedding,
        OP01,
        NotApplicable,
        "the model makes tokens of strings",
        model=dataclasses.replace(WITH_TABLE, layers=(OPEN,)),
        data=Data(batch="string(64,), int64(64,)"),
    ),
    silent(embedding.embedding_copied, OP08, NotApplicable, "JAX", backend="jax"),
    silent(embedding.embedding_copied, OP08, NotApplicable, "none", model=Model()),
    silent(embedding.embedding_copied, OP08, Passed, "trap: most rows are looked up", batch_size=12_501),
    silent(embedding.embedding_copied, OP08, Passed, "only gathers", layer_s={"users": (0.0059, 0.0)}),
    silent(embedding.embedding_copied, OP08, Passed, "not timed apart", layer_s={}),
    silent(embedding.adam_on_embedding, OP01, Passed, "SGD", optimizer="SGD"),
    silent(embedding.adam_on_embedding, OP01, Passed, "most rows are looked up", batch_size=12_501),
    silent(embedding.adam_on_embedding, OP01, Passed, "cheap", optimizer_s=0.014),
    silent(embedding.adam_on_embedding, OP01, Passed, "not most", trainable_parameters=33_000_000),
    silent(embedding.adam_on_embedding, OP01, NotApplicable, "none", model=Model()),
    silent(embedding.embedding_densified, OP02, NotApplicable, "dense anyway", backend="jax"),
    silent(
        embedding.embedding_densified,
        OP02,
        Passed,
        "sparse",
        model=dataclasses.replace(CLIPPED, optimizer_options={"momentum": "0.0"}),
    ),
    silent(embedding.embedding_densified, OP02, Passed, "cheap", optimizer_s=0.014),
    silent(update.update_dominates, OP03, Passed, "large batch", batch_size=129),
    silent(update.update_dominates, OP03, Passed, "an update of many", batch_size=33, model=ACCUMULATES),
    silent(update.update_dominates, OP03, NotApplicable, "few batches", steady=Steady(1.0, 3, 3, {})),
    silent(update.needless_accumulation, OP07, NotApplicable, "few batches", steady=Steady(1.0, 3, 3, {})),
    silent(update.update_dominates, OP03, Passed, "small model", trainable_parameters=999_999),
    silent(update.update_dominates, OP03, Passed, "cheap", optimizer_s=0.029),
    silent(update.many_small_variables, OP04, Passed, "few", model=Model(trainable_variables=150)),
    silent(update.many_small_variables, OP04, Passed, "large", trainable_parameters=1_600_000),
    silent(update.many_small_variables, OP04, Passed, "fused", backend="jax"),
    silent(update.muon_cost, OP05, NotApplicable, "Adam", optimizer="Adam"),
    silent(update.muon_cost, OP05, Passed, "cheap", optimizer_s=0.029),
    silent(
        update.averaging_and_clipping,
        OP06,
        NotApplicable,
        "neither",
        model=Model(optimizer_options={"use_ema": "False"}),
    ),
    silent(update.averaging_and_clipping, OP06, Passed, "cheap", optimizer_s=0.029),
    silent(update.needless_accumulation, OP07, NotApplicable, "none", model=Model()),
    silent(
        update.needless_accumulation,
        OP07,
        Passed,
        "full",
        device_memory_share=0.21,
    ),
]
