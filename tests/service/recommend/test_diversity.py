"""Lists of videos that are unlike each other: maximal marginal relevance, compared with a loop."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.recommend.diversity import POOL_LEAST, POOL_TIMES, diversified, pool_size
from tests.support.bundles import plant, unit, write_small_bundle
from tests.support.server import Api, settings_for


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    count=st.integers(0, 12),
    k=st.integers(1, 14),
    diversity=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
    ties=st.booleans(),
)
def test_the_next_is_what_suits_most_and_is_least_like_the_chosen(
    seed: int, count: int, k: int, diversity: float, ties: bool
) -> None:
    rng = np.random.default_rng(seed)
    drawn = np.add(rng.integers(-1, 2, (count, 3)), [0.25, 0, 0])
    vectors = unit(drawn) if count else np.empty((0, 3))
    scores = np.sort(rng.integers(0, 3, count) if ties else rng.random(count))[::-1].astype(float)
    wide = vectors.astype(np.float64)
    spread = scores[0] - scores[-1] if count else 0
    chosen: list[int] = []
    while len(chosen) < min(k, count):
        worth = {}
        for place in set(range(count)) - set(chosen):
            relevance = (scores[place] - scores[-1]) / spread if spread else 0.0
            likes = [np.einsum("ij,j->i", wide[[place]], wide[one])[0] for one in chosen]
            like = max(likes, default=0.0)
            worth[place] = (1 - diversity) * relevance - diversity * like
        chosen.append(min(worth, key=lambda place: (-worth[place], place)))
    expected = chosen if diversity else list(range(min(k, count)))
    assert diversified(scores, vectors.astype(np.float32), k, diversity) == expected


@pytest.fixture
def tastes(tmp_path: Path) -> Api:
    """Sixty videos in two places: user-00000 likes the first thirty best, then the others."""
    rng = np.random.default_rng(0)
    near = np.repeat([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]], 30, axis=0)
    videos = near + 0.02 * rng.normal(size=(60, 3))
    users = np.tile([1.0, 0.0, 0.0], (20, 1))
    write_small_bundle(tmp_path / "bundles", planted=plant(users, videos))
    return Api(settings_for(tmp_path / "bundles", tmp_path / "events.db"))


def firsts(api: Api, query: str) -> list[int]:
    found = api.get(f"/v1/users/user-00000/recommendations?{query}").json()["recommendations"]
    return [int(place["video_id"].removeprefix("video-")) for place in found]


def test_a_diverse_list_is_of_both_kinds_and_begins_with_the_best(tastes: Api) -> None:
    with tastes as api:
        api.ready()
        plain, diverse = firsts(api, "k=6"), firsts(api, "k=6&diversity=0.8")
        assert {row // 30 for row in plain} == {0}
        assert {row // 30 for row in diverse} == {0, 1}
        assert diverse[0] == plain[0]
        assert firsts(api, "k=6&diversity=0") == plain
        body = {"user_id": "user-00000", "k": 6, "diversity": 0.8}
        places = api.request("POST", "/v1/recommendations", json=body).json()["recommendations"]
        assert [int(p["video_id"][-5:]) for p in places] == diverse
        # All there is, whatever the order.
        assert sorted(firsts(api, "k=500&diversity=1")) == sorted(firsts(api, "k=500"))
        # What is popular with somebody unknown can be unlike too.
        stranger = "/v1/users/nobody/recommendations?k=10"
        popular = api.get(stranger).json()["recommendations"]
        varied = api.get(f"{stranger}&diversity=0.9").json()["recommendations"]
        assert popular[0] == varied[0]
        assert popular != varied


def test_the_pool_is_as_documented() -> None:
    assert (POOL_TIMES, POOL_LEAST) == (4, 100)
    assert (pool_size(10, 0), pool_size(10, 0.1), pool_size(500, 1)) == (10, 100, 2000)


@pytest.mark.parametrize("value", ["-0.1", "1.1", "nan", "inf", "much", ""])
@pytest.mark.parametrize("name", ["diversity", "explore"])
def test_a_share_outside_0_to_1_is_refused(still: Api, name: str, value: str) -> None:
    reply = still.get(f"/v1/users/a/recommendations?{name}={value}")
    assert reply.status_code == 422
    assert f"query.{name}" in reply.json()["detail"]
