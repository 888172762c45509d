"""Room for so many at work and so many in line. Knows waiting; nothing of requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Gauge

from service.errors import Overloaded


class Room:
    """Places at work and a line before them: first come first served, and nobody waits long."""

    def __init__(
        self, *, places: int, line: int, seconds: float, working: Gauge, waiting: Gauge
    ) -> None:
        """Begin with all places free; the gauges tell how many are at work and in line."""
        self._places = asyncio.Semaphore(places)
        self._size = places
        self._line = line
        self._seconds = seconds
        self._in_line = 0
        self._working = working
        self._waiting = waiting

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Have a place until the block ends.

        Raises:
            Overloaded: the line is full, or no place came free in time.
        """
        if self._places.locked():
            await self._wait()
        else:
            await self._places.acquire()
        self._working.inc()
        try:
            yield
        finally:
            self._working.dec()
            self._places.release()

    def join(self) -> bool:
        """Be counted as in line until `leave`, for work that is done at once and needs no place.

        False if all places are taken: then it is for `place` to wait for one.

        Raises:
            Overloaded: as many as may wait came before.
        """
        if self._places.locked():
            return False
        if self._in_line >= self._size + self._line:
            raise Overloaded("line full")
        self._in_line += 1
        return True

    def leave(self) -> None:
        """Be no longer in line."""
        self._in_line -= 1

    async def _wait(self) -> None:
        if self._in_line >= self._line:
            raise Overloaded("line full")
        self._in_line += 1
        self._waiting.inc()
        try:
            async with asyncio.timeout(self._seconds):
                await self._places.acquire()
        except TimeoutError:
            raise Overloaded("line slow") from None
        finally:
            self._in_line -= 1
            self._waiting.dec()
