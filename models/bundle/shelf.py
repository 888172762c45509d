"""Keeps the folder of bundles in order: one writer at a time, nothing half done, nothing too old.

Knows folders and names; nothing of what is in a bundle.
"""

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from models.bundle import layout
from models.bundle.reader import list_bundle_ids, read_current_id

BUNDLE_ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{10}", re.ASCII)
LOCKLESS: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
FILES: Final = {layout.MANIFEST, *layout.REQUIRED, *layout.OPTIONAL}


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Be the only one to change `root`: wait for whoever does; a killed process holds no lock.

    What killed ones have left behind is removed.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / layout.LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            # Some network volumes know no locks. There it is for their users to write one by one.
            if error.errno not in LOCKLESS:
                raise
        else:
            _clean(root)
        yield


def remove_old(root: Path, keep: int) -> list[str]:
    """Remove the bundles behind the `keep` newest, and return their ids, newest first.

    The one that CURRENT names and those that are newer stay, and so does what is not a bundle as
    we write it: a folder of another name, a link, one with more in it. Who has files of a removed
    bundle mapped or open goes on with them.

    Raises:
        NoBundle: there is no usable CURRENT.
        ValueError: `keep` is not positive.
    """
    if keep < 1:
        raise ValueError(f"keep is {keep}, expected 1 or more")
    with locked(root):
        current = read_current_id(root)
        ids = [name for name in list_bundle_ids(root) if BUNDLE_ID.fullmatch(name)]
        removed = [name for name in ids[keep:] if name < current and _is_plain(root / name)]
        for name in removed:
            # A crash from here on leaves nothing that looks like a bundle.
            (root / name).rename(root / f"{layout.REMOVED_PREFIX}{name}")
        fsync(root)
        _clean(root)
    return removed


def fsync(path: Path) -> None:
    """Make a file or a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_plain(folder: Path) -> bool:
    return not folder.is_symlink() and all(
        entry.name in FILES and entry.is_file() and not entry.is_symlink()
        for entry in folder.iterdir()
    )


def _clean(root: Path) -> None:
    """Remove what is half written or half removed; whoever did it is gone, for we have the lock."""
    for entry in root.iterdir():
        if not entry.name.startswith((layout.SCRATCH_PREFIX, layout.REMOVED_PREFIX)):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
