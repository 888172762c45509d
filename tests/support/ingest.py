"""Clients that write to a service that dies under them, and an account of what they were told.

Knows what each write must have left in the event log; nothing of how services are killed.
"""

import asyncio
import random
import threading
import time
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import httpx

from eventlog.events import Event, InteractionRecorded, VideoDeleted, VideoUpserted
from eventlog.log import Entry, open_event_log
from eventlog.position import START, Position
from tests.support.asking import asking
from tests.support.server import features

# So long a client waits before it sends a write again.
PAUSE: Final = 0.01
BATCH: Final = 5


class Write(NamedTuple):
    """A request, and the mark that each of its events bears, in order."""

    key: str
    method: str
    path: str
    body: dict[str, Any] | None
    marks: list[str]


class Told(NamedTuple):
    """What a client was told of a write: its position, or None if it gave up."""

    write: Write
    position: Position | None
    sent: int
    repeated: bool


def mark(event: Event) -> str:
    """Return what tells an event of ours from all others."""
    match event:
        case VideoUpserted():
            return f"put {event.metadata['title']}"
        case VideoDeleted():
            return f"delete {event.video_id}"
        case InteractionRecorded():
            return f"met {event.user_id} {event.video_id}"
        case _:
            raise AssertionError(f"nobody wrote {event}")


class Ingest:
    """Writers that send each write, under one key, until it is acknowledged or all is over."""

    def __init__(self, url: str, *, writers: int, seed: int) -> None:
        self.told: list[Told] = []
        self._url = url
        self._seed = seed
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(writers)]

    def __enter__(self) -> "Ingest":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        rng = random.Random(f"{self._seed}-{number}")
        with asking(self._url) as http:
            for write in _writes(f"w{number}", rng):
                if self._done.is_set():
                    return
                self.told.append(self._send(http, write))

    def _send(self, http: httpx.Client, write: Write) -> Told:
        headers = {"idempotency-key": write.key}
        sent = 0
        while not self._done.is_set():
            sent += 1
            try:
                response = http.request(write.method, write.path, json=write.body, headers=headers)
            except httpx.TransportError:
                time.sleep(PAUSE)
                continue
            if response.status_code != 503:
                assert response.is_success, response.text
                repeated = "idempotency-replayed" in response.headers
                return Told(write, _position(response.json()), sent, repeated)
            time.sleep(PAUSE)
        return Told(write, None, sent, repeated=False)


def _position(reply: dict[str, Any]) -> Position:
    return Position(reply["position"] if "position" in reply else reply["results"][0]["position"])


def _writes(writer: str, rng: random.Random) -> Iterable[Write]:
    """Yield writes of all kinds for ever; each video is deleted once at most, and then for good."""
    live: list[str] = []
    number = 0
    while True:
        number += 1
        key = f"{writer}-{number}"
        kind = rng.choice(["put", "replace", "batch", "met", "delete"])
        if kind == "delete" and live:
            video_id = live.pop(rng.randrange(len(live)))
            yield Write(key, "DELETE", f"/v1/videos/{video_id}", None, [f"delete {video_id}"])
        elif kind == "met":
            met = [{"user_id": key, "video_id": f"video-{n:05d}", "kind": "like"} for n in range(3)]
            marks = [f"met {key} {one['video_id']}" for one in met]
            yield Write(key, "POST", "/v1/interactions", {"interactions": met}, marks)
        elif kind == "batch":
            named = [f"{key}.{place}" for place in range(BATCH)]
            live += named
            videos = [{"video_id": name, **_body(name, rng)} for name in named]
            marks = [f"put {name}" for name in named]
            yield Write(key, "POST", "/v1/videos:batch", {"videos": videos}, marks)
        else:
            video_id = rng.choice(live) if kind == "replace" and live else key
            live += [] if video_id in live else [video_id]
            yield Write(key, "PUT", f"/v1/videos/{video_id}", _body(key, rng), [f"put {key}"])


def _body(title: str, rng: random.Random) -> dict[str, Any]:
    return {"features": features(rng.randrange(1 << 30)), "metadata": {"title": title}}


def read_all(url: str) -> list[Entry]:
    """Return every entry of the event log at `url`."""

    async def read() -> list[Entry]:
        log = open_event_log(url)
        try:
            return await log.read(START, 1_000_000)
        finally:
            await log.close()

    return asyncio.run(read())
