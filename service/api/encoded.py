"""Numbers as base64 instead of JSON: what a client may send, and what is wrong with it.

Knows bytes and float32; nothing of bundles or bodies.
"""

import binascii
from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

DType = Literal["float32", "float16"]
LARGEST_FLOAT32: Final = 3.4e38
MAX_WIDTH: Final = 16_384
# Of the longest row of float32.
MAX_CHARACTERS: Final = -(-MAX_WIDTH * 4 // 3) * 4
STORED: Final = np.dtype("<f4")
HALF: Final = np.dtype("<f2")
SIZES: Final[Mapping[DType, int]] = {"float32": 4, "float16": 2}


def decode_row(dtype: DType, data: str) -> NDArray[np.float32]:
    """Return the little-endian numbers of type `dtype` in the base64 `data`: (F,).

    Raises:
        ValueError: says what was expected and what came.
    """
    numbers = np.frombuffer(unchecked_row(dtype, data), STORED)
    if not within_float32(numbers):
        # What is not a number is not within either.
        place = int(np.argmin(np.abs(numbers) <= LARGEST_FLOAT32))
        raise ValueError(_misfit(dtype, place, float(numbers[place])))
    return numbers


def unchecked_row(dtype: DType, data: str) -> bytes:
    """Return the same as float32 bytes, whatever the numbers are: to be checked many at once.

    Raises:
        ValueError: it is no row of numbers.
    """
    raw, size = _decoded(data), SIZES[dtype]
    if not raw or len(raw) % size:
        raise ValueError(f"expected {dtype} numbers of {size} bytes each, got {len(raw)} bytes")
    if len(raw) > size * MAX_WIDTH:
        raise ValueError(f"expected at most {MAX_WIDTH} numbers, got {len(raw) // size}")
    return raw if dtype == "float32" else np.frombuffer(raw, HALF).astype(STORED).tobytes()


def within_float32(numbers: NDArray[np.float32], largest: float = LARGEST_FLOAT32) -> bool:
    """Say if all are finite and within ±`largest`."""
    return bool(np.abs(numbers).max() <= largest)


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
