"""Answers the commonest request by itself: FastAPI's way to a handler takes longer than the search.

That is a GET of a user's recommendations with no option but `k`, of a user with whom there is
little to do. All else, whatever is wrong with it included, is for the application.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.datastructures import State
from starlette.types import Scope

from models.ids import UserId, fault_in_id
from service.api.dependencies import Services
from service.catalog.view import View
from service.recommend.recommender import is_quick, recommend
from service.recommend.request import DEFAULT_K, Exploring, Request
from service.settings import Settings

TEMPLATE: Final = "/v1/users/{user_id}/recommendations"
BEFORE, AFTER = map(len, TEMPLATE.split("{user_id}"))
PLAIN: Final = re.compile(rb"(?:k=([1-9][0-9]{0,2}))?")
BODY: Final = frozenset({b"content-length", b"transfer-encoding"})
encode: Final = msgspec.json.Encoder().encode


class Express:
    """Looks at requests and takes those that it can answer at once."""

    def __init__(self, state: State) -> None:
        """Find the services in `state`, once they are there."""
        self._state = state

    def take(self, scope: Scope) -> Callable[[], bytes] | None:
        """Return what answers the request, with 200 and JSON; None if it is for the application."""
        if scope["route"].path != TEMPLATE or scope["method"] != "GET":
            return None
        plain = PLAIN.fullmatch(scope["query_string"])
        services: Services | None = getattr(self._state, "services", None)
        if plain is None or services is None or any(name in BODY for name, _ in scope["headers"]):
            return None
        user_id, k = _user_id(scope["path"]), int(plain[1] or DEFAULT_K)
        view = services.catalog.latest
        if user_id is None or view is None or services.catalog.degraded:
            return None
        if not is_quick(view, user_id, k):
            return None
        return partial(_answer, services, view, user_id, k)


def exploring(
    settings: Settings, *, share: float | None = None, seed: int | None = None
) -> Exploring:
    """Return what arrivals are promised: what is asked for, else what the service promises."""
    return Exploring(
        share=settings.fresh_share if share is None else share,
        half_life=3600 * settings.fresh_half_life_hours,
        viewers=settings.fresh_half_life_viewers,
        seed=seed,
    )


def _answer(services: Services, view: View, user_id: UserId, k: int) -> bytes:
    """Return what `UserRecommendations` describes."""
    promised = exploring(services.settings)
    request = Request(now=services.clock(), k=k, user_id=user_id, exploring=promised)
    found = recommend(view, request)
    services.observer.count_for_user(view, request, found)
    places = [
        {"video_id": video_id, "score": score, "source": source, "explanation": None}
        for video_id, score, source in found
    ]
    return encode(
        {
            "user_id": user_id,
            "bundle_id": view.bundle_id,
            "position": view.position,
            "recommendations": places,
            "next_cursor": None,
        }
    )


def _user_id(path: str) -> UserId | None:
    encoded = path[BEFORE:-AFTER]
    if "%" in encoded:
        try:
            encoded = unquote_to_bytes(encoded.encode("latin-1")).decode("utf-8")
        except UnicodeDecodeError:
            return None
    return None if fault_in_id(encoded) else UserId(encoded)
