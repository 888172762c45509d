"""A service whose Redis dies, stands still, fills up, forgets or is not there.

Whatever happens to it: recommendations within a second, refusals that say so, and no help needed
once it is over.
"""

import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from eventlog.position import Place, Position, place_of
from models.bundle.reader import read_current_id
from models.bundle.writer import make_current
from tests.support.asking import asking
from tests.support.bundles import write_small_bundle
from tests.support.damage import reseal
from tests.support.logs import append, put
from tests.support.redis import RedisServer
from tests.support.server import Process, eventually, features, serving

pytestmark = pytest.mark.e2e

TRAINED = 60
STREAM = "{reco}:events"


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one bundle, to be copied."""
    root = tmp_path_factory.mktemp("trained")
    write_small_bundle(root)
    return root


@pytest.fixture
def trained(master: Path, tmp_path: Path) -> Path:
    """A folder of the test's own with one bundle."""
    return Path(shutil.copytree(master, tmp_path / "bundles"))


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, which does not run yet."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


class Service:
    """A service behind a Redis, and a client of it."""

    def __init__(self, process: Process, http: httpx.Client) -> None:
        self.process = process
        self.http = http

    def put(self, video_id: str, seed: int = 1, key: str | None = None) -> httpx.Response:
        """PUT a video."""
        headers = {} if key is None else {"idempotency-key": key}
        path, body = f"/v1/videos/{video_id}", {"features": features(seed)}
        return self.http.put(path, json=body, headers=headers)

    def recommended(self) -> httpx.Response:
        """Return a list for a trained user, which was there within a second."""
        began = time.monotonic()
        response = self.http.get("/v1/users/user-00000/recommendations?k=5")
        seconds = time.monotonic() - began
        assert response.status_code == 200, response.text
        assert len(response.json()["recommendations"]) == 5
        assert seconds < 1, f"{seconds:.2f} s"
        return response

    def get_at(self, position: Position) -> httpx.Response:
        """GET what is served from `position` on."""
        return self.http.get("/v1/model", params={"min_position": position})

    def pause(self) -> None:
        """Let it stand still."""
        self.process._child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process._child.send_signal(signal.SIGCONT)

    def refuses(self, video_id: str) -> httpx.Response:
        """PUT a video and be told to come again."""
        response = self.put(video_id)
        assert response.status_code == 503, response.text
        assert int(response.headers["retry-after"]) >= 1
        return response

    def degraded(self) -> str:
        """What answers suffer from, they say."""
        told: str = self.recommended().headers.get("x-degraded", "")
        return told

    def unready(self) -> str:
        """Why it wants no traffic; empty if it does."""
        response = self.http.get("/readyz")
        return "" if response.status_code == 200 else str(response.json()["detail"])

    def videos(self) -> int:
        """How many videos it knows."""
        videos: int = self.http.get("/v1/model").json()["videos"]
        return videos

    def metric(self, line: str) -> float:
        """Return the value behind `line` in what it exports."""
        text = self.http.get("/metrics").text
        found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE)
        assert found, text
        return float(found[1])

    def errors(self, op: str) -> float:
        """How many calls of the log have failed."""
        return self.metric(f'reco_event_log_errors_total{{op="{op}"}}')


@contextmanager
def running(bundles: Path, redis: RedisServer) -> Iterator[Service]:
    quick = {"RECO_BUNDLE_POLL_SECONDS": "0.1"}
    with (
        serving("--bundles", str(bundles), "--event-log", redis.url, env=quick) as process,
        asking(process.url) as http,
    ):
        yield Service(process, http)


@pytest.fixture
def service(trained: Path, redis: RedisServer) -> Iterator[Service]:
    """A service in good health, one video after its bundle."""
    redis.start()
    with running(trained, redis) as service:
        eventually(lambda: not service.unready())
        assert service.put("before").status_code == 201
        yield service
        assert service.metric('reco_follower_failures_total{loop="event log"}') == 0
        assert service.metric('reco_follower_failures_total{loop="bundle"}') == 0
        assert "Traceback" not in service.process.output


def test_a_redis_that_dies_and_comes_back_keeps_every_acknowledged_write(
    service: Service, redis: RedisServer
) -> None:
    """Case 42."""
    redis.kill()
    service.refuses("refused")
    eventually(lambda: "out of date" in service.degraded())
    assert not service.unready()
    assert service.errors("append") == 1
    eventually(lambda: service.errors("read"))
    redis.start()
    eventually(lambda: service.put("refused").status_code == 201)
    eventually(lambda: not service.degraded())
    assert service.videos() == TRAINED + 2
    assert redis.ask("XLEN", STREAM) == 2


def test_a_write_sent_again_to_a_redis_that_stood_still_is_recorded_once(
    service: Service, redis: RedisServer
) -> None:
    redis.signal(signal.SIGSTOP)
    began = time.monotonic()
    response = service.put("late", key="once")
    assert response.status_code == 503
    assert time.monotonic() - began < 3
    assert service.errors("append") == 1
    eventually(lambda: "out of date" in service.degraded())
    redis.signal(signal.SIGCONT)
    eventually(lambda: not service.degraded())
    again = service.put("late", key="once")
    assert again.is_success
    # It may have been recorded by the first request, whose answer never came; never twice.
    assert redis.ask("XLEN", STREAM) == 2
    assert again.json()["position"].endswith("2")
    assert service.videos() == TRAINED + 2


def test_a_read_of_what_it_cannot_have_read_is_refused_in_time_and_says_where_it_is(
    service: Service, redis: RedisServer
) -> None:
    here = service.put("c").json()["position"]
    redis.signal(signal.SIGSTOP)
    ahead = Place(place_of(here).epoch, 3).position
    began = time.monotonic()
    response = service.get_at(ahead)
    assert 1.9 < time.monotonic() - began < 3
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    assert here in response.json()["detail"]
    assert service.get_at(here).status_code == 200
    # Until its question for growth has failed too, beside a reading that has.
    time.sleep(2)
    redis.signal(signal.SIGCONT)
    assert append(redis.url, [put("d", features(2))]) == ahead
    eventually(lambda: service.get_at(ahead).status_code == 200)
    assert service.videos() == TRAINED + 3


def test_a_full_redis_refuses_writes_and_takes_them_again_when_there_is_room(
    service: Service, redis: RedisServer
) -> None:
    redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    for name in ("c", "d"):
        assert "full" in service.refuses(name).json()["title"].lower()
    assert service.errors("append") == 2
    time.sleep(1.2)  # long enough for reads of the log to fail, did they
    assert not service.degraded()
    assert service.errors("read") == 0
    redis.ask("CONFIG", "SET", "maxmemory", "0")
    assert service.put("c").status_code == 201
    assert service.videos() == TRAINED + 2


def test_after_flushall_it_says_so_and_goes_on_from_its_bundle_alone(
    service: Service, redis: RedisServer
) -> None:
    """Case 42."""
    assert service.put("gone").status_code == 201
    redis.ask("FLUSHALL")
    eventually(lambda: service.metric("reco_event_log_losses_total"))
    eventually(lambda: not service.degraded() and not service.unready())
    service.process.wait_for(r"(events lost|event log replaced)")
    assert service.videos() == TRAINED
    assert service.put("after").status_code == 201
    assert service.http.get("/v1/videos/after").status_code == 200
    assert service.videos() == TRAINED + 1


def test_a_stream_trimmed_behind_its_back_is_never_passed_over(
    service: Service, redis: RedisServer, trained: Path
) -> None:
    service.pause()
    last = append(redis.url, [put(f"n{n}", features(n)) for n in range(3)])
    redis.ask("XTRIM", STREAM, "MAXLEN", 1)
    service.resume()
    assert service.get_at(last).status_code == 503
    eventually(lambda: "events were lost" in service.degraded())
    assert "gone" in service.unready()
    assert service.metric("reco_event_log_losses_total") >= 1
    assert service.videos() == TRAINED + 1
    # Until somebody helps, it must not be busy with asking.
    before = service.metric("process_cpu_seconds_total")
    time.sleep(1)
    assert service.metric("process_cpu_seconds_total") - before < 0.3
    # What helps is a bundle that has read what was trimmed.
    add_bundle(trained, read_to=Place(place_of(last).epoch, 3).position)
    eventually(lambda: not service.unready() and not service.degraded())
    assert service.get_at(last).status_code == 200
    assert service.http.get("/v1/videos/n2").status_code == 200
    assert service.videos() == TRAINED + 1


def test_a_service_that_waits_for_a_bundle_is_not_busy_with_its_log(
    tmp_path: Path, redis: RedisServer
) -> None:
    append(redis.start().url, [put("early", features(1))])
    with running(tmp_path / "none", redis) as service:
        before = service.metric("process_cpu_seconds_total")
        time.sleep(1)
        assert service.metric("process_cpu_seconds_total") - before < 0.3


def test_a_service_that_starts_without_its_redis_answers_and_gets_ready_alone(
    trained: Path, redis: RedisServer
) -> None:
    """Case 42."""
    redis.start()
    append(redis.url, [put("early", features(1))])
    redis.kill()
    with running(trained, redis) as service:
        assert service.http.get("/livez").status_code == 200
        eventually(lambda: service.http.get("/v1/model").status_code == 200)
        assert "out of date" in service.degraded()
        eventually(lambda: f":{redis.port}" in service.unready())
        service.refuses("refused")
        assert service.errors("append") == 1
        assert service.videos() == TRAINED
        redis.start()
        eventually(lambda: not service.unready() and not service.degraded())
        assert service.videos() == TRAINED + 1
        assert service.put("after").status_code == 201
        assert service.videos() == TRAINED + 2
        assert "Traceback" not in service.process.output


def test_what_is_no_event_is_laid_aside_and_named(service: Service, redis: RedisServer) -> None:
    redis.ask("XADD", STREAM, "2-0", "event", "no MessagePack")
    eventually(lambda: service.metric("reco_events_quarantined_total") == 1)
    response = service.put("after")
    assert response.status_code == 201
    model = service.http.get("/v1/model").json()
    assert (model["quarantined"], model["videos"]) == (1, TRAINED + 2)
    epoch = place_of(response.json()["position"]).epoch
    assert model["quarantine"][0]["position"] == Place(epoch, 2).position
    assert not service.degraded()


def add_bundle(root: Path, *, read_to: Position) -> str:
    """Add a bundle like the current one that has read the log up to a position; make it current."""
    made = Path(shutil.copytree(root / read_current_id(root), root / "made"))
    folder = reseal(made, log_position=read_to)
    make_current(root, folder.name)
    return folder.name
