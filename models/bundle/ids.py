"""Ids in a table: which id is in a row, and which row has an id. Knows texts and rows.

The table lies in mapped memory: it costs a process nothing to open and is shared with all others.
"""

import codecs
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from operator import index
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

HASH_BYTES: Final = 8
# So many ids are looked at to see whether hashes and order are those of the ids.
SAMPLED: Final = 1000
ITERATED_AT_ONCE: Final = 4096
# A request asks for the row of its user four times: so many answers are kept, 5 MB of them.
KEPT: Final = 1 << 15
DECODED_AT_ONCE: Final = 1 << 20

TENSORS: Final[Mapping[str, type]] = {
    "text": np.uint8,
    "starts": np.int64,
    "hashes": np.int64,
    "rows": np.int32,
    "order": np.int64,
}


class IdTable(Sequence[str]):
    """The ids of rows 0 to N - 1, each there once.

    `text` is one id behind the other as UTF-8, `starts: (N + 1,)` where each begins. `hashes: (N,)`
    ascend, `rows: (N,)` are those that they belong to. `order: (N,)` are the rows by their ids.
    """

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Take the arrays as `table_of` makes them; they may be mapped.

        Raises:
            ValueError: they are no table; says why.
        """
        arrays = {name: tensors[name] for name in TENSORS}
        if any(array.ndim != 1 for array in arrays.values()):
            raise ValueError("holds tables of more than one dimension")
        self._count = len(arrays["starts"]) - 1
        _check_bounds(arrays, self._count)
        self.order: Rows = arrays["order"]
        self._starts: Rows = arrays["starts"]
        self._hashes: Rows = arrays["hashes"]
        # Views give plain numbers and bytes several times faster than arrays do.
        self._text = arrays["text"].data
        self._start_at, self._hash_at, self._row_at = (
            arrays[name].data for name in ("starts", "hashes", "rows")
        )
        self._found: dict[str, int | None] = {}
        _check_text(self._text, arrays["text"], self._starts)
        self._check_distinct(arrays["rows"])
        self._check_samples()

    def __len__(self) -> int:
        """Return how many ids there are."""
        return self._count

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        """Return the id in `row`, or the ids in a slice of rows."""
        if isinstance(row, slice):
            return self.ids(np.arange(*row.indices(self._count), dtype=np.int64))
        place = index(row)
        if not -self._count <= place < self._count:
            raise IndexError(f"row {place} of {self._count}")
        place %= self._count
        return str(self._text[self._start_at[place] : self._start_at[place + 1]], "utf-8")

    def __iter__(self) -> Iterator[str]:
        """Yield the ids of all rows."""
        for start in range(0, self._count, ITERATED_AT_ONCE):
            yield from self[start : start + ITERATED_AT_ONCE]

    def __contains__(self, text: object) -> bool:
        """Tell whether there is such an id."""
        return isinstance(text, str) and self.row(text) is not None

    def ids(self, rows: Rows) -> list[str]:
        """Return the ids in `rows: (N,)`."""
        text, start_at = self._text, self._start_at
        return [str(text[start_at[row] : start_at[row + 1]], "utf-8") for row in rows.tolist()]

    def row(self, text: str) -> int | None:
        """Return the row of an id."""
        try:
            return self._found[text]
        except KeyError:
            row = self._find(text)
        if len(self._found) >= KEPT:
            self._found.clear()
        self._found[text] = row
        return row

    def _find(self, text: str) -> int | None:
        # What is no valid text is passed through: it is no id of any row.
        raw = text.encode("utf-8", "surrogatepass")
        known = hash_of(raw)
        place = int(self._hashes.searchsorted(known))
        while place < self._count and self._hash_at[place] == known:
            row = self._row_at[place]
            if self._text[self._start_at[row] : self._start_at[row + 1]] == raw:
                return row
            place += 1
        return None

    def _check_distinct(self, rows: NDArray[np.int32]) -> None:
        """Equal ids have equal hashes, which stand side by side."""
        twins = np.flatnonzero(self._hashes[1:] == self._hashes[:-1])
        texts = self.ids(rows[np.union1d(twins, twins + 1)].astype(np.int64))
        if len(set(texts)) != len(texts):
            distinct = self._count - len(texts) + len(set(texts))
            raise ValueError(f"holds {distinct} distinct ids, expected {self._count}")

    def _check_samples(self) -> None:
        places = np.unique(np.linspace(0, max(self._count - 1, 0), SAMPLED).astype(np.int64))
        places = places[places < self._count]
        for row, text in zip(places.tolist(), self.ids(places), strict=True):
            if self._find(text) != row:
                raise ValueError(f"the hash of row {row} is not that of its id")
        before = self.ids(self.order[np.maximum(places - 1, 0)])
        for place, first, second in zip(
            places.tolist(), before, self.ids(self.order[places]), strict=True
        ):
            if place and first >= second:
                raise ValueError(f"order is not that of the ids at {place}")


def table_of(ids: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a table of `ids`.

    Raises:
        UnicodeEncodeError: one of them is no valid text.
    """
    raws = [text.encode() for text in ids]
    starts = np.zeros(len(raws) + 1, dtype=np.int64)
    np.cumsum([len(raw) for raw in raws], out=starts[1:])
    hashes = np.fromiter(map(hash_of, raws), np.int64, len(raws))
    rows = np.argsort(hashes, kind="stable")
    return {
        "text": np.frombuffer(b"".join(raws), dtype=np.uint8),
        "starts": starts,
        "hashes": hashes[rows],
        "rows": rows.astype(np.int32),
        # UTF-8 sorts as the texts do.
        "order": np.array(sorted(range(len(raws)), key=raws.__getitem__), dtype=np.int64),
    }


def hash_of(raw: bytes) -> int:
    """Return 64 bits, signed, that `raw` shares with few others."""
    digest = blake2b(raw, digest_size=HASH_BYTES).digest()
    return int.from_bytes(digest, "little", signed=True)


def check_starts(starts: Rows, *, end: int) -> None:
    """See that `starts: (N + 1,)` divide what is `end` long into N parts.

    Raises:
        ValueError: they do not.
    """
    if starts.ndim != 1 or not len(starts):
        raise ValueError(f"starts is {starts.shape}")
    if starts[0] != 0 or starts[-1] != end or (starts[1:] < starts[:-1]).any():
        raise ValueError(f"starts do not divide {end}")


def check_permutation(rows: NDArray[Any], count: int, name: str) -> None:
    """See that `rows` are 0 to `count` - 1, each once, in any order.

    Raises:
        ValueError: they are not.
    """
    if rows.shape != (count,):
        raise ValueError(f"{name} is {rows.shape}, expected ({count},)")
    there = np.zeros(count, dtype=bool)
    if count and 0 <= rows.min() <= rows.max() < count:
        there[rows] = True
    if not there.all():
        raise ValueError(f"{name} are not all rows, each once")


def _check_bounds(arrays: Mapping[str, NDArray[Any]], count: int) -> None:
    check_starts(arrays["starts"], end=len(arrays["text"]))
    for name in ("rows", "order"):
        check_permutation(arrays[name], count, name)
    hashes = arrays["hashes"]
    if hashes.shape != (count,) or (hashes[1:] < hashes[:-1]).any():
        raise ValueError("hashes do not ascend")


def _check_text(text: memoryview, raw: NDArray[np.uint8], starts: Rows) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(text), DECODED_AT_ONCE):
        decoder.decode(text[start : start + DECODED_AT_ONCE])
    decoder.decode(b"", final=True)
    first = raw[starts[:-1][starts[:-1] < starts[1:]]]
    if ((first & 0xC0) == 0x80).any():  # noqa: PLR2004 - what goes on a character
        raise ValueError("an id begins within a character")
