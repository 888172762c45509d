"""Keep-alive connections for an open loop of requests. Knows HTTP/1.1, no resources."""

import asyncio
import time
from types import TracebackType
from typing import Final, NamedTuple

# Uvicorn closes a connection that has rested for 5 seconds, perhaps just as it is used again.
REST: Final = 2.0


class Answer(NamedTuple):
    """What came back; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Idle(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    since: float


class Pool:
    """As many connections to one server as there are requests under way."""

    def __init__(self, port: int) -> None:
        """Ask the server at `port` of the loopback."""
        self._port = port
        self._idle: list[_Idle] = []

    async def __aenter__(self) -> "Pool":
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        for idle in self._idle:
            idle.writer.close()

    async def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Send one request and read its answer, which must tell its length."""
        reader, writer = await self._connection()
        lines = [f"{method} {path} HTTP/1.1", "host: bench", f"content-length: {len(body)}"]
        lines += ["content-type: application/json"] if body else []
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        answer = await reader.readexactly(int(headers["content-length"]))
        self._idle.append(_Idle(reader, writer, time.monotonic()))
        return Answer(int(head[0].split()[1]), headers, answer)

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer, since = self._idle.pop()
            if time.monotonic() - since < REST:
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)
