"""The metrics agree with a slow and plain reckoning, ties and gaps included."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.datasets import dataset_of
from training.data.dataset import PARTS, Dataset, Floats, Split
from training.evaluate import Scorer, evaluate, inner_products, top_lists

Pair = tuple[int, int]


@dataclass(frozen=True)
class Case:
    """A small world: pairs by split, and vectors of small whole numbers, so that scores tie."""

    train: set[Pair]
    val: set[Pair]
    test: set[Pair]
    seen: set[Pair]
    users: Floats
    videos: Floats

    @property
    def scorer(self) -> Scorer:
        return inner_products(self.users, self.videos)

    @property
    def dataset(self) -> Dataset:
        return dataset_of(
            users=len(self.users),
            videos=len(self.videos),
            train=sorted(self.train),
            val=sorted(self.val),
            test=sorted(self.test),
            seen=sorted(self.seen),
        )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    users, videos = draw(st.integers(1, 4)), draw(st.integers(1, 40))
    pair = st.tuples(st.integers(0, users - 1), st.integers(0, videos - 1))
    parts: dict[str, set[Pair]] = {name: set() for name in PARTS}
    for met, split in draw(st.dictionaries(pair, st.sampled_from(PARTS), max_size=50)).items():
        parts[split].add(met)
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    spread = draw(st.sampled_from([0, 1, 3]))
    drawn = [rng.integers(-spread, spread + 1, (n, 2)) for n in (users, videos)]
    return Case(**parts, users=drawn[0].astype(np.float32), videos=drawn[1].astype(np.float32))


def table(scores: Floats) -> Scorer:
    """What scores as is written in `scores: (U, V)`."""
    return lambda rows: scores[rows].copy()


def ranking(case: Case, user: int, masked: set[Pair]) -> list[int]:
    """All videos the user has not met, best first, ties by row."""
    scores = {
        video: float(np.dot(case.users[user], case.videos[video]))
        for video in range(len(case.videos))
        if (user, video) not in masked
    }
    return sorted(scores, key=lambda video: (-scores[video], video))


def reckoned(case: Case, split: Split) -> dict[str, Any]:
    """The report of `evaluate`, reckoned user by user from the definitions."""
    target = {"train": case.train, "val": case.val, "test": case.test}[split]
    earlier = {"train": set(), "val": case.train, "test": case.train | case.val}[split]
    masked = earlier | case.seen
    warm = {video for _, video in case.train}
    judged = sorted({user for user, _ in target})
    lists = {user: ranking(case, user, masked)[:20] for user in judged}
    groups = {
        "overall": target,
        "warm": {(u, v) for u, v in target if v in warm},
        "cold": {(u, v) for u, v in target if v not in warm},
    }
    report: dict[str, Any] = {name: _group(lists, pairs) for name, pairs in groups.items()}
    cold_lists = {
        user: [video for video in ranking(case, user, masked) if video not in warm][:20]
        for user in judged
    }
    report["cold_among_cold"] = _group(cold_lists, groups["cold"])
    shown = {video for best in lists.values() for video in best}
    report["coverage@20"] = len(shown) / len(case.videos)
    met = [sum(v == video for _, v in case.train) for video in range(len(case.videos))]
    everything = [met[video] for best in lists.values() for video in best]
    told = bool(everything) and sum(met) > 0
    report["popularity@20"] = float(np.mean(everything) / np.mean(met)) if told else 0.0
    return report


def _group(lists: dict[int, list[int]], pairs: set[Pair]) -> dict[str, float]:
    rows = []
    for user in sorted({user for user, _ in pairs}):
        wanted = {video for other, video in pairs if other == user}
        row = {}
        for cutoff in (10, 20):
            hits = [place for place, v in enumerate(lists[user][:cutoff]) if v in wanted]
            ideal = sum(1 / math.log2(place + 2) for place in range(min(cutoff, len(wanted))))
            row[f"recall@{cutoff}"] = len(hits) / len(wanted)
            row[f"ndcg@{cutoff}"] = sum(1 / math.log2(place + 2) for place in hits) / ideal
            row[f"precision@{cutoff}"] = len(hits) / cutoff
            row[f"hit@{cutoff}"] = float(bool(hits))
        rows.append(row)
    if not rows:
        return {"users": 0}
    return {
        **{name: float(np.mean([r[name] for r in rows])) for name in rows[0]},
        "users": len(rows),
    }


@settings(max_examples=250, deadline=None)
@given(case=cases(), split=st.sampled_from(["train", "val", "test"]))
def test_every_figure_is_that_of_the_definitions(case: Case, split: Split) -> None:
    found, expected = evaluate(case.dataset, split, case.scorer), reckoned(case, split)
    assert found.keys() == expected.keys()
    for name in ("coverage@20", "popularity@20"):
        assert found[name] == pytest.approx(expected[name])
    for group in ("overall", "warm", "cold", "cold_among_cold"):
        assert found[group] == pytest.approx(expected[group]), group


@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_the_lists_are_the_best_unmet_videos_ties_by_row(case: Case) -> None:
    dataset = case.dataset
    judged = np.arange(len(case.users))
    met = dataset.train.by_user(dataset.users)
    lists = top_lists(case.scorer, judged, met, videos=dataset.videos)
    for user in judged.tolist():
        expected = ranking(case, user, case.train)[:20]
        assert lists[user].tolist() == expected + [-1] * (20 - len(expected))


def test_with_all_scores_equal_the_first_rows_are_shown() -> None:
    dataset = dataset_of(users=1, videos=1000, train=[(0, 3)], test=[(0, 5)])
    users, videos = np.ones((1, 1), np.float32), np.zeros((1000, 1), np.float32)
    met = dataset.train.by_user(1)
    (shown,) = top_lists(inner_products(users, videos), np.array([0]), met, videos=1000)
    assert shown.tolist() == [row for row in range(21) if row != 3]


def test_users_are_scored_in_blocks_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    users = rng.normal(size=(50, 4)).astype(np.float32)
    videos = rng.normal(size=(60, 4)).astype(np.float32)
    pairs = [(user, (user * 7 + step) % 60) for user in range(50) for step in range(9)]
    dataset = dataset_of(users=50, videos=60, train=pairs[::3], val=pairs[1::3], test=pairs[2::3])
    whole = evaluate(dataset, "test", inner_products(users, videos))
    monkeypatch.setattr("training.evaluate.SCORE_CELLS", 60 * 7)
    assert evaluate(dataset, "test", inner_products(users, videos)) == whole


def test_a_perfect_ranking_scores_one_and_a_masked_one_nothing() -> None:
    dataset = dataset_of(
        users=2, videos=30, train=[(0, 0), (1, 1)], val=[(0, 2)], test=[(0, 3), (0, 4), (1, 5)]
    )
    wanted = np.zeros((2, 30), np.float32)
    wanted[0, [3, 4]] = wanted[1, 5] = 1
    perfect = evaluate(dataset, "test", table(wanted))["overall"]
    assert perfect["recall@10"] == perfect["ndcg@20"] == 1
    assert perfect["precision@20"] == pytest.approx(3 / 40)
    # User 0 loves what trained and what validated: neither takes a place in the test list.
    wanted[0, [0, 2]] = 9
    assert evaluate(dataset, "test", table(wanted))["overall"] == perfect


def test_warm_and_cold_are_judged_in_one_ranking() -> None:
    dataset = dataset_of(users=1, videos=40, train=[(0, 0), (0, 1)], test=[(0, 39), (0, 38)])
    # Both are cold: 39 is ranked first, 38 last.
    scores = np.zeros((1, 40), np.float32)
    scores[0, 39], scores[0, 38] = 2, -2
    report = evaluate(dataset, "test", table(scores))
    assert report["warm"] == {"users": 0}
    assert report["cold"] == report["overall"]
    assert report["cold"]["recall@20"] == 0.5


def test_a_split_without_interactions_judges_nobody() -> None:
    dataset = dataset_of(users=2, videos=5, train=[(0, 0)])
    report = evaluate(dataset, "val", table(np.ones((2, 5), np.float32)))
    assert report == {
        "overall": {"users": 0},
        "warm": {"users": 0},
        "cold": {"users": 0},
        "cold_among_cold": {"users": 0},
        "coverage@20": 0.0,
        "popularity@20": 0.0,
    }


def test_among_cold_videos_no_warm_one_takes_a_place() -> None:
    # Thirty warm videos lead every list; of the ten cold ones user 0 wants the best and the worst.
    dataset = dataset_of(
        users=2, videos=40, train=[(1, row) for row in range(30)], test=[(0, 30), (0, 39), (1, 31)]
    )
    scores = np.tile(-np.arange(40, dtype=np.float32), (2, 1))
    report = evaluate(dataset, "test", table(scores))
    assert report["cold"]["recall@20"] == 0.5  # user 1 has seen what is warm: 30 … 39 are left
    assert report["cold_among_cold"]["recall@20"] == 1
    assert report["cold_among_cold"]["users"] == 2
    assert report["cold_among_cold"]["ndcg@20"] < 1


def test_among_cold_videos_only_those_are_judged_who_want_one() -> None:
    dataset = dataset_of(
        users=3, videos=6, train=[(0, 0), (1, 1), (2, 0)], test=[(0, 1), (1, 5), (2, 1)]
    )
    report = evaluate(dataset, "test", table(np.zeros((3, 6), np.float32)))
    assert report["overall"]["users"] == 3
    assert report["cold_among_cold"]["users"] == 1
