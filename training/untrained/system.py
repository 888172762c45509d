"""What every system that needs no training can do. Knows scores and vectors."""

from typing import NamedTuple, Protocol

from training.data.dataset import Floats, Rows


class Vectors(NamedTuple):
    """Vectors of users and videos, (U, D) and (V, D), of any length."""

    users: Floats
    videos: Floats


class Untrained(Protocol):
    """A system that scores by a formula over interactions or features."""

    def scores(self, rows: Rows) -> Floats:
        """Score user `rows: (N,)` against all videos: (N, V), free to be written to."""

    def vectors(self, width: int) -> Vectors:
        """Return vectors of at most `width` columns, whose inner products rank as scores do.

        Exactly where the formula is an inner product of so many columns, else as nearly as so many
        allow.
        """
