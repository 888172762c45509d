"""Retrieves for several users at once: one pass over arrays serves them all.

What comes out is what `View.retrieve` gives to each of them alone; it only costs less.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from models.ids import VideoId
from service.catalog.bar import Bar
from service.catalog.index import Doubles, Floats, Mask, Rows
from service.catalog.view import FEW_ROWS, FLOAT32_SLACK, View, expected_barred, products


class _Scored(NamedTuple):
    """Rows (N,), which user of the batch each is for (N,), ascending, and exact scores (N,)."""

    rows: Rows
    owners: Rows
    scores: Doubles


def retrieve_many(
    view: View, vectors: Floats, k: int, bars: Sequence[Bar]
) -> list[list[tuple[VideoId, float]]]:
    """Return, for each of `vectors: (B, D)`, ids and scores of the `k` best rows its bar leaves.

    Who cannot be served from one common search, because much is barred or little was found, is
    served alone.
    """
    few = min(bar.at_least_open for bar in bars) <= FEW_ROWS
    alike = all(bar.shares_masks(bars[0]) for bar in bars)
    if len(bars) == 1 or few or k < 1 or not alike:
        return [_alone(view, v, k, bar) for v, bar in zip(vectors, bars, strict=True)]
    index = view.snapshot.index
    wanted = index.refine * k + 1
    fetch = wanted + expected_barred(wanted, k, max(len(bar.rows) for bar in bars))
    rows, scores = index.retrieve_many(vectors, fetch)
    left = _left(rows, bars)
    slack = FLOAT32_SLACK * np.linalg.norm(vectors, axis=1)
    if index.refine == 1:
        left, served = _near_cut(left, scores, k, slack)
    else:
        counts = np.cumsum(left, axis=1)
        left &= counts <= wanted
        served = counts[:, -1] >= wanted
    best = _best(view, vectors, rows, left & served[:, None], k)
    ends = np.searchsorted(best.owners, np.arange(len(bars) + 1)).tolist()
    triples = _triples(view, best.rows, best.scores)
    parts = [triples[start:end] for start, end in pairwise(ends)]
    if view.overlay.delta.count:
        cuts = [-sorted(part)[k - 1][0] if len(part) >= k else -np.inf for part in parts]
        for place, arrived in enumerate(_arrived(view, vectors, k, bars, np.array(cuts) - slack)):
            if len(arrived):
                parts[place] += _triples(view, arrived, view.scores(arrived, vectors[place]))
    return [
        _ranked(part, k) if done else _alone(view, vector, k, bar)
        for part, done, vector, bar in zip(parts, served, vectors, bars, strict=True)
    ]


def _arrived(
    view: View, vectors: Floats, k: int, bars: Sequence[Bar], cuts: Doubles
) -> Iterator[Rows]:
    """Yield for each user the rows of arrivals that may be in the list.

    What scores less than `cuts: (B,)` is in none.
    """
    delta, videos = view.overlay.delta, view.snapshot.manifest.videos
    if not view.few_arrivals:
        for vector, bar in zip(vectors, bars, strict=True):
            slack = FLOAT32_SLACK * float(np.linalg.norm(vector))
            yield view.arrivals_near(vector, k, bar, slack)
    else:
        scores = vectors @ delta.vectors[: delta.count].T
        for theirs, bar, cut in zip(scores, bars, cuts.tolist(), strict=True):
            rows = np.flatnonzero(theirs >= cut) + videos
            yield rows[~bar.bars(rows)]


def _left(rows: Rows, bars: Sequence[Bar]) -> Mask:
    """Return which of `rows: (B, F)`, found for the users of `bars`, are rows and not barred."""
    total = len(bars[0].trained) + len(bars[0].arrived)
    barred = bars[0].trained[rows] | (rows < 0)
    # The rows of all bars side by side, as if each had a catalog of its own.
    starts = np.arange(len(bars)) * total
    keys = np.concatenate([bar.rows + start for bar, start in zip(bars, starts, strict=True)])
    if len(keys):
        asked = rows + starts[:, None]
        places = np.searchsorted(keys, asked.ravel()).reshape(asked.shape)
        places[places == len(keys)] = 0
        barred |= keys[places] == asked
    return ~barred


def _near_cut(left: Mask, scores: Floats, k: int, slack: Doubles) -> tuple[Mask, Mask]:
    """Return which of those `left: (B, F)` are within `slack: (B,)` of the k-th: (B, F).

    And for whom these are all there can be: (B,). `scores: (B, F)` descend.
    """
    counts = np.cumsum(left, axis=1)
    cut = scores[np.arange(len(left)), np.argmax(counts == k, axis=1)] - slack
    return left & (scores >= cut[:, None]), (counts[:, -1] > k) & (scores[:, -1] < cut)


def _best(view: View, vectors: Floats, rows: Rows, chosen: Mask, k: int) -> _Scored:
    """Return the `k` best of the `chosen` among `rows`, both (B, F), by exact score, with ties."""
    owners, columns = np.nonzero(chosen)
    found = rows[owners, columns]
    known = view.vectors(found)
    if len(found) > 2 * k * len(vectors):
        # Single precision tells which come near the cut.
        rough = np.full(rows.shape, -np.inf, dtype=np.float32)
        rough[owners, columns] = np.einsum("nd,nd->n", known, vectors[owners])
        slack = FLOAT32_SLACK * np.linalg.norm(vectors, axis=1)
        cuts = np.partition(rough, -k, axis=1)[:, -k] - slack
        kept = rough[owners, columns] >= cuts[owners]
        found, owners, known = found[kept], owners[kept], known[kept]
    return _Scored(found, owners, products(known, vectors[owners]))


def _triples(view: View, rows: Rows, scores: Doubles) -> list[tuple[float, VideoId, int]]:
    """Return (score turned round, id, row) of `rows: (N,)`: what is best is least."""
    if not len(rows):
        return []
    return list(zip((-scores).tolist(), view.video_ids(rows), rows.tolist(), strict=True))


def _alone(view: View, vector: Floats, k: int, bar: Bar) -> list[tuple[VideoId, float]]:
    return [(one.video_id, one.score) for one in view.retrieve(vector, k, bar=bar)]


def _ranked(triples: list[tuple[float, VideoId, int]], k: int) -> list[tuple[VideoId, float]]:
    return [(video_id, -score) for score, video_id, _ in sorted(triples)[:k]]
