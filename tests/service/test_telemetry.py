"""What is measured, and what must not be told."""

import io
import json
import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from eventlog.events import VideoUpserted
from service.logs import configure_logging
from service.telemetry import Telemetry
from tests.support.server import Api, eventually, features


def series(api: Api) -> int:
    return sum(len(family.samples) for family in families(api.get("/metrics").text))


def test_every_metric_is_there_before_its_first_event() -> None:
    value = Telemetry().registry.get_sample_value
    for source in ("personal", "similar", "popular", "fresh"):
        assert value("reco_recommendations_total", {"source": source}) == 0
    for op in ("append", "read"):
        assert value("reco_event_log_errors_total", {"op": op}) == 0
    for loop in ("event log", "bundle"):
        assert value("reco_follower_failures_total", {"loop": loop}) == 0
    for name in (
        "reco_bundle_refusals_total",
        "reco_events_quarantined_total",
        "reco_index_videos",
        "reco_ingest_to_visible_seconds_count",
        "reco_fusion_seconds_count",
    ):
        assert value(name) == 0


def test_a_loop_that_is_kept_is_late(api: Api) -> None:
    def lags_above(bound: str) -> float:
        name = "reco_event_loop_lag_seconds"
        return api.metric(f"{name}_count") - api.metric(f"{name}_bucket", le=bound)

    before = lags_above("0.1")
    api.on_loop(lambda: time.sleep(0.4))
    eventually(lambda: lags_above("0.1") > before)


def test_recommendations_are_counted_by_source(api: Api) -> None:
    api.put_video("new")
    lists = [api.recommend("user-00000", 7), api.recommend("nobody", 500), api.similar("new", 3)]
    for source in ("personal", "popular", "fresh", "similar"):
        shown = sum(place["source"] == source for places in lists for place in places)
        assert shown > 0
        assert api.metric("reco_recommendations_total", source=source) == shown


def test_the_catalog_and_the_bundle_are_told(api: Api) -> None:
    assert api.metric("reco_index_videos") == 60
    assert api.metric("reco_bundle_info", bundle_id=api.model()["bundle_id"]) == 1
    api.put_video("new")
    api.delete_video("video-00000")
    api.delete_video("video-00001")
    assert api.metric("reco_index_videos") == 59


def test_each_video_is_timed_from_its_arrival_to_its_showing(api: Api) -> None:
    for seed in range(5):
        api.put_video(f"new-{seed}", seed)
    api.delete_video("new-0")
    assert api.metric("reco_ingest_to_visible_seconds_count") == 5
    assert 0 < api.metric("reco_ingest_to_visible_seconds_sum") < 10
    assert api.metric("reco_fusion_seconds_count") >= 1


def test_a_writer_whose_clock_is_ahead_makes_no_negative_time(api: Api) -> None:
    event = VideoUpserted(
        video_id="early", features={"visual": b"\x00\x00\x80?" * 64}, metadata={}, recorded_at=4e9
    )
    api.append(event)
    eventually(lambda: api.metric("reco_ingest_to_visible_seconds_count") == 1)
    assert api.metric("reco_ingest_to_visible_seconds_sum") == 0


def test_requests_are_counted_by_route_never_by_id(api: Api) -> None:
    for video in ("a", "b/c", "d"):
        api.put_video(video)
    api.get("/v1/videos/nothing/similar")
    api.get("/v1/videos/a/similar?k=0")
    route = "/v1/videos/{video_id}"
    count = "http_requests_total"
    assert api.metric(count, route=route, method="PUT", code="201") == 3
    for code in ("404", "422"):
        assert api.metric(count, route=f"{route}/similar", method="GET", code=code) == 1
    assert api.metric("http_request_duration_seconds_count", route=route, method="PUT") == 3
    text = api.get("/metrics").text
    assert "b%2Fc" not in text
    assert "nothing" not in text


def test_ten_thousand_unknown_paths_add_no_series(api: Api) -> None:
    api.get("/unknown")
    api.request("BREW", "/unknown")
    series(api)
    before = series(api)
    for number in range(10_000):
        api.get(f"/{number}/wp-login.php")
    for method in ("FROTH", "STEEP", "POUR"):
        api.request(method, "/unknown")
    assert series(api) == before
    unmatched = {"route": "unmatched", "method": "GET", "code": "404"}
    assert api.metric("http_requests_total", **unmatched) == 10_001


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain", "application/json", ";;;", "ÿ"])
def test_metrics_are_readable_by_prometheus(still: Api, accept: str) -> None:
    response = still.get("/metrics", headers={"accept": accept.encode("latin-1")})
    assert response.headers["content-type"].startswith("text/plain")
    assert "reco_index_videos" in {family.name for family in families(response.text)}


def test_metrics_are_readable_as_openmetrics(still: Api) -> None:
    accept = "application/openmetrics-text; version=1.0.0"
    response = still.get("/metrics", headers={"accept": accept})
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    parsed = open_families(response.text)  # type: ignore[no-untyped-call] # it has no types
    assert "reco_bundle" in {family.name for family in parsed}


@pytest.fixture(params=["json", "console"])
def logged(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[io.StringIO]:
    """All that is logged in one of the two shapes, from debug up."""
    text = io.StringIO()
    monkeypatch.setattr("sys.stderr", text)
    handlers, level = logging.root.handlers[:], logging.root.level
    configure_logging(level="debug", style=request.param)
    # The client of these tests logs the paths it asks for; the service has none in it.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    yield text
    logging.getLogger("httpx").setLevel(logging.NOTSET)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


SECRETS = ("secret-user", "secret-video", "secret-title")


def test_the_log_holds_no_ids_and_nothing_that_was_sent(
    logged: io.StringIO, api: Api, tmp_path: Path
) -> None:
    api.put_video("secret-video", metadata={"title": "secret-title"})
    api.watch("secret-user", "secret-video", "video-00001")
    api.recommend("secret-user")
    api.put_raw("/v1/videos/secret-video", '{"features": {"secret-title": [NaN]}}')
    with sqlite3.connect(tmp_path / "events.db") as other:
        other.execute("INSERT INTO events (payload) VALUES ('secret-user')")
        other.commit()
        other.execute("ALTER TABLE events RENAME TO away")
        other.commit()
        eventually(lambda: "event log unavailable" in logged.getvalue())
        other.execute("ALTER TABLE away RENAME TO events")
        other.commit()
    other.close()
    eventually(lambda: "event quarantined" in logged.getvalue())
    assert not [secret for secret in SECRETS if secret in logged.getvalue()]


def test_a_traceback_in_the_log_shows_no_values(logged: io.StringIO) -> None:
    def fail(user_id: str) -> None:
        raise RuntimeError("a fault")

    log = structlog.get_logger()
    try:
        fail("secret-" + "user")
    except RuntimeError:
        log.exception("failed")
        logging.getLogger("library").exception("failed as well")
    assert logged.getvalue().count("RuntimeError: a fault") == 2
    assert "secret-user" not in logged.getvalue()


def test_a_json_log_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    handlers, level = logging.root.handlers[:], logging.root.level
    configure_logging(level="info", style="json")
    log = structlog.get_logger()
    log.info("said", number=7)
    log.debug("unsaid")
    try:
        raise ValueError("two\nlines")  # noqa: TRY301 - what is tested is its traceback
    except ValueError:
        log.exception("failed")
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["said", "failed"]
    assert lines[0]["number"] == 7
    assert "ValueError" in lines[1]["exception"]


def test_features_are_never_echoed(api: Api) -> None:
    given = features(1)
    given["visual"] = [123.4567, *given["visual"]]
    response = api.put_video("v", features=given)
    assert response.status_code == 422
    assert "123.4567" not in response.text
