"""The SQLite file of an event log: opened, locked, full or replaced. Knows nothing of events."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from eventlog.errors import EventLogFull, EventLogUnavailable
from eventlog.position import new_epoch

# How long a call waits for another process that writes; an append takes milliseconds.
BUSY_SECONDS: Final = 2.0
SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS events (
        position INTEGER PRIMARY KEY AUTOINCREMENT, payload BLOB NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS keys (
        name TEXT PRIMARY KEY, digest BLOB NOT NULL, position INTEGER NOT NULL, at REAL NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS keys_by_age ON keys (at)",
    "CREATE TABLE IF NOT EXISTS extent (epoch TEXT NOT NULL, trimmed INTEGER NOT NULL)",
)


class SqliteFile:
    """A connection that is used by one thread alone and opens the file anew if it was replaced."""

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            EventLogUnavailable: it cannot be opened or is no event log.
        """
        self._path = path
        self._file: tuple[int, int] | None = None
        with self._translated():
            self._open()

    @contextmanager
    def transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        """Hand out the connection inside a transaction; an error in the block rolls it back.

        Raises:
            EventLogUnavailable: SQLite or the file system refused.
        """
        with self._translated():
            if self._file is None or self._file != self._identity():
                self._connection.close()
                self._open()
            self._connection.execute(begin)
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            if self._file != self._identity():
                raise FileNotFoundError("the file was removed or replaced at this moment")

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def _open(self) -> None:
        self._file = None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise
        self._file = self._identity()

    def _prepare(self) -> None:
        _into_wal(self._connection)
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA:
            self._connection.execute(statement)
        if self._connection.execute("SELECT count(*) FROM extent").fetchone()[0] == 0:
            self._connection.execute("INSERT INTO extent VALUES (?, 0)", (new_epoch(),))
        self._connection.execute("COMMIT")

    def _identity(self) -> tuple[int, int] | None:
        """Which file the path names; while it is open, no other gets its numbers."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            kind = EventLogFull if full else EventLogUnavailable
            raise kind(f"event log {self._path}: {error}") from error


def _into_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL mode. SQLite does not wait by itself where two do so at the same moment."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return
