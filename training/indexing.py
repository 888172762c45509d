"""Chooses, builds and tunes the FAISS index of a bundle. Knows vectors; nothing of the format."""

from collections.abc import Iterator
from typing import Any, Final

import faiss
import numpy as np

from models.bundle.manifest import IndexEntry
from training.data.dataset import Floats, Rows

# Up to here exact search takes a tenth of a millisecond or two on one core and needs no tuning.
LARGEST_EXACT: Final = 10_000
RECALL_TARGET: Final = 0.99
QUERIES: Final = 500
DEPTH: Final = 20
# Up to here whole vectors are searched as fast as rounded ones that are scored anew.
LARGEST_WHOLE: Final = 300_000
# How many times as many rows as wanted may be asked for where vectors are rounded; the first one
# that finds as much as the last one, but for LOST.
REFINES: Final = (2, 3, 4, 6, 8, 16)
LOST: Final = 0.002
# So many cells are looked into while that is chosen.
PROBED: Final = 16
# More points than this make cells no better, and training takes in proportion.
POINTS_PER_CELL: Final = 64


def build_index(
    videos: Floats, users: Floats, *, recall_target: float = RECALL_TARGET
) -> tuple[Any, IndexEntry]:
    """Return a FAISS inner-product index over `videos: (V, D)` and what it is.

    Small catalogs get exact search, larger ones an inverted file: of whole vectors, or, where these
    would no longer stay in the caches of a CPU, of how vectors differ from the middle of their
    cell, rounded to four bits a column ("PQ…x4fsr": one of sixteen values, looked up in registers;
    André et al., "Quicker ADC", IEEE TPAMI 2021). Of what is rounded `refine` times as many rows as
    wanted are to be asked for, more where all cells together do not find enough. `nprobe` is the
    smallest that reaches `recall_target` at 20 on a sample of `users: (U, D)`; all cells, if none
    does.
    """
    exact = faiss.IndexFlatIP(videos.shape[1])
    exact.add(videos)
    if len(videos) <= LARGEST_EXACT:
        return exact, IndexEntry(kind="flat", nprobe=0, refine=1, recall_at_20=1.0)
    sample = users[np.linspace(0, len(users) - 1, min(len(users), QUERIES)).astype(np.int64)]
    truth = exact.search(sample, DEPTH)[1]
    whole = len(videos) <= LARGEST_WHOLE
    # What is rounded is scored so fast that fewer, larger cells cost less than more centroids.
    lists = 1 << round(np.log2((2 if whole else 1) * len(videos) ** 0.5))
    kind = f"IVF{lists},{'Flat' if whole else f'PQ{videos.shape[1]}x4fsr'}"
    index: Any = faiss.index_factory(videos.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    index.cp.max_points_per_centroid = POINTS_PER_CELL
    index.train(videos)
    index.add(videos)
    refine = 1 if whole else _refine(index, sample, truth)
    curve = _curve(index, sample, truth, refine, recall_target)
    if not whole and curve[-1][1] < recall_target:
        # All cells were looked into, so that what is missing was lost to rounding.
        recalls = {n: _recall(index, sample, truth, n) for n in REFINES if n > refine}
        refine = next((n for n, r in recalls.items() if r >= recall_target), REFINES[-1])
        curve = _curve(index, sample, truth, refine, recall_target)
    nprobe, recall = curve[-1]
    return index, IndexEntry(kind.lower(), nprobe, refine, recall, curve)


def _curve(
    index: Any, sample: Floats, truth: Rows, refine: int, recall_target: float
) -> list[tuple[int, float]]:
    """Return recall by nprobe, up to the first that reaches `recall_target`, or to all cells."""
    curve = []
    for nprobe in _probes(index.nlist):
        index.nprobe = nprobe
        recall = _recall(index, sample, truth, refine)
        curve.append((nprobe, recall))
        if recall >= recall_target:
            break
    return curve


def _refine(index: Any, sample: Floats, truth: Rows) -> int:
    """Return the smallest of REFINES at which rounding costs no recall to speak of."""
    index.nprobe = min(PROBED, index.nlist)
    most = _recall(index, sample, truth, REFINES[-1])
    return next(n for n in REFINES if _recall(index, sample, truth, n) >= most - LOST)


def _recall(index: Any, sample: Floats, truth: Rows, refine: int) -> float:
    """Return which share of `truth: (Q, DEPTH)` is among `refine` times as many for `sample`."""
    found = index.search(sample, refine * DEPTH)[1]
    return float(np.mean([np.isin(t, f).mean() for t, f in zip(truth, found, strict=True)]))


def _probes(lists: int) -> Iterator[int]:
    """Yield numbers of cells to look into, each about a quarter more than the last, up to all."""
    nprobe = 1
    while nprobe < lists:
        yield nprobe
        nprobe += max(1, nprobe // 4)
    yield lists
