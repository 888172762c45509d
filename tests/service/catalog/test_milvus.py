"""A bundle's vectors come into Milvus whole and once, and are found there or else here."""

import signal
import threading
import time
from collections.abc import Iterator
from threading import Event
from typing import Any

import faiss
import numpy as np
import pytest

from models.bundle.manifest import IndexEntry
from service.catalog.index import ExactIndex, FaissIndex, Floats
from service.catalog.milvus.address import Address, turn, whole
from service.catalog.milvus.engine import Engine, EngineAway
from service.catalog.milvus.publishing import Content, Publisher
from tests.support.bundles import unit
from tests.support.engines import Unasked, milvus_index, published
from tests.support.milvus import MilvusServer
from tests.support.server import eventually

BATCH = 50


class Halting(Engine):
    """An engine whose client stops for good after a number of batches, as a killed one does."""

    batches = 0

    def insert(self, name: str, start: int, vectors: Floats) -> None:
        if self.batches == 0:
            raise EngineAway("halted")
        self.batches -= 1
        super().insert(name, start, vectors)


@pytest.fixture(scope="module")
def engine(milvus: MilvusServer) -> Iterator[Engine]:
    engine = milvus.engine()
    yield engine
    engine.disconnect()


def halting(engine: Engine, batches: int) -> Halting:
    """Return an engine on the connection of `engine` that inserts so many batches."""
    found: Halting = Halting.__new__(Halting)
    found.__dict__.update(engine.__dict__, batches=batches)
    return found


def vectors(count: int, seed: int) -> Floats:
    return unit(np.random.default_rng(seed).normal(size=(count, 8)))


def publisher(engine: Engine, owner: str, patience: float = 0.5) -> Publisher:
    return Publisher(engine, owner=owner, stopped=Event(), patience=patience)


def assert_whole(engine: Engine, content: Content) -> None:
    rows = len(content.vectors)
    assert engine.meant_by(whole(content.collection)) == content.collection
    assert engine.count(content.collection) == rows
    for row in range(0, rows, 37):
        ((found, scores),) = engine.search(
            content.collection, content.vectors[row : row + 1], rows, 1
        )
        assert sorted(found.tolist()) == list(range(rows))
        assert found[0] == row
        assert scores[0] == pytest.approx(1, abs=1e-5)
    assert not [name for name in engine.names() if name.startswith(f"{content.collection}_turn")]


def test_whoever_comes_after_one_that_was_killed_goes_on_from_there(engine: Engine) -> None:
    content = Content("test_resumed", vectors(320, 1), 0, BATCH)
    with pytest.raises(EngineAway, match="halted"):
        publisher(halting(engine, 3), "first").publish(content)
    assert engine.count(content.collection) == 3 * BATCH
    assert not engine.meant_by(whole(content.collection))
    # It has no more to insert than what is missing.
    publisher(halting(engine, 4), "second").publish(content)
    assert_whole(engine, content)
    publisher(halting(engine, 0), "third").publish(content)


def test_rows_that_are_there_twice_or_not_at_all_are_mended(engine: Engine) -> None:
    content = Content("test_mended", vectors(320, 2), 0, BATCH)
    with pytest.raises(EngineAway, match="halted"):
        publisher(halting(engine, 2), "first").publish(content)
    # One who was taken over from came back, in the middle of a batch.
    engine.insert(content.collection, 60, content.vectors[60:80])
    engine.insert(content.collection, 200, content.vectors[200:240])
    publisher(halting(engine, 6), "second").publish(content)
    assert_whole(engine, content)


def test_of_many_at_once_one_fills_the_collection(milvus: MilvusServer) -> None:
    content = Content("test_raced", vectors(500, 3), 0, BATCH)
    engines = [milvus.engine() for _ in range(3)]
    inserted: list[tuple[int, int]] = []

    class Counted(Engine):
        def insert(self, name: str, start: int, vectors: Floats) -> None:
            inserted.append((threading.get_ident(), start))
            super().insert(name, start, vectors)

    for engine in engines:
        engine.__class__ = Counted
    threads = [
        threading.Thread(
            target=publisher(engine, f"replica {number}", patience=20).publish, args=(content,)
        )
        for number, engine in enumerate(engines)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [start for _, start in inserted] == list(range(0, 500, BATCH))
    assert len({thread for thread, _ in inserted}) == 1
    assert_whole(engines[0], content)
    for engine in engines:
        engine.disconnect()


def test_a_turn_is_had_by_one_alone(engine: Engine) -> None:
    name = turn("test_turns", 1)
    assert engine.make(name, 2, note="one")
    assert not engine.make(name, 2, note="another")
    assert engine.make(name, 2, note="one")
    engine.drop(name)
    assert name not in engine.names()


def test_rounded_vectors_of_a_large_collection_are_found(milvus: MilvusServer) -> None:
    rng = np.random.default_rng(4)
    tastes = rng.normal(size=(100, 16))
    many = unit(tastes[rng.integers(100, size=12_000)] + 0.4 * rng.normal(size=(12_000, 16)))
    own: Any = faiss.index_factory(16, "IVF128,SQ8", faiss.METRIC_INNER_PRODUCT)
    own.train(many)
    own.add(many)
    engine = milvus.engine()
    unasked = Unasked(FaissIndex(own, IndexEntry("ivf128,sq8", 16, 4, 0.99)))
    index = published(engine, milvus_index(engine, many, unasked))
    assert index.content.lists == 128
    assert index.content.rounded
    # What is indexed is scored row by row until it is loaded, a second or two later.
    # A share of the cells is looked into, and more with more effort.
    eventually(lambda: len(index.retrieve(many[0], 12_000)[0]) < 6_000)
    assert len(index.retrieve(many[0], 12_000, effort=8)[0]) == 12_000
    exact, shares = ExactIndex(many), []
    for query in many[:50]:
        best, found = exact.retrieve(query, 20)[0], index.retrieve(query, 80)[0]
        shares.append(np.isin(best, found).mean())
    assert np.mean(shares) > 0.97
    engine.disconnect()


def test_a_stopped_milvus_costs_one_search_its_time_and_answers_come_from_here(
    milvus: MilvusServer,
) -> None:
    few, engine = vectors(200, 5), milvus.engine(seconds=0.3)
    told: list[str] = []
    own = ExactIndex(few)
    index = milvus_index(engine, few, own, on_failure=lambda _, fault: told.append(fault))
    published(engine, index)
    expected = own.retrieve(few[7], 20)[0].tolist()
    assert index.retrieve(few[7], 20)[0].tolist() == expected
    assert index._metrics.fallbacks._value.get() == 0
    milvus.signal(signal.SIGSTOP)
    try:
        took = []
        for _ in range(3):
            started = time.monotonic()
            assert index.retrieve(few[7], 20)[0].tolist() == expected
            took.append(time.monotonic() - started)
    finally:
        milvus.signal(signal.SIGCONT)
    assert 0.25 < took[0] < 1.0
    assert max(took[1:]) < 0.1
    assert len(told) == 1
    assert index._metrics.fallbacks._value.get() == 3
    assert not index.available
    engine.disconnect()


def test_more_rows_than_milvus_gives_are_asked_of_the_bundle_s_own_index(
    milvus: MilvusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, engine = vectors(200, 5), milvus.engine()
    index = published(engine, milvus_index(engine, few, ExactIndex(few)))
    monkeypatch.setattr("service.catalog.milvus.index.MOST_ROWS", 100)
    assert len(index.retrieve(few[0], 150)[0]) == 150
    # That is no failure: nobody is told of it.
    assert index.available
    assert index._metrics.fallbacks._value.get() == 0
    engine.disconnect()


def test_scores_are_rounded_only_where_they_are_to_be_scored_again() -> None:
    few, own = vectors(50, 6), ExactIndex(vectors(50, 6))
    nowhere = Engine(Address("http://127.0.0.1:9", "", "reco"), "", search_seconds=0.3)
    for refine, rounded in ((1, False), (4, True)):
        own.refine = refine
        index = milvus_index(nowhere, few, own)
        assert (index.refine, index.content.rounded) == (refine, rounded)


def test_nobody_is_waited_for_who_is_not_there() -> None:
    few = vectors(50, 6)
    nowhere = Engine(Address("http://127.0.0.1:9", "", "reco"), "", search_seconds=0.3)
    index = milvus_index(nowhere, few, ExactIndex(few))
    index.available = True
    assert index.retrieve(few[3], 5)[0][0] == 3
    assert not index.available
    with pytest.raises(EngineAway):
        nowhere.connect()
