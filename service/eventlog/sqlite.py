"""The event log in one SQLite file, the embedded default. Knows SQL; not what events mean."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from service.errors import EventLogUnavailable
from service.eventlog.events import Event, encode
from service.eventlog.log import START, Entry, Position

POSITION_DIGITS: Final = 16
# How long a call waits for another process that writes; an append takes milliseconds.
BUSY_SECONDS: Final = 2.0
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    payload  BLOB NOT NULL
)
"""


class SqliteEventLog:
    """Events in a WAL-mode file with synchronous=FULL: an append returns after the fsync.

    Several processes may share the file. Writers and readers of one process use a connection each,
    so a read never waits for an fsync.
    """

    def __init__(self, path: str) -> None:
        """Open or create the file at `path`.

        Raises:
            EventLogUnavailable: the file cannot be opened or is no event log.
        """
        self._path = path
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        with self._translated():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connect()
            self._writer.execute(SCHEMA)
            self._reader = self._connect()

    def append(self, events: Sequence[Event]) -> Position:
        """Record `events` in one transaction (see `EventLog.append`)."""
        rows = [(encode(event),) for event in events]
        with self._translated(), self._write_lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                self._writer.executemany("INSERT INTO events (payload) VALUES (?)", rows)
                last = self._writer.execute("SELECT max(position) FROM events").fetchone()[0]
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
        return _position(last)

    def read(self, after: Position, limit: int) -> list[Entry]:
        """Return entries behind `after` (see `EventLog.read`)."""
        with self._translated(), self._read_lock:
            rows = self._reader.execute(
                "SELECT position, payload FROM events WHERE position > ? ORDER BY position LIMIT ?",
                (int(after or 0), limit),
            ).fetchall()
        return [Entry(_position(number), payload) for number, payload in rows]

    def head(self) -> Position:
        """Return the last position (see `EventLog.head`)."""
        with self._translated(), self._read_lock:
            last = self._reader.execute("SELECT max(position) FROM events").fetchone()[0]
        return START if last is None else _position(last)

    def is_position(self, text: str) -> bool:
        """Tell whether `text` is one of our positions (see `EventLog.is_position`)."""
        return len(text) == POSITION_DIGITS and text.isascii() and text.isdigit()

    def close(self) -> None:
        """Close both connections."""
        with self._write_lock, self._read_lock:
            self._writer.close()
            self._reader.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise EventLogUnavailable(f"event log {self._path}: {error}") from error


def _position(number: int) -> Position:
    return Position(f"{number:0{POSITION_DIGITS}d}")
