"""The files of the panel, read once. What is not in the dict is not served, so no path can lead anywhere else."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping

FOLDER = pathlib.Path(__file__).with_name("static")

# Stated here because the registry of a Windows machine may say otherwise, and the browser must not guess.
_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".txt": "text/plain",
}


@dataclasses.dataclass(frozen=True)
class StaticFile:
    """One file of the panel."""

    content: bytes
    content_type: str


def load_files(folder: pathlib.Path = FOLDER) -> Mapping[str, StaticFile]:
    """Path below `folder`, with slashes -> file."""
    return {
        path.relative_to(folder).as_posix(): StaticFile(path.read_bytes(), _TYPES[path.suffix])
        for path in folder.rglob("*")
        if path.suffix in _TYPES and path.is_file()
    }


def fingerprint(files: Mapping[str, StaticFile]) -> str:
    """Changes whenever a file does: what a browser may keep for a day must have another address after an upgrade."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.encode() + b"\0" + hashlib.sha256(files[path].content).digest())
    return digest.hexdigest()[:12]
