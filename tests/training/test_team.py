"""Processes that share each batch end where one process ends."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.bundle.reader import Bundle, read_bundle
from tests.support.leaving import TASKS
from training.checkpoint import EPOCHS
from training.data.folder_writer import write_dataset
from training.data.sampling import Batch
from training.data.synthetic import make_synthetic
from training.team import Team

ROOT = Path(__file__).parents[2]
# Dropout draws once for each row of a process; without it all processes compute the same sums.
SETTINGS = ("max_epochs=3", "feature_dropout=0.0", "batch_size=100", "negatives=40")
ALONG_GRAPH = 'model="metammf-lightgcn"'
BY_ROWS = 'optimiser="rows"'
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
ALONE = (sys.executable, "-m")
# torchrun starts `python -m training` itself, and takes a bare --run for an option of its own.
TOGETHER = (*TORCHRUN, "-m", "--")


def fitted(
    dataset: Path, out: Path, changes: tuple[str, ...], *launcher: str, ending: tuple[str, ...] = ()
) -> Bundle:
    settings = [part for setting in (*SETTINGS, *changes) for part in ("--set", setting)]
    command = [
        *launcher, "training", "fit", str(dataset), "--out", str(out), "--run", str(out / "run"),
        *settings, *ending,
    ]  # fmt: skip
    done = subprocess.run(  # noqa: S603 - the command is written above
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    # However many they are, one tells what is read and what became of it.
    assert done.stderr.count(" users, ") == done.stderr.count("report: ") == 1
    return read_bundle(out / done.stdout.split()[-1])


def losses(out: Path) -> list[float]:
    lines = (out / "run" / EPOCHS).read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


@pytest.mark.e2e
@pytest.mark.parametrize(
    "changes",
    [(), (BY_ROWS,), (ALONG_GRAPH,), (ALONG_GRAPH, "neighbours=[4, 3]", BY_ROWS)],
    ids=["features", "rows", "whole-graph", "neighbours"],
)
def test_two_processes_train_what_one_does(changes: tuple[str, ...], tmp_path: Path) -> None:
    # (Adam makes much of a gradient that is 0 but for rounding; with these interactions none is.)
    write_dataset(tmp_path / "data", make_synthetic(videos=120, users=50, seed=2))
    alone = fitted(tmp_path / "data", tmp_path / "alone", changes, *ALONE)
    together = fitted(tmp_path / "data", tmp_path / "together", changes, *TOGETHER)
    for name in ("users", "videos"):
        np.testing.assert_allclose(getattr(together, name), getattr(alone, name), atol=1e-4)
    assert len(list((tmp_path / "together").glob("*/manifest.json"))) == 1
    assert losses(tmp_path / "together") == pytest.approx(losses(tmp_path / "alone"), abs=1e-4)
    ours, theirs = (json.dumps(bundle.manifest.training["config"]) for bundle in (alone, together))
    assert ours == theirs


@pytest.mark.e2e
def test_two_processes_train_the_ensemble_that_one_does(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", make_synthetic(videos=120, users=50, seed=2))
    members = ("members=2",)
    alone = fitted(tmp_path / "data", tmp_path / "alone", members, *ALONE)
    together = fitted(tmp_path / "data", tmp_path / "together", members, *TOGETHER)
    # Which way an axis points is nothing that scores depend on.
    found, expected = (bundle.users @ bundle.videos.T for bundle in (together, alone))
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.e2e
def test_what_processes_drop_is_the_same_after_a_cut(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", make_synthetic(videos=120, users=50, seed=2))
    dropping = ("feature_dropout=0.3", "modality_dropout=0.3")
    whole = fitted(tmp_path / "data", tmp_path / "whole", dropping, *TOGETHER)
    cut = ("--max-minutes", "0")
    fitted(tmp_path / "data", tmp_path / "cut", dropping, *TOGETHER, ending=cut)
    assert len(losses(tmp_path / "cut")) == 1
    again = fitted(tmp_path / "data", tmp_path / "cut", dropping, *TOGETHER)
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    for name in ("users", "videos"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))


@pytest.mark.e2e
@pytest.mark.skipif(not TASKS.exists(), reason="no /proc to read threads from")
def test_who_leaves_a_team_leaves_no_thread_behind() -> None:
    """A thread of gloo's that still wants the interpreter when that ends aborts the process."""
    command = [*TORCHRUN, "-m", "tests.support.leaving"]
    done = subprocess.run(  # noqa: S603 - the command is written above
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=240
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == 2
    assert not [name for names in told for name in names if "gloo" in name]


@pytest.mark.parametrize("shared", [True, False])
def test_the_parts_of_a_batch_are_the_batch(shared: bool) -> None:
    rng = np.random.default_rng(0)
    users, positives = rng.permutation(7), rng.permutation(7)
    negatives = np.arange(100, 104) if shared else np.arange(100, 107)
    met = (np.array([0, 3, 6, 6]), np.array([1, 2, 0, 3])) if shared else None
    batch = Batch(users, positives, negatives, met)
    parts = [Team(rank=rank, size=3).part(batch) for rank in range(3)]
    pairs = [
        pair
        for part, _ in parts
        for pair in zip(part.users.tolist(), part.positives.tolist(), strict=True)
    ]
    assert sorted(pairs) == sorted(zip(users.tolist(), positives.tolist(), strict=True))
    # The mean over processes of weighted means is the mean of all.
    weighted = [weight * part.users.mean() for part, weight in parts]
    assert np.mean(weighted) == pytest.approx(users.mean())
    if met is None:
        assert sorted(n for part, _ in parts for n in part.negatives.tolist()) == list(negatives)
        return
    found = [
        (int(part.users[row]), int(column))
        for part, _ in parts
        if part.met is not None
        for row, column in zip(*part.met, strict=True)
    ]
    assert sorted(found) == sorted((int(users[r]), int(c)) for r, c in zip(*met, strict=True))


def test_a_batch_smaller_than_the_team_is_done_by_all() -> None:
    batch = Batch(np.array([1]), np.array([2]), np.array([3]), None)
    assert [Team(rank=rank, size=2).part(batch) for rank in range(2)] == [(batch, 1.0)] * 2
