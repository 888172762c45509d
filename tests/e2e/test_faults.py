"""What is left of the service's promises when it is killed, its disk is full or its clock is off.

Real processes and real files. Where a test needs dozens of them, they are forked from one that has
imported all there is (`tests.support.forks`): a start takes 0.2 seconds instead of 2.
"""

import random
import resource
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventlog.events import Event, VideoDeleted, VideoUpserted, decode, encode
from eventlog.log import Entry
from eventlog.position import START, Place, place_of
from models.bundle.reader import read_bundle, read_current_id
from models.bundle.writer import make_current
from models.ids import UserId, VideoId
from service.catalog.edit import Feedback
from service.catalog.facets import Filter
from service.catalog.overlay import Overlay
from service.catalog.replay import Replay
from service.catalog.snapshot import Snapshot
from service.catalog.view import View
from service.recommend.recommender import recommend, recommend_similar
from service.recommend.request import Request, Wanted
from service.settings import Settings
from service.telemetry import Telemetry
from tests.support.asking import answers, asking, paths
from tests.support.bundles import write_small_bundle
from tests.support.forks import Forked, Nursery
from tests.support.ingest import Ingest, Told, mark, read_all
from tests.support.logs import append, met, put, sqlite_url
from tests.support.poison import EVENTS
from tests.support.redis import free_port
from tests.support.server import features

pytestmark = pytest.mark.e2e

KILLS = 50
SWAPS = 12
# A bundle is loaded in some 20 ms: kills at 0, 5, 10 … ms come before, in the midst and after.
STEP = 0.005
TRAINED = 60
# What is left of a full disk: enough for some events of a batch, not for all of them.
ROOM, BATCH = 40_000, 100
LISTS = [path for path in paths() if "recommendations" in path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one bundle; a test that adds to it copies it."""
    root = tmp_path_factory.mktemp("trained")
    write_small_bundle(root)
    return root


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


def flags(bundles: Path, folder: Path) -> list[str]:
    return ["--bundles", str(bundles), "--event-log", sqlite_url(folder)]


# Killed at any moment


def test_killed_50_times_no_write_is_lost_doubled_or_halved(
    nursery: Nursery, trained: Path, tmp_path: Path
) -> None:
    """Case 40."""
    rng, port = random.Random(7), free_port()
    output = tmp_path / "output"

    def start() -> Forked:
        return nursery.serve(*flags(trained, tmp_path), output=output, port=port)

    with Ingest(f"http://127.0.0.1:{port}", writers=4, seed=7) as ingest:
        for kill in range(KILLS):
            service = start()
            if kill % 5:  # else it may die while it replays
                service.when_ready()
            time.sleep(rng.uniform(0, 0.15))
            service.kill()
        service = start().when_ready()
    entries = read_all(sqlite_url(tmp_path))
    repeated = sum(told.repeated for told in ingest.told)
    assert len(ingest.told) > KILLS
    assert repeated  # writes that were recorded, and the service died before it could say so
    assert_log_is_as_told(ingest.told, entries)
    assert_catalog_is_as_the_log(service.url, entries)
    assert "Traceback" not in service.output


def assert_log_is_as_told(told: list[Told], entries: list[Entry]) -> None:
    marks = [mark(decode(entry.payload)) for entry in entries]
    assert [name for name, count in Counter(marks).items() if count > 1] == []
    positions = [place_of(entry.position).number for entry in entries]
    numbers = dict(zip(marks, positions, strict=True))
    for write, position, *_ in told:
        found = [numbers[name] for name in write.marks if name in numbers]
        if position is None and not found:
            continue  # given up, and never recorded
        assert len(found) == len(write.marks), write.key
        assert found == list(range(found[0], found[0] + len(found))), write.key
        assert position in {None, entries[found[-1] - 1].position}, write.key
    assert set(numbers) <= {name for one in told for name in one.write.marks}


def assert_catalog_is_as_the_log(url: str, entries: list[Entry]) -> None:
    live: dict[str, str] = {}
    gone = set()
    for event in (decode(entry.payload) for entry in entries):
        if isinstance(event, VideoUpserted):
            live[event.video_id] = event.metadata["title"]
        elif isinstance(event, VideoDeleted):
            del live[event.video_id]
            gone.add(event.video_id)
    with asking(url) as http:
        model = http.get("/v1/model").json()
        assert model["videos"] == TRAINED + len(live)
        assert (model["quarantined"], model["position"]) == (0, entries[-1].position)
        for video_id, title in live.items():
            found = http.get(f"/v1/videos/{video_id}").json()
            assert found["metadata"]["title"] == title
        for video_id in gone:
            assert http.get(f"/v1/videos/{video_id}").status_code == 404
        places = http.get("/v1/videos/video-00000/similar?k=500").json()["recommendations"]
        named = [place["video_id"] for place in places]
        assert len(named) == len(set(named)) == min(500, TRAINED + len(live) - 1)
        assert not set(named) & gone


def test_killed_while_it_swaps_bundles_it_answers_from_one_of_them_before_and_after(
    nursery: Nursery, trained: Path, tmp_path: Path
) -> None:
    root, output = Path(shutil.copytree(trained, tmp_path / "bundles")), tmp_path / "output"
    old, new = read_current_id(root), write_small_bundle(root, epochs=2)
    append(sqlite_url(tmp_path), [put("a", features(1)), met("newcomer", "a", "like")])

    def start() -> Forked:
        quick = {"RECO_BUNDLE_POLL_SECONDS": "0.01"}
        return nursery.serve(*flags(root, tmp_path), output=output, env=quick)

    expected = {}
    for bundle_id in (old, new):
        make_current(root, bundle_id)
        service = start().when_ready()
        with asking(service.url) as http:
            expected[bundle_id] = answers(http)
        service.kill()
    assert all(b'"live"' in expected[bundle_id]["/v1/videos/a"] for bundle_id in (old, new))
    assert all(expected[old][path] != expected[new][path] for path in LISTS)
    rng, before = random.Random(3), 0
    for swap in range(SWAPS):
        make_current(root, old)
        service = start().when_ready()
        make_current(root, new)
        deadline = time.monotonic() + swap * STEP
        with asking(service.url) as http:
            while time.monotonic() < deadline:
                path = rng.choice(LISTS)
                assert http.get(path).content in {expected[old][path], expected[new][path]}
            before += http.get("/v1/model").json()["bundle_id"] == old
        service.kill()
        service = start().when_ready()
        with asking(service.url) as http:
            assert answers(http) == expected[new]
        service.kill()
    assert before
    assert "Traceback" not in output.read_text("utf-8")


# A full disk


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="no other process can be limited here")
@pytest.mark.parametrize("ending", ["room again", "a restart"])
def test_on_a_full_disk_writes_are_refused_reads_go_on_and_nothing_is_half_written(
    nursery: Nursery, trained: Path, tmp_path: Path, ending: str
) -> None:
    arguments, output = flags(trained, tmp_path), tmp_path / "output"
    service = nursery.serve(*arguments, output=output).when_ready()
    with asking(service.url) as http:
        kept = [name for name in ("a", "b") if put_batch(http, name).status_code == 200]
        wal = tmp_path / "events.db-wal"
        service.limit_files(wal.stat().st_size + ROOM)
        refused = []
        for name in ("c", "d", "e"):
            response = put_batch(http, name)
            assert response.status_code == 503, response.text
            assert int(response.headers["retry-after"]) >= 1
            assert "events.db" in response.json()["detail"]
            refused.append(name)
            began = time.monotonic()
            assert http.get("/v1/users/user-00000/recommendations").status_code == 200
            assert time.monotonic() - began < 1
        assert http.get("/readyz").status_code == 200
        assert f'errors_total{{op="append"}} {len(refused)}.0' in http.get("/metrics").text
    if ending == "a restart":
        service.kill()
        service = nursery.serve(*arguments, output=output).when_ready()
    else:
        service.limit_files(-1)
    with asking(service.url) as http:
        assert http.get("/v1/model").json()["videos"] == TRAINED + BATCH * len(kept)
        kept += [name for name in ("c", "f") if put_batch(http, name).status_code == 200]
        entries = read_all(sqlite_url(tmp_path))
        found = [decode(entry.payload).metadata["title"] for entry in entries]  # type: ignore[union-attr] # puts
        assert found == [
            f"{name}{place}" for name in ("a", "b", "c", "f") for place in range(BATCH)
        ]
        assert http.get("/v1/model").json()["videos"] == TRAINED + len(found)


def put_batch(http: httpx.Client, name: str) -> httpx.Response:
    """Put as many videos as a batch has, under a key that is the name of the batch."""
    videos = [
        {
            "video_id": f"{name}{place}",
            "features": features(place),
            "metadata": {"title": f"{name}{place}"},
        }
        for place in range(BATCH)
    ]
    body, key = {"videos": videos}, {"idempotency-key": name}
    return http.post("/v1/videos:batch", json=body, headers=key)


# Events that nobody should have written


@pytest.fixture(scope="module")
def snapshot(trained: Path) -> Snapshot:
    return Snapshot(read_bundle(trained / read_current_id(trained)))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=st.lists(EVENTS, max_size=40), at_once=st.integers(1, 9))
def test_no_event_that_can_be_read_fails_and_no_list_suffers(
    snapshot: Snapshot, events: list[Event], at_once: int
) -> None:
    replay = Replay(Telemetry(), Feedback(Settings().kind_weights, history_limit=3))
    view = View(snapshot, Overlay.empty(snapshot, START))
    entries = [
        Entry(Place("0" * 16, number).position, encode(event))
        for number, event in enumerate(events, start=1)
    ]
    for start in range(0, len(entries), at_once):
        view = replay.apply(view, entries[start : start + at_once]).view
    assert all("do not fit" in q.fault or "no whole" in q.fault for q in view.overlay.quarantine)
    tagged = Filter(tags_none=frozenset({"t"}))
    lists = [
        recommend(view, Request(now=0, k=500, user_id=UserId(name), matching=matching))
        for name in ("user-00000", "u", "", "nobody")
        for matching in (Filter(), tagged)
    ]
    lists += [
        recommend_similar(view, video_id, Wanted(now=0, k=500))
        for video_id in [VideoId("video-00001"), *view.overlay.videos]
        if view.row(video_id) is not None
    ]
    for found in lists:
        assert all(np.isfinite(place.score) for place in found)
        assert len({place.video_id for place in found}) == len(found)
