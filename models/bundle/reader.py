"""Reads a bundle and refuses one that is not whole. Knows arrays and ids; never torch or faiss."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.bundle import layout
from models.bundle.errors import CorruptBundle, NoBundle, UnsupportedFormat
from models.bundle.manifest import FileEntry, Manifest, VersionOnly, describe_tensors, seal
from models.bundle.tensors import map_tensors

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

# What a reader relies on in the tensor files it reads itself.
TENSORS: Final[dict[str, dict[str, type]]] = {
    layout.VECTORS: {"users": np.float32, "videos": np.float32},
    layout.SEEN: {
        "starts": np.int64,
        "videos": np.int64,
        "popularity": np.int64,
        "activity": np.int64,
        "feature_digests": np.int64,
        "hidden": np.bool_,
    },
    layout.ABLATIONS: {"content": np.float16},
}


# How far from 1 rounding may leave the length of a vector.
LENGTH_SLACK: Final = 1e-3


@dataclass(frozen=True, eq=False)
class Bundle:
    """A verified bundle; its arrays are mapped read-only (shapes as in `BundleContent`)."""

    folder: Path
    manifest: Manifest
    user_ids: list[str]
    video_ids: list[str]
    users: Floats
    videos: Floats
    seen_starts: Rows
    seen_videos: Rows
    popularity: Rows
    activity: Rows
    feature_digests: Rows
    hidden: Mask
    metadata: list[dict[str, Any]]
    ablations: NDArray[np.float16] | None

    @property
    def bundle_id(self) -> str:
        """The id, which is the folder's name."""
        return self.manifest.bundle_id

    @property
    def index_file(self) -> Path:
        """The serialised FAISS index over `videos`."""
        return self.folder / layout.INDEX

    @property
    def fusion_file(self) -> Path:
        """The weights of the fusion network and its feature scaling."""
        return self.folder / layout.FUSION


def read_current_id(root: Path) -> str:
    """Return the id that CURRENT names.

    Raises:
        NoBundle: there is no CURRENT, or it names no folder beside it.
    """
    file = root / layout.CURRENT
    try:
        bundle_id = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NoBundle(file, f"cannot be read: {error.__class__.__name__}") from error
    if bundle_id not in list_bundle_ids(root):
        raise NoBundle(file, f"names {bundle_id[:80]!r}, which is no bundle here")
    return bundle_id


def list_bundle_ids(root: Path) -> list[str]:
    """Return the ids under `root`, newest first."""
    if not root.is_dir():
        return []
    found = (entry.name for entry in root.iterdir() if (entry / layout.MANIFEST).is_file())
    return sorted((name for name in found if not name.startswith(".")), reverse=True)


def read_bundle(folder: Path) -> Bundle:
    """Read and verify the bundle at `folder`: version, checksums, shapes, finite vectors.

    Raises:
        NoBundle: the folder holds no manifest.
        UnsupportedFormat: another format version.
        CorruptBundle: a file is missing, altered, or does not fit the manifest.
    """
    manifest = read_manifest(folder)
    _verify_identity(folder, manifest)
    _verify_files(folder, manifest)
    tensors = {
        name: _read_tensors(folder / name, manifest)
        for name in TENSORS
        if name in layout.REQUIRED or name in manifest.files
    }
    bundle = Bundle(
        folder=folder,
        manifest=manifest,
        user_ids=_read_ids(folder / layout.USERS, manifest.users),
        video_ids=_read_ids(folder / layout.VIDEOS, manifest.videos),
        users=tensors[layout.VECTORS]["users"],
        videos=tensors[layout.VECTORS]["videos"],
        seen_starts=tensors[layout.SEEN]["starts"],
        seen_videos=tensors[layout.SEEN]["videos"],
        popularity=tensors[layout.SEEN]["popularity"],
        feature_digests=tensors[layout.SEEN]["feature_digests"],
        hidden=tensors[layout.SEEN]["hidden"],
        activity=tensors[layout.SEEN]["activity"],
        metadata=_read_metadata(folder, manifest),
        ablations=tensors.get(layout.ABLATIONS, {}).get("content"),
    )
    _verify_shapes(bundle)
    return bundle


def candidate_ids(root: Path) -> list[str]:
    """Return the ids to try in order: the one CURRENT names, then the others, newest first.

    Raises:
        NoBundle: CURRENT is unusable and there is no other bundle.
    """
    others = list_bundle_ids(root)
    try:
        current = read_current_id(root)
    except NoBundle:
        if not others:
            raise
        return others
    return [current, *(name for name in others if name != current)]


def read_manifest(folder: Path) -> Manifest:
    """Read what the bundle at `folder` says of itself; nothing of it is verified.

    Raises:
        NoBundle: the folder holds no manifest.
        UnsupportedFormat: another format version.
        CorruptBundle: the manifest cannot be understood.
    """
    file = folder / layout.MANIFEST
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise NoBundle(file, f"cannot be read: {error.__class__.__name__}") from error
    try:
        version = msgspec.json.decode(raw, type=VersionOnly).format_version
        if version != layout.FORMAT_VERSION:
            raise UnsupportedFormat(
                file, f"format_version is {version}, this program reads {layout.FORMAT_VERSION}"
            )
        return msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptBundle(file, str(error)) from error


def _verify_identity(folder: Path, manifest: Manifest) -> None:
    file = folder / layout.MANIFEST
    if manifest.bundle_id != folder.name:
        raise CorruptBundle(file, f"is for {manifest.bundle_id[:80]!r}, found in {folder.name!r}")
    if not manifest.bundle_id.endswith(f"-{seal(manifest)}"):
        raise CorruptBundle(file, f"was altered: its seal is {seal(manifest)}")


def _verify_files(folder: Path, manifest: Manifest) -> None:
    for name in layout.REQUIRED:
        if name not in manifest.files:
            raise CorruptBundle(folder / layout.MANIFEST, f"lists no {name}")
    for name, entry in manifest.files.items():
        if name != Path(name).name or not (folder / name).is_file():
            raise CorruptBundle(folder / name, "is missing")
        _verify_file(folder / name, entry)


def _verify_file(file: Path, entry: FileEntry) -> None:
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise CorruptBundle(file, f"cannot be read: {error}") from error
    if size != entry.bytes:
        raise CorruptBundle(file, f"is {size} bytes, expected {entry.bytes}")
    if found != entry.sha256:
        raise CorruptBundle(file, f"has SHA-256 {found[:12]}…, expected {entry.sha256[:12]}…")


def _read_tensors(file: Path, manifest: Manifest) -> dict[str, NDArray[Any]]:
    tensors = map_tensors(file)
    expected = manifest.tensors.get(file.name, {})
    found = describe_tensors(tensors)
    if found != expected:
        raise CorruptBundle(file, f"holds {found}, the manifest says {expected}")
    for name, dtype in TENSORS[file.name].items():
        if name not in tensors or tensors[name].dtype != dtype:
            raise CorruptBundle(file, f"holds no {name} of {np.dtype(dtype)}")
    return tensors


def _read_ids(file: Path, count: int) -> list[str]:
    try:
        ids = msgspec.json.decode(file.read_bytes(), type=list[str])
    except msgspec.DecodeError as error:
        raise CorruptBundle(file, str(error)) from error
    if len(ids) != count or len(set(ids)) != count:
        raise CorruptBundle(file, f"holds {len(set(ids))} distinct ids, expected {count}")
    return ids


def _read_metadata(folder: Path, manifest: Manifest) -> list[dict[str, Any]]:
    if layout.METADATA not in manifest.files:
        return [{} for _ in range(manifest.videos)]
    file = folder / layout.METADATA
    try:
        # Lines of bytes: text also breaks at U+2028 and U+0085, which a title may hold.
        lines = file.read_bytes().splitlines()
        rows = [msgspec.json.decode(line, type=dict[str, Any]) for line in lines]
    except msgspec.DecodeError as error:
        raise CorruptBundle(file, str(error)) from error
    if len(rows) != manifest.videos:
        raise CorruptBundle(file, f"holds {len(rows)} rows, expected {manifest.videos}")
    return rows


def _verify_shapes(bundle: Bundle) -> None:
    manifest, vectors = bundle.manifest, bundle.folder / layout.VECTORS
    expected = {
        "users": (manifest.users, manifest.vector_dim),
        "videos": (manifest.videos, manifest.vector_dim),
    }
    for name, shape in expected.items():
        array = getattr(bundle, name)
        if array.shape != shape:
            raise CorruptBundle(vectors, f"{name} is {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            raise CorruptBundle(vectors, f"{name} holds values that are not finite")
        lengths = np.linalg.norm(array, axis=1)
        if (np.abs(lengths - 1) > LENGTH_SLACK).any():
            row = int(np.argmax(np.abs(lengths - 1)))
            raise CorruptBundle(vectors, f"{name} row {row} is {lengths[row]:.4f} long, expected 1")
    _verify_seen(bundle)
    _verify_ablations(bundle)


def _verify_ablations(bundle: Bundle) -> None:
    if bundle.ablations is None:
        return
    manifest, file = bundle.manifest, bundle.folder / layout.ABLATIONS
    expected = (manifest.videos, (1 << len(manifest.modalities)) - 1, manifest.vector_dim)
    if bundle.ablations.shape != expected:
        raise CorruptBundle(file, f"content is {bundle.ablations.shape}, expected {expected}")
    if not np.isfinite(bundle.ablations).all():
        raise CorruptBundle(file, "content holds values that are not finite")


def _verify_seen(bundle: Bundle) -> None:
    manifest, file = bundle.manifest, bundle.folder / layout.SEEN
    starts, rows = bundle.seen_starts, bundle.seen_videos
    counts = {"popularity": manifest.videos, "activity": manifest.users}
    counts |= {"feature_digests": manifest.videos, "hidden": manifest.videos}
    for name, count in counts.items():
        if getattr(bundle, name).shape != (count,):
            raise CorruptBundle(file, f"{name} is not ({count},)")
    if starts.shape != (manifest.users + 1,) or rows.ndim != 1:
        raise CorruptBundle(
            file, f"starts is {starts.shape}, expected ({manifest.users + 1},); videos {rows.shape}"
        )
    if starts[0] != 0 or starts[-1] != len(rows) or (np.diff(starts) < 0).any():
        raise CorruptBundle(file, "starts do not divide the seen videos")
    if len(rows) and not 0 <= rows.min() <= rows.max() < manifest.videos:
        raise CorruptBundle(file, f"names video rows beyond {manifest.videos}")
