"""Traces decoded: golden ones of each kind, and events made up here. None of this needs a backend."""

import gzip
import pathlib
import types

import numpy as np
import pytest

from tb_trainspeed.probes import hlo, intervals, tf_data_trace
from tb_trainspeed.probes.intervals import CONTAINER, HIDDEN, WAIT, WORK
from tb_trainspeed.probes.op_names import OpNames, Place
from tb_trainspeed.probes.sampling import Unavailable
from tb_trainspeed.probes.trace import MARK, PARTS, Decoder
from tb_trainspeed.probes.xspace import Plane
from tb_trainspeed.probes.xspace_pb2 import HloProto, XLine, XPlane, XSpace

TRACES = pathlib.Path(__file__).parents[1] / "golden" / "traces"
US = 1_000_000  # picoseconds


def layer(name, *children):
    """What is read of a layer."""
    return types.SimpleNamespace(name=name, _flatten_layers=lambda include_self, recursive: children)


def model(*children, optimizer="adam", name="net", **held):
    made = layer(name, *children)
    made.optimizer = types.SimpleNamespace(name=optimizer, apply_gradients=len)
    vars(made).update(held)
    return made


SMALL = model(
    layer("rnn", layer("lstm_cell")),
    layer("block", layer("d1"), layer("d2")),
    layer("head"),
    optimizer="sgd",
    name="small",
)


# --- golden traces


@pytest.mark.parametrize(
    ("name", "asynchronous"), [("tensorflow-graph", False), ("tensorflow-xla", False), ("jax-xla", True)]
)
def test_golden(name, asynchronous):
    data = gzip.decompress((TRACES / f"{name}.pb.gz").read_bytes())
    sample = Decoder(OpNames(SMALL, "metrics"), asynchronous).decode(data, 3)
    assert tuple(sample.parts) == PARTS
    for part in ("forward", "backward", "metrics", "optimizer", "host_overhead"):
        assert sample.parts[part] > 0, part
    assert sample.parts["unknown"] < 0.02 * sum(sample.parts.values())
    assert set(sample.layers) == {"rnn", "rnn/lstm_cell", "block/d1", "block/d2", "head"}
    for index, part in enumerate(("forward", "backward")):
        of_layers = sum(times[index] for times in sample.layers.values())
        assert 0.5 * sample.parts[part] < of_layers <= sample.parts[part] * (1 + 1e-9)
    if not asynchronous:  # the parts add up to the time inside the train function
        assert sum(sample.parts.values()) == pytest.approx(marked_s(data) / 3)


def events_of(data):
    """Yields (name, begin in ps, end in ps, stats by name) of all events of the host."""
    (plane,) = (plane for plane in map(XPlane.FromString, XSpace.FromString(data).planes) if plane.name == b"/host:CPU")
    for line in map(XLine.FromString, plane.lines):
        for event in line.events:
            stats = {
                plane.stat_metadata[stat.metadata_id].name.decode(): getattr(stat, stat.WhichOneof("value"))
                for stat in event.stats
            }
            begin = line.timestamp_ns * 1000 + event.offset_ps
            yield plane.event_metadata[event.metadata_id].name.decode(), begin, begin + event.duration_ps, stats


def marked_s(data):
    return sum(end - begin for name, begin, end, _ in events_of(data) if name == MARK) * 1e-12


def test_the_device_is_busy_while_any_instruction_is_on():
    """Read once more, in another way: an instruction is on until its event and the one that says its end are over."""
    data = gzip.decompress((TRACES / "jax-xla.pb.gz").read_bytes())
    sample = Decoder(OpNames(SMALL, "metrics"), True).decode(data, 3)
    events = list(events_of(data))
    ends = {stats["_c"]: end for name, _, end, stats in events if name.startswith("end: ")}
    on = sorted((begin, max(end, ends[stats["_p"]])) for _, begin, end, stats in events if "hlo_op" in stats)
    busy_ps = until = 0
    for begin, end in on:
        busy_ps += max(0, end - max(begin, until))
        until = max(until, end)
    assert 3 * (sum(sample.parts.values()) - sample.parts["host_overhead"]) == pytest.approx(busy_ps * 1e-12)


def test_a_trace_without_steps():
    with pytest.raises(Unavailable, match="no operation"):
        Decoder(OpNames(SMALL, "metrics"), False).decode(b"", 3)


# --- traces made up


def trace(*lines, stats=()):
    """lines: (name of the thread, [(name, begin, end in us, {stat: value}), ...])"""
    plane = XPlane(name=b"/host:CPU")
    names, numbers = {}, {}

    def number(table, metadata, name):
        if name not in table:
            table[name] = len(table) + 1
            metadata[table[name]].name = name.encode()
        return table[name]

    for thread, events in lines:
        line = XLine(name=thread.encode(), timestamp_ns=5)
        for name, begin, end, *values in events:
            event = line.events.add(
                metadata_id=number(names, plane.event_metadata, name),
                offset_ps=int(begin * US),
                duration_ps=int((end - begin) * US),
            )
            for stat, value in (values[0] if values else {}).items():
                made = {"str_value": value.encode()} if isinstance(value, str) else {"int64_value": value}
                event.stats.add(metadata_id=number(numbers, plane.stat_metadata, stat), **made)
        plane.lines.append(line.SerializeToString())
    return plane


def decoded(*lines, asynchronous=False, net=None, steps=1):
    data = XSpace(planes=[trace(*lines).SerializeToString()]).SerializeToString()
    net = net or model(layer("a"), layer("b"))
    return Decoder(OpNames(net, "metrics"), asynchronous).decode(data, steps)


def parts(sample):
    return {name: pytest.approx(value * 1e6) for name, value in sample.parts.items() if value}


def test_time_is_shared_among_what_runs_side_by_side():
    sample = decoded(
        ("main", [(MARK, 0, 100)]),
        ("tf_Compute/1", [("net/a/MatMul:MatMul", 10, 50), ("adam/Sub:Sub", 60, 70)]),
        ("tf_Compute/2", [("gradient_tape/net/b/MatMul:MatMul", 30, 60)]),
    )
    assert parts(sample) == {"forward": 30, "backward": 20, "optimizer": 10, "host_overhead": 40}
    assert sample.layers == {"a": (pytest.approx(30e-6), 0.0), "b": (0.0, pytest.approx(20e-6))}


def test_what_lies_outside_the_train_function_does_not_count():
    sample = decoded(("main", [(MARK, 10, 20), (MARK, 40, 50)]), ("tf_Compute/1", [("net/a/MatMul:MatMul", 0, 45)]))
    assert parts(sample) == {"forward": 15, "host_overhead": 5}


def test_on_an_asynchronous_device_its_work_counts_wherever_it_is():
    thunk = {"hlo_op": "dot.1", "hlo_module": "jit_train_step", "program_id": 3, "_p": 7}
    sample = decoded(
        ("main", [(MARK, 0, 10)]),
        ("device", [("dot.1", 5, 6, thunk)]),
        ("device/2", [("end: dot.1", 29, 30, {"_c": 7})]),
        asynchronous=True,
    )
    assert parts(sample) == {"unknown": 25, "host_overhead": 5}  # of no module that is known


def test_an_instruction_is_over_when_the_thread_that_ended_it_goes_on_with_another():
    def thunk(name, flow):
        return {"hlo_op": name, "hlo_module": "jit_train_step", "program_id": 3, "_p": flow}

    def task(begin, end, *events):
        name = "ThreadpoolListener::"
        return [(f"{name}StartRegion", begin, begin), *events, (f"{name}StopRegion", end, end)]

    ended = task(8, 31, ("dot.3", 12, 20, thunk("dot.3", 8)), ("end: convolution.1", 29, 30, {"_c": 7}))
    sample = decoded(
        ("main", [(MARK, 0, 10)]),
        ("pool/1", task(5, 6, ("convolution.1", 5, 6, thunk("convolution.1", 7)))),
        # Of another task is what began between.
        ("pool/2", [*task(5, 8, ("dot.2", 7, 8, thunk("dot.2", 9))), *ended]),
        asynchronous=True,
    )
    assert parts(sample) == {"unknown": 15, "host_overhead": 5}  # not until 30


def test_waits_and_copies_count_only_while_nothing_is_computed():
    sample = decoded(
        ("main", [(MARK, 0, 100)]),
        ("tf_Compute/1", [("net/a/MatMul:MatMul", 0, 20), ("cond/_Send:_Send", 10, 30)]),
        ("tf_Compute/2", [("IteratorGetNext:IteratorGetNext", 10, 60)]),
        ("tf_Compute/3", [("allreduce:CollectiveReduceV2", 55, 70)]),
    )
    assert parts(sample) == {"forward": 20, "transfer": 10, "input_wait": 25, "collectives": 15, "host_overhead": 30}


def test_what_calls_others_counts_only_for_itself():
    sample = decoded(
        ("main", [(MARK, 0, 10)]),
        ("tf_Compute/1", [("net/a/while:While", 0, 8), ("net/b/Mul:Mul", 2, 6)]),
    )
    assert sample.layers == {"a": (pytest.approx(4e-6), 0.0), "b": (pytest.approx(4e-6), 0.0)}


def test_the_pipeline_is_no_part_of_the_step():
    run = {"id": 5}
    sample = decoded(
        ("main", [(MARK, 0, 100), ("net/a/MatMul:MatMul", 0, 40)]),
        (
            "tf_data",
            [
                ("Iterator::Root::Prefetch", 0, 50, {"buffer_limit": 4, "buffered_elements": 1}),
                ("PrefetchProduce", 50, 90),
                ("Iterator::Root::Prefetch::Map", 52, 88, {"parallelism": 2}),
                ("Iterator::Root::Prefetch::Map::Range", 52, 54),
                ("InstantiatedCapturedFunction::Run", 54, 86, run),
                ("ExecutorState::Process", 60, 80, run),
                ("decode:Mul", 61, 79),
            ],
        ),
    )
    assert parts(sample) == {"forward": 40, "host_overhead": 60}
    stages = {stage.name: stage for stage in sample.stages}
    assert list(stages) == ["Range", "Map", "Prefetch"]
    assert [stage.busy_s * 1e6 for stage in sample.stages] == pytest.approx([2, 34, 4])
    assert (stages["Map"].parallelism, stages["Prefetch"].buffer_fill, stages["Map"].calls) == (2, 0.25, 1)


def test_python_in_the_step_is_told_from_python_in_the_pipeline():
    run = {"id": 5}
    sample = decoded(
        ("main", [(MARK, 0, 100)]),
        ("tf_Compute/1", [("net/a/PyFunc:PyFunc", 0, 20), ("PrintV2:PrintV2", 20, 24), ("PyFunc_1:PyFunc", 30, 40)]),
        (
            "tf_data",
            [
                ("Iterator::Root::Map", 52, 88),
                ("InstantiatedCapturedFunction::Run", 54, 86, run),
                ("ExecutorState::Process", 60, 80, run),
                ("PyFunc:PyFunc", 61, 79),
            ],
        ),
        steps=2,
    )
    assert sample.python_s == {"PyFunc": pytest.approx(15e-6), "PrintV2": pytest.approx(2e-6)}


def test_what_tf_data_calls_unavailable_is_not_known():
    told = {"parallelism": "unavailable", "buffer_limit": "unavailable", "buffered_elements": 1}
    plane = Plane(trace(("tf_data", [("Iterator::Root::Map", 0, 9, told), ("Iterator::Root", 0, 10)])))
    (stage,) = tf_data_trace.stages(plane, set(), 1)
    assert (stage.parallelism, stage.buffer_fill) == (None, None)


def test_stages_of_one_kind_are_numbered():
    plane = Plane(
        trace(
            ("tf_data", [("Iterator::Root::Map", 0, 9), ("Iterator::Root::Map::Map", 1, 4), ("Iterator::Root", 0, 10)])
        )
    )
    stages = tf_data_trace.stages(plane, set(), 1)
    assert [(stage.name, round(stage.busy_s * 1e6)) for stage in stages] == [("Map", 3), ("Map #2", 6)]


def test_sharing_adds_up():
    rng = np.random.default_rng(0)
    begins = rng.integers(0, 1000, 300)
    made = intervals.Intervals(
        begins, begins + rng.integers(0, 90, 300), rng.choice([WORK, CONTAINER, HIDDEN, WAIT], 300)
    )
    windows = np.array([0, 500]), np.array([400, 2000])
    for fill in (False, True):
        seconds, idle_s = intervals.share(made, windows, beyond=False, fill=fill)
        assert (seconds >= 0).all()
        assert seconds.sum() + idle_s == pytest.approx(1900e-12)


def test_between_two_operations_the_next_one_is_got_on_its_way():
    made = intervals.Intervals(np.array([10, 30, 75, 120]), np.array([20, 50, 80, 130]), np.array([WORK] * 4))
    windows = np.array([0, 110]), np.array([90, 140])
    seconds, idle_s = intervals.share(made, windows, beyond=False, fill=False)
    np.testing.assert_allclose(seconds, np.array([10, 20, 5, 10]) * 1e-12)
    seconds, idle_s = intervals.share(made, windows, beyond=False, fill=True)
    np.testing.assert_allclose(seconds, np.array([10, 30, 30, 10]) * 1e-12)
    assert idle_s == pytest.approx((10 + 10 + 10 + 10) * 1e-12)  # before the first of a window, and after its last


# --- names of operations


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("StatefulPartitionedCall/net_1/a_1/MatMul", ("forward", "a")),
        ("StatefulPartitionedCall/gradient_tape/net_1/a_1/MatMul/MatMul_1", ("backward", "a")),
        ("gradient_tape/net_1/box_1/a_2/MatMul", ("backward", "box/a")),
        ("net_1/rnn_1/while/body/_36/net_1/rnn_1/while/cell_1/MatMul", ("forward", "rnn/cell")),
        ("while/body/_1/while/cond/then/_9/while/cond/StatefulPartitionedCall/net_1/a_1/Mul", ("forward", "a")),
        ("StatefulPartitionedCall/adam_3/Sub_7", ("optimizer", "")),
        ("cond/then/_0/cond/adam/Sub_7", ("optimizer", "")),
        ("StatefulPartitionedCall/compile_loss/mse/Mean", ("metrics", "")),
        ("gradient_tape/compile_loss/mse/Mul", ("backward", "")),
        ("StatefulPartitionedCall/Sum_2", ("metrics", "")),
        ("StatefulPartitionedCall/trainspeed_metrics_1/Sum_2", ("metrics", "")),
        ("StatefulPartitionedCall/AddN_1", ("backward", "")),
        ("jit(train_step)/jvp(a)/dot_general", ("forward", "a")),
        ("jit(train_step)/jit(main)/transpose(jvp(net))/box/a/dot_general", ("backward", "box/a")),
        ("jit(train_step)/transpose(jvp(box))/a/jit(relu)/max", ("backward", "box/a")),
        ("jit(train_step)/jvp(dense(1))/dot_general", ("forward", "dense(1)")),
        ("jit(train_step)/jvp(jvp(x))/dot_general", ("forward", "jvp(x)")),
        ("jit(train_step)/jvp()/while/body/closed_call/mul", ("forward", "")),
        ("jit(train_step)/jvp(a)/while/body/closed_call/dot_general", ("forward", "a")),
        ("jit(train_step)/cond/branch_1_fun/adam/mul", ("optimizer", "")),
        ("jit(train_step)/jvp(compile_loss)/mse/sub", ("metrics", "")),
        ("jit(train_step)/reduce_sum", ("metrics", "")),
    ],
)  # fmt: skip
def test_where_an_operation_belongs(name, place):
    net = model(
        layer("a"), layer("box", layer("a")), layer("rnn", layer("cell")), layer("dense(1)"), layer("jvp(x)")
    )  # fmt: skip
    assert OpNames(net, "metrics").place(name) == Place(*place)


def test_the_optimizers_in_one_of_several():
    net = model(layer("dense"), optimizer="multi_optimizer")
    net.optimizer.optimizers = [types.SimpleNamespace(name=name, apply_gradients=len) for name in ("sgd", "adam")]
    names = OpNames(net, "unknown")
    names.learn(["sgd/Sub_7", "adam_1/Sub"])
    assert names.place("sgd/Sub_7") == names.place("adam_1/Sub") == Place("optimizer")


def test_several_optimizers_and_losses_of_a_training_step_of_the_users():
    net = model(
        layer("generator", layer("dense")),
        d_optimizer=types.SimpleNamespace(name="d_adam", apply_gradients=len),
        loss_fn=types.SimpleNamespace(name="bce", reduction="sum"),
    )
    names = OpNames(net, "unknown")
    assert names.place("d_adam/Sub_7") == names.place("adam_1/Sub") == Place("optimizer")
    assert names.place("bce_1/Mean") == Place("metrics")
    assert names.place("generator_1/dense_1/MatMul") == Place("forward", "generator/dense")
    assert names.place("concat_1") == Place("unknown")


def test_numbers_of_scopes_are_told_from_numbers_of_layers():
    names = OpNames(model(layer("dense"), layer("dense_1")), "metrics")
    names.learn(["net_1/dense_1/MatMul", "net_1/dense_1_1/MatMul"])
    assert names.place("net_1/dense_1/MatMul").layer == "dense"
    assert names.place("net_1/dense_1_1/MatMul").layer == "dense_1"
    names.learn(["net/dense/MatMul", "net/dense_1/MatMul"])
    assert names.place("net/dense_1/MatMul").layer == "dense_1"


def test_a_layer_that_holds_its_owner():
    children = []
    inner = types.SimpleNamespace(name="inner", _flatten_layers=lambda include_self, recursive: children)
    outer = layer("outer", inner)
    children.append(outer)
    assert OpNames(model(outer), "metrics").place("net/outer/inner/Mul").layer == "outer/inner"


# --- modules of XLA


def module(**computations):
    """computations: [(name, opcode, op_name, operands, called, elements), ...]; ids are the order of the names."""
    made = HloProto()
    ids, numbers = {}, {name: number for number, name in enumerate(computations, 1)}
    for name, instructions in computations.items():
        computation = made.hlo_module.computations.add(id=numbers[name])
        for label, opcode, op_name, operands, called, elements in instructions:
            ids[label] = len(ids) + 1
            instruction = computation.instructions.add(name=label.encode(), opcode=opcode.encode(), id=ids[label])
            instruction.metadata.op_name = op_name.encode()
            instruction.operand_ids.extend(ids[operand] for operand in operands)
            instruction.called_computation_ids.extend(numbers[other] for other in called)
            instruction.shape.dimensions.append(elements)
    return made


def test_instructions():
    place = OpNames(model(layer("a"), layer("b")), "metrics").place
    made = module(
        mixed=[
            ("p", "parameter", "jit(f)/adam/mul", [], [], 100),
            ("x", "multiply", "jit(f)/jvp(a)/mul", ["p"], [], 30),
            ("y", "add", "jit(f)/jvp(b)/add", ["x"], [], 10),
        ],
        heavy=[
            ("d", "dot", "jit(f)/jvp(a)/dot_general", [], [], 10),
            ("e", "add", "jit(f)/jvp(b)/add", ["d"], [], 1000),
        ],
        entry=[
            ("fusion.1", "fusion", "jit(f)/jvp(b)/add", [], ["mixed"], 10),
            ("copy.1", "copy", "", ["fusion.1"], [], 10),
            ("fusion.2", "fusion", "jit(f)/jvp(b)/add", ["copy.1"], ["heavy"], 10),
            ("while.1", "while", "jit(f)/jvp(b)/while", [], ["heavy"], 10),
            ("all-reduce.1", "all-reduce", "jit(f)/transpose(jvp(a))/psum", [], [], 10),
            ("lonely", "copy", "", [], [], 10),
            ("custom-call.1", "custom-call", "jit(f)/a/debug_callback", [], [], 10),
            ("weights", "parameter", "state[0]", [], [], 10),
            ("upstream", "multiply", "jit(f)/transpose(jvp(b))/mul", [], [], 10),
            ("convolution.1", "convolution", "", ["upstream"], [], 10),
            ("copy.2", "copy", "", ["weights"], [], 10),
            ("update", "subtract", "jit(f)/adam/sub", ["convolution.1", "copy.2"], [], 10),
        ],
    )
    found = hlo.instructions(made, place)
    assert ("jit(f)/jvp(a)/dot_general", "dot") in hlo.operations(made)
    assert len(hlo.operations(made)) == 11  # no fusion, and none without a name
    a, b = Place("forward", "a"), Place("forward", "b")
    assert dict(found["fusion.1"].shares) == {a: 0.75, b: 0.25}
    assert dict(found["fusion.2"].shares) == {a: 1.0}
    assert found["copy.1"].shares == found["fusion.2"].shares  # what uses it
    assert found["while.1"] == hlo.Instruction(((b, 1.0),), True)
    assert found["all-reduce.1"].shares == ((Place("collectives"), 1.0),)
    assert found["lonely"].shares == ((Place("unknown"), 1.0),)
    assert found["convolution.1"].shares == ((Place("backward", "b"), 1.0),)  # a gradient, though the optimizer uses it
    assert found["copy.2"].shares == found["update"].shares == ((Place("optimizer"), 1.0),)
    assert {name: one.python for name, one in found.items() if one.python} == {"custom-call.1": "debug_callback"}
