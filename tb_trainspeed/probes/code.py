"""What the user's own code of a step says by its source, which is read and never run."""

import ast
import contextlib
import inspect
import os
import re
import textwrap
from collections.abc import Iterable, Iterator
from types import CellType, CodeType, FunctionType
from typing import Any

import keras

from tb_trainspeed.probes import given
from tb_trainspeed.probes.source import is_library
from tb_trainspeed.profile import CodeLine

# The methods of models, layers, losses and metrics that run in every step, or are traced into it.
_METHODS = ("train_step", "compute_loss", "compute_metrics", "call", "update_state")
_READS = ("numpy", "item", "tolist", "cpu", "convert_to_numpy")
_PRINTS = ("tf.print", "tensorflow.print", "jax.debug.print", "jax.debug.callback", "debug.print", "debug.callback")
_PYTHON = ("py_function", "numpy_function", "pure_callback", "io_callback")
# What is looped over where every turn repeats the code of the one before: numbers, or slices of one tensor.
_REPEATS = ("range", "unstack", "split")
# Python's, NumPy's and torch's, by what they are called and by what generators are.
_DRAWING = frozenset(
    ("random", "rng", "generator", "rand", "rand_like", "randn", "randint", "randrange", "randperm", "shuffle",
     "permutation")
)  # fmt: skip
# By its name, as `PIL.Image.open`, `np.load`, `cv2.imread`, `path.read_bytes`, `h5py.File`.
_OPENS = re.compile("open|load|read|decode|file", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_FROM_DIRECTORY = "_dataset_from_directory"
_GENERATORS = ("default_rng", "RandomState", "Random", "manual_seed")
_MAX_FUNCTIONS, _MAX_LINES, _MAX_TEXT = 64, 32, 100


def code_lines(model: Any) -> tuple[tuple[CodeLine, ...], int]:
    """Reads the user's own code of a step of a compiled model, and of what it calls of theirs.

    Code of installed packages is not looked at, nor what has no source, as a function typed into a console.

    Args:
        model: the Keras model.

    Returns:
        The lines that read values back to the host, print, call Python from a compiled step, or loop; and how many
        functions were read.
    """
    lines: list[CodeLine] = []
    read = 0
    for tree, function, first in _users_code(_entries(model)):
        lines += _lines(tree, function, first)
        read += 1
        if len(lines) >= _MAX_LINES:
            break
    return tuple(lines[:_MAX_LINES]), read


def function_of(generator: Any) -> FunctionType | None:
    """The function that a generator runs, to be read and not to be called; `None` once it is exhausted."""
    code, frame = generator.gi_code, generator.gi_frame
    closure = tuple(CellType() for _ in code.co_freevars)
    return FunctionType(code, frame.f_globals, code.co_name, None, closure) if frame else None


def of_batches(make: Any, kind: type | None = None) -> dict[str, str]:
    """Which functions that make a batch or a sample draw at random, and which open no files, by the look of them.

    Numbers count as random where they are drawn from one generator for all batches.

    Args:
        make: the function that makes a batch or a sample, or a generator that makes all of them.
        kind: the class that it is a method of.

    Returns:
        Their names, separated by blanks, as `random` and `opens_nothing`; a function without source is in neither.
    """
    found: dict[str, list[str]] = {}
    for tree, function, _ in _users_code([(make, kind)]):
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        names = [(_dotted(call.func).split("."), bool(call.args)) for call in calls]
        seeded = any(parts[-1] in _GENERATORS and has_seed for parts, has_seed in names)  # for each batch by itself
        if not seeded and any(not _DRAWING.isdisjoint(parts) for parts, _ in names):
            found.setdefault("random", []).append(function.__qualname__)
        if not any(_OPENS.search(parts[-1]) for parts, _ in names):
            found.setdefault("opens_nothing", []).append(function.__qualname__)
    return {what: " ".join(functions) for what, functions in found.items()}


def program_of(callers: Iterable[tuple[CodeType, int]]) -> CodeType | None:
    """The outermost of the user's own code from which a fit was called: a script, or a cell of a notebook."""
    users = [code for code, _ in callers if not is_library(_real(code.co_filename))]
    return users[-1] if users else None


def names_of(callers: Iterable[tuple[CodeType, int]]) -> dict[str, str]:
    """What the user calls the model and the data of a fit, where these have names.

    Args:
        callers: code and lines from which `fit` was called, the innermost first.

    Returns:
        The names as `called_model`, `called_x` and `called_y`; and as `loaded_by` which of Keras' functions made the
        data of a directory, if one is called in that file.
    """
    users = next(((code, line) for code, line in callers if not is_library(_real(code.co_filename))), None)
    tree = given.parsed(users[0].co_filename) if users else None
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)] if tree else []
    around = [call for call in calls if given.called(call) == "fit" and users and given.holds(call, users[1])]
    if not around:
        return {}
    call = max(around, key=lambda node: node.lineno)
    parts = {"model": getattr(call.func, "value", None), **dict(zip("xy", call.args, strict=False))}
    parts |= {one.arg: one.value for one in call.keywords if one.arg in ("x", "y")}
    named = {f"called_{what}": _dotted(node) for what, node in parts.items() if node is not None}
    loaders = [name for call in calls if (name := given.called(call) or "").endswith(_FROM_DIRECTORY)]
    named |= {"loaded_by": loaders[0]} if loaders else {}
    return {what: name for what, name in named.items() if _NAME.fullmatch(name)}


def _users_code(entries: Iterable[tuple[Any, type | None]]) -> Iterator[tuple[ast.AST, FunctionType, int]]:
    """The user's own functions among these and what they call: parsed, and their first lines."""
    waiting = list(entries)
    seen: set[Any] = set()
    while waiting and len(seen) < _MAX_FUNCTIONS:
        named, owner = waiting.pop(0)
        function = inspect.unwrap(named)  # of a `tf.function` too
        if not isinstance(function, FunctionType) or function.__code__ in seen or is_library(_file(function)):
            continue
        seen.add(function.__code__)
        with contextlib.suppress(OSError, SyntaxError, TypeError, ValueError):  # it has no source, or not one by itself
            tree, first = _parsed(function)
            waiting += _called(tree, function, owner)
            yield tree, function, first


def _file(function: FunctionType) -> str:
    return _real(function.__code__.co_filename)


def _real(path: str) -> str:
    return path if path.startswith("<") else os.path.realpath(path)


def _entries(model: Any) -> Iterator[tuple[Any, type | None]]:
    """The functions of which a step is made, each with the class it is of."""
    compiled = getattr(model, "_compile_metrics", None)
    given = [*keras.tree.flatten(getattr(model, "loss", None)), *(getattr(compiled, "metrics", None) or ())]
    for owner in [model, *model._flatten_layers(include_self=False), *given]:
        for name in _METHODS:
            yield getattr(type(owner), name, None), type(owner)
        for function in (owner, getattr(owner, "fn", None), getattr(owner, "_fn", None)):
            yield function, None


def _parsed(function: FunctionType) -> tuple[ast.AST, int]:
    source, first = inspect.getsourcelines(function)
    return given.tree_of(textwrap.dedent("".join(source))), max(1, first)


def _lines(tree: ast.AST, function: FunctionType, first: int) -> Iterator[CodeLine]:
    source = inspect.getsourcelines(function)[0]
    for node in ast.walk(tree):
        found = _kind(node)
        if found:
            number = node.lineno - 1  # type: ignore[attr-defined]
            text = source[number].strip()[:_MAX_TEXT] if number < len(source) else ""
            yield CodeLine(*found, function.__qualname__, _file(function), first + number, text)


def _kind(node: ast.AST) -> tuple[str, str] | None:
    """What a node does, and what it calls for it."""
    if isinstance(node, ast.While):
        return "loop", "while"
    if isinstance(node, ast.For):
        name = _dotted(node.iter.func) if isinstance(node.iter, ast.Call) else ""
        return ("loop", name) if name.rpartition(".")[2] in _REPEATS else None
    if not isinstance(node, ast.Call):
        return None
    name = _dotted(node.func)
    last = name.rpartition(".")[2]
    if name in _PRINTS or (name == "print" and not all(isinstance(value, ast.Constant) for value in node.args)):
        return "print", name
    if last in _PYTHON:
        return "python", name
    if (last in _READS and name != last) or (name == "float" and node.args and not _is_plain(node.args[0])):
        return "read", name if name == "float" else last
    return None


def _is_plain(value: ast.AST) -> bool:
    """Whether this is a number of Python's by the look of it: a literal, or what an object holds."""
    return isinstance(value, (ast.Constant, ast.Attribute))


def _dotted(node: ast.AST) -> str:
    """`tf.print` as written; what is no name, as the `f(x)` of `f(x).numpy`, is left out: `.numpy`."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{_dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def _called(tree: ast.AST, function: FunctionType, owner: type | None) -> Iterator[tuple[Any, type | None]]:
    """The user's own functions that are called there, by their names."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _dotted(node.func)
        if name.startswith("self.") and owner is not None:
            yield getattr(owner, name.removeprefix("self."), None), owner
        else:
            yield function.__globals__.get(name), None
