"""What the service does when its event log is damaged, locked or away."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from eventlog.errors import EventLogUnavailable
from tests.support.server import Api, eventually, features, segment, settings_for

VISUAL = np.ones(64, "<f4").tobytes()
GOOD = {
    "type": "video_upserted",
    "video_id": "x",
    "features": {"visual": VISUAL},
    "metadata": {},
    "recorded_at": 1.0,
}
BAD = {
    "nothing": b"",
    "no msgpack": b"\xc1\xff",
    "no UTF-8": b"\x83\xa4type\xadvideo_deleted\xa8video_id\xa1\xff\xabrecorded_at\x01",
    "text": "text",
    "a number": 7,
    "cut short": msgspec.msgpack.encode(GOOD)[:-9],
    "of tomorrow": msgspec.msgpack.encode({"type": "video_cut", "video_id": "x"}),
    "half a float": msgspec.msgpack.encode({**GOOD, "features": {"visual": VISUAL[:-1]}}),
    "another width": msgspec.msgpack.encode({**GOOD, "features": {"visual": VISUAL[:-4]}}),
    "not finite": msgspec.msgpack.encode(
        {**GOOD, "features": {"visual": np.full(64, np.nan, "<f4").tobytes()}}
    ),
    "no features": msgspec.msgpack.encode({**GOOD, "features": {}}),
    "unknown modality": msgspec.msgpack.encode({**GOOD, "features": {"smell": VISUAL}}),
}


def write_raw(file: Path, *payloads: object) -> None:
    """Put rows into the log behind the back of the service."""
    with sqlite3.connect(file) as connection:
        rows = [(payload,) for payload in payloads]
        connection.executemany("INSERT INTO events (payload) VALUES (?)", rows)
    connection.close()


@pytest.mark.parametrize("payload", BAD.values(), ids=BAD.keys())
def test_a_bad_entry_is_quarantined_and_counted(api: Api, tmp_path: Path, payload: object) -> None:
    write_raw(tmp_path / "events.db", payload)
    assert api.put_video("after").status_code == 201
    assert api.similar("after", 1)
    assert api.metric("reco_events_quarantined_total") == 1
    assert api.metric("reco_follower_failures_total", loop="event log") == 0
    assert api.model()["videos"] == 61


def test_bad_entries_do_not_stop_a_start(bundles: Path, tmp_path: Path) -> None:
    settings = settings_for(bundles, tmp_path / "events.db")
    with Api(settings) as api:
        api.ready().put_video("before")
    write_raw(tmp_path / "events.db", *BAD.values())
    with Api(settings) as api:
        api.ready().put_video("after")
        assert api.model()["videos"] == 62
        assert api.metric("reco_events_quarantined_total") == len(BAD)


def test_an_unreadable_log_stops_the_start_by_name(bundles: Path, tmp_path: Path) -> None:
    (tmp_path / "events.db").write_bytes(b"no database" * 1000)
    with (
        pytest.raises(EventLogUnavailable, match=r"events\.db"),
        Api(settings_for(bundles, tmp_path / "events.db")),
    ):
        pass


@pytest.fixture
def locked(api: Api, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process that holds the log's write lock until it rolls back."""
    api.put_video("before")
    connection = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def test_a_write_to_a_locked_log_is_503_and_records_nothing(
    api: Api, locked: sqlite3.Connection
) -> None:
    head = api.head()
    response = api.put_video("refused")
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "1"
    assert api.metric("reco_event_log_errors_total", op="append") == 1
    assert api.head() == head
    assert api.get(f"/v1/videos/{segment('refused')}").status_code == 404
    locked.execute("ROLLBACK")
    assert api.put_video("refused").status_code == 201
    assert api.model()["videos"] == 62


def test_reads_are_quick_while_writes_wait_for_a_lock(api: Api, locked: sqlite3.Connection) -> None:
    writers = [
        threading.Thread(target=api.put_video, args=(f"w{n}",), daemon=True) for n in range(3)
    ]
    for writer in writers:
        writer.start()
    time.sleep(0.1)
    started = time.monotonic()
    for _ in range(10):
        assert api.recommend("user-00000")
    assert time.monotonic() - started < 1.0
    locked.execute("ROLLBACK")
    for writer in writers:
        writer.join()
    assert api.model()["videos"] == 64


def test_a_log_that_cannot_be_read_degrades_answers_until_it_can(api: Api, tmp_path: Path) -> None:
    api.put_video("before")
    with sqlite3.connect(tmp_path / "events.db") as other:
        other.execute("ALTER TABLE events RENAME TO away")
    eventually(lambda: "x-degraded" in api.get("/v1/model").headers)
    assert api.recommend("user-00000")
    assert api.get("/readyz").status_code == 200
    assert api.put_video("lost").status_code == 503
    assert api.metric("reco_event_log_errors_total", op="read") > 0
    with sqlite3.connect(tmp_path / "events.db") as back:
        back.execute("ALTER TABLE away RENAME TO events")
    eventually(lambda: "x-degraded" not in api.get("/v1/model").headers)
    assert api.put_video("again").status_code == 201
    other.close()
    back.close()


def test_a_write_that_does_not_show_in_time_says_so(bundles: Path, tmp_path: Path) -> None:
    settings = settings_for(bundles, tmp_path / "events.db", write_visible_wait_seconds=0.0)
    with Api(settings) as api:
        response = api.ready().put_video("slow", features=features(1))
        assert response.status_code == 201
        assert "not visible" in response.headers.get("x-degraded", "not visible")
        eventually(lambda: api.get("/v1/videos/slow").status_code == 200)
