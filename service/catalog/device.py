"""A CUDA device, where there is one: fuses arrivals and searches the bundle's vectors.

What a device cannot do (more than 2,048 neighbours, looking into more cells than was tuned for)
the index in memory does. Arrivals stay in memory: no index on a device lets rows be taken out.
"""

from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, Literal

import faiss
import numpy as np
import structlog

from models.bundle.reader import Bundle
from service.catalog.fusing import cuda_fuses
from service.catalog.index import FaissIndex, Floats, Index, Mask, Rows

log = structlog.get_logger()

Wanted = Literal["auto", "cpu", "cuda"]
Kind = Literal["cpu", "cuda"]
LARGEST_K: Final = 2048
# FAISS sets aside 1.5 GiB by default.
SCRATCH_BYTES: Final = 256 << 20


class CudaIndex:
    """The bundle's index, copied to a device. One search at a time: FAISS takes no more."""

    def __init__(self, own: FaissIndex, vectors: Floats) -> None:
        """Copy `own` of `vectors: (V, D)`; it stays for what the device cannot do."""
        self._own = own
        self._lock = Lock()
        self._resources: Any = faiss.StandardGpuResources()
        self._resources.setTempMemory(SCRATCH_BYTES)
        self._index: Any = own.copied_to(self._resources, vectors)
        self.refine, self.scanned = own.refine, own.scanned
        # The event loop does not wait for a device.
        self.remote = True

    def retrieve(self, vector: Floats, k: int, *, effort: int = 1) -> tuple[Rows, Floats]:
        """Return what the device finds, best first."""
        if k > LARGEST_K or effort > 1 or k < 1:
            return self._own.retrieve(vector, k, effort=effort)
        rows, scores = self.retrieve_many(vector[None, :], k)
        found = int(np.count_nonzero(rows[0] >= 0))
        return rows[0, :found], scores[0, :found]

    def retrieve_many(self, vectors: Floats, k: int) -> tuple[Rows, Floats]:
        """Return what the device finds for all, in one pass."""
        if not 1 <= k <= LARGEST_K:
            return self._own.retrieve_many(vectors, k)
        with self._lock:
            scores, rows = self._index.search(np.ascontiguousarray(vectors, dtype=np.float32), k)
        return rows, scores

    def cells_of(self, vectors: Floats) -> Rows:
        """Return the cells of the index in memory."""
        return self._own.cells_of(vectors)

    def probed_cells(self, vector: Floats) -> Mask | None:
        """Return which cells the index in memory looks into."""
        return self._own.probed_cells(vector)


@dataclass(frozen=True)
class Devices:
    """Where arrivals are fused and where vectors are searched."""

    fusion: Kind
    search: Kind

    def index(self, bundle: Bundle, own: Index) -> Index:
        """Return the index to search in; the bundle's `own` where the device has no room for it."""
        if self.search == "cpu" or not isinstance(own, FaissIndex):
            return own
        try:
            return CudaIndex(own, bundle.videos)
        except RuntimeError as error:
            log.warning("the index does not fit the device, searching in memory", fault=str(error))
            return own


def choose_devices(wanted: Wanted) -> Devices:
    """Return what is there of what is `wanted`, and say in the log what is not."""
    if wanted == "cpu":
        return Devices("cpu", "cpu")
    fusion: Kind = "cuda" if cuda_fuses() else "cpu"
    count = getattr(faiss, "get_num_gpus", lambda: 0)
    search: Kind = "cuda" if count() > 0 else "cpu"
    if wanted == "cuda" and "cpu" in {fusion, search}:
        log.warning(
            "RECO_DEVICE=cuda, but not all of it is there",
            fusion=fusion if fusion == "cuda" else "cpu: this torch sees no CUDA device",
            search=search if search == "cuda" else "cpu: this faiss sees no GPU (extra `gpu`)",
        )
    return Devices(fusion, search)
