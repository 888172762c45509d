"""Lists are full and exact where an approximate index stands behind them."""

from collections.abc import Iterable
from typing import Any

import faiss
import numpy as np
import pytest

from eventlog.events import KINDS, VideoDeleted
from eventlog.position import START, Position
from models.bundle.manifest import IndexEntry
from models.bundle.reader import read_bundle, read_current_id
from service.catalog.edit import Edit, Feedback
from service.catalog.index import FaissIndex, Rows
from service.catalog.overlay import Overlay
from service.catalog.retrieval import FEW_ROWS, retrieve
from service.catalog.snapshot import Snapshot
from service.catalog.view import View
from tests.support import oracle
from tests.support.bundles import plant, write_small_bundle

USERS, WIDE = 20, 6000


@pytest.fixture(scope="module", params=[("Flat", 1), ("PQ8x4fsr", 4)], ids=["whole", "rounded"])
def wide(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """WIDE videos behind an inverted file that looks at one list of forty."""
    rng = np.random.default_rng(1)
    root = tmp_path_factory.mktemp("wide")
    planted = plant(rng.normal(size=(USERS, 8)), rng.normal(size=(WIDE, 8)))
    write_small_bundle(root, videos=WIDE, users=USERS, planted=planted)
    snapshot = Snapshot(read_bundle(root / read_current_id(root)))
    held, refine = request.param
    index: Any = faiss.index_factory(8, f"IVF40,{held}", faiss.METRIC_INNER_PRODUCT)
    index.train(np.array(snapshot.vectors))
    index.add(np.array(snapshot.vectors))
    snapshot.index = FaissIndex(index, IndexEntry(f"ivf40,{held}", 1, refine, 0.9))
    assert snapshot.manifest.videos > FEW_ROWS
    return snapshot


def without(snapshot: Snapshot, names: Iterable[str]) -> View:
    """Return what is seen of `snapshot` once the videos of these `names` are deleted."""
    overlay = Overlay.empty(snapshot, START)
    edit = Edit(snapshot, overlay, Feedback(dict.fromkeys(KINDS, 0.0), 1000))
    for name in names:
        edit.apply(VideoDeleted(video_id=name, recorded_at=0))
    return View(snapshot, edit.finish(Position("1")))


def rows_of(numbers: Iterable[int]) -> Rows:
    return np.array(sorted(numbers), dtype=np.int64)


@pytest.mark.parametrize("barred", [0, 3000, 5000, 5990, WIDE])
def test_a_list_is_filled_however_much_is_seen_or_deleted(wide: Snapshot, barred: int) -> None:
    """Cases 18 and 24."""
    names = wide.bundle.video_ids
    view = without(wide, names[: barred // 2])
    hidden = rows_of(range(barred // 2, barred))
    vector = np.array(wide.bundle.users[0])
    listed = retrieve(view, vector, 10, bar=view.bar(0.0).and_rows(hidden))
    found = [(candidate.video_id, candidate.score) for candidate in listed]
    assert len(found) == min(10, WIDE - barred)
    assert not {name for name, _ in found} & set(names[:barred])
    if barred >= 5000:
        live = {name: np.array(wide.vectors[row]) for row, name in enumerate(names)}
        assert found == oracle.best(live, vector, 10, hidden=set(names[:barred]))


def test_the_best_thousands_may_all_be_seen(wide: Snapshot) -> None:
    """Case 24."""
    vector = np.array(wide.bundle.users[1])
    order = np.argsort(-(wide.vectors @ vector))
    view = View(wide, Overlay.empty(wide, START))
    for seen in (100, WIDE - FEW_ROWS + 100, WIDE - 100):
        bar = view.bar(0.0).and_rows(rows_of(order[:seen].tolist()))
        found = [candidate.row for candidate in retrieve(view, vector, 20, bar=bar)]
        assert len(found) == 20
        assert not set(found) & set(order[:seen].tolist())
    assert found == order[seen : seen + 20].tolist()


def test_what_is_found_has_its_exact_score(wide: Snapshot) -> None:
    view = View(wide, Overlay.empty(wide, START))
    for row in range(5):
        vector = np.array(wide.bundle.users[row])
        found = retrieve(view, vector, 20)
        rows = np.array([candidate.row for candidate in found])
        exact = (wide.vectors[rows].astype(np.float64) * vector).sum(axis=1)
        assert [candidate.score for candidate in found] == exact.tolist()
        assert exact.tolist() == sorted(exact.tolist(), reverse=True)


def test_a_long_list_looks_into_more_cells_until_it_is_full(wide: Snapshot) -> None:
    view = View(wide, Overlay.empty(wide, START))
    vector = np.array(wide.bundle.users[2])
    found = [candidate.row for candidate in retrieve(view, vector, 500)]
    best = set(np.argsort(-(wide.vectors @ vector))[:500].tolist())
    assert len(set(found)) == 500
    # One list of forty holds some 150 rows.
    assert len(set(found) & best) >= 200
