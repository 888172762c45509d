"""How errors look over HTTP: one table from our errors to RFC 9457 problems. Knows no resource."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from eventlog.errors import EventLogFull, EventLogUnavailable, KeyReused
from service.api.protection.headers import HEADERS
from service.errors import (
    Behind,
    BodyTooLarge,
    BodyTooSlow,
    InvalidInput,
    KeyLacksScope,
    LineTooLong,
    NotReady,
    Overloaded,
    UnknownKey,
    UnknownVideo,
)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 1
MAX_ERRORS: Final = 20
MAX_ECHO: Final = 80
CHALLENGE: Final = 'Bearer realm="recommender"'


class Answer(NamedTuple):
    """What a kind of error is over HTTP."""

    status: int
    title: str
    retry: bool = False


PROBLEMS: Final[Mapping[type[Exception], Answer]] = {
    UnknownVideo: Answer(404, "Unknown video"),
    InvalidInput: Answer(422, "Invalid input"),
    NotReady: Answer(503, "Not ready", retry=True),
    Behind: Answer(503, "Behind the position asked for", retry=True),
    EventLogUnavailable: Answer(503, "Event log unavailable", retry=True),
    EventLogFull: Answer(503, "Event log full", retry=True),
    KeyReused: Answer(422, "Idempotency key reused"),
    UnknownKey: Answer(401, "Unknown API key"),
    KeyLacksScope: Answer(403, "API key lacks a scope"),
    BodyTooLarge: Answer(413, "Body too large"),
    LineTooLong: Answer(413, "Line too long"),
    BodyTooSlow: Answer(408, "Body too slow"),
    Overloaded: Answer(503, "Overloaded", retry=True),
}


def problem_response(
    status: int,
    title: str,
    detail: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> Response:
    """Return a problem document. Its JSON is plain ASCII: whatever text came in, it can go out."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **extra}
    return Response(json.dumps(body), status, dict(headers or {}), media_type=MEDIA_TYPE)


def service_problem(error: Exception) -> Response:
    """Return the problem document of one of the errors in `PROBLEMS`."""
    answer = PROBLEMS[type(error)]
    headers = {"Retry-After": str(RETRY_SECONDS)} if answer.retry else {}
    extra: dict[str, Any] = {}
    match error:
        case InvalidInput():
            extra["errors"] = list_faults(error)
        case Behind():
            extra["position"] = error.position
        case UnknownKey():
            headers["WWW-Authenticate"] = CHALLENGE + (', error="invalid_token"' * error.came)
        case KeyLacksScope():
            said = f'{CHALLENGE}, error="insufficient_scope", scope="{error.scope}"'
            headers["WWW-Authenticate"] = said
        case BodyTooSlow():
            headers["Connection"] = "close"  # the rest of the body may come yet, or never
    return problem_response(answer.status, answer.title, str(error), headers=headers, **extra)


def describe_faults(errors: Sequence[Any]) -> list[dict[str, str]]:
    """Return field, expectation and what came, of each of pydantic's `errors`.

    Never the input itself: it may be NaN, which JSON cannot say, or megabytes.
    """
    return [
        {
            "field": ".".join(str(part) for part in error["loc"])[: MAX_ECHO * 2],
            "expected": error["msg"][: MAX_ECHO * 4],
            "got": _echo(error.get("input")),
            "type": error["type"],
        }
        for error in errors[:MAX_ERRORS]
    ]


def list_faults(error: InvalidInput) -> list[dict[str, str]]:
    """Return field and expectation of each fault of `error`."""
    return [{"field": field, "expected": fault} for field, fault in error.faults]


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    for kind in PROBLEMS:
        app.add_exception_handler(kind, _on_service_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_bug)


def _echo(value: Any) -> str:
    """Say what came: a scalar as it is, cut; of anything larger the kind and size."""
    if isinstance(value, dict | list | tuple):
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "int of more than 64 bits"
    return repr(value)[:MAX_ECHO]


async def _on_service_error(_: Request, error: Exception) -> Response:
    return service_problem(error)


async def _on_validation_error(_: Request, error: Exception) -> Response:
    raw = error.errors()  # type: ignore[attr-defined] # RequestValidationError
    if raw[0]["type"] == "json_invalid":
        fault = f"expected JSON; at character {raw[0]['loc'][-1]}: {raw[0]['ctx']['error']}"
        return _unparsable(fault)
    errors = describe_faults(raw)
    first = errors[0]
    detail = f"{first['field']}: {first['expected']}, got {first['got']}"
    return problem_response(422, "Invalid input", detail, errors=errors)


async def _on_http_error(_: Request, error: Exception) -> Response:
    status: int = error.status_code  # type: ignore[attr-defined] # HTTPException
    if status == HTTPStatus.BAD_REQUEST:  # FastAPI's alone: the JSON parser gave up
        return _unparsable("expected JSON in UTF-8, not deeply nested, without endless numbers")
    title = HTTPStatus(status).phrase
    headers: Mapping[str, str] | None = error.headers  # type: ignore[attr-defined]
    return problem_response(status, title, str(error.detail), headers=headers)  # type: ignore[attr-defined]


def _unparsable(fault: str) -> Response:
    errors = [{"field": "body", "expected": fault}]
    return problem_response(422, "Invalid input", f"body: {fault}", errors=errors)


async def _on_bug(_: Request, __: Exception) -> Response:
    # Starlette answers bugs outside of all middleware: what the others get there is added here.
    detail = "This is a bug; the log has the traceback."
    return problem_response(500, "Internal error", detail, headers=HEADERS)
