"""Users: what is known of them, all of it on request, and erasing it."""

from typing import Final

from fastapi import APIRouter, Response

from eventlog.events import UserErased
from models.ids import UserId
from service.api.dependencies import ServicesDep, UserIdDep, ViewDep, WriteKeyDep
from service.api.replies import HistoryEntry, UserExport, UserReply, Written
from service.catalog.index import VideoRow
from service.catalog.view import View

# So many of the last videos met are shown.
RECENT: Final = 20

router = APIRouter(prefix="/v1", tags=["users"])


@router.get("/users/{user_id}")
async def get_user(user_id: UserIdDep, view: ViewDep) -> UserReply:
    """Return what is known of a user: numbers, and the last videos met since the bundle.

    Nobody is unknown: their numbers are 0.
    """
    trained, history = view.trained_interactions(user_id), view.history(user_id)
    return UserReply(
        user_id=user_id,
        known=bool(trained or history.length or len(view.seen_in_training(user_id))),
        trained_interactions=trained,
        recorded_interactions=history.length,
        seen=len(view.seen(user_id)),
        recent=_entries(view, user_id)[: -RECENT - 1 : -1],
        bundle_id=view.bundle_id,
        position=view.position,
    )


@router.get("/users/{user_id}/export")
async def get_user_export(user_id: UserIdDep, view: ViewDep, services: ServicesDep) -> UserExport:
    """Return all that answers are made of for this user: vector, seen videos, history."""
    return await services.in_worker(_export, view, user_id)


@router.delete("/users/{user_id}")
async def delete_user(
    user_id: UserIdDep, services: ServicesDep, key: WriteKeyDep, response: Response
) -> Written:
    """Forget a user: vector and history, here, on every replica and in the next training.

    Erasing a user whom nobody knows is no error. What the same id does later makes a new user.
    """
    event = UserErased(user_id=user_id, recorded_at=services.clock())
    return Written(position=await services.record([event], key, response))


def _export(view: View, user_id: UserId) -> UserExport:
    vector, snapshot = view.user_vector(user_id), view.snapshot
    rows = view.seen_in_training(user_id).tolist()
    return UserExport(
        user_id=user_id,
        bundle_id=view.bundle_id,
        position=view.position,
        vector=None if vector is None else vector.tolist(),
        trained_interactions=view.trained_interactions(user_id),
        seen_in_training=[snapshot.video_id(VideoRow(row)) for row in rows],
        history=_entries(view, user_id),
    )


def _entries(view: View, user_id: UserId) -> list[HistoryEntry]:
    """Return what a user met since the bundle, oldest first."""
    met = sorted(view.history(user_id).videos.items(), key=lambda item: item[1].place)
    return [HistoryEntry(video_id=v, place=one.place, weight=one.weight) for v, one in met]
