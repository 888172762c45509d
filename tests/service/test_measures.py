"""What the metrics of lists, catalog and ingest say is what is the case."""

import contextlib
import json
import shutil
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from eventlog.position import START, Place, distance
from models.bundle.writer import make_current
from models.ids import UserId, VideoId
from service.catalog.index import Floats, Index, Rows
from service.measures.catalog import numbers_in
from service.measures.lists import WINDOW_SECONDS, Shown
from service.recommend.inspecting import inspect
from service.recommend.recommender import recommend
from service.recommend.request import Request
from tests.support.redis import RedisServer
from tests.support.server import Api, eventually, features, settings_for


def test_the_distance_of_two_positions_is_the_events_between_them() -> None:
    third, seventh = Place("a" * 16, 3).position, Place("a" * 16, 7).position
    other = Place("b" * 16, 5).position
    assert distance(third, seventh) == 4
    assert distance(seventh, third) == 0
    assert distance(START, seventh) == 7
    assert distance(START, START) == 0
    assert distance(third, other) == 5


def test_a_deleted_or_replaced_video_is_a_tombstone(api: Api) -> None:
    assert api.metric("reco_index_tombstones") == 0
    api.put_video("new")
    api.delete_video("video-00000")
    api.put_video("new", seed=2)
    assert api.metric("reco_index_tombstones") == 2
    assert api.metric("reco_index_videos") == 60
    assert api.metric("reco_index_arrivals") == 2


def test_a_bundle_is_told_with_its_age_and_what_training_measured(
    api: Api, bundles: Path, newer: Path
) -> None:
    model = api.model()
    assert api.metric("reco_index_generation") == 1
    age = time.time() - api.metric("reco_bundle_created_timestamp_seconds")
    assert 0 <= time.time() - api.metric("reco_bundle_loaded_timestamp_seconds") < age < 3600
    for group in ("overall", "warm"):
        told = api.metric("reco_bundle_offline_metric", group=group, metric="recall@20")
        assert told == model["metrics"][group]["recall@20"]
    assert api.metric("reco_bundle_index_recall") == model["index"]["recall_at_20"]
    shutil.copytree(newer, bundles / newer.name)
    make_current(bundles, newer.name)
    eventually(lambda: api.metric("reco_index_generation") == 2)
    assert api.metric("reco_bundle_info", bundle_id=newer.name) == 1


def test_only_numbers_of_the_offline_metrics_are_told() -> None:
    metrics: dict[str, Any] = {"warm": {"recall@20": 0.5, "note": "x"}, "coverage@20": 0.25}
    assert numbers_in(metrics) == [("warm", "recall@20", 0.5), ("overall", "coverage@20", 0.25)]


def test_a_follower_that_stands_still_is_seen_to_lag(bundles: Path, tmp_path: Path) -> None:
    settings = settings_for(bundles, tmp_path / "log.db", write_visible_wait_seconds=0.0)
    go_on = threading.Event()
    with Api(settings) as api:
        api.ready()
        api.services.follower._publisher.submit(go_on.wait)
        try:
            api.watch("ann", "video-00001", "video-00002", "video-00003")
            eventually(lambda: api.metric("reco_follower_lag_entries") == 3)
            eventually(lambda: api.metric("reco_follower_lag_seconds") > 1)
        finally:
            go_on.set()
        eventually(lambda: api.metric("reco_follower_lag_entries") == 0)
        eventually(lambda: api.metric("reco_follower_lag_seconds") == 0)
        assert api.metric("reco_applied_events_sum") == 3


def test_a_bundle_that_cannot_be_used_degrades_answers(
    trained: Path, bundles: Path, tmp_path: Path
) -> None:
    with Api(settings_for(bundles, tmp_path / "log.db")) as api:
        api.ready()
        assert api.metric("reco_degraded", fault="bundle") == 0
        (bundles / "CURRENT").write_text("no-such-bundle\n")
        eventually(lambda: api.metric("reco_degraded", fault="bundle") == 1)
        assert api.metric("reco_degraded", fault="event log") == 0
        (bundles / "CURRENT").write_text((trained / "CURRENT").read_text())
        eventually(lambda: api.metric("reco_degraded", fault="bundle") == 0)


def test_lists_are_counted_by_what_they_stand_on_and_by_their_length(api: Api) -> None:
    def lists(basis: str, length: str) -> float:
        return api.metric("reco_lists_total", basis=basis, length=length)

    api.recommend("user-00000", 5)
    api.recommend("user-00000", 500)
    api.watch("newcomer", "video-00001")
    api.recommend("newcomer", 5)
    api.recommend("nobody", 5)
    api.similar("video-00002", 5)
    api.get("/v1/videos/trending?k=5")
    api.get("/v1/videos/fresh?k=5")
    assert lists("personal", "full") == lists("personal", "short") == 1
    assert lists("fold_in", "full") == lists("fallback", "full") == 1
    assert lists("similar", "full") == lists("trending", "full") == 1
    assert lists("fresh", "empty") == 1
    told = api.get("/v1/users/user-00000/recommendations?tags_any=no-such-tag").json()
    assert told["recommendations"] == []
    assert lists("fallback", "empty") == 1


def test_different_videos_are_counted_once_each(api: Api) -> None:
    shown = {place["video_id"] for _ in range(3) for place in api.recommend("user-00000", 20)}
    shown |= {place["video_id"] for place in api.recommend("nobody", 20)}
    assert api.metric("reco_recommended_videos") == len(shown)


@pytest.mark.parametrize("number", [0, 10, 1000, 300_000])
def test_the_number_of_different_videos_is_estimated_within_a_percent(number: int) -> None:
    shown = Shown(lambda: 0.0)
    shown.mark([f"video-{n}" for n in range(number)])
    shown.mark([f"video-{n}" for n in range(0, number, 7)])
    assert shown.estimate() == pytest.approx(number, rel=0.01, abs=1)


def test_a_window_that_is_over_counts_no_more() -> None:
    now = [0.0]
    shown = Shown(lambda: now[0])
    shown.mark(["a", "b"])
    assert shown.estimate() == 2
    now[0] = WINDOW_SECONDS
    assert shown.estimate() == 2
    shown.mark(["c"])
    assert shown.estimate() == 2
    now[0] = 2 * WINDOW_SECONDS
    assert shown.estimate() == 1


def test_an_inspection_tells_why_each_better_video_is_not_in_the_list(api: Api) -> None:
    user, now = UserId("user-00003"), time.time()
    view = api.services.catalog.view
    best = [one.video_id for one in recommend(view, Request(now=now, k=8, user_id=user))]
    api.delete_video(best[0])
    api.hide(best[1])
    api.request(
        "PATCH", f"/v1/videos/{best[2]}", json={"metadata": {"expires_at": "2020-01-01T00:00:00Z"}}
    )
    api.watch(user, best[3])
    view = api.services.catalog.view
    request = Request(now=now, k=4, user_id=user, exclude=frozenset([VideoId(best[4])]))
    compared = inspect(view, request).compared
    assert compared is not None
    assert compared.expected == compared.found == 4
    for reason in ("gone", "hidden", "expired", "excluded"):
        assert compared.filtered[reason] == 1
    assert compared.filtered["seen"] >= 1
    assert "mismatch" not in compared.filtered


class Blind:
    """An index that never finds the two best videos."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.refine, self.scanned = index.refine, index.scanned
        self.cells_of, self.probed_cells = index.cells_of, index.probed_cells

    def retrieve(self, vector: Floats, k: int, *, effort: int = 1) -> tuple[Rows, Floats]:
        rows, scores = self._index.retrieve(vector, k + 2, effort=effort)
        return rows[2:], scores[2:]


def test_a_video_that_the_index_misses_lowers_the_live_recall(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So small a catalog would not be asked of the index at all.
    monkeypatch.setattr("service.catalog.retrieval.FEW_ROWS", 0)
    view = api.services.catalog.view
    # The nearest is the one met, which is not to be shown; the next one is.
    met = ((VideoId("video-00001"), 1.0),)
    request = Request(now=time.time(), k=10, session=met)
    whole = inspect(view, request).compared
    monkeypatch.setattr(view.snapshot, "index", Blind(view.snapshot.index))
    blind = inspect(view, request).compared
    assert whole is not None
    assert blind is not None
    assert (whole.expected, whole.found) == (10, 10)
    assert (blind.expected, blind.found) == (10, 9)
    assert whole.top_score == blind.top_score


def test_users_lists_are_inspected_beside_the_serving(bundles: Path, tmp_path: Path) -> None:
    with Api(settings_for(bundles, tmp_path / "log.db", inspected_share=1.0)) as api:
        api.ready().recommend("user-00000", 7)
        eventually(lambda: api.metric("reco_inspections_total", outcome="done") == 1)
        assert api.metric("reco_inspected_places_total") == 7
        assert api.metric("reco_inspected_places_right_total") == 7
        assert api.metric("reco_top_score_count") == 1
        for step in ("represent", "filter", "retrieve", "rank"):
            assert api.metric("reco_list_step_seconds_count", step=step) == 1
        eventually(
            lambda: (
                api.recommend("nobody") and api.metric("reco_inspections_total", outcome="done") > 1
            )
        )
        assert api.metric("reco_top_score_count") == 1, "nobody has no vector to compare by"
        assert api.metric("reco_inspections_total", outcome="failed") == 0


def test_no_list_is_inspected_where_that_is_off(bundles: Path, tmp_path: Path) -> None:
    with Api(settings_for(bundles, tmp_path / "log.db", inspected_share=0.0)) as api:
        api.ready()
        for _ in range(50):
            api.recommend("user-00000", 7)
        assert api.metric("reco_inspections_total", outcome="done") == 0


def test_what_is_received_is_accepted_or_rejected(api: Api) -> None:
    def told(name: str, kind: str, **more: str) -> float:
        return api.metric(f"reco_ingest_{name}", kind=kind, **more)

    api.put_video("a")
    api.put_video("b", features={"visual": [1.0]})
    api.put_raw("/v1/videos/c", "no JSON")
    good, bad = {"features": features(1)}, {"features": {"visual": [1.0]}}
    batch = [{"video_id": "d", **good}, {"video_id": "e", **bad}, {"video_id": "f", **good}]
    api.request("POST", "/v1/videos:batch", json={"videos": batch})
    api.request("POST", "/v1/videos:batch", json={"videos": "none"})
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in batch)
    said = {"content-type": "application/x-ndjson"}
    api.request("POST", "/v1/videos:import", content=lines, headers=said)
    api.request("POST", "/v1/videos:import", content=b"x" * (3 << 20), headers=said)
    api.watch("ann", "a", "d")
    api.request("POST", "/v1/interactions", json={"interactions": []})
    api.get("/v1/videos?cursor=none")
    assert told("accepted_total", "video") == 5
    assert told("rejected_total", "video", reason="invalid") == 6
    assert told("received_total", "video") == 11
    assert told("accepted_total", "interaction") == 2
    assert told("rejected_total", "interaction", reason="invalid") == 1
    assert told("received_total", "interaction") == 3
    assert told("batch_size_count", "video") == 3
    assert told("batch_size_sum", "video") == 5


def test_why_the_log_took_nothing_is_told(api: Api, tmp_path: Path) -> None:
    key = {"Idempotency-Key": "once"}
    met = [{"user_id": "ann", "video_id": name, "kind": "view"} for name in ("a", "b")]
    for interactions in (met, met, met[:1]):
        body = {"interactions": interactions}
        api.request("POST", "/v1/interactions", json=body, headers=key)
    rejected = "reco_ingest_rejected_total"
    assert api.metric("reco_ingest_accepted_total", kind="interaction") == 4
    assert api.metric(rejected, kind="interaction", reason="key reused") == 1
    with contextlib.closing(sqlite3.connect(tmp_path / "events.db")) as other:
        other.execute("ALTER TABLE events RENAME TO away")
        other.commit()
        assert api.watch("ann", "a", "b", "c").status_code == 503
    assert api.metric(rejected, kind="interaction", reason="log away") == 3


@pytest.mark.e2e
def test_a_redis_without_memory_is_told_of_as_a_log_that_is_full(
    bundles: Path, tmp_path: Path
) -> None:
    with RedisServer(tmp_path / "redis", "--maxmemory-policy", "noeviction") as redis:
        redis.start()
        settings = settings_for(bundles, tmp_path / "unused.db")
        with Api(settings.model_copy(update={"event_log": redis.url})) as api:
            api.ready()
            redis.ask("CONFIG", "SET", "maxmemory", 1)
            assert api.watch("ann", "a", "b").status_code == 503
            rejected = "reco_ingest_rejected_total"
            assert api.metric(rejected, kind="interaction", reason="log full") == 2
            assert api.metric(rejected, kind="interaction", reason="log away") == 0
