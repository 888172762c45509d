"""Every compared system finds two planted tastes, and those that know features find arrivals."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.datasets import two_tastes
from training.build import BUILDERS
from training.config import configure
from training.data.dataset import Interactions
from training.loop import fit

NOBODY = Interactions(np.empty(0, np.int64), np.empty(0, np.int64))
# Ids alone say nothing of a cold video; and what the layers of a graph make of a video without
# neighbours is left to chance, for nothing in their training stands for one: with another seed GAT
# and GraphSAGE turn the two tastes round. (NGCF keeps the vectors that it starts from.)
WARM_ALONE = ("bpr-mf", "cosine-mf", "lightgcn", "mmgcn", "grcn", "gat", "graphsage")
SMALL: dict[str, Any] = {
    "vector_dim": 8, "hidden_dims": [8], "signal_hidden_dim": 8, "signal_dim": 4, "rank": 4,
    "averaging": 0.9, "batch_size": 128, "learning_rate": 0.02, "max_epochs": 30,
}  # fmt: skip


@pytest.mark.parametrize("model", list(BUILDERS))
def test_two_planted_tastes_are_found_in_warm_and_by_features_in_cold_videos(model: str) -> None:
    dataset = two_tastes()
    # Without validation every epoch is run: recall is perfect long before the tastes are clear.
    fitted = fit(replace(dataset, val=NOBODY), configure({**SMALL, "model": model}), seed=0)
    scores = fitted.users @ fitted.videos.T
    mine = np.arange(dataset.users)[:, None] % 2 == np.arange(dataset.videos) % 2
    groups = [~dataset.cold] if model in WARM_ALONE else [~dataset.cold, dataset.cold]
    for group in groups:
        told = [
            (scores[user, group & liked][:, None] > scores[user, group & ~liked]).mean()
            for user, liked in enumerate(mine)
        ]
        assert np.mean(told) > 0.9
