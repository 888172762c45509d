"""A bundle holds what was fitted, what was seen, and an index that finds the best."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from eventlog.position import Place, new_epoch
from models.bundle.digest import feature_digest
from models.bundle.reader import list_bundle_ids, read_bundle
from service.catalog.fusing import Fuser
from tests.support.bundles import unit
from tests.support.datasets import interactions, two_tastes
from training.config import FitConfig, configure
from training.data.synthetic import make_synthetic
from training.errors import TrainingError
from training.export import export
from training.loop import fit

SMALL = FitConfig(vector_dim=8, hidden_dims=(8,), max_epochs=2)


def test_a_bundle_holds_what_was_fitted(tmp_path: Path) -> None:
    sample = make_synthetic(videos=60, users=20, seed=0)
    fitted = fit(sample, SMALL, seed=3)
    bundle_id = export(fitted, sample, SMALL, tmp_path, metrics={"overall": {"users": 1}}, seed=3)
    bundle = read_bundle(tmp_path / bundle_id)
    np.testing.assert_array_equal(bundle.users, fitted.users)
    np.testing.assert_array_equal(bundle.videos, fitted.videos)
    np.testing.assert_array_equal(bundle.popularity, sample.popularity)
    assert list(bundle.user_ids) == sample.user_ids
    assert list(bundle.video_ids) == sample.video_ids
    assert list(bundle.metadata) == sample.metadata
    manifest = bundle.manifest
    assert manifest.modalities == {"visual": 64, "acoustic": 32, "textual": 48}
    assert manifest.metrics == {"overall": {"users": 1}}
    assert manifest.training["seed"] == 3
    assert manifest.training["best_epoch"] == fitted.best.epoch
    assert manifest.training["config"]["vector_dim"] == 8
    assert manifest.log_position is None


def test_train_and_val_are_seen_and_test_is_not(tmp_path: Path) -> None:
    dataset = two_tastes()
    bundle_id = export(fit(dataset, SMALL), dataset, SMALL, tmp_path, metrics={}, seed=0)
    bundle = read_bundle(tmp_path / bundle_id)
    for user in range(dataset.users):
        seen = set(bundle.seen_videos[bundle.seen_starts[user] : bundle.seen_starts[user + 1]])
        met = [part.videos[part.users == user] for part in (dataset.train, dataset.val)]
        assert seen == set(np.concatenate(met).tolist())
        assert seen.isdisjoint(dataset.test.videos[dataset.test.users == user].tolist())


def test_what_a_log_has_told_goes_into_the_bundle(tmp_path: Path) -> None:
    tastes = two_tastes()
    skipped = [(0, 1), (0, 3), (1, 0)]
    position = Place(new_epoch(), 12).position
    dataset = replace(
        tastes, seen=interactions(skipped), hidden=np.array([4, 59]), log_position=position
    )
    bundle_id = export(fit(dataset, SMALL), dataset, SMALL, tmp_path, metrics={}, seed=0)
    bundle = read_bundle(tmp_path / bundle_id)
    assert bundle.manifest.log_position == position
    assert np.flatnonzero(bundle.hidden).tolist() == [4, 59]
    np.testing.assert_array_equal(bundle.popularity, tastes.popularity)
    for user, video in skipped:
        assert video in bundle.seen_videos[bundle.seen_starts[user] : bundle.seen_starts[user + 1]]
    assert len(bundle.seen_videos) == len(tastes.train) + len(tastes.val) + len(skipped)


def test_skips_are_not_learnt_from() -> None:
    tastes = two_tastes()
    skipped = replace(tastes, seen=interactions([(0, 1), (0, 3), (1, 0)]))
    fitted, other = fit(tastes, SMALL), fit(skipped, SMALL)
    np.testing.assert_array_equal(fitted.users, other.users)
    np.testing.assert_array_equal(fitted.videos, other.videos)


def test_who_has_only_skipped_gets_the_mean_direction_of_all_others(tmp_path: Path) -> None:
    tastes = two_tastes()
    ids = [*tastes.user_ids, "skipper"]
    dataset = replace(tastes, user_ids=ids, seen=interactions([(20, 1)]))
    fitted = fit(dataset, SMALL)
    bundle_id = export(fitted, dataset, SMALL, tmp_path, metrics={}, seed=0)
    users = read_bundle(tmp_path / bundle_id).users
    np.testing.assert_array_equal(users[:20], fitted.users[:20])
    np.testing.assert_allclose(users[20], unit([fitted.users[:20].mean(axis=0)])[0], rtol=1e-5)
    assert not np.allclose(users[20], fitted.users[20])


def test_the_digest_of_each_video_is_that_of_its_features(tmp_path: Path) -> None:
    sample = make_synthetic(videos=50, users=10, seed=0)
    bundle_id = export(fit(sample, SMALL), sample, SMALL, tmp_path, metrics={}, seed=0)
    digests = read_bundle(tmp_path / bundle_id).feature_digests
    for row in (0, 17, 49):
        arriving = {m: matrix[row].tolist() for m, matrix in sample.features.items()}
        present = {m: np.array(v) for m, v in arriving.items() if any(v)}
        assert digests[row] == feature_digest(present)
    assert len(np.unique(digests)) == 50


def test_a_bundle_holds_the_content_of_every_set_of_modalities(tmp_path: Path) -> None:
    sample = make_synthetic(videos=60, users=20, seed=0)
    fitted = fit(sample, SMALL, seed=3)
    bundle = read_bundle(tmp_path / export(fitted, sample, SMALL, tmp_path, metrics={}, seed=3))
    assert bundle.ablations is not None
    assert bundle.ablations.shape == (60, 7, 8)
    fuser = Fuser(bundle)
    for number in range(1, 8):
        kept = [name for bit, name in enumerate(fuser.modalities) if number >> bit & 1]
        rows: list[dict[str, Any]] = [
            {name: sample.features[name][row] for name in kept} for row in range(60)
        ]
        found = bundle.ablations[:, number - 1]
        np.testing.assert_allclose(found.astype(np.float32), fuser.fuse(rows), atol=1e-3)


def test_the_exact_index_finds_what_the_vectors_say(tmp_path: Path) -> None:
    dataset = two_tastes()
    fitted = fit(dataset, SMALL)
    bundle_id = export(fitted, dataset, SMALL, tmp_path, metrics={}, seed=0)
    bundle = read_bundle(tmp_path / bundle_id)
    index = faiss.read_index(str(bundle.index_file))
    scores, rows = index.search(fitted.users, 5)
    expected = np.sort(fitted.users @ fitted.videos.T, axis=1)[:, ::-1][:, :5]
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)
    assert rows.shape == (20, 5)
    assert bundle.manifest.index.kind == "flat"


def test_a_baseline_cannot_be_exported(tmp_path: Path) -> None:
    dataset = two_tastes()
    fitted = fit(dataset, configure({"model": "bpr-mf", "max_epochs": 1}))
    with pytest.raises(TrainingError, match="fusion network"):
        export(fitted, dataset, SMALL, tmp_path, metrics={}, seed=0)


@pytest.mark.parametrize("name", ["users", "videos"])
def test_what_diverged_is_not_exported(name: str, tmp_path: Path) -> None:
    dataset = two_tastes()
    fitted = fit(dataset, SMALL)
    spoilt = getattr(fitted, name).copy()
    spoilt[1, 2] = np.nan
    with pytest.raises(TrainingError, match="diverged"):
        export(replace(fitted, **{name: spoilt}), dataset, SMALL, tmp_path, metrics={}, seed=0)
    assert list_bundle_ids(tmp_path) == []
