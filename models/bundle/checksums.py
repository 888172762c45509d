"""Tells whether the files of a bundle are as they were written. Knows bytes alone."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from models.bundle.errors import CorruptBundle
from models.bundle.manifest import FileEntry


def entry_of(file: Path) -> FileEntry:
    """Return what the manifest is to say of `file`."""
    with file.open("rb") as stream:
        return FileEntry(file.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest())


def verify_files(folder: Path, files: Mapping[str, FileEntry]) -> None:
    """Read every byte of the `files` in `folder`, several at the same time.

    Raises:
        CorruptBundle: one is missing or altered; of several, the first in `files`.
    """
    for name in files:
        if name != Path(name).name or not (folder / name).is_file():
            raise CorruptBundle(folder / name, "is missing")
    with ThreadPoolExecutor(thread_name_prefix="checksum") as pool:
        list(pool.map(lambda name: _verify(folder / name, files[name]), files))


def _verify(file: Path, entry: FileEntry) -> None:
    try:
        found = entry_of(file)
    except OSError as error:
        raise CorruptBundle(file, f"cannot be read: {error}") from error
    if found.bytes != entry.bytes:
        raise CorruptBundle(file, f"is {found.bytes} bytes, expected {entry.bytes}")
    if found.sha256 != entry.sha256:
        fault = f"has SHA-256 {found.sha256[:12]}…, expected {entry.sha256[:12]}…"
        raise CorruptBundle(file, fault)
