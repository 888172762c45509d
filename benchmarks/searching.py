"""Prints what arrivals since the bundle cost a list of recommendations, against none.

In this process and one thread: `recommend` for users who have seen 100 videos, k = 20, over a base
with an inverted file and over an exact one, with and without arrivals, all in turn.
`python -m benchmarks.searching` or `make bench` runs it; `--videos 1000000` for a large base, which
`--cache FOLDER` keeps.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from benchmarks.planting import USERS, plant, scattered
from eventlog.events import VideoUpserted
from eventlog.position import START, Position
from models.bundle.reader import list_bundle_ids, read_bundle
from models.ids import UserId
from service.catalog.edit import Edit, Feedback, Fused
from service.catalog.overlay import Overlay
from service.catalog.snapshot import Snapshot
from service.catalog.view import View
from service.recommend.recommender import recommend
from service.recommend.request import Request
from service.settings import Settings

VIDEOS: Final = 300_000
EXACT: Final = 50_000
ARRIVALS: Final = 100_000
PAGE: Final = 512
K: Final = 20
ROUNDS: Final = 300


def main() -> None:
    """Measure both kinds of base and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=VIDEOS)
    parser.add_argument("--arrivals", type=int, default=ARRIVALS)
    parser.add_argument("--cache", type=Path)
    chosen = parser.parse_args()
    table = Table(
        "base",
        "arrivals",
        "a list, median ms",
        "p99, ms",
        "against",
        title=f"recommend, k={K}, 100 seen, {ROUNDS} users",
        caption=machine(),
    )
    with tempfile.TemporaryDirectory() as scratch:
        root = chosen.cache or Path(scratch)
        base = _view(root, chosen.videos, exact=False)
        exact = _view(root, EXACT, exact=True)
        views = [
            base,
            _with_arrivals(base, chosen.arrivals),
            _view(root, EXACT + chosen.arrivals, exact=True),
            _with_arrivals(exact, chosen.arrivals),
        ]
        times = _times(views)
        for place, (view, took) in enumerate(zip(views, times, strict=True)):
            manifest = view.snapshot.manifest
            table.add_row(
                f"{manifest.index.kind}, nprobe {manifest.index.nprobe}: {manifest.videos:,}",
                f"{view.overlay.delta.count:,}",
                f"{median(took):.2f}",
                f"{np.percentile(took, 99):.2f}",
                f"{median(took) / median(times[place - 1]):.2f} times" if place % 2 else "",
            )
    Console(soft_wrap=True, highlight=False).print(table)


def _view(root: Path, videos: int, *, exact: bool) -> View:
    folder = root / f"{'exact' if exact else 'ivf'}-{videos}"
    if not list_bundle_ids(folder):
        folder.mkdir(parents=True, exist_ok=True)
        plant(folder, videos=videos, exact=exact)
    snapshot = Snapshot(read_bundle(folder / list_bundle_ids(folder)[0]))
    return View(snapshot, Overlay.empty(snapshot, START))


def _with_arrivals(view: View, count: int) -> View:
    """Return `view` with `count` arrivals, placed as the base's videos are."""
    settings = Settings()
    feedback = Feedback(settings.kind_weights, settings.history_limit)
    vectors = scattered(count, np.random.default_rng(2))
    for start in range(0, count, PAGE):
        edit = Edit(view.snapshot, view.overlay, feedback)
        for number, vector in enumerate(vectors[start : start + PAGE], start):
            event = VideoUpserted(video_id=f"new-{number}", features={}, metadata={}, recorded_at=0)
            edit.apply(event, Fused(vector, number))
        view = View(view.snapshot, edit.finish(Position(f"{start}")))
    return view


def _times(views: list[View]) -> list[list[float]]:
    """Return the milliseconds of a list for each of many users, for each of `views`, in turn."""
    took: list[list[float]] = [[] for _ in views]
    for number in range(-10, ROUNDS):  # the first ones are not counted
        user = UserId(f"user-{number % USERS:05d}")
        for view, times in zip(views, took, strict=True):
            started = time.perf_counter()
            recommend(view, Request(now=0.0, k=K, user_id=user))
            if number >= 0:
                times.append((time.perf_counter() - started) * 1000)
    return took


if __name__ == "__main__":
    main()
