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
    Fault,
    InvalidInput,
    KeyLacksScope,
    LineTooLong,
    NotReady,
    Overloaded,
    UnknownKey,
    UnknownVideo,
)
from service.logs import ABOUT

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 1
MAX_ERRORS: Final = 20
MAX_ECHO: Final = 80
# What pydantic puts before a text of ours.
OWN_WORDS: Final = "Value error, "
CHALLENGE: Final = 'Bearer realm="recommender"'


class Answer(NamedTuple):
    """What a kind of error is over HTTP. Clients may rely on `kind`, the end of the `type`."""

    status: int
    kind: str
    title: str
    retry: bool = False


PROBLEMS: Final[Mapping[type[Exception], Answer]] = {
    UnknownVideo: Answer(404, "unknown-video", "Unknown video"),
    InvalidInput: Answer(422, "invalid-input", "Invalid input"),
    NotReady: Answer(503, "not-ready", "Not ready", retry=True),
    Behind: Answer(503, "behind", "Behind the position asked for", retry=True),
    EventLogUnavailable: Answer(503, "log-unavailable", "Event log unavailable", retry=True),
    EventLogFull: Answer(503, "log-full", "Event log full", retry=True),
    KeyReused: Answer(422, "idempotency-key-reused", "Idempotency key reused"),
    UnknownKey: Answer(401, "unknown-key", "Unknown API key"),
    KeyLacksScope: Answer(403, "key-lacks-scope", "API key lacks a scope"),
    BodyTooLarge: Answer(413, "body-too-large", "Body too large"),
    LineTooLong: Answer(413, "line-too-long", "Line too long"),
    BodyTooSlow: Answer(408, "body-too-slow", "Body too slow"),
    Overloaded: Answer(503, "overloaded", "Overloaded", retry=True),
}
# What is answered before a resource is reached, or instead of it.
OTHERS: Final[Mapping[int, Answer]] = {
    answer.status: answer
    for answer in (
        Answer(400, "origin-refused", "Cross-origin request refused"),
        Answer(404, "no-such-path", "Not Found"),
        Answer(405, "no-such-method", "Method Not Allowed"),
        Answer(415, "not-json", "Unsupported Media Type"),
        Answer(500, "internal-error", "Internal error"),
    )
}
TYPE: Final = "urn:reco:problem:"
BUG: Final = "This is a bug; the log has the traceback."


def problem_response(
    answer: Answer, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
) -> Response:
    """Return a problem document. Its JSON is plain ASCII: whatever text came in, it can go out."""
    body = _document(answer, detail, **extra)
    return Response(json.dumps(body), answer.status, dict(headers or {}), media_type=MEDIA_TYPE)


def invalid_input(detail: str, errors: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return the problem of input with `errors`, as a document to be put into another one."""
    return _document(PROBLEMS[InvalidInput], detail, errors=errors)


def _document(answer: Answer, detail: str, **extra: Any) -> dict[str, Any]:
    said = {"type": TYPE + answer.kind, "title": answer.title, "status": answer.status}
    return {**said, "detail": detail, **extra}


def service_problem(error: Exception) -> Response:
    """Return the problem document of one of the errors in `PROBLEMS`."""
    answer = PROBLEMS[type(error)]
    headers = {"Retry-After": str(RETRY_SECONDS)} if answer.retry else {}
    extra: dict[str, Any] = {}
    match error:
        case InvalidInput():
            extra["errors"] = list_faults(error.faults)
        case Behind():
            extra["position"] = error.position
        case UnknownKey():
            headers["WWW-Authenticate"] = CHALLENGE + (', error="invalid_token"' * error.came)
        case KeyLacksScope():
            said = f'{CHALLENGE}, error="insufficient_scope", scope="{error.scope}"'
            headers["WWW-Authenticate"] = said
        case BodyTooSlow():
            headers["Connection"] = "close"  # the rest of the body may come yet, or never
    return problem_response(answer, str(error), headers=headers, **extra)


def describe_faults(errors: Sequence[Any]) -> list[dict[str, str]]:
    """Return field, expectation and what came, of each of pydantic's `errors`.

    Never the input itself: it may be NaN, which JSON cannot say, or megabytes.
    """
    return [
        {
            "field": ".".join(str(part) for part in error["loc"])[: MAX_ECHO * 2],
            "expected": error["msg"].removeprefix(OWN_WORDS)[: MAX_ECHO * 4],
            "got": _echo(error.get("input")),
            "type": error["type"],
        }
        for error in errors[:MAX_ERRORS]
    ]


def list_faults(faults: Sequence[Fault]) -> list[dict[str, str]]:
    """Return field, expectation and what came, of each of our own `faults`."""
    return [
        {"field": one.field, "expected": f"expected {one.expected}", "got": one.got}
        for one in faults
    ]


def told(error: Mapping[str, str]) -> str:
    """Return one of `errors` as a sentence."""
    place = f"{error['field']}: " if error["field"] else ""
    return f"{place}{error['expected']}, got {error['got']}"


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
        place, fault = raw[0]["loc"][-1], raw[0]["ctx"]["error"]
        return _unparsable("JSON", f"at character {place}: {fault}")
    errors = describe_faults(raw)
    return problem_response(PROBLEMS[InvalidInput], told(errors[0]), errors=errors)


async def _on_http_error(request: Request, error: Exception) -> Response:
    status: int = error.status_code  # type: ignore[attr-defined] # HTTPException
    if status == HTTPStatus.BAD_REQUEST:  # FastAPI's alone: the JSON parser gave up
        wanted = "JSON in UTF-8, not deeply nested, without endless numbers"
        return _unparsable(wanted, "what cannot be read")
    headers: Mapping[str, str] | None = error.headers  # type: ignore[attr-defined]
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(request.scope.get("allow", ()))}
    return problem_response(OTHERS[status], str(error.detail), headers=headers)  # type: ignore[attr-defined]


def _unparsable(wanted: str, got: str) -> Response:
    return service_problem(InvalidInput([Fault("body", wanted, got)]))


async def _on_bug(_: Request, __: Exception) -> Response:
    return problem_response(OTHERS[500], BUG)


async def answer_bug(_: Request, __: Exception) -> Response:
    """Answer for a layer around all others, which had no time to add what it adds."""
    about = ABOUT.get()
    named = {} if about is None else {"X-Request-ID": about.request_id}
    return problem_response(OTHERS[500], BUG, headers={**HEADERS, **named})
