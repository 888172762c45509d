"""Training repeats, stops when it should, and hands back its best epoch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.datasets import dataset_of, interactions, two_tastes
from training.build import BUILDERS
from training.config import FitConfig
from training.data.dataset import Dataset
from training.data.synthetic import make_synthetic
from training.evaluate import evaluate, popularity_vectors
from training.loop import EpochReport, Fitted, fit

SMALL = FitConfig(
    vector_dim=8,
    id_dim=6,
    hidden_dims=(8,),
    signal_hidden_dim=8,
    signal_dim=4,
    rank=4,
    max_epochs=4,
)
NOBODY = interactions([])
by_every_model = pytest.mark.parametrize("model", list(BUILDERS))


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return make_synthetic(videos=120, users=60, seed=1)


def with_settings(**changed: object) -> FitConfig:
    fields = {name: getattr(SMALL, name) for name in SMALL.__struct_fields__}
    return FitConfig(**{**fields, **changed})


def same(first: Fitted, second: Fitted) -> bool:
    return np.array_equal(first.users, second.users) and np.array_equal(first.videos, second.videos)


@by_every_model
def test_a_seed_repeats_bit_for_bit_and_another_differs(model: str, sample: Dataset) -> None:
    first, again, other = (fit(sample, SMALL, model=model, seed=seed) for seed in (7, 7, 8))
    assert same(first, again)
    assert [report[:5] for report in first.epochs] == [report[:5] for report in again.epochs]
    assert not same(first, other)


def test_the_chance_of_others_is_left_alone(sample: Dataset) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(sample, SMALL)
    assert torch.equal(torch.rand(3), expected)


@by_every_model
def test_the_vectors_are_those_of_the_best_epoch(model: str, sample: Dataset) -> None:
    config = with_settings(max_epochs=60, patience=3, learning_rate=0.05)
    fitted = fit(sample, config, model=model)
    best = max(report.validation for report in fitted.epochs)
    assert fitted.best.validation == best == fitted.epochs[-1].best
    assert fitted.best.epoch < len(fitted.epochs)
    found = evaluate(sample, "val", fitted.users, fitted.videos)["overall"]["recall@20"]
    assert found == pytest.approx(best, abs=1e-9)


def test_training_stops_after_so_many_epochs_without_a_better_one(sample: Dataset) -> None:
    fitted = fit(sample, with_settings(max_epochs=300, patience=3, learning_rate=0.05))
    assert len(fitted.epochs) == fitted.best.epoch + 3 < 300


def test_training_stops_after_the_epoch_that_passes_the_time(sample: Dataset) -> None:
    assert len(fit(sample, with_settings(max_epochs=1000), max_seconds=0).epochs) == 1
    timed = fit(sample, with_settings(max_epochs=100_000, patience=100_000), max_seconds=0.5)
    assert timed.epochs[-1].seconds >= 0.5 > timed.epochs[-2].seconds


def test_without_validation_every_epoch_is_run_and_the_last_is_kept(sample: Dataset) -> None:
    unvalidated = replace(sample, val=NOBODY)
    fitted = fit(unvalidated, with_settings(max_epochs=6, patience=1))
    assert len(fitted.epochs) == 6
    assert not same(fitted, fit(unvalidated, with_settings(max_epochs=5, patience=1)))


def test_without_validation_the_last_epoch_is_said_to_be_the_best(sample: Dataset) -> None:
    fitted = fit(replace(sample, val=NOBODY), SMALL)
    assert fitted.best.epoch == len(fitted.epochs)


def test_each_epoch_is_reported_as_it_ends(sample: Dataset) -> None:
    reports: list[EpochReport] = []
    fitted = fit(sample, SMALL, report=reports.append)
    assert reports == fitted.epochs
    assert [report.epoch for report in reports] == [1, 2, 3, 4]
    assert reports[-1].loss < reports[0].loss
    assert all(report.max_epochs == 4 for report in reports)


@by_every_model
def test_the_last_column_is_one_for_users_and_the_bias_for_videos(
    model: str, sample: Dataset
) -> None:
    fitted = fit(sample, SMALL, model=model)
    width = {"bpr-mf": 8, "metammf-mf": 8 + 6}[model] + 1
    assert fitted.users.shape == (60, width)
    assert fitted.videos.shape == (120, width)
    assert fitted.users.dtype == fitted.videos.dtype == np.float32
    assert (fitted.users[:, -1] == 1).all()
    warm = np.flatnonzero(~sample.cold)
    assert np.ptp(fitted.videos[warm, -1]) > 0


def test_a_cold_video_points_where_its_content_points(sample: Dataset) -> None:
    fitted = fit(sample, SMALL)
    cold = np.flatnonzero(sample.cold)
    assert len(cold) > 3
    assert fitted.fusion is not None
    features = torch.from_numpy(sample.joined_features[cold])
    present = torch.from_numpy(sample.present[cold])
    with torch.no_grad():
        content = fitted.fusion(fitted.fusion.standardise(features, present), present)
    found = torch.from_numpy(fitted.videos[cold])
    torch.testing.assert_close(found[:, -1], content[:, -1], rtol=1e-4, atol=1e-6)
    assert (found[:, 8:-1] == 0).all()
    cosine = torch.nn.functional.cosine_similarity(found[:, :8], content[:, :-1])
    torch.testing.assert_close(cosine, torch.ones(len(cold)), rtol=0, atol=1e-5)


def test_no_cold_video_is_longer_than_the_longest_warm_one(sample: Dataset) -> None:
    fitted = fit(sample, SMALL)
    lengths = np.linalg.norm(fitted.videos[:, :-1], axis=1)
    assert lengths[sample.cold].max() <= lengths[~sample.cold].max() * (1 + 1e-5)


def test_who_met_everything_is_no_hindrance() -> None:
    everything = [(user, video) for user in range(2) for video in range(5)]
    fitted = fit(dataset_of(users=2, videos=6, train=everything), SMALL)
    assert np.isfinite(fitted.videos).all()
    assert [report.loss for report in fitted.epochs] == [0.0] * 4


@pytest.mark.parametrize("seed", [0, 1])
def test_two_planted_tastes_are_found_in_warm_and_in_cold_videos(seed: int) -> None:
    dataset = two_tastes()
    # Without validation every epoch is run: recall is perfect long before the tastes are clear.
    config = with_settings(max_epochs=40, learning_rate=0.02, batch_size=128)
    fitted = fit(replace(dataset, val=NOBODY), config, seed=seed)
    scores = fitted.users @ fitted.videos.T
    mine = np.arange(dataset.users)[:, None] % 2 == np.arange(dataset.videos) % 2
    for group in (~dataset.cold, dataset.cold):
        for user, liked in enumerate(mine):
            wanted, unwanted = scores[user, group & liked], scores[user, group & ~liked]
            assert (wanted[:, None] > unwanted).mean() > 0.9


@pytest.mark.slow
def test_meta_mmf_beats_popularity_on_the_sample() -> None:
    sample = make_synthetic(videos=400, users=250, seed=0)
    config = with_settings(vector_dim=16, max_epochs=60, learning_rate=0.01, batch_size=512)
    fitted = fit(sample, config)
    found = evaluate(sample, "test", fitted.users, fitted.videos)
    baseline = evaluate(sample, "test", *popularity_vectors(sample))
    assert found["overall"]["recall@20"] > 1.2 * baseline["overall"]["recall@20"]
    assert found["overall"]["ndcg@20"] > 1.2 * baseline["overall"]["ndcg@20"]
    assert found["cold"]["recall@20"] > baseline["cold"]["recall@20"] + 0.05
    assert found["coverage@20"] > 2 * baseline["coverage@20"]
