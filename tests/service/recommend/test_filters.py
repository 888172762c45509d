"""What a list may hold: filters, exclusions, own uploads, ends. Compared with the plainest loop."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventlog.events import Event, VideoDeleted, VideoHidden, VideoRetold, VideoUpserted, merged
from eventlog.position import START, Position
from models.bundle.metadata import moment_of
from models.bundle.reader import read_bundle, read_current_id
from models.ids import UserId, VideoId
from service.catalog import delta as delta_module
from service.catalog import edit as edit_module
from service.catalog.edit import Edit, Feedback, Fused
from service.catalog.facets import Filter, GrownFacets
from service.catalog.index import VideoRow
from service.catalog.overlay import Overlay
from service.catalog.snapshot import Snapshot
from service.catalog.view import View
from service.recommend.recommender import recommend, recommend_similar
from service.recommend.request import Request, Wanted
from tests.support.bundles import plant, unit, write_small_bundle
from tests.support.server import Api, segment
from training.data.synthetic import make_synthetic

DAY = datetime(2026, 1, 31, tzinfo=UTC)
TAGS, UPLOADERS, LANGUAGES = ("a", "b", "c"), ("user-00001", "u"), ("de", "fr")
MOMENTS = [(DAY + timedelta(days=n)).isoformat() for n in range(3)]
METADATA = st.fixed_dictionaries(
    {},
    optional={
        "tags": st.lists(st.sampled_from(TAGS), max_size=3),
        "uploader": st.sampled_from(UPLOADERS),
        "language": st.sampled_from(LANGUAGES),
        "published_at": st.sampled_from(MOMENTS),
        "expires_at": st.sampled_from(MOMENTS),
    },
)
SETS = st.frozensets(st.sampled_from((*TAGS, "unheard-of")), max_size=2)
BOUNDS = st.none() | st.sampled_from([moment_of(text) for text in MOMENTS])
FILTERS = st.builds(
    Filter,
    tags_any=SETS,
    tags_all=SETS,
    tags_none=SETS,
    uploader=st.none() | st.sampled_from((*UPLOADERS, "unheard-of")),
    language=st.none() | st.sampled_from(LANGUAGES),
    published_after=BOUNDS,
    published_before=BOUNDS,
)
IDS = [*(f"video-{row:05d}" for row in range(0, 60, 4)), "x", "y", "z"]
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "tell", "hide", "delete"]), st.sampled_from(IDS), METADATA),
    max_size=30,
)
NOW = moment_of(MOMENTS[1])


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    rng = np.random.default_rng(5)
    root = tmp_path_factory.mktemp("told")
    planted = plant(rng.normal(size=(20, 4)), rng.normal(size=(60, 4)))
    metadata = [{"tags": [TAGS[row % 3]], "language": LANGUAGES[row % 2]} for row in range(60)]
    told: list[dict[str, Any]] = [*metadata[:-2], {"expires_at": MOMENTS[0]}, {}]
    dataset = replace(make_synthetic(videos=60, users=20, seed=0), metadata=told)
    write_small_bundle(root, planted=planted, dataset=dataset)
    return Snapshot(read_bundle(root / read_current_id(root)))


class Told:
    """A view, and beside it what the log tells of each live video, in a dictionary."""

    def __init__(self, snapshot: Snapshot, steps: list[tuple[str, str, dict[str, Any]]]) -> None:
        self.view = View(snapshot, Overlay.empty(snapshot, START))
        self.live: dict[str, Mapping[str, Any]] = dict(
            zip(snapshot.bundle.video_ids, snapshot.bundle.metadata, strict=True)
        )
        self.hidden: set[str] = set()
        rng = np.random.default_rng(0)
        for start in range(0, len(steps), 3):
            edit = Edit(snapshot, self.view.overlay, Feedback({}, 9))
            for verb, name, metadata in steps[start : start + 3]:
                vector = unit(rng.normal(size=(1, 4)))[0]
                edit.apply(self._event(verb, name, metadata), Fused(vector, int(rng.integers(9))))
            self.view = View(snapshot, edit.finish(Position(f"{start:016d}")))

    def _event(self, verb: str, name: str, metadata: dict[str, Any]) -> Event:
        match verb:
            case "put":
                self.live[name] = metadata
                return VideoUpserted(video_id=name, features={}, metadata=metadata, recorded_at=0)
            case "tell":
                told = metadata or {"tags": None}
                if name in self.live:
                    self.live[name] = merged(self.live[name], told)
                return VideoRetold(video_id=name, metadata=told, recorded_at=0)
            case "hide":
                if name in self.live:
                    self.hidden.add(name)
                return VideoHidden(video_id=name, recorded_at=0)
            case _:
                self.live.pop(name, None)
                self.hidden.discard(name)
                return VideoDeleted(video_id=name, recorded_at=0)

    def matching(self, wanted: Filter) -> set[str]:
        return {
            name
            for name, told in self.live.items()
            if name not in self.hidden and _fits(told, wanted)
        }


def _fits(told: Mapping[str, Any], wanted: Filter) -> bool:
    tags, published = set(told.get("tags", [])), moment_of(told.get("published_at"))
    return (
        (not wanted.tags_any or bool(tags & wanted.tags_any))
        and wanted.tags_all <= tags
        and not tags & wanted.tags_none
        and wanted.uploader in {None, told.get("uploader")}
        and wanted.language in {None, told.get("language")}
        and (wanted.published_after is None or published >= wanted.published_after)
        and (wanted.published_before is None or published < wanted.published_before)
        and not moment_of(told.get("expires_at")) <= NOW
    )


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, wanted=FILTERS, tight=st.booleans())
def test_a_list_holds_what_matches_and_nothing_else_whatever_the_log_told(
    snapshot: Snapshot,
    steps: list[tuple[str, str, dict[str, Any]]],
    wanted: Filter,
    tight: bool,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if tight:  # everything is copied all the time
            patch.setattr(delta_module, "DEAD_ROWS_KEPT", 0)
            patch.setattr(edit_module, "RETOLD_KEPT", 0)
        story = Told(snapshot, steps)
    expected = story.matching(wanted)
    seen = {story.view.video_id(row) for row in story.view.seen(UserId("user-00001"))}
    for user_id in (UserId("user-00001"), None):
        request = Request(now=NOW, k=500, matching=wanted, user_id=user_id)
        found = [item.video_id for item in recommend(story.view, request)]
        assert len(found) == len(set(found))
        assert set(found) == (expected - seen if user_id else expected)
    own = Request(now=NOW, k=500, matching=wanted, user_id=UserId("user-00001"), exclude_own=True)
    mine = {name for name, told in story.live.items() if told.get("uploader") == "user-00001"}
    assert {item.video_id for item in recommend(story.view, own)} == expected - seen - mine
    if "x" in story.live:
        like_x = recommend_similar(
            story.view, VideoId("x"), Wanted(now=NOW, k=500, matching=wanted)
        )
        assert {item.video_id for item in like_x} == expected - {"x"}


def test_three_of_very_many_are_found_and_nothing_else(snapshot: Snapshot) -> None:
    facets = GrownFacets(
        {"tags": ["rare"] if row % 40_000 == 7 else ["b"]} for row in range(100_000)
    )
    mask = facets.matching(Filter(tags_all=frozenset({"rare"})), facets.count)
    assert np.flatnonzero(mask).tolist() == [7, 40_007, 80_007]


def test_rows_behind_the_count_are_never_seen(snapshot: Snapshot) -> None:
    facets = GrownFacets([{"tags": ["a"], "uploader": "u"}] * 300)
    assert facets.matching(Filter(tags_any=frozenset({"a"})), 10).sum() == 10
    facets.cut(5)
    facets.append({"tags": ["b"]})
    assert np.flatnonzero(facets.matching(Filter(tags_any=frozenset({"a"})), 6)).tolist() == [
        *range(5)
    ]


def test_an_expired_video_is_in_no_list_and_is_there_until_then(snapshot: Snapshot) -> None:
    """Case 20."""
    view = Told(snapshot, [("tell", "video-00000", {"expires_at": MOMENTS[1]})]).view
    row = VideoRow(0)
    assert not view.bar(NOW - 1).mask()[row]
    assert view.bar(NOW).mask()[row]
    # What one moment has been answered says nothing of an earlier one, or of a later one.
    assert not view.bar(NOW - 1).mask()[row]
    assert view.bar(NOW + 1).mask()[row]


# Over HTTP.


def ids(response: Any) -> list[str]:
    assert response.status_code == 200, response.text
    return [place["video_id"] for place in response.json()["recommendations"]]


LISTS = (
    "/v1/users/user-00000/recommendations",
    "/v1/users/nobody/recommendations",
    "/v1/videos/video-00009/similar",
    "/v1/videos/trending",
    "/v1/videos/fresh",
)


@pytest.mark.parametrize("path", LISTS)
def test_every_list_takes_the_same_filters(api: Api, path: str) -> None:
    for name, tags, language in (("p", ["a", "b"], "de"), ("q", ["a"], "fr"), ("r", ["b"], "de")):
        told = {"tags": tags, "language": language, "published_at": "2126-01-31T12:00:00Z"}
        api.put_video(name, metadata={**told, "uploader": f"of-{name}"})
    for query, expected in (
        ("tags_any=a&tags_any=b", {"p", "q", "r"}),
        ("tags_all=a&tags_all=b", {"p"}),
        ("tags_any=a&tags_none=b", {"q"}),
        ("language=de", {"p", "r"}),
        ("uploader=of-q", {"q"}),
        ("published_after=2126-01-31T12:00:00Z", {"p", "q", "r"}),
        ("published_after=2126-01-31T12:00:01Z", set()),
        ("published_before=1926-01-31T12:00:00Z", set()),
        ("tags_any=a&exclude=p", {"q"}),
        ("tags_any=A", set()),
        ("tags_any=*", set()),
    ):
        assert set(ids(api.get(f"{path}?k=500&{query}"))) == expected, query


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "query",
    [
        "tags_any=",
        "language=" + "x" * 36,
        "published_after=yesterday",
        "published_after=2026-01-31",
        "language=a&language=b",
        "&".join(f"tags_any={n}" for n in range(21)),
        "exclude=",
    ],
)
def test_a_bad_filter_is_refused_by_name(still: Api, path: str, query: str) -> None:
    response = still.get(f"{path}?{query}")
    assert response.status_code == 422
    assert f"query.{query.partition('=')[0]}" in response.json()["detail"]


ODD = ["*", "a*", "[ab]", "a|b", '"', "'; --", "{}", "{a,b}", "%", "a\\", "a,b", "(@x:{y})", "ä"]


def test_what_means_something_elsewhere_is_text_here(api: Api) -> None:
    """Case 13."""
    for number, text in enumerate(ODD):
        told = {"tags": [text], "uploader": text, "language": text}
        api.put_video(f"odd-{number}", metadata=told)
    for number, text in enumerate(ODD):
        for name in ("tags_any", "tags_all", "uploader", "language"):
            reply = api.get(f"/v1/videos?{name}={segment(text)}").json()
            assert [video["video_id"] for video in reply["videos"]] == [f"odd-{number}"], text


def test_what_somebody_uploaded_is_left_out_when_asked(api: Api) -> None:
    """Case 26."""
    api.put_video("mine", metadata={"uploader": "user-00000"})
    path = "/v1/users/user-00000/recommendations?k=500"
    assert "mine" in ids(api.get(path))
    assert "mine" not in ids(api.get(f"{path}&exclude_uploader=self"))
    assert api.get(f"{path}&exclude_uploader=other").status_code == 422


def test_similar_videos_leave_out_what_a_user_has_seen(api: Api) -> None:
    path = "/v1/videos/video-00009/similar?k=500"
    api.watch("nobody", "video-00003")
    assert "video-00003" in ids(api.get(path))
    assert "video-00003" not in ids(api.get(f"{path}&user_id=nobody"))
