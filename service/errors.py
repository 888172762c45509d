"""What can go wrong in the service, as facts. No HTTP word: `service.api.problems` has those."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple


class ServiceError(Exception):
    """Root of all that the service refuses on purpose."""


class UnknownVideo(ServiceError):
    """No live video has this id."""

    def __init__(self, video_id: str) -> None:
        """Keep the id that was asked for."""
        self.video_id = video_id
        super().__init__(f"no video {video_id!r}")


class Fault(NamedTuple):
    """What is wrong with one field: what was expected of it, and what came."""

    field: str
    expected: str
    got: str

    def __str__(self) -> str:
        place = f"{self.field}: " if self.field else ""
        return f"{place}expected {self.expected}, got {self.got}"


class CannotStart(Exception):
    """Root of what keeps the service from starting, said to whoever starts it."""


class MissingExtra(CannotStart):
    """A setting wants what is not installed."""

    def __init__(self, setting: str, extra: str) -> None:
        """Keep which setting, and the extra that has it."""
        super().__init__(f"{setting} needs an extra: pip install '.[{extra}]'")


class AddressTaken(CannotStart):
    """Nobody can listen where we should."""

    def __init__(self, host: str, port: int, fault: str) -> None:
        """Keep where, and what the system says of it."""
        super().__init__(f"cannot listen at {host}, port {port}: {fault}")


class NoMeetingPlace(CannotStart):
    """Several processes have no folder to find each other in."""

    def __init__(self, fault: str) -> None:
        """Keep what is wrong with it."""
        super().__init__(f"several processes need a folder for temporary files (TMPDIR): {fault}")


class InvalidInput(ServiceError):
    """A well-formed request that the loaded bundle cannot take. Carries a fault for each field."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Keep the `faults`."""
        self.faults = faults
        super().__init__("; ".join(map(str, faults)))


class NotReady(ServiceError):
    """There is no snapshot to answer from."""

    def __init__(self, reason: str) -> None:
        """Keep why there is none."""
        self.reason = reason
        super().__init__(reason)


class Behind(ServiceError):
    """This replica has not reached the position that the reader asked for."""

    def __init__(self, position: str, wanted: str) -> None:
        """Keep the position reached and the one wanted."""
        self.position = position
        self.wanted = wanted
        super().__init__(f"at position {position!r}, {wanted!r} was asked for")


class UnknownKey(ServiceError):
    """Nobody whom we know asks: no API key, or none that is good."""

    def __init__(self, *, came: bool) -> None:
        """Keep if a key came at all, never the key."""
        self.came = came
        super().__init__("this API key is not known, or no longer" if came else "no API key came")


class KeyLacksScope(ServiceError):
    """The key is good, but not for this."""

    def __init__(self, name: str, scope: str) -> None:
        """Keep the key's name and the scope that it lacks."""
        self.scope = scope
        super().__init__(f"the key {name!r} lacks the scope {scope}")


class BodyTooLarge(ServiceError):
    """More was sent than is read."""

    def __init__(self, most: int) -> None:
        """Keep how many bytes are read at most."""
        super().__init__(f"expected a body of at most {most} bytes")


class LineTooLong(ServiceError):
    """One line of many is longer than is read."""

    def __init__(self, most: int) -> None:
        """Keep how many bytes are read at most."""
        super().__init__(f"expected lines of at most {most} bytes")


class BodyTooSlow(ServiceError):
    """What was announced did not come in time."""

    def __init__(self, seconds: float, *, what: str = "body") -> None:
        """Keep how long was waited, and for what."""
        super().__init__(f"expected the whole {what} within {seconds:g} seconds")


class Overloaded(ServiceError):
    """There is more to do than can be done soon."""

    def __init__(self, reason: Literal["bodies full", "line full", "line slow"]) -> None:
        """Keep which limit was met."""
        self.reason = reason
        super().__init__(OVERLOADS[reason])


OVERLOADS: Final = {
    "bodies full": "too many bodies are being received",
    "line full": "too many requests are waiting",
    "line slow": "no request before this one ended in time",
}
