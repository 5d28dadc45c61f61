"""The code of the remedies: it is Python, what it names exists, and what stands by itself runs."""

import ast
import builtins
import dataclasses
import importlib
import re

import keras
import numpy as np
import pytest

from tb_trainspeed.rules.optimizer.embedding import LOOKED_UP
from tests.rules.test_rules import FIRES

# Lines for a shell, and settings of it.
_SHELL = ("pip ", "docker ", "export ", "nvidia-smi ", "torchrun ", "top ", "TF_", "powerprofilesctl ")
_MODULES = {"keras": "keras", "np": "numpy", "os": "os", "tf": "tensorflow", "jax": "jax", "gc": "gc"}
# What `...` stands for in a call, by what is called; the model has arguments of its own.
_ELSE = {
    "head.compile": ("sgd", "mse"),
    "Conv2D": (8, 3), "LSTM": (8,), "GRU": (8,), "Dense": (8,), "Embedding": (9, 8), "Rows": (), "Adam": (), "SGD": (),
    "RandomRotation": (0.1,),
}  # fmt: skip
# They change the process for good, or have to come first in it.
_FOR_GOOD = ("config.", "mixed_precision.", "environ", "distribution.", "distribute.")


def _python(code):
    """The program that is there once the code was applied; `...` in a list of arguments becomes `*_`."""
    kept = [line[2:] for line in code.split("\n") if line[:1] in "+ " and not line[2:].startswith(_SHELL)]
    text = re.sub(r"(def \w+\((?:self, )?)\.\.\.(, .*)?\)", r"\1*_)", "\n".join(kept))
    text = re.sub(r"(\(|, )\.\.\.(?=[,)])", r"\1*_", text)
    text = text.replace(", ...]", "]")
    # Only the head of a function is shown where its body stays.
    return f"{text}\n    pass" if text.rstrip().endswith(":") else text


def _dotted(node):
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []


CODES = {row.id: _python(row.values[0](**{**row.values[1], **row.values[2]}).code) for row in FIRES}


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_it_is_python_and_what_it_names_exists(code):
    stored = set()
    for node in ast.walk(ast.parse(code)):
        stored |= {node.id} if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else set()
        first, *rest = _dotted(node) or [""]
        if first not in _MODULES or first in stored or (first in ("tf", "jax") and first not in _of_this_backend()):
            continue
        value = importlib.import_module(_MODULES[first])
        for name in rest:
            if isinstance(value, (type, type(keras))) or name == rest[0]:
                assert hasattr(value, name), f"{first}.{'.'.join(rest)}"
                value = getattr(value, name)


OF_STAGES = [pytest.param(row, id=row.id) for row in FIRES if "stages" in row.values[1] | row.values[2]]


@pytest.mark.parametrize("row", OF_STAGES)
def test_code_does_not_name_a_lambda(row):
    rule, facts, changed = row.values
    facts = {**facts, **changed}
    named = (dataclasses.replace(stage, function=stage.function and "<lambda>") for stage in facts["stages"])
    found = rule(**{**facts, "stages": tuple(named)})
    assert "<lambda>" not in found.code + found.message
    ast.parse(_python(found.code))


def _of_this_backend():
    return {"tensorflow": ("tf",), "jax": ("jax",)}.get(keras.backend.backend(), ())


class _Model:
    """A model as a user has it: `...` in `compile` and `fit` is what these were called with before."""

    def __init__(self, data):
        self._model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        self._data = data
        self.compile()

    def compile(self, *_, **options):
        self._model.compile(**{"optimizer": "sgd", "loss": "mse", **options})

    def fit(self, *data, **options):
        options = {name: self._data if value is ... else value for name, value in options.items()}
        return self._model.fit(*(data or self._data), **{"verbose": 0, **options})

    def save(self, path):
        self._model.save(path)

    def train_on_batch(self, x, y):
        return self._model.train_on_batch(x, y)

    def get_layer(self, name):
        return self._model.layers[-1]

    def __getattr__(self, name):
        return getattr(self._model, name)


def _stands_by_itself(code):
    tree, known = ast.parse(code), {"_", *dir(builtins), "x", "y", "model", "keras", "np"}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    known |= {node.id for node in names if isinstance(node.ctx, ast.Store) and node.id != "dataset"}
    known |= {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    known |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return bool(names) and {node.id for node in names} <= known


RUNS = {row: code for row, code in CODES.items() if _stands_by_itself(code) and not any(w in code for w in _FOR_GOOD)}


# Keras 3.8 warns where a model of a list of inputs gets an array, and takes it.
@pytest.mark.filterwarnings("ignore:[^$]*structure of `inputs` doesn't match")
@pytest.mark.parametrize("code", RUNS.values(), ids=RUNS)
def test_what_stands_by_itself_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = np.random.default_rng(0).normal(size=(512, 4)).astype("float32"), np.zeros((512, 1), "float32")
    np.save("x.npy", x)
    before = x.copy()
    for callee, arguments in _ELSE.items():
        code = code.replace(f"{callee}(*_", f"{callee}(*{arguments}")
    names = {"keras": keras, "np": np, "x": x, "y": y, "model": _Model((x, y)), "_": ()}
    exec(code, names)
    assert np.array_equal(x, before)  # nothing of the user's is changed in place


def test_the_quick_cases_of_the_zoo_are_among_those_that_run():
    assert {name.partition(" ")[0] for name in RUNS} >= {"FW01", "FW07", "MC00", "CV03", "CB06"}


def test_rows_that_are_looked_up_in_the_variable_train_the_same():
    """The layer of OP08, as its code has it."""
    names = {"keras": keras, "tf": importlib.import_module("tensorflow")}
    exec("\n".join(line[2:] for line in LOOKED_UP.splitlines()), names)
    x, y = np.random.default_rng(0).integers(0, 50, (64, 4)).astype("int32"), np.ones((64, 1), "float32")

    def trained(kind):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((4,)), kind(50, 3), keras.layers.Flatten(), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(x, y, epochs=2, verbose=0)
        return model.get_weights()

    for ours, theirs in zip(trained(names["LookedUp"]), trained(keras.layers.Embedding), strict=True):
        np.testing.assert_array_equal(ours, theirs)
