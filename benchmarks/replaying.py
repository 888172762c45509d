"""Prints how fast a replica reads its log, and what users with a history cost.

In one process and thread. `python -m benchmarks.replaying` or `make bench` runs it.
"""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.booting import upserts
from benchmarks.machine import machine
from benchmarks.planting import plant
from eventlog.events import Event, InteractionRecorded, encode
from eventlog.log import Entry
from eventlog.position import START, Place
from models.bundle.reader import read_bundle
from models.ids import UserId
from service.catalog.edit import Feedback
from service.catalog.loading import READ_LIMIT
from service.catalog.overlay import Overlay
from service.catalog.replay import Replay
from service.catalog.snapshot import Snapshot
from service.catalog.view import View
from service.recommend.recommender import recommend, represent
from service.recommend.request import Request
from service.settings import Settings
from service.telemetry import Telemetry

EVENTS: Final = 20_000
VIDEOS: Final = 20_000
# Met since the bundle: none, as many as count for the vector, as many as are remembered.
HISTORIES: Final = (0, 200, 10_000)
ROUNDS: Final = 300
EPOCH: Final = "0" * 16


def main() -> None:
    """Measure everything and print the tables."""
    console = Console(soft_wrap=True, highlight=False)
    settings = Settings()
    replay = Replay(Telemetry(), Feedback(settings.kind_weights, settings.history_limit))
    with tempfile.TemporaryDirectory() as scratch:
        snapshot = Snapshot(read_bundle(plant(Path(scratch), videos=VIDEOS)))
        bare = View(snapshot, Overlay.empty(snapshot, START))
        rates = Table("events", "a second", title=f"replay of {EVENTS:,}, pages of {READ_LIMIT}")
        met = [_met(f"user-{number % 1000:05d}", number * 7) for number in range(EVENTS)]
        for name, events in (("new videos", list(upserts(0, EVENTS))), ("interactions", met)):
            started = time.perf_counter()
            _applied(replay, bare, events)
            rates.add_row(name, f"{EVENTS / (time.perf_counter() - started):,.0f}")
        console.print(rates)
        costs = Table(
            "user met since the bundle",
            "vector, ms",
            "list of 20, ms",
            title=f"p50 and p99 of {ROUNDS}, {VIDEOS:,} videos",
            caption=machine(),
        )
        for count in HISTORIES:
            view = _applied(replay, bare, [_met("user-00000", number) for number in range(count)])
            request = Request(now=0.0, user_id=UserId("user-00000"))
            vector = _times(partial(represent, view, request))
            listed = _times(partial(recommend, view, request))
            costs.add_row(f"{count:,}", vector, listed)
        console.print(costs)


def _met(user_id: str, number: int) -> Event:
    return InteractionRecorded(
        user_id=user_id,
        video_id=f"video-{number % VIDEOS:07d}",
        kind="like",
        timestamp=1.8e9,
        recorded_at=1.8e9,
    )


def _applied(replay: Replay, view: View, events: Sequence[Event]) -> View:
    """Return `view` after `events`, whose encoding is not the replica's work but its reading is."""
    entries = [Entry(Place(EPOCH, n).position, encode(event)) for n, event in enumerate(events, 1)]
    for start in range(0, len(entries), READ_LIMIT):
        view = replay.apply(view, entries[start : start + READ_LIMIT]).view
    return view


def _times(call: Callable[[], object]) -> str:
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call()
        took.append((time.perf_counter() - started) * 1000)
    p50, p99 = np.percentile(took, [50, 99])
    return f"{p50:.2f}, {p99:.2f}"


if __name__ == "__main__":
    main()
