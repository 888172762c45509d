"""Bytes that are no safetensors file are refused, whatever they are."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from models.bundle.errors import CorruptBundle
from models.bundle.tensors import map_tensors


def container(header: object, data: bytes = bytes(16), *, size: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text + data


def entry(**changed: object) -> dict[str, Any]:
    return {"t": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **changed}}


def test_what_the_library_writes_is_read_alike(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tensors: dict[str, Any] = {
        "floats": rng.normal(size=(7, 3)).astype(np.float32),
        "halves": rng.normal(size=5).astype(np.float16),
        "rows": rng.integers(-9, 9, 11),
        "short": rng.integers(-9, 9, (2, 2)).astype(np.int32),
        "none": np.empty((0, 3), np.float32),
        "flags": rng.random(9) < 0.5,
    }
    save_file(tensors, tmp_path / "t", metadata={"any": "text"})
    found = map_tensors(tmp_path / "t")
    assert found.keys() == tensors.keys()
    for name, array in tensors.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_the_hand_made_container_is_a_good_one(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(container(entry()))
    np.testing.assert_array_equal(map_tensors(tmp_path / "t")["t"], np.zeros(4, np.float32))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        bytes(8),
        b"\xff" * 64,
        container(entry(), size=1 << 62),
        container(entry(), size=3),
        container(b"\xff\xfe"),
        container(b"[" * 100_000),
        container([]),
        container(None),
        container({"t": 3}),
        container({"t": {}}),
        container(entry(dtype="F64")),
        container(entry(dtype=["F32"])),
        container(entry(shape=[5])),
        container(entry(shape=[10**30])),
        container(entry(shape="4")),
        container(entry(shape=None)),
        container(entry(data_offsets=[0, 17])),
        container(entry(data_offsets=[0, 15])),
        container(entry(data_offsets=[16, 0])),
        container(entry(data_offsets=[-16, 0])),
        container(entry(data_offsets=[0.0, 16.0])),
        container(entry(data_offsets=["0", "16"])),
        container(entry(data_offsets=[0])),
        container(entry(data_offsets=[0, 10**30])),
    ],
)
def test_garbage_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(CorruptBundle) as caught:
        map_tensors(tmp_path / "t")
    assert caught.value.file == tmp_path / "t"


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=200) | st.binary(max_size=99).map(container))
def test_random_bytes_are_read_or_refused_and_nothing_else(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "random"
    file.write_bytes(content)
    with suppress(CorruptBundle):
        map_tensors(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptBundle):
        map_tensors(tmp_path / "gone")
