"""Runs the service: its application in this process, or the whole of it in another.

Knows how to start, ask and stop; nothing of what the answers should be.
"""

import asyncio
import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import numpy as np

from eventlog.events import Event
from eventlog.log import Entry, Receipt
from eventlog.position import START, Position
from service.api.dependencies import Services
from service.app import create_app
from service.settings import Settings

T = TypeVar("T")

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 30.0
WIDTHS = {"visual": 64, "acoustic": 32, "textual": 48}


def eventually(ask: Callable[[], T | None], *, within: float = PATIENCE) -> T:
    """Return the first true value that `ask` gives."""
    deadline = time.monotonic() + within
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"still {answer!r} after {within} seconds"
        time.sleep(0.02)
    return answer


def segment(text: str) -> str:
    """Return `text` percent-encoded for a path, dots too: alone they would be a relative path."""
    return quote(text, safe="").replace(".", "%2E")


def features(seed: int, names: Sequence[str] = tuple(WIDTHS)) -> dict[str, list[float]]:
    """Return made-up features of one video."""
    rng = np.random.default_rng(seed)
    drawn = {name: rng.normal(size=width).round(3).tolist() for name, width in WIDTHS.items()}
    return {name: drawn[name] for name in names}


class Api:
    """The application in this process, asked over ASGI, with a loop in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.app = create_app(settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://test",
        )
        self._lifespan = self.app.router.lifespan_context(self.app)

    def __enter__(self) -> "Api":
        self._thread.start()
        try:
            self._wait(self._lifespan.__aenter__())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._wait(self._client.aclose())
            self._wait(self._lifespan.__aexit__(None, None, None))
        finally:
            self._end()

    @property
    def services(self) -> Services:
        """What the application has wired."""
        services: Services = self.app.state.services
        return services

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request; `content` may be an iterator of chunks, sent without a length."""
        content = options.get("content")
        if isinstance(content, Iterator):
            options["content"] = _chunks(content)
        response: httpx.Response = self._wait(self._client.request(method, path, **options))
        return response

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET `path`."""
        return self.request("GET", path, **options)

    def put_raw(self, path: str, body: bytes | str) -> httpx.Response:
        """PUT bytes that call themselves JSON."""
        return self.request("PUT", path, content=body, headers={"content-type": "application/json"})

    def put_video(self, video_id: str, seed: int = 1, **more: Any) -> httpx.Response:
        """PUT a video with made-up features, or those in `more`."""
        body = {"features": features(seed), **more}
        return self.request("PUT", f"/v1/videos/{segment(video_id)}", json=body)

    def delete_video(self, video_id: str) -> httpx.Response:
        """DELETE a video."""
        return self.request("DELETE", f"/v1/videos/{segment(video_id)}")

    def watch(self, user_id: str, *video_ids: str) -> httpx.Response:
        """Record that a user viewed videos."""
        return self.met(user_id, "view", *video_ids)

    def recommend(self, user_id: str, k: int = 20) -> list[dict[str, Any]]:
        """Return a user's recommendations."""
        return self._places(f"/v1/users/{segment(user_id)}/recommendations?k={k}")

    def similar(self, video_id: str, k: int = 20) -> list[dict[str, Any]]:
        """Return the videos like one."""
        return self._places(f"/v1/videos/{segment(video_id)}/similar?k={k}")

    def model(self) -> dict[str, Any]:
        """Return what is served."""
        model: dict[str, Any] = self.get("/v1/model").json()
        return model

    def ready(self) -> "Api":
        """Return when there is something to answer from."""
        eventually(lambda: self.get("/readyz").status_code == 200)
        return self

    def head(self) -> Position:
        """Return the last position of the event log."""
        head: Position = self._wait(self.services.event_log.head())
        return head

    def entries(self, after: Position = START, limit: int = 2000) -> list[Entry]:
        """Return what the event log holds behind `after`."""
        entries: list[Entry] = self._wait(self.services.event_log.read(after, limit))
        return entries

    def append(self, *events: Event) -> Position:
        """Put events into the log without asking the service."""
        receipt: Receipt = self._wait(self.services.event_log.append(events))
        return receipt.position

    def append_raw(self, *payloads: bytes) -> None:
        """Put rows into a SQLite log behind the back of the service."""
        file = self.settings.event_log.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(file)) as connection, connection:
            rows = [(payload,) for payload in payloads]
            connection.executemany("INSERT INTO events (payload) VALUES (?)", rows)

    def hide(self, video_id: str, state: str = "hidden") -> httpx.Response:
        """Hide a video, or make it `live` again."""
        return self.request("PATCH", f"/v1/videos/{segment(video_id)}", json={"state": state})

    def erase(self, user_id: str) -> httpx.Response:
        """Erase a user."""
        return self.request("DELETE", f"/v1/users/{segment(user_id)}")

    def met(self, user_id: str, kind: str, *video_ids: str) -> httpx.Response:
        """Record that a user met videos in some way."""
        met = [{"user_id": user_id, "video_id": v, "kind": kind} for v in video_ids]
        return self.request("POST", "/v1/interactions", json={"interactions": met})

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of a metric."""
        value = self.services.telemetry.registry.get_sample_value(name, labels)
        assert value is not None, f"{name} {labels} is not exported"
        return value

    def _places(self, path: str) -> list[dict[str, Any]]:
        response = self.get(path)
        assert response.status_code == 200, response.text
        places: list[dict[str, Any]] = response.json()["recommendations"]
        return places

    def on_loop(self, call: Callable[[], object]) -> None:
        """Let the event loop do `call` when it comes to it."""
        self._loop.call_soon_threadsafe(call)

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _chunks(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def settings_for(bundles: Path, log: Path, **more: Any) -> Settings:
    """Return settings that poll quickly, for `bundles` and the SQLite file `log`."""
    quick = {"log_poll_seconds": 0.02, "bundle_poll_seconds": 0.05}
    return Settings(bundles=bundles, event_log=f"sqlite:///{log}", **{**quick, **more})


class Process:
    """`python -m service serve` in another process."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        """Start it on a free port; `url` is where it listens."""
        self._lines: list[str] = []
        self._child = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "service", "serve", "--port", "0", *arguments],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONWARNINGS": "error", **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.url = self._find(r"Listening on (http://\S+);")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    @property
    def output(self) -> str:
        """All that it has written."""
        return "".join(self._lines)

    def wait_for(self, pattern: str) -> str:
        """Return the group of `pattern` once it is written."""
        return self._find(pattern)

    def signal(self, number: signal.Signals) -> int:
        """Send a signal, wait for the end, return the exit code."""
        self._child.send_signal(number)
        code = self._child.wait(PATIENCE)
        self._reader.join()
        return code

    def stop(self) -> None:
        """End it, if it has not ended."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        self._reader.join()
        if self._child.stdout is not None:
            self._child.stdout.close()

    def _read(self) -> None:
        assert self._child.stdout is not None
        self._lines.extend(iter(self._child.stdout.readline, ""))

    def _find(self, pattern: str) -> str:
        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.output)
            assert found or self._child.poll() is None, self.output
            return found

        found = eventually(look)
        return found.group(1)


@contextlib.contextmanager
def serving(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Process]:
    """Serve in another process until the block ends."""
    process = Process(*arguments, env=env)
    try:
        yield process
    finally:
        process.stop()
