"""Reads a bundle and refuses one that is not whole. Knows arrays and ids; never torch or faiss."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.bundle import ids, layout, metadata
from models.bundle.checksums import verify_files
from models.bundle.errors import CorruptBundle, NoBundle, UnsupportedFormat
from models.bundle.fitting import named, verify_fit
from models.bundle.ids import IdTable
from models.bundle.manifest import Manifest, VersionOnly, describe_tensors, seal
from models.bundle.metadata import Columns, Metadata
from models.bundle.tensors import map_tensors
from models.geometry import Geometry

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

# What a reader relies on in the tensor files it reads itself.
TENSORS: Final[Mapping[str, Mapping[str, type]]] = {
    layout.USERS: ids.TENSORS,
    layout.VIDEOS: ids.TENSORS,
    layout.FACETS: metadata.TENSORS,
    layout.VECTORS: {
        "users": np.float32,
        "videos": np.float32,
        **dict.fromkeys(Geometry._fields, np.float64),
    },
    layout.SEEN: {
        "starts": np.int64,
        "videos": np.int64,
        "popularity": np.int64,
        "popular": np.int64,
        "activity": np.int64,
        "feature_digests": np.int64,
        "hidden": np.bool_,
    },
    layout.ABLATIONS: {"content": np.float16},
}


@dataclass(frozen=True, eq=False)
class Bundle:
    """A verified bundle; its arrays are mapped read-only (shapes as in `BundleContent`).

    `popular: (V,)` are all video rows, most training interactions first, ties by row. `geometry`
    is that of the vectors, of users only those with a training interaction. `facets` are columns of
    what is in `metadata`.
    """

    folder: Path
    manifest: Manifest
    user_ids: IdTable
    video_ids: IdTable
    users: Floats
    videos: Floats
    seen_starts: Rows
    seen_videos: Rows
    popularity: Rows
    popular: Rows
    activity: Rows
    feature_digests: Rows
    hidden: Mask
    geometry: Geometry
    metadata: Metadata
    facets: Columns
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
    for name in layout.REQUIRED:
        if name not in manifest.files:
            raise CorruptBundle(folder / layout.MANIFEST, f"lists no {name}")
    verify_files(folder, manifest.files)
    tensors = {
        name: _read_tensors(folder / name, manifest)
        for name in TENSORS
        if name in layout.REQUIRED or name in manifest.files
    }
    vectors, seen, facets = (tensors[name] for name in (layout.VECTORS, layout.SEEN, layout.FACETS))
    videos = manifest.videos
    bundle = Bundle(
        folder=folder,
        manifest=manifest,
        user_ids=_read_table(folder / layout.USERS, tensors[layout.USERS], manifest.users),
        video_ids=_read_table(folder / layout.VIDEOS, tensors[layout.VIDEOS], videos),
        users=vectors["users"],
        videos=vectors["videos"],
        geometry=Geometry(*(vectors[name] for name in Geometry._fields)),
        seen_starts=seen["starts"],
        seen_videos=seen["videos"],
        popularity=seen["popularity"],
        popular=seen["popular"],
        activity=seen["activity"],
        feature_digests=seen["feature_digests"],
        hidden=seen["hidden"],
        metadata=_read_metadata(folder / layout.METADATA, facets["starts"], videos),
        facets=_read_columns(folder / layout.FACETS, facets, videos),
        ablations=tensors.get(layout.ABLATIONS, {}).get("content"),
    )
    verify_fit(bundle)
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
        if version not in layout.READABLE:
            known = ", ".join(map(str, layout.READABLE))
            raise UnsupportedFormat(
                file, f"format_version is {version}, this program reads {known}"
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


def _read_table(file: Path, tensors: Mapping[str, NDArray[Any]], count: int) -> IdTable:
    with named(file):
        table = IdTable(tensors)
        if len(table) != count:
            raise ValueError(f"holds {len(table)} ids, expected {count}")
    return table


def _read_metadata(file: Path, starts: Rows, videos: int) -> Metadata:
    with named(file):
        return Metadata(np.memmap(file, dtype=np.uint8, mode="r"), starts, videos=videos)


def _read_columns(file: Path, tensors: Mapping[str, NDArray[Any]], videos: int) -> Columns:
    with named(file):
        return Columns.read(tensors, videos=videos)
