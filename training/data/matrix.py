"""Reads feature matrices from .npy files. Knows arrays; nothing of videos or modalities."""

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Final

import numpy as np

from training.data.dataset import Floats

# What numpy raises on bytes that are no array: a header is parsed as Python, an archive as a zip.
UNREADABLE: Final = (
    ValueError, OSError, EOFError, SyntaxError, TypeError, KeyError, MemoryError, OverflowError,
    NotImplementedError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def read_matrix(file: Path, faults: list[str]) -> Floats | None:
    """Read a float matrix as float32, or add to `faults` why it cannot be had."""
    try:
        with file.open("rb") as stream:
            matrix = np.load(stream, allow_pickle=False)
    except UNREADABLE as error:
        faults.append(f"{file.name}: is not a plain .npy array: {fault_in_file(error)}")
        return None
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind != "f":  # noqa: PLR2004
        what = f"{matrix.dtype} of shape {matrix.shape}" if hasattr(matrix, "shape") else "no array"
        faults.append(f"{file.name}: must be a 2-d float array (videos, width), found {what}")
        return None
    if matrix.shape[1] == 0:
        faults.append(f"{file.name}: has no columns")
        return None
    # What float32 cannot hold becomes inf or nan here, and is named by who reads it.
    with np.errstate(over="ignore", invalid="ignore"):
        return matrix.astype(np.float32)


def fault_in_file(error: Exception) -> str:
    """Return what a person is told of an UNREADABLE file.

    numpy takes all bytes that it does not know for a pickle, and says how to load one.
    """
    text = str(error)
    return "it holds Python objects, or is something else" if "pickle" in text else text


def fault_in_values(matrix: Floats) -> str | None:
    """Return where `matrix: (V, F)` holds what is not finite, and how much; None if nowhere."""
    bad = np.argwhere(~np.isfinite(matrix))
    if not len(bad):
        return None
    row, column = bad[0]
    rows = len(np.unique(bad[:, 0]))
    where = f"row {row}, column {column}: {matrix[row, column]} is not a finite float32"
    return f"{where} ({len(bad)} such values in {rows} rows)"


def constant_columns(matrix: Floats) -> list[int]:
    """Return the columns of `matrix: (V, F)` that hold one value in all rows but all-zero ones."""
    known = matrix[matrix.any(axis=1)]
    return np.flatnonzero(known.min(axis=0) == known.max(axis=0)).tolist() if len(known) else []
