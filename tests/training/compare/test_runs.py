"""A run is kept whole or not at all, and under a name that only its request has."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.comparing import made_up
from training.compare.memory import forget_peak, peak_mib
from training.compare.runs import Request, RunShelf
from training.errors import TrainingError

REQUEST = Request("bpr-mf", 0, {"rank": 2}, {"rank": 2, "layers": 1}, "abc")


def test_what_was_kept_is_found(tmp_path: Path) -> None:
    shelf, kept = RunShelf(tmp_path / "a" / "b"), made_up("bpr-mf", 0, 0.25)
    assert shelf.find(REQUEST) is None
    shelf.keep(REQUEST, kept)
    found = RunShelf(tmp_path / "a" / "b").find(REQUEST)
    assert found is not None
    assert found.run == kept.run
    assert set(found.by_user) == {"recall@20", "ndcg@20"}
    for name, figures in kept.by_user.items():
        np.testing.assert_array_equal(found.by_user[name], figures)


@pytest.mark.parametrize(
    "other",
    [
        REQUEST._replace(model="vbpr"),
        REQUEST._replace(seed=1),
        REQUEST._replace(settings={"rank": 2, "layers": 2}),
        REQUEST._replace(change={"rank": 3}),
        REQUEST._replace(fingerprint="abd"),
    ],
)
def test_another_request_has_another_name(other: Request, tmp_path: Path) -> None:
    shelf = RunShelf(tmp_path)
    shelf.keep(REQUEST, made_up("bpr-mf", 0, 0.25))
    assert shelf.find(other) is None
    assert other.name != REQUEST.name


def test_the_order_of_settings_does_not_matter() -> None:
    assert REQUEST._replace(settings={"layers": 1, "rank": 2}).name == REQUEST.name


def test_a_run_is_called_by_its_model_its_seed_and_what_the_grid_changed() -> None:
    assert REQUEST.shown == "bpr-mf, seed 0, rank=2"


def test_a_run_that_was_cut_off_while_it_was_written_is_none(tmp_path: Path) -> None:
    shelf = RunShelf(tmp_path)
    shelf.keep(REQUEST, made_up("bpr-mf", 0, 0.25))
    (tmp_path / f"{REQUEST.name}.json").unlink()
    assert shelf.find(REQUEST) is None


@pytest.mark.parametrize(
    ("ending", "bytes_left"),
    [("json", b"{"), ("npz", b"PK"), ("npz", None), ("npz", b""), ("npz", b"P" * 100)],
)
def test_a_damaged_run_is_named_with_what_to_do(
    ending: str, bytes_left: bytes | None, tmp_path: Path
) -> None:
    shelf = RunShelf(tmp_path)
    shelf.keep(REQUEST, made_up("bpr-mf", 0, 0.25))
    file = tmp_path / f"{REQUEST.name}.{ending}"
    if bytes_left is None:
        file.unlink()
    else:
        file.write_bytes(bytes_left)
    with pytest.raises(TrainingError, match=f"{REQUEST.name}.json.*remove it"):
        shelf.find(REQUEST)


def test_the_peak_of_memory_is_that_since_it_was_forgotten() -> None:
    forget_peak()
    before = peak_mib()
    held = np.ones(60 << 20, np.int8)
    del held
    assert peak_mib() > before + 50
    forget_peak()
    assert peak_mib() < before + 30
