"""The event log in a Redis stream, for many machines. Knows connections; not what events mean."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from eventlog.errors import EventLogFull, EventLogUnavailable, KeyReused, UnsupportedEventLog
from eventlog.events import Event, encode
from eventlog.log import KEY_SECONDS, Entry, Extent, Receipt, WriteKey
from eventlog.position import Place, Position, new_epoch, place_of
from eventlog.scripts import APPEND, HEAD, READ, TRIM
from eventlog.setup import Doubt, doubts_about

# A call is given up after so long, its retries included.
CALL_SECONDS: Final = 2.0
# Half of it: a connection that has silently died is noticed while there is time for another one.
SOCKET_SECONDS: Final = 1.0
RETRIES: Final = 3
BACKOFF: Final = ExponentialBackoff(cap=0.2, base=0.02)
# A connection that has rested so long is asked whether it lives before it is used.
HEALTH_SECONDS: Final = 15
CONNECTIONS: Final = 32
# How long the server holds a question for growth back.
BLOCK_SECONDS: Final = 1.0
# What one answer holds at most (or one entry), so that it arrives well within SOCKET_SECONDS.
PAGE: Final = 512
PAGE_BYTES: Final = 4 * 2**20
# How long an append without a key of its client's is recognised, should its answer be lost. The
# attempts of one call are CALL_SECONDS apart at most; the rest is for a server that stood still.
RETRY_SECONDS: Final = 60


class RedisEventLog:
    """Events in the stream `{prefix}:events` of one Redis server (6.2 or later) for all replicas.

    An append is one script: numbers, events and key are recorded together or not at all. It is as
    durable as the server is told to be: `appendfsync always` for "acknowledged is on the disk".
    Each append carries a key, its client's or one of its own, and so may be sent again when the
    answer was lost.
    """

    def __init__(self, url: str) -> None:
        """Prepare connections to `url`; none is made before the first call.

        Raises:
            UnsupportedEventLog: the URL is malformed.
        """
        prefix, options = _parse(url)
        self._name = f"redis at {options['host']}:{options['port']}"
        self._stream, self._extent = f"{{{prefix}}}:events", f"{{{prefix}}}:extent"
        self._keys = f"{{{prefix}}}:"
        self._client = _client(SOCKET_SECONDS, options)
        # Apart: the server holds its answers back for longer than a dead one is waited for.
        self._watcher = _client(BLOCK_SECONDS + SOCKET_SECONDS, options)
        self._retry = Retry(BACKOFF, RETRIES)
        self._asking: set[asyncio.Task[Any]] = set()

    async def append(self, events: Sequence[Event], key: WriteKey | None = None) -> Receipt:
        """Record `events` (see `EventLog.append`)."""
        payloads = [encode(event) for event in events]
        if not payloads:
            return Receipt(await self.head(), repeated=False)
        call = secrets.token_hex(8)
        name = f"{self._keys}call:{call}" if key is None else f"{self._keys}key:{key.name}"
        digest, seconds = (b"", RETRY_SECONDS) if key is None else (key.digest, KEY_SECONDS)
        said = [call, digest, seconds, *payloads]
        epoch, number, by, told = await self._run(APPEND, [name], said)
        if told != digest:
            raise KeyReused(f"idempotency key {key and key.name!r} came with another request")
        position = Place(epoch.decode(), number).position
        return Receipt(position, repeated=by != call.encode())

    async def read(self, after: Position, limit: int) -> list[Entry]:
        """Return entries behind `after` (see `EventLog.read`)."""
        found: list[Entry] = []
        while len(found) < limit:
            number = place_of(after).number
            asked = [number + 1, min(limit - len(found), PAGE), PAGE_BYTES]
            *told, page = await self._run(READ, [], asked)
            extent = _extent(*told)
            extent.readable_from(after)
            places = [Place(extent.epoch, _number(identity)) for identity in page[::2]]
            extent.refuse_gap(after, [place.number for place in places])
            payloads = page[1::2]
            found += [
                Entry(p.position, payload) for p, payload in zip(places, payloads, strict=True)
            ]
            if not places or places[-1].number == extent.last:
                break
            after = places[-1].position
        return found

    async def head(self) -> Position:
        """Return the last position (see `EventLog.head`)."""
        return _extent(*await self._run(HEAD, [], [])).head

    async def grown(self, after: Position) -> None:
        """Return when Redis says that there are entries (see `EventLog.grown`)."""
        behind: dict[Any, Any] = {self._stream: f"{place_of(after).number}-0"}
        block = round(BLOCK_SECONDS * 1000)
        await self._answer(
            lambda: self._watcher.xread(behind, count=1, block=block), BLOCK_SECONDS + CALL_SECONDS
        )

    async def trim(self, upto: Position) -> None:
        """Drop entries up to `upto` (see `EventLog.trim`)."""
        _extent(*await self._run(TRIM, [], place_of(upto))).number_of(upto)

    async def doubts(self) -> list[Doubt]:
        """Return what in the server's setup breaks a promise (see `EventLog.doubts`)."""
        info = await self._answer(self._client.info, CALL_SECONDS)
        return doubts_about(info, await self._answer(self._appendfsync, CALL_SECONDS))

    async def _appendfsync(self) -> str | None:
        try:
            told = await self._client.config_get("appendfsync")
        except ResponseError:  # forbidden, or a server that does not know it
            return None
        return told.get("appendfsync")

    async def close(self) -> None:
        """Give up what is being asked and close all connections."""
        for asking in self._asking:
            asking.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        await self._client.aclose(close_connection_pool=True)
        await self._watcher.aclose(close_connection_pool=True)

    async def _run(self, script: str, keys: Sequence[str], said: Sequence[Any]) -> list[Any]:
        run = self._client.register_script(script)
        keys, said = [self._stream, self._extent, *keys], [new_epoch(), *said]
        answer: list[Any] = await self._answer(lambda: run(keys, said), CALL_SECONDS)
        return answer

    async def _answer(self, ask: Callable[[], Awaitable[Any]], seconds: float) -> Any:
        """Return what `ask` returns; it is called again where the connection fails.

        Raises:
            EventLogUnavailable: that failed, or took more than `seconds`.
        """
        asking = asyncio.create_task(self._retry.call_with_retry(ask, _go_on))
        self._asking.add(asking)
        asking.add_done_callback(self._forget)
        try:
            # A task of its own that is left behind when time is up: redis-py, busy with a timeout
            # of its own, was seen to miss that it is cancelled.
            await asyncio.wait({asking}, timeout=seconds)
            if not asking.done() or asking.cancelled():
                raise TimeoutError(f"no answer within {seconds:g} seconds")
            return asking.result()
        except (RedisError, OSError) as error:
            # Redis 6 says it inside the fault of the script.
            full = isinstance(error, OutOfMemoryError) or "-OOM" in str(error)
            kind = EventLogFull if full else EventLogUnavailable
            raise kind(f"event log, {self._name}: {error}") from error
        finally:
            asking.cancel()

    def _forget(self, asked: asyncio.Task[Any]) -> None:
        self._asking.discard(asked)
        if not asked.cancelled():
            asked.exception()  # looked at, lest asyncio complain of one that nobody waits for


async def _go_on(_: Exception) -> None:
    """Do nothing between two attempts: redis-py has closed the connection that failed."""


def _client(socket_seconds: float, options: dict[str, Any]) -> Redis:
    pool = BlockingConnectionPool(
        max_connections=CONNECTIONS,
        timeout=None,  # a call's own limit ends the wait
        socket_timeout=socket_seconds,
        socket_connect_timeout=SOCKET_SECONDS,
        # Ours is enough: connection and client each retry by this one, attempts multiply.
        retry=Retry(NoBackoff(), 0),
        health_check_interval=HEALTH_SECONDS,
        **options,
    )
    return Redis(connection_pool=pool)


def _parse(url: str) -> tuple[str, dict[str, Any]]:
    """Return the prefix of all keys and how to connect.

    Raises:
        UnsupportedEventLog: without the URL in its text, for that may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
        asked = (
            dict(parse_qsl(parts.query, strict_parsing=True, keep_blank_values=True))
            if parts.query
            else {}
        )
    except ValueError:
        raise _malformed() from None
    secure = parts.scheme == "rediss"
    prefix = asked.pop("prefix", "reco")
    if not (
        parts.hostname
        and re.fullmatch(r"(/[0-9]{0,4})?", parts.path, re.ASCII)
        and re.fullmatch(r"[\w.:-]+", prefix, re.ASCII)
        and asked.keys() <= ({"ssl_ca_certs"} if secure else set())
        and "#" not in url
    ):
        raise _malformed()
    return prefix, {
        "connection_class": SSLConnection if secure else Connection,
        "host": parts.hostname,
        "port": port,
        "db": int(parts.path[1:] or 0),
        "username": unquote(parts.username or "") or None,
        "password": unquote(parts.password or "") or None,
        **asked,
    }


def _malformed() -> UnsupportedEventLog:
    return UnsupportedEventLog(
        "the event log's URL is malformed, expected redis://[user:password@]host[:port][/database]"
        "[?prefix=name], or rediss://… with [ssl_ca_certs=file]; percent-encode the password"
    )


def _extent(epoch: bytes, trimmed: int, last: int) -> Extent:
    return Extent(epoch.decode(), trimmed, last)


def _number(identity: bytes) -> int:
    """Return the number of a stream id; ours end in `-0`, and a foreign one shows as a gap."""
    return int(identity.partition(b"-")[0])
