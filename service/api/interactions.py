"""Interactions: what users did. Recorded before they are answered."""

from fastapi import APIRouter, Depends, Response

from eventlog.events import Event, InteractionRecorded
from models.ids import VideoId
from service.api.bodies import InteractionBatch
from service.api.dependencies import ServicesDep, WriteKeyDep, require_json
from service.api.ingesting import InteractionRoute
from service.api.replies import InteractionResult, InteractionsWritten

router = APIRouter(prefix="/v1", tags=["interactions"], route_class=InteractionRoute)


@router.post("/interactions", status_code=202, dependencies=[Depends(require_json)])
async def post_interactions(
    body: InteractionBatch, services: ServicesDep, key: WriteKeyDep, response: Response
) -> InteractionsWritten:
    """Record interactions, all or none. One with an unknown video is kept (it may arrive yet)."""
    view, now = services.catalog.view, services.clock()
    events: list[Event] = [
        InteractionRecorded(
            user_id=item.user_id,
            video_id=item.video_id,
            kind=item.kind,
            timestamp=now if item.timestamp is None else item.timestamp,
            recorded_at=now,
        )
        for item in body.interactions
    ]
    position = await services.record(events, key, response)
    unknown = [
        InteractionResult(place=place, note=f"no video {item.video_id!r} at the moment")
        for place, item in enumerate(body.interactions)
        if view.row(VideoId(item.video_id)) is None
    ]
    return InteractionsWritten(position=position, accepted=len(events), results=unknown)
