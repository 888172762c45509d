"""Reads tables whose cells are text, from delimited files and parquet. Knows nothing of datasets.

Every cell stays the text it is in the file until a column is asked for as ids, numbers or times.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.ids import fault_in_id
from training.data.dataset import Rows
from training.data.importers.imported import LATEST_SECOND
from training.errors import InvalidDataset

LATEST_MILLISECOND: Final = 1000 * LATEST_SECOND
# A row of features as text takes a few hundred kilobytes at most; a row must fit a block.
BLOCK_BYTES: Final = 1 << 24
WHOLE: Final = r"^\s*[+-]?[0-9]+\s*$"
NUMBER: Final = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
FEATURE: Final = r"(?i)^\s*[+-]?(nan|inf|([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?)\s*$"


@dataclass(frozen=True)
class TextTable:
    """A table as read from `file`; its row 0 stands in line `first_line`, if it has lines."""

    file: Path
    table: pa.Table
    first_line: int | None

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.table.num_rows)

    def has(self, column: str) -> bool:
        """Say whether there is such a column."""
        return column in self.table.column_names

    def fault(self, text: str, row: int | None = None) -> InvalidDataset:
        """Return an error that names the file and, of `row`, the line or the row."""
        if row is None:
            return InvalidDataset([f"{self.file.name}: {text}"])
        line = f"row {row}" if self.first_line is None else f"line {row + self.first_line}"
        return InvalidDataset([f"{self.file.name}: {line}: {text}"])

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column as it is."""
        if not self.has(name):
            found = [str(column)[:40] for column in self.table.column_names[:20]]
            raise self.fault(f"has no column {name!r}, found {found}")
        return self.table[name]

    def texts(self, name: str) -> pa.ChunkedArray:
        """Return a column of text; whole numbers become text."""
        column = self.column(name)
        if pa.types.is_integer(column.type):
            column = column.cast(pa.string())
        if not pa.types.is_string(column.type):
            raise self.fault(f"column {name!r} must be text or whole numbers, found {column.type}")
        return column

    def ids(self, name: str) -> pa.ChunkedArray:
        """Return a column of text that may serve as ids."""
        column = self.texts(name)
        for text in column.unique().to_pylist():
            wrong = "is missing" if text is None else fault_in_id(text)
            if wrong:
                same = pc.is_null(column) if text is None else pc.equal(column, text)
                row = pc.index(same.fill_null(False), True).as_py()  # noqa: FBT003 - a value
                raise self.fault(f"{name} {(text or '')[:80]!r} {wrong}", row)
        return column

    def whole_numbers(self, name: str) -> Rows:
        """Return a column of whole numbers."""
        column = self.column(name)
        if pa.types.is_string(column.type):
            self._check(name, column, WHOLE, "a whole number")
            column = pc.utf8_trim_whitespace(column)
        elif not pa.types.is_integer(column.type):
            raise self.fault(f"column {name!r} must be whole numbers, found {column.type}")
        return self._numbers(name, column, pa.int64()).astype(np.int64)

    def times(self, name: str) -> NDArray[Any]:
        """Return a column of times since 1970, in seconds or milliseconds as the column is."""
        times = self._times(name)
        beyond = np.flatnonzero((times < -LATEST_MILLISECOND) | (times > LATEST_MILLISECOND))
        if len(beyond):
            row = int(beyond[0])
            text = f"{name} is {times[row]}, expected seconds or milliseconds since 1970"
            raise self.fault(text, row)
        return times

    def _times(self, name: str) -> NDArray[Any]:
        column = self.column(name)
        if pa.types.is_timestamp(column.type):
            # Their unit is known: nothing is to be guessed of it.
            column = column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
            return self._numbers(name, column, pa.int64()) / 1000
        if pa.types.is_string(column.type):
            self._check(name, column, NUMBER, "seconds or milliseconds since 1970")
            column = pc.utf8_trim_whitespace(column)
            whole = pc.all(pc.match_substring_regex(column, WHOLE)).as_py()
            return self._numbers(name, column, pa.int64() if whole else pa.float64())
        if not pa.types.is_integer(column.type) and not pa.types.is_floating(column.type):
            raise self.fault(f"column {name!r} must be times since 1970, found {column.type}")
        return self._numbers(name, column, column.type)

    def features(self, name: str) -> NDArray[Any]:
        """Return a column of numbers, not all of them finite perhaps."""
        column = self.column(name)
        if pa.types.is_string(column.type):
            self._check(name, column, FEATURE, "a number")
            column = pc.utf8_trim_whitespace(column)
        elif not pa.types.is_integer(column.type) and not pa.types.is_floating(column.type):
            raise self.fault(f"column {name!r} must be numbers, found {column.type}")
        numbers: NDArray[Any] = column.cast(pa.float64()).to_numpy()
        return numbers

    def _check(self, name: str, column: pa.ChunkedArray, pattern: str, wanted: str) -> None:
        fits = pc.match_substring_regex(column, pattern).fill_null(False)  # noqa: FBT003 - a value
        row = pc.index(fits, False).as_py()
        if row >= 0:
            raise self.fault(f"{name} is {str(column[row])[:80]!r}, expected {wanted}", row)

    def _numbers(self, name: str, column: pa.ChunkedArray, kind: pa.DataType) -> NDArray[Any]:
        try:
            numbers: NDArray[Any] = column.cast(kind).to_numpy()
        except pa.ArrowInvalid as error:
            raise self.fault(f"column {name!r}: {error}") from error
        wrong = pc.is_null(column).to_numpy() | ~np.isfinite(numbers)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise self.fault(f"{name} is {column[row].as_py()}, expected a number", row)
        return numbers


def read_delimited(
    file: Path,
    delimiter: str,
    *,
    names: list[str] | None = None,
    quoted: bool = True,
    content: bytes | None = None,
) -> TextTable:
    """Read a UTF-8 file of lines, or `content` in its place.

    `names` names the columns of a file without a header.

    Raises:
        InvalidDataset: the file is missing, is not UTF-8, or has a line of another length.
    """
    found = names or _read_header(file, delimiter, quoted=quoted)
    skipped = 0 if names else 1
    kinds = {name: pa.string() for name in found}
    try:
        table = pcsv.read_csv(
            file if content is None else io.BytesIO(content),
            # Without threads an error tells its row.
            pcsv.ReadOptions(
                column_names=found, skip_rows=skipped, use_threads=False, block_size=BLOCK_BYTES
            ),
            pcsv.ParseOptions(delimiter=delimiter, quote_char='"' if quoted else False),
            pcsv.ConvertOptions(column_types=kinds, strings_can_be_null=False),
        )
    except FileNotFoundError:
        raise InvalidDataset([f"{file} is missing"]) from None
    except pa.ArrowInvalid as error:
        # A file without a line of data is an empty table.
        if "too short" not in str(error) and "Empty CSV file" not in str(error):
            raise InvalidDataset([f"{file.name}: {error}"]) from error
        table = pa.table({name: pa.array([], pa.string()) for name in found})
    return TextTable(file, table, first_line=1 + skipped)


def read_parquet(file: Path) -> TextTable:
    """Read a parquet file.

    Raises:
        InvalidDataset: the file is missing or damaged.
    """
    try:
        table = pq.read_table(file)
        table.validate(full=True)  # text that is not UTF-8 is found only here
    except FileNotFoundError:
        raise InvalidDataset([f"{file} is missing"]) from None
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        text = f"{file.name}: is not a readable parquet file: {error}"
        raise InvalidDataset([text]) from error
    plain = [
        field.with_type(pa.string()) if _is_other_text(field.type) else field
        for field in table.schema
    ]
    return TextTable(file, table.cast(pa.schema(plain)), first_line=None)


def read_table(file: Path) -> TextTable:
    """Read a .parquet, .tsv or .csv file with named columns."""
    if file.suffix == ".parquet":
        return read_parquet(file)
    return read_delimited(file, "\t" if file.suffix == ".tsv" else ",")


def _is_other_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_large_string(kind) or pa.types.is_string(kind))


def _read_header(file: Path, delimiter: str, *, quoted: bool) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            first = lines.readline().rstrip("\r\n")
    except FileNotFoundError:
        raise InvalidDataset([f"{file} is missing"]) from None
    except UnicodeDecodeError as error:
        raise InvalidDataset([f"{file.name}: is not UTF-8: {error}"]) from error
    try:
        cells = csv.reader([first], delimiter=delimiter)
        names = next(cells, []) if quoted else first.split(delimiter)
    except csv.Error as error:
        raise InvalidDataset([f"{file.name}: line 1: {error}"]) from error
    if not first or len(set(names)) < len(names):
        raise InvalidDataset([f"{file.name}: line 1 must name the columns, found {first[:200]!r}"])
    return names
