"""What the first rows of the data and a few of their files tell: dtypes, padding, one-hot targets, sizes of images.

Nothing here runs the user's pipeline. Arrays are looked at where they lie; files are opened for their first bytes only.
"""

import math
import os
import stat
import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import psutil

from tb_trainspeed.profile import Files

_ROWS, _VALUES = 64, 1_000_000
_FILES = 5
# Far enough into a JPEG for the size to come, behind the preview that a camera puts first.
_HEADER_BYTES = 1 << 18
_MAX_ATTRIBUTES = 100


def rows_facts(x: Iterable[Any], y: Iterable[Any]) -> dict[str, Any]:
    """Returns the facts of `Data` that some rows of inputs and targets tell.

    Args:
        x: arrays or host tensors, rows first; of each only the first rows are read.
        y: the same for targets.
    """
    inputs, targets = ([rows for array in arrays if (rows := _rows(array)) is not None] for arrays in (x, y))
    return {
        "padding_share": next((share for rows in inputs if (share := padding_share(rows)) is not None), None),
        "one_hot_classes": next((size for rows in targets if (size := one_hot_classes(rows))), None),
        "holds_bytes": next((held for rows in inputs if (held := holds_bytes(rows)) is not None), None),
        "options": next(({"largest_pixel": text} for rows in inputs if (text := largest_pixel(rows))), {}),
    }


def _rows(array: Any) -> Any | None:
    """The first rows, where looking at them asks no device for anything."""
    on_host = isinstance(array, np.ndarray) or str(getattr(array, "device", "")).lower().endswith(("cpu", "cpu:0"))
    if not on_host or not len(array.shape):
        return None
    # Of large rows fewer will do.
    return np.asarray(array[: max(1, min(_ROWS, _VALUES // max(1, math.prod(array.shape[1:]))))])


def padding_share(rows: Any) -> float | None:
    """Share of zeros before or after all that is not zero, in rows of integers; `None` for anything else."""
    if rows.ndim != 2 or rows.dtype.kind not in "iu" or rows.shape[1] < 8 or not rows.any():
        return None
    used = rows != 0
    before, after = used.argmax(1), used[:, ::-1].argmax(1)
    padded = np.where(used.any(1), np.maximum(before, after), rows.shape[1])
    return float(padded.sum() / rows.size)


def one_hot_classes(rows: Any) -> int | None:
    """The last dimension of targets that are one-hot; `None` for others."""
    if rows.ndim < 2 or rows.shape[-1] < 2 or not rows.size:
        return None
    exact = ((rows == 0) | (rows == 1)).all() and (rows.sum(-1) == 1).all()
    return int(rows.shape[-1]) if exact else None


def holds_bytes(rows: Any) -> bool | None:
    """Whether images in floating point would fit into bytes; `None` where there are none."""
    if rows.ndim != 4 or rows.dtype.kind != "f":
        return None
    few = rows[:4].astype("float32")
    scaled = few * 255 if few.max(initial=0) <= 1 else few
    return bool(scaled.min(initial=0) >= 0 and scaled.max(initial=0) <= 255 and np.allclose(scaled, np.rint(scaled)))


def largest_pixel(rows: Any) -> str:
    """The largest number of images in floating point, none of whose numbers is negative; empty where there are none.

    Images with the mean taken off, as pretrained networks want them, are negative in places.
    """
    if rows.ndim != 4 or rows.dtype.kind != "f" or not rows.size:
        return ""
    few = rows[:4]
    return f"{float(few.max()):g}" if few.min() >= 0 else ""


def files_facts(samples: Iterable[Any]) -> Files | None:
    """Returns what a few paths, or encoded images, tell; `None` where there is neither.

    Args:
        samples: strings or bytes.
    """
    systems, sizes, images = set(), [], set()
    for sample in list(samples)[:_FILES]:
        found = _open(sample)
        if found:
            header, size, system = found
            sizes.append(size)
            systems.add(system)
            images.add(image_size(header))
    if not images:
        return None
    system = systems.pop() if len(systems) == 1 else None
    formats = {found[0] for found in images}
    kind = formats.pop() if len(formats) == 1 else None
    height = width = None
    if kind:  # of images of several sizes the middle one
        _, height, width = sorted(images, key=lambda found: (found[1] or 0) * (found[2] or 0))[len(images) // 2]
    known = [size for size in sizes if size is not None]
    return Files(len(sizes), system, sum(known) // len(known) if known else None, kind, height, width)


def _open(sample: Any) -> tuple[bytes, int | None, str | None] | None:
    """Returns (first bytes, size, file system) of a path or of an encoded image; `None` for other strings."""
    if isinstance(sample, bytes) and image_size(sample)[0]:
        return sample, len(sample), None
    path = os.fsdecode(sample)
    if "://" in path:
        return b"", None, path.partition("://")[0]
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # to open a pipe waits, and to read it takes what is in it
            return None
        with open(path, "rb") as file:
            return file.read(_HEADER_BYTES), os.fstat(file.fileno()).st_size, file_system(path)
    except (OSError, ValueError):  # no path, then
        return None


def file_system(path: str) -> str | None:
    """The type of the file system that holds a path, like `ext4` or `nfs4`."""
    path = os.path.realpath(path)
    mounts = [mount for mount in psutil.disk_partitions(all=True) if _is_below(path, mount.mountpoint)]
    return max(mounts, key=lambda mount: len(mount.mountpoint)).fstype or None if mounts else None


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def image_size(header: bytes) -> tuple[str | None, int | None, int | None]:
    """Returns (format, height, width) of an encoded image by its first bytes; format `None` if it is no such image."""
    if header.startswith(b"\x89PNG\r\n\x1a\n") and len(header) >= 24:
        width, height = struct.unpack(">II", header[16:24])
        return "png", height, width
    if header.startswith(b"\xff\xd8"):
        return "jpeg", *_jpeg_size(header)
    return None, None, None


def _jpeg_size(header: bytes) -> tuple[int | None, int | None]:
    """Walks the segments of a JPEG to the one that holds its size (ITU-T T.81, annex B)."""
    at = 2
    while at + 9 <= len(header) and header[at] == 0xFF:
        marker, length = header[at + 1], int.from_bytes(header[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", header[at + 5 : at + 9])
            return height, width
        at += 2 + length
    return None, None


def paths_of(owner: Any) -> list[Any]:
    """A few strings, paths or lists of them among the attributes of a dataset of the user's."""
    attributes: Mapping[str, Any] = getattr(owner, "__dict__", {})
    found: list[Any] = []
    for value in list(attributes.values())[:_MAX_ATTRIBUTES]:
        many = isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim == 1)
        values = list(value[:_FILES]) if many else [value]
        found += [item for item in values if isinstance(item, (str, bytes, os.PathLike))]
    return sorted(found, key=lambda item: not _is_file(item))[:_FILES]


def _is_file(item: Any) -> bool:
    try:
        return os.path.isfile(item)
    except ValueError:  # a byte of a picture is zero
        return isinstance(item, bytes)
