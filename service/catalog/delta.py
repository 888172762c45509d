"""The vectors of arrivals: rows behind those of a snapshot. Knows rows; nothing of events.

Arrays only ever grow at their end and are shared by all deltas of one line: each sees its first
`count` rows and never what was written later. Only the newest delta is edited, by one thread.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from models.ids import VideoId
from service.catalog.facets import GrownFacets
from service.catalog.index import Doubles, Floats, Index, Mask, Rows

FIRST_CAPACITY: Final = 256
# A delta with more dead rows than this and than live ones is copied without them.
DEAD_ROWS_KEPT: Final = 1024
# The moment at which arrived what did not arrive since the bundle.
NEVER: Final = -np.inf
# So many rows may come before they are put in the order of their cells.
ROWS_UNSORTED: Final = 4096


@dataclass(frozen=True, eq=False)
class CellOrder:
    """The first `count` rows of a delta in the order of their cells, so that a cell is a slice.

    `places: (count,)`; those of cell c are `places[starts[c] : starts[c + 1]]`. What is found is
    the same with it and without it: it only saves looking at every row.
    """

    places: Rows
    starts: Rows

    @classmethod
    def of(cls, cells: Rows) -> "CellOrder":
        """Sort the rows whose `cells: (count,)` are given; within a cell they keep their order."""
        counts = np.bincount(cells) if len(cells) else np.zeros(0, dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(counts)])
        return cls(np.argsort(cells, kind="stable"), starts)

    def within(self, probed: Mask) -> Rows:
        """Return the rows whose cell is `probed: (cells,)`, unordered."""
        cells = np.flatnonzero(probed[: len(self.starts) - 1])
        slices = zip(self.starts[cells].tolist(), self.starts[cells + 1].tolist(), strict=True)
        found = [self.places[start:end] for start, end in slices]
        return np.concatenate(found) if found else self.places[:0]


@dataclass(frozen=True, eq=False)
class Delta:
    """Rows of arrivals, oldest first.

    `serials: (C,)` name rows for good and ascend; a row's place changes when dead ones are dropped.
    `ordinals: (C,)` tell in which order the videos arrived, `moments: (C,)` when (NEVER for those
    that were trained and replaced since), `cells: (C,)` where the index of the snapshot would look
    for them, `by_cell` finds older ones by it, `facets` what is told of them.
    `dead: (count,)` rows were replaced or deleted; `barred: (count,)` are these and hidden ones.
    """

    vectors: Floats
    serials: Rows
    ordinals: Rows
    moments: Doubles
    cells: Rows
    by_cell: CellOrder
    ids: list[VideoId]
    facets: GrownFacets
    dead: Mask
    barred: Mask
    next_serial: int

    @classmethod
    def empty(cls, width: int) -> "Delta":
        """Return a delta without rows, for vectors of `width`."""
        return cls(
            vectors=np.empty((FIRST_CAPACITY, width), dtype=np.float32),
            serials=np.empty(FIRST_CAPACITY, dtype=np.int64),
            ordinals=np.empty(FIRST_CAPACITY, dtype=np.int64),
            moments=np.empty(FIRST_CAPACITY, dtype=np.float64),
            cells=np.empty(FIRST_CAPACITY, dtype=np.int64),
            by_cell=CellOrder.of(np.empty(0, dtype=np.int64)),
            ids=[],
            facets=GrownFacets(),
            dead=np.zeros(0, dtype=bool),
            barred=np.zeros(0, dtype=bool),
            next_serial=0,
        )

    @property
    def count(self) -> int:
        """The number of rows, dead ones included."""
        return len(self.dead)

    def place(self, serial: int) -> int:
        """Return where the row named `serial` is now."""
        return int(np.searchsorted(self.serials[: self.count], serial))

    def within(self, probed: Mask) -> Rows:
        """Return where rows are, dead ones too, whose cell is `probed: (cells,)`; unordered."""
        sorted_count = len(self.by_cell.places)
        unsorted = np.flatnonzero(probed[self.cells[sorted_count : self.count]])
        return np.concatenate([self.by_cell.within(probed), unsorted + sorted_count])


class DeltaEdit:
    """Adds and marks rows and yields the next delta; the old one stays as it was."""

    def __init__(self, delta: Delta, index: Index) -> None:
        """Begin from `delta`; `index` is the snapshot's."""
        self._delta = delta
        self._index = index
        self._old_count = delta.count
        # What an edit that failed halfway has left behind; no delta sees that far.
        del delta.ids[delta.count :]
        delta.facets.cut(delta.count)
        self._count = delta.count
        self._next_serial = delta.next_serial
        self._dead = np.zeros(len(delta.vectors), dtype=bool)
        self._barred = np.zeros(len(delta.vectors), dtype=bool)
        self._dead[: self._count] = delta.dead
        self._barred[: self._count] = delta.barred

    def append(
        self,
        video_id: VideoId,
        vector: Floats,
        metadata: Mapping[str, Any],
        *,
        ordinal: int | None,
        hidden: bool,
        moment: float = NEVER,
    ) -> int:
        """Add a row and return its serial. A video that arrives now has no `ordinal` yet."""
        place, serial = self._count, self._next_serial
        if place == len(self._delta.vectors):
            self._grow()
        delta = self._delta
        delta.vectors[place] = vector
        delta.serials[place] = serial
        delta.ordinals[place] = serial if ordinal is None else ordinal
        delta.moments[place] = moment
        delta.ids.append(video_id)
        delta.facets.append(metadata)
        self._dead[place] = False
        self._barred[place] = hidden
        self._count += 1
        self._next_serial += 1
        return serial

    def kill(self, serial: int) -> int:
        """Mark a row as dead and return its ordinal."""
        place = self._place(serial)
        self._dead[place] = self._barred[place] = True
        return int(self._delta.ordinals[place])

    def bar(self, serial: int, *, hidden: bool) -> None:
        """Mark a live row as hidden or not."""
        self._barred[self._place(serial)] = hidden

    def moment(self, serial: int) -> float:
        """Return when the video of a row arrived."""
        return float(self._delta.moments[self._place(serial)])

    def vector(self, serial: int) -> Floats:
        """Return a copy of a row's vector: (D,)."""
        return np.array(self._delta.vectors[self._place(serial)])

    def finish(self) -> Delta:
        """Return the delta with all that was done."""
        new = slice(self._old_count, self._count)
        self._delta.cells[new] = self._index.cells_of(self._delta.vectors[new])
        by_cell = self._delta.by_cell
        if self._count - len(by_cell.places) > ROWS_UNSORTED:
            by_cell = CellOrder.of(self._delta.cells[: self._count])
        delta = replace(
            self._delta,
            by_cell=by_cell,
            dead=self._dead[: self._count],
            barred=self._barred[: self._count],
            next_serial=self._next_serial,
        )
        dead = int(delta.dead.sum())
        return _without_dead(delta) if dead > max(DEAD_ROWS_KEPT, self._count - dead) else delta

    def _place(self, serial: int) -> int:
        return int(np.searchsorted(self._delta.serials[: self._count], serial))

    def _grow(self) -> None:
        room = len(self._delta.vectors)
        self._delta = _copied(self._delta, np.arange(self._count), 2 * room)
        self._dead = np.concatenate([self._dead, np.zeros(room, dtype=bool)])
        self._barred = np.concatenate([self._barred, np.zeros(room, dtype=bool)])


def _without_dead(delta: Delta) -> Delta:
    """Return `delta` without its dead rows, so that memory follows what is live."""
    live = np.flatnonzero(~delta.dead)
    smaller = _copied(delta, live, max(FIRST_CAPACITY, 2 * len(live)))
    return replace(
        smaller,
        by_cell=CellOrder.of(smaller.cells[: len(live)]),
        facets=delta.facets.taken(live),
        dead=np.zeros(len(live), dtype=bool),
        barred=delta.barred[live],
    )


def _copied(delta: Delta, places: Rows, capacity: int) -> Delta:
    """Return `delta` with copies of the rows at `places`, room for `capacity` and its old marks."""
    count = len(places)
    vectors = np.empty((capacity, delta.vectors.shape[1]), dtype=np.float32)
    vectors[:count] = delta.vectors[places]
    columns: dict[str, Any] = {}
    for name in ("serials", "ordinals", "moments", "cells"):
        column = getattr(delta, name)
        columns[name] = np.empty(capacity, dtype=column.dtype)
        columns[name][:count] = column[places]
    ids = [delta.ids[place] for place in places.tolist()]
    return replace(delta, vectors=vectors, ids=ids, **columns)
