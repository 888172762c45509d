"""Reads RecBole's atomic files: `<name>.inter`, `<name>.item`, and one file of features a modality.

Their first line has `name:type` for each column, apart by tabs; sequences have spaces. `.inter` has
`user_id:token`, `item_id:token` and perhaps `timestamp:float`; `<name>.train.inter`,
`<name>.valid.inter` and `<name>.test.inter` stand for it where the split is given. Features are in
`<name>.visual`, `<name>.acoustic`, `<name>.textual`, or in files named by options: one column of
type token with the item's id, one of type float_seq. Of `.item` titles and genres are kept. Tokens
are the ids.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from models.modality import MODALITIES
from training.data.importers.feature_files import Names, find_features
from training.data.importers.imported import Catalog, Imported, Options, assemble, by_user
from training.data.importers.keyed_features import Keyed, join, keyed, log_by_ids, read_keyed
from training.data.importers.text_tables import TextTable, read_delimited
from training.errors import InvalidDataset

USER: Final = "user_id"
VIDEO: Final = "item_id"
TIME: Final = "timestamp"
PARTS: Final = (".train.inter", ".valid.inter", ".test.inter")
TAGS: Final = ("class", "genre", "genres", "category", "categories", "tags")


class Atomic(NamedTuple):
    """A table whose columns have lost their types, and those types by name."""

    table: TextTable
    types: dict[str, str]

    def of_type(self, kind: str) -> list[str]:
        """Return the columns of a type."""
        return [name for name, found in self.types.items() if found == kind]


def read_recbole(folder: Path, options: Options) -> Imported:
    """Return the dataset at `folder`; what has no split is divided 80/10/10 a user.

    Raises:
        InvalidDataset: a file is missing or malformed.
    """
    name = _name(folder)
    faults: list[str] = []
    names: Names = {modality: [f"{name}.{modality}"] for modality in MODALITIES}
    files = find_features([folder], names, options, faults)
    if faults:
        raise InvalidDataset(faults)
    video_ids, features = join({m: _read_features(file, options) for m, file in files.items()})
    whole = folder / f"{name}.inter"
    parts = [whole] if whole.exists() else [folder / f"{name}{part}" for part in PARTS]
    tables = [read_atomic(file).table for file in parts]
    user, video = options.user_column or USER, options.video_column or VIDEO
    log = log_by_ids(_joined(tables, user), _joined(tables, video), video_ids)
    time = options.time_column or TIME
    if options.time_column or all(table.has(time) for table in tables):
        log = log._replace(times=np.concatenate([table.times(time) for table in tables]))
    if len(tables) > 1:
        lengths = [len(table) for table in tables]
        log = log._replace(splits=np.repeat(np.arange(len(tables)), lengths))
    told = _read_items(folder / f"{name}.item", video)
    catalog = Catalog(video_ids, features, [told.get(text, {}) for text in video_ids])
    return assemble(name, log, catalog, by_user(options.seed))


def read_atomic(file: Path) -> Atomic:
    """Read an atomic file."""
    table = read_delimited(file, "\t", quoted=False)
    heads = [head.rpartition(":") for head in table.table.column_names]
    names = [name for name, _, _ in heads]
    if not all(names) or len(set(names)) < len(names):
        text = f"line 1: expected name:type of each column, found {table.table.column_names[:20]}"
        raise InvalidDataset([f"{file.name}: {text}"])
    plain = TextTable(file, table.table.rename_columns(names), table.first_line)
    return Atomic(plain, {name: kind for name, _, kind in heads})


def _joined(tables: list[TextTable], column: str) -> pa.ChunkedArray:
    chunks = [chunk for table in tables for chunk in table.ids(column).chunks]
    return pa.chunked_array(chunks, pa.string())


def _name(folder: Path) -> str:
    """Return the name of the data set: the folder's, or that of the only files there are."""
    found = set()
    for file in folder.glob("*.inter"):
        part = next((part for part in PARTS if file.name.endswith(part)), ".inter")
        found.add(file.name.removesuffix(part))
    name = folder.resolve().name
    if name not in found and len(found) != 1:
        text = f"expected {name}.inter, or the .inter file of one data set, found {sorted(found)}"
        raise InvalidDataset([f"{folder}: {text}"])
    return name if name in found else found.pop()


def _read_features(file: Path, options: Options) -> Keyed:
    if file.suffix in (".csv", ".tsv", ".parquet"):
        return read_keyed(file, [options.video_column or VIDEO])
    atomic = read_atomic(file)
    ids, vectors = atomic.of_type("token"), atomic.of_type("float_seq")
    if len(ids) != 1 or len(vectors) != 1:
        text = f"expected one token and one float_seq column, found {atomic.types}"
        raise InvalidDataset([f"{file.name}: {text}"])
    return keyed(atomic.table, ids[0], vectors)


def _read_items(file: Path, video: str) -> dict[str, dict[str, Any]]:
    """Return titles and tags by id, where the file has such columns."""
    if not file.exists():
        return {}
    table, types = read_atomic(file)
    title = next((name for name in types if name.endswith("title")), None)
    tags = next((name for name in types if name in TAGS), None)
    ids = table.ids(video).to_pylist()
    titles = table.texts(title).to_pylist() if title else []
    listed = table.texts(tags).to_pylist() if tags else []
    told: dict[str, dict[str, Any]] = {text: {} for text in ids}
    for text, shown in zip(ids, titles, strict=False):
        told[text]["title"] = shown
    for text, words in zip(ids, listed, strict=False):
        told[text]["tags"] = words.split()
    return told
