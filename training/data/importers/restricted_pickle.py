"""Opens pickled arrays, sets and sparse matrices of published data sets. Runs nothing of theirs.

The one file that may import pickle. Nothing a pickle names is looked up: each name that real files
need stands for a class of this file, which checks what it is given, and any other name is refused.
So neither Python's modules nor numpy's or scipy's own unpickling code ever sees foreign data.
"""

import io
import math
import pickle  # noqa: TID251 - foreign formats are pickles; see this file's first lines
import re
import struct
from pathlib import Path
from reprlib import repr as brief  # repr of a pickle's nested lists may never end
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.data.matrix import UNREADABLE
from training.errors import InvalidDataset

DTYPE: Final = re.compile(r"b1|[iu][1248]|f[248]|O8?")
STATE_LENGTH: Final = 5
DAMAGED: Final = (
    *UNREADABLE, pickle.UnpicklingError, AttributeError, IndexError, AssertionError, struct.error,
    RecursionError,
)  # fmt: skip


class _Sealed(type):
    """A class that a pickle cannot alter, though it can ask for that of whatever it names."""

    def __setattr__(cls, name: str, value: object) -> None:
        """Refuse."""
        raise pickle.UnpicklingError(f"sets {name} of {cls.__name__}")


class PickledDtype(metaclass=_Sealed):
    """Stands for `numpy.dtype`: numbers and objects, nothing structured."""

    __slots__ = ("code", "order")

    def __init__(self, code: str, *_: object) -> None:
        """Take numpy's short name of a type, such as i8."""
        if not DTYPE.fullmatch(code):
            raise pickle.UnpicklingError(f"holds an array of dtype {brief(code)}")
        self.code = code
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the byte order; the rest of the state is about structured types."""
        if state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"has byte order {brief(state[1])}")
        self.order = state[1]

    @property
    def numeric(self) -> np.dtype[Any] | None:
        """Return the dtype, or None if it is that of objects."""
        return None if self.code.startswith("O") else np.dtype(self.order + self.code)


class PickledArray(metaclass=_Sealed):
    """Stands for `numpy.ndarray`; holds `numbers`, or `objects` in the order of the pickle."""

    __slots__ = ("numbers", "objects", "shape")

    def __init__(self) -> None:
        """Start empty, as numpy's pickles do."""
        self.shape: tuple[int, ...] = (0,)
        self.numbers: NDArray[Any] | None = None
        self.objects: list[Any] = []

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take version, shape, dtype, order in memory and content, which must fit each other."""
        if len(state) != STATE_LENGTH:
            raise pickle.UnpicklingError("has an array in an unknown form")
        shape, dtype, by_column, content = state[1:]
        if not all(type(length) is int and length >= 0 for length in shape):
            raise pickle.UnpicklingError(f"has an array of shape {brief(shape)}")
        numeric, size = dtype.numeric, math.prod(shape)
        if numeric is None:
            if not isinstance(content, list) or len(content) != size:
                raise pickle.UnpicklingError("has an array whose content does not fit its shape")
            self.objects = content
        else:
            data = content.encode("latin-1") if isinstance(content, str) else content
            if len(data) != size * numeric.itemsize:
                raise pickle.UnpicklingError("has an array whose content does not fit its shape")
            flat = np.frombuffer(data, numeric)
            self.numbers = flat.reshape(shape, order="F" if by_column else "C")
        self.shape = tuple(shape)


class _Reconstruct(metaclass=_Sealed):
    """Stands for numpy's `_reconstruct`: an empty array, filled by what follows."""

    def __new__(cls, kind: object, *_: object) -> Any:
        if kind is not PickledArray:
            raise pickle.UnpicklingError("makes an array of an unknown class")
        return PickledArray()


class _Scalar(metaclass=_Sealed):
    """Stands for numpy's `scalar`: one number, as Python's."""

    def __new__(cls, dtype: PickledDtype, data: Any) -> Any:
        numeric = dtype.numeric
        data = data.encode("latin-1") if isinstance(data, str) else data
        if numeric is None or len(data) != numeric.itemsize:
            raise pickle.UnpicklingError("has a number that does not fit its dtype")
        return np.frombuffer(data, numeric)[0].item()


class _Encode(metaclass=_Sealed):
    """Stands for `_codecs.encode`, by which old pickles hold bytes."""

    def __new__(cls, text: str, encoding: str = "latin1") -> Any:
        if encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(f"encodes as {brief(encoding)}")
        return text.encode("latin-1")


class CooMatrix(metaclass=_Sealed):
    """Stands for scipy's `coo_matrix`; keeps its state and knows nothing of it."""

    __slots__ = ("state",)

    def __setstate__(self, state: Any) -> None:
        """Keep the state."""
        self.state = state


class CsrMatrix(metaclass=_Sealed):
    """Stands for scipy's `csr_matrix`; keeps its state and knows nothing of it."""

    __slots__ = ("state",)

    def __setstate__(self, state: Any) -> None:
        """Keep the state."""
        self.state = state


# numpy 1 and 2, scipy before and since 1.8, Python 2 and 3 name the same things differently.
NUMPY_CORES: Final = ("numpy.core", "numpy._core")
ALLOWED: Final[dict[tuple[str, str], object]] = {
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): PickledDtype,
    **{
        (f"{core}.{module}", name): kind
        for core in NUMPY_CORES
        for module in ("multiarray", "_multiarray_umath")
        for name, kind in (("_reconstruct", _Reconstruct), ("scalar", _Scalar))
    },
    ("_codecs", "encode"): _Encode,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("scipy.sparse.coo", "coo_matrix"): CooMatrix,
    ("scipy.sparse._coo", "coo_matrix"): CooMatrix,
    ("scipy.sparse.csr", "csr_matrix"): CsrMatrix,
    ("scipy.sparse._csr", "csr_matrix"): CsrMatrix,
}


class _Unpickler(pickle._Unpickler):  # noqa: SLF001
    """Python's unpickler written in Python.

    The one in C reserves memory for as many remembered objects as a pickle's index says, 2^32.
    """

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name, and look nothing up."""
        if (module, name) not in ALLOWED:
            raise _Refused(f"{module}.{name}"[:200])
        return ALLOWED[module, name]


class _Refused(Exception):
    """A pickle asks for something that no data set needs."""


def load_pickle(file: Path) -> Any:
    """Return the one object in a pickle: plain Python, or this file's classes.

    Raises:
        InvalidDataset: the file is missing, damaged, or asks for anything else.
    """
    return _unpickle(_read(file), file)


def load_npy(file: Path) -> NDArray[Any] | PickledArray:
    """Return the array in an .npy file; an array of objects comes as `PickledArray`.

    Raises:
        InvalidDataset: the file is missing, damaged, or asks for anything else.
    """
    data = _read(file)
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, by_column, dtype = read_header(stream)
        if not dtype.hasobject:
            # Read where it lies: a header can claim any size.
            flat = np.frombuffer(data, dtype, math.prod(shape), stream.tell())
            return flat.reshape(shape, order="F" if by_column else "C")
    except DAMAGED as error:
        raise InvalidDataset([f"{file.name}: is not an .npy array: {error!r}"]) from error
    array = _unpickle(data[stream.tell() :], file)
    if not isinstance(array, PickledArray):
        raise InvalidDataset([f"{file.name}: holds {type(array).__name__}, expected an array"])
    return array


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise InvalidDataset([f"{file} is missing"]) from None


def _unpickle(data: bytes, file: Path) -> Any:
    try:
        return _Unpickler(io.BytesIO(data), encoding="latin-1").load()
    except _Refused as error:
        text = f"its pickle asks for {error}, which data does not need; it was not opened"
        raise InvalidDataset([f"{file.name}: {text}"]) from error
    except DAMAGED as error:
        raise InvalidDataset([f"{file.name}: is not a readable pickle: {error}"]) from error
