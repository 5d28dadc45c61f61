"""The update of a large table of which a batch looks up a few rows."""

from collections.abc import Mapping

from tb_trainspeed.profile import Layer, Model
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import release_of, sizes
from tb_trainspeed.rules.optimizer.shared import CLIPS, SPEAK_FROM, cheap, evidence, given, less
from tb_trainspeed.rules.rule import Found, NotApplicable, Outcome, Passed, rule

_TABLE_FROM = 1_000_000
# Of all trainable parameters.
_TABLE_SHARE_FROM = 0.5
# A batch that looks up a tenth of the rows leaves nine tenths of the update without a gradient.
_ROWS_SHARE_TO = 0.1
#: Optimizers that keep one or two numbers for every weight, and update them all in every step.
_DENSE = ("Adam", "Nadam", "RMSprop", "Adadelta", "Lamb", "Lion", "Ftrl", "ScheduleFreeAdamW")
# What plain SGD saves of the table's part of the update: medians of the pairs of five machines of two cores.
_WITHOUT_AVERAGES = {"tensorflow": 0.86, "jax": 0.86, "torch": 0.94}
# The version of Keras that has `MultiOptimizer`: read in the wheels of 3.9 to 3.15.
_SEVERAL_OPTIMIZERS_FROM = (3, 15)


def _tables(model: Model) -> list[Layer]:
    """Embeddings that are trained and large, the largest first."""
    found = [layer for layer in model.layers if layer.kind == "Embedding"]
    return sorted(
        (layer for layer in found if layer.trainable_parameters >= _TABLE_FROM),
        key=lambda layer: -layer.trainable_parameters,
    )


def _looked_up(batch_size: int, table: Layer) -> int:
    """Rows that a batch looks up at most: one for every position of the output."""
    positions = 1
    for size in sizes(table.output_shape)[:-1]:
        positions *= size
    return batch_size * positions


@rule("OP01", "adam-on-huge-embedding", silences=("OP03", "OP06"))
def adam_on_embedding(
    model: Model,
    optimizer: str,
    trainable_parameters: int,
    batch_size: int,
    optimizer_s: float,
    computing_s: float,
    backend: str,
    versions: Mapping[str, str],
) -> Outcome:
    """Every step updates every row of a huge embedding, although a batch looks up a few of them.

    What it means: an `Embedding` holds most of the parameters, and the optimizer keeps averages for each of them.

    Why it is slow: the averages of all rows decay in every step, so all of the table and of its averages is read and
    written: 28 bytes a parameter with Adam, whatever the batch looks up.

    What to change: give the table an optimizer without averages, plain `SGD`, with `keras.optimizers.MultiOptimizer`,
    which Keras has from 3.15 on; before, train the whole model with it. Or make the table smaller: a rarer half of the
    vocabulary can share rows (`keras.layers.Hashing`).

    When this is wrong: a batch looks up most of the rows. Another optimizer changes training: compare the validation
    loss.

    Sources: https://github.com/keras-team/keras/issues/19992, https://github.com/keras-team/keras/issues/4365. The time
    of the update is measured by deep samples. Measured on two cores, 500,000 rows of 32: SGD instead of Adam makes
    epochs 4 to 6 times faster, and a table of 20,000 rows 11 to 44 times. The prediction takes 75 to 98 % of the
    table's part of the update away: ends that were set by runs on a busy machine, and are to be checked.
    """
    tables = _tables(model)
    if not tables:
        return NotApplicable("no large embedding is trained")
    if not optimizer.startswith(_DENSE):
        return Passed(f"{optimizer} keeps no averages of every row")
    table = tables[0]
    share = table.trainable_parameters / trainable_parameters
    if share < _TABLE_SHARE_FROM:
        return Passed(f"the embedding holds {words.share(share)} of the parameters")
    width = sizes(table.output_shape)[-1:] or (1,)
    rows = int(table.options.get("input_dim", table.trainable_parameters // width[0]))
    looked_up = _looked_up(batch_size, table)
    if looked_up > _ROWS_SHARE_TO * rows:
        return Passed(f"a batch looks up as many as {words.number(looked_up)} of {words.number(rows)} rows")
    if too_little := cheap(optimizer_s, computing_s, SPEAK_FROM):
        return Passed(too_little)
    own_s = share * optimizer_s
    several = release_of(versions["keras"]) >= _SEVERAL_OPTIMIZERS_FROM
    code = (
        f"+ table, others = keras.optimizers.SGD(), keras.optimizers.{optimizer}()\n"
        "+ optimizer = keras.optimizers.MultiOptimizer(\n"
        f'+     lambda variable: table if "{table.name}" in variable.path else others\n'
        "+ )\n"
        if several
        else "+ optimizer = keras.optimizers.SGD(momentum=0.0)\n"
    )
    return Found(
        title="Every step updates every row of a huge embedding",
        message=f"`{table.name}` holds {words.share(share)} of the parameters. A batch looks up at most "
        f"{words.number(looked_up)} of its {words.number(rows)} rows, but {optimizer} updates all of them: "
        f"{words.seconds(own_s)} of the {words.seconds(computing_s)} that a step computes.",
        phase="optimizer",
        evidence={
            **evidence(optimizer_s, computing_s, trainable_parameters),
            f"rows of `{table.name}`": words.number(rows),
            "looked up by a batch": f"at most {words.number(looked_up)}",
        },
        remedy="Update the table with plain SGD, which needs no averages, or shrink it."
        + ("" if several else " Keras before 3.15 has one optimizer for all of a model."),
        code=f'- model.compile(optimizer="{optimizer.lower()}", ...)\n{code}+ model.compile(optimizer=optimizer, ...)',
        change=less(own_s, 0.75, _WITHOUT_AVERAGES[backend], 0.98),
        confidence="likely",
        changes_results="training",
    )


@rule("OP02", "embedding-densified", silences=("OP03", "OP06"))
def embedding_densified(
    model: Model,
    backend: str,
    optimizer: str,
    trainable_parameters: int,
    batch_size: int,
    optimizer_s: float,
    computing_s: float,
) -> Outcome:
    """An option of the optimizer makes the sparse update of an embedding dense.

    What it means: plain SGD on TensorFlow touches only those rows of an `Embedding` that the batch looked up. Clipping
    by norm, weight decay, averaged weights (`use_ema`) or a regularizer of the table touch all of them.

    Why it is slow: the whole table is read and written in every step.

    What to change: leave the table out: `optimizer.exclude_from_weight_decay(var_names=[...])`, no regularizer on it,
    `clipvalue` instead of a norm.

    When this is wrong: the option is there to keep rare rows small, and is worth its price.

    Sources: Keras, Optimizer. The time of the update is measured by deep samples. Measured on two cores: 1.5 times
    faster without `clipnorm`, 2.9 times without a regularizer. The prediction takes 50 to 105 % of the table's part
    of the update away, as what is left gets faster, too.
    """
    tables = _tables(model)
    if not tables:
        return NotApplicable("no large embedding is trained")
    if backend != "tensorflow" or optimizer != "SGD" or given(model, "momentum"):
        return NotApplicable("the gradient of the embedding is dense anyway")
    table = tables[0]
    causes = [name for name in (*CLIPS, "weight_decay", "use_ema") if given(model, name)]
    if "embeddings_regularizer" in table.options:
        causes.append("embeddings_regularizer")
    if not causes:
        return Passed("the update of the embedding is sparse")
    looked_up = _looked_up(batch_size, table)
    if looked_up * (sizes(table.output_shape) or (1,))[-1] > _ROWS_SHARE_TO * table.trainable_parameters:
        return Passed("a batch looks up a good part of the rows")
    if too_little := cheap(optimizer_s, computing_s, SPEAK_FROM):
        return Passed(too_little)
    own_s = optimizer_s * table.trainable_parameters / trainable_parameters
    excluded = f'+ optimizer.exclude_from_weight_decay(var_names=["{table.name}"])'
    dropped = f"- keras.layers.Embedding(..., {causes[0]}=...)\n+ keras.layers.Embedding(...)"
    code = {
        "weight_decay": excluded,
        "embeddings_regularizer": dropped,
        "use_ema": "- optimizer = keras.optimizers.SGD(..., use_ema=True)\n+ optimizer = keras.optimizers.SGD(...)",
    }.get(causes[0], f"- optimizer = keras.optimizers.SGD(..., {causes[0]}=...)\n"
                     "+ optimizer = keras.optimizers.SGD(..., clipvalue=1.0)")  # fmt: skip
    return Found(
        title="An option of the optimizer makes the update of the embedding dense",
        message=f"`{causes[0]}` reads and writes all {words.number(table.trainable_parameters)} parameters of "
        f"`{table.name}` in every step; the update takes {words.seconds(optimizer_s)} of the "
        f"{words.seconds(computing_s)} that a step computes.",
        phase="optimizer",
        evidence={**evidence(optimizer_s, computing_s, trainable_parameters), "because of": ", ".join(causes)},
        remedy=f"Leave `{table.name}` out of it.",
        code=code,
        change=less(own_s, 0.5, 0.92, 1.05),
        confidence="likely",
        changes_results="training",
    )


RULES = (adam_on_embedding, embedding_densified)
