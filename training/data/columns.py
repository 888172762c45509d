"""Turns columns of texts into columns of numbers, block by block. Knows pyarrow; no file's meaning.

A text takes some 20 bytes in every row, its number 4.
"""

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

from training.data.faults import Faults

# The number of what has none: a null, or a text that is not known.
NONE: Final = -1

SmallRows = NDArray[np.int32]


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a column of this type holds texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def check_text_columns(schema: pa.Schema, columns: list[str], name: str, faults: Faults) -> bool:
    """Tell whether all of `columns` hold texts; add to `faults` of file `name` which do not."""
    before = len(faults.found)
    for column in columns:
        place = schema.get_field_index(column)
        if place < 0:  # none, or more than one
            faults.add(name, f"has no column {column!r}, found {schema.names}")
        elif not is_text(schema.types[place]):
            faults.add(name, f"column {column!r} must be string, found {schema.types[place]}")
    return len(faults.found) == before


class Known(dict[str, int]):
    """Numbers of texts; a text that is not among them has NONE."""

    def __missing__(self, text: str) -> int:
        return NONE


class Growing(dict[str, int]):
    """Numbers of texts in the order in which they are asked for first."""

    def __missing__(self, text: str) -> int:
        number = self[text] = len(self)
        return number


class Numbered:
    """A column whose values become numbers as its blocks come in.

    `first_bad` shows the first value whose number is NONE; it is empty while there is none.
    """

    def __init__(self, numbers: Known | Growing, dtype: DTypeLike = np.int32) -> None:
        """Look each value up in `numbers`, once a block."""
        # Bound to the built-in: a call of ours for each of 10^8 values would take minutes.
        self._number, self._dtype = numbers.__getitem__, dtype
        self._blocks: list[NDArray[Any]] = []
        self.first_bad = ""

    def take(self, column: pa.Array) -> None:
        """Add a block; nulls become NONE."""
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        # The place of a null is -1, the last one.
        numbers = [*map(self._number, encoded.dictionary.to_pylist()), NONE]
        block = np.array(numbers, dtype=self._dtype)[encoded.indices.fill_null(-1).to_numpy()]
        bad = np.flatnonzero(block == NONE)
        if len(bad) and not self.first_bad:
            self.first_bad = repr(column[int(bad[0])].as_py())
        self._blocks.append(block)

    def numbers(self) -> NDArray[Any]:
        """Return the numbers of all blocks, which are let go: (N,)."""
        whole = np.concatenate([np.empty(0, self._dtype), *self._blocks])
        self._blocks.clear()
        return whole
