"""Where vectors go with what users met, in a planted geometry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.geometry import Doubles, Floats, Geometry, survey
from service.catalog.representing import CONTENT, fold_in, warmed

WIDTH = 8
EACH = 30
A, B, C = (slice(start, start + EACH) for start in (0, EACH, 2 * EACH))


def unit(matrix: object) -> Floats:
    rows = np.asarray(matrix, dtype=np.float64)
    scaled: Floats = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return scaled


def clusters(seed: int) -> Floats:
    """Return a cluster of `EACH` rows around every axis, with something that all share."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(np.eye(WIDTH), EACH, axis=0) + 0.2
    return unit(centres + rng.normal(0, 0.1, centres.shape))


VIDEOS = clusters(0)
USERS = clusters(1)
PLANTED = survey(USERS, VIDEOS)


def ones(count: int) -> Doubles:
    return np.ones(count)


def folded(rows: Floats, weight: float = 1.0, geometry: Geometry = PLANTED) -> Floats:
    vector = fold_in(geometry, rows, weight * ones(len(rows)))
    assert vector is not None
    return vector


def score(vector: Floats, cluster: slice) -> float:
    return float((VIDEOS[cluster] @ vector).mean())


@pytest.mark.parametrize("cluster", [A, B, C])
@pytest.mark.parametrize("count", [1, 5])
def test_who_met_videos_of_a_cluster_gets_the_rest_of_it_first(cluster: slice, count: int) -> None:
    vector = folded(VIDEOS[cluster][:count])
    best = np.argsort(-VIDEOS @ vector)[:EACH]
    assert sorted(best) == list(range(cluster.start, cluster.stop))


def test_a_dislike_puts_its_kind_below_all_others() -> None:
    vector = folded(VIDEOS[A][:3], weight=-1)
    assert (VIDEOS[A] @ vector).max() < (VIDEOS[B.start :] @ vector).min()
    assert score(vector, A) < 0


def test_a_dislike_moves_a_trained_user_away() -> None:
    trained = USERS[0]
    vector = fold_in(PLANTED, VIDEOS[A][:5], -ones(5), trained=trained, interactions=10)
    assert vector is not None
    assert score(vector, A) < score(trained, A)
    assert score(vector, B) > score(trained, B)


def test_a_like_outweighs_a_weaker_dislike_of_the_same_kind() -> None:
    vector = fold_in(PLANTED, VIDEOS[A][:2], np.array([1, -0.5]))
    assert vector is not None
    assert score(vector, A) > score(vector, B)


def test_little_evidence_leaves_a_trained_user_where_they_were_and_much_moves_them() -> None:
    def after(count: int) -> Floats:
        vector = fold_in(PLANTED, VIDEOS[B][:count], ones(count), trained=USERS[0], interactions=20)
        assert vector is not None
        return vector

    assert score(after(1), A) > score(after(1), B)
    assert score(after(30), B) > score(after(30), A)


def test_evidence_moves_the_less_trained_user_further() -> None:
    def after(interactions: int) -> float:
        vector = fold_in(
            PLANTED, VIDEOS[B][:5], ones(5), trained=USERS[0], interactions=interactions
        )
        assert vector is not None
        return float(vector @ USERS[0])

    kept = [after(interactions) for interactions in (1, 5, 20, 100, 1000)]
    assert kept == sorted(kept)
    assert kept[0] < kept[-1] - 0.02


def test_a_vector_that_was_never_trained_counts_for_nothing() -> None:
    noise = USERS[A][0]
    untrained = fold_in(PLANTED, VIDEOS[B][:2], ones(2), trained=noise, interactions=0)
    assert untrained is not None
    np.testing.assert_array_equal(untrained, folded(VIDEOS[B][:2]))
    assert fold_in(PLANTED, VIDEOS[:0], ones(0), trained=noise, interactions=0) is None


def test_who_met_little_likes_what_most_users_like() -> None:
    geometry = survey(USERS[B], VIDEOS)
    leads = []
    for count in (1, 5, 30):
        vector = folded(VIDEOS[A][:count], geometry=geometry)
        leads.append(score(vector, B) - score(vector, C))
    assert leads[0] > 0.3
    assert leads == sorted(leads, reverse=True)
    assert leads[-1] < 0.1


def test_what_all_videos_share_sets_none_apart() -> None:
    shifted = survey(USERS, VIDEOS + np.float32(0.5))
    np.testing.assert_allclose(shifted.evening, PLANTED.evening, atol=1e-4)


def test_what_sets_all_videos_apart_tells_less_than_what_sets_a_few_apart() -> None:
    # The first axis divides all videos, the second marks a few; the three met share both.
    divided = np.tile([3.0, -3.0], 50)
    marked = np.where(np.arange(100) < 20, 1.0, 0.0)
    videos = unit(np.column_stack([divided, marked, np.ones(100)]))
    met = videos[[0, 2, 4]]
    plain = (met - videos.mean(axis=0)).sum(axis=0)
    vector = folded(met, geometry=survey(videos[:0], videos))
    assert vector[1] / vector[0] > 2 * plain[1] / plain[0] > 0


@pytest.mark.parametrize("trained", [None, USERS[0]])
@pytest.mark.parametrize(
    ("rows", "weights"),
    [
        (VIDEOS[:0], []),
        (VIDEOS[:3], [0, 0, 0]),
        (VIDEOS[[4, 4]], [1, -1]),
        (VIDEOS[[4, 4, 7, 7]], [1, -1, -0.5, 0.5]),
    ],
    ids=["nothing met", "no weight", "taken back", "both taken back"],
)
def test_without_evidence_a_user_is_who_they_were(
    rows: Floats, weights: list[float], trained: Floats | None
) -> None:
    vector = fold_in(PLANTED, rows, np.array(weights, float), trained=trained, interactions=9)
    assert vector is trained


def test_a_video_in_the_centre_of_all_says_nothing() -> None:
    videos = np.concatenate([VIDEOS, -VIDEOS])
    geometry = survey(USERS, videos)
    assert fold_in(geometry, np.zeros((1, WIDTH), np.float32), ones(1)) is None


def test_a_bundle_of_one_and_the_same_video_has_no_direction_to_go() -> None:
    same = VIDEOS[[3] * 10]
    geometry = survey(USERS[:0], same)
    assert all(np.isfinite(part).all() for part in geometry)
    assert fold_in(geometry, same, ones(10)) is None


def gained(viewers: Floats, weight: float = 1.0) -> Doubles:
    total: Doubles = (weight * (viewers - PLANTED.typical)).sum(axis=0)
    return total


def test_an_arrival_moves_towards_who_liked_it() -> None:
    content = VIDEOS[C][0]
    vectors = [warmed(content, gained(USERS[A][:count])) for count in (0, 1, 3, 10, 30)]
    margins = [float((USERS[A] @ vector).mean() - (USERS @ vector).mean()) for vector in vectors]
    assert margins == sorted(margins)
    assert margins[0] < 0
    assert margins[-1] > 0.5
    assert (USERS[A] @ vectors[-1]).min() > (USERS[A.stop :] @ vectors[-1]).max()


def test_an_arrival_moves_away_from_who_disliked_it() -> None:
    content = VIDEOS[A][0]
    vector = warmed(content, gained(USERS[A][:5], weight=-1))
    assert (USERS[A] @ vector).max() < (USERS[A] @ content).min()


def test_viewers_of_every_kind_leave_an_arrival_what_its_content_says() -> None:
    content = VIDEOS[C][0]
    assert warmed(content, gained(USERS)) @ content > 0.999
    assert warmed(content, gained(USERS[::EACH])) @ content > 0.99


def test_without_viewers_or_with_all_taken_back_an_arrival_is_its_content() -> None:
    content = VIDEOS[5]
    assert warmed(content, np.zeros(WIDTH)) is content
    assert warmed(content, gained(USERS[2:3], 1.5) - gained(USERS[2:3], 1.5)) is content


def test_an_arrival_pulled_exactly_backwards_keeps_its_content() -> None:
    content = VIDEOS[5]
    assert warmed(content, -CONTENT * content.astype(np.float64)) is content


@pytest.mark.parametrize("count", [1, 7, 150])
def test_the_same_inputs_give_the_same_bytes_wherever_they_lie(count: int) -> None:
    rng = np.random.default_rng(3)
    rows, weights = unit(rng.normal(size=(count, WIDTH))), rng.normal(size=count)
    results = set()
    for start in range(8):
        memory = np.zeros(count * WIDTH + start, np.float32)
        moved = memory[start:].reshape(count, WIDTH)
        moved[:] = rows
        vector = fold_in(PLANTED, moved, weights)
        assert vector is not None
        results.add(vector.tobytes())
    assert len(results) == 1


@given(
    seed=st.integers(0, 2**32 - 1),
    weights=st.lists(st.floats(-10, 10), max_size=40),
    interactions=st.integers(0, 10_000),
)
def test_a_represented_user_has_unit_length(
    seed: int, weights: list[float], interactions: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = unit(rng.normal(size=(len(weights), WIDTH)))
    trained = unit(rng.normal(size=WIDTH))
    for known in (trained, None):
        vector = fold_in(
            PLANTED, rows, np.array(weights, float), trained=known, interactions=interactions
        )
        if vector is None:
            assert known is None or not interactions
        else:
            assert vector.dtype == np.float32
            assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


@given(seed=st.integers(0, 2**32 - 1), weights=st.lists(st.floats(-10, 10), max_size=40))
def test_a_warmed_arrival_has_unit_length(seed: int, weights: list[float]) -> None:
    rng = np.random.default_rng(seed)
    viewers = unit(rng.normal(size=(len(weights), WIDTH))).astype(np.float64)
    sums = (np.array(weights, float)[:, None] * viewers).sum(axis=0)
    vector = warmed(unit(rng.normal(size=WIDTH)), sums)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
