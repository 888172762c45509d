"""Turns fitted vectors into a bundle with its FAISS index. Knows the bundle format and FAISS."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import faiss
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from models.ablation import combinations_of
from models.arrival import Fusion, arrival_vectors
from models.bundle.digest import feature_digest
from models.bundle.manifest import FusionEntry
from models.bundle.writer import BundleContent, write_bundle
from models.modality import in_order
from training.config import FitConfig
from training.data.dataset import SPLITS, Dataset, Floats
from training.errors import Diverged, TrainingError
from training.indexing import RECALL_TARGET, build_index
from training.loop import Fitted, Member

VIDEOS_AT_ONCE: Final = 1024
# What a bundle says of how its arrivals are represented.
TRAINED: Final = "fused by the network that was trained"
FITTED: Final = "fused by a network that was fitted afterwards"


def export(
    fitted: Fitted,
    dataset: Dataset,
    config: FitConfig,
    root: Path,
    *,
    metrics: dict[str, Any],
    seed: int,
    recall_target: float = RECALL_TARGET,
) -> str:
    """Write the bundle of a fitted system under `root`, make it CURRENT, return its id.

    What a user has met in train, in validation and outside of all splits is marked as seen; test
    interactions are not, so that the served lists can be judged as `evaluate` judges them. The
    index finds `recall_target` of what exact search does (see `build_index`).

    Raises:
        TrainingError: the fitted system has no fusion network, so arrivals could not be fused
            (`training.servable` gives it one), or training diverged.
    """
    if fitted.fusion is None:
        raise TrainingError("only what has a fusion network can be exported")
    if not fitted.finite:
        raise Diverged
    users = with_common_taste(fitted.users, dataset)
    index, entry = build_index(fitted.videos, users, recall_target=recall_target)
    seen = dataset.train.joined(dataset.val).joined(dataset.seen).by_user(dataset.users)
    hidden = np.zeros(dataset.videos, np.bool_)
    hidden[dataset.hidden] = True
    content = BundleContent(
        user_ids=dataset.user_ids,
        video_ids=dataset.video_ids,
        users=users,
        videos=fitted.videos,
        modalities={str(name): width for name, width in dataset.feature_dims.items()},
        fusion_sizes=FusionEntry(
            hidden_dims=config.hidden_dims,
            signal_hidden_dim=config.signal_hidden_dim,
            signal_dim=config.signal_dim,
            rank=config.rank,
            form=config.fusion,
            members=config.members,
        ),
        fusion_tensors={
            name: tensor.detach().numpy() for name, tensor in fitted.fusion.state_dict().items()
        },
        index=faiss.serialize_index(index),
        index_entry=entry,
        seen_starts=seen.starts,
        seen_videos=seen.videos,
        popularity=dataset.popularity,
        activity=np.bincount(dataset.train.users, minlength=dataset.users).astype(np.int64),
        feature_digests=_digests(dataset),
        dataset=dataset.name,
        git_revision=_git_revision(),
        training={
            "seed": seed,
            **_course(fitted),
            "config": msgspec.to_builtins(config),
            "arrivals": TRAINED if config.model.startswith("metammf") else FITTED,
        },
        metrics=metrics,
        metadata=dataset.metadata,
        log_position=dataset.log_position or None,
        hidden=hidden,
        ablations=ablated_contents(fitted.fusion, dataset),
    )
    return write_bundle(root, content, created_at=datetime.now(UTC))


def _course(fitted: Fitted | Member) -> dict[str, Any]:
    """Return what a bundle says of how training went, for each member of an ensemble."""
    if isinstance(fitted, Fitted) and fitted.members:
        return {"members": [_course(member) for member in fitted.members]}
    if not fitted.epochs:
        return {"epochs": 0}
    return {
        "epochs": len(fitted.epochs),
        "best_epoch": fitted.best.epoch,
        "common": fitted.common,
    }


@torch.no_grad()
def ablated_contents(fusion: Fusion, dataset: Dataset) -> NDArray[np.float16]:
    """Return the content vectors of each video with each set of its modalities but the empty one.

    (V, 2^M - 1, D), in the order of `models.ablation`; the last is its content vector.
    """
    names = in_order(dataset.features)
    kept = combinations_of(len(names))[1:]
    contents = np.empty((dataset.videos, len(kept), fusion.output_dim), dtype=np.float16)
    for start in range(0, dataset.videos, VIDEOS_AT_ONCE):
        rows = slice(start, start + VIDEOS_AT_ONCE)
        joined = np.concatenate([dataset.features[name][rows] for name in names], axis=1)
        features = torch.from_numpy(joined.astype(np.float32, copy=False))
        for place, mask in enumerate(kept):
            present = torch.from_numpy(dataset.present[rows] & mask)
            standardised = fusion.standardise(features, present)
            contents[rows, place] = arrival_vectors(fusion, standardised, present).numpy()
    return contents


def with_common_taste(users: Floats, dataset: Dataset) -> Floats:
    """Return `users: (U, D)` with the mean direction of all others for those in no split.

    Nothing was learnt of who has only ever skipped: a vector as it was drawn would recommend noise.
    """
    taught = np.zeros(dataset.users, np.bool_)
    for split in SPLITS:
        taught[dataset.interactions(split).users] = True
    mean = users[taught].mean(axis=0)
    length = np.linalg.norm(mean)
    if taught.all() or length == 0:
        return users
    common: Floats = np.where(taught[:, None], users, mean / length)
    return common


def _digests(dataset: Dataset) -> Any:
    rows = range(dataset.videos)
    return np.array(
        [
            feature_digest({m: matrix[row] for m, matrix in dataset.features.items()})
            for row in rows
        ],
        dtype=np.int64,
    )


def _git_revision() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
