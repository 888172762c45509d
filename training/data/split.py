"""Divides interactions: user by user where no split came along, or video by video.

Splits are numbers, places in `SPLITS`. Knows rows and times.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import SPLITS, Dataset, Interactions, Mask, Rows

Numbers = NDArray[np.int8]

TRAIN_SHARE = 0.8


def split_by_user(
    users: Rows | NDArray[np.int32], times: NDArray[Any] | None, rng: np.random.Generator
) -> Numbers:
    """Assign each interaction a split, the last ones of a user held out if `times: (N,)` are known.

    Of a user's n interactions round(0.8 n) train, the rest is halved, the larger half to test: the
    protocol of the MetaMMF release. Without times the order within a user is random.
    """
    order = np.lexsort((rng.random(len(users)) if times is None else times, users))
    counts = np.bincount(users)
    train = np.round(TRAIN_SHARE * counts).astype(np.int64)
    val = (counts - train) // 2
    parts = np.column_stack([train, val, counts - train - val])
    numbers = np.empty(len(users), dtype=np.int8)
    numbers[order] = np.repeat(
        np.tile(np.arange(len(SPLITS), dtype=np.int8), len(counts)), parts.ravel()
    )
    return numbers


def leave_last_out(users: Rows, times: NDArray[Any] | None) -> Numbers:
    """Assign each user's last interaction to test and the one before to val.

    Without times the order is that of the rows. Of two interactions the last goes to test; a
    single one trains.
    """
    order = np.lexsort((np.zeros(len(users)) if times is None else times, users))
    _, counts = np.unique(users, return_counts=True)
    left = np.concatenate([np.arange(n)[::-1] for n in counts]) if len(users) else users
    total = np.repeat(counts, counts)
    numbers = np.empty(len(users), dtype=np.int8)
    numbers[order] = np.where((left == 0) & (total > 1), 2, (left == 1) & (total > 2))  # noqa: PLR2004
    return numbers


def hold_out_videos(dataset: Dataset, share: float, rng: np.random.Generator) -> Dataset:
    """Return `dataset` with a random `share` of its videos without any training interaction.

    Half of them are judged in validation with every interaction they have, the other half in test
    (the item-disjoint protocol of GAR and ALDI). All other interactions stay where they are.
    """
    order = rng.permutation(dataset.videos)
    held = round(share * dataset.videos)
    in_val, in_test = np.zeros((2, dataset.videos), dtype=bool)
    in_val[order[: held // 2]] = True
    in_test[order[held // 2 : held]] = True
    warm = ~(in_val | in_test)
    everything = dataset.train.joined(dataset.val).joined(dataset.test)
    return replace(
        dataset,
        train=_only(dataset.train, warm),
        val=_only(dataset.val, warm).joined(_only(everything, in_val)),
        test=_only(dataset.test, warm).joined(_only(everything, in_test)),
    )


def _only(interactions: Interactions, wanted: Mask) -> Interactions:
    chosen = wanted[interactions.videos]
    return Interactions(interactions.users[chosen], interactions.videos[chosen])
