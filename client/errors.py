"""What can go wrong, one type each: no answer, a problem, or an answer that is none of ours."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import httpx

# The service, or who stands before it, may do better in a while.
PASSING: Final = frozenset({408, 429, 502, 503, 504})


class RecommenderError(Exception):
    """Root of all that this package raises about an answer."""

    passing = False
    retry_after: float | None = None


class Unreachable(RecommenderError):
    """No answer came: no connection, a cut one, or too late. A write may have been recorded."""

    passing = True


class UnexpectedAnswer(RecommenderError):
    """An answer that this API does not give: the address may be another program's."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request: the field, what was expected and what came."""

    field: str
    expected: str
    got: str | None = None


class Problem(RecommenderError):
    """The service refused, and says why (RFC 9457)."""

    def __init__(self, response: httpx.Response) -> None:
        """Read a response whose body has come."""
        self.status = response.status_code
        document = _document(response)
        self.type = str(document.get("type", "about:blank"))
        self.title = str(document.get("title", _phrase(self.status)))
        self.detail = str(document.get("detail", response.text[:200]))
        self.faults = tuple(
            Fault(str(one.get("field", "")), str(one.get("expected", "")), one.get("got"))
            for one in document.get("errors") or ()
        )
        self.position: str | None = document.get("position")
        self.passing = self.status in PASSING
        self.retry_after = _seconds(response.headers.get("retry-after"))
        super().__init__(f"{self.status} {self.title}: {self.detail}")

    @property
    def field(self) -> str | None:
        """The field of the first fault, as in `body.features.visual`."""
        return self.faults[0].field if self.faults else None


def problem_of(document: dict[str, Any]) -> Problem:
    """Return the problem that a reply of many lines holds."""
    return Problem(httpx.Response(int(document["status"]), json=document))


def _document(response: httpx.Response) -> dict[str, Any]:
    try:
        document = json.loads(response.content)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown status"


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After; a date is not looked at."""
    return float(retry_after) if retry_after is not None and retry_after.isdigit() else None
