"""Answers the commonest request by itself: FastAPI's way to a handler takes longer than the search.

That is a GET of a user's recommendations with no option but `k`, of a user with whom there is
little to do. All else, whatever is wrong with it included, is for the application.
"""

import re
import time
from itertools import starmap
from typing import Final, cast
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.datastructures import State
from starlette.types import Scope

from eventlog.position import Position
from models.ids import UserId, VideoId, fault_in_id
from service.api.dependencies import Services
from service.recommend.recommendation import Source
from service.recommend.recommender import is_quick, recommend_many
from service.recommend.request import DEFAULT_K, Exploring, Request
from service.settings import Settings

TEMPLATE: Final = "/v1/users/{user_id}/recommendations"
BEFORE, AFTER = map(len, TEMPLATE.split("{user_id}"))
PLAIN: Final = re.compile(rb"(?:k=([1-9][0-9]{0,2}))?")
BODY: Final = frozenset({b"content-length", b"transfer-encoding"})
# So many at most are answered in one go; more make each hardly cheaper.
TOGETHER: Final = 8
# What they may take of a processor, lest the event loop be held for long where that is slow.
HOLD_SECONDS: Final = 0.0015
# How much the last answer changes what the next is expected to take.
NEWEST: Final = 0.1
encode: Final = msgspec.json.Encoder().encode


class _Place(msgspec.Struct, frozen=True, gc=False):
    """`PersonalVideo` without an explanation."""

    video_id: VideoId
    score: float
    source: Source
    explanation: None = None


class _List(msgspec.Struct, frozen=True, gc=False):
    """`UserRecommendations` of which no further page is wanted."""

    user_id: UserId
    bundle_id: str
    position: Position
    recommendations: list[_Place]
    next_cursor: None = None


class Quick:
    """A request that is answered at once, together with those that come in the same moment."""

    def __init__(self, express: "Express", user_id: UserId, k: int) -> None:
        """Wait for `body` to be asked for."""
        self.user_id, self.k = user_id, k
        self.reply: bytes | None = None
        self._express = express

    def enter(self) -> None:
        """Let whoever is answered first answer this request too."""
        self._express.waiting.append(self)

    def body(self) -> bytes:
        """Return what `UserRecommendations` describes, as JSON."""
        if self.reply is None:
            waiting = self._express.waiting
            alike = [one for one in waiting if one.k == self.k and one is not self]
            together = [self, *alike[: self._express.most - 1]]
            taken = set(map(id, together))
            self._express.waiting = [one for one in waiting if id(one) not in taken]
            self._express.answer(together)
        return cast("bytes", self.reply)


class Express:
    """Looks at requests and takes those that it can answer at once."""

    def __init__(self, state: State) -> None:
        """Find the services in `state`, once they are there."""
        self._state = state
        self.waiting: list[Quick] = []
        # Seconds a list, of late; to begin with, two are answered in one go.
        self._each = HOLD_SECONDS / 2

    def take(self, scope: Scope) -> Quick | None:
        """Return the request as one that is answered at once; None if it is for the application."""
        if scope["route"].path != TEMPLATE or scope["method"] != "GET":
            return None
        plain = PLAIN.fullmatch(scope["query_string"])
        services = self._services()
        if plain is None or services is None or any(name in BODY for name, _ in scope["headers"]):
            return None
        user_id, k = _user_id(scope["path"]), int(plain[1] or DEFAULT_K)
        view = services.catalog.latest
        if user_id is None or view is None or services.catalog.degraded:
            return None
        if services.tracing is not None and services.tracing.recording():
            return None  # the application traces each step
        return Quick(self, user_id, k) if is_quick(view, user_id, k) else None

    @property
    def most(self) -> int:
        """How many are answered in one go: as many as take HOLD_SECONDS, by what others took."""
        return max(1, min(TOGETHER, int(HOLD_SECONDS / self._each)))

    def answer(self, together: list[Quick]) -> None:
        """Give each of `together`, who have one `k`, its reply, all from one view."""
        started = time.thread_time()
        services = cast("Services", self._services())
        view, promised = services.catalog.view, exploring(services.settings)
        requests = [
            Request(now=services.clock(), k=one.k, user_id=one.user_id, exploring=promised)
            for one in together
        ]
        lists = recommend_many(view, requests)
        services.telemetry.lists.together.observe(len(together))
        for one, request, found in zip(together, requests, lists, strict=True):
            services.observer.count_for_user(view, request, found)
            places = list(starmap(_Place, found))
            one.reply = encode(_List(one.user_id, view.bundle_id, view.position, places))
        each = (time.thread_time() - started) / len(together)
        self._each += NEWEST * (each - self._each)

    def _services(self) -> Services | None:
        services: Services | None = getattr(self._state, "services", None)
        return services


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


def _user_id(path: str) -> UserId | None:
    encoded = path[BEFORE:-AFTER]
    if "%" in encoded:
        try:
            encoded = unquote_to_bytes(encoded.encode("latin-1")).decode("utf-8")
        except UnicodeDecodeError:
            return None
    return None if fault_in_id(encoded) else UserId(encoded)
