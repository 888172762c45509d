"""Full-ranking metrics from scores, so that a network, a baseline and a bundle are judged alike.

Every video competes; what a user has met is masked with -inf. Knows scores and interactions;
nothing of models or files.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import SPLITS, Csr, Dataset, Floats, Interactions, Mask, Rows, Split

CUTOFFS: Final = (10, 20)
DEPTH: Final = max(CUTOFFS)
# What `evaluate` tells, and of which relevant videos.
METRICS: Final = tuple(
    f"{name}@{cutoff}" for name in ("recall", "ndcg", "precision", "hit") for cutoff in CUTOFFS
)
GROUPS: Final = ("overall", "warm", "cold", "cold_among_cold")
# Users scored at once: bounds the score matrix to about 64 MiB.
SCORE_CELLS: Final = 1 << 24

Metrics = dict[str, float]
# Scores user rows (N,) against all videos: (N, V), free to be written to.
Scorer = Callable[[Rows], Floats]


def inner_products(users: Floats, videos: Floats) -> Scorer:
    """Return what scores by the inner products of `users: (U, D)` and `videos: (V, D)`."""
    return lambda rows: users[rows] @ videos.T


class Ranking(NamedTuple):
    """For each of the `judged: (N,)` user rows the best 20 video rows: (N, 20), -1 where none."""

    judged: Rows
    lists: Rows


def rank(dataset: Dataset, split: Split, scorer: Scorer) -> Ranking:
    """Rank all videos for every user whom `split` holds anything of; what was met is left out.

    Met are the interactions of earlier splits, train for val, train and val for test, and those
    that are in no split.
    """
    judged = np.unique(dataset.interactions(split).users)
    met = _met_before(dataset, split)
    return Ranking(judged, top_lists(scorer, judged, met, videos=dataset.videos))


def evaluate(
    dataset: Dataset, split: Split, scorer: Scorer, ranking: Ranking | None = None
) -> dict[str, Any]:
    """Judge `scorer` on the held-out interactions of `split`; `ranking` is that of `rank`, if made.

    Beside what `evaluate_ranking` says it tells `cold_among_cold`: cold videos, ranked apart.
    """
    full = ranking or rank(dataset, split, scorer)
    cold = _relevant(dataset, split)["cold"]
    judged = np.unique(cold.users)
    met = _met_before(dataset, split)
    lists = top_lists(scorer, judged, met, videos=dataset.videos, hidden=~dataset.cold)
    among = {"cold_among_cold": _metrics(Ranking(judged, lists), cold, dataset)}
    return evaluate_ranking(dataset, split, full) | among


def evaluate_ranking(dataset: Dataset, split: Split, ranking: Ranking) -> dict[str, Any]:
    """Judge a `ranking` of all videos on the held-out interactions of `split`.

    `warm` and `cold` count only relevant videos with, or without, training interactions; the
    ranking is the same one. Each averages over the users who have a relevant video of that kind;
    `hit` is the share of these with any of them in the list. `popularity@20` is how many training
    interactions a recommended video has in the mean, in those of a video of the catalog: 1 where
    popular videos are not preferred (average recommendation popularity; Yin et al., VLDB 2012).

    Returns:
        {"overall": {"recall@10", …, "users"}, "warm": {…}, "cold": {…}, "coverage@20": share,
        "popularity@20": ratio}
    """
    report: dict[str, Any] = {
        group: _metrics(ranking, part, dataset) for group, part in _relevant(dataset, split).items()
    }
    shown = ranking.lists[ranking.lists >= 0]
    report[f"coverage@{DEPTH}"] = len(np.unique(shown)) / dataset.videos
    usual = dataset.popularity.mean()
    told = bool(len(shown)) and usual > 0
    report[f"popularity@{DEPTH}"] = float(dataset.popularity[shown].mean() / usual) if told else 0.0
    return report


def recall_by_user(dataset: Dataset, split: Split, ranking: Ranking) -> Floats:
    """Return recall@20 of each user on `split`, as `evaluate` counts it: (U,), nan where none."""
    return figures_by_user(dataset, split, ranking)["recall@20"]


def figures_by_user(dataset: Dataset, split: Split, ranking: Ranking) -> dict[str, Floats]:
    """Return recall@20 and ndcg@20 of each user on `split`: (U,) each, nan where nobody asked."""
    target = dataset.interactions(split)
    wanted = np.bincount(target.users, minlength=dataset.users)[ranking.judged]
    hits = _hits(ranking, target, dataset)
    told = {"recall@20": hits.sum(1) / wanted, "ndcg@20": _ndcg(hits, wanted)}
    found = {name: np.full(dataset.users, np.nan, dtype=np.float32) for name in told}
    for name, figures in told.items():
        found[name][ranking.judged] = figures
    return found


def _relevant(dataset: Dataset, split: Split) -> dict[str, Interactions]:
    target = dataset.interactions(split)
    cold = dataset.cold[target.videos]
    return {
        "overall": target,
        "warm": Interactions(target.users[~cold], target.videos[~cold]),
        "cold": Interactions(target.users[cold], target.videos[cold]),
    }


def _met_before(dataset: Dataset, split: Split) -> Csr:
    """Return what each user met in the splits before `split`, or outside of all."""
    met = dataset.seen
    for earlier in SPLITS[: SPLITS.index(split)]:
        met = met.joined(dataset.interactions(earlier))
    return met.by_user(dataset.users)


def top_lists(
    scorer: Scorer, judged: Rows, met: Csr, *, videos: int, hidden: Mask | None = None
) -> Rows:
    """Return the best 20 of `videos` rows for each of the `judged: (N,)` user rows: (N, 20).

    Neither met nor `hidden: (V,)` ones are among them. Ties go to the lower row. A list shorter
    than 20 is filled up with -1.
    """
    lists = np.full((len(judged), DEPTH), -1, dtype=np.int64)
    block = max(1, SCORE_CELLS // max(1, videos))
    for start in range(0, len(judged), block):
        rows = judged[start : start + block]
        scores = scorer(rows)
        scores[np.repeat(np.arange(len(rows)), met.counts(rows)), met.of(rows)] = -np.inf
        if hidden is not None:
            scores[:, hidden] = -np.inf
        lists[start : start + len(rows)] = _best(scores)
    return lists


def _best(scores: Floats) -> Rows:
    depth = min(DEPTH, scores.shape[1])
    rows = np.argpartition(scores, -depth, axis=1)[:, -depth:]
    kept = np.take_along_axis(scores, rows, axis=1)
    # A partition cuts through equal scores anywhere; there a stable sort finds the lower rows.
    tied = np.flatnonzero((scores >= kept.min(axis=1, keepdims=True)).sum(1) != depth)
    rows[tied] = np.argsort(-scores[tied], axis=1, kind="stable")[:, :depth]
    kept[tied] = np.take_along_axis(scores[tied], rows[tied], axis=1)
    order = np.lexsort((rows, -kept), axis=1)
    best = np.full((len(scores), DEPTH), -1, dtype=np.int64)
    best[:, :depth] = np.take_along_axis(np.where(np.isneginf(kept), -1, rows), order, axis=1)
    return best


def _hits(ranking: Ranking, relevant: Interactions, dataset: Dataset) -> Mask:
    """Tell which of the lists of `ranking` are `relevant` to their users: (N, 20)."""
    judged, lists = ranking
    keys = relevant.keys(dataset.videos)
    hits: Mask = np.zeros(lists.shape, dtype=bool)
    # Place by place: all of them at once would take three times the memory of the lists.
    for place, rows in enumerate(lists.T):
        wanted = judged * dataset.videos + rows
        found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        hits[:, place] = (keys[found] == wanted) & (rows >= 0)
    return hits


def _metrics(ranking: Ranking, relevant: Interactions, dataset: Dataset) -> Metrics:
    counts = np.bincount(relevant.users, minlength=dataset.users)[ranking.judged]
    if not counts.any():
        return {"users": 0}
    hits = _hits(ranking, relevant, dataset)[counts > 0]
    counts = counts[counts > 0]
    metrics: Metrics = {}
    for cutoff in CUTOFFS:
        metrics[f"recall@{cutoff}"] = float((hits[:, :cutoff].sum(1) / counts).mean())
        metrics[f"ndcg@{cutoff}"] = float(_ndcg(hits[:, :cutoff], counts).mean())
        metrics[f"precision@{cutoff}"] = float(hits[:, :cutoff].mean())
        metrics[f"hit@{cutoff}"] = float(hits[:, :cutoff].any(axis=1).mean())
    metrics["users"] = len(counts)
    return metrics


def _ndcg(hits: Mask, counts: Rows) -> NDArray[np.float64]:
    discounts = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    ideal = np.cumsum(discounts)[np.minimum(counts, hits.shape[1]) - 1]
    return np.asarray((hits * discounts).sum(1) / ideal)
