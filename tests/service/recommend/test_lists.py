"""Lists for everybody: trending, fresh, all videos page by page; and what is known of users."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.events import KINDS, Kind
from models.ids import UserId, VideoId
from service.catalog import trends as trends_module
from service.catalog.trends import Trends
from tests.support.server import Api, segment, settings_for

WEIGHTS: dict[Kind, float] = {"view": 1, "like": 2, "dislike": -2}
MET = st.tuples(
    st.sampled_from("uvw"),
    st.sampled_from("abc"),
    st.sampled_from(KINDS),
    st.floats(0, 2000),
    st.booleans(),
)


def places(response: Any) -> list[tuple[str, str]]:
    assert response.status_code == 200, response.text
    return [(p["video_id"], p["source"]) for p in response.json()["recommendations"]]


def told(trends: Trends, met: list[tuple[str, str, Kind, float, bool]]) -> Trends:
    for user, video, kind, moment, erased in met:
        trends = trends.grown(UserId(user), VideoId(video), kind, moment)
        if erased:
            trends = trends.without(UserId(user))
    return trends


@settings(max_examples=200, deadline=None)
@given(met=st.lists(MET, max_size=40))
def test_trends_are_the_last_of_each_user_and_video_decayed(
    met: list[tuple[str, str, Kind, float, bool]],
) -> None:
    """Case 32."""
    now, window = 1500.0, 1000.0
    kept: dict[int, tuple[str, str, Kind, float]] = {}
    for place, (user, video, kind, moment, erased) in enumerate(met):
        kept[place] = (user, video, kind, moment)
        if erased:
            kept = {p: one for p, one in kept.items() if one[0] != user}
    last = {
        (user, video): (kind, max(0.0, now - moment))
        for user, video, kind, moment in kept.values()
        if kind in WEIGHTS and now - moment < window
    }
    sums: dict[str, float] = defaultdict(float)
    for (_, video), (kind, age) in last.items():
        sums[video] += WEIGHTS[kind] * 2 ** (-age / 250)
    found = told(Trends.empty(), met).scores(now, window, WEIGHTS)
    expected = {video: score for video, score in sums.items() if score > 1e-9}
    assert {v: s for v, s in found.items() if s > 1e-9} == pytest.approx(expected)


def test_only_the_newest_interactions_are_looked_at_and_old_trends_stay_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trends_module, "KEPT", 300)
    rng = np.random.default_rng(0)
    met: list[tuple[str, str, Kind, float, bool]] = [
        (str(user), f"v{video}", "view", float(n), False)
        for n, (user, video) in enumerate(rng.integers(0, 50, (2000, 2)))
    ]
    half = told(Trends.empty(), met[:1000])
    before = half.scores(1000, 1e9, WEIGHTS)
    whole = told(half, met[1000:])
    assert half.scores(1000, 1e9, WEIGHTS) == before
    assert len(whole.times) < 1000
    newest = told(Trends.empty(), met[-300:])
    assert whole.scores(2000, 1e9, WEIGHTS) == newest.scores(2000, 1e9, WEIGHTS)
    gone = whole.without(UserId("7"))
    assert whole.scores(2000, 1e9, WEIGHTS) == newest.scores(2000, 1e9, WEIGHTS)
    others = told(Trends.empty(), [one for one in met[-300:] if one[0] != "7"])
    assert gone.scores(2000, 1e9, WEIGHTS) == others.scores(2000, 1e9, WEIGHTS)


def test_what_many_met_is_trending_then_comes_what_is_popular(api: Api) -> None:
    """Cases 17 and 23."""
    for user in range(5):
        api.watch(f"u{user}", "video-00050")
    for user in range(2):
        api.met(f"u{user}", "like", "video-00051")
    api.met("u9", "dislike", "video-00052")
    found = places(api.get("/v1/videos/trending?k=500"))
    assert found[:2] == [("video-00050", "trending"), ("video-00051", "trending")]
    assert {source for _, source in found[2:]} <= {"popular", "fresh"}
    assert len({video for video, _ in found}) == len(found) == 60
    liked = places(api.get("/v1/videos/trending?kind=like&window=hour"))
    assert liked[0] == ("video-00051", "trending")
    assert ("video-00050", "trending") not in liked
    mine = dict(places(api.get("/v1/videos/trending?user_id=u0&k=500")))
    assert not {"video-00050", "video-00051"} & set(mine)
    api.hide("video-00050")
    assert places(api.get("/v1/videos/trending"))[0] == ("video-00051", "trending")
    for user in range(2):
        api.erase(f"u{user}")
    assert ("video-00051", "trending") not in places(api.get("/v1/videos/trending"))


def test_a_video_met_twice_by_one_user_counts_once(api: Api) -> None:
    api.watch("a", *["video-00050"] * 9)
    first = api.get("/v1/videos/trending?k=1").json()["recommendations"][0]
    assert 0.9 < first["score"] <= 1


@pytest.mark.parametrize("query", ["window=year", "kind=stare", "kind=", "k=0", "window="])
def test_what_is_no_trend_is_refused(still: Api, query: str) -> None:
    assert still.get(f"/v1/videos/trending?{query}").status_code == 422


def test_fresh_are_arrivals_the_latest_first(api: Api) -> None:
    assert places(api.get("/v1/videos/fresh")) == []
    for name in ("old", "older-by-name", "new"):
        api.put_video(name, metadata={"tags": [name[:3]]})
    order = [("new", "fresh"), ("older-by-name", "fresh"), ("old", "fresh")]
    assert places(api.get("/v1/videos/fresh")) == order
    api.put_video("old", 7)  # a replacement does not make it younger
    api.watch("nobody", "new")
    assert places(api.get("/v1/videos/fresh")) == order
    assert places(api.get("/v1/videos/fresh?user_id=nobody&k=1")) == order[1:2]
    assert places(api.get("/v1/videos/fresh?tags_any=new")) == order[:1]


@pytest.mark.parametrize("name", ["trending", "fresh"])
def test_a_video_by_the_name_of_a_list_is_reached(api: Api, name: str) -> None:
    encoded = f"/v1/videos/%{ord(name[0]):02x}{name[1:]}"
    assert api.put_video(name).status_code == 201
    assert api.get(encoded).json()["video_id"] == name
    assert "video_id" not in api.get(f"/v1/videos/{name}").json()
    assert api.hide(name).status_code == 200
    assert api.get(encoded).json()["state"] == "hidden"
    assert api.similar(name)
    assert api.delete_video(name).status_code == 200
    assert api.get(encoded).status_code == 404


def listed(api: Api, query: str = "") -> list[str]:
    """Return the ids of all pages."""
    found: list[str] = []
    cursor = ""
    while True:
        page = api.get(f"/v1/videos?k=7{query}{cursor}").json()
        found += [video["video_id"] for video in page["videos"]]
        assert len(page["videos"]) <= 7
        if page["next_cursor"] is None:
            return found
        assert len(page["videos"]) == 7
        cursor = f"&cursor={page['next_cursor']}"


def test_all_videos_are_listed_once_in_the_order_of_their_ids(api: Api) -> None:
    everything = {f"video-{row:05d}" for row in range(60)}
    assert listed(api) == sorted(everything)
    for name in ("a", "video-00007x", "\U0001f600", "z/ä"):
        api.put_video(name, metadata={"tags": ["new"]})
    api.put_video("video-00010", 3, metadata={"tags": ["new"]})
    api.delete_video("video-00020")
    api.hide("video-00030")
    everything |= {"a", "video-00007x", "\U0001f600", "z/ä"}
    assert listed(api) == sorted(everything - {"video-00020"})
    assert listed(api, "&tags_any=new") == sorted(
        ["a", "video-00007x", "video-00010", "z/ä", "\U0001f600"]
    )
    page = api.get("/v1/videos?k=500").json()["videos"]
    assert {v["video_id"] for v in page if v["state"] == "hidden"} == {"video-00030"}


def test_a_page_neither_repeats_nor_skips_while_videos_come_and_go(api: Api) -> None:
    first = api.get("/v1/videos?k=30").json()
    api.put_video("aaa")
    api.put_video("video-00029x")
    api.delete_video("video-00029")  # the one that the cursor names
    after = api.get(f"/v1/videos?k=500&cursor={first['next_cursor']}").json()
    ids = [video["video_id"] for video in after["videos"]]
    assert ids == ["video-00029x", *(f"video-{row:05d}" for row in range(30, 60))]


@pytest.mark.parametrize("cursor", ["x", "", "AAAA", "====", "%00", "é"])
def test_a_cursor_that_was_not_handed_out_is_refused(still: Api, cursor: str) -> None:
    response = still.get(f"/v1/videos?cursor={cursor}")
    assert response.status_code == 422
    assert "query.cursor" in response.json()["detail"]
    good = still.get("/v1/videos?k=3").json()["next_cursor"]
    changed = ("A" if good[-1] != "A" else "B").join([good[:-1], ""])
    assert still.get(f"/v1/videos?cursor={changed}").status_code == 422


def test_a_user_is_told_in_numbers_and_exported_whole(api: Api) -> None:
    nobody = api.get("/v1/users/nobody").json()
    assert (nobody["known"], nobody["seen"], nobody["recorded_interactions"]) == (False, 0, 0)
    before = api.get("/v1/users/user-00003").json()
    assert before["known"]
    unseen = api.recommend("user-00003", 1)[0]["video_id"]
    api.met("user-00003", "like", unseen, "not-there-yet")
    after = api.get("/v1/users/user-00003").json()
    assert after["recorded_interactions"] == 2
    assert after["seen"] == before["seen"] + 1
    assert [entry["video_id"] for entry in after["recent"]] == ["not-there-yet", unseen]
    assert (nobody["recent"], before["recent"]) == ([], [])
    export = api.get("/v1/users/user-00003/export").json()
    assert len(export["seen_in_training"]) == before["seen"]
    assert export["history"] == [
        {"video_id": unseen, "place": 0, "weight": 2.0},
        {"video_id": "not-there-yet", "place": 1, "weight": 2.0},
    ]
    assert len(export["vector"]) == api.model()["vector_dim"]
    api.erase("user-00003")
    assert not api.get("/v1/users/user-00003").json()["known"]
    gone = api.get("/v1/users/user-00003/export").json()
    assert (gone["vector"], gone["seen_in_training"], gone["history"]) == (None, [], [])


def test_replicas_at_one_position_give_the_same_lists(bundles: Path, tmp_path: Path) -> None:
    """Case 37."""
    settings = settings_for(bundles, tmp_path / "events.db")
    with Api(settings) as one:
        one.ready()
        for n in range(40):
            one.put_video(f"new-{n % 9}", n, metadata={"tags": [str(n % 3)]})
            one.watch(f"user-{n % 20:05d}", f"new-{n % 7}", f"video-{n:05d}")
        with Api(settings) as two:
            two.ready()
            for path in (
                "/v1/videos/fresh?k=500",
                "/v1/videos?k=500",
                "/v1/videos?tags_any=1",
                "/v1/users/nobody/recommendations?k=500&tags_none=1",
                f"/v1/videos/{segment('new-1')}/similar?tags_any=2",
                "/v1/users/user-00001/export",
            ):
                assert one.get(path).content == two.get(path).content
            same = [places(api.get("/v1/videos/trending?window=week")) for api in (one, two)]
            assert same[0] == same[1]
