"""Writes bundles of any size in an instant, untrained: unit vectors around tastes, random networks.

Knows the bundle format and FAISS; nothing of the service.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from models.arrival import drawn_fusion
from models.bundle.manifest import FusionEntry, IndexEntry
from models.bundle.writer import BundleContent, write_bundle
from models.modality import Modality
from training.indexing import build_index

Floats = NDArray[np.float32]

SAMPLE: Final[Mapping[Modality, int]] = {"visual": 64, "acoustic": 32, "textual": 48}
WIDTH: Final = 64
TASTES: Final = 300
USERS: Final = 1000
SEEN: Final = 100
# How far videos scatter around their taste: their cosine with it is about 0.75.
SCATTER: Final = 0.11
# Users have met what suits them: one of so many of the nearest videos each.
NEAREST: Final = 3


def scattered(count: int, rng: np.random.Generator) -> Floats:
    """Return unit vectors around TASTES directions, the same for every `rng`: (count, WIDTH)."""
    tastes = _unit(np.random.default_rng(0).normal(size=(TASTES, WIDTH)))
    noise = rng.standard_normal((count, WIDTH), dtype=np.float32)
    return _unit(tastes[rng.integers(TASTES, size=count)] + SCATTER * noise)


def plant(
    root: Path,
    *,
    videos: int,
    widths: Mapping[Modality, int] = SAMPLE,
    hidden: tuple[int, ...] = (WIDTH,),
    seen_each: int = SEEN,
    seen_near: bool = False,
    exact: bool = False,
) -> Path:
    """Write a bundle of `videos` videos and return its folder.

    Each of its USERS users has seen `seen_each` videos: any, or `seen_near` the user, a third of
    the nearest ones. The network is random, with layers `hidden`. `exact` has every video scored,
    however many there are.
    """
    rng = np.random.default_rng(1)
    vectors, users = scattered(videos, rng), scattered(USERS, rng)
    index, entry = _flat(vectors) if exact else build_index(vectors, users)
    seen = rng.integers(videos, size=(USERS, seen_each))
    if seen_near:
        near = faiss.knn(users, vectors, NEAREST * seen_each, faiss.METRIC_INNER_PRODUCT)[1]
        seen = rng.permuted(near, axis=1)[:, :seen_each]
    seen = np.sort(seen, axis=1)
    sizes = FusionEntry(hidden, WIDTH, 8, 8, "cpd")
    content = BundleContent(
        user_ids=[f"user-{row:05d}" for row in range(USERS)],
        video_ids=[f"video-{row:07d}" for row in range(videos)],
        users=users,
        videos=vectors,
        modalities={str(name): width for name, width in widths.items()},
        fusion_sizes=sizes,
        fusion_tensors=_network(widths, sizes),
        index=faiss.serialize_index(index),
        index_entry=entry,
        seen_starts=np.arange(0, USERS * seen_each + 1, seen_each, dtype=np.int64),
        seen_videos=seen.ravel(),
        popularity=np.bincount(seen.ravel(), minlength=videos),
        activity=np.full(USERS, seen_each, dtype=np.int64),
        feature_digests=rng.integers(1 << 62, size=videos),
        hidden=np.zeros(videos, dtype=bool),
        dataset="planted",
        git_revision="none",
    )
    return root / write_bundle(root, content, created_at=datetime.now(UTC))


def made_up(
    count: int, rng: np.random.Generator, widths: Mapping[Modality, int] = SAMPLE
) -> dict[str, Floats]:
    """Return features of `count` videos: name to (count, F)."""
    return {
        str(name): rng.standard_normal((count, width), dtype=np.float32)
        for name, width in widths.items()
    }


def _network(widths: Mapping[Modality, int], sizes: FusionEntry) -> dict[str, Any]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fusion = drawn_fusion(widths, sizes, output_dim=WIDTH)
    return {name: tensor.detach().numpy() for name, tensor in fusion.state_dict().items()}


def _flat(vectors: Floats) -> tuple[Any, IndexEntry]:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index, IndexEntry("flat", 0, 1, 1.0)


def _unit(rows: Any) -> Floats:
    unit: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit
