"""The diffmm importer reads pickled scipy matrices, old and new, without scipy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.datasets import random_features
from tests.support.importing import import_, refusal
from tests.support.pickles import coo_matrix, csr_matrix, pickled

SHAPE = (6, 5)
PAIRS = {
    "trnMat": [(0, 0), (0, 2), (3, 1)],
    "valMat": [(0, 3)],
    "tstMat": [(3, 4), (5, 0)],
}


def coo(pairs: list[tuple[int, int]], shape: Any = SHAPE) -> coo_matrix:
    table = np.array(pairs).reshape(-1, 2)
    return coo_matrix(table[:, 0], table[:, 1], shape)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "tiktok"
    folder.mkdir()
    for name, pairs in PAIRS.items():
        (folder / f"{name}.pkl").write_bytes(pickled(coo(pairs)))
    made = random_features(5, {"visual": 4, "acoustic": 2})
    np.save(folder / "image_feat.npy", made["visual"].astype(np.float16))
    np.save(folder / "audio_feat.npy", made["acoustic"])
    return folder


def expected(name: str) -> set[tuple[str, str]]:
    return {(str(user), str(item)) for user, item in PAIRS[name]}


def test_entries_become_interactions(source: Path) -> None:
    found = import_("diffmm", source)
    assert found.met("train") == expected("trnMat")
    assert found.met("val") == expected("valMat")
    assert found.met("test") == expected("tstMat")
    assert found.dataset.video_ids == ["0", "1", "2", "3", "4"]
    assert found.dataset.user_ids == ["0", "3", "5"]
    assert found.dataset.feature_dims == {"visual": 4, "acoustic": 2}


def test_new_names_coordinates_in_one_tuple_and_rows_are_read_as_well(source: Path) -> None:
    newer: Any = coo(PAIRS["trnMat"])
    newer.coords = (newer.row, newer.col)
    del newer.row, newer.col
    (source / "trnMat.pkl").write_bytes(pickled(newer, old=False))
    starts = np.array([0, 0, 0, 0, 1, 1, 2])
    rows = csr_matrix(starts, np.array([4, 0]), SHAPE)
    (source / "tstMat.pkl").write_bytes(pickled(rows))
    found = import_("diffmm", source)
    assert found.met("train") == expected("trnMat")
    assert found.met("test") == expected("tstMat")


def test_an_entry_of_zero_is_no_interaction(source: Path) -> None:
    matrix = coo(PAIRS["trnMat"])
    matrix.data[1] = 0
    (source / "trnMat.pkl").write_bytes(pickled(matrix))
    assert import_("diffmm", source).met("train") == expected("trnMat") - {("0", "2")}


def changed(**state: Any) -> coo_matrix:
    matrix = coo(PAIRS["valMat"])
    vars(matrix).update(state)
    return matrix


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1], "holds list, expected a scipy coo or csr matrix"),
        (changed(_shape=(6, 5, 1)), "has shape (6, 5, 1), expected users x items"),
        (changed(_shape="65"), "has shape '65'"),
        (changed(_shape=(6.0, 5)), "has shape (6.0, 5)"),
        (changed(_shape=(6, 9)), "the matrices differ in shape"),
        (changed(row=None), "must be arrays of numbers"),
        (changed(row=np.ones(1)), "must be arrays of numbers"),
        (changed(row=np.ones((1, 1), int)), "must be arrays of numbers"),
        (changed(data=np.ones(2)), "has 1 rows, 1 columns, 2 values"),
        (changed(col=np.array([5])), "entry 0: (0, 5) is outside of its shape (6, 5)"),
        (changed(row=np.array([-1])), "entry 0: (-1, 3) is outside of its shape"),
        (csr_matrix(np.array([0, 2]), np.array([1]), SHAPE), "indptr does not divide"),
        (csr_matrix(np.array([0, 1, 0, 1]), np.array([1]), SHAPE), "indptr does not divide"),
        (csr_matrix(np.array([0] * 9 + [1]), np.array([1]), SHAPE), "(8, 1) is outside"),
    ],
)
def test_a_malformed_matrix_is_told(value: Any, text: str, source: Path) -> None:
    (source / "valMat.pkl").write_bytes(pickled(value))
    told = refusal("diffmm", source)
    assert text in told
    assert "valMat.pkl" in told


def test_features_of_another_set_are_told_by_the_shape(source: Path) -> None:
    for name, matrix in random_features(7, {"visual": 4, "acoustic": 2}).items():
        np.save(source / f"{'image' if name == 'visual' else 'audio'}_feat.npy", matrix)
    assert "trnMat.pkl: has 5 items, but the features have 7 rows" in refusal("diffmm", source)


def test_a_malicious_matrix_runs_nothing_and_is_told(source: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    attack = b"cos\nsystem\n(S'touch %s'\ntR." % str(mark).encode()
    (source / "tstMat.pkl").write_bytes(attack)
    assert "tstMat.pkl: its pickle asks for os.system" in refusal("diffmm", source)
    assert not mark.exists()


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    told = refusal("diffmm", tmp_path / "s")
    for text in ("holds none of", "trnMat.pkl is missing", "tstMat.pkl is missing"):
        assert text in told
