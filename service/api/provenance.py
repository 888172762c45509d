"""Explains the places of a list: reads from the log what that takes. Knows requests and views."""

from collections.abc import Sequence

import msgspec
import structlog

from eventlog.errors import EventLogError
from eventlog.events import VideoUpserted, decode
from models.ids import VideoId
from service.api.dependencies import Services
from service.api.replies import Explained, NearestWatched
from service.catalog.fusing import RawFeatures
from service.catalog.view import View
from service.recommend.explaining import Explanation, explain
from service.recommend.recommendation import Recommendation
from service.recommend.recommender import represent
from service.recommend.request import Request

log = structlog.get_logger()


async def explained(
    services: Services, view: View, request: Request, found: Sequence[Recommendation]
) -> list[Explained]:
    """Return why each video was `found`."""
    vector = await services.in_worker(represent, view, request)
    ids = [] if vector is None else [one.video_id for one in found]
    features = await _features_of_arrivals(services, view, ids)
    reasons = await services.in_worker(explain, view, request, vector, found, features)
    return [_told(reason) for reason in reasons]


async def _features_of_arrivals(
    services: Services, view: View, ids: Sequence[VideoId]
) -> dict[VideoId, RawFeatures]:
    """Return the raw features of those of `ids` that live beside the bundle, if the log has them.

    They are in the log alone: in memory they would be many times the vectors.
    """
    found: dict[VideoId, RawFeatures] = {}
    for video_id in ids:
        live = view.overlay.videos.get(video_id)
        if live is None or live.trained is not None:
            continue
        try:
            entries = await services.event_log.read(live.before, 1)
            event = decode(entries[0].payload) if entries else None
        except (EventLogError, msgspec.DecodeError) as error:
            # The list stands without; the follower tells of a log that cannot be read.
            log.warning("features not read", fault=str(error))
            break
        if isinstance(event, VideoUpserted) and event.video_id == video_id:
            found[video_id] = event.features
    return found


def _told(reason: Explanation) -> Explained:
    content, nearest = reason.content, reason.nearest
    watched = None
    if nearest is not None:
        watched = NearestWatched(video_id=nearest.video_id, similarity=nearest.similarity)
    if content is None:
        return Explained(nearest=watched)
    return Explained(
        content=content.score,
        baseline=content.baseline,
        contributions=dict(content.contributions),
        shares=dict(content.shares),
        nearest=watched,
    )
