"""How calls become HTTP requests and replies become records, for both clients. Sends nothing."""

import json
from typing import Any, Final, TypeVar

import httpx

from client.calls import Call
from client.errors import UnexpectedAnswer
from client.reading import read

T = TypeVar("T")

SECONDS: Final = 10.0
NDJSON: Final = "application/x-ndjson"


class Memory:
    """The position of the last write of a session: its reads answer from there or later."""

    def __init__(self) -> None:
        """Begin with nothing written."""
        self.position = ""

    def note(self, reply: Any) -> None:
        """Take note of where a write is."""
        self.position = max(self.position, getattr(reply, "position", ""))


def headers(api_key: str | None) -> dict[str, str]:
    """Return what every request bears."""
    return {"authorization": f"Bearer {api_key}"} if api_key else {}


def request(
    http: httpx.Client | httpx.AsyncClient, call: Call[T], memory: Memory | None
) -> httpx.Request:
    """Return the HTTP request of `call`."""
    query = call.query
    if memory and memory.position and call.reads and all(n != "min_position" for n, _ in query):
        query = (*query, ("min_position", memory.position))
    sent: dict[str, Any] = {"headers": {"idempotency-key": call.key} if call.key else {}}
    if call.body is not None:
        # Numbers that JSON has no word for are refused here, not there.
        sent["content"] = json.dumps(call.body, allow_nan=False).encode()
        sent["headers"]["content-type"] = "application/json"
    return http.build_request(call.method, call.path, params=list(query) or None, **sent)


def reply(call: Call[T], response: httpx.Response, memory: Memory | None) -> T:
    """Return the record that a successful response to `call` is.

    Raises:
        UnexpectedAnswer: it is none.
    """
    try:
        made = read(call.reply, response.json())
    except ValueError as error:
        raise UnexpectedAnswer(f"{call.method} {call.path}: expected JSON: {error}") from error
    if memory is not None and not call.reads:
        memory.note(made)
    return made
