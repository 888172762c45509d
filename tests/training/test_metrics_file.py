"""What a training tells Prometheus is what happened, and it never ends for want of telling."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from models.bundle.reader import read_bundle
from tests.support.datasets import two_tastes
from tests.support.training_command import call, refused
from training.checkpoint import EpochReport
from training.data.folder_writer import write_dataset
from training.metrics_file import told_in

QUICK = ["--set", "vector_dim=8", "--set", "hidden_dims=[8]", "--set", "max_epochs=2"]


def read(file: Path) -> dict[tuple[str, ...], float]:
    """Return the samples of a file by name and values of labels."""
    return {
        (sample.name.removeprefix("reco_training_"), *sample.labels.values()): sample.value
        for family in families(file.read_text("utf-8"))
        for sample in family.samples
    }


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "tastes", two_tastes())
    return tmp_path / "tastes"


def test_a_training_tells_its_bundle_and_what_was_measured_of_it(
    dataset: Path, tmp_path: Path
) -> None:
    file = tmp_path / "training.prom"
    fitted = call("fit", dataset, "--out", tmp_path / "b", *QUICK, "--metrics-file", file)
    assert fitted.exit_code == 0, fitted.output
    bundle_id = fitted.stdout.splitlines()[-1]
    metrics = read_bundle(tmp_path / "b" / bundle_id).manifest.metrics
    told = read(file)
    assert told["bundle_info", bundle_id] == 1
    assert told["running",] == 0
    assert told["succeeded",] == 1
    assert told["finished_timestamp_seconds",] >= told["started_timestamp_seconds",] > 1e9
    assert told["epoch",] == told["max_epochs",] == 2
    assert told["test_metric", "overall", "recall@20"] == metrics["overall"]["recall@20"]
    assert told["test_metric", "overall", "coverage@20"] == metrics["coverage@20"]
    assert told["dataset_size", "videos"] == two_tastes().videos
    assert list(tmp_path.glob("training.prom.*")) == []


def test_a_training_that_fails_is_told_as_failed(dataset: Path, tmp_path: Path) -> None:
    file = tmp_path / "training.prom"
    wild = ["--set", "learning_rate=1.0", "--set", "fusion_decay=100.0", "--set", "max_epochs=60"]
    late = ["--set", "validate_every=60", "--set", "patience=60"]
    told = refused("fit", dataset, "--out", tmp_path / "b", *wild, *late, "--metrics-file", file)
    assert told.startswith("training diverged")
    assert not (tmp_path / "b").exists()
    metrics = read(file)
    assert metrics["succeeded",] == metrics["running",] == 0
    assert metrics["finished_timestamp_seconds",] > 0


def test_how_far_it_is_can_be_read_while_it_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "training.prom"
    with told_in(file, two_tastes()) as metrics:
        assert read(file)["running",] == 1
        judged = {"overall": {"recall@20": 0.25}, "cold": {}}
        metrics.observe(EpochReport(3, 10, 0.5, judged, 0.25, 1.0))
        told = read(file)
        assert (told["epoch",], told["loss",]) == (3, 0.5)
        assert told["validation_metric", "overall", "recall@20"] == 0.25
        assert told["finished_timestamp_seconds",] == 0


def test_a_file_that_cannot_be_written_stops_before_training_begins(
    dataset: Path, tmp_path: Path
) -> None:
    nowhere = tmp_path / "no" / "such.prom"
    told = refused("fit", dataset, "--out", tmp_path / "b", *QUICK, "--metrics-file", nowhere)
    assert told == f"--metrics-file {nowhere}: there is no such folder\n"
    assert not (tmp_path / "b").exists()


def test_a_folder_that_goes_away_later_does_not_end_a_training(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "training.prom"
    file.parent.mkdir()
    with told_in(file, two_tastes()) as metrics:
        file.unlink()
        file.parent.rmdir()
        metrics.observe(EpochReport(1, 2, 0.5, None, None, 1.0))
