"""Positions: where in a log an event is. Only logs look inside; to all others they are text.

A position is `<epoch>-<number>`. The epoch names one life of a log: one that was emptied begins a
new one. Numbers count events from 1 without a gap, so that a reader notices what is missing.
"""

import re
import secrets
import time
from typing import Final, NamedTuple, NewType

# Opaque to all but the log that made it. Positions of one log compare as text, in log order.
Position = NewType("Position", str)

# Before the first event.
START: Final = Position("")

_SHAPE: Final = re.compile(r"([0-9a-f]{16})-([0-9]{16})", re.ASCII)


class Place(NamedTuple):
    """A position taken apart. The epoch of START is empty."""

    epoch: str
    number: int

    @property
    def position(self) -> Position:
        """The position as text; START for what is of no log in particular."""
        return Position(f"{self.epoch}-{self.number:016d}") if self.epoch else START


def new_epoch() -> str:
    """Return a name for a new log: later ones sort behind earlier ones, no two are alike."""
    return f"{int(time.time() * 1000):012x}{secrets.token_hex(2)}"


def is_position(text: str) -> bool:
    """Tell whether `text` has the form of a position, START apart."""
    return _SHAPE.fullmatch(text) is not None


def place_of(position: Position) -> Place:
    """Return the epoch and number of `position`.

    Raises:
        ValueError: it has not the form of a position.
    """
    if position == START:
        return Place("", 0)
    found = _SHAPE.fullmatch(position)
    if found is None:
        raise ValueError(f"{position[:80]!r} is no position")
    return Place(found[1], int(found[2]))


def distance(after: Position, upto: Position) -> int:
    """Return how many events there are behind `after` up to `upto`, 0 if `after` is beyond.

    Of two logs, or two lives of one, all up to `upto` count.
    """
    first, last = place_of(after), place_of(upto)
    start = first.number if first.epoch == last.epoch else 0
    return max(0, last.number - start)
