"""Traces each request. Knows ASGI; only there where traces are wanted."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.middleware import CLIENT_WENT_AWAY
from service.logs import ABOUT
from service.tracing import Tracing, describe


class Traced:
    """Gives each request a span, within the trace that the client says it belongs to."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        """Wrap `app`."""
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Trace one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = CLIENT_WENT_AWAY

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracing.request(scope["method"], scope["headers"]) as span:
            try:
                await self._app(scope, receive, send_noted)
            except Exception:
                status = 500  # the outermost handler, beyond us, answers it
                raise
            finally:
                about = ABOUT.get()
                said = {} if about is None else vars(about)
                describe(
                    span,
                    method=scope["method"],
                    route=getattr(scope.get("route"), "path", "unmatched"),
                    status=status,
                    **{f"reco.{name}": value for name, value in said.items() if value is not None},
                )
