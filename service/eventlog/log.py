"""What every event log does. Knows positions and payloads; nothing of catalogs."""

from collections.abc import Sequence
from typing import NamedTuple, NewType, Protocol

from service.errors import UnsupportedEventLog
from service.eventlog.events import Event

# Opaque to all but the log that made it. Positions of one log compare as text, in log order.
Position = NewType("Position", str)

# Before the first event.
START = Position("")


class Entry(NamedTuple):
    """One event as the log holds it, still encoded."""

    position: Position
    payload: bytes


class EventLog(Protocol):
    """An ordered, durable list of events that several processes share.

    Calls block and may come from any thread. Each raises `EventLogUnavailable` when it cannot be
    served; an append that raised has recorded nothing.
    """

    def append(self, events: Sequence[Event]) -> Position:
        """Record `events`, all or none; return the last one's position once they are durable."""

    def read(self, after: Position, limit: int) -> list[Entry]:
        """Return at most `limit` entries behind `after`, in order."""

    def head(self) -> Position:
        """Return the position of the last event, or START."""

    def is_position(self, text: str) -> bool:
        """Tell whether `text` has the form of a position of this log."""

    def close(self) -> None:
        """Let go of files and connections."""


def open_event_log(url: str) -> EventLog:
    """Open the log that `url` names.

    Raises:
        UnsupportedEventLog: no implementation has this scheme.
        EventLogUnavailable: the log cannot be opened.
    """
    from service.eventlog.sqlite import SqliteEventLog  # noqa: PLC0415 - it imports this module

    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return SqliteEventLog(rest[1:])
    raise UnsupportedEventLog(
        f"event log {scheme}://… is not supported, expected sqlite:///relative/path "
        "or sqlite:////absolute/path"
    )
