"""Lists of videos: for a user, and like a video."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from models.ids import UserId, VideoId
from service.api.cursors import from_cursor, to_cursor
from service.api.dependencies import (
    Services,
    ServicesDep,
    UserIdDep,
    VideoIdDep,
    ViewDep,
    require_json,
)
from service.api.express import exploring
from service.api.options import (
    RecommendationBatch,
    RecommendationBody,
    TrendingQuery,
    UserOptions,
    VideoListQuery,
)
from service.api.provenance import explained
from service.api.replies import (
    Explained,
    PersonalVideo,
    RecommendationBatchReply,
    RecommendedVideo,
    SimilarVideos,
    UserRecommendations,
    VideoList,
)
from service.catalog.view import View
from service.measures.lists import Basis
from service.recommend.lists import recommend_fresh, recommend_trending
from service.recommend.recommendation import Recommendation
from service.recommend.recommender import recommend, recommend_similar
from service.recommend.request import MAX_SHOWN, Request, mark_of, marks_in

router = APIRouter(prefix="/v1", tags=["recommendations"])


@router.get("/users/{user_id}/recommendations")
async def get_recommendations(
    user_id: UserIdDep,
    view: ViewDep,
    services: ServicesDep,
    response: Response,
    options: Annotated[UserOptions, Query()],
) -> UserRecommendations:
    """Return the best k videos that the user has not met; for an unknown user the popular ones."""
    # Asked for with no option but k, `Express` answers it and this is never called.
    request = _asked(services, options, user_id, place="query")
    return await _answer(services, view, request, response, paged=options.paged)


@router.post("/recommendations", dependencies=[Depends(require_json)])
async def post_recommendations(
    body: RecommendationBody, view: ViewDep, services: ServicesDep, response: Response
) -> UserRecommendations:
    """Return the same with all that is known of the moment in the body: a session, say."""
    request = _asked_in(services, body, "body")
    return await _answer(services, view, request, response, paged=body.paged)


@router.post("/recommendations:batch", dependencies=[Depends(require_json)])
async def post_recommendation_batch(
    body: RecommendationBatch, view: ViewDep, services: ServicesDep, response: Response
) -> RecommendationBatchReply:
    """Return lists for many at once, all from one position."""
    now = services.clock()
    requests = [
        replace(_asked_in(services, one, f"body.requests.{place}"), now=now)
        for place, one in enumerate(body.requests)
    ]
    # One after the other, each in turn with what others ask: a batch holds nobody up.
    return RecommendationBatchReply(
        bundle_id=view.bundle_id,
        position=view.position,
        results=[
            await _answer(services, view, request, response, paged=one.paged)
            for one, request in zip(body.requests, requests, strict=True)
        ],
    )


# Before the routes of single videos: one by the name of trending is asked for as %74rending.
@router.get("/videos/trending")
async def get_trending(
    view: ViewDep, services: ServicesDep, options: Annotated[TrendingQuery, Query()]
) -> VideoList:
    """Return what found most users of late, the latest counting most."""
    weights = options.weights(services.settings.kind_weights)
    wanted = options.wanted(services.clock())
    found = await services.in_worker(recommend_trending, view, wanted, options.window, weights)
    return VideoList(
        bundle_id=view.bundle_id,
        position=view.position,
        recommendations=_places(view, found, services, k=options.k, basis="trending"),
    )


@router.get("/videos/fresh")
async def get_fresh(
    view: ViewDep, services: ServicesDep, options: Annotated[VideoListQuery, Query()]
) -> VideoList:
    """Return what arrived since the bundle, the latest first."""
    found = await services.in_worker(recommend_fresh, view, options.wanted(services.clock()))
    return VideoList(
        bundle_id=view.bundle_id,
        position=view.position,
        recommendations=_places(view, found, services, k=options.k, basis="fresh"),
    )


@router.get("/videos/{video_id}/similar")
async def get_similar(
    video_id: VideoIdDep,
    view: ViewDep,
    services: ServicesDep,
    response: Response,
    options: Annotated[VideoListQuery, Query()],
) -> SimilarVideos:
    """Return the k videos most like this one, by cosine of their vectors."""
    wanted = options.wanted(services.clock())
    found = await services.search(response, recommend_similar, view, video_id, wanted)
    return SimilarVideos(
        video_id=video_id,
        bundle_id=view.bundle_id,
        position=view.position,
        recommendations=_places(view, found, services, k=options.k, basis="similar"),
    )


def _asked(
    services: Services,
    options: UserOptions,
    user_id: str | None,
    *,
    place: str,
    session: tuple[tuple[VideoId, float], ...] = (),
) -> Request:
    """Return what `options` that came in `place` ask for.

    Raises:
        InvalidInput: the cursor was not handed out for a list of this user.
    """
    settings = services.settings
    shown = b""
    if options.cursor is not None:
        shown = from_cursor(_purpose(user_id), options.cursor, f"{place}.cursor")
    return Request(
        now=services.clock(),
        k=options.k,
        exclude=frozenset(map(VideoId, options.exclude)),
        matching=options.matching(),
        user_id=None if user_id is None else UserId(user_id),
        exclude_own=options.exclude_uploader == "self",
        session=session,
        diversity=options.diversity,
        exploring=exploring(settings, share=options.explore, seed=options.seed),
        shown=frozenset(marks_in(shown)),
        explained=options.explain,
    )


def _asked_in(services: Services, body: RecommendationBody, place: str) -> Request:
    weights = services.settings.kind_weights
    session = tuple((VideoId(met.video_id), weights[met.kind]) for met in body.session)
    return _asked(services, body, body.user_id, place=place, session=session)


async def _answer(
    services: Services, view: View, request: Request, response: Response, *, paged: bool
) -> UserRecommendations:
    found = await services.search(response, recommend, view, request, services.steps())
    reasons: Sequence[Explained | None] = [None] * len(found)
    if request.explained:
        reasons = await explained(services, view, request, found)
    services.observer.count_for_user(view, request, found)
    return UserRecommendations(
        user_id=request.user_id,
        bundle_id=view.bundle_id,
        position=view.position,
        recommendations=[
            PersonalVideo(**one._asdict(), explanation=reason)
            for one, reason in zip(found, reasons, strict=True)
        ],
        next_cursor=_next_cursor(request, found) if paged or request.shown else None,
    )


def _next_cursor(request: Request, found: list[Recommendation]) -> str | None:
    """Return a cursor that holds all that was shown; None at the end, or if that is too much."""
    shown = request.shown | {mark_of(one.video_id) for one in found}
    if len(found) < request.k or len(shown) > MAX_SHOWN:
        return None
    return to_cursor(_purpose(request.user_id), b"".join(sorted(shown)))


def _purpose(user_id: str | None) -> str:
    return f"recommendations {user_id or ''}"


def _places(
    view: View, found: list[Recommendation], services: Services, *, k: int, basis: Basis
) -> list[RecommendedVideo]:
    services.observer.count(view, found, k=k, basis=basis)
    return [RecommendedVideo(**one._asdict()) for one in found]
