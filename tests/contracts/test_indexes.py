"""What every index must do, asked of each there is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle.errors import CorruptBundle
from models.bundle.manifest import IndexEntry
from service.catalog.device import CudaIndex
from service.catalog.index import ExactIndex, FaissIndex, Floats, Index
from service.catalog.milvus.index import MilvusIndex
from tests.support.engines import Unasked, milvus_index, published
from tests.support.milvus import MilvusServer
from tests.support.protocols import implementations


class Place(NamedTuple):
    """Where an index can be: in a folder, or in the Milvus that is started when first asked for."""

    folder: Path
    milvus: Callable[[], MilvusServer]


Builder = Callable[[Floats, Place], Index]


def exact(vectors: Floats, _: Place) -> Index:
    return ExactIndex(vectors)


def flat(vectors: Floats, place: Place) -> Index:
    entry = IndexEntry("flat", 0, 1, 1.0)
    return opened(faiss.IndexFlatIP(vectors.shape[1]), vectors, place.folder, entry)


def inverted(vectors: Floats, place: Place) -> Index:
    """Probe every list: only then is an inverted file bound to the contract."""
    lists = max(1, len(vectors) // 40)
    index: Any = faiss.index_factory(
        vectors.shape[1], f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT
    )
    index.cp.min_points_per_centroid = 1
    index.train(vectors)
    return opened(index, vectors, place.folder, IndexEntry(f"ivf{lists}", lists, 1, 1.0))


def milvus(vectors: Floats, place: Place) -> Index:
    """Of fewer than a thousand rows Milvus indexes none and scores all of them."""
    engine, own = place.milvus().engine(), Unasked(inverted(vectors, place))
    return published(engine, milvus_index(engine, vectors, own))


def on_device(vectors: Floats, place: Place) -> Index:
    if not hasattr(faiss, "StandardGpuResources") or faiss.get_num_gpus() == 0:
        pytest.skip("no GPU that FAISS can use")
    own = inverted(vectors, place)
    assert isinstance(own, FaissIndex)
    return CudaIndex(own, vectors)


def opened(index: Any, vectors: Floats, folder: Path, entry: IndexEntry) -> Index:
    index.add(vectors)
    faiss.write_index(index, str(folder / "index.faiss"))
    shape = (vectors.shape[0], vectors.shape[1])
    return FaissIndex.open(folder / "index.faiss", shape=shape, entry=entry)


BUILDERS: dict[type, list[Builder]] = {
    ExactIndex: [exact],
    FaissIndex: [flat, inverted],
    MilvusIndex: [milvus],
    CudaIndex: [on_device],
}


def test_no_index_escapes_this_suite() -> None:
    assert implementations(Index) == set(BUILDERS)


@pytest.fixture(params=[build for builders in BUILDERS.values() for build in builders])
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Floats], Index]:
    """Builds the index under test over given vectors."""
    builder: Builder = request.param
    place = Place(tmp_path, lambda: request.getfixturevalue("milvus"))
    return lambda vectors: builder(np.ascontiguousarray(vectors, np.float32), place)


Build = Callable[[Floats], Index]


@pytest.mark.parametrize("k", [0, 1, 5, 99])
def test_it_never_returns_more_than_there_are(build: Build, k: int) -> None:
    vectors = np.eye(5, dtype=np.float32)
    rows = build(vectors).retrieve(vectors[0], k)[0]
    assert rows.dtype == np.int64
    assert len(set(rows.tolist())) == len(rows) == min(k, 5)
    assert set(rows.tolist()) <= set(range(5))


def test_the_best_comes_first(build: Build) -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    index = build(vectors)
    for query in vectors[:20]:
        rows = index.retrieve(query, 25)[0]
        assert rows.tolist() == np.argsort(-(vectors @ query), kind="stable")[:25].tolist()


def test_many_are_answered_as_each_alone(build: Build) -> None:
    vectors = np.random.default_rng(4).normal(size=(300, 8)).astype(np.float32)
    index = build(vectors)
    for count in (1, 7, 40):
        rows, scores = index.retrieve_many(vectors[:count], 25)
        assert rows.shape == scores.shape == (count, 25)
        for query, found, theirs in zip(vectors, rows, scores, strict=False):
            alone, score = index.retrieve(query, 25)
            assert found.tolist() == alone.tolist()
            assert theirs.tolist() == score.tolist()


def test_what_is_missing_among_many_is_marked(build: Build) -> None:
    vectors = np.eye(5, dtype=np.float32)
    rows, _ = build(vectors).retrieve_many(vectors[:2], 8)
    assert (rows[:, 5:] == -1).all()
    assert [sorted(found[:5]) for found in rows.tolist()] == [[0, 1, 2, 3, 4]] * 2


def test_every_video_can_be_found(build: Build) -> None:
    vectors = np.random.default_rng(1).normal(size=(200, 8)).astype(np.float32)
    assert sorted(build(vectors).retrieve(vectors[0], 200)[0].tolist()) == list(range(200))


def test_a_zero_query_finds_as_many_as_any_other(build: Build) -> None:
    vectors = np.random.default_rng(2).normal(size=(50, 4)).astype(np.float32)
    assert len(build(vectors).retrieve(np.zeros(4, np.float32), 10)[0]) == 10


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.lists(st.sampled_from([-1.0, 0.0, 2.0]), min_size=2, max_size=2), min_size=1),
    k=st.integers(0, 30),
)
def test_the_exact_index_breaks_ties_by_row(rows: list[list[float]], k: int) -> None:
    vectors = np.array(rows, np.float32)
    query = np.array([1.0, 0.5], np.float32)
    expected = sorted(range(len(rows)), key=lambda row: (-float(vectors[row] @ query), row))[:k]
    assert ExactIndex(vectors).retrieve(query, k)[0].tolist() == expected


@pytest.mark.parametrize("shape", [(9, 4), (10, 3)])
def test_an_index_of_another_shape_is_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    index = faiss.IndexFlatIP(4)
    index.add(np.ones((10, 4), np.float32))
    faiss.write_index(index, str(tmp_path / "i"))
    with pytest.raises(CorruptBundle, match="10 vectors of width 4"):
        FaissIndex.open(tmp_path / "i", shape=shape, entry=IndexEntry("flat", 0, 1, 1.0))


@pytest.mark.parametrize("content", [b"", b"x", b"IxFI", b"\x00" * 100])
def test_what_is_no_index_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "i").write_bytes(content)
    with pytest.raises(CorruptBundle):
        FaissIndex.open(tmp_path / "i", shape=(1, 1), entry=IndexEntry("flat", 0, 1, 1.0))
