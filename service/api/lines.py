"""Cuts a body of any length into lines as it comes. Knows ASGI and bytes; nothing of what they say.

It reads no more than is asked for, so a sender is held back by whoever asks.
"""

import asyncio
import time
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from service.errors import BodyTooSlow, LineTooLong

# Lines are handed on in pieces of at least this size, sooner if they have waited so long.
PIECE_LINES: Final = 1000
PIECE_BYTES: Final = 4 << 20
PIECE_SECONDS: Final = 1.0


class Lines:
    """The lines of one body. Those that have come whole are never lost to one that does not."""

    def __init__(self, receive: Receive, *, max_bytes: int, seconds: float) -> None:
        """Refuse a line of more than `max_bytes`, or one that takes longer than `seconds`."""
        self._receive = receive
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._whole: list[bytes] = []
        self._size = 0
        self._rest = b""
        self._ended = self._too_long = False
        # How long the line that is not whole has been waited for.
        self._waited = 0.0

    async def piece(self) -> list[bytes]:
        """Return the next lines; none at the end.

        Raises:
            LineTooLong: the next one is.
            BodyTooSlow: it did not come in time.
            ClientDisconnect: there is no more to come.
        """
        while not self._ended and self._size < PIECE_BYTES and len(self._whole) < PIECE_LINES:
            if not await self._read():
                break
        if self._too_long and not self._whole:
            raise LineTooLong(self._max_bytes)
        whole, self._whole, self._size = self._whole, [], 0
        return whole

    async def _read(self) -> bool:
        """Take in some of the body; say if any came before those who wait have waited enough."""
        begun = time.monotonic()
        wait = PIECE_SECONDS if self._whole else max(0.0, self._seconds - self._waited)
        try:
            async with asyncio.timeout(wait):
                message = await self._receive()
        except TimeoutError:
            self._waited += time.monotonic() - begun
            if not self._whole:
                raise BodyTooSlow(self._seconds, what="line") from None
            return False
        self._waited += time.monotonic() - begun
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._ended = not message.get("more_body", False)
        self._take(message.get("body", b""))
        return True

    def _take(self, body: bytes) -> None:
        *lines, self._rest = (self._rest + body).split(b"\n")
        if self._ended and self._rest:
            lines, self._rest = [*lines, self._rest], b""
        if lines:
            self._waited = 0.0
        for place, line in enumerate((*lines, self._rest)):
            if len(line) > self._max_bytes:
                # Nothing behind it is read; those before it count.
                self._ended = self._too_long = True
                lines = lines[:place]
                break
        self._whole += lines
        self._size += sum(map(len, lines))
