"""What XLA's modules say of their instructions: where each belongs, by the names of the operations it was made from."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from tb_trainspeed.probes.op_names import Place
from tb_trainspeed.probes.xspace_pb2 import HloProto

#: Shares of an instruction that belong to a place; they add up to 1.
Shares = tuple[tuple[Place, float], ...]

# They contain others, which are seen by themselves.
_CONTAINERS = frozenset({"while", "call", "conditional", "async-start", "async-done"})
_COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "reduce-scatter", "collective-")
_TRANSFERS = ("copy-start", "copy-done", "infeed", "outfeed", "send", "recv")
# Cost nothing inside a fusion.
_FREE = frozenset({"parameter", "constant", "bitcast", "tuple", "get-tuple-element", "broadcast", "iota", "reshape"})
# Cost so much more than the elementwise instructions they are fused with that those do not count.
_HEAVY = frozenset({"dot", "convolution", "custom-call", "sort", "fft", "cholesky", "triangular-solve"})
_UNKNOWN = Place("unknown")
# What JAX calls the operations that call Python.
_PYTHON = frozenset({"pure_callback", "io_callback", "debug_callback", "debug_print"})
_FAR = 6


class Instruction(NamedTuple):
    """An instruction of a module. `contains` says that what it does are other instructions, seen by themselves.

    `python` is by what name it calls Python on the host, empty where it does not.
    """

    shares: Shares
    contains: bool = False
    python: str = ""


def op_names(module: HloProto) -> set[str]:
    """The names of all operations that a module was made from."""
    return {
        instruction.metadata.op_name.decode(errors="replace")
        for computation in module.hlo_module.computations
        for instruction in computation.instructions
    }


def operations(module: HloProto) -> list[tuple[str, str]]:
    """The instructions of a module that were made from an operation: the name of that, and what they do."""
    return [
        (instruction.metadata.op_name.decode(errors="replace"), instruction.opcode.decode())
        for computation in module.hlo_module.computations
        for instruction in computation.instructions
        if instruction.metadata.op_name and instruction.opcode != b"fusion"  # whose parts are there themselves
    ]


def instructions(module: HloProto, place: Callable[[str], Place]) -> dict[str, Instruction]:
    """Returns the instructions of a module by their names.

    A fusion belongs to where its parts belong, by the elements they make. An instruction without a name of an
    operation, such as a copy, belongs to what uses it, or else to what it uses.
    """
    computations = {computation.id: computation for computation in module.hlo_module.computations}
    found: dict[str, Instruction] = {}
    for computation in computations.values():
        shares = _own_shares(computation, computations, place)
        _inherit(computation.instructions, shares)
        for instruction in computation.instructions:
            opcode = instruction.opcode.decode()
            made = shares.get(instruction.id, ((_UNKNOWN, 1.0),))
            if opcode.startswith(_COLLECTIVES):
                made = ((Place("collectives"), 1.0),)
            elif opcode.startswith(_TRANSFERS):
                made = ((Place("transfer"), 1.0),)
            found[instruction.name.decode(errors="replace")] = Instruction(
                made, opcode in _CONTAINERS, _python(instruction)
            )
    return found


def _python(instruction: Any) -> str:
    """By what name of JAX's an instruction calls Python."""
    name = instruction.metadata.op_name.decode(errors="replace").rpartition("/")[2]
    return str(name) if instruction.opcode == b"custom-call" and name in _PYTHON else ""


def _own_shares(computation: Any, computations: Mapping[int, Any], place: Callable[[str], Place]) -> dict[int, Shares]:
    shares: dict[int, Shares] = {}
    for instruction in computation.instructions:
        parts: dict[Place, float] = {}
        if instruction.opcode == b"fusion":
            parts = _parts_of(_inside(instruction, computations), place)
        if not parts and instruction.metadata.op_name and instruction.opcode != b"parameter":  # that is an argument's
            parts = {place(instruction.metadata.op_name.decode(errors="replace")): 1.0}
        if not parts and instruction.called_computation_ids:
            parts = _parts_of(_inside(instruction, computations), place)
        if parts:
            total = sum(parts.values())
            shares[instruction.id] = tuple((where, part / total) for where, part in parts.items())
    return shares


def _inside(instruction: Any, computations: Mapping[int, Any]) -> list[Any]:
    """All instructions that one calls, at any depth."""
    found: list[Any] = []
    seen: set[int] = set()
    below = list(instruction.called_computation_ids)
    while below:
        called = below.pop()
        if called in seen or called not in computations:
            continue
        seen.add(called)
        for inner in computations[called].instructions:
            found.append(inner)
            below.extend(inner.called_computation_ids)
    return found


def _parts_of(inside: Iterable[Any], place: Callable[[str], Place]) -> dict[Place, float]:
    parts: dict[Place, float] = {}
    heavy: dict[Place, float] = {}
    for instruction in inside:
        opcode, name = instruction.opcode.decode(), instruction.metadata.op_name
        if not name or opcode in _FREE:
            continue
        elements = 1.0
        for dimension in instruction.shape.dimensions:
            elements *= max(1, dimension)
        where = place(name.decode(errors="replace"))
        for counted in (parts, heavy) if opcode in _HEAVY else (parts,):
            counted[where] = counted.get(where, 0.0) + elements
    return heavy or parts


def _inherit(instructions: Iterable[Any], shares: dict[int, Shares]) -> None:
    """Gives what has no place that of its nearest user that has one, or else of its nearest operand.

    What the optimizer uses, but was not made by it, is a gradient: XLA drops the names of convolutions it rewrites.
    """
    operands = {instruction.id: list(instruction.operand_ids) for instruction in instructions}
    users: dict[int, list[int]] = {}
    for instruction, used in operands.items():
        for operand in used:
            users.setdefault(operand, []).append(instruction)
    known = dict(shares)
    backward = {number: made for number, made in known.items() if "backward" in _phases(made)}
    for instruction in operands:
        if instruction not in known:
            user, origin = _nearest(instruction, users, known), _nearest(instruction, operands, known)
            if user and origin and "optimizer" in _phases(user) - _phases(origin):
                made_from = _nearest(instruction, operands, backward) or ()
                gradient = [place for place, _ in (*user, *made_from) if made_from and place.phase == "backward"]
                user = ((gradient[0], 1.0),) if gradient else user
            found = user or origin
            if found:
                shares[instruction] = found


def _phases(shares: Shares) -> set[str]:
    return {place.phase for place, _ in shares}


def _nearest(start: int, neighbours: Mapping[int, list[int]], known: Mapping[int, Shares]) -> Shares | None:
    level, seen = [start], {start}
    for _ in range(_FAR):
        level = [other for one in level for other in neighbours.get(one, ()) if other not in seen]
        seen.update(level)
        for one in level:
            if one in known:
                return known[one]
    return None
