"""A place of a list. Knows ids and scores; nothing of how it came there."""

from typing import Literal, NamedTuple

from models.ids import VideoId

Source = Literal["personal", "fold_in", "similar", "trending", "popular", "fresh"]


class Recommendation(NamedTuple):
    """A video to show, how well it suits, and where the suggestion comes from."""

    video_id: VideoId
    score: float
    source: Source
