"""Lists of videos: for a user, and like a video."""

from fastapi import APIRouter

from service.api.dependencies import ListLength, ServicesDep, UserIdDep, VideoIdDep, ViewDep
from service.api.schemas import RecommendedVideo, SimilarVideos, UserRecommendations
from service.recommend.recommender import Recommendation, recommend, recommend_similar

router = APIRouter(prefix="/v1", tags=["recommendations"])


@router.get("/users/{user_id}/recommendations")
async def get_recommendations(
    user_id: UserIdDep, view: ViewDep, services: ServicesDep, k: ListLength = 20
) -> UserRecommendations:
    """Return the best k videos that the user has not met; for an unknown user the popular ones."""
    found = await services.in_worker(recommend, view, user_id, k)
    return UserRecommendations(
        user_id=user_id,
        bundle_id=view.bundle_id,
        position=view.position,
        recommendations=_places(found, services),
    )


@router.get("/videos/{video_id}/similar")
async def get_similar(
    video_id: VideoIdDep, view: ViewDep, services: ServicesDep, k: ListLength = 20
) -> SimilarVideos:
    """Return the k videos most like this one, by cosine of their vectors."""
    found = await services.in_worker(recommend_similar, view, video_id, k)
    return SimilarVideos(
        video_id=video_id,
        bundle_id=view.bundle_id,
        position=view.position,
        recommendations=_places(found, services),
    )


def _places(found: list[Recommendation], services: ServicesDep) -> list[RecommendedVideo]:
    services.telemetry.count_recommendations(item.source for item in found)
    return [
        RecommendedVideo(video_id=item.video_id, score=item.score, source=item.source)
        for item in found
    ]
