"""Several networks that differ in their seed alone make one system, as wide as one of them."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.bundles import unit
from tests.support.fitting import SEED, Cut, sample, small
from tests.support.training_command import call
from training.checkpoint import EPOCHS, EpochReport, RunFolder
from training.config import OWN, FitConfig, configure, recorded
from training.data.dataset import Dataset, Floats, Interactions
from training.data.folder_writer import write_dataset
from training.ensemble import fit_members, together
from training.errors import Diverged, InvalidConfig
from training.loop import Fitted, fit
from training.report.page import PAGE

ONE = small("metammf-mf", max_epochs=4)
TWO = small("metammf-mf", max_epochs=4, members=2)
THREE = small("metammf-mf", max_epochs=4, members=3)


@pytest.fixture(scope="module")
def alone() -> list[Fitted]:
    return [fit(sample(), ONE, seed=seed) for seed in range(3)]


@pytest.fixture(scope="module")
def ensemble(alone: list[Fitted]) -> Fitted:
    return together(alone, sample())


def fitted_in(folder: Path, config: FitConfig, cut: tuple[int, int] | None = None) -> Fitted:
    """Fit `config` into the run folder `folder`, or until an epoch of a member: `cut`."""

    def report(entry: EpochReport) -> None:
        if (entry.member, entry.epoch) == cut:
            raise Cut

    run = RunFolder(folder, sample(), config, seed=SEED, seconds_between=0)
    return fit_members(sample(), config, seed=SEED, run=run, report=report)


def assert_same(found: Fitted, expected: Fitted) -> None:
    np.testing.assert_array_equal(found.users, expected.users)
    np.testing.assert_array_equal(found.videos, expected.videos)


def turned(fitted: Fitted, rng: np.random.Generator) -> Fitted:
    """Return what says the same in vectors that are turned round."""
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0].astype(np.float32)
    return replace(fitted, users=fitted.users @ turn, videos=fitted.videos @ turn)


def test_one_member_is_what_is_fitted_without_an_ensemble() -> None:
    assert_same(fit_members(sample(), ONE, seed=SEED), fit(sample(), ONE, seed=SEED))


def test_members_are_the_networks_of_seeds_that_no_other_seed_has() -> None:
    for seed in (0, 1):
        alone = [fit(sample(), ONE, seed=2 * seed), fit(sample(), ONE, seed=2 * seed + 1)]
        assert_same(fit_members(sample(), TWO, seed=seed), together(alone, sample()))


def test_the_ensemble_is_as_wide_as_a_member_and_of_unit_vectors(
    ensemble: Fitted, alone: list[Fitted]
) -> None:
    for vectors, member in (
        (ensemble.users, alone[0].users),
        (ensemble.videos, alone[0].videos),
    ):
        assert vectors.shape == member.shape
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_members_that_agree_in_all_but_their_axes_keep_every_score() -> None:
    rng = np.random.default_rng(0)
    one = fit(sample(), ONE, seed=SEED)
    found = together([turned(one, rng) for _ in range(3)], sample())
    np.testing.assert_allclose(found.users @ found.videos.T, one.users @ one.videos.T, atol=1e-5)


def test_scores_are_nearer_to_the_mean_of_the_members_than_those_of_any_member(
    ensemble: Fitted, alone: list[Fitted]
) -> None:
    mean = np.mean([fitted.users @ fitted.videos.T for fitted in alone], axis=0)

    def likeness(fitted: Fitted) -> float:
        return float(np.corrcoef((fitted.users @ fitted.videos.T).ravel(), mean.ravel())[0, 1])

    assert likeness(ensemble) > max(map(likeness, alone)) + 0.01


def only_on(axes: list[int], count: int) -> Floats:
    """Return `count` unit vectors along these `axes` alone: (count, 8)."""
    vectors = np.zeros((count, 8), dtype=np.float32)
    vectors[:, axes] = unit(np.random.default_rng(count).normal(size=(count, len(axes))))
    return vectors


def test_users_and_videos_have_equal_say_in_which_axes_are_kept(alone: list[Fitted]) -> None:
    """Each side extends along four axes of a member, both together along all eight."""
    users = only_on([0, 1, 2, 3], len(alone[0].users))
    videos = only_on([4, 5, 6, 7], len(alone[0].videos))
    parted = replace(alone[0], users=users, videos=videos)
    found = together([parted, parted], sample())
    for vectors, expected in ((found.users, users), (found.videos, videos)):
        np.testing.assert_allclose(vectors @ vectors.T, expected @ expected.T, atol=1e-5)


def test_users_of_whom_nothing_was_learnt_have_no_say(alone: list[Fitted]) -> None:
    some = sample()
    taught = some.train.users < 5
    few = replace(some, train=Interactions(some.train.users[taught], some.train.videos[taught]))
    users = alone[0].users.copy()
    users[5:] = unit(np.random.default_rng(0).normal(size=users[5:].shape))
    found = together([replace(alone[0], users=users), alone[1]], few)
    np.testing.assert_array_equal(found.videos, together(alone[:2], few).videos)


@pytest.mark.parametrize("cut", [(1, 2), (2, 1), (2, 3)])
def test_what_was_cut_off_goes_on_to_the_same_ensemble(
    cut: tuple[int, int], tmp_path: Path
) -> None:
    with pytest.raises(Cut):
        fitted_in(tmp_path / "run", TWO, cut)
    assert_same(fitted_in(tmp_path / "run", TWO), fit_members(sample(), TWO, seed=SEED))


def test_a_member_that_is_finished_is_not_trained_again(tmp_path: Path) -> None:
    with pytest.raises(Cut):
        fitted_in(tmp_path, TWO, (2, 1))
    log = tmp_path / "member-1" / EPOCHS
    before = log.read_bytes()
    fitted_in(tmp_path, TWO)
    assert log.read_bytes() == before


def test_its_folder_is_no_other_runs(tmp_path: Path) -> None:
    with pytest.raises(Cut):
        fitted_in(tmp_path, TWO, (1, 1))
    for other in (ONE, THREE):
        with pytest.raises(InvalidConfig, match="members"):
            fitted_in(tmp_path, other)


def test_members_share_the_time_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float | None] = []

    def watched(*asked: Any, max_seconds: float | None, **more: Any) -> Fitted:
        given.append(max_seconds)
        return fit(*asked, max_seconds=max_seconds, **more)

    monkeypatch.setattr("training.ensemble.fit", watched)
    found = fit_members(sample(), TWO, max_seconds=0.002)
    assert given == [0.001, 0.001]
    assert [len(member.epochs) for member in found.members] == [1, 1]


def test_no_network_outlives_its_training(monkeypatch: pytest.MonkeyPatch) -> None:
    networks: list[weakref.ref[Any]] = []

    def watched(*asked: Any, **more: Any) -> Fitted:
        gc.collect()
        assert [network() for network in networks] == [None] * len(networks)
        found = fit(*asked, **more)
        networks.append(weakref.ref(found.network))
        return found

    monkeypatch.setattr("training.ensemble.fit", watched)
    assert fit_members(sample(), THREE).network is None
    assert len(networks) == 3


def test_a_member_that_diverged_is_told() -> None:
    wild = small("metammf-mf", max_epochs=2, members=2, learning_rate=1.0, fusion_decay=100.0)
    with pytest.raises(Diverged, match="learning_rate"), np.errstate(all="ignore"):
        fit_members(sample(), wild)


def test_who_watches_is_told_of_which_member_it_is() -> None:
    told: list[EpochReport] = []
    found = fit_members(sample(), TWO, seed=SEED, report=told.append)
    assert [(entry.member, entry.members) for entry in told if entry.epoch == 1] == [(1, 2), (2, 2)]
    assert found.seconds == sum(member.epochs[-1].seconds for member in found.members)


def test_vectors_side_by_side_are_bounded() -> None:
    assert configure({"members": 16, "vector_dim": 512}).members == 16
    with pytest.raises(InvalidConfig, match="at most 8192"):
        configure({"members": 16, "vector_dim": 513})


@pytest.mark.parametrize("model", ["bpr-mf", "lightgcn", "cosine-mf", "clcrec"])
def test_only_metammf_has_members(model: str) -> None:
    with pytest.raises(InvalidConfig, match=f"members: {model}"):
        configure({"model": model, "members": 2})


def test_runs_of_one_network_are_kept_as_they_were_before_there_were_ensembles() -> None:
    assert set(recorded(ONE)) == set(ONE.__struct_fields__) - {"members", *OWN["gf-cf"]}
    assert recorded(TWO) == {**recorded(ONE), "members": 2}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_dataset(tmp_path / "data", sample())


@pytest.mark.usefixtures("dataset")
def test_the_command_trains_reports_and_exports_an_ensemble(tmp_path: Path) -> None:
    settings = ["members=2", "vector_dim=8", "hidden_dims=[8]", "max_epochs=2"]
    command = [
        "fit", str(tmp_path / "data"), "--out", str(tmp_path / "bundles"),
        "--run", str(tmp_path / "run"), *(f"--set={setting}" for setting in settings),
    ]  # fmt: skip
    done = call(*command)
    assert done.exit_code == 0, done.output
    assert "member 2 of 2, loss" in done.stderr
    assert "of the members" in done.stderr
    page = (tmp_path / "run" / PAGE).read_text("utf-8")
    assert "The members" in page
    again = call(*command)
    assert again.exit_code == 0, again.output
    assert "going on from the checkpoint" in again.stderr
    assert "epoch 1/" not in again.stderr
