"""Who may do what: which scope each route needs, and who has it. Knows routes by template alone."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import MEDIA_TYPE, service_problem
from service.errors import KeyLacksScope, UnknownKey
from service.keys import LONGEST_TOKEN, Key, Keyring
from service.keys import Scope as KeyScope
from service.telemetry import Telemetry

# What a key must be good for; None is open to all, for probes, scrapers and readers of the docs.
# A test finds every route of the application here, and here alone.
NEEDED: Final[Mapping[tuple[str, str], KeyScope | None]] = {
    ("GET", "/v1/users/{user_id}/recommendations"): KeyScope.READ,
    ("POST", "/v1/recommendations"): KeyScope.READ,
    ("POST", "/v1/recommendations:batch"): KeyScope.READ,
    ("GET", "/v1/videos/{video_id}/similar"): KeyScope.READ,
    ("GET", "/v1/videos/trending"): KeyScope.READ,
    ("GET", "/v1/videos/fresh"): KeyScope.READ,
    ("GET", "/v1/videos"): KeyScope.READ,
    ("GET", "/v1/videos/{video_id}"): KeyScope.READ,
    ("GET", "/v1/users/{user_id}"): KeyScope.READ,
    ("GET", "/v1/model"): KeyScope.READ,
    ("PUT", "/v1/videos/{video_id}"): KeyScope.INGEST,
    ("PATCH", "/v1/videos/{video_id}"): KeyScope.INGEST,
    ("DELETE", "/v1/videos/{video_id}"): KeyScope.INGEST,
    ("POST", "/v1/videos:batch"): KeyScope.INGEST,
    ("POST", "/v1/videos:import"): KeyScope.INGEST,
    ("POST", "/v1/interactions"): KeyScope.INGEST,
    ("GET", "/v1/users/{user_id}/export"): KeyScope.ADMIN,
    ("DELETE", "/v1/users/{user_id}"): KeyScope.ADMIN,
    ("GET", "/livez"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): None,
    ("GET", "/docs"): None,
    ("GET", "/openapi.json"): None,
    ("GET", "/console"): None,
    ("GET", "/console/{name}"): None,
}
METHODS: Final = sorted({method for method, _ in NEEDED})
PROBLEM_CONTENT: Final = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


class Asked(NamedTuple):
    """The route that a request asks for, before the router knows it; `path` is its template."""

    path: str
    needs: KeyScope | None


class Access:
    """Finds what is asked for, and answers 401 or 403 to who may not ask it.

    A path that is no route needs a good key too: what there is, is no stranger's business.
    """

    def __init__(self, app: ASGIApp, *, keyring: Keyring | None, telemetry: Telemetry) -> None:
        """Wrap `app`; without a `keyring` all may do all."""
        self._app = app
        self._keyring = keyring
        self._refused = telemetry.requests_refused
        self._fixed = {
            (method, path): Asked(path, needs)
            for (method, path), needs in NEEDED.items()
            if "{" not in path
        }
        self._patterns = [
            (method, compile_path(path)[0], Asked(path, needs))
            for (method, path), needs in NEEDED.items()
            if "{" in path
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = self._asked(scope["method"], scope["path"])
        if asked is not None:
            scope["route"] = asked
        if asked is None or scope["method"] == "HEAD":
            # The router would name those of the first route that has this path alone.
            scope["allow"] = [method for method in METHODS if self._asked(method, scope["path"])]
        try:
            if self._keyring is not None and (asked is None or asked.needs is not None):
                _check(_key(self._keyring, scope), asked)
        except (UnknownKey, KeyLacksScope) as error:
            reason = "unknown key" if isinstance(error, UnknownKey) else "scope"
            self._refused.labels(reason).inc()
            await service_problem(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _asked(self, method: str, path: str) -> Asked | None:
        method = "GET" if method == "HEAD" else method
        if (method, path) in self._fixed:
            return self._fixed[method, path]
        for wanted, pattern, asked in self._patterns:
            if wanted == method and pattern.match(path):
                return asked
        return None


def _key(keyring: Keyring, scope: Scope) -> Key:
    """Return the key that a request bears.

    Raises:
        UnknownKey: there is none, or none that is good.
    """
    said = [value for name, value in scope["headers"] if name == b"authorization"]
    kind, _, token = said[0].decode("latin-1").partition(" ") if len(said) == 1 else ("", "", "")
    token = token.strip()
    if kind.lower() != "bearer" or not 0 < len(token) <= LONGEST_TOKEN:
        raise UnknownKey(came=bool(said))
    key = keyring.find(token)
    if key is None:
        raise UnknownKey(came=True)
    return key


def _check(key: Key, asked: Asked | None) -> None:
    """Let `key` pass if it may do what is `asked`.

    Raises:
        KeyLacksScope: it may not.
    """
    if asked is not None and asked.needs is not None and asked.needs not in key.scopes:
        raise KeyLacksScope(key.name, asked.needs)


def describe_needs(document: dict[str, Any]) -> None:
    """Say in the OpenAPI `document` which scope of a key each operation needs."""
    schemes = document["components"].setdefault("securitySchemes", {})
    schemes["key"] = {
        "type": "http",
        "scheme": "bearer",
        "description": "The token of an API key, made by `python -m service keys create`.",
    }
    for (method, path), needs in NEEDED.items():
        operation = document["paths"].get(path, {}).get(method.lower())
        if operation is not None and needs is not None:
            operation["security"] = [{"key": [needs]}]
            for status, text in ((401, "Unknown API key"), (403, "API key lacks a scope")):
                refused = {"description": text, "content": PROBLEM_CONTENT}
                operation["responses"][str(status)] = refused
