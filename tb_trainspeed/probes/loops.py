"""Where loops are in code of the user's, by its source, which is never run."""

import ast
import functools
from types import CodeType
from typing import Any

from tb_trainspeed.probes import given

_COMPREHENSIONS = {ast.ListComp: "<listcomp>", ast.SetComp: "<setcomp>", ast.DictComp: "<dictcomp>"}
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_YIELDS = (ast.Yield, ast.YieldFrom)
_PICKS = given.DIFFERENT_EVERY_TIME | {"choices", "sample"}


@functools.lru_cache(maxsize=1024)
def comprehension_at(file: str, line: int) -> str:
    """The name of the innermost comprehension that a line is in, as Python before 3.12 calls its frame; or nothing."""
    function = given.function_around(file, line)
    around = [node for node in _parts(function) if type(node) in _COMPREHENSIONS and given.holds(node, line)]
    return _COMPREHENSIONS[type(around[-1])] if around else ""


@functools.lru_cache(maxsize=1024)
def is_in_a_loop(file: str, line: int) -> bool:
    """Whether a line runs more than once for a batch: in a comprehension or a loop of its function.

    A loop in which a generator yields goes from batch to batch, and is none.
    """
    for node in _parts(given.function_around(file, line)):
        if isinstance(node, (*_COMPREHENSIONS, ast.GeneratorExp)) and given.holds(node, line):
            return True
        if isinstance(node, _LOOPS) and any(given.holds(part, line) for part in node.body) and not _yields(node):
            return True
    return False


def passes_again(code: CodeType) -> bool:
    """Whether a generator shows that it goes over its data again and again: a loop in a `while`, in which it yields.

    One that draws at random, or takes what others hand it, does not.
    """
    defined = [node for node in _parts(given.parsed(code.co_filename)) if isinstance(node, ast.FunctionDef)]
    functions = [node for node in defined if _first_line(node) == code.co_firstlineno]
    for outer in [node for function in functions for node in ast.walk(function) if isinstance(node, ast.While)]:
        inside = [node for part in outer.body for node in ast.walk(part)]
        drawn = {given.called(node) for node in inside if isinstance(node, ast.Call)} & _PICKS
        if not drawn and any(isinstance(node, ast.For) and _yields(node) for node in inside):
            return True
    return False


def _parts(tree: ast.AST | None) -> list[Any]:
    return list(ast.walk(tree)) if tree else []


def _yields(loop: ast.AST) -> bool:
    return any(isinstance(node, _YIELDS) for node in ast.walk(loop))


def _first_line(function: ast.FunctionDef) -> int:
    return min([function.lineno, *(node.lineno for node in function.decorator_list)])
