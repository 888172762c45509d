"""Reads the folder of HKUDS/DiffMM and its kin: `trnMat.pkl`, `valMat.pkl`, `tstMat.pkl`.

Each is a pickled scipy matrix (coo or csr) users x items, the same shape in all three; an entry
other than zero is an interaction. Beside them `image_feat.npy`, `text_feat.npy` and, in tiktok,
`audio_feat.npy`, whose row i belongs to item i. Numbers start at 0 and are the ids.
"""

from pathlib import Path
from reprlib import repr as brief
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Rows
from training.data.importers.feature_files import FEAT_NAMES, read_row_features
from training.data.importers.imported import Imported, Options, assemble
from training.data.importers.numbered import Pairs, from_numbers, split_numbers
from training.data.importers.restricted_pickle import (
    CooMatrix,
    CsrMatrix,
    PickledArray,
    load_pickle,
)
from training.errors import InvalidDataset

FILES: Final = ("trnMat.pkl", "valMat.pkl", "tstMat.pkl")


def read_diffmm(folder: Path, options: Options) -> Imported:
    """Return the dataset at `folder`.

    Raises:
        InvalidDataset: a file is missing or malformed, or the files do not fit each other.
    """
    faults: list[str] = []
    features = read_row_features([folder], FEAT_NAMES, options, faults)
    parts, shapes = [], {}
    for name in FILES:
        try:
            pairs, shape = _read_matrix(folder / name)
        except InvalidDataset as error:
            faults.extend(error.faults)
        else:
            parts.append(pairs)
            shapes[name] = shape
    if len(set(shapes.values())) > 1:
        faults.append(f"the matrices differ in shape: {shapes}")
    if faults:
        raise InvalidDataset(faults)
    rows, (_, items) = len(next(iter(features.values()))), shapes[FILES[0]]
    if rows != items:
        text = f"{FILES[0]}: has {items} items, but the features have {rows} rows"
        raise InvalidDataset([text])
    log, catalog = from_numbers(parts, features)
    log = log._replace(splits=split_numbers(parts))
    return assemble(folder.resolve().name, log, catalog)


def _read_matrix(file: Path) -> tuple[Pairs, tuple[int, int]]:
    matrix = load_pickle(file)
    if not isinstance(matrix, CooMatrix | CsrMatrix) or not isinstance(matrix.state, dict):
        text = f"{file.name}: holds {type(matrix).__name__}, expected a scipy coo or csr matrix"
        raise InvalidDataset([text])
    shape = matrix.state.get("_shape")
    if not isinstance(shape, tuple) or len(shape) != 2 or {type(n) for n in shape} != {int}:  # noqa: PLR2004
        raise InvalidDataset([f"{file.name}: has shape {brief(shape)}, expected users x items"])
    read = _coo if isinstance(matrix, CooMatrix) else _csr
    users, items, data = read(matrix.state, file)
    if not len(users) == len(items) == len(data):
        text = f"{file.name}: has {len(users)} rows, {len(items)} columns, {len(data)} values"
        raise InvalidDataset([text])
    beyond = np.flatnonzero((users < 0) | (users >= shape[0]) | (items < 0) | (items >= shape[1]))
    if len(beyond):
        place = beyond[0]
        text = f"entry {place}: ({users[place]}, {items[place]}) is outside of its shape {shape}"
        raise InvalidDataset([f"{file.name}: {text}"])
    met = np.flatnonzero(data)
    return Pairs(file.name, users[met], items[met], met, "entry"), shape


def _coo(state: dict[str, Any], file: Path) -> tuple[Rows, Rows, NDArray[Any]]:
    # scipy has kept both in one tuple since 1.13.
    both = state.get("coords") or (state.get("row"), state.get("col"))
    if not isinstance(both, tuple) or len(both) != 2:  # noqa: PLR2004 - rows and columns
        raise InvalidDataset([f"{file.name}: has no rows and columns"])
    users, items = (_array(part, "iu", file).astype(np.int64) for part in both)
    return users, items, _array(state.get("data"), "biuf", file)


def _csr(state: dict[str, Any], file: Path) -> tuple[Rows, Rows, NDArray[Any]]:
    starts = _array(state.get("indptr"), "iu", file).astype(np.int64)
    items = _array(state.get("indices"), "iu", file).astype(np.int64)
    lengths = np.diff(starts)
    if not len(starts) or starts[0] != 0 or starts[-1] != len(items) or (lengths < 0).any():
        raise InvalidDataset([f"{file.name}: its indptr does not divide its indices"])
    users = np.repeat(np.arange(len(lengths)), lengths)
    return users, items, _array(state.get("data"), "biuf", file)


def _array(part: Any, kinds: str, file: Path) -> NDArray[Any]:
    numbers = part.numbers if isinstance(part, PickledArray) else None
    if numbers is None or numbers.ndim != 1 or numbers.dtype.kind not in kinds:
        raise InvalidDataset([f"{file.name}: rows, columns and values must be arrays of numbers"])
    return numbers
