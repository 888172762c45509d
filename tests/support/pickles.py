"""Writes pickles as the programs behind published data sets wrote them. Opens none."""

import io
import pickle  # noqa: TID251 - writes what the importers must read; nothing here loads one
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEW_NAMES = {
    b"ctests.support.pickles\ncoo_matrix\n": b"cscipy.sparse._coo\ncoo_matrix\n",
    b"ctests.support.pickles\ncsr_matrix\n": b"cscipy.sparse._csr\ncsr_matrix\n",
}
OLD_NAMES = {
    b"cnumpy._core.": b"cnumpy.core.",
    b"cscipy.sparse._coo\n": b"cscipy.sparse.coo\n",
    b"cscipy.sparse._csr\n": b"cscipy.sparse.csr\n",
}


class coo_matrix:  # noqa: N801 - scipy's name
    """Has the state of scipy's class of this name, so that its pickle is the same."""

    def __init__(self, rows: NDArray[Any], columns: NDArray[Any], shape: tuple[int, int]) -> None:
        """Hold ones at `rows`, `columns`."""
        self._shape = shape
        self.maxprint = 50
        self.row = rows.astype(np.int32)
        self.col = columns.astype(np.int32)
        self.data = np.ones(len(rows))
        self.has_canonical_format = False


class csr_matrix:  # noqa: N801 - scipy's name
    """Has the state of scipy's class of this name, so that its pickle is the same."""

    def __init__(self, starts: NDArray[Any], columns: NDArray[Any], shape: tuple[int, int]) -> None:
        """Hold ones in row r at `columns[starts[r]:starts[r + 1]]`."""
        self._shape = shape
        self.maxprint = 50
        self.indptr = starts.astype(np.int32)
        self.indices = columns.astype(np.int32)
        self.data = np.ones(len(columns))


def pickled(value: object, *, old: bool = True) -> bytes:
    """Return `value` as a pickle; `old`: with the names of numpy 1 and of scipy before 1.8."""
    data = pickle.dumps(value, protocol=2)
    for names in (NEW_NAMES, OLD_NAMES if old else {}):
        for name, other in names.items():
            data = data.replace(name, other)
    return data


def write_objects(file: Path, value: object, *, old: bool = True) -> None:
    """Write what `np.save` makes of `value` as an array of objects: a header, then a pickle."""
    array = value if isinstance(value, np.ndarray) else np.array(value, dtype=object)
    header = {"descr": "|O", "fortran_order": False, "shape": array.shape}
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, header)
    file.write_bytes(stream.getvalue() + pickled(array, old=old))


def rows_of_objects(rows: list[list[int]]) -> NDArray[Any]:
    """Return `rows` as an array of lists, also where all are of one length."""
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array
