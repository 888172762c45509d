"""Videos: add or replace, read, delete. A write is in the event log before it is answered."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Body, Depends, Response
from pydantic import TypeAdapter, ValidationError

from eventlog.events import Event, VideoDeleted, VideoHidden, VideoShown, VideoUpserted
from models.ids import VideoId
from service.api.dependencies import (
    ServicesDep,
    VideoIdDep,
    ViewDep,
    WriteKeyDep,
    require_json,
)
from service.api.problems import describe_faults, list_faults
from service.api.schemas import (
    BatchReply,
    BatchResult,
    BatchVideo,
    Problem,
    VideoBatch,
    VideoBody,
    VideoReply,
    VideoState,
    VideoWritten,
    Written,
)
from service.catalog.view import View
from service.errors import InvalidInput, UnknownVideo

router = APIRouter(prefix="/v1", tags=["videos"])
batch_video = TypeAdapter(BatchVideo)


@router.put(
    "/videos/{video_id}",
    responses={201: {"model": VideoWritten}},
    dependencies=[Depends(require_json)],
)
async def put_video(
    video_id: VideoIdDep,
    body: Annotated[VideoBody, Body()],
    services: ServicesDep,
    key: WriteKeyDep,
    response: Response,
) -> VideoWritten:
    """Add a video (201) or replace it (200); it is recommendable here before the answer is sent."""
    view = services.catalog.view
    event = _upsert(view, video_id, body, now=services.clock())
    response.status_code = 200 if view.row(video_id) is not None else 201
    position = await services.record([event], key, response)
    return VideoWritten(video_id=video_id, position=position)


@router.post("/videos:batch", dependencies=[Depends(require_json)])
async def post_videos(
    body: VideoBatch, services: ServicesDep, key: WriteKeyDep, response: Response
) -> BatchReply:
    """Add or replace many videos: good ones are recorded together, each bad one told by itself."""
    view, now = services.catalog.view, services.clock()
    results: list[BatchResult] = []
    events: list[Event] = []
    known: set[str] = set()
    for place, raw in enumerate(body.videos):
        try:
            video = batch_video.validate_python(raw)
            events.append(_upsert(view, VideoId(video.video_id), video, now=now))
        except (ValidationError, InvalidInput) as error:
            results.append(_refusal(place, raw, error))
            continue
        known_before = video.video_id in known or view.row(VideoId(video.video_id)) is not None
        known.add(video.video_id)
        results.append(BatchResult(video_id=video.video_id, status=200 if known_before else 201))
    if events:
        position = await services.record(events, key, response)
        for result in results:
            if result.problem is None:
                result.position = position
    return BatchReply(results=results)


@router.get("/videos/{video_id}")
async def get_video(video_id: VideoIdDep, view: ViewDep) -> VideoReply:
    """Return what is known of a live video."""
    return VideoReply(
        video_id=video_id,
        metadata=dict(view.metadata(video_id)),
        state="hidden" if view.is_hidden(video_id) else "live",
        bundle_id=view.bundle_id,
        position=view.position,
    )


@router.delete("/videos/{video_id}")
async def delete_video(
    video_id: VideoIdDep, services: ServicesDep, key: WriteKeyDep, response: Response
) -> Written:
    """Delete a video; deleting one that is not there is no error."""
    event = VideoDeleted(video_id=video_id, recorded_at=services.clock())
    return Written(position=await services.record([event], key, response))


@router.patch("/videos/{video_id}", dependencies=[Depends(require_json)])
async def patch_video(  # noqa: PLR0917 - FastAPI hands in what it reads
    video_id: VideoIdDep,
    body: VideoState,
    view: ViewDep,
    services: ServicesDep,
    key: WriteKeyDep,
    response: Response,
) -> VideoWritten:
    """Hide a video from every list, or show it again; all that is known of it stays."""
    if view.row(video_id) is None:
        raise UnknownVideo(video_id)
    kind = VideoHidden if body.state == "hidden" else VideoShown
    event = kind(video_id=video_id, recorded_at=services.clock())
    return VideoWritten(video_id=video_id, position=await services.record([event], key, response))


def _upsert(view: View, video_id: VideoId, body: VideoBody, *, now: float) -> VideoUpserted:
    features = {name: np.array(row, dtype="<f4") for name, row in body.features.items()}
    faults = view.snapshot.fuser.faults_in({str(name): row for name, row in features.items()})
    if faults:
        named = [(".".join(filter(None, ["body.features", field])), text) for field, text in faults]
        raise InvalidInput(named)
    return VideoUpserted(
        video_id=video_id,
        features={name: values.tobytes() for name, values in features.items()},
        metadata=body.metadata.model_dump(exclude_none=True),
        recorded_at=now,
    )


def _refusal(place: int, raw: Any, error: ValidationError | InvalidInput) -> BatchResult:
    if isinstance(error, InvalidInput):
        errors = list_faults(error)
    else:
        errors = describe_faults(error.errors(include_url=False, include_context=False))
    first = errors[0]
    problem = Problem(
        title="Invalid input",
        status=422,
        detail=f"body.videos.{place}: {first['field']}: {first['expected']}",
        errors=errors,
    )
    named = raw.get("video_id") if isinstance(raw, dict) else None
    # Text that could not be sent back (a lone surrogate, say) is left out.
    video_id = named[:512] if isinstance(named, str) and named.isprintable() else None
    return BatchResult(video_id=video_id, status=422, problem=problem)
