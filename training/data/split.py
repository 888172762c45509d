"""Divides interactions that came without a split: 80/10/10 for each user. Knows rows and times."""

import numpy as np

from training.data.dataset import SPLITS, Rows, Split

TRAIN_SHARE = 0.8


def split_by_user(users: Rows, times: Rows | None, rng: np.random.Generator) -> list[Split]:
    """Assign each interaction a split, the last ones of a user held out if `times: (N,)` are known.

    Of a user's n interactions round(0.8 n) train, the rest is halved, the larger half to test: the
    protocol of the MetaMMF release. Without times the order within a user is random.
    """
    order = np.lexsort((rng.random(len(users)) if times is None else times, users))
    _, counts = np.unique(users, return_counts=True)
    position = np.concatenate([np.arange(n) for n in counts]) if len(users) else users
    total = np.repeat(counts, counts)
    train = np.round(TRAIN_SHARE * total)
    val = (total - train) // 2
    codes = np.empty(len(users), dtype=np.int64)
    codes[order] = (position >= train).astype(np.int64) + (position >= train + val)
    return [SPLITS[code] for code in codes]
