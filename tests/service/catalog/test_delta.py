"""The delta finds rows by cell as looking at every row would, sorted or not, dead ones dropped."""

import faiss
import numpy as np

from models.bundle.manifest import IndexEntry
from models.ids import VideoId
from service.catalog.delta import DEAD_ROWS_KEPT, ROWS_UNSORTED, Delta, DeltaEdit
from service.catalog.index import FaissIndex, Floats

WIDTH, CELLS, PROBED = 8, 64, 5


def _unit(generator: np.random.Generator, count: int) -> Floats:
    vectors = generator.standard_normal((count, WIDTH)).astype(np.float32)
    scaled: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def _index(generator: np.random.Generator) -> FaissIndex:
    trained = _unit(generator, 4000)
    ivf = faiss.index_factory(WIDTH, f"IVF{CELLS},Flat", faiss.METRIC_INNER_PRODUCT)
    ivf.train(trained)
    ivf.add(trained)
    return FaissIndex(ivf, IndexEntry(f"ivf{CELLS}", PROBED, 1, 1.0))


def _appended(delta: Delta, index: FaissIndex, vectors: Floats) -> Delta:
    edit = DeltaEdit(delta, index)
    for number, vector in enumerate(vectors):
        edit.append(VideoId(f"v{number}"), vector, {}, ordinal=None, hidden=False)
    return edit.finish()


def test_rows_of_probed_cells_are_found_whether_they_were_sorted_or_not() -> None:
    generator = np.random.default_rng(0)
    index = _index(generator)
    delta = Delta.empty(WIDTH)
    # Sorted twice, each time with a rest behind; the last page stays unsorted.
    for count in (1, 300, ROWS_UNSORTED, 200, ROWS_UNSORTED + 1, 500):
        delta = _appended(delta, index, _unit(generator, count))
        for query in _unit(generator, 20):
            probed = index.probed_cells(query)
            assert probed is not None
            expected = np.flatnonzero(probed[delta.cells[: delta.count]])
            assert np.array_equal(np.sort(delta.within(probed)), expected)
    assert 0 < len(delta.by_cell.places) < delta.count


def test_rows_are_found_after_dead_ones_were_dropped() -> None:
    generator = np.random.default_rng(1)
    index = _index(generator)
    delta = _appended(Delta.empty(WIDTH), index, _unit(generator, ROWS_UNSORTED + 1000))
    edit = DeltaEdit(delta, index)
    for serial in range(ROWS_UNSORTED):
        edit.kill(serial)
    smaller = edit.finish()
    assert smaller.count == 1000 < DEAD_ROWS_KEPT  # dropped, not only marked
    smaller = _appended(smaller, index, _unit(generator, 10))
    everywhere = np.ones(CELLS, dtype=bool)
    assert np.array_equal(np.sort(smaller.within(everywhere)), np.arange(1010))
    for query in _unit(generator, 20):
        probed = index.probed_cells(query)
        assert probed is not None
        expected = np.flatnonzero(probed[smaller.cells[: smaller.count]])
        assert np.array_equal(np.sort(smaller.within(probed)), expected)


def test_an_older_delta_of_the_same_line_does_not_see_newer_rows() -> None:
    generator = np.random.default_rng(2)
    index = _index(generator)
    old = _appended(Delta.empty(WIDTH), index, _unit(generator, 100))
    _appended(old, index, _unit(generator, 2 * ROWS_UNSORTED))
    assert np.array_equal(np.sort(old.within(np.ones(CELLS, dtype=bool))), np.arange(100))
