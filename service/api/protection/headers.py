"""What every answer tells browsers: trust nothing, keep nothing. Knows no resource."""

from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What a browser may do with an answer that is data: nothing. No HSTS: who ends TLS says that.
HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
DOCS: Final = "/docs"
OPENAPI: Final = "/openapi.json"
# The page of FastAPI: its script and style come from one host, its icon from another, and it starts
# itself by a script in the page.
DOCS_POLICY: Final = (
    "default-src 'none'; connect-src 'self'; frame-ancestors 'none'; "
    "script-src https://cdn.jsdelivr.net 'unsafe-inline'; "
    "style-src https://cdn.jsdelivr.net 'unsafe-inline'; "
    "img-src https://fastapi.tiangolo.com data:"
)


class SecurityHeaders:
    """Adds `HEADERS` to every answer, unless it sets them; /docs has a policy of its own."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app
        self._data = _encoded(HEADERS)
        self._docs = _encoded({**HEADERS, "Content-Security-Policy": DOCS_POLICY})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add to the head of the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = self._docs if scope["path"] == DOCS else self._data

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = list(message.get("headers", ()))
                names = {name for name, _ in said}
                said += [header for header in added if header[0] not in names]
                message = {**message, "headers": said}
            await send(message)

        await self._app(scope, receive, send_more)


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
