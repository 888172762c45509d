"""The index of a bundle: what is chosen by size, and that it finds what it says."""

from typing import Any

import faiss
import numpy as np
import pytest

from tests.support.bundles import unit
from training.indexing import build_index


@pytest.mark.parametrize("held", ["flat", "pq16x4fsr"])
@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_a_large_catalog_gets_an_inverted_file_that_finds_nearly_all(
    spread: float, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.indexing.LARGEST_EXACT", 1000)
    monkeypatch.setattr("training.indexing.LARGEST_WHOLE", 6000 if held == "flat" else 5999)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 16))
    near = centres[rng.integers(40, size=6000)] + rng.normal(0, spread, (6000, 16))
    videos = near.astype(np.float32)
    users = rng.normal(size=(700, 16)).astype(np.float32)
    index, entry = build_index(videos, users)
    assert entry.kind.startswith("ivf")
    assert 1 <= entry.nprobe <= int(entry.kind.removeprefix("ivf").removesuffix(f",{held}"))
    assert entry.recall_at_20 >= 0.99
    assert entry.curve[-1] == (entry.nprobe, entry.recall_at_20)
    assert [recall for _, recall in entry.curve[:-1]] == [
        recall for _, recall in entry.curve[:-1] if recall < 0.99
    ]
    # Asked again by users that did not choose nprobe, after a trip through bytes.
    again: Any = faiss.deserialize_index(faiss.serialize_index(index))
    again.nprobe = entry.nprobe
    others = rng.normal(size=(300, 16)).astype(np.float32)
    found = again.search(others, 20 * entry.refine)[1]
    truth = np.argsort(-(others @ videos.T), axis=1)[:, :20]
    recall = np.mean([np.isin(t, f).mean() for t, f in zip(truth, found, strict=True)])
    assert recall >= 0.98


def test_what_rounding_costs_is_made_up_for_where_no_cell_is_left_to_look_into(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Vectors that lie nowhere in particular: twice as many as wanted find .98 in all cells."""
    monkeypatch.setattr("training.indexing.LARGEST_EXACT", 1000)
    monkeypatch.setattr("training.indexing.LARGEST_WHOLE", 5999)
    rng = np.random.default_rng(0)
    videos, users = unit(rng.normal(size=(6000, 64))), unit(rng.normal(size=(700, 64)))
    _, entry = build_index(videos, users)
    assert entry.recall_at_20 >= 0.99
    assert entry.refine > 2
    assert entry.curve[-1] == (entry.nprobe, entry.recall_at_20)


def test_a_small_catalog_gets_the_exact_index() -> None:
    vectors = np.eye(5, dtype=np.float32)
    index, entry = build_index(vectors, vectors)
    assert (entry.kind, entry.nprobe, entry.refine, entry.recall_at_20) == ("flat", 0, 1, 1.0)
    assert index.ntotal == 5
