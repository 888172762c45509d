"""Sends a reply that flows, beside the work on it. Knows ASGI and bytes; nothing of what they say.

Many clients read nothing before all is sent. So the work goes on while some of the reply is unread,
and only then is held back.
"""

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Send

# So much may be unread before work waits: some ten thousand lines of faults.
UNREAD_BYTES: Final = 4 << 20


class Outbox:
    """One reply of status 200; it begins with the first `put`."""

    def __init__(self, send: Send, *, media_type: str, seconds: float) -> None:
        """Give up on a client that reads nothing for `seconds` while too much is unread."""
        self._send = send
        self._media_type = media_type
        self._seconds = seconds
        self._waiting: list[bytes] = []
        self._unread = 0
        self._sending: asyncio.Task[None] | None = None
        self.begun = False

    async def put(self, text: bytes) -> None:
        """Have `text` sent; wait if too much is unread.

        Raises:
            ClientDisconnect: nobody reads.
        """
        self._waiting.append(text)
        self._unread += len(text)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_waiting(begin=not self.begun))
            self.begun = True
        if self._unread > UNREAD_BYTES:
            await self._sent()

    async def close(self) -> None:
        """Send what waits, and end the reply.

        Raises:
            ClientDisconnect: nobody reads.
        """
        await self._sent()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def drop(self) -> None:
        """Send no more."""
        if self._sending is not None:
            self._sending.cancel()

    async def _sent(self) -> None:
        if self._sending is None:
            return
        try:
            async with asyncio.timeout(self._seconds):
                await self._sending
        except (TimeoutError, OSError):
            raise ClientDisconnect from None

    async def _send_waiting(self, *, begin: bool) -> None:
        if begin:
            headers = [(b"content-type", self._media_type.encode())]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        while self._waiting:
            text = b"".join(self._waiting)
            self._waiting.clear()
            await self._send({"type": "http.response.body", "body": text, "more_body": True})
            self._unread -= len(text)
