"""Says why a video is in the list of a user: what its content adds, and what it is most like.

Knows one view and the features it is handed; nothing of where they are kept.
"""

from collections.abc import Mapping, Sequence
from math import factorial
from typing import NamedTuple

import numpy as np

from models.ablation import combinations_of
from models.ids import VideoId
from service.catalog.fusing import RawFeatures
from service.catalog.index import Doubles, Floats, Rows, VideoRow, contenders
from service.catalog.overlay import settled
from service.catalog.retrieval import FLOAT32_SLACK, products
from service.catalog.view import View
from service.recommend.recommendation import Recommendation
from service.recommend.request import Request


class Nearest(NamedTuple):
    """A video that the user has watched, and the cosine of a recommended one with it."""

    video_id: VideoId
    similarity: float


class Content(NamedTuple):
    """What content alone scores, a video without any modality, and what each modality adds.

    `score` is `baseline` and all `contributions`.
    """

    score: float
    baseline: float
    contributions: Mapping[str, float]

    @property
    def shares(self) -> Mapping[str, float]:
        """What part of all that is added or taken away each modality is; below 0 it takes away."""
        total = sum(map(abs, self.contributions.values())) or 1.0
        return {name: added / total for name, added in self.contributions.items()}


class Explanation(NamedTuple):
    """Why a video is there. `content` is None where there is no vector, or are no features."""

    content: Content | None
    nearest: Nearest | None


def explain(
    view: View,
    request: Request,
    vector: Floats | None,
    found: Sequence[Recommendation],
    features: Mapping[VideoId, RawFeatures],
) -> list[Explanation]:
    """Return why each video was `found` for the user of `vector: (D,)`.

    `features` are those of arrivals among them, as the log keeps them.
    """
    ids = [one.video_id for one in found]
    contents: dict[VideoId, Floats] = {} if vector is None else _contents(view, ids, features)
    watched = _watched(view, request)
    names = view.snapshot.fuser.modalities
    explanations = []
    for video_id in ids:
        content = None
        if vector is not None and video_id in contents:
            content = decomposed(products(contents[video_id], vector), names)
        explanations.append(Explanation(content, _nearest(view, video_id, watched)))
    return explanations


def decomposed(scores: Doubles, names: Sequence[str]) -> Content:
    """Divide the score of content among modalities; `scores: (2^M,)` are those of each set of them.

    What a modality adds is the mean, over all orders in which modalities may come, of what the
    score gains when it comes (its Shapley value): the one division that is complete, treats
    modalities alike and gives nothing to one that changes nothing.
    """
    count = len(names)
    added = dict.fromkeys(names, 0.0)
    for number, present in enumerate(combinations_of(count)):
        others = int(present.sum())
        for bit, name in enumerate(names):
            if not present[bit]:
                orders = factorial(others) * factorial(count - others - 1) / factorial(count)
                added[name] += orders * float(scores[number | 1 << bit] - scores[number])
    return Content(float(scores[-1]), float(scores[0]), added)


def _contents(
    view: View, ids: Sequence[VideoId], features: Mapping[VideoId, RawFeatures]
) -> dict[VideoId, Floats]:
    """Return the content vectors of each set of modalities, (2^M, D), where they are known."""
    snapshot, trained_rows = view.snapshot, view.snapshot.manifest.videos
    rows = {video_id: view.row(video_id) for video_id in ids}
    trained = [v for v, row in rows.items() if row is not None and row < trained_rows]
    found = snapshot.ablated(np.array([rows[v] for v in trained], dtype=np.int64))
    contents = {} if found is None else dict(zip(trained, found, strict=True))
    arrived = list(features)
    joined, readable = snapshot.fuser.join([features[v] for v in arrived])
    fused = zip(arrived, snapshot.fuser.ablated(joined), readable.tolist(), strict=True)
    return contents | {video_id: vectors for video_id, vectors, fine in fused if fine}


def _watched(view: View, request: Request) -> Rows:
    """Return the rows of videos that the user met and was not put off by, as they stand now."""
    history = view.history(request.user_id)
    weights = {video_id: met.weight for video_id, met in history.videos.items()}
    for video_id, weight in request.session:
        weights[video_id] = settled(weights.pop(video_id, 0.0), weight)
    trained = (view.snapshot.video_id(VideoRow(r)) for r in _trained_rows(view, request))
    weights = {**dict.fromkeys(trained, 1.0), **weights}
    rows = [view.row(video_id) for video_id, weight in weights.items() if weight > 0]
    watched = np.array(sorted({row for row in rows if row is not None}), dtype=np.int64)
    return watched[~view.bar(request.now).bars(watched)]


def _trained_rows(view: View, request: Request) -> list[int]:
    rows: list[int] = view.seen_in_training(request.user_id).tolist()
    return rows


def _nearest(view: View, video_id: VideoId, watched: Rows) -> Nearest | None:
    if not len(watched):
        return None
    vectors, vector = view.vectors(watched), view.vector(video_id)
    # As in `retrieval.retrieve`: the last bits of a product depend on what else is in it.
    near = contenders(vectors @ vector, 1, FLOAT32_SLACK)
    exact = products(vectors[near], vector).tolist()
    ids = [view.video_id(VideoRow(row)) for row in watched[near].tolist()]
    score, nearest = min((-score, name) for score, name in zip(exact, ids, strict=True))
    return Nearest(nearest, -score)
