"""Imports into a real service: long ones, cut ones, and ones that outlive the process."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from signal import SIGKILL
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from client import Client, ImportProgress, RejectedLine, Retries, Video, encode_numbers
from client.calls import row
from tests.support.bundles import write_small_bundle
from tests.support.server import WIDTHS, Process, eventually, serving

pytestmark = pytest.mark.e2e

ROWS = 20_000
FEWER = 12_000
PATH = "/v1/videos:import"
LINES = {"content-type": "application/x-ndjson"}
DRAWN = [
    {
        name: encode_numbers(np.random.default_rng(seed).normal(size=width))
        for name, width in WIDTHS.items()
    }
    for seed in range(50)
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one bundle."""
    root = tmp_path_factory.mktemp("trained")
    write_small_bundle(root)
    return root


def arguments(bundles: Path, tmp_path: Path) -> list[str]:
    return ["--bundles", str(bundles), "--event-log", f"sqlite:///{tmp_path}/events.db"]


def when_ready(process: Process) -> None:
    process.wait_for(r"Ready: bundle (\S+)\.")


def videos(count: int, *, names: int = ROWS) -> Iterator[Video]:
    for n in range(count):
        yield Video(video_id=f"v{n % names}", features=DRAWN[n % len(DRAWN)])


def lines(count: int, *, names: int = ROWS) -> Iterator[bytes]:
    for video in videos(count, names=names):
        yield json.dumps(row(video)).encode() + b"\n"


def connection(url: str) -> HTTPConnection:
    return HTTPConnection(urlsplit(url).netloc, timeout=60)


def bring(url: str, body: Iterator[bytes]) -> list[dict[str, object]]:
    """Send lines as one body, without a length, and return what was told of them."""
    http = connection(url)
    http.request("POST", PATH, body, LINES, encode_chunked=True)
    response = http.getresponse()
    assert response.status == 200
    told = [json.loads(line) for line in response.read().splitlines()]
    http.close()
    return told


def resident(pid: int) -> int:
    """Return how many bytes of memory a process holds."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    (line,) = (one for one in status.splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) << 10


def test_twenty_thousand_rows_are_taken_and_each_bad_one_is_told(
    trained: Path, tmp_path: Path
) -> None:
    sent = list(videos(ROWS))
    for n in range(100, ROWS, 1000):
        sent[n] = Video(video_id=f"v{n}", features={"visual": [1.0]})
    with serving(*arguments(trained, tmp_path)) as process, Client(process.url) as reco:
        when_ready(process)
        told = list(reco.import_videos(sent))
        rejected = [one.line for one in told if isinstance(one, RejectedLine)]
        assert rejected == [n + 1 for n in range(100, ROWS, 1000)]
        *_, done = [one for one in told if isinstance(one, ImportProgress)]
        assert (done.lines, done.accepted, done.rejected) == (ROWS, ROWS - 20, 20)
        assert reco.model(min_position=done.position).videos == 60 + ROWS - 20
        assert reco.similar(f"v{ROWS - 1}", k=1).recommendations


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_body(trained: Path, tmp_path: Path) -> None:
    with serving(*arguments(trained, tmp_path)) as process:
        when_ready(process)
        # The same few videos again and again: the catalog does not grow, so nothing else may.
        assert bring(process.url, lines(6000, names=500))[-1]["accepted"] == 6000
        before = resident(process.pid)
        size = 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for line in lines(30_000, names=500):
                size += len(line)
                yield line

        ended = bring(process.url, counted())[-1]
        assert (ended["event"], ended["accepted"], ended["problem"]) == ("ended", 30_000, None)
        assert size > 24 << 20
        assert resident(process.pid) - before < 12 << 20


def test_a_cut_connection_loses_nothing_that_was_acknowledged(
    trained: Path, tmp_path: Path
) -> None:
    with serving(*arguments(trained, tmp_path)) as process, Client(process.url) as reco:
        when_ready(process)
        for _ in range(3):  # more than there are places: each must come free again
            address = urlsplit(process.url)
            with socket.create_connection((address.hostname, address.port or 80)) as wire:
                head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n"
                wire.sendall(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
                for line in lines(3500):
                    wire.sendall(b"%x\r\n%b\r\n" % (len(line), line))
                reply = b""
                while b'"progress"' not in reply:
                    more = wire.recv(1 << 16)
                    assert more, reply  # refused, or cut by the other side
                    reply += more
                wire.sendall(b'40\r\n{"video_id": "half')
            start = reply.index(b'{"event":"progress"')
            told = json.loads(reply[start : reply.index(b"\n", start)])
            assert told["accepted"] >= 1000
            assert reco.model(min_position=told["position"]).videos >= 60 + told["accepted"]
            assert reco.video(f"v{told['lines'] - 1}").video_id
            free = 'reco_requests_in_work{kind="import"} 0.0'
            eventually(lambda: free in httpx.get(f"{process.url}/metrics").text)  # noqa: B023
        assert list(reco.import_videos(videos(3500)))[-1].lines == 3500  # type: ignore[union-attr] # progress
        assert reco.model().videos == 60 + 3500
        assert "Traceback" not in process.output


def test_an_import_outlives_a_service_that_is_killed(trained: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = [*arguments(trained, tmp_path), "--port", str(port)]
    begun, told = threading.Event(), list[RejectedLine | ImportProgress]()

    def bring_all() -> None:
        patient = Retries(attempts=60, most_seconds=1.0)
        with Client(f"http://127.0.0.1:{port}", retries=patient) as reco:
            for one in reco.import_videos(videos(FEWER)):
                told.append(one)
                begun.set()

    thread = threading.Thread(target=bring_all)
    with serving(*flags) as process:
        when_ready(process)
        thread.start()
        assert begun.wait(30)
        time.sleep(0.3)
        assert process.signal(SIGKILL) == -SIGKILL
    acknowledged = told[-1]
    assert isinstance(acknowledged, ImportProgress)
    assert 0 < acknowledged.lines < FEWER
    with serving(*flags) as process, Client(process.url) as reco:
        when_ready(process)
        assert reco.model().videos >= 60 + acknowledged.accepted
        thread.join(60)
        assert not thread.is_alive()
        assert told[-1] == ImportProgress(
            lines=FEWER, accepted=FEWER, position=reco.model().position
        )
        assert reco.model().videos == 60 + FEWER
