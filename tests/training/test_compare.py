"""Systems are compared on the same data, with the same seeds, by the same metrics."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.datasets import two_tastes
from training.checkpoint import EpochReport
from training.compare import SYSTEMS, Run, compare, summarise, write_results
from training.errors import InvalidConfig
from training.untrained import UNTRAINED

SMALL = {"vector_dim": 8, "hidden_dims": [8], "max_epochs": 2}


def silent(model: str, seed: int, report: EpochReport) -> None:
    """Say nothing."""


def run_of(model: str, seed: int, recall: float) -> Run:
    figures = {"overall": {"recall@20": recall, "ndcg@20": recall / 2}}
    recalls = np.array([recall, np.nan, recall], dtype=np.float32)
    return Run(model, seed, {}, 3, 2.0, val=figures, test=figures, recalls=recalls)


def test_every_model_is_run_with_every_seed_and_popularity_once(tmp_path: Path) -> None:
    runs = compare(
        two_tastes(), ["popularity", "bpr-mf", "metammf-mf"], [3, 4], SMALL, report=silent
    )
    assert [(run.model, run.seed) for run in runs] == [
        ("popularity", 3), ("bpr-mf", 3), ("bpr-mf", 4), ("metammf-mf", 3), ("metammf-mf", 4),
    ]  # fmt: skip
    assert all(0 <= run.test["overall"]["recall@20"] <= 1 for run in runs)
    assert runs[1].test != runs[2].test
    write_results(runs, tmp_path / "out")
    stored = json.loads((tmp_path / "out" / "runs.json").read_text())
    told = [{k: v for k, v in run._asdict().items() if k != "recalls"} for run in runs]
    assert stored == told
    means = [np.nanmean(run.recalls) for run in runs]
    assert means == pytest.approx([run.test["overall"]["recall@20"] for run in runs])


def test_a_summary_is_the_mean_and_deviation_over_seeds() -> None:
    runs = [run_of("a", 0, 0.1), run_of("a", 1, 0.3), run_of("b", 0, 0.5)]
    first, second = summarise(runs)
    assert (first["model"], first["seeds"]) == ("a", 2)
    assert first["recall@20"] == pytest.approx(0.2)
    assert first["recall@20 sd"] == pytest.approx(0.2 / 2**0.5)
    assert first["ndcg@20"] == pytest.approx(0.1)
    assert (second["recall@20"], second["recall@20 sd"]) == (0.5, 0.0)


def test_the_table_has_a_line_for_each_model(tmp_path: Path) -> None:
    write_results([run_of("a", 0, 0.1), run_of("a", 1, 0.3), run_of("b", 0, 0.5)], tmp_path)
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[2] == "| a | 2 | 0.2000 ± 0.1414 | 0.1000 ± 0.0707 | 2 |"
    assert lines[4:] == ["", "b over a: recall@20 +0.3000 [+0.3000, +0.3000]"]


@pytest.mark.parametrize("models", [["popularity", "deepfm"], [""]])
def test_an_unknown_model_stops_before_anything_is_trained(models: list[str]) -> None:
    with pytest.raises(InvalidConfig, match=f"expected some of {', '.join(SYSTEMS)}"):
        compare(two_tastes(), models, [0], SMALL, report=silent)


def test_the_grid_is_chosen_on_validation_with_the_first_seed() -> None:
    grid = [{"learning_rate": 1e-6}, {"learning_rate": 3e-2}]
    settings = {**SMALL, "max_epochs": 8}
    runs = compare(two_tastes(), ["bpr-mf"], [0, 1], settings, grid=grid, report=silent)
    assert [run.chosen for run in runs] == [grid[1], grid[1]]
    alone = compare(two_tastes(), ["bpr-mf"], [0], settings, grid=grid[:1], report=silent)
    assert runs[0].val["overall"]["recall@20"] > alone[0].val["overall"]["recall@20"]


def test_every_system_there_is_can_be_compared() -> None:
    runs = compare(two_tastes(), list(SYSTEMS), [0], {**SMALL, "max_epochs": 1}, report=silent)
    assert [run.model for run in runs] == list(SYSTEMS)
    assert {run.model for run in runs if run.epochs == 0} == set(UNTRAINED)
    assert len({json.dumps(run.test) for run in runs}) > 5


def test_each_model_is_fitted_with_its_own_defaults_and_the_settings_of_all() -> None:
    told = []
    # Validated in the last epoch alone; bpr-mf waits longer than the others after its best one.
    settings = {**SMALL, "max_epochs": 3, "validate_every": 3}
    runs = compare(
        two_tastes(), ["bpr-mf", "metammf-mf"], [0], settings,
        report=lambda model, seed, epoch: told.append((model, epoch.epoch, epoch.loss)),
    )  # fmt: skip
    assert [run.epochs for run in runs] == [3, 3]
    losses = {model: loss for model, epoch, loss in told if epoch == 1}
    # -log of a half where one is told from one, and of a share where one is told from many.
    assert losses["bpr-mf"] == pytest.approx(0.69, abs=0.1)
    assert losses["metammf-mf"] > 2
