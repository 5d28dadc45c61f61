"""The update of a large table of which a batch looks up a few rows."""

import math
import re
from collections.abc import Mapping

from tb_trainspeed.profile import Data, Layer, Model
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import release_of, sizes
from tb_trainspeed.rules.optimizer.shared import CLIPS, SPEAK_FROM, cheap, evidence, given, less
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule

_TABLE_FROM = 1_000_000
# Of all trainable parameters.
_TABLE_SHARE_FROM = 0.5
# A batch that looks up a tenth of the rows leaves nine tenths of the update without a gradient.
_ROWS_SHARE_TO = 0.1
#: A layer that gathers rows from the variable itself, which hence need not be copied.
LOOKED_UP = """\
+ @keras.saving.register_keras_serializable()
+ class LookedUp(keras.layers.Embedding):
+     def call(self, inputs):
+         return tf.gather(self.embeddings.value, tf.cast(inputs, "int32"))"""
#: Optimizers that keep one or two numbers for every weight, and update them all in every step.
_DENSE = ("Adam", "Nadam", "RMSprop", "Adadelta", "Lamb", "Lion", "Ftrl", "ScheduleFreeAdamW")
# What plain SGD saves of the table's part of the update: medians of the pairs of five machines of two cores.
_WITHOUT_AVERAGES = {"jax": 0.86, "torch": 0.94}
# Of what is expected to be left of a step of TensorFlow whose table is neither updated as a whole nor copied. Measured
# on two cores, ten pairs of five models: 0.5 to 1.2.
_LEFT = (2.2, 1.0, 0.6)
# The layer after one that copies its table frees the copy, which takes most of its time: what the layers take by
# themselves was 0.02 to 0.4 of what they took.
_OTHER_LAYERS_BESIDE_COPIES = 0.3
# The version of Keras that has `MultiOptimizer`: read in the wheels of 3.9 to 3.15.
_SEVERAL_OPTIMIZERS_FROM = (3, 15)


def _tables(model: Model) -> list[Layer]:
    """Embeddings that are trained and large, the largest first."""
    found = [layer for layer in model.layers if layer.kind == "Embedding"]
    return sorted(
        (layer for layer in found if layer.trainable_parameters >= _TABLE_FROM),
        key=lambda layer: -layer.trainable_parameters,
    )


def _looked_up(batch_size: int, data: Data, table: Layer) -> int | None:
    """Rows that a batch looks up at most: one for every position of the output.

    Where the model leaves the length open, it is that of the first batch, unless the model makes tokens of strings.
    """
    positions = sizes(table.output_shape)[:-1]
    if len(positions) == (table.output_shape or "").count(",") - 1:  # all but the batch and the width
        return batch_size * math.prod(positions)
    parts = re.findall(r"(\w+)(\([^)]*\))", data.batch or "")
    if not parts or any(dtype == "string" for dtype, _ in parts):
        return None
    return batch_size * max(math.prod(sizes(shape)) for _, shape in parts)


def _looking_up(table: Layer) -> str:
    """A layer of TensorFlow that looks rows up in the variable, and does not read all of it first, and its use."""
    size = f"{table.options.get('input_dim', '...')}, {table.options.get('output_dim', '...')}"
    return f"{LOOKED_UP}\n- keras.layers.Embedding({size})\n+ LookedUp({size})"


def _rows_only(
    table: Layer,
    own_s: float,
    computing_s: float,
    dispatch_s: float,
    timed_layers: Mapping[str, tuple[float, float]],
    counted: float = 1.0,
) -> Change:
    """A step of TensorFlow that reads and writes those rows of a table only that the batch looks up.

    Args:
        table: the embedding.
        own_s: seconds of a step that the table takes now.
        computing_s: all that a step computes now, seconds.
        dispatch_s: what the host takes for a step however little it computes, seconds; 0 where that is not known.
        timed_layers: seconds that each layer takes, by its path; empty where that is not known.
        counted: how much of the time of the other layers is theirs, a share.
    """
    others_s = sum(sum(seconds) for path, seconds in timed_layers.items() if path != table.path)
    rest_s = max(0.0, computing_s - own_s)
    left_s = min(rest_s, dispatch_s + counted * others_s) if timed_layers else rest_s
    return Change(removes={"device_s": Range(*(max(0.5 * own_s, computing_s - share * left_s) for share in _LEFT))})


@rule("OP01", "adam-on-huge-embedding", silences=("OP03", "OP06", "OP08"))
def adam_on_embedding(
    model: Model,
    optimizer: str,
    trainable_parameters: int,
    batch_size: int,
    data: Data,
    optimizer_s: float,
    computing_s: float,
    told_dispatch_s: float,
    timed_layers: dict[str, tuple[float, float]],
    backend: str,
    versions: Mapping[str, str],
) -> Outcome:
    """Every step updates every row of a huge embedding, although a batch looks up a few of them.

    What it means: an `Embedding` holds most of the parameters, and the optimizer keeps averages for each of them.

    Why it is slow: the averages of all rows decay in every step, so all of the table and of its averages is read and
    written: 28 bytes a parameter with Adam, whatever the batch looks up.

    What to change: give the table an optimizer without averages, plain `SGD`, with `keras.optimizers.MultiOptimizer`,
    which Keras has from 3.15 on; before, train the whole model with it. On TensorFlow the layer has to look rows up in
    the variable, too (OP08). Or make the table smaller: a rarer half of the vocabulary can share rows
    (`keras.layers.Hashing`).

    When this is wrong: a batch looks up most of the rows. Another optimizer changes training, and with a rate as for
    Adam the table hardly learns: of tables of 20,000 and 5,000 rows in batches of 256 the loss after five epochs was
    0.04 with Adam, 1.02 with SGD at its default, and 0.01 at a rate of 10. Compare the validation loss.

    Sources: https://github.com/keras-team/keras/issues/19992, https://github.com/keras-team/keras/issues/4365. The time
    of the update is measured by deep samples. Measured on two cores, 500,000 rows of 32: SGD instead of Adam makes
    epochs 4 to 6 times faster, and a table of 20,000 rows 11 to 44 times; on TensorFlow 47 and 81 times with such a
    layer, and 3 without. The prediction takes 75 to 98 % of the table's part of the update away; on TensorFlow it
    leaves the host's part of a step and the other layers.
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
    looked_up = _looked_up(batch_size, data, table)
    if looked_up is None:
        return NotApplicable("how many rows a batch looks up is not known")
    if looked_up > _ROWS_SHARE_TO * rows:
        return Passed(f"a batch looks up as many as {words.number(looked_up)} of {words.number(rows)} rows")
    if too_little := cheap(optimizer_s, computing_s, SPEAK_FROM):
        return Passed(too_little)
    own_s = share * optimizer_s
    several = release_of(versions["keras"]) >= _SEVERAL_OPTIMIZERS_FROM
    code = (
        f"+ table = keras.optimizers.SGD(learning_rate={batch_size / 25:.2g})   # to be tried\n"
        f"+ others = keras.optimizers.{optimizer}(...)   # with the arguments that it has now\n"
        "+ optimizer = keras.optimizers.MultiOptimizer(\n"
        f'+     lambda variable: table if "{table.name}" in variable.path else others\n'
        "+ )\n"
        if several
        else f"+ optimizer = keras.optimizers.SGD(learning_rate={batch_size / 25:.2g})   # to be tried\n"
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
        remedy="Update the table with plain SGD, which needs no averages, "
        + ("and look its rows up without a copy." if backend == "tensorflow" else "or shrink it.")
        + ("" if several else " Keras before 3.15 has one optimizer for all of a model.")
        + f" It needs a learning rate of its own, far above that of {optimizer}: a row's gradient is divided by all "
        "samples of a batch, of which few look it up. Compare the validation loss.",
        code=f"- model.compile(optimizer=keras.optimizers.{optimizer}(...), ...)\n{code}"
        "+ model.compile(optimizer=optimizer, ...)" + (f"\n{_looking_up(table)}" if backend == "tensorflow" else ""),
        change=less(own_s, 0.75, _WITHOUT_AVERAGES[backend], 0.98)
        if backend in _WITHOUT_AVERAGES
        else _rows_only(table, own_s, computing_s, told_dispatch_s, timed_layers),
        confidence="likely",
        changes_results="training",
    )


@rule("OP02", "embedding-densified", silences=("OP03", "OP06", "OP08"))
def embedding_densified(
    model: Model,
    backend: str,
    optimizer: str,
    trainable_parameters: int,
    batch_size: int,
    data: Data,
    timed_layers: dict[str, tuple[float, float]],
    optimizer_s: float,
    computing_s: float,
    told_dispatch_s: float,
) -> Outcome:
    """An option of the optimizer makes the sparse update of an embedding dense.

    What it means: plain SGD on TensorFlow touches only those rows of an `Embedding` that the batch looked up. Clipping
    by norm, weight decay, averaged weights (`use_ema`) or a regularizer of the table touch all of them.

    Why it is slow: the whole table is read and written in every step.

    What to change: leave the table out: `optimizer.exclude_from_weight_decay(var_names=[...])`, no regularizer on it,
    `clipvalue` instead of a norm. And have its rows looked up in the variable, or it is still copied to be read (OP08).

    When this is wrong: the option is there to keep rare rows small, and is worth its price.

    Sources: Keras, Optimizer. The time of the update is measured by deep samples. Measured on two cores: 1.5 times
    faster without `clipnorm`, 2.9 times without a regularizer, and 28 to 46 times if the table is not copied, either.
    The prediction leaves the host's part of a step and the other layers.
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
    looked_up = _looked_up(batch_size, data, table)
    if looked_up is None:
        return NotApplicable("how many rows a batch looks up is not known")
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
        remedy=f"Leave `{table.name}` out of it, and look its rows up without a copy.",
        code=f"{code}\n{_looking_up(table)}",
        change=_rows_only(
            table,
            own_s + timed_layers.get(table.path, (0.0, 0.0))[0],
            computing_s,
            told_dispatch_s,
            timed_layers,
            _OTHER_LAYERS_BESIDE_COPIES,
        ),
        confidence="likely",
        changes_results="training",
    )


@rule("OP08", "embedding-copied")
def embedding_copied(
    model: Model,
    backend: str,
    batch_size: int,
    data: Data,
    layer_s: dict[str, tuple[float, float]],
    computing_s: float,
    told_dispatch_s: float,
) -> Outcome:
    """All of a huge embedding is copied in every step, to read a few of its rows.

    What it means: looking rows up in an `Embedding` takes as long as going through the whole table.

    Why it is slow: `keras.layers.Embedding` reads the variable as a whole and gathers from what it read. TensorFlow
    hands out a variable without copying it, until it is updated in a few rows, as by plain `SGD`: from then on every
    such read is a copy.

    What to change: a layer that gathers from the variable itself. The weights after training are the same to the bit.

    When this is wrong: under mixed precision, where the table is cast, and so read, in any case. With an optimizer that
    updates all rows, as Adam does, such a layer makes steps slower: TensorFlow then copies the table to update it.

    Sources: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/resource_var.h
    (`copy_on_read_mode`), https://github.com/keras-team/keras/issues/15376; Keras, `backend/tensorflow/numpy.py`
    (`take`). The time of the layer is measured by deep samples. Measured on two cores, 300,000 and 500,000 rows of 32:
    13 to 18 times faster. The prediction leaves the host's part of a step and the other layers.
    """
    if backend != "tensorflow":
        return NotApplicable("only TensorFlow copies variables to read them")
    tables = _tables(model)
    if not tables:
        return NotApplicable("no large embedding is trained")
    table = tables[0]
    looked_up = _looked_up(batch_size, data, table)
    if looked_up is None:
        return NotApplicable("how many rows a batch looks up is not known")
    rows = int(table.options.get("input_dim", 0)) or table.trainable_parameters
    if looked_up > _ROWS_SHARE_TO * rows:
        return Passed(f"a batch looks up as many as {words.number(looked_up)} of {words.number(rows)} rows")
    own_s = layer_s.get(table.path, (0.0, 0.0))[0]
    if own_s < SPEAK_FROM * computing_s:
        return Passed(f"looking rows up takes {words.share(own_s / computing_s)} of what a step computes")
    return Found(
        title="All of a huge embedding is copied in every step",
        message=f"A batch looks up at most {words.number(looked_up)} of {words.number(rows)} rows of `{table.name}`, "
        f"but that takes {words.seconds(own_s)} of the {words.seconds(computing_s)} that a step computes: TensorFlow "
        "copies the table to read it.",
        phase="compute",
        evidence={
            "looking up": f"{words.seconds(own_s)}, {words.share(own_s / computing_s)} of computing",
            f"rows of `{table.name}`": words.number(rows),
            "looked up by a batch": f"at most {words.number(looked_up)}",
            "size of the table": words.size(4 * table.trainable_parameters),
        },
        remedy="Look the rows up in the variable itself.",
        code=_looking_up(table),
        change=_rows_only(table, own_s, computing_s, told_dispatch_s, layer_s, _OTHER_LAYERS_BESIDE_COPIES),
        confidence="likely",
    )


RULES = (adam_on_embedding, embedding_densified, embedding_copied)
