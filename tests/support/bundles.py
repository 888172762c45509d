"""Writes small, real bundles in a second, with vectors of the caller's choice where wanted."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from models.bundle.manifest import ArrivalEntry
from training.config import FitConfig
from training.data.dataset import Dataset, Floats
from training.data.synthetic import make_synthetic
from training.evaluate import evaluate
from training.export import export
from training.loop import fit


@dataclass(frozen=True, eq=False)
class Planted:
    """Vectors to put in place of the learnt ones, so that a test knows every score.

    `users: (U, D)` and `videos: (V, D)` float32. The last column is the bias: 1 for every user,
    what a video scores with everybody for a video.
    """

    users: Floats
    videos: Floats


def plant(users: ArrayLike, videos: ArrayLike, *, bias: ArrayLike = 0.0) -> Planted:
    """Return `users: (U, D - 1)` and `videos: (V, D - 1)` with the bias column added to both."""
    tastes, contents = np.asarray(users, np.float32), np.asarray(videos, np.float32)
    biases = np.broadcast_to(np.asarray(bias, np.float32), len(contents))
    return Planted(
        np.column_stack([tastes, np.ones(len(tastes), np.float32)]),
        np.column_stack([contents, biases]),
    )


def write_small_bundle(
    root: Path,
    *,
    videos: int = 60,
    users: int = 20,
    seed: int = 0,
    epochs: int = 1,
    planted: Planted | None = None,
    dataset: Dataset | None = None,
) -> str:
    """Train for an instant, write a whole bundle under `root`, make it CURRENT, return its id.

    Users are `user-00000` …, videos `video-00000` …, or what `dataset` says in place of
    `make_synthetic(videos, users, seed)`. Seen are the train and val interactions of that dataset.
    With `planted`, its vectors are written, and the index is built over them.
    """
    data = make_synthetic(videos=videos, users=users, seed=seed) if dataset is None else dataset
    width = 8 if planted is None else planted.videos.shape[1] - 1
    config = FitConfig(
        vector_dim=width, hidden_dims=(8,), signal_hidden_dim=8, rank=4, id_dim=4, max_epochs=epochs
    )
    fitted = fit(data, config, seed=seed)
    if planted is not None:
        longest = float(np.linalg.norm(planted.videos[:, :-1], axis=1).max())
        fitted = replace(
            fitted,
            users=planted.users,
            videos=planted.videos,
            arrival=ArrivalEntry(gain=1.0, max_norm=max(longest, 1e-3)),
        )
    metrics = evaluate(data, "test", fitted.users, fitted.videos)
    return export(fitted, data, config, root, metrics=metrics, seed=seed)
