"""What every event log does. Knows positions and payloads; nothing of catalogs."""

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from eventlog.errors import LogReplaced, PositionTrimmed, UnsupportedEventLog
from eventlog.events import Event
from eventlog.position import START, Place, Position, place_of
from eventlog.setup import Doubt

# How long a retried write is recognised by its idempotency key.
KEY_SECONDS: Final = 24 * 3600


class Entry(NamedTuple):
    """One event as the log holds it, still encoded."""

    position: Position
    payload: bytes


class WriteKey(NamedTuple):
    """What a client calls a write, lest a retry record it twice, and a digest of what it says."""

    name: str
    digest: bytes


class Receipt(NamedTuple):
    """Where the last event of an append is; `repeated` if it was recorded by an earlier one."""

    position: Position
    repeated: bool


class EventLog(Protocol):
    """An ordered, durable list of events that several processes share.

    To be used from one event loop. Each call raises `EventLogUnavailable` when it cannot be served;
    an append that raised it has recorded nothing, unless its answer was lost or late.
    """

    async def append(self, events: Sequence[Event], key: WriteKey | None = None) -> Receipt:
        """Record `events`, all or none; return once they are durable.

        With a `key` that an append of the last 24 hours had, nothing is recorded and its position
        comes back.

        Raises:
            KeyReused: that append had another digest.
        """

    async def read(self, after: Position, limit: int) -> list[Entry]:
        """Return at most `limit` entries (1 or more) behind `after`, in order and without a gap.

        Raises:
            PositionTrimmed: entries behind `after` were trimmed.
            LogReplaced: `after` is not of this log.
        """

    async def head(self) -> Position:
        """Return the position of the last event ever recorded, or START."""

    async def grown(self, after: Position) -> None:
        """Return when there may be entries behind `after`, or sooner; within a second or so."""

    async def trim(self, upto: Position) -> None:
        """Drop all entries up to and with `upto`; readers that have not read them must notice.

        Raises:
            LogReplaced: `upto` is not of this log.
        """

    async def doubts(self) -> list[Doubt]:
        """Return what in the setup of whatever keeps the events would break a promise."""

    async def close(self) -> None:
        """Let go of files and connections."""


class Extent(NamedTuple):
    """What a log holds: the events numbered `trimmed + 1` to `last`; the epoch is "" before any."""

    epoch: str
    trimmed: int
    last: int

    @property
    def head(self) -> Position:
        """The position of the last event, or START."""
        return Place(self.epoch, self.last).position if self.last else START

    def number_of(self, position: Position) -> int:
        """Return the number of `position` in this log.

        Raises:
            LogReplaced: it is not of this log.
        """
        place = place_of(position)
        if position != START and place.epoch != self.epoch:
            raise LogReplaced(f"position {position} is of another log than {self.epoch or 'this'}")
        if place.number > self.last:
            raise LogReplaced(f"the log ends at {self.last}, before position {position}")
        return place.number

    def readable_from(self, position: Position) -> int:
        """Return the number of `position`, from which every later event can be read.

        Raises:
            LogReplaced: it is not of this log.
            PositionTrimmed: events behind it are gone.
        """
        number = self.number_of(position)
        if number < self.trimmed:
            gone = f"events up to {Place(self.epoch, self.trimmed).position} were trimmed"
            raise PositionTrimmed(f"{gone}, position {position or 'before the first'} is too old")
        return number

    def refuse_gap(self, after: Position, numbers: Sequence[int]) -> None:
        """Make sure that the entries found behind `after` are those that follow it.

        Raises:
            PositionTrimmed: some were deleted by somebody else, which is as good as trimmed.
        """
        first = place_of(after).number + 1
        missing = not numbers and first <= self.last
        if missing or list(numbers) != list(range(first, first + len(numbers))):
            raise PositionTrimmed(f"events behind position {after or 'before the first'} are gone")


def digest_of(*parts: bytes) -> bytes:
    """Return a digest of what a write says: of `parts` and where one ends and the next begins."""
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "little") + part)
    return found.digest()


def open_event_log(url: str, *, poll_seconds: float = 0.05) -> EventLog:
    """Open the log that `url` names. A log that cannot tell when it grows is polled.

    Raises:
        UnsupportedEventLog: no implementation has this scheme, or the URL is malformed.
        EventLogUnavailable: the file of a SQLite log cannot be opened.
    """
    from eventlog.redis import RedisEventLog  # noqa: PLC0415 - they import this module
    from eventlog.sqlite import SqliteEventLog  # noqa: PLC0415

    scheme, _, rest = url.partition("://")
    if scheme in {"redis", "rediss"}:
        return RedisEventLog(url)
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return SqliteEventLog(rest[1:], poll_seconds=poll_seconds)
    raise UnsupportedEventLog(
        f"event log {scheme}://… is not supported, expected sqlite:///relative/path, "
        "sqlite:////absolute/path, redis://host:port/database or rediss://host:port/database"
    )
