"""What can go wrong with an event log, as facts."""


class EventLogError(Exception):
    """Root of all that an event log refuses on purpose."""


class UnsupportedEventLog(EventLogError):
    """The event-log URL names no implementation."""


class EventLogUnavailable(EventLogError):
    """The event log cannot be read or written at the moment; nothing was recorded."""


class EventLogFull(EventLogUnavailable):
    """There is no room for more events; what is there can be read."""


class KeyReused(EventLogError):
    """An idempotency key came again with other events; nothing was recorded."""


class EventsLost(EventLogError):
    """Events behind a reader's position are gone: it must begin anew from a bundle."""


class PositionTrimmed(EventsLost):
    """The log still is the one the position is of, but events behind the position were trimmed."""


class LogReplaced(EventsLost):
    """The position is not of this log: it was emptied, set back to an older state or replaced."""
