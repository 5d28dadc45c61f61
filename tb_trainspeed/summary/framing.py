"""Records of an event file: length, checksum of the length, data, checksum of the data."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

#: Longer than any record that is worth reading into memory.
MAX_FRAME_BYTES = 64 << 20

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_HEADER_BYTES = _LENGTH.size + _CHECKSUM.size


def _crc32c_table() -> tuple[int, ...]:
    table = list(range(256))
    for _ in range(8):
        table = [value >> 1 ^ (0x82F63B78 if value & 1 else 0) for value in table]
    return tuple(table)


_TABLE = _crc32c_table()


def _checksum(data: bytes) -> bytes:
    """The masked CRC-32C. In Python it takes under a millisecond for a record, so it needs no library."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return _CHECKSUM.pack(((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def frame(data: bytes) -> bytes:
    """One record as it stands in an event file."""
    length = _LENGTH.pack(len(data))
    return length + _checksum(length) + data + _checksum(data)


def frames(file: BinaryIO) -> Iterator[int]:
    """The offsets of the records in `file`. The last one may be torn, in a file that is still being written.

    Raises:
        ValueError: Something that is not a record stands in between.
    """
    size = file.seek(0, 2)
    offset = 0
    while offset + _HEADER_BYTES <= size:
        file.seek(offset)
        header = file.read(_HEADER_BYTES)
        if _checksum(header[: _LENGTH.size]) != header[_LENGTH.size :]:
            raise ValueError(f"it is damaged after byte {offset}")
        yield offset
        offset += _HEADER_BYTES + int(_LENGTH.unpack_from(header)[0]) + _CHECKSUM.size


def read_frame(file: BinaryIO, offset: int) -> bytes | None:
    """The data of the record at `offset`, or None if it is torn or absurdly long.

    Raises:
        ValueError: It is all there, and damaged.
    """
    file.seek(offset)
    header = file.read(_HEADER_BYTES)
    length = int(_LENGTH.unpack_from(header)[0]) if len(header) == _HEADER_BYTES else MAX_FRAME_BYTES + 1
    if length > MAX_FRAME_BYTES:
        return None
    data, checksum = file.read(length), file.read(_CHECKSUM.size)
    if len(checksum) < _CHECKSUM.size:
        return None
    if _checksum(data) != checksum:
        raise ValueError(f"its record at byte {offset} is damaged")
    return data
