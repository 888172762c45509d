"""Damages bundles: crudely, or so that every checksum fits and the content alone is wrong."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from models.bundle import layout
from models.bundle.manifest import FileEntry, Manifest, describe_tensors, seal

TENSOR_FILES = tuple(
    name for name in (*layout.REQUIRED, *layout.OPTIONAL) if name.endswith(".safetensors")
)


def flip_bit(file: Path, bit: int) -> None:
    """Flip one bit of `file`, counted from its first byte on, modulo its length."""
    content = bytearray(file.read_bytes())
    place = (bit // 8) % len(content)
    content[place] ^= 1 << (bit % 8)
    file.write_bytes(content)


def change_tensors(folder: Path, name: str, changed: Mapping[str, NDArray[Any] | None]) -> None:
    """Replace the tensors of the file `name` by the `changed` ones; None takes one away."""
    tensors: dict[str, NDArray[Any] | None] = {**load_file(folder / name), **changed}
    kept = {key: np.ascontiguousarray(a) for key, a in tensors.items() if a is not None}
    save_file(kept, folder / name)


def reseal(folder: Path, **changed: Any) -> Path:
    """Make the manifest fit the files as they are, with the `changed` fields; return the folder.

    The folder is renamed to the id that fits. Whoever can do this is no accident: what is left to
    find is content that does not fit together.
    """
    manifest = read_manifest(folder)
    files = {
        name: FileEntry((folder / name).stat().st_size, _sha256(folder / name))
        for name in manifest.files
        if (folder / name).exists()
    }
    tensors = {
        name: describe_tensors(load_file(folder / name)) for name in TENSOR_FILES if name in files
    }
    given = {"files": files, "tensors": tensors, **changed}
    manifest = msgspec.structs.replace(manifest, **given)
    bundle_id = f"{manifest.bundle_id.partition('-')[0]}-{seal(manifest)}"
    manifest = msgspec.structs.replace(manifest, bundle_id=bundle_id)
    (folder / layout.MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return folder.rename(folder.parent / bundle_id)


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest as it stands, unverified."""
    return msgspec.json.decode((folder / layout.MANIFEST).read_bytes(), type=Manifest)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
