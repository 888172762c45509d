"""Writes small, real bundles in a second, with vectors of the caller's choice where wanted."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from training.config import FitConfig
from training.data.dataset import Dataset, Floats
from training.data.synthetic import make_synthetic
from training.evaluate import evaluate, inner_products
from training.export import export
from training.loop import fit


@dataclass(frozen=True, eq=False)
class Planted:
    """Vectors to put in place of the learnt ones, so that a test knows every score.

    `users: (U, D)` and `videos: (V, D)`, float32 of unit length.
    """

    users: Floats
    videos: Floats


def plant(users: ArrayLike, videos: ArrayLike) -> Planted:
    """Return the directions of `users: (U, D)` and `videos: (V, D)`; no row is all zero."""
    return Planted(unit(users), unit(videos))


def unit(rows: ArrayLike) -> Floats:
    """Return `rows: (N, D)`, scaled to unit length."""
    wide = np.asarray(rows, np.float64)
    scaled: Floats = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)
    return scaled


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
    width = 8 if planted is None else planted.videos.shape[1]
    config = FitConfig(
        vector_dim=width, hidden_dims=(8,), signal_hidden_dim=8, rank=4, max_epochs=epochs
    )
    fitted = fit(data, config, seed=seed)
    if planted is not None:
        fitted = replace(fitted, users=planted.users, videos=planted.videos)
    metrics = evaluate(data, "test", inner_products(fitted.users, fitted.videos))
    return export(fitted, data, config, root, metrics=metrics, seed=seed)
