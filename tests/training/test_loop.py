"""Training repeats, stops when it should, and hands back its best epoch."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from models.fusion import MetaFusion
from tests.support.datasets import dataset_of, interactions, two_tastes
from training.build import BUILDERS
from training.config import FitConfig, configure
from training.data.dataset import Dataset, Interactions
from training.data.synthetic import make_synthetic
from training.errors import Diverged, InvalidConfig
from training.evaluate import Scorer, evaluate, inner_products
from training.loop import Fitted, fit
from training.representation import SHARES
from training.untrained.content import ContentNeighbours
from training.untrained.popularity import Popularity


def small(**changes: object) -> FitConfig:
    sizes = {
        "vector_dim": 8, "hidden_dims": (8,), "signal_hidden_dim": 8, "signal_dim": 4, "rank": 4,
    }  # fmt: skip
    return configure({**sizes, "max_epochs": 4, "validate_every": 1, **changes})


SMALL = small()
NOBODY = interactions([])
META_MMF = ("metammf-mf", "metammf-gcn", "metammf-lightgcn")
by_every_model = pytest.mark.parametrize("model", list(BUILDERS))


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return make_synthetic(videos=120, users=60, seed=1)


def scorer_of(fitted: Fitted) -> Scorer:
    return inner_products(fitted.users, fitted.videos)


def same(first: Fitted, second: Fitted) -> bool:
    return np.array_equal(first.users, second.users) and np.array_equal(first.videos, second.videos)


@by_every_model
def test_a_seed_repeats_bit_for_bit_and_another_differs(model: str, sample: Dataset) -> None:
    first, again, other = (fit(sample, small(model=model), seed=seed) for seed in (7, 7, 8))
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
    config = small(model=model, max_epochs=60, patience=3, learning_rate=0.05)
    fitted = fit(sample, config)
    best = max(report.validation or 0 for report in fitted.epochs)
    assert fitted.best.validation == best == fitted.epochs[-1].best
    assert fitted.best.epoch < len(fitted.epochs)
    found = evaluate(sample, "val", scorer_of(fitted))["overall"]["recall@20"]
    # What arrivals lose is chosen at the end, and only if validation gains by it.
    assert found > best if fitted.common else found == pytest.approx(best, abs=1e-9)


def test_arrivals_lose_the_share_of_the_mean_content_that_validation_wants(sample: Dataset) -> None:
    fitted = fit(sample, small(max_epochs=20, learning_rate=0.05))
    assert isinstance(fitted.fusion, MetaFusion)
    present = torch.from_numpy(sample.present)
    features = fitted.fusion.standardise(torch.from_numpy(sample.joined_features), present)
    with torch.no_grad():
        contents = torch.nn.functional.normalize(fitted.fusion(features, present), dim=1)
    judged = {}
    for share in SHARES:
        lost = contents[sample.cold] - share * contents.mean(dim=0)
        videos = fitted.videos.copy()
        videos[sample.cold] = torch.nn.functional.normalize(lost, dim=1)
        scorer = inner_products(fitted.users, videos)
        judged[share] = evaluate(sample, "val", scorer)["overall"]["recall@20"]
    assert len(set(judged.values())) > 1
    assert fitted.common == max(SHARES, key=judged.__getitem__) > 0
    torch.testing.assert_close(fitted.fusion.common, fitted.common * contents.mean(dim=0))


def test_nothing_is_lost_where_validation_knows_no_arrival(sample: Dataset) -> None:
    warm = ~sample.cold[sample.val.videos]
    val = Interactions(sample.val.users[warm], sample.val.videos[warm])
    fitted = fit(replace(sample, val=val), SMALL)
    assert fitted.common == 0
    assert isinstance(fitted.fusion, MetaFusion)
    assert not fitted.fusion.common.any()


def test_training_stops_after_so_many_epochs_without_a_better_one(sample: Dataset) -> None:
    fitted = fit(sample, small(max_epochs=300, patience=3, learning_rate=0.05))
    assert len(fitted.epochs) == fitted.best.epoch + 3 < 300


def test_training_stops_after_the_epoch_that_passes_the_time(sample: Dataset) -> None:
    assert len(fit(sample, small(max_epochs=1000), max_seconds=0).epochs) == 1
    timed = fit(sample, small(max_epochs=100_000, patience=100_000), max_seconds=0.5)
    assert timed.epochs[-1].seconds >= 0.5 > timed.epochs[-2].seconds


@pytest.mark.parametrize("model", META_MMF)
def test_features_that_are_all_alike_leave_unit_vectors(model: str, sample: Dataset) -> None:
    alike = {name: np.ones_like(matrix) for name, matrix in sample.features.items()}
    fitted = fit(replace(sample, features=alike), small(model=model))
    for vectors in (fitted.users, fitted.videos):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


# Decay multiplies what maps features by -2 in every step, until it is too large for a number.
WILD = {"learning_rate": 0.03, "fusion_decay": 100.0, "max_epochs": 300, "patience": 300}


def test_training_ends_where_its_numbers_end_and_keeps_what_was_best(sample: Dataset) -> None:
    fitted = fit(sample, small(**WILD))
    last = fitted.epochs[-1]
    assert last.epoch < 100
    assert not math.isfinite(last.loss)
    assert last.validation is None
    assert fitted.finite
    assert fitted.best.validation == last.best
    found = evaluate(sample, "val", scorer_of(fitted))["overall"]["recall@20"]
    assert found >= fitted.best.validation


@pytest.mark.parametrize("rate", [1.0, 0.3, 0.03, 0.025])
@pytest.mark.parametrize("averaging", [0.0, 0.99])
def test_no_vector_that_is_kept_has_lost_its_length(
    rate: float, averaging: float, sample: Dataset
) -> None:
    """Content whose length is beyond all numbers makes vectors of 0, at a loss that is one."""
    wild = small(**{**WILD, "learning_rate": rate, "averaging": averaging})
    fitted = fit(sample, wild)
    for vectors in (fitted.users, fitted.videos):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert len(fitted.epochs) < 100


@pytest.mark.parametrize("validated", [True, False])
def test_where_nothing_was_judged_before_that_there_is_nothing(
    validated: bool, sample: Dataset
) -> None:
    config = small(**WILD, validate_every=100)
    with pytest.raises(Diverged, match="learning_rate"):
        fit(sample if validated else replace(sample, val=NOBODY), config)


def test_without_validation_every_epoch_is_run_and_the_last_is_kept(sample: Dataset) -> None:
    unvalidated = replace(sample, val=NOBODY)
    fitted = fit(unvalidated, small(max_epochs=6, patience=1))
    assert len(fitted.epochs) == 6
    assert not same(fitted, fit(unvalidated, small(max_epochs=5, patience=1)))


def test_without_validation_the_last_epoch_is_said_to_be_the_best(sample: Dataset) -> None:
    fitted = fit(replace(sample, val=NOBODY), SMALL)
    assert fitted.best.epoch == len(fitted.epochs)


def test_each_epoch_is_reported_as_it_ends(sample: Dataset) -> None:
    reports: list[Any] = []
    fitted = fit(sample, SMALL, report=reports.append)
    assert reports == fitted.epochs
    assert [report.epoch for report in reports] == [1, 2, 3, 4]
    assert reports[-1].loss < reports[0].loss
    assert all(report.max_epochs == 4 for report in reports)


def test_validation_comes_every_so_many_epochs_and_at_the_end(sample: Dataset) -> None:
    fitted = fit(sample, small(max_epochs=7, validate_every=3))
    judged = [report.epoch for report in fitted.epochs if report.validation is not None]
    assert judged == [3, 6, 7]


@pytest.mark.parametrize("model", [*META_MMF, "cosine-mf"])
def test_every_vector_has_unit_length(model: str, sample: Dataset) -> None:
    fitted = fit(sample, small(model=model))
    for vectors, count in ((fitted.users, 60), (fitted.videos, 120)):
        assert vectors.shape == (count, 8)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("model", ["bpr-mf", "vbpr"])
def test_the_last_column_is_one_for_users_and_the_bias_for_videos(
    model: str, sample: Dataset
) -> None:
    fitted = fit(sample, small(model=model))
    assert (fitted.users[:, -1] == 1).all()
    assert np.ptp(fitted.videos[~sample.cold, -1]) > 0


@pytest.mark.parametrize("model", META_MMF)
def test_a_cold_video_points_where_its_content_points(model: str, sample: Dataset) -> None:
    fitted = fit(sample, small(model=model))
    cold = np.flatnonzero(sample.cold)
    assert len(cold) > 3
    assert isinstance(fitted.fusion, MetaFusion)
    features = torch.from_numpy(sample.joined_features[cold])
    present = torch.from_numpy(sample.present[cold])
    with torch.no_grad():
        content = fitted.fusion(fitted.fusion.standardise(features, present), present)
        content = torch.nn.functional.normalize(content, dim=1) - fitted.fusion.common
    found = torch.from_numpy(fitted.videos[cold])
    cosine = torch.nn.functional.cosine_similarity(found, content)
    torch.testing.assert_close(cosine, torch.ones(len(cold)), rtol=0, atol=1e-5)


@by_every_model
def test_only_meta_mmf_hands_back_a_fusion_network(model: str, sample: Dataset) -> None:
    assert (fit(sample, small(model=model, max_epochs=1)).fusion is None) == (model not in META_MMF)


def test_who_met_everything_is_no_hindrance() -> None:
    everything = [(user, video) for user in range(2) for video in range(5)]
    fitted = fit(dataset_of(users=2, videos=6, train=everything), SMALL)
    assert np.isfinite(fitted.videos).all()
    assert [report.loss for report in fitted.epochs] == [0.0] * 4


@pytest.mark.parametrize("seed", [0, 1])
def test_two_planted_tastes_are_found_in_warm_and_in_cold_videos(seed: int) -> None:
    dataset = two_tastes()
    # Without validation every epoch is run: recall is perfect long before the tastes are clear.
    config = small(max_epochs=40, learning_rate=0.02, batch_size=128)
    fitted = fit(replace(dataset, val=NOBODY), config, seed=seed)
    scores = fitted.users @ fitted.videos.T
    mine = np.arange(dataset.users)[:, None] % 2 == np.arange(dataset.videos) % 2
    for group in (~dataset.cold, dataset.cold):
        for user, liked in enumerate(mine):
            wanted, unwanted = scores[user, group & liked], scores[user, group & ~liked]
            assert (wanted[:, None] > unwanted).mean() > 0.9


def test_what_needs_no_training_is_not_trained(sample: Dataset) -> None:
    with pytest.raises(InvalidConfig, match="gf-cf is not trained"):
        fit(sample, small(model="gf-cf"))


@pytest.mark.slow
def test_meta_mmf_beats_popularity_and_for_arrivals_content_neighbours() -> None:
    sample = make_synthetic(videos=400, users=250, seed=0)
    config = small(
        vector_dim=16, hidden_dims=(16,), max_epochs=30, validate_every=2, learning_rate=0.01,
        batch_size=512,
    )  # fmt: skip
    found = evaluate(sample, "test", scorer_of(fit(sample, config)))
    popular = evaluate(sample, "test", Popularity(sample).scores)
    similar = evaluate(sample, "test", ContentNeighbours(sample).scores)
    for metric in ("recall@20", "ndcg@20"):
        assert found["overall"][metric] > 2 * popular["overall"][metric]
        assert found["cold"][metric] > 1.2 * similar["cold"][metric]
    # Of twenty-one arrivals a list of twenty holds nearly all; their order tells.
    assert found["cold_among_cold"]["ndcg@20"] > popular["cold_among_cold"]["ndcg@20"] + 0.1
    assert found["coverage@20"] > 2 * popular["coverage@20"]
