"""Writes features for JSON: numbers as they are, arrays as base64. Needs no numpy."""

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypedDict

DType = Literal["float32", "float16"]
PACKED: Final[Mapping[DType, str]] = {"float32": "f", "float16": "e"}


class Array(Protocol):
    """Numbers in a row: of numpy, torch or the standard library."""

    def tolist(self) -> list[Any]:
        """Return them as a list."""


class EncodedNumbers(TypedDict):
    """Numbers as base64 of their little-endian bytes."""

    dtype: DType
    data: str


Numbers = Sequence[float] | Array | EncodedNumbers
Features = Mapping[str, Numbers]


def encode_numbers(numbers: Sequence[float] | Array, dtype: DType = "float32") -> EncodedNumbers:
    """Return `numbers` as base64: half the bytes of JSON, or a quarter as float16.

    Raises:
        OverflowError: one is too large for `dtype`.
    """
    row = numbers if isinstance(numbers, Sequence) else numbers.tolist()
    raw = struct.pack(f"<{len(row)}{PACKED[dtype]}", *row)
    return {"dtype": dtype, "data": base64.b64encode(raw).decode("ascii")}


def written(features: Features) -> dict[str, Any]:
    """Return `features` for JSON; arrays become base64 of float32."""
    return {
        name: row if isinstance(row, list | tuple | Mapping) else encode_numbers(row)
        for name, row in features.items()
    }
