"""Replaces files: whole, on the disk, or not at all. Knows bytes; nothing of what they say."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.bundle.shelf import fsync


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yield where to write what takes the place of `file` once the block has ended well."""
    scratch = file.with_name(f".{file.name}.partial")
    yield scratch
    fsync(scratch)
    scratch.replace(file)


def write_whole(file: Path, content: bytes) -> None:
    """Replace `file` by `content`."""
    with replacing(file) as scratch:
        scratch.write_bytes(content)
