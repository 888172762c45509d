"""Builds indexes in a Milvus over given vectors, beside one that nobody should have to ask."""

import hashlib
from collections.abc import Callable
from threading import Event

from prometheus_client import CollectorRegistry

from service.catalog.index import Floats, Index, Rows
from service.catalog.milvus.engine import Engine
from service.catalog.milvus.index import MilvusIndex
from service.catalog.milvus.publishing import Publisher
from service.measures.engine import EngineMetrics


class Unasked:
    """A bundle's own index with all but its answers."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.refine, self.scanned, self.remote = index.refine, index.scanned, index.remote
        self.cells_of, self.probed_cells = index.cells_of, index.probed_cells

    def retrieve(self, vector: Floats, k: int, *, effort: int = 1) -> tuple[Rows, Floats]:
        assert k == 0, "the bundle's own index was asked"
        return self._index.retrieve(vector, k, effort=effort)

    def retrieve_many(self, vectors: Floats, k: int) -> tuple[Rows, Floats]:
        raise AssertionError("the bundle's own index was asked")


def milvus_index(
    engine: Engine,
    vectors: Floats,
    own: Index,
    *,
    name: str = "",
    on_failure: Callable[[MilvusIndex, str], None] = lambda *_: None,
) -> MilvusIndex:
    """Return an index over `vectors: (V, D)`, which Milvus does not hold yet."""
    name = name or f"test_{hashlib.sha256(vectors.tobytes()).hexdigest()[:12]}"
    metrics = EngineMetrics(CollectorRegistry())
    return MilvusIndex(engine, name, vectors, own, metrics, on_failure=on_failure)


def published(engine: Engine, index: MilvusIndex, *, patience: float = 5.0) -> MilvusIndex:
    """Return `index` once Milvus holds it and answers."""
    publisher = Publisher(engine, owner=str(id(index)), stopped=Event(), patience=patience)
    publisher.publish(index.content)
    index.available = True
    return index
