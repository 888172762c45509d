"""Pickled arrays of published data sets are opened; nothing else a pickle asks for ever happens."""

import pickletools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pickles import coo_matrix, csr_matrix, pickled, rows_of_objects, write_objects
from training.data.importers.restricted_pickle import (
    CooMatrix,
    CsrMatrix,
    PickledArray,
    load_npy,
    load_pickle,
)
from training.errors import InvalidDataset

ARRAY = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int32)
ODDS = {
    "dict": {0: {5, 6}, 1: [np.int64(7), np.float32(0.5)], 2: set()},
    "array": ARRAY,
    "columns": np.asfortranarray(ARRAY),
    "big endian": ARRAY.astype(">f8"),
    "half": ARRAY.astype(np.float16),
    "flags": ARRAY > 2,
    "bytes": b"\x00\xff",
}


def loaded(tmp_path: Path, data: bytes) -> Any:
    file = tmp_path / "x.pkl"
    file.write_bytes(data)
    return load_pickle(file)


def fault(tmp_path: Path, data: bytes) -> str | None:
    try:
        loaded(tmp_path, data)
    except InvalidDataset as error:
        (told,) = error.faults
        return told
    return None


def refused(tmp_path: Path, data: bytes) -> str:
    told = fault(tmp_path, data)
    assert told is not None
    assert told.startswith("x.pkl: ")
    return told


@pytest.mark.parametrize("old", [True, False], ids=["old names", "new names"])
@pytest.mark.parametrize("name", ODDS)
def test_what_data_sets_hold_comes_back_as_it_was(name: str, old: bool, tmp_path: Path) -> None:
    value = ODDS[name]
    found = loaded(tmp_path, pickled(value, old=old))
    if isinstance(value, np.ndarray):
        assert isinstance(found, PickledArray)
        assert found.numbers is not None
        assert found.shape == value.shape
        np.testing.assert_array_equal(found.numbers, value)
        assert found.numbers.dtype == value.dtype
    else:
        assert found == value


@pytest.mark.parametrize("old", [True, False], ids=["old names", "new names"])
def test_sparse_matrices_keep_their_state_and_need_no_scipy(old: bool, tmp_path: Path) -> None:
    rows, columns = np.array([0, 1]), np.array([2, 0])
    found = loaded(tmp_path, pickled(coo_matrix(rows, columns, (2, 3)), old=old))
    assert isinstance(found, CooMatrix)
    assert found.state["_shape"] == (2, 3)
    assert found.state["col"].numbers.tolist() == [2, 0]
    found = loaded(tmp_path, pickled(csr_matrix(np.array([0, 1, 2]), columns, (2, 3)), old=old))
    assert isinstance(found, CsrMatrix)
    assert found.state["indptr"].numbers.tolist() == [0, 1, 2]


@pytest.mark.parametrize("old", [True, False], ids=["old names", "new names"])
def test_an_array_of_objects_is_read_from_its_file(old: bool, tmp_path: Path) -> None:
    file = tmp_path / "x.npy"
    write_objects(file, rows_of_objects([[0, 5, 6], [1]]), old=old)
    found = load_npy(file)
    assert isinstance(found, PickledArray)
    assert (found.shape, found.objects) == ((2,), [[0, 5, 6], [1]])
    write_objects(file, {3: {1}}, old=old)
    found = load_npy(file)
    assert isinstance(found, PickledArray)
    assert (found.shape, found.objects) == ((), [{3: {1}}])


def test_what_this_numpy_saves_is_read(tmp_path: Path) -> None:
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.array([0, 5]), np.array([1])]
    for array in (ragged, ARRAY, np.asfortranarray(ARRAY), ARRAY[:0], np.array(7)):
        np.save(tmp_path / "x.npy", array)
        found = load_npy(tmp_path / "x.npy")
        if isinstance(found, PickledArray):
            assert [part.numbers.tolist() for part in found.objects] == [[0, 5], [1]]
        else:
            np.testing.assert_array_equal(found, array)
            assert found.shape == array.shape


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"cos\nsystem\n(S'touch {}'\ntR.", "os.system"),
        (b"cposix\nsystem\n(S'touch {}'\ntR.", "posix.system"),
        (b"(S'touch {}'\nios\nsystem\n.", "os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x08touch {}\x85R.", "os.system"),
        (b'cbuiltins\neval\n(S\'open("{}", "w")\'\ntR.', "builtins.eval"),
        (b"c__builtin__\ngetattr\n(cnumpy\nndarray\nS'x'\ntR.", "__builtin__.getattr"),
        (b"cnumpy\nload\n(S'{}'\ntR.", "numpy.load"),
        (b"cnumpy.core.multiarray\nfromfile\n(S'{}'\ntR.", "numpy.core.multiarray.fromfile"),
        (b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.tofile.x\x93.", "numpy.ndarray.tofile.x"),
        (b"cscipy.sparse\ncoo_matrix\n.", "scipy.sparse.coo_matrix"),
    ],
)
def test_any_other_name_is_refused_and_nothing_runs(data: bytes, name: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    assert f"its pickle asks for {name}, " in refused(
        tmp_path, data.replace(b"{}", str(mark).encode())
    )
    assert not mark.exists()


def test_a_malicious_array_of_objects_is_refused_before_anything_runs(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    file = tmp_path / "train.npy"
    write_objects(file, {0: {1}})
    header = file.read_bytes()[:128]
    file.write_bytes(header + b"cos\nsystem\n(S'touch %s'\ntR." % str(mark).encode())
    with pytest.raises(InvalidDataset, match=r"train\.npy: its pickle asks for os\.system"):
        load_npy(file)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "is not a readable pickle"),
        (b"not a pickle", "is not a readable pickle"),
        (pickled(ARRAY)[:-20], "is not a readable pickle"),
        # An empty array of another class, of another type, of a size its content does not have.
        (b"cnumpy.core.multiarray\n_reconstruct\n(c__builtin__\nset\n(I0\ntS'b'\ntR.", "class"),
        (b"cnumpy\ndtype\n(S'V8'\nI0\nI1\ntR.", "dtype 'V8'"),
        (pickled(ARRAY).replace(b"K\x02K\x03\x86", b"K\x02K\x04\x86"), "does not fit its shape"),
        (pickled(ARRAY).replace(b"K\x02K\x03\x86", b"J\xfe\xff\xff\xffJ\xfd\xff\xff\xff\x86"),
         "array of shape"),
        (pickled(np.array([{}])).replace(b"K\x01\x85", b"K\x09\x85"), "does not fit its shape"),
        (pickled(np.int64(1)).replace(b"i8", b"i4"), "does not fit its dtype"),
        (b"c_codecs\nencode\n(V%s\nS'zlib'\ntR." % (b"0" * 99), "encodes as 'zlib'"),
        (b"c_codecs\nencode\nN}\x8c\x07__new__c__builtin__\nset\ns\x86b.", "sets __new__"),
        (b"(lp0\n0\x80\x02P1\n.", "is not a readable pickle"),
    ],
)  # fmt: skip
def test_a_malformed_pickle_is_told(data: bytes, text: str, tmp_path: Path) -> None:
    assert text in refused(tmp_path, data)


@pytest.mark.parametrize(
    "data",
    [
        b"]r\xff\xff\xff\xff.",  # remembers a list as number 2^32 - 1
        b"\x8e" + struct.pack("<Q", 1 << 40) + b"x.",  # a text of 2^40 bytes
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"].",  # a frame of 2^40 bytes
    ],
    ids=["memo", "bytes", "frame"],
)
def test_a_size_that_a_pickle_only_claims_takes_no_memory(data: bytes, tmp_path: Path) -> None:
    told = fault(tmp_path, data)
    assert told is None or "is not a readable pickle" in told


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 40, 1 << 40), (3, 3)])
def test_a_size_that_a_header_only_claims_is_told(shape: tuple[int, ...], tmp_path: Path) -> None:
    file = tmp_path / "x.npy"
    header = {"descr": "<i8", "fortran_order": False, "shape": shape}
    with file.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(bytes(64))
    with pytest.raises(InvalidDataset, match=r"x\.npy: is not an \.npy array"):
        load_npy(file)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    for load in (load_npy, load_pickle):
        with pytest.raises(InvalidDataset, match="gone is missing"):
            load(tmp_path / "gone")


def test_objects_that_are_no_array_are_told(tmp_path: Path) -> None:
    file = tmp_path / "x.npy"
    write_objects(file, {0: 1})
    file.write_bytes(file.read_bytes()[:128] + pickled([1]))
    with pytest.raises(InvalidDataset, match="holds list, expected an array"):
        load_npy(file)


WHOLE = pickled([ODDS["dict"], ARRAY, rows_of_objects([[1], [2]])])


@given(place=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_a_changed_byte_gives_an_object_or_an_error_by_name(
    place: int, byte: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    changed = WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :]
    told = fault(tmp_path_factory.mktemp("p"), changed)
    assert told is None or told.startswith("x.pkl: ")


def test_the_old_pickles_of_these_tests_hold_the_old_names() -> None:
    names = {
        argument
        for opcode, argument, _ in pickletools.genops(
            pickled([ODDS["dict"], ARRAY, coo_matrix(ARRAY[0], ARRAY[0], (9, 9))])
        )
        if opcode.name == "GLOBAL"
    }
    assert names == {
        "__builtin__ set", "numpy dtype", "numpy ndarray", "numpy.core.multiarray _reconstruct",
        "numpy.core.multiarray scalar", "_codecs encode", "scipy.sparse.coo coo_matrix",
    }  # fmt: skip
