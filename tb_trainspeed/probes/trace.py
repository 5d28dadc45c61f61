"""Decodes a trace of a few training steps: what the step is made of, by phases, layers and stages of the pipeline."""

import bisect
import re
from typing import Any

import numpy as np

from tb_trainspeed.probes import hlo, tf_data_trace, xspace
from tb_trainspeed.probes.hlo import Instruction, Shares
from tb_trainspeed.probes.intervals import CONTAINER, HIDDEN, WAIT, WORK, Intervals, share
from tb_trainspeed.probes.op_names import OpNames, Place
from tb_trainspeed.probes.sampling import Unavailable
from tb_trainspeed.recorder import Sample

#: The name of the events that mark the calls of the train function.
MARK = "trainspeed:step"
#: All parts of a step.
PARTS = (
    "forward", "backward", "metrics", "optimizer", "transfer", "collectives", "input_wait", "host_overhead", "unknown",
)  # fmt: skip

# An event of an operation of TensorFlow's: name and type.
_OPERATION = re.compile(r"[^: ][^:]*:(_?[A-Z]\w*)$")
# Around each task of a thread pool.
_TASK_BEGINS, _TASK_ENDS = "ThreadpoolListener::StartRegion", "ThreadpoolListener::StopRegion"
_WAIT_EVENT = "IteratorGetNextOp::DoCompute"
_WAITS = ("IteratorGetNext", "MultiDeviceIteratorGetNextFromShard")
_CONTAINERS = frozenset({
    "PartitionedCall", "StatefulPartitionedCall", "RemoteCall", "While", "StatelessWhile", "If", "StatelessIf", "Case",
    "StatelessCase", "SymbolicGradient", "XlaLaunch", "_XlaRun", "_XlaCompile", "_XlaMerge",
})  # fmt: skip
_TRANSFERS = ("_Send", "_Recv", "_HostSend", "_HostRecv", "CopyToDevice", "Memcpy")
# They run Python on the host, or make and print text there.
_PYTHON = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc", "PrintV2", "StringFormat"})
_COLLECTIVES = ("Collective", "Nccl", "_Nccl", "NcclAllReduce")


class _Found:
    """The intervals of a trace, and what each is a share of."""

    def __init__(self) -> None:
        self.begins: list[int] = []
        self.ends: list[int] = []
        self.kinds: list[int] = []
        self.shares: list[Shares] = []
        #: What calls Python on the host, by its kind: picoseconds.
        self.python_ps: dict[str, int] = {}

    def call_python(self, kind: str, begin: int, end: int) -> None:
        self.python_ps[kind] = self.python_ps.get(kind, 0) + end - begin

    def add(self, begin: int, end: int, kind: int, shares: Shares) -> None:
        self.begins.append(begin)
        self.ends.append(end)
        self.kinds.append(kind)
        self.shares.append(shares)


class Decoder:
    """Decodes the traces of one fit. Not for several threads.

    Args:
        names: tells where operations belong.
        asynchronous: steps are only enqueued by the calls of the train function. The parts then add up to the time in
            which a call was on or the device at work; else to the calls alone.
    """

    def __init__(self, names: OpNames, asynchronous: bool):
        self._names, self._asynchronous = names, asynchronous
        self._modules: dict[str, dict[str, Instruction]] = {}
        #: Name and kind of the operations of the largest module of XLA's that was seen, which is the step.
        self.operations: list[tuple[str, str]] = []

    def decode(self, data: bytes, steps: int) -> Sample:
        """Returns what one of so many steps is made of.

        Raises:
            Unavailable: if the trace holds none of them, as with versions of JAX whose profiler sees no instruction.
        """
        planes = xspace.read(data)
        modules = {name: module for plane in planes for name, module in plane.modules()}
        devices = [plane for plane in planes if plane.name.startswith("/device:") and plane.lines]
        hosts = [plane for plane in planes if plane.name == "/host:CPU"]
        found, windows = _Found(), ([], [])  # type: tuple[_Found, tuple[list[int], list[int]]]
        stages: tuple[Any, ...] = ()
        for plane in hosts:
            self._marks(plane, windows)
            ids = tf_data_trace.function_ids(plane)
            self._operations(plane, ids, found, dispatched=bool(devices))
            if not devices:
                self._thunks(plane, modules, found)
            stages = tf_data_trace.stages(plane, ids, steps)
        for plane in devices:
            self._kernels(plane, modules, found)
        if not windows[0] or not found.begins:
            raise Unavailable("the profiler of this version saw no operation of a step")
        return self._sample(found, windows, stages, steps, fill=not devices and not self._asynchronous)

    def _sample(
        self, found: _Found, windows: tuple[list[int], list[int]], stages: tuple[Any, ...], steps: int, fill: bool
    ) -> Sample:
        intervals = Intervals(
            np.array(found.begins, np.int64), np.array(found.ends, np.int64), np.array(found.kinds, np.int64)
        )
        marks = np.array(windows[0], np.int64), np.array(windows[1], np.int64)
        seconds, idle_s = share(intervals, marks, beyond=self._asynchronous, fill=fill)
        places: dict[Place, float] = {}
        for one_s, shares in zip(seconds.tolist(), found.shares, strict=True):
            for place, part in shares:
                places[place] = places.get(place, 0.0) + part * one_s
        parts = dict.fromkeys(PARTS, 0.0)
        layers: dict[str, list[float]] = {}
        for (phase, layer), value in places.items():
            parts[phase] += value / steps
            if layer:
                layers.setdefault(layer, [0.0, 0.0])[phase == "backward"] += value / steps
        parts["host_overhead"] += idle_s / steps
        python_s = {kind: total * 1e-12 / steps for kind, total in found.python_ps.items()}
        return Sample(steps, parts, {layer: (times[0], times[1]) for layer, times in layers.items()}, stages, python_s)

    def _marks(self, plane: xspace.Plane, windows: tuple[list[int], list[int]]) -> None:
        for line in plane.lines:
            for number in [number for number, name in plane.names.items() if name == MARK]:
                chosen = line.names == number
                windows[0].extend(line.begins[chosen].tolist())
                windows[1].extend(line.ends[chosen].tolist())

    def _operations(self, plane: xspace.Plane, ids: set[int], found: _Found, dispatched: bool) -> None:
        """What TensorFlow's executor ran. Where the devices' own events are there, those of the host only dispatch."""
        kinds: dict[int, tuple[int, Shares]] = {}
        operations = {
            number: (name.rpartition(":")[0], match[1])
            for number, name in plane.names.items()
            if (match := _OPERATION.match(name))
        }
        self._names.learn(name for name, _ in operations.values())
        python = {number: of_type for number, (_, of_type) in operations.items() if of_type in _PYTHON}
        for number, (name, of_type) in operations.items():
            kind, place = WORK, self._names.place(name)
            if of_type.startswith(_WAITS):
                kind, place = WAIT, Place("input_wait")
            elif of_type.startswith(_COLLECTIVES):
                kind, place = HIDDEN, Place("collectives")
            elif of_type.startswith(_TRANSFERS):
                kind, place = HIDDEN, Place("transfer")
            elif of_type in _CONTAINERS:
                kind = CONTAINER
            if not dispatched or kind == WAIT:
                kinds[number] = kind, ((place, 1.0),)
        kinds.update(
            (number, (WAIT, ((Place("input_wait"), 1.0),)))
            for number, name in plane.names.items()
            if name == _WAIT_EVENT
        )
        for line in plane.lines:
            foreign = tf_data_trace.runs_of(plane, line, ids)
            begins = [begin for begin, _, _ in foreign]
            for number, begin, end in zip(line.names.tolist(), line.begins.tolist(), line.ends.tolist(), strict=True):
                if number in kinds or number in python:
                    before = bisect.bisect_right(begins, begin) - 1
                    if before >= 0 and begin < foreign[before][1]:
                        continue
                    if number in kinds:
                        found.add(begin, end, *kinds[number])
                    if number in python:
                        found.call_python(python[number], begin, end)
            xspace.pause()

    def _thunks(self, plane: xspace.Plane, modules: dict[str, bytes], found: _Found) -> None:
        """What XLA ran on the CPU. An instruction that was handed over ends with an event of its own, `end: ...`.

        The thread that does the last bit of it goes on, inside, with what waited for it, and tells the end after that.
        So the first instruction that begins there, in the same task of the thread pool, is when it was over.
        """
        ended: dict[int, tuple[int, list[int]]] = {}
        begun: list[tuple[int, int, int | None, Instruction]] = []
        is_thunk: dict[int, bool] = {}
        for line in plane.lines:
            tasks: list[list[int]] = [[]]  # those that the thread is in, with the begins of their instructions
            for count, index in enumerate(np.argsort(line.begins, kind="stable").tolist()):
                number, begin, end = int(line.names[index]), int(line.begins[index]), int(line.ends[index])
                name = plane.names[number]
                if name == _TASK_BEGINS:
                    tasks.append([])
                elif name == _TASK_ENDS:
                    if len(tasks) > 1:
                        tasks.pop()
                elif name.startswith("end: "):
                    (flow,) = plane.stats(line.events[index], "_c")
                    ended[flow] = max(ended.get(flow, (0, [])), (end, tasks[-1] if len(tasks) > 1 else []))
                elif is_thunk.get(number, True):
                    operation, module, program, flow = plane.stats(
                        line.events[index], "hlo_op", "hlo_module", "program_id", "_p"
                    )
                    is_thunk[number] = operation is not None
                    if operation is not None:
                        instruction = self._instruction(modules, f"{module}({program})", operation)
                        begun.append((begin, end, flow, instruction))
                        tasks[-1].append(begin)
                if count % 1000 == 999:
                    xspace.pause()
        for begin, end, flow, instruction in begun:
            over, next_begins = ended.get(flow, (0, [])) if flow is not None else (0, [])
            over = max(end, over)
            following = bisect.bisect_right(next_begins, begin)
            if not instruction.contains and following < len(next_begins):
                over = min(over, next_begins[following])
            self._add(found, begin, over, instruction)
            if instruction.python:
                found.call_python(instruction.python, begin, over)

    def _kernels(self, plane: xspace.Plane, modules: dict[str, bytes], found: _Found) -> None:
        """What a GPU or TPU ran, by the streams of the device."""
        for line in plane.lines:
            if not line.name.startswith(("Stream", "XLA Ops")):  # the others are made from these
                continue
            for index, number in enumerate(line.names.tolist()):
                name, begin, end = plane.names[number], int(line.begins[index]), int(line.ends[index])
                operation, module, program, tf_op = plane.stats(
                    line.events[index], "hlo_op", "hlo_module", "program_id", "tf_op"
                )
                if "nccl" in name.lower():
                    found.add(begin, end, HIDDEN, ((Place("collectives"), 1.0),))
                elif name.startswith(_TRANSFERS):
                    found.add(begin, end, HIDDEN, ((Place("transfer"), 1.0),))
                elif operation is not None:
                    self._add(found, begin, end, self._instruction(modules, f"{module}({program})", operation))
                else:
                    place = self._names.place(tf_op.rpartition(":")[0] or tf_op) if tf_op else Place("unknown")
                    found.add(begin, end, WORK, ((place, 1.0),))

    def _add(self, found: _Found, begin: int, end: int, instruction: Instruction) -> None:
        phase = instruction.shares[0][0].phase
        kind = CONTAINER if instruction.contains else HIDDEN if phase in ("collectives", "transfer") else WORK
        found.add(begin, end, kind, instruction.shares)

    def _instruction(self, modules: dict[str, bytes], module: str, operation: str) -> Instruction:
        if module not in self._modules:
            self._modules[module] = {}
            if module in modules:
                parsed = xspace.read_module(modules[module])
                xspace.pause()
                self._names.learn(hlo.op_names(parsed))
                self.operations = max(self.operations, hlo.operations(parsed), key=len)
                self._modules[module] = hlo.instructions(parsed, self._names.place)
        return self._modules[module].get(operation) or Instruction(((Place("unknown"), 1.0),))
