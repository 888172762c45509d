"""Both of our clients behind one face, so that each test asks either. Knows no service."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

from client import AsyncClient, Client

Way = Literal["waiting", "asyncio"]


class _Waited:
    """An `AsyncClient` whose calls are waited for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: AsyncClient) -> None:
        self._loop, self._client = loop, client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*args: Any, **more: Any) -> Any:
            made = method(*args, **more)
            if isinstance(made, AsyncClient):
                return _Waited(self._loop, made)
            if inspect.isawaitable(made):
                return self._loop.run_until_complete(made)
            return self._drawn(made)

        return call

    def _drawn(self, made: AsyncIterator[Any]) -> Iterator[Any]:
        while True:
            try:
                yield self._loop.run_until_complete(anext(made))
            except StopAsyncIteration:
                return


@contextmanager
def connected(way: Way, url: str, **more: Any) -> Iterator[Client]:
    """Yield the client that works this `way`; to the types both are one."""
    if way == "waiting":
        with Client(url, **more) as client:
            yield client
        return
    loop = asyncio.new_event_loop()
    patient = AsyncClient(url, **more)
    try:
        yield cast("Client", _Waited(loop, patient))
    finally:
        loop.run_until_complete(patient.close())
        loop.close()
