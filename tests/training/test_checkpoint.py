"""A run that was cut off goes on where it stood, and a folder of another run is refused."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file

from tests.support.datasets import interactions
from tests.support.fitting import (
    SEED,
    Cut,
    cut_after,
    fit_in,
    read_vectors,
    sample,
    small,
    unhurried,
)
from tests.support.source import ROOT
from training.build import BUILDERS, build
from training.checkpoint import (
    CHECKPOINT,
    EPOCHS,
    REQUEST,
    EpochReport,
    Progress,
    RunFolder,
    fingerprint,
)
from training.config import FitConfig
from training.data.dataset import Dataset, Floats
from training.errors import CorruptCheckpoint, Diverged, InvalidConfig
from training.loop import Fitted, fit
from training.trainer import Trainer

CONFIG = small("metammf-mf")
NEVER = float("inf")


def vectors(fitted: Fitted) -> tuple[Floats, Floats]:
    return fitted.users, fitted.videos


def same(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def without_times(epochs: list[EpochReport]) -> list[EpochReport]:
    return [entry._replace(seconds=0.0) for entry in epochs]


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / EPOCHS).read_text().splitlines()]


def cut(folder: Path, epoch: int, *, config: FitConfig = CONFIG, seconds: float = 0.0) -> None:
    """Fit into `folder` until `epoch` has ended, and no further."""
    with pytest.raises(Cut):
        fit_in(folder, config, seconds_between=seconds, report=cut_after(epoch))


def start(model: str, folder: Path, out: Path) -> "subprocess.Popen[str]":
    """Start a fit in a process of its own."""
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "tests.support.fitting", model, str(folder), "0", str(out)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def epochs_until_killed(process: "subprocess.Popen[str]", last: int | None) -> list[int]:
    """Read the epochs that `process` tells; kill it in the epoch after `last`."""
    told = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            told.append(int(line))
            if told[-1] == last:
                process.send_signal(signal.SIGKILL)
                break
        process.wait(timeout=120)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    return told


def test_what_was_met_outside_of_all_splits_is_part_of_the_data() -> None:
    data = sample()
    met = replace(data, seen=interactions([(0, 1), (2, 3)]))
    assert fingerprint(met) != fingerprint(data)
    assert fingerprint(replace(met, seen=interactions([(0, 1), (2, 4)]))) != fingerprint(met)


@pytest.mark.e2e
@pytest.mark.parametrize("model", ["metammf-mf", "metammf-gcn"])
def test_a_killed_process_goes_on_to_the_same_vectors(model: str, tmp_path: Path) -> None:
    out = tmp_path / "vectors.safetensors"
    expected = fit(sample(), unhurried(model), seed=SEED)
    killed = start(model, tmp_path / "run", out)
    assert epochs_until_killed(killed, 4) == [1, 2, 3, 4]
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    resumed = start(model, tmp_path / "run", out)
    told = epochs_until_killed(resumed, None)
    assert resumed.returncode == 0
    # Before the kill came, more epochs may have ended than were read.
    assert told == list(range(told[0], 13))
    assert told[0] > 4
    assert same(read_vectors(out), vectors(expected))
    assert [line["epoch"] for line in logged(tmp_path / "run")] == list(range(1, 13))


@pytest.mark.parametrize("model", list(BUILDERS))
def test_a_run_cut_off_after_every_epoch_gives_the_same_bit_for_bit(
    model: str, tmp_path: Path
) -> None:
    config = small(model, max_epochs=5)
    for epoch in range(1, 6):
        cut(tmp_path, epoch, config=config)
    found = fit_in(tmp_path, config)
    expected = fit(sample(), config, seed=SEED)
    assert same(vectors(found), vectors(expected))
    assert without_times(found.epochs) == without_times(expected.epochs)
    if expected.fusion is not None:
        assert found.fusion is not None
        for name, tensor in expected.fusion.state_dict().items():
            assert torch.equal(found.fusion.state_dict()[name], tensor)


def test_the_best_epoch_is_remembered_across_a_cut(tmp_path: Path) -> None:
    config = small("metammf-mf", learning_rate=0.3, max_epochs=60, patience=4, validate_every=1)
    expected = fit(sample(), config, seed=SEED)
    assert expected.best.epoch < len(expected.epochs) - 1
    cut(tmp_path, len(expected.epochs) - 1, config=config)
    assert same(vectors(fit_in(tmp_path, config)), vectors(expected))


def test_epochs_after_the_checkpoint_are_trained_and_logged_again(tmp_path: Path) -> None:
    cut(tmp_path, 3)
    cut(tmp_path, 6, seconds=NEVER)
    assert [line["epoch"] for line in logged(tmp_path)] == [1, 2, 3, 4, 5, 6]
    told: list[EpochReport] = []
    found = fit_in(tmp_path, CONFIG, report=told.append)
    assert [entry.epoch for entry in told] == [4, 5, 6, 7, 8, 9]
    assert [line["epoch"] for line in logged(tmp_path)] == list(range(1, 10))
    assert same(vectors(found), vectors(fit(sample(), CONFIG, seed=SEED)))


def test_a_log_that_is_ahead_of_the_checkpoint_is_cut_back_even_if_time_is_up(
    tmp_path: Path,
) -> None:
    cut(tmp_path, 3)
    cut(tmp_path, 6, seconds=NEVER)
    data = sample()
    run = RunFolder(tmp_path, data, CONFIG, seed=SEED)
    assert len(fit(data, CONFIG, seed=SEED, run=run, max_seconds=0).epochs) == 3
    assert [line["epoch"] for line in logged(tmp_path)] == [1, 2, 3]


def test_a_folder_is_only_written_to_by_what_is_recorded(whole: Path, tmp_path: Path) -> None:
    data = sample()
    RunFolder(tmp_path / "new", data, CONFIG, seed=SEED)
    assert list((tmp_path / "new").iterdir()) == []
    shutil.copytree(whole, tmp_path / "old")
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "old").iterdir()}
    run = RunFolder(tmp_path / "old", data, CONFIG, seed=SEED)
    trainer = Trainer(build(data, CONFIG), data, CONFIG, np.random.default_rng(0))
    assert len(run.resume(trainer, Progress([], trainer.averages())).epochs) == 4
    after = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "old").iterdir()}
    assert after == before


def test_checkpoints_come_no_more_often_than_asked_and_one_at_the_end(tmp_path: Path) -> None:
    cut(tmp_path, 6, seconds=NEVER)
    assert not (tmp_path / CHECKPOINT).exists()
    fit_in(tmp_path, CONFIG, seconds_between=NEVER)
    assert (tmp_path / CHECKPOINT).exists()


def test_a_finished_run_ends_at_once_with_the_same_vectors(tmp_path: Path) -> None:
    first = fit_in(tmp_path, CONFIG, seconds_between=NEVER)
    told: list[EpochReport] = []
    again = fit_in(tmp_path, CONFIG, report=told.append)
    assert told == []
    assert again.epochs == first.epochs
    assert same(vectors(again), vectors(first))


def test_a_run_that_ran_out_of_time_goes_on_with_more_of_it(tmp_path: Path) -> None:
    data = sample()
    for allowed, epochs in ((0.0, 1), (0.0, 1), (None, 9)):
        run = RunFolder(tmp_path, data, CONFIG, seed=SEED)
        found = fit(data, CONFIG, seed=SEED, run=run, max_seconds=allowed)
        assert len(found.epochs) == epochs
    assert same(vectors(found), vectors(fit(data, CONFIG, seed=SEED)))


def test_time_that_was_spent_before_the_cut_counts(tmp_path: Path) -> None:
    cut(tmp_path, 4)
    before = logged(tmp_path)[-1]["seconds"]
    entry = fit_in(tmp_path, CONFIG).epochs[4]
    assert before < entry.seconds < before + 10


def test_each_epoch_is_a_line_with_what_was_judged(tmp_path: Path) -> None:
    fitted = fit_in(tmp_path, CONFIG)
    lines = logged(tmp_path)
    assert [line["epoch"] for line in lines] == list(range(1, 10))
    assert [line["loss"] for line in lines] == [entry.loss for entry in fitted.epochs]
    assert lines[0]["validation"] is None
    assert lines[0]["best"] is None
    judged = [line["validation"] for line in lines if line["validation"] is not None]
    assert len(judged) == 5  # every second epoch, and the last
    for figures in judged:
        assert set(figures) == {"overall", "warm", "cold"}
        assert all(set(group) == {"recall@20", "ndcg@20"} for group in figures.values())
    assert lines[-1]["best"] == max(figures["overall"]["recall@20"] for figures in judged)


def test_without_validation_nothing_is_said_of_it(tmp_path: Path) -> None:
    data = replace(sample(), val=interactions([]))
    fit(data, CONFIG, seed=SEED, run=RunFolder(tmp_path, data, CONFIG, seed=SEED))
    assert {(line["validation"], line["best"]) for line in logged(tmp_path)} == {(None, None)}


def test_a_run_without_validation_can_be_cut_off_too(tmp_path: Path) -> None:
    data = replace(sample(), val=interactions([]))
    for allowed in (0.0, None):
        run = RunFolder(tmp_path, data, CONFIG, seed=SEED)
        found = fit(data, CONFIG, seed=SEED, run=run, max_seconds=allowed)
    assert same(vectors(found), vectors(fit(data, CONFIG, seed=SEED)))


def test_a_loss_that_is_no_number_is_null_in_the_log(tmp_path: Path) -> None:
    config = small("bpr-mf", learning_rate=1.0, temperature=1e-300, objective="softmax")
    with pytest.raises(Diverged):
        fit_in(tmp_path, config)
    assert "NaN" not in (tmp_path / EPOCHS).read_text()
    assert logged(tmp_path)[-1]["loss"] is None


def moved_to_train(data: Dataset) -> Dataset:
    """Return `data` with all of validation in train: the same pairs in the same order."""
    return replace(data, train=data.train.joined(data.val), val=interactions([]))


def with_other_test_users(data: Dataset) -> Dataset:
    return replace(data, test=replace(data.test, users=data.test.users[::-1]))


def with_other_validation_videos(data: Dataset) -> Dataset:
    return replace(data, val=replace(data.val, videos=data.val.videos[::-1]))


def redrawn(data: Dataset) -> Dataset:
    features = {name: matrix.copy() for name, matrix in data.features.items()}
    features["acoustic"][7, 3] += 1
    return replace(data, features=features)


def recut(data: Dataset) -> Dataset:
    """Return `data` with one column moved from one modality to the next: the same joined rows."""
    joined = np.concatenate([data.features["visual"], data.features["acoustic"]], axis=1)
    width = data.feature_dims["visual"] - 1
    moved = {**data.features, "visual": joined[:, :width], "acoustic": joined[:, width:]}
    return replace(data, features=moved)


def with_another_user(data: Dataset) -> Dataset:
    return replace(data, user_ids=[*data.user_ids, "one more"])


@pytest.mark.parametrize(
    "change",
    [
        moved_to_train,
        with_other_test_users,
        with_other_validation_videos,
        redrawn,
        recut,
        with_another_user,
    ],
)
def test_a_folder_of_other_data_is_refused(
    change: Callable[[Dataset], Dataset], tmp_path: Path
) -> None:
    data = sample()
    cut(tmp_path, 1)
    with pytest.raises(InvalidConfig, match="another run, which differs in the data;"):
        RunFolder(tmp_path, change(data), CONFIG, seed=SEED)


def test_a_folder_of_another_seed_or_configuration_is_refused(tmp_path: Path) -> None:
    data = sample()
    cut(tmp_path, 1, seconds=NEVER)
    with pytest.raises(InvalidConfig, match="the seed"):
        RunFolder(tmp_path, data, CONFIG, seed=SEED + 1)
    other = small("metammf-mf", rank=3, hidden_dims=[9])
    with pytest.raises(InvalidConfig, match=r"hidden_dims \(\[8\] .*rank \(4 there, 3 here\)"):
        RunFolder(tmp_path, data, other, seed=SEED)
    with pytest.raises(InvalidConfig, match="the dataset"):
        RunFolder(tmp_path, replace(data, name="other"), CONFIG, seed=SEED)
    RunFolder(tmp_path, data, CONFIG, seed=SEED)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a checkpoint after four epochs."""
    folder = tmp_path_factory.mktemp("run")
    cut(folder, 4)
    return folder


def with_checkpoint(whole: Path, folder: Path, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / REQUEST).write_bytes((whole / REQUEST).read_bytes())
    (folder / CHECKPOINT).write_bytes(content)
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(CorruptCheckpoint) as caught:
        fit_in(folder, CONFIG)
    text = str(caught.value)
    assert text.startswith(str(folder))
    assert text.endswith("remove the run folder to start again")
    assert len(text) < 1000
    return text


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_checkpoint_is_told(
    share: float, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = (whole / CHECKPOINT).read_bytes()
    folder = tmp_path_factory.mktemp("cut")
    refusal(with_checkpoint(whole, folder, content[: int(share * len(content))]))


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"\xff" * 64, b"not a checkpoint at all\n"])
def test_garbage_in_place_of_the_checkpoint_is_told(
    content: bytes, whole: Path, tmp_path: Path
) -> None:
    assert CHECKPOINT in refusal(with_checkpoint(whole, tmp_path / "r", content))


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {},
        {"state": "{"},
        {"state": "[]"},
        {"state": "{}"},
        {"state": '{"epochs": 3}'},
        {"state": '{"epochs": [], "steps": 1, "numpy_rng": {}}'},
    ],
)
def test_a_checkpoint_that_says_something_else_is_told(
    metadata: dict[str, str] | None, whole: Path, tmp_path: Path
) -> None:
    folder = with_checkpoint(whole, tmp_path / "r", b"")
    save_file(load_file(whole / CHECKPOINT), folder / CHECKPOINT, metadata=metadata)
    assert CHECKPOINT in refusal(folder)


def test_a_checkpoint_of_another_network_is_told(whole: Path, tmp_path: Path) -> None:
    wide = small("metammf-mf", vector_dim=16)
    cut(tmp_path / "wide", 2, config=wide)
    other = (tmp_path / "wide" / CHECKPOINT).read_bytes()
    assert "not the state of this network" in refusal(with_checkpoint(whole, tmp_path / "r", other))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null"])
def test_a_request_that_cannot_be_read_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / REQUEST).write_bytes(content)
    assert REQUEST in refusal(tmp_path)


def test_a_checkpoint_cut_off_while_it_was_written_is_no_hindrance(
    whole: Path, tmp_path: Path
) -> None:
    folder = with_checkpoint(whole, tmp_path / "r", (whole / CHECKPOINT).read_bytes())
    (folder / f".{CHECKPOINT}.partial").write_bytes(b"half")
    found = fit_in(folder, CONFIG)
    assert same(vectors(found), vectors(fit(sample(), CONFIG, seed=SEED)))
    assert sorted(file.name for file in folder.iterdir()) == [CHECKPOINT, EPOCHS, REQUEST]


@pytest.mark.parametrize("epochs", [[["1", 9, 0.5, None, None, 1.0]], [[1, 9]], {}, [3]])
def test_epochs_that_are_none_are_told(epochs: object, whole: Path, tmp_path: Path) -> None:
    with safe_open(whole / CHECKPOINT, framework="pt") as stream:
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - no mapping
        state = json.loads((stream.metadata() or {})["state"])
    content = save(tensors, metadata={"state": json.dumps({**state, "epochs": epochs})})
    assert "it is not the state" in refusal(with_checkpoint(whole, tmp_path / "r", content))
