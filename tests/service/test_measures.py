"""What the metrics of lists, catalog and ingest say is what is the case."""

import shutil
import threading
import time
from pathlib import Path
from typing import Any

from eventlog.position import START, Place, distance
from models.bundle.writer import make_current
from service.measures.catalog import numbers_in
from tests.support.server import Api, eventually, settings_for


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
