"""Builds small datasets whose right answer is known. Knows rows; nothing of training or serving."""

from collections.abc import Iterable, Mapping

import numpy as np

from models.modality import Modality
from training.data.dataset import Dataset, Floats, Interactions

Pairs = Iterable[tuple[int, int]]


def interactions(pairs: Pairs) -> Interactions:
    """Return (user row, video row) `pairs` as interactions."""
    table = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    return Interactions(table[:, 0].copy(), table[:, 1].copy())


def random_features(
    videos: int, widths: Mapping[Modality, int], *, seed: int = 0
) -> dict[Modality, Floats]:
    """Return features of unit variance, one matrix a modality, nothing missing."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(size=(videos, width)).astype(np.float32) for name, width in widths.items()
    }


def dataset_of(
    *,
    users: int,
    videos: int,
    train: Pairs,
    val: Pairs = (),
    test: Pairs = (),
    seen: Pairs = (),
    features: Mapping[Modality, Floats] | None = None,
) -> Dataset:
    """Return a dataset with exactly these pairs; users are `u0`, `u1`, …, videos `v0`, `v1`, …"""
    return Dataset(
        name="planted",
        user_ids=[f"u{row}" for row in range(users)],
        video_ids=[f"v{row}" for row in range(videos)],
        train=interactions(train),
        val=interactions(val),
        test=interactions(test),
        seen=interactions(seen),
        features=random_features(videos, {"visual": 4}) if features is None else features,
    )


def two_tastes(*, users: int = 20, videos: int = 60) -> Dataset:
    """Return a dataset of two tastes: even users watch even videos, odd users odd ones.

    The one visual column that matters tells a video's side. Of its own side each user holds one
    video out for val and one for test; the last two videos are cold and tell their side as well.
    """
    train: list[tuple[int, int]] = []
    val: list[tuple[int, int]] = []
    test: list[tuple[int, int]] = []
    for user in range(users):
        mine = list(range(user % 2, videos - 2, 2))
        held = [mine[user % len(mine)], mine[(user + 1) % len(mine)]]
        val.append((user, held[0]))
        test.extend([(user, held[1]), (user, videos - 2 + user % 2)])
        train.extend((user, video) for video in mine if video not in held)
    noise = np.random.default_rng(0).normal(0, 0.1, (videos, 4))
    noise[:, 0] += np.where(np.arange(videos) % 2, 1.0, -1.0)
    features: dict[Modality, Floats] = {"visual": noise.astype(np.float32)}
    return dataset_of(
        users=users, videos=videos, train=train, val=val, test=test, features=features
    )
