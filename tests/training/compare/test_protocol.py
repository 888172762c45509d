"""Systems are compared on the same data, with the same seeds, and nothing is run twice."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.comparing import compared, noting, plan_of
from tests.support.datasets import two_tastes
from tests.support.training_command import call, refused, start
from training.checkpoint import EpochReport
from training.compare.protocol import compare, settings_of
from training.compare.systems import GRIDS, KNOWN, STANDARD, grids_of
from training.config import configure, read_grid
from training.data.folder_writer import write_dataset
from training.data.synthetic import make_synthetic
from training.errors import InvalidConfig
from training.untrained import UNTRAINED


def names(runs: Any) -> list[tuple[str, int]]:
    return [(kept.run.model, kept.run.seed) for kept in runs]


def test_every_system_is_run_with_every_seed_and_popularity_once(tmp_path: Path) -> None:
    found, _ = compared(tmp_path, plan_of("popularity", "bpr-mf", "metammf-mf", seeds=(3, 4)))
    assert {model: names(runs) for model, runs in found.chosen.items()} == {
        "popularity": [("popularity", 3)],
        "bpr-mf": [("bpr-mf", 3), ("bpr-mf", 4)],
        "metammf-mf": [("metammf-mf", 3), ("metammf-mf", 4)],
    }
    first, second = (kept.run for kept in found.chosen["bpr-mf"])
    assert first.test != second.test
    assert first.epochs == 2
    assert first.seconds > 0
    assert first.peak_mib > 50
    assert found.missing == []


def test_the_grid_is_chosen_on_validation_with_the_first_seed(tmp_path: Path) -> None:
    grid = [{"learning_rate": 1e-6}, {"learning_rate": 3e-2}]
    plan = plan_of("bpr-mf", seeds=(0, 1), grid=grid, max_epochs=8)
    found, opened = compared(tmp_path, plan)
    assert [kept.run.change for kept in found.chosen["bpr-mf"]] == [grid[1], grid[1]]
    assert len(opened) == 3
    rejected = next(kept.run for kept in found.tried if kept.run.change == grid[0])
    chosen = found.chosen["bpr-mf"][0].run
    assert chosen.val["overall"]["recall@20"] > rejected.val["overall"]["recall@20"]


def test_test_chooses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting that is better on test is not taken where validation says otherwise."""
    grid = [{"filter_dim": 1}, {"filter_dim": 6}]
    plan = plan_of("gf-cf", grid=None)
    monkeypatch.setitem(plan.grids, "gf-cf", grid)
    found, _ = compared(tmp_path, plan)
    runs = {kept.run.change["filter_dim"]: kept.run for kept in found.tried}
    best = max(runs.values(), key=lambda run: run.val["overall"]["recall@20"])
    assert found.chosen["gf-cf"][0].run == best


def test_what_is_finished_is_not_run_again(tmp_path: Path) -> None:
    plan = plan_of("popularity", "bpr-mf", seeds=(0, 1))
    first, opened = compared(tmp_path, plan)
    assert len(opened) == 3
    again, opened = compared(tmp_path, plan)
    assert opened == []
    assert [kept.run for kept in again.tried] == [kept.run for kept in first.tried]
    more, opened = compared(tmp_path, plan_of("popularity", "bpr-mf", "vbpr", seeds=(0, 1, 2)))
    assert opened == ["vbpr, seed 0", "vbpr, seed 1", "bpr-mf, seed 2", "vbpr, seed 2"]
    assert len(more.tried) == 7


def test_another_setting_or_other_data_is_run_anew(tmp_path: Path) -> None:
    compared(tmp_path, plan_of("bpr-mf"))
    assert compared(tmp_path, plan_of("bpr-mf", learning_rate=0.01))[1] == ["bpr-mf, seed 0"]
    opened: list[str] = []
    other = two_tastes(users=22)
    compare(other, plan_of("bpr-mf"), tmp_path, watch=noting(opened))
    assert opened == ["bpr-mf, seed 0"]


def test_time_that_is_up_leaves_a_table_and_says_what_is_missing(tmp_path: Path) -> None:
    plan = plan_of("popularity", "bpr-mf", "vbpr", seeds=(0, 1))
    compared(tmp_path, plan_of("popularity"))
    found, opened = compared(tmp_path, plan, max_seconds=0)
    assert opened == []
    assert list(found.chosen) == ["popularity"]
    assert found.missing == ["bpr-mf, seed 0", "vbpr, seed 0"]


def test_a_run_that_time_cuts_off_goes_on_where_it_was(tmp_path: Path) -> None:
    def slow(entry: EpochReport) -> None:
        time.sleep(0.6)

    plan = plan_of("bpr-mf", max_epochs=4)
    found, opened = compared(tmp_path, plan, watch=noting([], slow), max_seconds=0.5)
    assert (found.chosen, found.missing) == ({}, ["bpr-mf, seed 0"])
    (left,) = (tmp_path / "runs").iterdir()
    assert left.suffix == ".unfinished"
    found, opened = compared(tmp_path, plan)
    assert opened == ["bpr-mf, seed 0"]
    assert found.chosen["bpr-mf"][0].run.epochs == 4
    assert not left.exists()


def test_what_diverges_is_told_and_stops_nothing_else(tmp_path: Path) -> None:
    grid = [{"learning_rate": 0.5, "fusion_decay": 100.0}, {"learning_rate": 0.01}]
    plan = plan_of("metammf-mf", grid=grid, max_epochs=40, validate_every=40, patience=40)
    for _ in range(2):
        found, _ = compared(tmp_path, plan)
        assert [kept.run.change for kept in found.tried] == [grid[1]]
        (told,) = found.missing
        assert told.startswith("metammf-mf, seed 0, learning_rate=0.5")
        assert told.endswith("(diverged)")


def test_numbers_that_go_in_the_last_step_are_no_result(tmp_path: Path) -> None:
    """The loss of an epoch is that of before its last step."""
    plan = plan_of("metammf-mf", learning_rate=1.0, fusion_decay=100.0, max_epochs=1)
    dataset = make_synthetic(videos=120, users=60, seed=1)
    found = compare(
        dataset,
        plan._replace(settings={**plan.settings, "batch_size": 64}),
        tmp_path,
        watch=noting([]),
    )
    assert found.chosen == {}
    assert found.missing == ["metammf-mf, seed 0 (diverged)"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--seeds", "0,1,0"), "--seeds '0,1,0': expected different"),
        (("--set", "model='vbpr'"), "model: which systems are compared is told by --models"),
        (("--grid", "model=['vbpr', 'bpr-mf']"), "model: which systems are compared"),
    ],
)
def test_what_would_be_ignored_is_refused(
    options: tuple[str, ...], text: str, tmp_path: Path
) -> None:
    write_dataset(tmp_path / "data", two_tastes())
    told = refused("compare", tmp_path / "data", "--out", tmp_path / "out", *options)
    assert told.startswith(text)
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", two_tastes())
    (tmp_path / "out").touch()
    told = refused("compare", tmp_path / "data", "--out", tmp_path / "out")
    assert told.startswith(f"--out {tmp_path / 'out'}: expected a folder")


def test_a_comparison_is_no_work_for_a_team(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(tmp_path / "data", two_tastes())
    monkeypatch.setenv("WORLD_SIZE", "2")
    told = refused("compare", tmp_path / "data", "--out", tmp_path / "out")
    assert told.startswith("compare is for one process")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_the_device_is_heeded(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", two_tastes())
    told = refused("compare", tmp_path / "data", "--out", tmp_path / "out", "--device", "cuda")
    assert told.startswith("--device cuda: this torch sees no CUDA device")


@pytest.mark.e2e
def test_after_a_kill_the_same_command_goes_on(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", two_tastes())
    command: list[str | Path] = [
        "compare", tmp_path / "data", "--out", tmp_path / "out", "--seeds", "0", "--defaults",
        "--models", "popularity,bpr-mf,vbpr", "--set", "vector_dim=8", "--set", "max_epochs=400",
        "--set", "patience=400",
    ]  # fmt: skip
    killed = start(*command)
    kept = tmp_path / "out" / "runs"
    deadline = time.monotonic() + 60
    while len(list(kept.glob("bpr-mf*.json"))) == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    finished = {file: file.stat().st_mtime_ns for file in kept.glob("*.json")}
    assert 2 <= len(finished) < 3
    done = call(*command)
    assert done.exit_code == 0, done.output
    assert {file: file.stat().st_mtime_ns for file in finished} == finished
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [system["model"] for system in told["systems"]] == ["popularity", "bpr-mf", "vbpr"]


def test_settings_of_networks_are_none_of_what_is_not_trained(tmp_path: Path) -> None:
    plan = plan_of("popularity", "gf-cf", "metammf-mf", members=2, filter_dim=3)
    found, _ = compared(tmp_path, plan)
    assert list(found.chosen) == ["popularity", "gf-cf", "metammf-mf"]
    assert settings_of("popularity", plan.settings) == {}
    assert settings_of("gf-cf", plan.settings) == {"filter_dim": 3, "filter_weight": 0.3}
    with pytest.raises(InvalidConfig, match="member"):
        settings_of("popularity", {"member": 2})


def test_a_common_grid_is_tried_by_whom_it_changes() -> None:
    common = read_grid(["filter_dim=[8, 16]", "temperature=[0.2, 0.3]"])
    assert grids_of(["popularity", "gf-cf", "bpr-mf"], common) == {
        "popularity": [{}],
        "gf-cf": [{"filter_dim": 8}, {"filter_dim": 16}],
        "bpr-mf": [{"temperature": 0.2}, {"temperature": 0.3}],
    }


@pytest.mark.parametrize(
    ("models", "told"),
    [(["popularity", "deepfm"], "deepfm"), ([""], "unknown"), (["vbpr", "vbpr"], "twice")],
)
def test_systems_that_are_not_there_stop_before_anything_is_run(
    models: list[str], told: str
) -> None:
    with pytest.raises(InvalidConfig, match=told):
        grids_of(models, None)


def test_every_system_there_is_can_be_compared(tmp_path: Path) -> None:
    found, _ = compared(tmp_path, plan_of(*KNOWN, max_epochs=1))
    assert list(found.chosen) == list(KNOWN)
    runs = [kept[0].run for kept in found.chosen.values()]
    assert {run.model for run in runs if run.epochs == 0} == set(UNTRAINED)
    assert len({json.dumps(run.test) for run in runs}) > 10
    timed = {run.model for run in runs if run.arrival_ms is not None}
    assert timed == set(KNOWN) - set(UNTRAINED) - {"bpr-mf", "cosine-mf", "lightgcn"}


def test_every_declared_setting_is_one_of_the_system_and_no_system_has_more_than_others() -> None:
    assert set(GRIDS) <= set(KNOWN)
    assert set(STANDARD) <= set(KNOWN)
    assert {len(grid) for grid in GRIDS.values()} == {3}
    assert {model for model in KNOWN if model not in GRIDS} == {
        "popularity", "content-knn", "linear-filter",
    }  # fmt: skip
    for model, grid in GRIDS.items():
        for change in grid:
            configure({**change, "model": model})
