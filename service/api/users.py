"""Users: erase. Recorded before it is answered."""

from fastapi import APIRouter, Response

from eventlog.events import UserErased
from service.api.dependencies import ServicesDep, UserIdDep, WriteKeyDep
from service.api.schemas import Written

router = APIRouter(prefix="/v1", tags=["users"])


@router.delete("/users/{user_id}")
async def delete_user(
    user_id: UserIdDep, services: ServicesDep, key: WriteKeyDep, response: Response
) -> Written:
    """Forget a user: vector and history, here, on every replica and in the next training.

    Erasing a user whom nobody knows is no error. What the same id does later makes a new user.
    """
    event = UserErased(user_id=user_id, recorded_at=services.clock())
    return Written(position=await services.record([event], key, response))
