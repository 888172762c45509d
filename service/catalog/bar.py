"""Which rows must not be in a list. Knows rows; nothing of why."""

from dataclasses import dataclass

import numpy as np

from service.catalog.index import Mask, Rows

NO_ROWS: Rows = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Bar:
    """Masks of rows that many lists share, and a few rows more that are barred from one of them.

    `trained: (V,)` and `arrived: (N,)` are of the rows of a snapshot and of those behind them. They
    are never written to nor put together, so that a request costs nothing in proportion to V, and
    neither does a new view. `rows: (M,)` ascend; `open` counts the rows that no mask bars.
    """

    trained: Mask
    arrived: Mask
    open: int
    rows: Rows

    def and_rows(self, rows: Rows) -> "Bar":
        """Return this bar with more `rows: (M,)`; with none yet, they must ascend."""
        merged = np.union1d(self.rows, rows) if len(self.rows) else rows
        return Bar(self.trained, self.arrived, self.open, merged)

    def and_mask(self, mask: Mask) -> "Bar":
        """Return this bar with what `mask: (V + N,)` bars too."""
        trained = self.trained | mask[: len(self.trained)]
        arrived = self.arrived | mask[len(self.trained) :]
        barred = np.count_nonzero(trained) + np.count_nonzero(arrived)
        return Bar(trained, arrived, len(mask) - int(barred), self.rows)

    def shares_masks(self, other: "Bar") -> bool:
        """Tell whether only `rows` are another's."""
        return self.trained is other.trained and self.arrived is other.arrived

    @property
    def at_least_open(self) -> int:
        """A number of rows that are not barred, at least."""
        return self.open - len(self.rows)

    def bars(self, rows: Rows) -> Mask:
        """Return which of `rows: (M,)` are barred: (M,)."""
        barred = self._masks(rows)
        if len(self.rows):
            places = np.searchsorted(self.rows, rows)
            places[places == len(self.rows)] = 0
            barred |= self.rows[places] == rows
        return barred

    def mask(self) -> Mask:
        """Return which of all rows are barred, as an array of its own: (V + N,)."""
        mask = np.concatenate([self.trained, self.arrived])
        mask[self.rows] = True
        return mask

    def _masks(self, rows: Rows) -> Mask:
        videos = len(self.trained)
        if not len(self.arrived):
            return self.trained[rows]
        barred = self.trained[np.minimum(rows, videos - 1)]
        behind = rows >= videos
        barred[behind] = self.arrived[rows[behind] - videos]
        return barred
