"""Finds rows in Milvus, and in the bundle's own index where that does not answer. Knows rows."""

from collections.abc import Callable
from typing import Final

import numpy as np

from service.catalog.index import Floats, Index, Mask, Rows
from service.catalog.milvus.engine import MOST_ROWS, Engine, EngineAway
from service.catalog.milvus.publishing import Content
from service.measures.engine import EngineMetrics

# With more cells than this a segment of Milvus has too few rows for each.
MOST_LISTS: Final = 16_384


class MilvusIndex:
    """Search over the vectors of one bundle in Milvus.

    It is asked while it is `available`; before, after a failure, and for more rows than Milvus
    gives at once, the bundle's own index answers, memory-mapped and read only then. Arrivals are
    looked for in the cells of that one, so that a replica's choice among them is not a matter of
    who answered.
    """

    def __init__(
        self,
        engine: Engine,
        collection: str,
        vectors: Floats,
        own: Index,
        metrics: EngineMetrics,
        *,
        on_failure: Callable[["MilvusIndex", str], None],
    ) -> None:
        """Keep where to ask; it is not available yet. `own` is the bundle's index."""
        self._engine = engine
        self._own = own
        self._metrics = metrics
        self._on_failure = on_failure
        self.remote = True
        self.refine = own.refine
        self.scanned = own.scanned
        self.available = False
        lists, self._nprobe = _cells(own, vectors)
        self._lists = lists
        self.content = Content(collection, vectors, lists, rounded=own.refine > 1)

    def retrieve(self, vector: Floats, k: int, *, effort: int = 1) -> tuple[Rows, Floats]:
        """Return what Milvus finds, best first, or else what the bundle's own index finds."""
        found = self._found(vector[None, :], min(k, len(self.content.vectors)), effort=effort)
        return self._own.retrieve(vector, k, effort=effort) if found is None else found[0]

    def retrieve_many(self, vectors: Floats, k: int) -> tuple[Rows, Floats]:
        """Return the same for each, asked for together."""
        found = self._found(vectors, min(k, len(self.content.vectors)))
        if found is None:
            return self._own.retrieve_many(vectors, k)
        rows = np.full((len(vectors), k), -1, dtype=np.int64)
        scores = np.full((len(vectors), k), -np.inf, dtype=np.float32)
        for place, (theirs, products) in enumerate(found):
            rows[place, : len(theirs)], scores[place, : len(theirs)] = theirs, products
        return rows, scores

    def _found(
        self, vectors: Floats, k: int, *, effort: int = 1
    ) -> list[tuple[Rows, Floats]] | None:
        """Return what Milvus finds; None if the bundle's own index is to be asked."""
        if not 0 < k <= MOST_ROWS:
            return None
        if self.available:
            try:
                return self.ask(vectors, k, effort=effort)
            except EngineAway as error:
                self.available = False
                self._metrics.errors.labels("search").inc()
                self._on_failure(self, str(error))
        self._metrics.fallbacks.inc()
        return None

    def ask(self, vectors: Floats, k: int, *, effort: int = 1) -> list[tuple[Rows, Floats]]:
        """Return what Milvus finds near each of `vectors: (B, D)`, whether available or not.

        Raises:
            EngineAway: it does not answer in time.
        """
        nprobe = min(effort * self._nprobe, self._lists)
        with self._metrics.seconds.time():
            return self._engine.search(self.content.collection, vectors, k, nprobe)

    def cells_of(self, vectors: Floats) -> Rows:
        """Return the cell of the bundle's own index for each vector."""
        return self._own.cells_of(vectors)

    def probed_cells(self, vector: Floats) -> Mask | None:
        """Return which cells of the bundle's own index a search would look into."""
        return self._own.probed_cells(vector)


def _cells(own: Index, vectors: Floats) -> tuple[int, int]:
    """Return in how many cells Milvus is to divide the vectors and how many to look into.

    The same share of as many cells as training has found good; (0, 0) for exact search.
    """
    probed = own.probed_cells(np.asarray(vectors[0]))
    if probed is None:
        return 0, 0
    lists = min(len(probed), MOST_LISTS)
    share = int(np.count_nonzero(probed)) / len(probed)
    return lists, max(1, round(share * lists))
