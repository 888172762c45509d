"""Services whose vectors are searched in a real Milvus, and what they do without it."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from models.bundle.shelf import remove_old
from tests.support.bundles import write_small_bundle
from tests.support.commands import run
from tests.support.milvus import MilvusServer
from tests.support.server import REPOSITORY, Process, eventually, features, serving

pytestmark = pytest.mark.e2e

# More than are scored one by one without asking any index.
VIDEOS = 5000
SECRET = "root:geheim"  # noqa: S105 - of no server
AWAY = "the index engine is away, the bundle's own index answers"
USERS = [f"user-{number:05d}" for number in range(0, 20, 3)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """A Milvus that these tests may stop and kill."""
    with MilvusServer(tmp_path_factory.mktemp("milvus")) as server:
        yield server.start()


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    write_small_bundle(tmp_path / "bundles", videos=VIDEOS)
    return tmp_path / "bundles"


def started(stack: ExitStack, bundles: Path, log: Path, index: str) -> Process:
    env = {"RECO_INDEX": index, "RECO_INDEX_TOKEN": SECRET, "RECO_LOG_LEVEL": "debug"}
    env |= {"RECO_BUNDLE_POLL_SECONDS": "0.2"}
    arguments = ("--bundles", str(bundles), "--event-log", f"sqlite:///{log}")
    process = stack.enter_context(serving(*arguments, env=env))
    eventually(lambda: httpx.get(f"{process.url}/readyz").status_code == 200)
    return process


def asked(process: Process, path: str) -> httpx.Response:
    answer = httpx.get(process.url + path, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer


def lists(process: Process, position: str = "") -> list[bytes]:
    """Return the lists of a few users, as they came."""
    option = f"&min_position={position}" if position else ""
    paths = [f"/v1/users/{user}/recommendations?k=25{option}" for user in USERS]
    paths.append(f"/v1/users/{USERS[0]}/recommendations?k=25&tags_any=odd{option}")
    paths.append(f"/v1/videos/video-00007/similar?k=25{option}")
    return [asked(process, path).content for path in paths]


def is_answered(process: Process) -> bool:
    return "x-degraded" not in asked(process, f"/v1/users/{USERS[0]}/recommendations").headers


def metric(process: Process, name: str) -> float:
    lines = asked(process, "/metrics").text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


def command(bundles: Path, index: str, *words: str) -> tuple[int, str]:
    env = {"RECO_INDEX": index, "RECO_BUNDLES": str(bundles), "RECO_INDEX_TOKEN": SECRET}
    env |= {"RECO_EVENT_LOG": f"sqlite:///{bundles.parent}/doctor.db", "RECO_PORT": "0"}
    done = run([sys.executable, "-m", "service", *words], cwd=REPOSITORY, env=env)
    return done.returncode, done.stdout + done.stderr


def test_replicas_fill_milvus_once_and_answer_as_one_that_searches_for_itself(
    server: MilvusServer, bundles: Path, tmp_path: Path
) -> None:
    log, bundle_id = tmp_path / "events.db", next(bundles.glob("2*")).name
    collection = f"reco_{bundle_id.replace('-', '_')}"
    with ExitStack() as stack:
        alone = started(stack, bundles, log, "faiss")
        replicas = [started(stack, bundles, log, server.url) for _ in range(2)]
        for replica in replicas:
            eventually(lambda replica=replica: is_answered(replica), within=60)  # type: ignore[misc] # bound now
        assert lists(replicas[0]) == lists(replicas[1]) == lists(alone)
        # What is told of videos since the bundle holds for what Milvus finds.
        best = asked(alone, f"/v1/users/{USERS[0]}/recommendations?k=4").json()["recommendations"]
        gone, hidden, *odd = [place["video_id"] for place in best]
        httpx.delete(f"{alone.url}/v1/videos/{gone}")
        httpx.patch(f"{alone.url}/v1/videos/{hidden}", json={"state": "hidden"})
        for video_id in odd:
            told = {"metadata": {"tags": ["odd"]}}
            httpx.patch(f"{alone.url}/v1/videos/{video_id}", json=told)
        new = {"features": features(1), "metadata": {"tags": ["odd"]}}
        position = httpx.put(f"{alone.url}/v1/videos/new", json=new).json()["position"]
        expected = lists(alone, position)
        assert lists(replicas[0], position) == lists(replicas[1], position) == expected
        assert gone.encode() not in b"".join(expected)
        assert b'"new"' in expected[-2]
        for replica in replicas:
            assert metric(replica, "reco_index_engine_seconds_count") > len(USERS)
            assert "geheim" not in replica.output
        outputs = "".join(replica.output for replica in replicas)
        assert outputs.count("filling the index engine") == 1
        engine = server.engine()
        assert engine.names() == [collection]
        assert engine.count(collection) == VIDEOS
        assert engine.meant_by("reco_current") == collection
        engine.drop(collection)
        engine.disconnect()


def test_a_bundle_that_is_activated_is_there_before_it_is_served_and_an_old_one_goes(
    server: MilvusServer, bundles: Path, tmp_path: Path
) -> None:
    old = next(bundles.glob("2*")).name
    status, said = command(bundles, server.url, "bundles", "push", old)
    assert status == 0, said
    status, said = command(bundles, server.url, "doctor")
    assert f"which holds {old}" in said, said
    engine = server.engine()
    with ExitStack() as stack:
        service = started(stack, bundles, tmp_path / "events.db", server.url)
        assert is_answered(service)
        time.sleep(1)  # ids of bundles hold the second they were made in
        new = write_small_bundle(tmp_path / "other", videos=VIDEOS, epochs=2)
        (tmp_path / "other" / new).rename(bundles / new)
        status, said = command(bundles, server.url, "bundles", "activate", new)
        assert status == 0, said
        assert metric(service, "reco_index_fallbacks_total") == 0
        eventually(lambda: asked(service, "/v1/model").json()["bundle_id"] == new)
        assert is_answered(service)
        assert metric(service, "reco_index_fallbacks_total") == 0
        current = f"reco_{new.replace('-', '_')}"
        eventually(lambda: engine.meant_by("reco_current") == current)
    assert remove_old(bundles, 1) == [old]
    with ExitStack() as stack:
        started(stack, bundles, tmp_path / "events.db", server.url)
        eventually(lambda: engine.names() == [current])
    engine.drop(current)
    engine.disconnect()


def test_lists_go_on_while_milvus_is_stopped_or_killed(
    server: MilvusServer, bundles: Path, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        service = started(stack, bundles, tmp_path / "events.db", server.url)
        eventually(lambda: is_answered(service), within=60)
        expected = lists(service)
        server.signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            answer = asked(service, f"/v1/users/{USERS[0]}/recommendations?k=25")
            assert 0.4 < time.monotonic() - began < 2.0
            assert answer.headers["x-degraded"] == AWAY
            began = time.monotonic()
            assert lists(service) == expected
            assert time.monotonic() - began < 2.0
            assert metric(service, "reco_index_fallbacks_total") > len(USERS)
            assert metric(service, 'reco_degraded{fault="index"}') == 1
            assert httpx.get(f"{service.url}/readyz").status_code == 200
        finally:
            server.signal(signal.SIGCONT)
        eventually(lambda: is_answered(service), within=60)
        assert metric(service, 'reco_degraded{fault="index"}') == 0
        server.kill()
        began = time.monotonic()
        assert lists(service) == expected
        assert time.monotonic() - began < 2.0
        assert not is_answered(service)
        status, said = command(bundles, server.url, "doctor")
        assert status == 1
        assert "RECO_INDEX runs" in said
        # One that is started now is ready without it.
        other = started(stack, bundles, tmp_path / "events.db", server.url)
        assert lists(other) == expected
        assert not is_answered(other)
        server.start()
        eventually(lambda: is_answered(service) and is_answered(other), within=120)
        assert lists(service) == lists(other) == expected
