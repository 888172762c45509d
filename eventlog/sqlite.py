"""The event log in one SQLite file, the embedded default. Knows SQL; not what events mean."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from eventlog.errors import EventLogError, EventLogUnavailable, KeyReused
from eventlog.events import Event, encode
from eventlog.log import KEY_SECONDS, Entry, Extent, Receipt, WriteKey
from eventlog.position import Place, Position, place_of
from eventlog.setup import Doubt
from eventlog.sqlite_file import SqliteFile

T = TypeVar("T")

# An append that has waited so long for its turn is refused: behind a log that hangs, all would.
QUEUE_SECONDS: Final = 5.0
# Appends made durable by one fsync.
GROUP: Final = 256


@dataclass(frozen=True)
class _Append:
    """An append that waits for its turn."""

    payloads: list[tuple[bytes]]
    key: WriteKey | None
    deadline: float
    receipt: asyncio.Future[Receipt]


class SqliteEventLog:
    """Events in a WAL-mode file with synchronous=FULL: an append returns after the fsync.

    Several processes may share the file. Appends that wait at the same time share one transaction,
    and so one fsync, each whole or not at all. Reading and writing have a thread and a connection
    each, so a read never waits for an fsync.
    """

    def __init__(
        self, path: str, *, poll_seconds: float, queue_seconds: float = QUEUE_SECONDS
    ) -> None:
        """Open or create the file at `path`, to be looked at every `poll_seconds` for growth.

        An append that has waited `queue_seconds` for its turn is refused.

        Raises:
            EventLogUnavailable: the file cannot be opened or is no event log.
        """
        self._poll_seconds = poll_seconds
        self._queue_seconds = queue_seconds
        self._writer = SqliteFile(Path(path))
        self._reader = SqliteFile(Path(path))
        self._writer_thread = ThreadPoolExecutor(1, thread_name_prefix="log-writer")
        self._reader_thread = ThreadPoolExecutor(1, thread_name_prefix="log-reader")
        self._waiting: list[_Append] = []
        self._writing: asyncio.Task[None] | None = None
        self._closed = False

    async def append(self, events: Sequence[Event], key: WriteKey | None = None) -> Receipt:
        """Record `events` (see `EventLog.append`)."""
        payloads = [(encode(event),) for event in events]
        if not payloads:
            return Receipt(await self.head(), repeated=False)
        if key is not None:
            key.name.encode()  # what is no text must fail here, not with the whole group
        receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        deadline = time.monotonic() + self._queue_seconds
        self._waiting.append(_Append(payloads, key, deadline, receipt))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_waiting())
        return await receipt

    async def read(self, after: Position, limit: int) -> list[Entry]:
        """Return entries behind `after` (see `EventLog.read`)."""
        return await _run(self._reader_thread, self._read, after, limit)

    async def head(self) -> Position:
        """Return the last position (see `EventLog.head`)."""
        return await _run(self._reader_thread, self._head)

    async def grown(self, after: Position) -> None:  # noqa: ARG002 - SQLite cannot tell
        """Return after the polling interval (see `EventLog.grown`)."""
        await asyncio.sleep(self._poll_seconds)

    async def trim(self, upto: Position) -> None:
        """Drop entries up to `upto` (see `EventLog.trim`)."""
        await _run(self._writer_thread, self._trim, upto)

    async def doubts(self) -> list[Doubt]:
        """Return none: what matters is set on each connection (see `EventLog.doubts`)."""
        return []

    async def close(self) -> None:
        """Write what waits, then close both connections."""
        if self._closed:
            return
        self._closed = True
        if self._writing is not None:
            await self._writing
        await _run(self._writer_thread, self._writer.close)
        await _run(self._reader_thread, self._reader.close)
        self._writer_thread.shutdown(wait=True)
        self._reader_thread.shutdown(wait=True)

    async def _write_waiting(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
            results: Sequence[Receipt | Exception]
            try:
                results = await _run(self._writer_thread, self._append_group, group)
            except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, or waits for ever
                results = [error] * len(group)
            for waiting, result in zip(group, results, strict=True):
                if waiting.receipt.done():  # given up
                    continue
                if isinstance(result, Receipt):
                    waiting.receipt.set_result(result)
                else:
                    waiting.receipt.set_exception(result)

    def _append_group(self, group: list[_Append]) -> list[Receipt | EventLogError]:
        """Record every append of `group` in one transaction; those refused leave nothing."""
        with self._writer.transaction("BEGIN IMMEDIATE") as connection:
            epoch = _extent(connection).epoch
            connection.execute("DELETE FROM keys WHERE at < ?", (time.time() - KEY_SECONDS,))
            return [_append_one(connection, epoch, waiting) for waiting in group]

    def _read(self, after: Position, limit: int) -> list[Entry]:
        query = "SELECT position, payload FROM events WHERE position > ? ORDER BY position LIMIT ?"
        # One transaction: what was trimmed and what is there belong together.
        with self._reader.transaction("BEGIN") as connection:
            # First of all the events: a file without them is damaged, not another log.
            rows = connection.execute(query, (place_of(after).number, limit)).fetchall()
            extent = _extent(connection)
            extent.readable_from(after)
        extent.refuse_gap(after, [place for place, _ in rows])
        return [Entry(Place(extent.epoch, place).position, payload) for place, payload in rows]

    def _head(self) -> Position:
        with self._reader.transaction("BEGIN") as connection:
            return _extent(connection).head

    def _trim(self, upto: Position) -> None:
        with self._writer.transaction("BEGIN IMMEDIATE") as connection:
            number = _extent(connection).number_of(upto)
            connection.execute("UPDATE extent SET trimmed = max(trimmed, ?)", (number,))
            connection.execute("DELETE FROM events WHERE position <= ?", (number,))


def _append_one(
    connection: sqlite3.Connection, epoch: str, waiting: _Append
) -> Receipt | EventLogError:
    if time.monotonic() > waiting.deadline:
        return EventLogUnavailable("too many writes are waiting for the event log")
    key = waiting.key
    if key is not None:
        query = "SELECT digest, position FROM keys WHERE name = ?"
        known = connection.execute(query, (key.name,)).fetchone()
        if known is not None:
            digest, number = known
            if digest != key.digest:
                return KeyReused(f"idempotency key {key.name!r} came with another request before")
            return Receipt(Place(epoch, number).position, repeated=True)
    connection.executemany("INSERT INTO events (payload) VALUES (?)", waiting.payloads)
    number = _extent(connection).last
    if key is not None:
        row = (key.name, key.digest, number, time.time())
        connection.execute("INSERT INTO keys VALUES (?, ?, ?, ?)", row)
    return Receipt(Place(epoch, number).position, repeated=False)


def _extent(connection: sqlite3.Connection) -> Extent:
    epoch, trimmed = connection.execute("SELECT epoch, trimmed FROM extent").fetchone()
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return Extent(epoch, trimmed, 0 if last is None else int(last[0]))


async def _run(thread: ThreadPoolExecutor, call: Callable[..., T], *args: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(thread, call, *args)
