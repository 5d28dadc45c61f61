"""Profile <-> bytes: a zlib stream of the `Profile` message of trainspeed.proto."""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sized

from google.protobuf.message import DecodeError

from tb_trainspeed.profile import SCHEMA, Profile
from tb_trainspeed.summary import trainspeed_pb2
from tb_trainspeed.summary.messages import RecordError, damaged, read_message, write_message

#: A record is about 5 KB; a few hundred times that, unpacked, is a model of ten thousand layers, or an attack.
MAX_RECORD_BYTES = 4 << 20

_OUTLINE = frozenset({
    "schema", "fit_id", "fit_index", "worker", "status", "started_at_s", "updated_at_s", "environment", "ledger",
})  # fmt: skip

Migration = Callable[[trainspeed_pb2.Profile], None]

#: Schema N -> the function that turns a record of schema N into one of schema N + 1, in place.
MIGRATIONS: Mapping[int, Migration] = {}


def encode(profile: Profile) -> bytes:
    """Packs a profile for an event file.

    Args:
        profile: What was measured. Numbers that are not finite become `None` where the field allows it.

    Returns:
        The record, a few kilobytes, which `decode` turns back into an equal profile. (Only the columns of the time
        line are shortened: to 32 bits, and its phases to four significant digits.)

    Raises:
        RecordError: A field holds what cannot be recorded; the message names the field.
    """
    message = trainspeed_pb2.Profile()
    write_message(message, profile)
    # Deterministic, so that equal profiles give equal bytes although the order within a protobuf map is random.
    data = message.SerializeToString(deterministic=True)
    if len(data) > MAX_RECORD_BYTES:
        raise RecordError(f"This fit cannot be recorded: it takes {len(data)} bytes, of at most {MAX_RECORD_BYTES}.")
    return zlib.compress(data, 9)


def decode(payload: bytes) -> Profile:
    """Unpacks a record, of this or an older version of TrainSpeed.

    Args:
        payload: The bytes that `encode` returned, or anything else that was found in an event file.

    Raises:
        RecordError: It is not a record, it is damaged, or it was written by a newer version.
    """
    profile = read_message(Profile, _parse(payload))
    _check_columns(profile)
    return profile


def decode_outline(payload: bytes) -> Profile:
    """Unpacks what a list of many fits shows, in a fraction of the time that `decode` takes.

    Args:
        payload: as for `decode`.

    Returns:
        The profile with its identity, times, status, environment and ledger; all else is as if not recorded.

    Raises:
        RecordError: As `decode`, but for damage in what is left out.
    """
    message = _parse(payload)
    for field in trainspeed_pb2.Profile.DESCRIPTOR.fields_by_name:
        if field not in _OUTLINE:
            message.ClearField(field)
    return read_message(Profile, message)


def _parse(payload: bytes) -> trainspeed_pb2.Profile:
    message = trainspeed_pb2.Profile()
    try:
        message.ParseFromString(_decompress(payload))
    except (DecodeError, UnicodeDecodeError) as error:  # The latter from protobuf's implementation in Python.
        raise damaged("not a TrainSpeed record") from error
    _migrate(message, SCHEMA, MIGRATIONS)
    return message


def _decompress(payload: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(payload, MAX_RECORD_BYTES + 1)
    except (zlib.error, TypeError) as error:
        raise damaged("not a TrainSpeed record") from error
    if len(data) > MAX_RECORD_BYTES:
        raise damaged(f"it unpacks to more than {MAX_RECORD_BYTES} bytes")
    if not stream.eof:
        raise damaged("its end is missing")
    return data


def _migrate(message: trainspeed_pb2.Profile, schema: int, migrations: Mapping[int, Migration]) -> None:
    """Brings `message` up to `schema`, one step at a time."""
    if message.schema > schema:
        raise RecordError(
            f"written by a newer tb_trainspeed (schema {message.schema}, this one reads up to {schema}): "
            "upgrade tb-trainspeed where TensorBoard runs"
        )
    for version in range(max(message.schema, 0), schema):
        if version not in migrations:
            raise damaged(f"there is no schema {message.schema}")
        migrations[version](message)
        message.schema = version + 1


def _check_columns(profile: Profile) -> None:
    timeline, resources = profile.timeline, profile.resources
    columns = (timeline.first_step, timeline.steps, timeline.start_s, timeline.wall_s, timeline.slowest_step_s)
    tables: list[tuple[str, Iterable[Sized]]] = [("time line", (*columns, *timeline.phases.values()))]
    usages = (resources.usage, *(accelerator.usage for accelerator in resources.accelerators))
    tables += [("usage", usage.columns.values()) for usage in usages]
    for name, table in tables:
        if len({len(column) for column in table}) > 1:
            raise damaged(f"the columns of its {name} differ in length")
