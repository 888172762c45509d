"""Which rows must not be in a list. Knows rows; nothing of why."""

from dataclasses import dataclass

import numpy as np

from service.catalog.index import Mask, Rows

NO_ROWS: Rows = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Bar:
    """A mask of rows that many lists share, and a few rows more that are barred from one of them.

    `shared: (R,)` is never written to, so that a request costs nothing in proportion to R.
    `rows: (N,)` ascend; `open` counts the rows of `shared` that it does not bar.
    """

    shared: Mask
    open: int
    rows: Rows

    @classmethod
    def of(cls, mask: Mask) -> "Bar":
        """Return a bar by `mask: (R,)`."""
        return cls(mask, len(mask) - int(np.count_nonzero(mask)), NO_ROWS)

    def and_rows(self, rows: Rows) -> "Bar":
        """Return this bar with more `rows: (N,)`; with none yet, they must ascend."""
        return Bar(self.shared, self.open, np.union1d(self.rows, rows) if len(self.rows) else rows)

    def and_mask(self, mask: Mask) -> "Bar":
        """Return this bar with what `mask: (R,)` bars too."""
        shared = self.shared | mask
        return Bar(shared, len(shared) - int(np.count_nonzero(shared)), self.rows)

    @property
    def at_least_open(self) -> int:
        """A number of rows that are not barred, at least."""
        return self.open - len(self.rows)

    def bars(self, rows: Rows) -> Mask:
        """Return which of `rows: (N,)` are barred: (N,)."""
        barred = self.shared[rows]
        if len(self.rows):
            places = np.searchsorted(self.rows, rows)
            places[places == len(self.rows)] = 0
            barred |= self.rows[places] == rows
        return barred

    def mask(self) -> Mask:
        """Return which of all rows are barred, as an array of its own: (R,)."""
        mask = self.shared.copy()
        mask[self.rows] = True
        return mask
