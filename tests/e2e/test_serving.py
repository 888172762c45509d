"""The whole service as a process of its own, used as its users do."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from client import Client
from tests.support.bundles import write_small_bundle
from tests.support.server import REPOSITORY, Process, eventually, features, serving

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one bundle."""
    root = tmp_path_factory.mktemp("trained")
    write_small_bundle(root)
    return root


def arguments(bundles: Path, tmp_path: Path) -> list[str]:
    return ["--bundles", str(bundles), "--event-log", f"sqlite:///{tmp_path}/events.db"]


@contextmanager
def client(process: Process) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=process.url, timeout=10) as http:
        yield http


def when_ready(process: Process) -> None:
    process.wait_for(r"Ready: bundle (\S+)\.")


def test_it_waits_for_a_bundle_and_then_serves_without_a_restart(
    trained: Path, tmp_path: Path
) -> None:
    quick = {"RECO_BUNDLE_POLL_SECONDS": "0.05"}
    with (
        serving(*arguments(tmp_path / "bundles", tmp_path), env=quick) as process,
        client(process) as http,
    ):
        assert http.get("/livez").status_code == 200
        eventually(lambda: "CURRENT" in http.get("/readyz").json()["detail"])
        response = http.get("/readyz")
        assert response.status_code == 503
        assert response.headers["content-type"] == "application/problem+json"
        shutil.copytree(trained, tmp_path / "bundles")
        eventually(lambda: http.get("/readyz").status_code == 200)
        assert http.get("/v1/model").json()["videos"] == 60
        assert process.signal(signal.SIGTERM) == 0
        assert "Traceback" not in process.output


class Readers:
    """Eight clients that read on and on; `faults` has every answer that was none."""

    def __init__(self, url: str) -> None:
        self.faults: list[str] = []
        self.answers = 0
        self._url = url
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(n,)) for n in range(8)]

    def __enter__(self) -> "Readers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _read(self, number: int) -> None:
        paths = (f"/v1/users/user-{number:05d}/recommendations", "/v1/videos/video-00001/similar")
        with httpx.Client(base_url=self._url, timeout=20) as http:
            while not self._done.is_set():
                for path in paths:
                    response = http.get(path)
                    self.answers += 1
                    if response.status_code != 200:
                        self.faults.append(response.text)


def test_every_new_video_shows_at_once_under_load_and_after_kill_9(
    trained: Path, tmp_path: Path
) -> None:
    """Cases 39 and 40."""
    names = [f"new-{number}" for number in range(200)]
    with serving(*arguments(trained, tmp_path)) as process, Client(process.url) as reco:
        when_ready(process)
        with Readers(process.url) as readers:
            for seed, name in enumerate(names):
                reco.put_video(name, features(seed))
                assert len(reco.similar(name, k=5).recommendations) == 5
        assert not readers.faults
        assert readers.answers > 100
        before = reco.similar("new-7").recommendations
        assert process.signal(signal.SIGKILL) == -signal.SIGKILL
    with serving(*arguments(trained, tmp_path)) as process, Client(process.url) as reco:
        when_ready(process)
        assert reco.model().videos == 260
        assert [reco.video(name).state for name in names] == ["live"] * 200
        assert reco.similar("new-7").recommendations == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_end_it_answers_what_it_has_begun_and_ends_well(
    trained: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Case 44."""
    with serving(*arguments(trained, tmp_path)) as process, client(process) as http:
        when_ready(process)
        assert http.get("/v1/users/user-00000/recommendations").status_code == 200
        # A read that waits for a position nobody has written: under way when the signal comes.
        waiting: list[int] = []
        path = f"/v1/model?min_position={'9' * 16}-{'9' * 16}"
        slow = threading.Thread(target=lambda: waiting.append(_status(process.url + path)))
        slow.start()
        time.sleep(0.3)
        assert process.signal(number) == 0
        slow.join()
        assert waiting == [503]
        assert "Traceback" not in process.output
        assert "Aborted" not in process.output


def _status(url: str) -> int:
    return httpx.get(url, timeout=20).status_code


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_printed_commands_work_as_they_are(trained: Path, tmp_path: Path) -> None:
    example = tmp_path / "it's a folder" / "new video.json"
    flags = [*arguments(trained, tmp_path), "--example", str(example)]
    with serving(*flags) as process:
        last = process.wait_for(r"(curl \S+ '\S+/similar\?k=5')")
        lines = re.findall(r"^ +(curl .*)$", process.output, re.MULTILINE)
        assert len(lines) == 3
        assert lines[-1] == last
        replies = []
        for line in lines:
            command = [*shlex.split(line), "--fail-with-body"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - printed by our own process
            assert done.returncode == 0, done.stdout + done.stderr
            replies.append(json.loads(done.stdout))
        assert len(replies[0]["recommendations"]) == 5
        assert replies[1]["video_id"] == replies[2]["video_id"] == "my-first-video"
        assert len(replies[2]["recommendations"]) == 5


def test_it_names_the_pages_it_has_and_no_others(trained: Path, tmp_path: Path) -> None:
    with serving(*arguments(trained, tmp_path)) as process, client(process) as http:
        process.wait_for(r"(similar\?k=5)")
        pages = re.findall(r"^(Console|API documentation): (\S+)$", process.output, re.MULTILINE)
        assert [name for name, _ in pages] == ["Console", "API documentation"]
        assert [http.get(page).status_code for _, page in pages] == [200, 200]
    env = {"RECO_CONSOLE": "off", "RECO_DOCS": "off"}
    with serving(*arguments(trained, tmp_path), env=env) as process, client(process) as http:
        process.wait_for(r"(similar\?k=5)")
        assert "Console" not in process.output
        assert "/docs" not in process.output
        assert [http.get(path).status_code for path in ("/console", "/docs")] == [404, 404]


def test_the_environment_sets_what_flags_do_not(trained: Path, tmp_path: Path) -> None:
    env = {
        "RECO_BUNDLES": str(trained),
        "RECO_EVENT_LOG": f"sqlite:///{tmp_path}/events.db",
        "RECO_LOG_FORMAT": "json",
        "RECO_MAX_BODY_BYTES": "1024",
    }
    with serving(env=env) as process, client(process) as http:
        when_ready(process)
        body = {"features": {"visual": [0.123] * 300}}
        assert http.put("/v1/videos/v", json=body).status_code == 413
        process.wait_for(r'("event": "bundle loaded")')


def test_bodies_that_never_end_are_cut_off(trained: Path, tmp_path: Path) -> None:
    with serving(*arguments(trained, tmp_path)) as process, client(process) as http:
        when_ready(process)
        chunks = (b" " * (1 << 20) for _ in range(50))
        try:
            response = http.put(
                "/v1/videos/big", content=chunks, headers={"content-type": "application/json"}
            )
        except httpx.TransportError:
            pass  # the server closed the connection on us mid-way
        else:
            assert response.status_code == 413
        assert http.get("/v1/model").json()["videos"] == 60


def ended(*flags: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Return the exit code and output of a `serve` that should not stay up."""
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "service", "serve", *flags],
        cwd=REPOSITORY,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_what_cannot_start_says_why_in_a_line(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_bytes(b"no database" * 1000)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        good = arguments(trained, tmp_path)
        cases = [
            ([*good, "--port", port], "address already in use"),
            (["--bundles", str(trained), "--event-log", f"sqlite:///{tmp_path}/bad.db"], "bad.db"),
            ([*good, "--host", "256.0.0.1"], ""),
        ]
        for flags, text in cases:
            code, output = ended(*flags)
            assert code != 0, output
            assert text in output
            assert "Traceback" not in output
