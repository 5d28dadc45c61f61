"""Ten trainings with a planted cause, and what XProf said of the same ten.

    python -m benchmarks.planted [--only LETTER ...]

XProf's answers were measured once, with xprof 2.24.2 and TensorFlow 2.21 on two cores, and are not run again: stock
`TensorBoard(profile_batch=(10, 20))`, and its best case, the same with the step marked so that XProf sees steps at all.
Stock, its answer to all ten was the same: "No step time measured. Therefore we cannot tell where the performance
bottleneck is." Only here do cases sleep, because those of the comparison did.
"""

import argparse
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from benchmarks.zoo import measure
from benchmarks.zoo.case import Fit, of_the_case
from benchmarks.zoo.trainings import classifier, convnet, fit, image_files, mlp, numbers, pooled, tokens

_BATCH, _STEPS = 32, 40
layers = keras.layers


@dataclasses.dataclass(frozen=True)
class Planted:
    """A training. `causes` are the codes that are right as the first; none where nothing may be found.

    `xprof` is the answer of XProf's best case, `named` whether it names the cause, or at least what kind it is of.
    """

    letter: str
    what: str
    causes: tuple[str, ...]
    make: Callable[[], Fit]
    xprof: str
    named: str = "no"


def _batches() -> Iterator[Any]:
    x, y = numbers(_BATCH * _STEPS)
    while True:
        for begin in range(0, len(x), _BATCH):
            time.sleep(0.02)
            yield x[begin : begin + _BATCH], y[begin : begin + _BATCH]


class _Sleeps(keras.utils.PyDataset):  # type: ignore[misc]
    """Sleeps 20 ms for each batch."""

    x, y = numbers(_BATCH * _STEPS)

    def __len__(self) -> int:
        return _STEPS

    def __getitem__(self, index: int) -> Any:
        time.sleep(0.02)
        rows = slice(index * _BATCH, (index + 1) * _BATCH)
        return self.x[rows], self.y[rows]


def _heavy_map() -> Fit:
    """Images are decoded in a map, one after the other, and there is no `prefetch` behind it."""

    def decode(path: Any, label: Any) -> Any:
        return tf.ensure_shape(tf.io.decode_png(tf.io.read_file(path), channels=3), (224, 224, 3)), label

    dataset = tf.data.Dataset.from_tensor_slices(image_files(_BATCH * _STEPS, 224, "png"))
    return fit(pooled(224), dataset.map(decode).batch(_BATCH))


def _huge_embedding() -> Fit:
    model = classifier(layers.Input((4,)), layers.Embedding(400_000, 64), layers.Flatten())
    return fit(model, *tokens(_BATCH * _STEPS, 4, 400_000), batch_size=_BATCH, epochs=2)


class _Lengths(keras.utils.PyDataset):  # type: ignore[misc]
    """Sequences that are one longer in every batch."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> Any:
        random = np.random.default_rng(index)
        return random.normal(size=(_BATCH, 16 + index, 8)).astype("float32"), random.integers(0, 10, _BATCH)


def _new_shapes() -> Fit:
    model = classifier(layers.Input((None, 8)), layers.Conv1D(32, 3, padding="same"), pooling=1)
    model.compile("adam", model.loss, jit_compile=True)
    return fit(model, _Lengths(), epochs=1)


class Retraced(keras.Sequential):  # type: ignore[misc]
    """Hands the number of the step to its train function as a Python number."""

    def make_train_function(self, force: bool = False) -> None:
        count = 0

        one_step = tf.function(lambda iterator, step: self.train_step(next(iterator)))

        def train_function(iterator: Any) -> Any:
            nonlocal count
            count += 1
            return one_step(iterator, count)

        self.train_function = train_function


def _retraces() -> Fit:
    model = Retraced([layers.Input((32,)), *[layers.Dense(64, activation="relu") for _ in range(4)], layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, *numbers(_BATCH * _STEPS), batch_size=_BATCH, epochs=1)


class _SleepsAfterBatch(keras.callbacks.Callback):  # type: ignore[misc]
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        time.sleep(0.01)


def _callback(first: bool) -> Fit:
    """A callback that sleeps, before or behind the one that profiled."""
    own = [_SleepsAfterBatch(), keras.callbacks.TensorBoard(tempfile.mkdtemp())]
    return fit(mlp(32), *numbers(_BATCH * _STEPS), batch_size=_BATCH, callbacks=own if first else own[::-1])


_HIGHLY = "HIGHLY input-bound"
_NOT = "NOT input-bound … focus on reducing other time"
CASES = (
    Planted(
        "a",
        "a generator that sleeps 20 ms",
        ("IP04",),
        lambda: fit(mlp(32), _batches(), steps_per_epoch=_STEPS),
        _HIGHLY,
        "its kind",
    ),
    Planted("a2", "a PyDataset that sleeps 20 ms", ("IP01",), lambda: fit(mlp(32), _Sleeps()), _HIGHLY, "its kind"),
    Planted("b", "a heavy map (decoding), no prefetch", ("IP09",), _heavy_map, _HIGHLY, "its kind"),
    Planted(
        "c",
        "`run_eagerly=True`",
        ("FW01",),
        lambda: fit(mlp(32, run_eagerly=True), *numbers(_BATCH * _STEPS), batch_size=_BATCH),
        "POTENTIALLY input-bound … 'All Others' time",
    ),
    Planted(
        "d",
        "nothing: a healthy convnet",
        (),
        lambda: fit(convnet(), np.zeros((64 * _STEPS, 28, 28, 1), "float32"), numbers(64 * _STEPS)[1], batch_size=64),
        _NOT,
        "yes",
    ),
    Planted("e", "Adam on an embedding of 400,000 × 64", ("OP01",), _huge_embedding, _NOT),
    Planted("f1", "XLA compiles for a new length in every step", ("FW02",), _new_shapes, _NOT),
    Planted("f2", "the step is traced anew in every step", ("FW02b",), _retraces, _NOT),
    Planted(
        "g1",
        "a callback sleeps 10 ms, behind TensorBoard",
        ("CB01",),
        lambda: _callback(first=False),
        "MODERATELY or POTENTIALLY input-bound",
    ),
    Planted(
        "g2",
        "a callback sleeps 10 ms, before TensorBoard",
        ("CB01",),
        lambda: _callback(first=True),
        "POTENTIALLY input-bound … 'All Others' time",
    ),
)


def row(case: Planted) -> str:
    """Runs a case, and returns its row of the table."""
    report = measure(case.make)
    own = of_the_case(case.causes, (one.code for one in report.findings))
    sure = [one for one in report.findings if one.code in own and one.confidence != "hint"]
    right = {sure[0].code} <= set(case.causes) if sure else not case.causes
    first = f"{sure[0].code} {sure[0].title}" if sure else "nothing"
    cells = (f"{case.letter}: {case.what}", f"{report.verdict} **{first}**", "yes" if right else "**no**")
    return f"| {' | '.join((*cells, 'no step time measured', f'“{case.xprof}”', case.named))} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", metavar="LETTER")
    chosen = parser.parse_args().only
    print("| planted | TrainSpeed: verdict, and first finding | right | XProf, stock | XProf, best case | names it |")
    print("|---|---|---|---|---|---|")
    for case in CASES:
        if not chosen or case.letter in chosen:
            print(row(case), flush=True)


if __name__ == "__main__":
    main()
