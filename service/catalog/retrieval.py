"""Finds the videos of a view nearest to a vector. Knows rows and bars; nothing of users."""

from math import sqrt
from typing import Final, NamedTuple

import numpy as np

from models.ids import VideoId
from service.catalog.bar import NO_ROWS, Bar
from service.catalog.index import Doubles, Floats, Rows, VideoRow, contenders
from service.catalog.view import View
from service.errors import UnknownVideo

# A single-precision inner product goes wrong by less than this share of the two lengths multiplied.
FLOAT32_SLACK: Final = 1e-5
# So many rows are scored one by one faster than looked for among the others.
FEW_ROWS: Final = 4096
# Looking for more than this share of all rows is slower than scoring all of them.
LARGEST_SHARE: Final = 0.5
# So many arrivals are compared as fast as a part of them is picked out.
FEW_ARRIVALS: Final = 4096
# So many times K are looked for beyond K where as many were seen.
EXPECTED_SEEN: Final = 3


class Candidate(NamedTuple):
    """A live video and how well it suits a vector."""

    row: VideoRow
    video_id: VideoId
    score: float


def retrieve(view: View, vector: Floats, k: int, *, bar: Bar | None = None) -> list[Candidate]:
    """Return the `k` best rows without a `bar`, best first, ties by id.

    Hidden and dead rows are barred unless a bar is given, which must hold these too.
    Scores are inner products with `vector: (D,)`; video vectors have unit length. The search is
    in single precision, whose last bits depend on what else is in the matrix; what comes near
    the cut is scored again in double precision, row by row, so that every replica gives the
    same list and the same numbers.
    """
    bar = bar or view.standing_bar
    if k < 1:
        return []
    if bar.at_least_open <= FEW_ROWS:
        return _ranked(view, np.flatnonzero(~bar.mask()), vector, k)
    slack = FLOAT32_SLACK * sqrt(vector @ vector)
    rows = _retrieve_trained(view, vector, k, bar, slack)
    if view.overlay.delta.count:
        rows = np.concatenate([rows, arrivals_near(view, vector, k, bar, slack)])
    return _ranked(view, rows, vector, k)


def nearest(view: View, video_id: VideoId, k: int, *, bar: Bar | None = None) -> list[Candidate]:
    """Return the `k` videos of largest cosine with a live video, it and barred ones left out.

    Raises:
        UnknownVideo: there is no such live video.
    """
    row = view.row(video_id)
    if row is None:
        raise UnknownVideo(video_id)
    itself = np.array([row])
    others = (bar or view.standing_bar).and_rows(itself)
    return retrieve(view, view.vectors(itself)[0], k, bar=others)


def _retrieve_trained(view: View, vector: Floats, k: int, bar: Bar, slack: float) -> Rows:
    """Return the `k` best snapshot rows that are not barred, and those within `slack` of them.

    Filtering after the search must not shorten the list, however much is barred: ask for more
    until enough is found, and look at every row where the index has no more to give.
    """
    index, videos = view.snapshot.index, view.snapshot.manifest.videos
    wanted, effort = index.refine * k + 1, 1
    fetch = wanted + expected_barred(wanted, k, len(bar.rows))
    while effort * index.scanned < LARGEST_SHARE * videos or effort == 1:
        found, scores = index.retrieve(vector, fetch, effort=effort)
        open_ = ~bar.bars(found)
        kept, scores = found[open_], scores[open_]
        # What the cells hold that were looked into, not how much was asked for, decides how
        # far is looked: with others in one search more is asked for.
        all_there = len(found) < min(fetch, videos)
        if index.refine > 1 and len(kept) >= wanted:
            kept = kept[:wanted]
            return kept[contenders(view.snapshot.vectors[kept] @ vector, k, slack)]
        if index.refine == 1 and len(kept) > k:
            cut = scores[k - 1] - slack
            if all_there or scores[-1] < cut:
                near: Rows = kept[scores >= cut]
                return near
        if all_there:
            effort *= 4
            continue
        if fetch >= videos:
            return kept
        fetch = max(4 * fetch, wanted + 2 * (len(found) - len(kept)))
    scores = view.snapshot.vectors @ vector
    scores[bar.mask()[:videos]] = -np.inf
    return contenders(scores, k, slack)


def arrivals_near(view: View, vector: Floats, k: int, bar: Bar, slack: float) -> Rows:
    """Return the rows of the `k` best arrivals, and those within `slack` of them.

    Where there are many, and the index of the snapshot looks into some cells, arrivals of these
    cells are looked at. That is a matter of vectors and numbers alone, not of when this replica
    learnt of them.
    """
    delta, videos = view.overlay.delta, view.snapshot.manifest.videos
    if not delta.count:
        return NO_ROWS
    probed = None if few_arrivals(view) else view.snapshot.index.probed_cells(vector)
    if probed is not None:
        places = delta.within(probed)
        places = places[~bar.bars(places + videos)]
        if len(places) >= k:
            near = contenders(delta.vectors[places] @ vector, k, slack)
            return places[near] + videos
    scores = delta.vectors[: delta.count] @ vector
    scores[bar.bars(np.arange(videos, view.rows))] = -np.inf
    return contenders(scores, k, slack) + videos


def few_arrivals(view: View) -> bool:
    """Tell whether all arrivals are compared rather than those of some cells."""
    # Live ones decide: how many dead ones are still there differs between replicas.
    return view.live_arrivals <= FEW_ARRIVALS


def expected_barred(wanted: int, k: int, barred: int) -> int:
    """Return how many rows to ask for beyond those `wanted`, where `barred` are barred from a user.

    What a user has seen is near them: some more at once is cheaper than another search.
    """
    return min(barred, max(wanted, EXPECTED_SEEN * k))


def products(rows: Floats, vectors: Floats) -> Doubles:
    """Return the inner products of `rows: (N, D)` with `vectors: (N, D)` or with one, (D,): (N,).

    Summed row by row: unlike a matrix product, the sum never depends on the other rows.
    """
    products: Doubles = (rows.astype(np.float64) * vectors).sum(axis=1)
    return products


def _ranked(view: View, rows: Rows, vector: Floats, k: int) -> list[Candidate]:
    """Return the `k` best of `rows: (N,)` by exact score, ties by id."""
    scores = products(view.vectors(rows), vector)
    if len(rows) > 2 * k:
        best = contenders(scores, k, slack=0)
        rows, scores = rows[best], scores[best]
    ranked = sorted(zip((-scores).tolist(), view.video_ids(rows), rows.tolist(), strict=True))
    return [Candidate(VideoRow(row), name, -score) for score, name, row in ranked[:k]]
