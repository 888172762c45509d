"""Answers with videos: for a user, or like a video. Knows one view; nothing of HTTP or logs."""

from typing import Literal, NamedTuple

from models.ids import UserId, VideoId
from service.catalog.index import Floats
from service.catalog.representing import fold_in
from service.catalog.view import Candidate, View
from service.recommend.fallback import popular_then_fresh

Source = Literal["personal", "fold_in", "similar", "popular", "fresh"]


class Recommendation(NamedTuple):
    """A video to show, how well it suits, and where the suggestion comes from."""

    video_id: VideoId
    score: float
    source: Source


def recommend(view: View, user_id: UserId, k: int) -> list[Recommendation]:
    """Return the best `k` live videos that the user has not met, best first.

    A user of whom nothing is known gets what is popular, then what is fresh. The list is shorter
    than `k` only if there is nothing more to show.
    """
    seen = view.seen(user_id)
    vector = represent(view, user_id)
    if vector is None:
        return [Recommendation(*item) for item in popular_then_fresh(view, seen, k)]
    trained = view.trained_interactions(user_id)
    return _named(view.retrieve(vector, k, unwanted=seen), "personal" if trained else "fold_in")


def represent(view: View, user_id: UserId) -> Floats | None:
    """Return the unit vector of a user, (D,): as trained, moved by what they met since.

    None of a user who was not trained and has met nothing that says anything.
    """
    trained, (vectors, weights) = view.user_vector(user_id), view.experience(user_id)
    if not len(weights):
        return trained if view.trained_interactions(user_id) else None
    return fold_in(
        view.snapshot.geometry,
        vectors,
        weights,
        trained=trained,
        interactions=view.trained_interactions(user_id),
    )


def recommend_similar(view: View, video_id: VideoId, k: int) -> list[Recommendation]:
    """Return the `k` live videos most like a live one, by cosine of their vectors.

    Raises:
        UnknownVideo: there is no such live video.
    """
    return _named(view.nearest(video_id, k), "similar")


def _named(candidates: list[Candidate], source: Source) -> list[Recommendation]:
    return [Recommendation(found.video_id, found.score, source) for found in candidates]
