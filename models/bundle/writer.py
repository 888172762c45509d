"""Writes a bundle: whole, durable and then current, or not at all. Knows arrays; never torch."""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from models.bundle import layout, metadata
from models.bundle.checksums import entry_of
from models.bundle.errors import NoBundle
from models.bundle.ids import IdTable, table_of
from models.bundle.manifest import (
    FileEntry,
    FusionEntry,
    IndexEntry,
    Manifest,
    describe_tensors,
    seal,
)
from models.bundle.reader import list_bundle_ids
from models.bundle.shelf import fsync, locked
from models.geometry import survey

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class BundleContent:
    """All that goes into a bundle.

    `users: (U, D)`, `videos: (V, D)` float32, of unit length; `seen_starts: (U + 1,)`
    and `seen_videos` are the CSR of videos not to recommend again; `popularity: (V,)` and
    `activity: (U,)` count training interactions; `feature_digests: (V,)` tell the features of each
    video (see `models.bundle.digest`); `hidden: (V,)` says which videos not to recommend to
    anybody; `index` is the serialised FAISS index. `ablations: (V, 2^M - 1, D)` float16 are the
    content vectors of each set of modalities but the empty one (see `models.ablation`); without
    them nobody can tell what a modality adds to the score of a trained video.
    """

    user_ids: Sequence[str]
    video_ids: Sequence[str]
    users: Floats
    videos: Floats
    modalities: dict[str, int]
    fusion_sizes: FusionEntry
    fusion_tensors: Mapping[str, Floats]
    index: NDArray[np.uint8]
    index_entry: IndexEntry
    seen_starts: Rows
    seen_videos: Rows
    popularity: Rows
    activity: Rows
    feature_digests: Rows
    hidden: Mask
    dataset: str
    git_revision: str
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    log_position: str | None = None
    ablations: NDArray[np.float16] | None = None


def write_bundle(root: Path, content: BundleContent, *, created_at: datetime) -> str:
    """Write a bundle under `root`, make it CURRENT and return its id.

    Everything is written into a scratch folder and fsynced, then renamed; a crash at any point
    leaves the former CURRENT in place and at worst a scratch folder, which the next write removes.
    One writer at a time: another waits for its turn.

    Raises:
        ValueError: an id is there twice, or metadata is not that of all videos.
    """
    with locked(root):
        scratch = Path(tempfile.mkdtemp(prefix=layout.SCRATCH_PREFIX, dir=root))
        try:
            bundle_id = _write_into(scratch, content, created_at)
            scratch.rename(root / bundle_id)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        fsync(root)
        _move_current(root, bundle_id)
    return bundle_id


def make_current(root: Path, bundle_id: str) -> None:
    """Point CURRENT at `bundle_id`, durably and in one rename.

    Raises:
        NoBundle: there is no bundle of this id.
    """
    with locked(root):
        if bundle_id not in list_bundle_ids(root):
            raise NoBundle(root / bundle_id, "is not there any more")
        _move_current(root, bundle_id)


def _move_current(root: Path, bundle_id: str) -> None:
    handle, name = tempfile.mkstemp(prefix=layout.SCRATCH_PREFIX, dir=root)
    with os.fdopen(handle, "w") as file:
        file.write(f"{bundle_id}\n")
        file.flush()
        os.fsync(file.fileno())
    Path(name).chmod(0o644)
    Path(name).replace(root / layout.CURRENT)
    fsync(root)


def _write_into(scratch: Path, content: BundleContent, created_at: datetime) -> str:
    """Write all files of the bundle into `scratch`, durably, and return its id."""
    tensors = _write_files(scratch, content)
    files = {file.name: entry_of(file) for file in sorted(scratch.iterdir())}
    manifest = _manifest(content, created_at, files, tensors)
    bundle_id = f"{created_at:%Y%m%dT%H%M%S}-{seal(manifest)}"
    manifest = msgspec.structs.replace(manifest, bundle_id=bundle_id)
    formatted = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (scratch / layout.MANIFEST).write_bytes(formatted + b"\n")
    for file in scratch.iterdir():
        file.chmod(0o644)
        fsync(file)
    scratch.chmod(0o755)
    fsync(scratch)
    return bundle_id


def _write_files(folder: Path, content: BundleContent) -> dict[str, Any]:
    """Write all files but the manifest, with what a reader would otherwise have to work out."""
    told = content.metadata or [{}] * len(content.video_ids)
    if len(told) != len(content.video_ids):
        raise ValueError(f"metadata is of {len(told)} videos, there are {len(content.video_ids)}")
    lines, facets = metadata.written(told)
    geometry = survey(content.users[content.activity > 0], content.videos)
    groups: dict[str, Mapping[str, NDArray[Any]]] = {
        layout.USERS: _table(content.user_ids),
        layout.VIDEOS: _table(content.video_ids),
        layout.FACETS: facets,
        layout.VECTORS: {"users": content.users, "videos": content.videos, **geometry._asdict()},
        layout.FUSION: content.fusion_tensors,
        layout.SEEN: {
            "starts": content.seen_starts,
            "videos": content.seen_videos,
            "popularity": content.popularity,
            "popular": np.argsort(-content.popularity, kind="stable"),
            "activity": content.activity,
            "hidden": content.hidden,
            "feature_digests": content.feature_digests,
        },
    }
    if content.ablations is not None:
        groups[layout.ABLATIONS] = {"content": content.ablations}
    for name, tensors in groups.items():
        save_file({key: np.ascontiguousarray(a) for key, a in tensors.items()}, folder / name)
    (folder / layout.INDEX).write_bytes(content.index.data)
    (folder / layout.METADATA).write_bytes(lines)
    return {name: describe_tensors(tensors) for name, tensors in groups.items()}


def _table(ids: Sequence[str]) -> dict[str, NDArray[Any]]:
    tensors = table_of(ids)
    IdTable(tensors)  # refuses ids that are there twice
    return tensors


def _manifest(
    content: BundleContent,
    created_at: datetime,
    files: dict[str, FileEntry],
    tensors: dict[str, Any],
) -> Manifest:
    several = content.fusion_sizes.members > 1
    return Manifest(
        format_version=layout.OF_ENSEMBLES if several else layout.FORMAT_VERSION,
        bundle_id="",
        created_at=created_at.isoformat(),
        git_revision=content.git_revision,
        dataset=content.dataset,
        training=content.training,
        modalities=content.modalities,
        vector_dim=content.videos.shape[1],
        fusion=content.fusion_sizes,
        users=len(content.user_ids),
        videos=len(content.video_ids),
        index=content.index_entry,
        metrics=content.metrics,
        files=files,
        tensors=tensors,
        log_position=content.log_position,
    )
