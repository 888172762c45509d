"""Our metrics are those of ir_measures, which asks trec_eval, on random rankings."""

from collections.abc import Iterator
from typing import Any

import ir_measures
import numpy as np
import pytest
from ir_measures import P, R, Success, nDCG

from tests.support.datasets import dataset_of
from training.data.dataset import Dataset
from training.evaluate import evaluate, figures_by_user, inner_products, rank

USERS, VIDEOS = 40, 90
OURS: dict[str, Any] = {
    f"{name}@{k}": measure @ k
    for name, measure in (("recall", R), ("ndcg", nDCG), ("precision", P), ("hit", Success))
    for k in (10, 20)
}


def random_world(seed: int) -> tuple[Dataset, Any]:
    """Users with few and with many relevant videos, some of them with none, and random scores."""
    rng = np.random.default_rng(seed)
    pairs = [
        (user, int(video))
        for user in range(USERS)
        for video in rng.permutation(VIDEOS)[: rng.integers(0, 45)]
    ]
    kinds = rng.choice(3, size=len(pairs), p=[0.3, 0.1, 0.6])
    parts = [[pair for pair, kind in zip(pairs, kinds, strict=True) if kind == k] for k in range(3)]
    data = dataset_of(users=USERS, videos=VIDEOS, train=parts[0], val=parts[1], test=parts[2])
    sides = [rng.normal(size=(count, 6)).astype(np.float32) for count in (USERS, VIDEOS)]
    return data, inner_products(*sides)


def documents(data: Dataset, scorer: Any) -> Iterator[ir_measures.ScoredDoc]:
    """All that compete for each user, by the scores as they are."""
    scores = scorer(np.arange(USERS)).astype(np.float64)
    for part in (data.train, data.val):
        scores[part.users, part.videos] = -np.inf
    for user in np.unique(data.test.users).tolist():
        for video in np.flatnonzero(np.isfinite(scores[user])).tolist():
            yield ir_measures.ScoredDoc(str(user), str(video), scores[user, video])


@pytest.mark.parametrize("seed", range(5))
def test_every_metric_is_that_of_a_well_kept_library(seed: int) -> None:
    data, scorer = random_world(seed)
    judged = [
        ir_measures.Qrel(str(user), str(video), 1)
        for user, video in zip(data.test.users, data.test.videos, strict=True)
    ]
    theirs = ir_measures.calc_aggregate(list(OURS.values()), judged, documents(data, scorer))
    found = evaluate(data, "test", scorer)["overall"]
    assert found["users"] > 30
    for name, measure in OURS.items():
        assert found[name] == pytest.approx(theirs[measure], abs=1e-9), name


def test_what_is_told_user_by_user_is_theirs_too() -> None:
    data, scorer = random_world(7)
    judged = [
        ir_measures.Qrel(str(user), str(video), 1)
        for user, video in zip(data.test.users, data.test.videos, strict=True)
    ]
    found = figures_by_user(data, "test", rank(data, "test", scorer))
    told = 0
    for figure in ir_measures.iter_calc([R @ 20, nDCG @ 20], judged, documents(data, scorer)):
        name = "recall@20" if figure.measure == R @ 20 else "ndcg@20"
        assert found[name][int(figure.query_id)] == pytest.approx(figure.value, abs=1e-7)
        told += 1
    assert told == 2 * len(np.unique(data.test.users))
