"""Whether code of the user's opens or loads the same thing every time, by its source, which is never run."""

import ast
import contextlib
import functools
import gc
import linecache
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

#: What is called by these names returns something else every time.
DIFFERENT_EVERY_TIME = {"next", "pop", "popleft", "get", "choice", "integers", "randint", "randrange"}
# Of `pickle`, `marshal`, `zlib`, `msgpack`, `orjson`, and of files; and `open`, where short work on a file lets go of
# the lock of Python, and is seen.
_READS_IN_C = {"load", "loads", "read", "readlines", "decompress", "unpackb", "open"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_PARSING = threading.Lock()
_WAITS_S = 1.0


@functools.lru_cache(maxsize=1024)
def is_given_the_same(file: str, line: int, callee: str) -> bool | None:
    """Whether what a line calls is given the same every time, by the look of it.

    It is not where something in its first argument comes from the arguments of the function that the line is in, `self`
    apart, or from a loop of that function. The others say which part of a file is wanted, as `skiprows` does. Of what
    is indexed it goes by the call that opened it.

    Args:
        file: of the user's own code.
        line: from 1.
        callee: the name of the function, or of a special method of what is made.

    Returns:
        `None` where the source is not there, or does not show such a call.
    """
    function = function_around(file, line)
    if function is None:
        return None
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and holds(node, line)]
    named: list[Any] = [node for node in calls if callee.startswith("__") or called(node) == callee]
    if callee == "__getitem__":
        named = _indexed(function, line)
    if not named:
        return None
    varying = _varying(function)
    return not any(_names(_arguments(node)) & varying for node in named)


@functools.lru_cache(maxsize=1024)
def reads_by(file: str, line: int) -> tuple[str, str]:
    """What a line reads by that is written in C, which no sample of the stack shows: (name, module).

    Args:
        file: of the user's own code.
        line: from 1.

    Returns:
        Such as `("load", "pickle")`; a method of what has no module, such as `("read", "")`; empty names for others.
    """
    tree = parsed(file)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and holds(node, line)] if tree else []
    for node in calls:
        if called(node) in _READS_IN_C:
            owner = getattr(getattr(node.func, "value", None), "id", "")
            return called(node), _modules(file).get(owner, "")
    return "", ""


@functools.lru_cache(maxsize=64)
def _modules(file: str) -> dict[str, str]:
    """The modules that a file imports, by the names that it gives them."""
    tree = parsed(file)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)] if tree else []
    return {name.asname or name.name: name.name.partition(".")[0] for node in imports for name in node.names}


def parsed(file: str) -> ast.Module | None:
    """The source of a file; `None` where it is not there."""
    try:
        return tree_of("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError):
        return None


def tree_of(source: str) -> ast.Module:
    """Parses source without disturbing other threads that do.

    Before 3.11.8 Python 3.11 counts how deep it is in a tree in one place for all threads. Where a collection of
    garbage within one tree lets another thread begin the next, `ast.parse` fails in either
    (https://github.com/python/cpython/pull/113035): also in the thread that trains, while TensorFlow reads its step.

    Raises:
        SyntaxError: if it is no Python.
        ValueError: if it holds null bytes, or other threads parse for longer than a second.
    """
    with _undisturbed() if (3, 11) <= sys.version_info < (3, 11, 8) else contextlib.nullcontext():
        return ast.parse(source)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    with _PARSING:
        until = time.monotonic() + _WAITS_S
        while True:
            collects = gc.isenabled()  # for moments only: the program may want to switch it off itself
            gc.disable()
            try:
                if not _is_parsed_elsewhere():
                    yield
                    return
            finally:
                if collects:
                    gc.enable()
            if time.monotonic() > until:
                raise ValueError("other threads parse")
            time.sleep(0.001)


def _is_parsed_elsewhere() -> bool:
    for thread, innermost in sys._current_frames().items():
        frame = innermost if thread != threading.get_ident() else None
        while frame:
            if frame.f_code is ast.parse.__code__:
                return True
            frame = frame.f_back
    return False


def function_around(file: str, line: int) -> Any | None:
    """The innermost function that a line is in; `None` where there is none, or no source."""
    tree = parsed(file)
    around = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS) and holds(node, line)] if tree else []
    return max(around, key=lambda node: node.lineno, default=None)


def holds(node: Any, line: int) -> bool:
    """Whether a line is one of those of a node."""
    return bool(node.lineno <= line <= node.end_lineno)


def _indexed(function: ast.AST, line: int) -> list[ast.AST]:
    """What is indexed on a line: what a call returns, or else what has a name."""
    bases = []
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript) and holds(node, line):
            base = node.value
            while isinstance(base, ast.Subscript):
                base = base.value
            bases.append(base)
    calls: list[ast.AST] = [base for base in bases if isinstance(base, ast.Call)]
    return calls or [base for base in bases if isinstance(base, ast.Name)]


def _arguments(node: Any) -> list[Any]:
    """What a call is given first, or all of it, where that is by name."""
    return (node.args[:1] or [one.value for one in node.keywords]) if isinstance(node, ast.Call) else [node]


def called(node: ast.Call) -> str:
    """The name of what is called."""
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def _names(nodes: Iterable[ast.AST]) -> set[str]:
    """The names in there, of what is called also where it is a method."""
    parts = [part for node in nodes for part in ast.walk(node)]
    functions = {called(part) for part in parts if isinstance(part, ast.Call)}
    return functions | {part.id for part in parts if isinstance(part, ast.Name)}


def _varying(function: Any) -> set[str]:
    """The names in a function whose values may differ from call to call, or from turn to turn."""
    given = function.args
    one_of = [given.vararg, given.kwarg, *given.posonlyargs, *given.args, *given.kwonlyargs]
    found = {argument.arg for argument in one_of if argument} - {"self", "cls"} | DIFFERENT_EVERY_TIME
    made: list[tuple[set[str], set[str]]] = []  # what is assigned, and from what
    for node in ast.walk(function):
        if isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            found |= _names([node.target])
        elif isinstance(node, ast.Assign):
            made.append((_names(node.targets), _names([node.value])))
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)) and node.value:
            made.append((_names([node.target]), _names([node.value])))
        elif isinstance(node, ast.withitem) and node.optional_vars:
            made.append((_names([node.optional_vars]), _names([node.context_expr])))
    for _ in made:  # as far as values are handed on
        found |= {name for targets, values in made if values & found for name in targets - {"self"}}
    return found
