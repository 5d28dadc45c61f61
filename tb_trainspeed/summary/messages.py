"""Dataclasses <-> protobuf messages of the same shape, by reflection over the fields of the dataclass.

Nothing here knows a field of `Profile` by name: what `profile` and trainspeed.proto agree on is carried over, and a
test keeps the two in agreement. Messages carry what `None` means: an absent scalar, an empty `Number`, NaN in a column.
"""

import collections.abc
import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from google.protobuf.message import Message

T = TypeVar("T")

#: Mantissa bits kept of what is drawn per bucket: a column of the time line is right to 2^-16, so that the start of a
#: bucket is within a second after ten hours, a phase in a bucket to 2^-11. The bits below are noise, and half the size.
_COLUMN_BITS = 15
_PHASE_BITS = 10


class RecordError(ValueError):
    """A record cannot be written or read. The message is one sentence that says what to do."""


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of a dataclass: `item`, or a tuple ("many") or a mapping ("map") of such."""

    name: str
    shape: typing.Literal["one", "many", "map"]
    item: Any
    nullable: bool
    required: bool

    @functools.cached_property
    def nested(self) -> bool:
        """Whether `item` is itself a dataclass."""
        return dataclasses.is_dataclass(self.item)


def _fields_of(cls: Any) -> tuple[Field, ...]:
    hints = typing.get_type_hints(cls)
    return tuple(_field(field, hints[field.name]) for field in dataclasses.fields(cls))


#: How each field of a dataclass travels.
fields_of: Callable[[Any], tuple[Field, ...]] = functools.cache(_fields_of)


def _field(field: "dataclasses.Field[Any]", hint: Any) -> Field:
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is collections.abc.Mapping:
        return Field(field.name, "map", *_without_none(arguments[1]), required=False)
    if typing.get_origin(hint) is tuple:
        return Field(field.name, "many", *_without_none(arguments[0]), required=False)
    return Field(field.name, "one", *_without_none(hint), required=required)


def _without_none(hint: Any) -> tuple[Any, bool]:
    """`int | None` -> (int, True)"""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, False
    (item,) = (argument for argument in typing.get_args(hint) if argument is not type(None))
    return item, True


def write_message(message: Message, value: Any, path: str = "") -> None:
    """Copies dataclass `value` into the empty `message`."""
    for field in fields_of(type(value)):
        where = f"{path}.{field.name}".lstrip(".")
        content = getattr(value, field.name)
        try:
            _write_field(message, field, content, where)
        except RecordError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise RecordError(f"This fit cannot be recorded: {where} is {content!r:.80} ({error}).") from error


def _write_field(message: Message, field: Field, content: Any, where: str) -> None:
    target = getattr(message, field.name)
    if field.shape == "map":
        for key, value in content.items():
            _write_entry(target, _text(key), value, field.item, f"{where}[{key!r}]")
    elif field.shape == "many" and field.nested:
        for index, value in enumerate(content):
            write_message(target.add(), value, f"{where}[{index}]")
    elif field.shape == "many":
        items = content if field.nullable else [_scalar(field.item, value) for value in content]
        target.extend(_column(items, _COLUMN_BITS) if field.item is float else items)
    elif content is None and field.nullable:
        pass
    elif field.nested:
        target.SetInParent()
        write_message(target, content, where)
    elif not (field.nullable and _is_not_finite(content)):
        setattr(message, field.name, _scalar(field.item, content))


def _write_entry(target: Any, key: str, value: Any, item: Any, where: str) -> None:
    """One entry of a map: text, a `Number` or a `Column`."""
    if item is float:
        target[key].SetInParent()
        if value is not None and not _is_not_finite(value):
            target[key].value = float(value)
    elif typing.get_origin(item) is tuple:
        target[key].values.extend(_column(value, _PHASE_BITS))
    else:
        target[key] = _scalar(item, value)


def read_message(cls: type[T], message: Message, path: str = "") -> T:
    """Builds a `cls` from `message`; what is absent takes the default of the dataclass."""
    values: dict[str, Any] = {}
    for field in fields_of(cls):
        where = f"{path}.{field.name}".lstrip(".")
        content = getattr(message, field.name)
        if field.shape == "map":
            values[field.name] = {key: _read_entry(content[key], field.item) for key in sorted(content)}
        elif field.shape == "many":
            values[field.name] = tuple(_read_items(content, field, where))
        elif message.HasField(field.name):
            values[field.name] = _read_one(content, field, where)
        elif field.required:
            if not field.nullable:
                raise damaged(f"{where} is missing")
            values[field.name] = None
    return cls(**values)


def _read_items(content: Iterable[Any], field: Field, where: str) -> Iterable[Any]:
    if field.nested:
        return (read_message(field.item, value, f"{where}[{index}]") for index, value in enumerate(content))
    if field.item is not float:
        return content
    if field.nullable:
        return (value if math.isfinite(value) else None for value in content)
    return (_finite(value, where) for value in content)


def _read_entry(value: Any, item: Any) -> Any:
    if item is float:
        return value.value if value.HasField("value") and math.isfinite(value.value) else None
    if typing.get_origin(item) is tuple:
        return tuple(entry if math.isfinite(entry) else None for entry in value.values)
    return value


def _read_one(content: Any, field: Field, where: str) -> Any:
    if field.nested:
        return read_message(field.item, content, where)
    if field.item is float and field.nullable and not math.isfinite(content):
        return None
    if field.name.endswith(("_s", "_bytes")) and content < 0:
        # A duration or a size below zero is the noise of two clocks, or nonsense; rules may divide by it or draw it.
        return None if field.nullable else field.item(0)
    return _finite(content, where) if field.item is float else content


def damaged(what: str) -> RecordError:
    """The error for bytes that are not a record, or only a part of one."""
    return RecordError(f"This record is damaged ({what}): run the fit again, or delete its event file.")


def _scalar(item: type, value: Any) -> Any:
    """`value` as protobuf takes it: numpy's scalars as Python's, and text that can be encoded."""
    if item is str:
        return _text(value)
    if item is float and _is_not_finite(value):
        raise ValueError("not a finite number")
    return item(value)


def _text(value: Any) -> str:
    # File names may hold bytes that are not UTF-8, which Python keeps as lone surrogates and protobuf refuses.
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _column(values: Iterable[float | None], bits: int) -> Iterable[float]:
    return (math.nan if value is None else _rounded(float(value), bits) for value in values)


def _rounded(value: float, bits: int) -> float:
    if not math.isfinite(value):
        return math.nan
    mantissa, exponent = math.frexp(value)
    return math.ldexp(round(math.ldexp(mantissa, bits)), exponent - bits)


def _is_not_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _finite(value: float, where: str) -> float:
    if not math.isfinite(value):
        raise damaged(f"{where} is {value}")
    return value
