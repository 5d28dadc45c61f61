"""The user's own code of a step, read and not run."""

import functools
import linecache
import pathlib

import keras
import numpy as np
import pytest

from tb_trainspeed.probes.code import code_lines, function_of, names_of, of_batches, program_of


def _watched(value):
    return value.item()


def _smooth(y, y_pred):
    print("traced")  # prints nothing that was computed
    for _ in range(3):
        y_pred = y_pred + 0.0
    return keras.losses.mean_squared_error(y, y_pred)


class Counted(keras.metrics.Mean):
    def update_state(self, y, y_pred, sample_weight=None):
        return super().update_state(numpy_function(np.mean, [y], "float32"))


def numpy_function(function, inputs, dtype):
    """Stands in for `tf.numpy_function`."""
    return 1.0


class Net(keras.Model):
    def train_step(self, *args):
        result = super().train_step(*args)
        print(self.name, result)
        self.seen = self._read(result)
        return result

    def _read(self, result):
        rate = float(self.rate) + float("1.0")
        return float(result["loss"]) + _watched(result) + rate


def _compiled(kind, loss, metrics=()):
    inputs = keras.Input((4,))
    model = kind(inputs, keras.layers.Dense(1)(inputs))
    model.compile("adam", loss, metrics=list(metrics))
    return model


def test_lines_are_found_in_what_the_step_calls_too():
    lines, functions = code_lines(_compiled(Net, _smooth))
    found = [(line.kind, line.calls, line.function, line.text) for line in lines]
    assert sorted(found) == [
        ("loop", "range", "_smooth", "for _ in range(3):"),
        ("print", "print", "Net.train_step", "print(self.name, result)"),
        ("read", "float", "Net._read", 'return float(result["loss"]) + _watched(result) + rate'),
        ("read", "item", "_watched", "return value.item()"),
    ]
    assert functions == 4
    assert {line.file for line in lines} == {__file__}
    source = pathlib.Path(__file__).read_text(encoding="utf-8").splitlines()
    assert all(source[line.line - 1].strip() == line.text for line in lines)


def test_metrics_are_read_once_they_are_built():
    model = _compiled(keras.Model, "mse", [Counted()])
    model.compute_metrics(np.zeros((2, 4), "float32"), np.zeros((2, 1)), np.zeros((2, 1)))
    (line,) = code_lines(model)[0]
    assert (line.kind, line.calls, line.function) == ("python", "numpy_function", "Counted.update_state")


def test_code_of_keras_is_not_read():
    assert code_lines(_compiled(keras.Model, "mse")) == ((), 0)


def test_what_has_no_source_is_left_out():
    made = {}
    exec("def loss(y, y_pred):\n    return float(y)\n", {}, made)  # as typed into a console
    assert code_lines(_compiled(keras.Model, made["loss"])) == ((), 0)
    assert code_lines(_compiled(keras.Model, functools.partial(_smooth))) == ((), 0)


def _shifted(image, random):
    return np.roll(image, random.integers(-3, 4), 0)


class Plain:
    def __init__(self):
        self.order = np.random.default_rng(0).permutation(8)

    def __getitem__(self, index):
        return self.order[index]

    def on_epoch_end(self):
        np.random.shuffle(self.order)


class Augmented(Plain):
    rng = random = np.random.default_rng(0)

    def __getitem__(self, index):
        return self._augment(super().__getitem__(index))

    def _augment(self, image):
        return _shifted(image, self.random)


class Noisy(Plain):
    def __getitem__(self, index):
        return np.random.normal(size=3)


class Seeded(Plain):
    def __getitem__(self, index):
        random = np.random.default_rng(index)
        return random.normal(size=3)


class Files(Plain):
    def __getitem__(self, index):
        return self._augment(self._load(index))

    def _load(self, index):
        return np.load(f"{index}.npy")

    def _augment(self, image):
        return image * np.random.uniform()


@pytest.mark.parametrize(
    ("kind", "random", "opens_nothing"),
    [
        (Plain, None, "Plain.__getitem__"),
        (Augmented, "_shifted", "Augmented.__getitem__ Augmented._augment _shifted"),
        (Noisy, "Noisy.__getitem__", "Noisy.__getitem__"),
        (Seeded, None, "Seeded.__getitem__"),
        (Files, "Files._augment", "Files._augment"),
        (dict, None, None),
    ],
)
def test_what_makes_a_batch(kind, random, opens_nothing):
    found = of_batches(getattr(kind, "__getitem__", None), kind)
    assert (found.get("random"), found.get("opens_nothing")) == (random, opens_nothing)


def pairs(count):
    order = list(range(count))
    while True:
        yield [_picked(order) for _ in range(3)]


def _picked(order):
    return np.random.permutation(order)[0]


def test_what_a_generator_draws_is_read_and_nothing_of_it_is_run():
    generator = pairs(7)
    assert of_batches(function_of(generator))["random"] == "_picked"
    assert generator.gi_frame.f_lasti == pairs(7).gi_frame.f_lasti
    generator.close()
    assert function_of(generator) is None
    assert of_batches(None) == {}


CALLS = """
import keras
net.fit(train_ds, epochs=3)
self.model.fit(
    x=self.images,
    y=labels,
)
build().fit(load(), y)
search(lambda: tuner.fit(a, b), net.fit(c, d))
net.predict(x)
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (3, {"model": "net", "x": "train_ds"}),
        (4, {"model": "self.model", "x": "self.images", "y": "labels"}),
        (6, {"model": "self.model", "x": "self.images", "y": "labels"}),
        (8, {"y": "y"}),
        (10, {}),
    ],
)
def test_names_of_the_model_and_the_data(line, expected, tmp_path):
    path = tmp_path / "train.py"
    path.write_text(CALLS)
    library, called, outer, typed = (
        compile("", file, "exec") for file in (keras.__file__, str(path), __file__, "<stdin>")
    )
    callers = [(library, 1), (called, line), (outer, 1), (typed, 1)]
    assert names_of(callers) == {f"called_{what}": name for what, name in expected.items()}
    assert program_of(callers) is outer
    assert names_of([(typed, 1)]) == names_of([]) == {}
    assert program_of([(typed, 1)]) is program_of([]) is None


def test_which_function_of_keras_reads_a_directory(tmp_path):
    path = tmp_path / "train.py"
    path.write_text("data = keras.utils.image_dataset_from_directory(folder)\nmodel.fit(data.map(double))\n")
    linecache.checkcache(str(path))
    found = names_of([(compile("", str(path), "exec"), 2)])
    assert found == {"called_model": "model", "loaded_by": "image_dataset_from_directory"}
