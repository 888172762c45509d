"""Prints what a video, an arrival and an interaction take: on disk, in a replica, in Redis.

A planted bundle, by file; pages of the log applied in this process as the follower does; the same
events in a real Redis. `python -m benchmarks.sizing` runs it.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from benchmarks.planting import SAMPLE, SEEN, USERS, made_up, plant
from eventlog.events import Event, InteractionRecorded, VideoUpserted, encode
from eventlog.log import Entry, open_event_log
from eventlog.position import START, Place
from models.bundle.reader import read_bundle
from service.catalog.edit import Feedback
from service.catalog.overlay import Overlay
from service.catalog.replay import Replay
from service.catalog.snapshot import Snapshot
from service.catalog.view import View
from service.settings import Settings
from service.telemetry import Telemetry
from tests.support.redis import RedisServer

VIDEOS: Final = 100_000
ARRIVALS: Final = 50_000
INTERACTIONS: Final = 200_000
# So many of each are put into Redis.
LOGGED: Final = 10_000
# Interactions of one user.
EACH: Final = 10
PAGE: Final = 500
EPOCH: Final = "0" * 16


def main() -> None:
    """Measure all three and print the table."""
    table = Table("what", "where", "bytes each", title="sizes", caption=machine())
    with tempfile.TemporaryDirectory() as scratch:
        folder = plant(Path(scratch) / "bundles", videos=VIDEOS)
        for file in sorted(folder.iterdir()):
            size = file.stat().st_size / VIDEOS
            table.add_row(f"a video ({USERS} users, {SEEN} seen)", file.name, f"{size:,.0f}")
        for what, size in _replica(folder):
            table.add_row(what, "replica", f"{size:,.0f}")
        for what, size in asyncio.run(_redis(Path(scratch))):
            table.add_row(what, "Redis", f"{size:,.0f}")
    Console(soft_wrap=True, highlight=False).print(table)


def _replica(folder: Path) -> Iterator[tuple[str, float]]:
    settings = Settings()
    replay = Replay(Telemetry(), Feedback(settings.kind_weights, settings.history_limit))
    snapshot = Snapshot(read_bundle(folder))
    view, position = View(snapshot, Overlay.empty(snapshot, START)), 0
    # The first arrivals make what is made once: not counted.
    kinds = (("", _arrivals(0, PAGE)), *_streams(ARRIVALS, INTERACTIONS))
    for what, events in kinds:
        before, count = _resident(), 0
        page: list[Event] = []
        for event in events:
            page.append(event)
            if len(page) == PAGE:
                entries = [
                    Entry(Place(EPOCH, position + n).position, encode(one))
                    for n, one in enumerate(page, 1)
                ]
                view, position = replay.apply(view, entries).view, position + PAGE
                count, page = count + PAGE, []
        if what:
            yield what, (_resident() - before) / count


async def _redis(folder: Path) -> list[tuple[str, float]]:
    found = []
    with RedisServer(folder / "redis", "--appendfsync", "no") as server:
        log = open_event_log(server.start().url)
        for what, events in _streams(LOGGED, LOGGED):
            before = int(server.ask("INFO", "memory")["used_memory"])
            page: list[Event] = []
            for event in events:
                page.append(event)
                if len(page) == PAGE:
                    await log.append(page)
                    page = []
            used = int(server.ask("INFO", "memory")["used_memory"]) - before
            found.append((what, used / LOGGED))
        await log.close()
    return found


def _streams(arrivals: int, interactions: int) -> tuple[tuple[str, Iterator[Event]], ...]:
    width = sum(SAMPLE.values())
    return (
        (f"an arrival, {width} columns of features", _arrivals(PAGE, PAGE + arrivals)),
        (f"an interaction, {EACH} a user", _interactions(interactions)),
    )


def _arrivals(start: int, end: int) -> Iterator[Event]:
    made = made_up(PAGE, np.random.default_rng(0))
    for number in range(start, end):
        yield VideoUpserted(
            video_id=f"new-{number:08d}",
            features={name: rows[number % PAGE].tobytes() for name, rows in made.items()},
            metadata={"title": f"A title of {number}", "tags": ["cats"], "uploader": "somebody"},
            recorded_at=1.8e9,
        )


def _interactions(count: int) -> Iterator[Event]:
    videos = np.random.default_rng(1).integers(VIDEOS, size=count).tolist()
    for number, video in enumerate(videos):
        yield InteractionRecorded(
            user_id=f"visitor-{number // EACH:08d}",
            video_id=f"video-{video:07d}",
            kind="like",
            timestamp=1.8e9 + number,
            recorded_at=1.8e9 + number,
        )


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
