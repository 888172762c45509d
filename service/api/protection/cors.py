"""Which pages of other origins may ask, and what they may see. Off unless origins are set."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from service.api.problems import OTHERS, problem_response

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
SENT: Final = ("Authorization", "Content-Type", "Idempotency-Key", "X-Request-ID")
SHOWN: Final = (
    "Idempotency-Replayed",
    "Retry-After",
    "WWW-Authenticate",
    "X-Degraded",
    "X-Request-ID",
)


class Cors(CORSMiddleware):
    """Lets the pages of `origins` ask. Never with cookies: we have none."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        """Wrap `app`."""
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=SENT,
            expose_headers=SHOWN,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the answer to a preflight; one that is refused is a problem like all others."""
        response = super().preflight_response(request_headers)
        if response.status_code == HTTPStatus.OK:
            return response
        detail = bytes(response.body).decode()
        kept = {"Vary": response.headers["vary"]}
        return problem_response(OTHERS[400], detail, headers=kept)
