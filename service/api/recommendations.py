"""Lists of videos: for a user, and like a video."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from service.api.dependencies import (
    Services,
    ServicesDep,
    UserIdDep,
    VideoIdDep,
    ViewDep,
    require_json,
)
from service.api.options import (
    RecommendationBatch,
    RecommendationBody,
    TrendingQuery,
    UserOptions,
    VideoListQuery,
)
from service.api.schemas import (
    RecommendationBatchReply,
    RecommendedVideo,
    SimilarVideos,
    UserRecommendations,
    VideoList,
)
from service.catalog.view import View
from service.recommend.lists import recommend_fresh, recommend_trending
from service.recommend.recommender import Recommendation, recommend, recommend_similar
from service.recommend.request import Request

router = APIRouter(prefix="/v1", tags=["recommendations"])


@router.get("/users/{user_id}/recommendations")
async def get_recommendations(
    user_id: UserIdDep,
    view: ViewDep,
    services: ServicesDep,
    options: Annotated[UserOptions, Query()],
) -> UserRecommendations:
    """Return the best k videos that the user has not met; for an unknown user the popular ones."""
    return await _answer(services, view, options.request(services.clock(), user_id))


@router.post("/recommendations", dependencies=[Depends(require_json)])
async def post_recommendations(
    body: RecommendationBody, view: ViewDep, services: ServicesDep
) -> UserRecommendations:
    """Return the same with all that is known of the moment in the body: a session, say."""
    weights = services.settings.kind_weights
    return await _answer(services, view, body.asked(services.clock(), weights))


@router.post("/recommendations:batch", dependencies=[Depends(require_json)])
async def post_recommendation_batch(
    body: RecommendationBatch, view: ViewDep, services: ServicesDep
) -> RecommendationBatchReply:
    """Return lists for many at once, all from one position."""
    now, weights = services.clock(), services.settings.kind_weights
    # One after the other, each in turn with what others ask: a batch holds nobody up.
    return RecommendationBatchReply(
        bundle_id=view.bundle_id,
        position=view.position,
        results=[await _answer(services, view, one.asked(now, weights)) for one in body.requests],
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
        bundle_id=view.bundle_id, position=view.position, recommendations=_places(found, services)
    )


@router.get("/videos/fresh")
async def get_fresh(
    view: ViewDep, services: ServicesDep, options: Annotated[VideoListQuery, Query()]
) -> VideoList:
    """Return what arrived since the bundle, the latest first."""
    found = await services.in_worker(recommend_fresh, view, options.wanted(services.clock()))
    return VideoList(
        bundle_id=view.bundle_id, position=view.position, recommendations=_places(found, services)
    )


@router.get("/videos/{video_id}/similar")
async def get_similar(
    video_id: VideoIdDep,
    view: ViewDep,
    services: ServicesDep,
    options: Annotated[VideoListQuery, Query()],
) -> SimilarVideos:
    """Return the k videos most like this one, by cosine of their vectors."""
    wanted = options.wanted(services.clock())
    found = await services.in_worker(recommend_similar, view, video_id, wanted)
    return SimilarVideos(
        video_id=video_id,
        bundle_id=view.bundle_id,
        position=view.position,
        recommendations=_places(found, services),
    )


async def _answer(services: Services, view: View, request: Request) -> UserRecommendations:
    found = await services.in_worker(recommend, view, request)
    return UserRecommendations(
        user_id=request.user_id,
        bundle_id=view.bundle_id,
        position=view.position,
        recommendations=_places(found, services),
    )


def _places(found: list[Recommendation], services: Services) -> list[RecommendedVideo]:
    services.telemetry.count_recommendations(item.source for item in found)
    return [
        RecommendedVideo(video_id=item.video_id, score=item.score, source=item.source)
        for item in found
    ]
