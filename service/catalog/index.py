"""Finds the rows nearest to a vector. Knows rows; nothing of ids, users or HTTP."""

from pathlib import Path
from typing import Any, Final, NewType, Protocol

import faiss
import numpy as np
from faiss import swig_ptr
from numpy.typing import NDArray

from models.bundle.errors import CorruptBundle
from models.bundle.manifest import IndexEntry

VideoRow = NewType("VideoRow", int)
UserRow = NewType("UserRow", int)
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

# Below 20 queries FAISS compares one by one, above it multiplies matrices.
FEW_QUERIES: Final = 16
# So many rounded rows are scored as fast as a whole one.
ROUNDED_ROWS: Final = 8
COPIED_AT_ONCE: Final = 1 << 17


class Index(Protocol):
    """Search over the video vectors of one bundle; never changed once built.

    `refine` times as many rows as wanted are to be asked for and scored again, where scores come
    rounded; it is 1 where they do not. A search takes as long as scoring some `scanned` whole rows.
    One that is `remote` is waited for: it is done elsewhere.
    """

    refine: int
    scanned: int
    remote: bool

    def retrieve(self, vector: Floats, k: int, *, effort: int = 1) -> tuple[Rows, Floats]:
        """Return rows and inner products of at most `k` videos near `vector: (D,)`, best first.

        There are fewer than `k` if there are no more where it was looked. With more `effort` it is
        looked at so many times as much.
        """

    def retrieve_many(self, vectors: Floats, k: int) -> tuple[Rows, Floats]:
        """Return what `retrieve` does for each of `vectors: (B, D)`: (B, k) both, missing rows -1.

        What is found for one never depends on the others.
        """

    def cells_of(self, vectors: Floats) -> Rows:
        """Return the cell in which each of `vectors: (N, D)` would be looked for: (N,).

        A vector's cell never depends on what else is asked.
        """

    def probed_cells(self, vector: Floats) -> Mask | None:
        """Return which cells a search for `vector: (D,)` looks into; None for all there are."""


class ExactIndex:
    """Scores every video; the oracle any faster index is tested against."""

    def __init__(self, vectors: Floats) -> None:
        """Keep `vectors: (V, D)` as given; they may be memory-mapped."""
        self._vectors = vectors
        self.remote = False
        self.refine = 1
        self.scanned = len(vectors)

    def retrieve(
        self,
        vector: Floats,
        k: int,
        *,
        effort: int = 1,  # noqa: ARG002 - it always looks everywhere
    ) -> tuple[Rows, Floats]:
        """Return the best `k` rows by inner product."""
        scores = self._vectors @ vector
        rows = best_rows(scores, k)
        return rows, scores[rows]

    def retrieve_many(self, vectors: Floats, k: int) -> tuple[Rows, Floats]:
        """Return the best `k` rows for each, one after the other."""
        rows = np.full((len(vectors), k), -1, dtype=np.int64)
        scores = np.full((len(vectors), k), -np.inf, dtype=np.float32)
        for place, vector in enumerate(vectors):
            found, theirs = self.retrieve(vector, k)
            rows[place, : len(found)], scores[place, : len(found)] = found, theirs
        return rows, scores

    def cells_of(self, vectors: Floats) -> Rows:
        """Return one and the same cell for all."""
        return np.zeros(len(vectors), dtype=np.int64)

    def probed_cells(self, vector: Floats) -> Mask | None:  # noqa: ARG002 - there is one cell
        """Return None: there is one cell."""
        return None


class FaissIndex:
    """The index that training built, memory-mapped."""

    def __init__(self, index: Any, entry: IndexEntry) -> None:
        """Wrap a loaded FAISS index, which is to be searched as `entry` says."""
        self._index = index
        self.remote = False
        self.refine = entry.refine
        self._quantizer: Any = index.quantizer if isinstance(index, faiss.IndexIVF) else None
        self.scanned = index.ntotal
        if self._quantizer is not None:
            self._nprobe = min(max(entry.nprobe, 1), index.nlist)
            index.nprobe = self._nprobe
            looked_at = index.ntotal * self._nprobe // index.nlist
            self.scanned = index.nlist + looked_at // (1 if self.refine == 1 else ROUNDED_ROWS)

    @classmethod
    def open(cls, file: Path, *, shape: tuple[int, int], entry: IndexEntry) -> "FaissIndex":
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
        return cls(index, entry)

    def retrieve(self, vector: Floats, k: int, *, effort: int = 1) -> tuple[Rows, Floats]:
        """Return what FAISS finds, best first; more `effort` is more cells of an inverted file."""
        k = max(min(k, self._index.ntotal), 0)
        scores, rows = np.empty(k, dtype=np.float32), np.empty(k, dtype=np.int64)
        if k == 0:
            return rows, scores
        query = np.ascontiguousarray(vector, dtype=np.float32)
        wider = None
        if effort > 1 and self._quantizer is not None:
            nprobe = min(effort * self._nprobe, self._index.nlist)
            wider = faiss.SearchParametersIVF(nprobe=nprobe)  # type: ignore[call-arg] # its stub lacks it
        # What `search` does, less its checks, which take as long as a small search.
        self._index.search_c(1, swig_ptr(query), k, swig_ptr(scores), swig_ptr(rows), wider)
        # A search that runs out of candidates pads with -1.
        found = k if rows[-1] >= 0 else int(np.count_nonzero(rows >= 0))
        return rows[:found], scores[:found]

    def retrieve_many(self, vectors: Floats, k: int) -> tuple[Rows, Floats]:
        """Return what FAISS finds for each, a few at a time."""
        scores = np.empty((len(vectors), k), dtype=np.float32)
        rows = np.empty((len(vectors), k), dtype=np.int64)
        for start in range(0, len(vectors), FEW_QUERIES):
            few = np.ascontiguousarray(vectors[start : start + FEW_QUERIES], dtype=np.float32)
            part = slice(start, start + len(few))
            told = swig_ptr(scores[part]), swig_ptr(rows[part])
            self._index.search_c(len(few), swig_ptr(few), k, *told)
        return rows, scores

    def copied_to(self, resources: Any, vectors: Floats) -> Any:
        """Return the FAISS index on the first GPU, with `vectors: (V, D)`, those it was built of.

        Raises:
            RuntimeError: it does not fit, or FAISS has no such index for GPUs.
        """
        rounded = self.refine > 1
        copy: Any = faiss.index_cpu_to_gpu(
            resources, 0, self.of_halves() if rounded else self._index
        )
        for start in range(0, len(vectors) if rounded else 0, COPIED_AT_ONCE):
            copy.add(np.ascontiguousarray(vectors[start : start + COPIED_AT_ONCE]))
        if self._quantizer is not None:
            copy.nprobe = self._nprobe
        return copy

    def of_halves(self) -> Any:
        """Return an empty index with the same cells, of vectors in half precision.

        How vectors are rounded for a CPU's registers is nothing to a GPU.
        """
        halves: Any = faiss.IndexIVFScalarQuantizer(
            self._quantizer,
            self._index.d,
            self._index.nlist,
            faiss.ScalarQuantizer.QT_fp16,
            faiss.METRIC_INNER_PRODUCT,
        )
        halves.by_residual = False  # whole, not how they differ from the middle of their cell
        halves.is_trained = True  # there is nothing to learn of what is only shortened
        halves.nprobe = self._nprobe
        return halves

    def cells_of(self, vectors: Floats) -> Rows:
        """Return the cell of the inverted file for each vector; one for all where there is none."""
        cells = np.zeros(len(vectors), dtype=np.int64)
        if self._quantizer is not None:
            # FAISS sums a search of many queries in another order, so that ties fall otherwise.
            for start in range(0, len(vectors), FEW_QUERIES):
                few = np.ascontiguousarray(vectors[start : start + FEW_QUERIES])
                cells[start : start + len(few)] = self._quantizer.search(few, 1)[1][:, 0]
        return cells

    def probed_cells(self, vector: Floats) -> Mask | None:
        """Return the cells that a search looks into; None where there are no cells."""
        if self._quantizer is None:
            return None
        probed = np.zeros(self._index.nlist, dtype=bool)
        probed[self._quantizer.search(vector[None, :], self._nprobe)[1][0]] = True
        return probed


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
