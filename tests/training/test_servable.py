"""Whatever was fitted is served with the lists it had, and finds arrivals by their features."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.bundle.reader import read_bundle
from service.catalog.fusing import Fuser
from service.catalog.representing import fold_in
from tests.support.datasets import dataset_of, two_tastes
from tests.support.training_command import call
from training.build import BUILDERS
from training.config import FitConfig, configure
from training.data.dataset import Floats, Interactions, Mask, Rows
from training.data.folder_writer import write_dataset
from training.evaluate import Scorer, inner_products, rank
from training.export import FITTED, TRAINED, export
from training.loop import Fitted, fit
from training.servable import servable, unit_vectors
from training.untrained import UNTRAINED, without_training

NOBODY = Interactions(np.empty(0, np.int64), np.empty(0, np.int64))
SMALL: dict[str, Any] = {
    "vector_dim": 8, "hidden_dims": [8], "signal_hidden_dim": 8, "signal_dim": 4, "rank": 4,
    "averaging": 0.9, "batch_size": 128, "learning_rate": 0.02, "max_epochs": 15,
}  # fmt: skip
OTHERS = [model for model in (*BUILDERS, *UNTRAINED) if not model.startswith("metammf")]


def fitted_to(model: str) -> tuple[Fitted, FitConfig]:
    config = configure({**SMALL, "model": model})
    if model in UNTRAINED:
        return without_training(two_tastes(), config), config
    return fit(replace(two_tastes(), val=NOBODY), config, seed=0), config


def test_order_survives_when_vectors_take_unit_length() -> None:
    rng = np.random.default_rng(0)
    sides = [rng.normal(size=(count, 5)).astype(np.float32) for count in (30, 80, 80)]
    users, videos, others = unit_vectors(*sides)
    for vectors in (users, videos, others):
        assert vectors.shape[1] == 6
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    before = sides[0] @ np.concatenate(sides[1:]).T
    after = users @ np.concatenate([videos, others]).T
    lengths = np.linalg.norm(sides[0], axis=1, keepdims=True)
    longest = np.linalg.norm(np.concatenate(sides[1:]), axis=1).max()
    np.testing.assert_allclose(after, before / lengths / longest, atol=1e-5)


def test_vectors_of_one_length_get_no_further_column() -> None:
    sides = [np.eye(4, dtype=np.float32)[:count] for count in (2, 3, 3)]
    for found, given in zip(unit_vectors(*sides), sides, strict=True):
        np.testing.assert_array_equal(found, given)


def test_of_whom_nothing_is_known_takes_the_mean_direction_of_the_others() -> None:
    users = np.array([[3, 0], [0, 0], [0, 5], [1e-9, -1e-9]], np.float32)
    found, _, _ = unit_vectors(users, np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32))
    np.testing.assert_allclose(found[[0, 2]], np.eye(2))
    np.testing.assert_allclose(found[[1, 3]], np.full((2, 2), 0.5**0.5), rtol=1e-6)


def test_where_nothing_is_known_of_anybody_all_vectors_have_unit_length() -> None:
    zero = np.zeros((2, 3), np.float32)
    for found in unit_vectors(zero, np.eye(3, dtype=np.float32), zero):
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)


def test_what_meta_mmf_is_fitted_to_stays_as_it_is() -> None:
    fitted, config = fitted_to("metammf-mf")
    assert servable(fitted, two_tastes(), config, seed=0) is fitted


def without(scorer: Scorer, hidden: Mask) -> Scorer:
    """What scores as `scorer` does, and no `hidden` video."""

    def score(rows: Rows) -> Floats:
        scores = scorer(rows)
        scores[:, hidden] = -np.inf
        return scores

    return score


@pytest.mark.parametrize("model", OTHERS)
def test_any_other_system_keeps_its_lists_and_finds_arrivals_by_their_features(
    model: str, tmp_path: Path
) -> None:
    data = two_tastes()
    fitted, config = fitted_to(model)
    served = servable(fitted, data, config, seed=0)
    warm = replace(data, test=data.val)
    lists = []
    for one in (fitted, served):
        scorer = without(inner_products(one.users, one.videos), data.cold)
        lists.append(rank(warm, "test", scorer).lists)
    # A score may change places with one that equals it but for rounding; of trained systems few do.
    assert (lists[0] == lists[1]).mean() > 0.99 or model in UNTRAINED
    before = fitted.users @ fitted.videos.T
    first, second = (np.take_along_axis(before, one, axis=1) for one in lists)
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)
    mine = np.arange(data.users)[:, None] % 2 == np.arange(data.videos) % 2
    scores = served.users @ served.videos.T
    told = [
        scores[user, data.cold & liked].min() > scores[user, data.cold & ~liked].max()
        for user, liked in enumerate(mine)
    ]
    # Nobody's taste is in what is popular.
    assert np.mean(told) > 0.9 or model == "popularity"
    bundle_id = export(served, data, config, tmp_path, metrics={}, seed=0)
    bundle = read_bundle(tmp_path / bundle_id)
    assert bundle.manifest.training["arrivals"] == FITTED
    assert bundle.manifest.vector_dim == served.videos.shape[1]
    cold = int(np.flatnonzero(data.cold)[0])
    features: dict[str, Floats] = {name: matrix[cold] for name, matrix in data.features.items()}
    (arrived,) = Fuser(bundle).fuse([features])
    np.testing.assert_allclose(arrived, served.videos[cold], atol=1e-5)


def test_popularity_stays_the_same_list_whatever_somebody_does(tmp_path: Path) -> None:
    train = [(user, video) for video in range(9) for user in range(9 - video)]
    data = dataset_of(users=9, videos=12, train=train, val=[(8, 1)], test=[(8, 2)])
    config = configure({**SMALL, "model": "popularity"})
    fitted = servable(without_training(data, config), data, config, seed=0)
    bundle = read_bundle(tmp_path / export(fitted, data, config, tmp_path, metrics={}, seed=0))
    unpopular = bundle.videos[[8]]
    for trained in (None, bundle.users[2]):
        for weight in (5.0, -5.0):
            weights = np.array([weight])
            moved = fold_in(bundle.geometry, unpopular, weights, trained=trained, interactions=1)
            assert moved is not None
            assert np.argsort(-bundle.videos[:9] @ moved).tolist() == list(range(9))


def test_a_seed_repeats_and_the_chance_of_others_is_left_alone() -> None:
    fitted, config = fitted_to("bpr-mf")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again = (servable(fitted, two_tastes(), config, seed=1) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(first.videos, again.videos)


@pytest.mark.parametrize(
    ("model", "how"), [("lightgcn", FITTED), ("metammf-mf", TRAINED), ("gf-cf", FITTED)]
)
def test_fit_exports_any_system_and_says_how_arrivals_are_represented(
    model: str, how: str, tmp_path: Path
) -> None:
    write_dataset(tmp_path / "data", two_tastes())
    settings = [f"--set={key}={value}" for key, value in SMALL.items()]
    done = call(
        "fit", tmp_path / "data", "--out", tmp_path / "b", *settings, "--set", f"model='{model}'"
    )
    assert done.exit_code == 0, done.output
    bundle = read_bundle(tmp_path / "b" / done.stdout.split()[-1])
    assert bundle.manifest.training["arrivals"] == how
    judged = call("evaluate", tmp_path / "b" / bundle.manifest.bundle_id, tmp_path / "data")
    assert judged.exit_code == 0, judged.output
