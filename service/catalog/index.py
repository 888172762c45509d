"""Finds the rows nearest to a vector. Knows rows; nothing of ids, users or HTTP."""

from pathlib import Path
from typing import Any, NewType, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from models.bundle.errors import CorruptBundle

VideoRow = NewType("VideoRow", int)
UserRow = NewType("UserRow", int)
Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Index(Protocol):
    """Search over the video vectors of one bundle; never changed once built."""

    def retrieve(self, vector: Floats, k: int) -> Rows:
        """Return the rows of at most `k` videos of large inner product with `vector: (D,)`."""


class ExactIndex:
    """Scores every video; the oracle any faster index is tested against."""

    def __init__(self, vectors: Floats) -> None:
        """Keep `vectors: (V, D)` as given; they may be memory-mapped."""
        self._vectors = vectors

    def retrieve(self, vector: Floats, k: int) -> Rows:
        """Return the best `k` rows by inner product."""
        return best_rows(self._vectors @ vector, k)


class FaissIndex:
    """The index that training built, memory-mapped."""

    def __init__(self, index: Any, nprobe: int) -> None:
        """Wrap a loaded FAISS index."""
        self._index = index
        if nprobe and hasattr(index, "nprobe"):
            index.nprobe = nprobe

    @classmethod
    def open(cls, file: Path, *, shape: tuple[int, int], nprobe: int) -> "FaissIndex":
        """Map the index in `file`, which must hold `shape` = (V, D).

        Raises:
            CorruptBundle: FAISS cannot read the file, or it holds something else.
        """
        try:
            index = faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY)
        except RuntimeError as error:
            raise CorruptBundle(file, f"is no readable FAISS index: {error}") from error
        if (index.ntotal, index.d) != shape:
            raise CorruptBundle(
                file, f"holds {index.ntotal} vectors of width {index.d}, expected {shape}"
            )
        return cls(index, nprobe)

    def retrieve(self, vector: Floats, k: int) -> Rows:
        """Return the rows FAISS finds, best first; fewer than `k` where it finds fewer."""
        k = min(k, self._index.ntotal)
        if k < 1:
            return np.empty(0, dtype=np.int64)
        rows = self._index.search(vector[None, :], k)[1][0]
        # An inverted-file search that runs out of candidates pads with -1.
        return rows[rows >= 0] if rows[-1] < 0 else rows  # type: ignore[no-any-return] # faiss


def contenders(scores: NDArray[Any], k: int, slack: float) -> Rows:
    """Return the rows of `scores: (V,)` within `slack` of the k-th highest, unordered.

    Rows of score minus infinity are barred. What is near the cut is kept, so that a finer score can
    decide, and ties at the cut can be broken by something other than the row.
    """
    k = min(k, int(np.count_nonzero(scores > -np.inf)))
    if k < 1:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(scores >= np.partition(scores, -k)[-k] - slack)


def best_rows(scores: Floats, k: int) -> Rows:
    """Return the rows of the `k` highest of `scores: (V,)`, best first, ties by lower row."""
    k = min(k, scores.size)
    if k < 1:
        return np.empty(0, dtype=np.int64)
    # Cut at the k-th score, then sort the survivors: every tie at the cut survives, so that the
    # order repeats, and a full sort is never paid for.
    cut = np.partition(scores, -k)[-k]
    rows = np.flatnonzero(scores >= cut)
    return rows[np.lexsort((rows, -scores[rows]))][:k]
