"""OP: the update of the weights."""

from typing import Any

import keras

from benchmarks.zoo.case import EVERYWHERE, Fit, case
from benchmarks.zoo.trainings import classifier, fit, mlp, numbers, table, tokens

layers = keras.layers


@case(
    "adam_on_a_huge_embedding",
    "OP01",
    on=EVERYWHERE,
)
def _adam_on_embedding(fixed: bool) -> Fit:
    optimizer: Any = "adam"
    if fixed:
        plain, others = keras.optimizers.SGD(), keras.optimizers.Adam()
        optimizer = keras.optimizers.MultiOptimizer(lambda variable: plain if "embedding" in variable.path else others)
    table_and_head = table(500_000, 32, fixed), layers.Flatten(), layers.Dense(32)
    model = classifier(layers.Input((4,)), *table_and_head, optimizer=optimizer)
    return fit(model, *tokens(64 * 20, 4, 500_000), batch_size=64)


@case("update_of_wide_layers", "OP03", on=("tensorflow", "torch"))
def _wide(fixed: bool) -> Fit:
    return fit(mlp(512, 2048, 3), *numbers(32 * 48, 512), batch_size=128 if fixed else 32)


@case("muon_on_a_small_model", "OP05", on=("tensorflow", "jax"))
def _muon(fixed: bool) -> Fit:
    optimizer = keras.optimizers.AdamW() if fixed else keras.optimizers.Muon()
    dense = [layers.Dense(512, activation="relu") for _ in range(3)]
    return fit(classifier(layers.Input((64,)), *dense, optimizer=optimizer), *numbers(32 * 25, 64), batch_size=32)


def _sparse(optimizer: Any, fixed: bool) -> Fit:
    """Plain gradient descent, which touches the rows that a batch looks up."""
    table_and_head = table(300_000, 32, fixed), layers.Flatten(), layers.Dense(32)
    model = classifier(layers.Input((4,)), *table_and_head, optimizer=optimizer)
    return fit(model, *tokens(64 * 40, 4, 300_000), batch_size=64)


@case("embedding_with_weight_decay", "OP02")
def _decay(fixed: bool) -> Fit:
    return _sparse(keras.optimizers.SGD(0.01, weight_decay=None if fixed else 1e-4), fixed)


@case("averaged_embedding", "OP02")
def _averaged(fixed: bool) -> Fit:
    return _sparse(keras.optimizers.SGD(0.01, use_ema=not fixed), fixed)


@case("table_copied_to_be_read", "OP08")
def _copied(fixed: bool) -> Fit:
    return _sparse(keras.optimizers.SGD(0.01), fixed)
