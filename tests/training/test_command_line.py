"""The trainer's commands do what they say, and tell what is wrong in a paragraph."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from models.bundle.layout import CURRENT, LOCK
from models.bundle.reader import list_bundle_ids, read_bundle, read_current_id
from tests.support.bundles import write_small_bundle
from tests.support.datasets import random_features, two_tastes
from tests.support.training_command import call, refused, start
from training.data.folder import read_dataset
from training.data.folder_writer import write_dataset

QUICK = ["--set", "vector_dim=8", "--set", "hidden_dims=[8]", "--set", "max_epochs=2"]
GROUPS = ("overall", "warm", "cold", "cold_among_cold")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "tastes"
    write_dataset(folder, two_tastes())
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder for the npz importer, with a constant column and a user without training."""
    folder = tmp_path / "source"
    folder.mkdir()
    part = np.array([[user, (user * 3 + step) % 20] for user in range(6) for step in range(4)])
    np.savez(folder / "interactions.npz", train=part, val=[[0, 19]], test=[[9, 19], [1, 18]])
    visual = random_features(20, {"visual": 4})["visual"]
    visual[:, 2] = 5
    np.save(folder / "visual.npy", visual)
    return folder


@pytest.mark.e2e
def test_a_fitted_bundle_is_named_last_and_evaluates_to_its_own_figures(
    dataset: Path, tmp_path: Path
) -> None:
    fit = start("fit", dataset, "--out", tmp_path, *QUICK, "--seed", "3")
    out, told = fit.communicate(timeout=120)
    assert fit.returncode == 0, told
    bundle_id = out.splitlines()[-1]
    assert bundle_id == read_current_id(tmp_path)
    assert "epoch 1/2" in told
    judged = start("evaluate", tmp_path / bundle_id, dataset, "--json")
    out, told = judged.communicate(timeout=120)
    assert judged.returncode == 0, told
    manifest = read_bundle(tmp_path / bundle_id).manifest
    assert json.loads(out) == manifest.metrics
    assert set(manifest.metrics) == {*GROUPS, "coverage@20", "popularity@20"}
    assert manifest.training["seed"] == 3


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGINT])
def test_an_interrupted_fit_leaves_no_half_bundle(
    number: int, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bundles"
    before = write_small_bundle(out)
    endless = ["--set", "max_epochs=100000", "--set", "patience=99999"]
    fit = start("fit", dataset, "--out", out, *endless)
    assert fit.stderr is not None
    try:
        for line in fit.stderr:
            if "epoch 1/" in line:
                break
        fit.send_signal(number)
        _, told = fit.communicate(timeout=60)
    finally:
        fit.kill()
        fit.wait()
    assert fit.returncode == 130
    assert told.splitlines()[-1] == "interrupted; nothing was written"
    assert "Traceback" not in told
    assert sorted(entry.name for entry in out.iterdir()) == sorted([before, CURRENT, LOCK])
    assert read_current_id(out) == before


def test_a_second_fit_adds_a_bundle_and_makes_it_current(dataset: Path, tmp_path: Path) -> None:
    ids = [call("fit", dataset, "--out", tmp_path, *QUICK).stdout.split()[-1] for _ in range(2)]
    assert sorted(list_bundle_ids(tmp_path)) == sorted(ids)
    assert read_current_id(tmp_path) == ids[1]


def test_max_minutes_and_a_file_of_settings_are_heeded(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("vector_dim = 4\nhidden_dims = []\nmax_epochs = 100000\n")
    result = call(
        "fit", dataset, "--out", tmp_path / "b", "--config", tmp_path / "config.toml",
        "--set", "rank=2", "--max-minutes", "0",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    manifest = read_bundle(tmp_path / "b" / result.stdout.split()[-1]).manifest
    assert manifest.training["epochs"] == 1
    assert (manifest.vector_dim, manifest.fusion.rank, manifest.fusion.hidden_dims) == (4, 2, ())


def test_a_sample_is_written_and_repeats(tmp_path: Path) -> None:
    for name in ("a", "b"):
        result = call("synth", tmp_path / name, "--videos", "60", "--users", "20", "--seed", "4")
        assert result.exit_code == 0, result.output
    first, second = (read_dataset(tmp_path / name) for name in ("a", "b"))
    assert (first.videos, first.users) == (60, 20)
    np.testing.assert_array_equal(first.joined_features, second.joined_features)
    np.testing.assert_array_equal(first.train.videos, second.train.videos)
    assert "60 videos" in " ".join(result.stderr.split())


def test_an_import_tells_what_it_accepted_and_can_be_trained_on(
    source: Path, tmp_path: Path
) -> None:
    result = call("import", "npz", source, tmp_path / "d")
    assert result.exit_code == 0, result.output
    told = " ".join(result.stderr.split())
    assert "accepted (constant_columns in dataset.json)" in told
    assert "1 users have no training interaction" in told
    header = json.loads((tmp_path / "d" / "dataset.json").read_text())
    assert header["accept"] == ["constant_columns", "users_without_training"]
    found = read_dataset(tmp_path / "d")
    assert found.user_ids == ["0", "1", "2", "3", "4", "5", "9"]
    assert found.videos == 20
    assert call("fit", tmp_path / "d", "--out", tmp_path / "b", *QUICK).exit_code == 0


@pytest.mark.e2e
def test_the_importer_runs_as_a_program(source: Path, tmp_path: Path) -> None:
    done = start("import", "npz", source, tmp_path / "d")
    out, told = done.communicate(timeout=120)
    assert (done.returncode, out) == (0, ""), told
    assert len(read_dataset(tmp_path / "d").train) == 24


def test_an_import_that_breaks_the_format_writes_nothing(source: Path, tmp_path: Path) -> None:
    visual = np.load(source / "visual.npy")
    visual[7, 1] = np.nan
    np.save(source / "visual.npy", visual)
    assert "visual.npy: row 7, column 1: nan" in refused("import", "npz", source, tmp_path / "d")
    assert [entry.name for entry in tmp_path.iterdir()] == ["source"]


def test_a_comparison_writes_its_report_and_shows_a_table(dataset: Path, tmp_path: Path) -> None:
    command: list[str | Path] = [
        "compare", dataset, "--out", tmp_path, "--models", "popularity,bpr-mf", "--seeds", "0,1",
        "--defaults", *QUICK,
    ]  # fmt: skip
    result = call(*command)
    assert result.exit_code == 0, result.output
    told = json.loads((tmp_path / "results.json").read_text())
    assert [(run["model"], run["seed"]) for run in told["runs"]] == [
        ("popularity", 0), ("bpr-mf", 0), ("bpr-mf", 1),
    ]  # fmt: skip
    assert set(told["runs"][0]["test"]) == {*GROUPS, "coverage@20", "popularity@20"}
    for system in told["systems"]:
        shown = f"{system['figures']['overall']['recall@20']['mean']:.4f}"
        assert f"{system['model']}" in result.stdout
        assert shown in result.stdout
    assert "bpr-mf, seed 1: epoch 1/2" in result.stderr
    again = call(*command, "--max-minutes", "0")
    assert again.stdout == result.stdout
    assert "epoch 1/2" not in again.stderr


def test_a_comparison_without_time_says_so(dataset: Path, tmp_path: Path) -> None:
    told = refused("compare", dataset, "--out", tmp_path, "--max-minutes", "0", *QUICK)
    assert "no time for a single run" in told


def test_a_comparison_of_which_nothing_is_left_says_why(dataset: Path, tmp_path: Path) -> None:
    wild = ["learning_rate=1.0", "fusion_decay=100.0", "validate_every=60", "patience=60"]
    settings = [part for setting in (*wild, "max_epochs=60") for part in ("--set", setting)]
    told = refused(
        "compare", dataset, "--out", tmp_path, "--models", "metammf-mf", "--defaults", *settings
    )
    assert told.startswith("no run has ended well: metammf-mf, seed 0 (diverged); lower")


@pytest.mark.parametrize("seeds", ["0,-1", "0,x", "4294967296"])
def test_seeds_that_no_generator_takes_are_told(seeds: str, dataset: Path, tmp_path: Path) -> None:
    told = refused("compare", dataset, "--out", tmp_path, f"--seeds={seeds}", *QUICK)
    assert seeds in told
    assert "0 to 4294967295" in told


def test_a_comparison_takes_a_grid_for_all_that_are_trained(dataset: Path, tmp_path: Path) -> None:
    result = call(
        "compare", dataset, "--out", tmp_path, "--models", "popularity,bpr-mf", "--seeds", "0",
        "--grid", "learning_rate=[0.1, 0.2]", *QUICK,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    told = json.loads((tmp_path / "results.json").read_text())
    assert [run["change"] for run in told["runs"][1:]] == [
        {"learning_rate": 0.1}, {"learning_rate": 0.2},
    ]  # fmt: skip


def test_evaluate_shows_any_split_as_a_table(dataset: Path, tmp_path: Path) -> None:
    bundle_id = write_small_bundle(tmp_path, dataset=two_tastes())
    for split in ("train", "val", "test"):
        result = call("evaluate", tmp_path / bundle_id, dataset, "--split", split)
        assert result.exit_code == 0, result.output
        assert "recall@20" in result.stderr
        assert result.stdout == ""


def test_what_is_wrong_is_told_without_a_traceback(
    dataset: Path, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert "is missing" in refused("fit", tmp_path / "gone", "--out", out)
    assert "`ranks`" in refused("fit", dataset, "--out", out, "--set", "ranks=3")
    assert "gone.toml" in refused("fit", dataset, "--out", out, "--config", tmp_path / "gone.toml")
    assert "--device 'tpu'" in refused("fit", dataset, "--out", out, "--device", "tpu")
    assert "--split 'dev'" in refused("evaluate", out, dataset, "--split", "dev")
    assert "manifest.json" in refused("evaluate", out, dataset)
    assert "unknown format 'csv2'" in refused("import", "csv2", source, out)
    assert "exists already" in refused("import", "npz", source, dataset)
    assert "exists already" in refused("synth", dataset)
    assert "at least 50 videos" in refused("synth", out, "--videos", "3")
    assert call("synth", out, "--videos", "99999999999").exit_code == 2
    assert "--seeds 'a,b'" in refused("compare", dataset, "--out", out, "--seeds", "a,b")
    assert "'gone'" in refused("compare", dataset, "--out", out, "--models", "gone")
    assert not out.exists()


def test_a_bundle_of_other_data_cannot_be_judged(dataset: Path, tmp_path: Path) -> None:
    bundle_id = write_small_bundle(tmp_path)
    assert "20 users are not in the bundle" in refused("evaluate", tmp_path / bundle_id, dataset)


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "file" in refused("synth", tmp_path / "file" / "d", "--videos", "60", "--users", "20")


@pytest.mark.parametrize("option", ["--out", "--run"])
def test_a_file_in_the_place_of_a_folder_is_told_before_anything_is_trained(
    option: str, dataset: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").touch()
    places = {"--out": tmp_path / "b", "--run": tmp_path / "r", option: tmp_path / "taken" / "x"}
    told = refused("fit", dataset, *QUICK, *(part for pair in places.items() for part in pair))
    assert told.startswith(f"{option} {tmp_path / 'taken' / 'x'}: expected a folder, and")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]
