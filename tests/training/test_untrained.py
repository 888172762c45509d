"""What is not trained scores as its formula says, reckoned the plain way."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.datasets import dataset_of, random_features, two_tastes
from training.config import configure
from training.data.dataset import Dataset, Floats
from training.evaluate import inner_products, top_lists
from training.untrained import UNTRAINED
from training.untrained.content import ContentNeighbours
from training.untrained.filters import GfCf, LinearFilter, right_vectors
from training.untrained.popularity import Popularity
from training.untrained.system import Untrained

USERS, VIDEOS = 5, 8
TRAIN = st.sets(
    st.tuples(st.integers(0, USERS - 1), st.integers(0, VIDEOS - 1)), min_size=1, max_size=25
)
EVERYBODY = np.arange(USERS)
Doubles = NDArray[np.float64]


def data(train: set[tuple[int, int]], *, seed: int = 0) -> Dataset:
    """Two modalities, of which video 1 lacks the second; a column of the first never moves."""
    features = random_features(VIDEOS, {"visual": 3, "textual": 2}, seed=seed)
    features["visual"][:, 1] = 7
    features["textual"][1] = 0
    return dataset_of(users=USERS, videos=VIDEOS, train=sorted(train), features=features)


def met(dataset: Dataset) -> Doubles:
    """The training interactions: (U, V), 1 where they met."""
    table = np.zeros((dataset.users, dataset.videos))
    table[dataset.train.users, dataset.train.videos] = 1
    return table


def made(name: str, dataset: Dataset) -> Untrained:
    return UNTRAINED[name](dataset, configure({"model": name, "filter_dim": 3}))


def test_popularity_ranks_by_training_interactions_ties_by_row() -> None:
    train = [(0, 3), (1, 3), (2, 3), (0, 1), (1, 1), (0, 5), (1, 0)]
    dataset = dataset_of(users=4, videos=6, train=train, test=[(3, 2)])
    scorer = Popularity(dataset).scores
    (shown,) = top_lists(scorer, np.array([3]), dataset.train.by_user(4), videos=6)
    assert shown[:6].tolist() == [3, 1, 0, 5, 2, 4]
    assert len(np.unique(scorer(np.array([3])))) == 6


@settings(max_examples=60, deadline=None)
@given(train=TRAIN)
def test_the_linear_filter_is_one_hop_of_the_normalised_co_occurrence(
    train: set[tuple[int, int]],
) -> None:
    dataset = data(train)
    ratings = met(dataset)
    by_user, by_video = (np.maximum(ratings.sum(axis), 1) for axis in (1, 0))
    normalised = ratings / np.sqrt(np.outer(by_user, by_video))
    expected = (
        ratings @ np.diag(by_video**-0.5) @ normalised.T @ normalised @ np.diag(by_video**0.5)
    )
    np.testing.assert_allclose(
        LinearFilter(dataset).scores(EVERYBODY), expected, rtol=1e-4, atol=1e-6
    )


@settings(max_examples=60, deadline=None)
@given(train=TRAIN, vectors=st.integers(1, 5))
def test_gf_cf_adds_the_projection_on_the_smoothest_vectors(
    train: set[tuple[int, int]], vectors: int
) -> None:
    dataset = data(train)
    ratings = met(dataset)
    by_user, by_video = (np.maximum(ratings.sum(axis), 1) for axis in (1, 0))
    normalised = ratings / np.sqrt(np.outer(by_user, by_video))
    _, singular, right = np.linalg.svd(normalised)
    # Where the last one kept is as long as the first left out, or 0, which is kept is up to chance.
    singular = np.append(singular, 0)
    assume(singular[vectors - 1] > singular[vectors] + 0.05)
    smooth = right[:vectors].T @ right[:vectors]
    ideal = np.diag(by_video**-0.5) @ smooth @ np.diag(by_video**0.5)
    expected = ratings @ (normalised.T @ normalised + 0.7 * ideal)
    found = GfCf(dataset, dim=vectors, weight=0.7).scores(EVERYBODY)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_gf_cf_finds_who_watches_alike() -> None:
    dataset = two_tastes()
    scores = GfCf(dataset, dim=2, weight=0.3).scores(np.arange(dataset.users))[:, ~dataset.cold]
    mine = np.arange(dataset.users)[:, None] % 2 == np.arange(dataset.videos)[~dataset.cold] % 2
    assert scores[mine].min() > scores[~mine].max()


def plain_profile(dataset: Dataset, video: int) -> Doubles:
    """All modalities of a video, each standardised, cut at six and of unit length."""
    parts = []
    for name in ("visual", "textual"):
        matrix = dataset.features[name].astype(np.float64)
        having = [row for row in matrix if row.any()]
        part = np.zeros(matrix.shape[1])
        if matrix[video].any():
            for column in range(matrix.shape[1]):
                values = [row[column] for row in having]
                deviation = np.std(values) or 1
                part[column] = (matrix[video, column] - np.mean(values)) / deviation
            part = np.clip(part, -6, 6)
            part /= np.linalg.norm(part)
        parts.append(part)
    profile: Doubles = np.concatenate(parts)
    return profile / np.linalg.norm(profile)


@settings(max_examples=60, deadline=None)
@given(train=TRAIN, seed=st.integers(0, 99))
def test_content_neighbours_rank_as_the_cosine_with_the_sum_of_what_the_user_met(
    train: set[tuple[int, int]], seed: int
) -> None:
    dataset = data(train, seed=seed)
    profiles = [plain_profile(dataset, video) for video in range(VIDEOS)]
    found = ContentNeighbours(dataset).scores(EVERYBODY)
    for user in range(USERS):
        mine = [profiles[video] for other, video in train if other == user]
        for video in range(VIDEOS):
            expected = sum(profile @ profiles[video] for profile in mine)
            assert found[user, video] == pytest.approx(expected, abs=1e-5)


def test_an_absurd_value_is_cut_at_six_deviations() -> None:
    features = random_features(60, {"visual": 3, "textual": 2})
    features["textual"][0, 0] = 1e9  # 7.7 deviations of sixty values
    dataset = dataset_of(users=1, videos=60, train=[(0, 0)], features=features)
    profiles = np.stack([plain_profile(dataset, video) for video in range(60)])
    found = ContentNeighbours(dataset).scores(np.array([0]))[0]
    np.testing.assert_allclose(found, profiles @ profiles[0], atol=1e-5)


@pytest.mark.parametrize("name", list(UNTRAINED))
def test_the_rows_asked_for_are_scored_and_may_be_written_to(name: str) -> None:
    dataset = data({(0, 1), (1, 2), (2, 2), (3, 4), (4, 4), (4, 5), (0, 7)})
    scorer = made(name, dataset).scores
    whole = scorer(EVERYBODY)
    assert whole.shape == (USERS, VIDEOS)
    some = scorer(np.array([3, 0]))
    np.testing.assert_allclose(some, whole[[3, 0]], atol=1e-6)
    some[:] = -np.inf
    np.testing.assert_array_equal(scorer(EVERYBODY), whole)


def test_content_neighbours_find_the_side_that_features_tell() -> None:
    dataset = two_tastes()
    scores = ContentNeighbours(dataset).scores(np.arange(dataset.users))
    mine = np.arange(dataset.users)[:, None] % 2 == np.arange(dataset.videos) % 2
    assert scores[mine].min() > scores[~mine].max()


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(sorted(UNTRAINED)), train=TRAIN, seed=st.integers(0, 99))
def test_vectors_wide_enough_score_alike(name: str, train: set[tuple[int, int]], seed: int) -> None:
    system = made(name, data(train, seed=seed))
    vectors = system.vectors(VIDEOS)
    assert vectors.users.dtype == vectors.videos.dtype == np.float32
    found = inner_products(*vectors)(EVERYBODY)
    np.testing.assert_allclose(found, system.scores(EVERYBODY), rtol=1e-4, atol=1e-4)


def test_popularity_needs_one_column() -> None:
    vectors = made("popularity", data({(0, 1)})).vectors(64)
    assert (vectors.users.shape, vectors.videos.shape) == ((USERS, 1), (VIDEOS, 1))


@pytest.mark.parametrize("name", ["gf-cf", "linear-filter"])
def test_a_filter_in_fewer_columns_is_the_nearest_there_is(name: str) -> None:
    rng = np.random.default_rng(0)
    train = np.unique(rng.integers((30, 40), size=(200, 2)), axis=0).tolist()
    dataset = dataset_of(users=30, videos=40, train=train)
    system = made(name, dataset)
    scores = system.scores(np.arange(30)).astype(np.float64)
    left, lengths, right = np.linalg.svd(scores)
    for width in (1, 3, 10):
        vectors = system.vectors(width)
        assert vectors.videos.shape == (40, width)
        nearest = (left[:, :width] * lengths[:width]) @ right[:width]
        np.testing.assert_allclose(vectors.users @ vectors.videos.T, nearest, atol=1e-3)


def test_wide_profiles_are_cut_to_the_axes_on_which_they_extend_furthest() -> None:
    """Three columns are copies of the other three, so that three say it all, and two nearly."""
    half = random_features(40, {"visual": 3})["visual"] * np.array([9, 3, 1], np.float32)
    features: dict[Any, Floats] = {"visual": half, "textual": half[:, ::-1].copy()}
    train = [(user, (7 * user + step) % 40) for user in range(USERS) for step in range(4)]
    system = ContentNeighbours(dataset_of(users=USERS, videos=40, train=train, features=features))
    scores = system.scores(EVERYBODY)
    off = []
    for width in (1, 2, 3):
        users, videos = system.vectors(width)
        assert videos.shape == (40, width)
        off.append(float(np.abs(users @ videos.T - scores).mean()))
    assert off[0] > off[1] > off[2]
    assert off[2] < 1e-5


def test_right_vectors_are_those_of_the_matrix() -> None:
    matrix = torch.randn(20, 30, generator=torch.Generator().manual_seed(1))
    found = right_vectors(lambda b: matrix @ b, lambda b: matrix.T @ b, (20, 30), 4)
    expected = torch.linalg.svd(matrix).Vh[:4]
    np.testing.assert_allclose((expected @ found).abs(), np.eye(4), atol=1e-3)
