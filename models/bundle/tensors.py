"""Maps the tensors of a safetensors file into memory without copying. Knows the file format alone.

The library's own reader copies numpy tensors; mapped pages are shared between processes instead.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.bundle.errors import CorruptBundle

HEADER_BYTES: Final = 8
MAX_HEADER: Final = 1 << 20
DTYPES: Final = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16,
    "I64": np.int64, "I32": np.int32, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
# What bytes that are no safetensors file may raise on the way.
FAULTS: Final = (
    ValueError, KeyError, IndexError, TypeError, AttributeError,
    OSError, OverflowError, RecursionError,
)  # fmt: skip


def map_tensors(file: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of `file` as read-only arrays over mapped memory.

    Raises:
        CorruptBundle: the file is cut short or is no safetensors file.
    """
    try:
        raw = np.memmap(file, dtype=np.uint8, mode="r")
        size = int(raw[:HEADER_BYTES].view("<u8")[0])
        # A size out of all proportion reads a cut header, which is no JSON.
        header = json.loads(raw[HEADER_BYTES : HEADER_BYTES + min(size, MAX_HEADER)].tobytes())
        header.pop("__metadata__", None)
        data = raw[HEADER_BYTES + size :]
        return {name: _view(data, entry) for name, entry in header.items()}
    except FAULTS as error:
        raise CorruptBundle(file, f"is no readable safetensors file: {error}") from error


def _view(data: NDArray[np.uint8], entry: dict[str, Any]) -> NDArray[Any]:
    start, end = entry["data_offsets"]
    if not 0 <= start <= end <= len(data):
        raise ValueError(f"tensor bytes {start}..{end} lie outside the file")
    return np.asarray(data[start:end]).view(DTYPES[entry["dtype"]]).reshape(tuple(entry["shape"]))
