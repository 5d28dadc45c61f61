"""Whether code of the user's calls something with the same arguments every time, by its source, which is never run."""

import ast
import functools
import linecache
from collections.abc import Iterable
from typing import Any

_DIFFERENT_EVERY_TIME = {"next", "pop", "popleft", "get", "choice", "integers", "randint", "randrange"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@functools.lru_cache(maxsize=1024)
def is_given_the_same(file: str, line: int, callee: str) -> bool | None:
    """Whether what a line calls is given the same every time, by the look of it.

    It is not where something in its arguments comes from the arguments of the function that the line is in, `self`
    apart, or from a loop of that function.

    Args:
        file: of the user's own code.
        line: from 1.
        callee: the name of the function, or of a special method of what is made.

    Returns:
        `None` where the source is not there, or does not show such a call.
    """
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError):
        return None
    around = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS) and _holds(node, line)]
    if not around:
        return None
    function = max(around, key=lambda node: node.lineno)
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and _holds(node, line)]
    named = [node for node in calls if callee.startswith("__") or _called(node) == callee]
    if not named:
        return None
    varying = _varying(function)
    return not any(_names([*node.args, *(one.value for one in node.keywords)]) & varying for node in named)


def _holds(node: Any, line: int) -> bool:
    return bool(node.lineno <= line <= node.end_lineno)


def _called(node: ast.Call) -> str:
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def _names(nodes: Iterable[ast.AST]) -> set[str]:
    """The names in there, of what is called also where it is a method."""
    parts = [part for node in nodes for part in ast.walk(node)]
    called = {_called(part) for part in parts if isinstance(part, ast.Call)}
    return called | {part.id for part in parts if isinstance(part, ast.Name)}


def _varying(function: Any) -> set[str]:
    """The names in a function whose values may differ from call to call, or from turn to turn."""
    given = function.args
    one_of = [given.vararg, given.kwarg, *given.posonlyargs, *given.args, *given.kwonlyargs]
    found = {argument.arg for argument in one_of if argument} - {"self", "cls"} | _DIFFERENT_EVERY_TIME
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
