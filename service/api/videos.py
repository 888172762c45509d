"""Videos: add or replace, read, delete. A write is in the event log before it is answered."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from eventlog.events import Event, VideoDeleted, VideoHidden, VideoRetold, VideoShown
from models.ids import VideoId
from service.api.bodies import Flag, VideoBatch, VideoBody, VideoPatch
from service.api.cursors import from_cursor, to_cursor
from service.api.decoding import Refused, SentVideo, json_body, read_batch, read_video
from service.api.dependencies import (
    ServicesDep,
    VideoIdDep,
    ViewDep,
    WriteKeyDep,
    body_of,
    require_json,
)
from service.api.ingesting import VideoRoute
from service.api.options import CatalogQuery
from service.api.replies import (
    BatchReply,
    BatchResult,
    ListedVideo,
    Problem,
    VideoPage,
    VideoReply,
    VideoWritten,
    Written,
)
from service.api.upserts import judged, named, row_problem, upsert
from service.catalog.view import View
from service.errors import InvalidInput, UnknownVideo
from service.recommend.lists import list_videos

router = APIRouter(prefix="/v1", tags=["videos"], route_class=VideoRoute)

WithVector = Annotated[Flag, Query(description="Whether the vector is wanted too.")]


@router.put(
    "/videos/{video_id}",
    responses={201: {"model": VideoWritten}},
    dependencies=[Depends(require_json)],
    openapi_extra=json_body(VideoBody),
)
async def put_video(
    video_id: VideoIdDep,
    request: Request,
    services: ServicesDep,
    key: WriteKeyDep,
    response: Response,
) -> VideoWritten:
    """Add a video (201) or replace it (200); it is recommendable here before the answer is sent."""
    sent = read_video(await body_of(request), video_id)
    view = services.catalog.view
    faults = view.snapshot.fuser.faults([sent.features])[0]
    if faults:
        raise InvalidInput(named(faults, "body.features"))
    response.status_code = 200 if view.row(video_id) is not None else 201
    position = await services.record([upsert(sent, services.clock())], key, response)
    return VideoWritten(video_id=video_id, position=position)


@router.post(
    "/videos:batch", dependencies=[Depends(require_json)], openapi_extra=json_body(VideoBatch)
)
async def post_videos(
    request: Request, services: ServicesDep, key: WriteKeyDep, response: Response
) -> BatchReply:
    """Add or replace many videos: good ones are recorded together, each bad one told by itself."""
    sent = await services.in_worker(read_batch, await body_of(request))
    view, now = services.catalog.view, services.clock()
    results, events = await services.in_worker(_results, view, sent, now)
    services.telemetry.ingest.reject("video", "invalid", len(results) - len(events))
    if events:
        position = await services.record(events, key, response)
        for result in results:
            if result.problem is None:
                result.position = position
    return BatchReply(results=results)


@router.get("/videos")
async def get_videos(
    view: ViewDep, services: ServicesDep, options: Annotated[CatalogQuery, Query()]
) -> VideoPage:
    """Return live videos in the order of their ids, hidden and ended ones too."""
    after = ""
    if options.cursor is not None:
        after = from_cursor("videos", options.cursor, "query.cursor").decode()
    k, now = options.k, services.clock()
    ids = await services.in_worker(list_videos, view, options.matching(), k + 1, after)
    more = to_cursor("videos", ids[k - 1].encode()) if len(ids) > k else None
    return VideoPage(
        bundle_id=view.bundle_id,
        position=view.position,
        videos=[
            ListedVideo(video_id=v, metadata=dict(view.metadata(v)), state=view.state(v, now))
            for v in ids[:k]
        ],
        next_cursor=more,
    )


@router.get("/videos/{video_id}")
async def get_video(
    video_id: VideoIdDep, view: ViewDep, services: ServicesDep, *, vector: WithVector = False
) -> VideoReply:
    """Return what is known of a live video."""
    return VideoReply(
        video_id=video_id,
        metadata=dict(view.metadata(video_id)),
        state=view.state(video_id, services.clock()),
        vector=view.vector(video_id).tolist() if vector else None,
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
    body: VideoPatch,
    view: ViewDep,
    services: ServicesDep,
    key: WriteKeyDep,
    response: Response,
) -> VideoWritten:
    """Hide a video from every list or show it again; change what is told of it.

    Of metadata, what is named is replaced and null takes away; all else stays.
    """
    if view.row(video_id) is None:
        raise UnknownVideo(video_id)
    now = services.clock()
    events: list[Event] = []
    if "metadata" in body.model_fields_set:
        told = body.metadata.model_dump(exclude_unset=True)
        events.append(VideoRetold(video_id=video_id, metadata=told, recorded_at=now))
    if "state" in body.model_fields_set:
        kind = VideoHidden if body.state == "hidden" else VideoShown
        events.append(kind(video_id=video_id, recorded_at=now))
    return VideoWritten(video_id=video_id, position=await services.record(events, key, response))


def _results(
    view: View, sent: Sequence[SentVideo | Refused], now: float
) -> tuple[list[BatchResult], list[Event]]:
    """Return what becomes of each video that was `sent`, and what to record of them."""
    results: list[BatchResult] = []
    events: list[Event] = []
    known: set[str] = set()
    for place, one in enumerate(judged(view.snapshot.fuser, sent)):
        if isinstance(one, Refused):
            problem = Problem.model_validate(row_problem(f"body.videos.{place}", one))
            results.append(BatchResult(video_id=one.video_id, status=422, problem=problem))
            continue
        known_before = one.video_id in known or view.row(VideoId(one.video_id)) is not None
        known.add(one.video_id)
        events.append(upsert(one, now))
        results.append(BatchResult(video_id=one.video_id, status=200 if known_before else 201))
    return results, events
