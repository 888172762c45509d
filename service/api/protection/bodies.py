"""Takes in whole bodies: not too large, not too slow, not too many at once. Knows bytes alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from service.errors import BodyTooLarge, BodyTooSlow, Overloaded

# So many bodies of full size are held at once: 64 MiB, unless RECO_MAX_BODY_BYTES is changed.
FULL_BODIES: Final = 16


class Bodies:
    """Reads bodies before their requests wait in line: a slow client keeps nobody from a place."""

    def __init__(self, *, max_bytes: int, seconds: float) -> None:
        """Hold nothing yet."""
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._held = 0

    @asynccontextmanager
    async def received(self, scope: Scope, receive: Receive) -> AsyncIterator[bytes]:
        """Yield the body of a request; its bytes count as held until the block ends.

        Raises:
            BodyTooLarge: at once if it says so, else as soon as it is.
            BodyTooSlow: it did not come in time.
            Overloaded: too much is held already.
            ClientDisconnect: there is no more to come.
        """
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared[:20]) > self._max_bytes:
            raise BodyTooLarge(self._max_bytes)
        chunks: list[bytes] = []
        try:
            if declared != b"0" or b"transfer-encoding" in headers:
                await self._collect(receive, chunks)
            yield b"".join(chunks)
        finally:
            self._held -= sum(map(len, chunks))

    async def _collect(self, receive: Receive, chunks: list[bytes]) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._read(receive, chunks)
        except TimeoutError:
            raise BodyTooSlow(self._seconds) from None

    async def _read(self, receive: Receive, chunks: list[bytes]) -> None:
        length, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            length += len(chunk)
            if length > self._max_bytes:
                raise BodyTooLarge(self._max_bytes)
            if self._held + len(chunk) > FULL_BODIES * self._max_bytes:
                raise Overloaded("bodies full")
            self._held += len(chunk)
            chunks.append(chunk)
