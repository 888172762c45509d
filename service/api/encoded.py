"""Numbers as base64 instead of JSON: what a client may send, and what is wrong with it.

Knows bytes and float32; nothing of bundles or bodies.
"""

import binascii
from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

DType = Literal["float32", "float16"]
LARGEST_FLOAT32: Final = 3.4e38
MAX_WIDTH: Final = 16_384
# Of the longest row of float32.
MAX_CHARACTERS: Final = -(-MAX_WIDTH * 4 // 3) * 4
STORED: Final = np.dtype("<f4")
SENT: Final[Mapping[DType, np.dtype[Any]]] = {"float32": STORED, "float16": np.dtype("<f2")}


def decode_row(dtype: DType, data: str) -> NDArray[np.float32]:
    """Return the little-endian numbers of type `dtype` in the base64 `data`: (F,).

    Raises:
        ValueError: says what was expected and what came.
    """
    raw, sent = _decoded(data), SENT[dtype]
    if not raw or len(raw) % sent.itemsize:
        raise ValueError(
            f"expected {dtype} numbers of {sent.itemsize} bytes each, got {len(raw)} bytes"
        )
    # A NaN that signals is answered, not warned of.
    with np.errstate(invalid="ignore"):
        numbers: NDArray[np.float32] = np.frombuffer(raw, sent).astype(STORED, copy=False)
        if len(numbers) > MAX_WIDTH:
            raise ValueError(f"expected at most {MAX_WIDTH} numbers, got {len(numbers)}")
        # What is not a number is not within either.
        fits = np.abs(numbers) <= LARGEST_FLOAT32
    if not fits.all():
        place = int(np.argmin(fits))
        raise ValueError(_misfit(dtype, place, float(numbers[place])))
    return numbers


def _decoded(data: str) -> bytes:
    try:
        raw = binascii.a2b_base64(data, strict_mode=True)
    except ValueError as error:
        # What is no ASCII has a text of its own.
        fault = str(error) if isinstance(error, binascii.Error) else "other characters"
        raise ValueError(f"expected base64 (RFC 4648, with padding), got {fault}") from None
    last = binascii.b2a_base64(raw[-(len(raw) % 3 or 3) :], newline=False).decode()
    if not data.endswith(last):
        raise ValueError("expected base64 that ends with zero bits, got others")
    return raw


def _misfit(dtype: DType, place: int, number: float) -> str:
    fault = f"expected numbers within ±{LARGEST_FLOAT32:g}, got {number:g} at place {place}"
    ends = "; the largest float16 is 65504" if dtype == "float16" and np.isinf(number) else ""
    return fault + ends
