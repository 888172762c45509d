"""Gives arrivals the places they are promised. Knows one view and who may be in a list."""

from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from typing import Final

import numpy as np

from models.ids import VideoId
from service.catalog.bar import Bar
from service.catalog.index import Floats, Mask, Rows, VideoRow
from service.catalog.retrieval import products
from service.catalog.view import View
from service.recommend.recommendation import Recommendation
from service.recommend.request import Exploring, Request

# After so many half-lives a video is as old as any other.
LIVES: Final = 5
# So many are drawn for each place; the one that suits best is shown.
DRAWN_EACH: Final = 4
# So many arrivals are asked how many have met them.
LOOKED_AT: Final = 1000


def with_fresh(
    view: View, request: Request, vector: Floats | None, barred: Bar, best: list[Recommendation]
) -> list[Recommendation]:
    """Return `best` with as many arrivals in it as are promised, if there are so many.

    Those that are there by themselves count. The others take the places of the last that are none,
    evenly spread over the list.
    """
    exploring = request.exploring
    if not exploring.share:
        return best
    rng = np.random.Generator(np.random.PCG64(_seed(view, request)))
    # The broken part of a place is a matter of chance.
    promised = int(request.k * exploring.share + rng.random())
    missing = promised - sum(view.arrived(one.video_id) for one in best)
    if missing < 1:
        return best
    known = {one.video_id for one in best}
    drawn = _drawn(view, exploring, barred.mask(), rng)
    others = (v for v in drawn if v not in known and request.unshown(v))
    fresh = _suiting(view, vector, list(islice(others, DRAWN_EACH * missing)), missing)
    kept = _without_last(view, best, len(best) + len(fresh) - request.k)
    length = len(kept) + len(fresh)
    for number, one in enumerate(fresh):
        kept.insert((2 * number + 1) * length // (2 * len(fresh)), one)
    return kept


def _drawn(
    view: View, exploring: Exploring, barred: Mask, rng: np.random.Generator
) -> Iterator[VideoId]:
    """Yield arrivals in the order in which they are drawn, each with its chances."""
    rows = view.arrivals(barred)
    lives = view.ages(rows) / exploring.half_life
    rows, lives = rows[lives < LIVES], lives[lives < LIVES]
    # An exponential race: who is first is drawn with a chance in proportion to 2^-lives.
    times = rng.exponential(size=len(rows)) * np.exp2(lives)
    first: Rows = np.argsort(times, kind="stable")[:LOOKED_AT]
    luck = rng.random(len(first))
    for row, chance in zip(rows[first].tolist(), luck.tolist(), strict=True):
        video_id = view.video_id(VideoRow(row))
        met = view.overlay.viewers.get(video_id, 0) / exploring.viewers
        if met < LIVES and chance < 2**-met:
            yield video_id


def _suiting(
    view: View, vector: Floats | None, drawn: list[VideoId], count: int
) -> list[Recommendation]:
    """Return the `count` of those `drawn` that suit best; without a vector, the first ones."""
    if vector is None:
        liked = view.overlay.gained
        return [Recommendation(v, float(liked.get(v, 0)), "fresh") for v in drawn[:count]]
    rows = np.array([view.row(video_id) for video_id in drawn], dtype=np.int64)
    scored = zip(drawn, products(view.vectors(rows), vector).tolist(), strict=True)
    found = sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:count]
    return [Recommendation(video_id, score, "fresh") for video_id, score in found]


def _without_last(view: View, best: list[Recommendation], count: int) -> list[Recommendation]:
    """Return `best` without the last `count` that are no arrivals."""
    places = [place for place, one in enumerate(best) if not view.arrived(one.video_id)]
    dropped = set(places[len(places) - count :]) if count > 0 else set()
    return [one for place, one in enumerate(best) if place not in dropped]


def _seed(view: View, request: Request) -> int:
    if request.exploring.seed is not None:
        return request.exploring.seed
    said = f"{view.position}\0{request.user_id or ''}".encode()
    return int.from_bytes(blake2b(said, digest_size=8).digest(), "little")
