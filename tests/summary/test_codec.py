"""Profiles survive a round trip, and nothing that is not a profile gets through."""

import collections.abc
import contextlib
import dataclasses
import inspect
import math
import random
import tracemalloc
import typing
import zlib

import pytest
from google.protobuf.descriptor import FieldDescriptor

from tb_trainspeed import profile as waist
from tb_trainspeed.profile import (
    SCHEMA,
    Environment,
    Ledger,
    Marker,
    Profile,
    Quantiles,
    Resources,
    Source,
    Steps,
    Timeline,
)
from tb_trainspeed.summary import RecordError, codec, decode, decode_outline, encode, trainspeed_pb2

DATACLASSES = [cls for _, cls in inspect.getmembers(waist, dataclasses.is_dataclass)]
RECORD = Profile(fit_id="a", environment=waist.Environment(backend="jax"), ledger=Ledger(2.0, 3, 1, {"gc": None}))


def make(hint, rng, nones):
    """A random value for a type hint; None with probability `nones` where it may be."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if type(None) in arguments:
        return None if rng.random() < nones else make(arguments[0], rng, nones)
    if origin is tuple:
        return tuple(make(arguments[0], rng, nones) for _ in range(rng.randint(1, 3)))
    if origin is collections.abc.Mapping:
        return {f"{make(str, rng, nones)}{key}": make(arguments[1], rng, nones) for key in range(rng.randint(1, 3))}
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        fields = {field.name: make(hints[field.name], rng, nones) for field in dataclasses.fields(hint)}
        return hint(**fields) if hint is not Profile else hint(**{**fields, "schema": SCHEMA})
    if hint is bool:
        return rng.random() < 0.5
    if hint is int:
        return rng.choice([0, 1, 7, 2**40, rng.randint(0, 10**6)])
    if hint is float:  # With at most ten significant bits, which are what the narrowest column keeps.
        return rng.choice([0.0, rng.randint(1, 1023) / 1024, float(rng.randint(1, 1023))])
    assert hint is str, f"the codec has never met {hint}"
    return rng.choice(["", "step", "Größe ✓", "a\0b", "<b>&"])


def make_profile(seed, nones):
    rng = random.Random(seed)
    made = make(Profile, rng, nones)
    column = {field.name: tuple(getattr(made.timeline, field.name))[:1] for field in dataclasses.fields(Timeline)[1:-1]}
    phases = {key: values[:1] for key, values in made.timeline.phases.items()}
    accelerators = tuple(dataclasses.replace(one, usage=even(one.usage)) for one in made.resources.accelerators)
    resources = dataclasses.replace(made.resources, usage=even(made.resources.usage), accelerators=accelerators)
    return dataclasses.replace(made, timeline=Timeline(rng.randint(1, 9), **column, phases=phases), resources=resources)


def even(usage):
    """The same with columns of the same length."""
    return dataclasses.replace(usage, columns={name: column[:1] for name, column in usage.columns.items()})


@pytest.mark.parametrize("nones", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(10))
def test_round_trip(seed, nones):
    original = make_profile(seed, nones)
    assert decode(encode(original)) == original


def test_round_trip_of_defaults():
    assert decode(encode(Profile())) == Profile()


@pytest.mark.parametrize("cls", DATACLASSES, ids=lambda cls: cls.__name__)
def test_proto_and_dataclass_agree(cls):
    message = getattr(trainspeed_pb2, cls.__name__).DESCRIPTOR
    fields = {field.name: field for field in message.fields if not field.GetOptions().deprecated}
    hints = typing.get_type_hints(cls)
    assert set(fields) == {field.name for field in dataclasses.fields(cls)}
    for name, field in fields.items():
        assert wire_type(field) == expected_type(hints[name]), f"{cls.__name__}.{name}"


def test_every_message_is_used():
    wire_only = {"Number", "Column"}
    assert set(trainspeed_pb2.DESCRIPTOR.message_types_by_name) == {cls.__name__ for cls in DATACLASSES} | wire_only


def wire_type(field):
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return ("map", wire_type(field.message_type.fields_by_name["value"])[1])
    names = {FieldDescriptor.TYPE_INT64: int, FieldDescriptor.TYPE_DOUBLE: float, FieldDescriptor.TYPE_BOOL: bool}
    names |= {FieldDescriptor.TYPE_STRING: str, FieldDescriptor.TYPE_FLOAT: "float32"}
    item = field.message_type.name if field.message_type is not None else names[field.type]
    return ("one" if field.has_presence else "many", item)


def expected_type(hint):
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is collections.abc.Mapping:
        value = arguments[1]
        if typing.get_origin(value) is tuple:
            return ("map", "Column")
        return ("map", "Number" if float in (value, *typing.get_args(value)) else value)
    if origin is tuple:
        item = expected_type(arguments[0])[1]
        return ("many", "float32" if item is float else item)
    if type(None) in arguments:
        return expected_type(arguments[0])
    return ("one", hint.__name__ if dataclasses.is_dataclass(hint) else hint)


def test_defaults_of_nullable_fields_are_none():
    """A record cannot tell a None from a field it does not have, so None must be what such a field means."""
    for cls in DATACLASSES:
        for field in dataclasses.fields(cls):
            if type(None) in typing.get_args(typing.get_type_hints(cls)[field.name]):
                assert field.default in (None, dataclasses.MISSING), f"{cls.__name__}.{field.name}"


def test_not_measured_is_not_zero():
    phases = {"optimizer": None, "gc": 0.0}
    timeline = Timeline(1, (0, 1), (1, 1), (0.0, 1.0), (1.0, 1.0), (1.0, 1.0), {"optimizer": (None, 0.0)})
    decoded = decode(encode(Profile(ledger=Ledger(phases=phases), timeline=timeline)))
    assert decoded.ledger.phases == phases
    assert decoded.timeline.phases == {"optimizer": (None, 0.0)}


def test_columns_are_shortened_but_close():
    starts = tuple(index * 281.1 for index in range(128))
    shares = tuple(1 / (index + 3) for index in range(128))
    steps = (1,) * 128
    original = Timeline(1, steps, steps, starts, shares, shares, {"gc": shares})
    timeline = decode(encode(Profile(timeline=original))).timeline
    assert max(abs(a - b) for a, b in zip(timeline.start_s, starts, strict=True)) < 1.0
    assert timeline.phases["gc"] == pytest.approx(shares, rel=2**-10)
    assert timeline.wall_s == pytest.approx(shares, rel=2**-14)


def test_numpy_numbers_and_odd_file_names_are_fine():
    numpy = pytest.importorskip("numpy")
    steps = Steps(count=numpy.int64(3), wait_s=numpy.float32(0.5))
    source = Source("\udcff.py", 1, 1.0, 1.0)
    decoded = decode(encode(Profile(steps=steps, data=waist.Data(source=source))))
    assert (decoded.steps.count, decoded.steps.wait_s, decoded.data.source.name) == (3, 0.5, "?.py")


def test_equal_profiles_give_equal_bytes():
    forwards = Profile(not_measured={str(key): "x" for key in range(20)})
    backwards = Profile(not_measured={str(key): "x" for key in reversed(range(20))})
    assert encode(forwards) == encode(backwards)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite(number):
    lax = Profile(resources=Resources(process_cpu_s=number), ledger=Ledger(phases={"gc": number}))
    decoded = decode(encode(lax))
    assert decoded.resources.process_cpu_s is None
    assert decoded.ledger.phases == {"gc": None}
    with pytest.raises(RecordError, match=r"ledger\.wall_s"):
        encode(Profile(ledger=Ledger(wall_s=number)))
    with pytest.raises(RecordError, match=r"timeline\.start_s"):
        encode(Profile(timeline=Timeline(1, (0,), (1,), (number,), (1.0,), (1.0,))))


def test_errors_name_the_field():
    hook = waist.Hook("a", "b", "callbacks", 1, 1.0, 1.0)
    with pytest.raises(RecordError, match=r"hooks\[1\].calls is 'many'"):
        encode(Profile(hooks=(hook, dataclasses.replace(hook, calls="many"))))
    with pytest.raises(RecordError, match=r"steps\.count"):
        encode(Profile(steps=Steps(count=2**70)))


def test_a_profile_beyond_reason_is_refused():
    with pytest.raises(RecordError, match="bytes"):
        encode(Profile(status="x" * (codec.MAX_RECORD_BYTES + 1)))


def packed(**fields):
    return zlib.compress(trainspeed_pb2.Profile(**{"schema": SCHEMA, **fields}).SerializeToString())


HOSTILE = {
    "nothing": b"",
    "text": b"hello, world",
    "not bytes": None,
    "random": random.Random(1).randbytes(500),
    "zlib of nothing": zlib.compress(b""),
    "zlib of text": zlib.compress(b"hello, world"),
    "cut off": encode(RECORD)[:-3],
    "half": encode(RECORD)[: len(encode(RECORD)) // 2],
    "bad checksum": encode(RECORD)[:-1] + b"\0",
    "bomb": zlib.compress(bytes(50_000_000), 9),
    "bomb of empty messages": zlib.compress(b"\x92\x01\x00" * 3_000_000, 9),
    "required field missing": packed(environment={"devices": [{"kind": "GPU"}]}),
    "nan where a number must be": packed(ledger={"wall_s": math.nan}),
    "infinite column": packed(timeline={"start_s": [math.inf]}),
    "columns of different lengths": packed(timeline={"first_step": [0, 1], "steps": [1]}),
    "usage of different lengths": packed(
        resources={
            "usage": {"columns": {name: trainspeed_pb2.Column(values=[1.0] * len(name)) for name in ("a", "bb")}}
        }
    ),
    "schema -1": packed(schema=-1),
    "schema 0": packed(schema=0),
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_hostile_payload(payload):
    with pytest.raises(RecordError, match=r"^This record is damaged \(.+\): run the fit again, or delete its event "):
        decode(payload)


@pytest.mark.parametrize("bomb", ["bomb", "bomb of empty messages"])
def test_bombs_are_not_unpacked(bomb):
    tracemalloc.start()
    try:
        with pytest.raises(RecordError, match=rf"it unpacks to more than {codec.MAX_RECORD_BYTES} bytes"):
            decode(HOSTILE[bomb])
        assert tracemalloc.get_traced_memory()[1] < 3 * codec.MAX_RECORD_BYTES
    finally:
        tracemalloc.stop()


def test_any_other_damage_is_found_or_harmless():
    rng = random.Random(7)
    raw = zlib.decompress(encode(make_profile(1, 0.2)))
    for _ in range(500):
        damaged = bytearray(raw)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        with contextlib.suppress(RecordError):
            assert isinstance(decode(zlib.compress(bytes(damaged), 1)), Profile)


def test_negative_durations():
    decoded = decode(packed(compilation={"total_s": -1.0, "first_step_s": -1.0}, environment={"memory_bytes": -5}))
    assert decoded.compilation.total_s == 0.0
    assert decoded.compilation.first_step_s is None
    assert decoded.environment.memory_bytes is None


def test_newer_schema():
    newer = packed(schema=SCHEMA + 1)
    with pytest.raises(RecordError) as raised:
        decode(newer)
    assert str(raised.value) == (
        f"written by a newer tb_trainspeed (schema {SCHEMA + 1}, this one reads up to {SCHEMA}): "
        "upgrade tb-trainspeed where TensorBoard runs"
    )


def test_fields_of_newer_versions_are_ignored():
    unknown = b"\xa2\x7d\x03new" + b"\xf8\x7f\x05"
    assert decode(zlib.compress(zlib.decompress(encode(RECORD)) + unknown)) == RECORD


def test_migrations_run_in_order():
    def to_2(message):
        message.status += "2"

    def to_3(message):
        message.status += "3"

    message = trainspeed_pb2.Profile(schema=1, status="1")
    codec._migrate(message, 3, {1: to_2, 2: to_3})
    assert (message.schema, message.status) == (3, "123")
    with pytest.raises(RecordError, match="there is no schema 1"):
        codec._migrate(trainspeed_pb2.Profile(schema=1), 3, {2: to_3})


def test_every_older_schema_has_a_migration():
    assert sorted(codec.MIGRATIONS) == list(range(1, SCHEMA))


def test_size_of_a_realistic_record():
    """The size that the documentation promises: a time line of noise, a model of 40 layers, 30 hooks."""
    rng = random.Random(0)
    columns = [tuple(rng.uniform(0.3, 0.5) * index for index in range(128)) for _ in range(3)]
    names = waist.PHASES[1:11]
    phases = {name: tuple(rng.random() if rare < 6 or not bucket % 16 else 0.0 for bucket in range(128))
              for rare, name in enumerate(names)}  # fmt: skip
    quantiles = Quantiles(1000, *(rng.random() for _ in range(6)))
    ledger = Ledger(50.0, 1024, 8, {name: rng.random() for name in waist.PHASES})
    shape = "(None, {0}, {0}, 64)"
    record = Profile(
        fit_id="20250101-120000-abcdef",
        model=waist.Model(layers=tuple(
            waist.Layer(f"conv2d_{index}", "Conv2D", rng.randrange(10**6), rng.randrange(10**6), shape.format(index))
            for index in range(40)
        )),
        hooks=tuple(
            waist.Hook(f"callback_{index}", "on_train_batch_end", "callbacks", rng.randrange(999), rng.random(), 0.1)
            for index in range(30)
        ),
        ledger=ledger,
        steady=ledger,
        steps=Steps(step=quantiles, call=quantiles),
        timeline=Timeline(8, tuple(range(0, 1024, 8)), (8,) * 128, *columns, phases),
        markers=tuple(waist.Marker("epoch", index, rng.random(), rng.random()) for index in range(16)),
    )  # fmt: skip
    assert len(encode(record)) < 5.5 * 1024


def test_an_outline_is_the_record_as_far_as_it_goes():
    profile = Profile(
        fit_id="a",
        worker=2,
        status="finished",
        started_at_s=1.0,
        updated_at_s=2.0,
        environment=Environment("jax", cores=4.0),
        ledger=Ledger(2.5, 7, 1, {"compute": 2.0}),
        markers=(Marker("epoch", 1, 0.1, 0.2, "epoch 1"),),
    )
    assert decode_outline(encode(profile)) == dataclasses.replace(profile, markers=())
    with pytest.raises(RecordError):
        decode_outline(b"not a record")
