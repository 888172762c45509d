"""Retrieves for several users at once: one pass over arrays serves them all.

What comes out is what `retrieve` gives to each of them alone; it only costs less.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from models.ids import VideoId
from service.catalog.bar import Bar
from service.catalog.index import Doubles, Floats, Mask, Rows
from service.catalog.retrieval import (
    FEW_ROWS,
    FLOAT32_SLACK,
    arrivals_near,
    expected_barred,
    few_arrivals,
    products,
    retrieve,
)
from service.catalog.view import View


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
    slack = _slack(vectors)
    if index.refine == 1:
        left, served = _near_cut(left, scores, k, slack)
    else:
        counts = np.cumsum(left, axis=1)
        left &= counts <= wanted
        served = counts[:, -1] >= wanted
    best = _best(view, vectors, rows, left & served[:, None], k)
    parts = _parts(view, best, len(bars))
    if view.overlay.delta.count:
        cuts = np.array([-sorted(part)[k - 1][0] if len(part) >= k else -np.inf for part in parts])
        # Who is served alone need not be looked at here.
        cuts = np.where(served, cuts - slack, np.inf)
        arrived = _arrived(view, vectors, k, bars, cuts)
        for part, others in zip(parts, _parts(view, arrived, len(bars)), strict=True):
            part.extend(others)
    return [
        _ranked(part, k) if done else _alone(view, vector, k, bar)
        for part, done, vector, bar in zip(parts, served, vectors, bars, strict=True)
    ]


def _slack(vectors: Floats) -> Doubles:
    """Return by how much scores of `vectors: (B, D)` in single precision may be off: (B,)."""
    slack: Doubles = FLOAT32_SLACK * np.linalg.norm(vectors, axis=1)
    return slack


def _arrived(view: View, vectors: Floats, k: int, bars: Sequence[Bar], cuts: Doubles) -> _Scored:
    """Return the arrivals that may be in lists, with exact scores.

    What scores less than `cuts: (B,)` is in none.
    """
    delta, videos = view.overlay.delta, view.snapshot.manifest.videos
    if few_arrivals(view):
        # Long times short is twice as fast as short times long.
        near = np.flatnonzero(delta.vectors[: delta.count] @ vectors.T >= cuts.astype(np.float32))
        places, owners = np.divmod(near, len(vectors))
        rows = places + videos
        left = np.flatnonzero(~(bars[0].arrived[places] | _own(rows, owners, bars)))
        left = left[np.argsort(owners[left], kind="stable")]
        rows, owners = rows[left], owners[left]
    else:
        found = [
            arrivals_near(view, vector, k, bar, slack)
            for vector, bar, slack in zip(vectors, bars, _slack(vectors).tolist(), strict=True)
        ]
        rows = np.concatenate(found)
        owners = np.repeat(np.arange(len(found)), list(map(len, found)))
    return _Scored(rows, owners, products(view.vectors(rows), vectors[owners]))


def _left(rows: Rows, bars: Sequence[Bar]) -> Mask:
    """Return which of `rows: (B, F)`, found for the users of `bars`, are rows and not barred."""
    owners = np.arange(len(bars))[:, None]
    return ~(bars[0].trained[rows] | (rows < 0) | _own(rows, owners, bars))


def _own(rows: Rows, owners: Rows, bars: Sequence[Bar]) -> Mask:
    """Return which of `rows` are among those that the bar of their owner alone has."""
    total = len(bars[0].trained) + len(bars[0].arrived)
    # The rows of all bars side by side, as if each had a catalog of its own.
    keys = np.concatenate([bar.rows + place * total for place, bar in enumerate(bars)])
    asked = rows + owners * total
    if not len(keys):
        return np.zeros(asked.shape, dtype=bool)
    places = np.searchsorted(keys, asked.ravel()).reshape(asked.shape)
    places[places == len(keys)] = 0
    mask: Mask = keys[places] == asked
    return mask


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
        slack = _slack(vectors)
        cuts = np.partition(rough, -k, axis=1)[:, -k] - slack
        kept = rough[owners, columns] >= cuts[owners]
        found, owners, known = found[kept], owners[kept], known[kept]
    return _Scored(found, owners, products(known, vectors[owners]))


def _parts(view: View, scored: _Scored, count: int) -> list[list[tuple[float, VideoId, int]]]:
    """Return (score turned round, id, row) for each of `count` users: what is best is least."""
    if not len(scored.rows):
        return [[] for _ in range(count)]
    ids = view.video_ids(scored.rows)
    triples = list(zip((-scored.scores).tolist(), ids, scored.rows.tolist(), strict=True))
    ends = np.searchsorted(scored.owners, np.arange(count + 1)).tolist()
    return [triples[start:end] for start, end in pairwise(ends)]


def _alone(view: View, vector: Floats, k: int, bar: Bar) -> list[tuple[VideoId, float]]:
    return [(one.video_id, one.score) for one in retrieve(view, vector, k, bar=bar)]


def _ranked(triples: list[tuple[float, VideoId, int]], k: int) -> list[tuple[VideoId, float]]:
    return [(video_id, -score) for score, video_id, _ in sorted(triples)[:k]]
