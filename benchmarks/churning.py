"""Prints what memory a replica takes while videos come and go, a million times.

In one process, pages of the log as the follower applies them: a new video, then its deletion; at
times one of a fixed population of users meets one that is there. Then the same through HTTP, fewer.
`python -m benchmarks.churning` or `make bench` runs it; `--cycles` takes another number.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from benchmarks.planting import made_up, plant
from benchmarks.server import Client, event_log, running_server
from eventlog.events import Event, InteractionRecorded, VideoDeleted, VideoUpserted, encode
from eventlog.log import Entry
from eventlog.position import START, Place
from models.bundle.reader import read_bundle
from service.catalog.edit import Feedback
from service.catalog.overlay import Overlay
from service.catalog.replay import Replay
from service.catalog.snapshot import Snapshot
from service.catalog.view import View
from service.settings import Settings
from service.telemetry import Telemetry

CYCLES: Final = 1_000_000
HTTP_CYCLES: Final = 10_000
PAGE: Final = 256
# One interaction for so many cycles, by one of so many users, with one of so many videos: half way
# through, every user has met more than are remembered as recent.
CALM, USERS, MET = 2, 1000, 7
SAMPLES: Final = 20
VIDEOS: Final = 2000
MEBIBYTE: Final = 1 << 20
EPOCH: Final = "0" * 16


def main() -> None:
    """Measure both ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=CYCLES)
    table = Table(
        "way",
        "cycles",
        "resident MiB after each twentieth part",
        "second half",
        "cycles a second",
        title="new videos that are deleted at once",
        caption=machine(),
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = plant(Path(scratch) / "bundles", videos=VIDEOS)
        table.add_row("pages of the log", *_row(parser.parse_args().cycles, _applied(folder)))
        with event_log("sqlite", Path(scratch)) as url, running_server(folder.parent, url) as one:
            table.add_row("HTTP", *_row(HTTP_CYCLES, lambda start, end: _asked(one, start, end)))
    Console(soft_wrap=True, highlight=False).print(table)


def _row(cycles: int, run: Callable[[int, int], int]) -> tuple[str, ...]:
    """Run `cycles` in parts; `run` takes first and last, and returns whose memory to look at."""
    started, part = time.perf_counter(), cycles // SAMPLES
    sizes = [_resident(run(start, start + part)) for start in range(0, cycles, part)]
    rate = cycles / (time.perf_counter() - started)
    growth = sizes[-1] - sizes[len(sizes) // 2]
    shown = " ".join(f"{size / MEBIBYTE:.0f}" for size in sizes)
    return f"{cycles:,}", shown, f"{growth / MEBIBYTE:+.1f} MiB", f"{rate:,.0f}"


def _applied(folder: Path) -> Callable[[int, int], int]:
    settings = Settings()
    replay = Replay(Telemetry(), Feedback(settings.kind_weights, settings.history_limit))
    snapshot = Snapshot(read_bundle(folder))
    features = _features()
    view, position = View(snapshot, Overlay.empty(snapshot, START)), 0

    def run(start: int, end: int) -> int:
        nonlocal view, position
        for first in range(start, end, PAGE // 2):
            events = _events(first, min(first + PAGE // 2, end), features)
            entries = [
                Entry(Place(EPOCH, position + n).position, p) for n, p in enumerate(events, 1)
            ]
            view, position = replay.apply(view, entries).view, position + len(entries)
        if view.live_videos != VIDEOS:
            raise RuntimeError(f"{view.live_videos} videos are left, of {VIDEOS}")
        return os.getpid()

    return run


def _events(start: int, end: int, features: list[dict[str, bytes]]) -> Iterator[bytes]:
    for number in range(start, end):
        video, recorded = f"new-{number}", 1.8e9
        events: list[Event] = [
            VideoUpserted(
                video_id=video,
                features=features[number % len(features)],
                metadata={"title": video, "tags": [video], "uploader": video},
                recorded_at=recorded,
            ),
            VideoDeleted(video_id=video, recorded_at=recorded),
        ]
        if number % CALM == 0:
            met = InteractionRecorded(
                user_id=f"user-{number // CALM % USERS:05d}",
                video_id=f"video-{number // CALM % MET:07d}",
                kind="like",
                timestamp=recorded,
                recorded_at=recorded,
            )
            events.append(met)
        yield from map(encode, events)


def _asked(client: Client, start: int, end: int) -> int:
    features: list[dict[str, Any]] = [
        {name: np.frombuffer(raw, "<f4").tolist() for name, raw in one.items()}
        for one in _features()[:50]
    ]
    for number in range(start, end):
        body = json.dumps({"features": features[number % len(features)]}).encode()
        for method, sent in (("PUT", body), ("DELETE", None)):
            status, answer = client.ask(method, f"/v1/videos/new-{number}", sent)
            if status not in {200, 201}:
                raise RuntimeError(f"{method}: {status} {answer[:200]!r}")
    return client.pid


def _features() -> list[dict[str, bytes]]:
    matrices = made_up(1000, np.random.default_rng(0))
    return [{name: m[row].tobytes() for name, m in matrices.items()} for row in range(1000)]


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
