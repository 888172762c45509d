"""The share of places that arrivals are promised: how many, which, and when it ends."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eventlog.events import VideoUpserted
from tests.support.server import WIDTHS, Api, segment, settings_for

HOUR = 3600.0
NOW = 1_000_000.0


@pytest.fixture
def eager(bundles: Path, tmp_path: Path) -> Api:
    """A service that promises arrivals a quarter of all places."""
    return Api(
        settings_for(
            bundles,
            tmp_path / "events.db",
            fresh_share=0.25,
            fresh_half_life_hours=1,
            fresh_half_life_viewers=2,
        )
    )


def arrive(api: Api, *videos: tuple[str, float]) -> None:
    """Put arrivals into the log, each so many hours old, and wait until they are there."""
    events = []
    for seed, (name, hours) in enumerate(videos):
        rng = np.random.default_rng(seed)
        drawn = {m: rng.normal(size=w).astype("<f4").tobytes() for m, w in WIDTHS.items()}
        moment = NOW - HOUR * hours
        events.append(VideoUpserted(video_id=name, features=drawn, metadata={}, recorded_at=moment))
    position = api.append(*events)
    assert api.get(f"/v1/model?min_position={position}").status_code == 200


def ask(api: Api, user_id: str, query: str) -> list[dict[str, Any]]:
    reply = api.get(f"/v1/users/{segment(user_id)}/recommendations?{query}")
    assert reply.status_code == 200, reply.text
    places: list[dict[str, Any]] = reply.json()["recommendations"]
    return places


def drawn(api: Api, seeds: int, user_id: str = "nobody") -> Counter[str]:
    """Return who got the one place in ten that is asked for, over many seeds."""
    found: Counter[str] = Counter()
    for seed in range(seeds):
        places = ask(api, user_id, f"k=10&explore=0.1&seed={seed}")
        found.update(place["video_id"] for place in places if place["source"] == "fresh")
    return found


@pytest.mark.parametrize("user_id", ["user-00000", "nobody"])
def test_arrivals_get_their_share_spread_over_the_list(api: Api, user_id: str) -> None:
    names = [f"new-{n}" for n in range(30)]
    for n, name in enumerate(names):
        api.put_video(name, n)
    plain = ask(api, user_id, "k=20")
    promised = sum(place["video_id"] in names for place in plain) + 2
    share = promised / 20
    shown = ask(api, user_id, f"k=20&explore={share}&seed=1")
    ids = [place["video_id"] for place in shown]
    assert len(set(ids)) == 20
    arrivals = [at for at, name in enumerate(ids) if name in names]
    assert len(arrivals) == promised
    added = [at for at, place in enumerate(shown) if place["source"] == "fresh"]
    assert added == [5, 15]
    # The others are those of the plain list, in its order, without the last that are no arrivals.
    trained = [place["video_id"] for place in plain if place["video_id"] not in names]
    dropped = trained[len(trained) - 2 :]
    kept = [place for place in plain if place["video_id"] not in dropped]
    assert [place for place in shown if place["source"] != "fresh"] == kept
    assert ask(api, user_id, f"k=20&explore={share}&seed=1") == shown
    assert ask(api, user_id, f"k=20&explore={share}&seed=2") != shown
    assert ask(api, user_id, "k=20&explore=0") == plain
    every = ask(api, user_id, "k=500&explore=1")
    assert len(every) == len(ask(api, user_id, "k=500"))


def test_a_known_user_gets_the_arrivals_that_suit_better(api: Api) -> None:
    for n in range(40):
        api.put_video(f"new-{n}", n)
    scores = {p["video_id"]: p["score"] for p in ask(api, "user-00000", "k=500")}
    arrivals = {name: score for name, score in scores.items() if name.startswith("new")}
    # The places that arrivals have by themselves are left to others.
    best = "".join(f"&exclude={name}" for name in sorted(arrivals, key=arrivals.get)[20:])  # type: ignore[arg-type]
    others = [score for name, score in arrivals.items() if name not in best]
    shown = [
        scores[place["video_id"]]
        for seed in range(40)
        for place in ask(api, "user-00000", f"k=4&explore=1&seed={seed}{best}")
        if place["source"] == "fresh"
    ]
    assert np.mean(shown) > np.mean(others) + 0.5 * np.std(others)


def test_a_broken_share_is_kept_over_many_lists(api: Api) -> None:
    for n in range(5):
        api.put_video(f"new-{n}", n)
    fresh = [
        sum(p["source"] == "fresh" for p in ask(api, "nobody", f"k=3&explore=0.1&seed={seed}"))
        for seed in range(300)
    ]
    assert set(fresh) == {0, 1}
    assert 0.2 < np.mean(fresh) < 0.4


def test_the_chances_of_an_arrival_halve_with_its_age_until_it_has_none(eager: Api) -> None:
    with eager as api:
        api.ready()
        arrive(api, ("ancient", 5.1), ("older", 2), ("old", 1), ("new", 0))
        found = drawn(api, 700)
        assert sum(found.values()) == 700
        assert set(found) == {"older", "old", "new"}
        assert found["new"] / 700 == pytest.approx(4 / 7, abs=0.08)
        assert found["older"] / 700 == pytest.approx(1 / 7, abs=0.06)


def test_age_is_told_by_the_log_and_not_by_the_clock(eager: Api) -> None:
    """Case 32."""
    with eager as api:
        api.ready()
        arrive(api, ("a", 4), ("b", 4))
        assert set(drawn(api, 40)) == {"a", "b"}
        arrive(api, ("c", -2))
        assert set(drawn(api, 40)) == {"c"}


def test_who_was_met_by_many_needs_no_promise(eager: Api) -> None:
    with eager as api:
        api.ready()
        arrive(api, ("known", 0), ("other", 0))
        for user in range(4):
            api.met(f"u{user}", "skip", "known", "known")
        arrive(api, ("third", 0))
        half = drawn(api, 400)
        # Four viewers are two halvings: 1/4 beside 1 and 1.
        assert half["known"] / 400 == pytest.approx(1 / 9, abs=0.07)
        for user in range(4, 11):
            api.met(f"u{user}", "skip", "known")
        arrive(api, ("fourth", 0))
        assert set(drawn(api, 60)) == {"other", "third", "fourth"}
        for user in range(11):
            api.erase(f"u{user}")
        arrive(api, ("fifth", 0))
        assert set(drawn(api, 60)) == {"known", "other", "third", "fourth", "fifth"}


def test_what_may_not_be_shown_is_not_drawn(eager: Api) -> None:
    with eager as api:
        api.ready()
        arrive(api, *((name, 0) for name in ("hidden", "seen", "gone", "fine", "excluded")))
        api.hide("hidden")
        api.delete_video("gone")
        api.watch("nobody-else", "seen")
        arrive(api, ("video-00001", 0), ("last", 0))
        places = ask(api, "nobody-else", "k=8&explore=1&exclude=excluded")
        arrivals = {p["video_id"] for p in places if not p["video_id"].startswith("video")}
        assert arrivals == {"fine", "last"}
        # A trained video that came with other features is no arrival.
        assert "video-00001" not in {p["video_id"] for p in places if p["source"] == "fresh"}
        assert [p["video_id"] for p in api.get("/v1/videos/fresh").json()["recommendations"]] == [
            "last", "excluded", "fine", "seen",
        ]  # fmt: skip


def test_the_service_promises_by_itself_and_counts_arrivals(eager: Api) -> None:
    with eager as api:
        api.ready()
        arrive(api, *((f"new-{n}", 0) for n in range(20)))
        before = api.metric("reco_recommended_arrivals_total")
        names = [place["video_id"] for place in ask(api, "nobody", "k=20")]
        assert sum(name.startswith("new") for name in names) == 5
        assert api.metric("reco_recommended_arrivals_total") == before + 5
        assert all(not p["video_id"].startswith("new") for p in ask(api, "nobody", "k=9&explore=0"))


def test_replicas_explore_alike(eager: Api) -> None:
    """Case 37."""
    with eager as one:
        one.ready()
        for n in range(30):
            one.put_video(f"new-{n}", n)
            one.watch(f"user-{n % 20:05d}", f"new-{n % 7}")
        with Api(one.settings) as two:
            two.ready()
            for user in ("user-00001", "nobody", "user-00007"):
                for query in ("k=20", "k=7&explore=0.3&diversity=0.4", "k=20&explore=1&seed=9"):
                    path = f"/v1/users/{user}/recommendations?{query}"
                    assert one.get(path).content == two.get(path).content
