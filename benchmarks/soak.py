"""Keeps a service at work for half an hour and prints what became of its memory and its answers.

Lists at 60 % of what it can do, arrivals and feedback beside, a bundle swapped halfway. `python -m
benchmarks.soak --json FILE` runs it and draws the picture beside the file.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from benchmarks.planting import USERS, made_up, plant
from benchmarks.record import record
from benchmarks.server import Client, running_server
from benchmarks.serving import BUSY_CONNECTIONS, CALM_CONNECTIONS, SEEN, memory_of
from benchmarks.wrk import loaded
from models.bundle.reader import list_bundle_ids, read_current_id
from models.bundle.writer import make_current

VIDEOS: Final = 100_000
MINUTES: Final = 30.0
PART_SECONDS: Final = 20
LOAD: Final = 0.6
# So many videos arrive a second, again and again the same ones with other features: what has to be
# kept stays the same.
ARRIVALS: Final = 20
ARRIVING: Final = 2000
LIKES: Final = 10
JSON: Final = {"content-type": "application/json"}


class Part(NamedTuple):
    """One stretch: minutes since the start, milliseconds, MiB, and the bundle that answered."""

    minute: float
    rate: float
    p99: float
    resident: float
    own: float
    bundle_id: str


def main() -> None:
    """Keep it at work and tell of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--videos", type=int, default=VIDEOS)
    parser.add_argument("--json", type=Path, help="a file of figures that these are written into")
    chosen = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False)
    with tempfile.TemporaryDirectory() as scratch:
        bundles = Path(scratch) / "bundles"
        for _ in range(2):
            plant(bundles, videos=chosen.videos, seen_each=SEEN, seen_near=True)
        newest, other = list_bundle_ids(bundles)
        make_current(bundles, other)
        with running_server(bundles, f"sqlite:///{scratch}/events.db") as service:
            parts, written = _soaked(service, bundles, newest, chosen.minutes, console)
    steady = [part for part in parts if part.minute > chosen.minutes / 3]
    slope = float(np.polyfit([p.minute for p in steady], [p.own for p in steady], 1)[0])
    told = {
        "minutes": chosen.minutes,
        "lists": round(sum(part.rate for part in parts) * PART_SECONDS),
        "writes": written,
        "errors": 0,
        "own MiB": [round(parts[0].own), round(steady[0].own), round(parts[-1].own)],
        "own MiB an hour, of the last two thirds": round(60 * slope, 1),
        "p99 ms": [round(min(p.p99 for p in parts), 1), round(max(p.p99 for p in parts), 1)],
        "bundles": list(dict.fromkeys(part.bundle_id for part in parts)),
        "machine": machine(),
    }
    table = Table("what", "figure", title="a soak", caption=machine())
    for what, figure in told.items():
        table.add_row(what, str(figure))
    console.print(table)
    record(chosen.json, "soak", told)
    if chosen.json is not None:
        _draw(parts, chosen.json.parent / "images/soak.png")


def _soaked(
    service: Client, bundles: Path, newest: str, minutes: float, console: Console
) -> tuple[list[Part], int]:
    """Return what was seen in each part, and how many writes were taken.

    Raises:
        RuntimeError: a request failed, or the new bundle was not served.
    """
    rate = LOAD * loaded(service, BUSY_CONNECTIONS, PART_SECONDS).rate
    parts: list[Part] = []
    started = time.monotonic()
    with _written(service.port) as written:
        while (passed := (time.monotonic() - started) / 60) < minutes:
            if passed > minutes / 2 and read_current_id(bundles) != newest:
                make_current(bundles, newest)
            load = loaded(service, CALM_CONNECTIONS, PART_SECONDS, rate)
            resident, own = memory_of(service.pid)
            # A connection of its own: one that was idle for so long is closed by now.
            asked = Client(service.port, service.pid, 0)
            bundle_id = asked.get("/v1/model")["bundle_id"]
            parts.append(Part(passed, load.rate, load.p99, resident, own, bundle_id))
            console.print(f"minute {passed:.1f}: {parts[-1]}")
    if parts[-1].bundle_id != newest:
        raise RuntimeError(f"still {parts[-1].bundle_id}, not {newest}")
    return parts, sum(written)


@contextmanager
def _written(port: int) -> Iterator[list[int]]:
    """Send arrivals and likes until the block ends; count them in the list that is yielded.

    Raises:
        RuntimeError: one was refused.
    """
    ended, written = threading.Event(), [0]

    def send() -> None:
        rng, connection = np.random.default_rng(0), HTTPConnection("127.0.0.1", port, timeout=30)
        due = time.monotonic()
        for second in count():
            if ended.is_set():
                return
            for path, body in (
                ("/v1/videos:batch", _arrivals(second, rng)),
                ("/v1/interactions", _likes(rng)),
            ):
                connection.request("POST", path, json.dumps(body), JSON)
                answer = connection.getresponse()
                told = json.loads(answer.read())
                results = told.get("results", [])
                if answer.status >= 300 or any(one["status"] >= 300 for one in results):  # noqa: PLR2004
                    raise RuntimeError(f"{path}: {answer.status} {told}")
                written[0] += sum(map(len, body.values()))
            due += 1
            ended.wait(due - time.monotonic())

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        try:
            yield written
        finally:
            ended.set()
            sending.result()


def _arrivals(second: int, rng: np.random.Generator) -> dict[str, Any]:
    features = made_up(ARRIVALS, rng)
    first = second * ARRIVALS
    return {
        "videos": [
            {
                "video_id": f"new-{(first + place) % ARRIVING}",
                "features": {
                    name: {"dtype": "float32", "data": b64encode(rows[place].tobytes()).decode()}
                    for name, rows in features.items()
                },
            }
            for place in range(ARRIVALS)
        ]
    }


def _likes(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "interactions": [
            {
                "user_id": f"user-{rng.integers(USERS):05d}",
                "video_id": f"video-{rng.integers(VIDEOS // 10):07d}",
                "kind": "like",
            }
            for _ in range(LIKES)
        ]
    }


def _draw(parts: list[Part], file: Path) -> None:
    """Draw memory and latency over time."""
    figure, (memory, latency) = plt.subplots(2, figsize=(7, 4.4), dpi=110, sharex=True)
    minutes = [part.minute for part in parts]
    memory.plot(minutes, [part.own for part in parts], color="#4c72b0")
    memory.set_ylabel("own MiB")
    memory.set_ylim(bottom=0)
    latency.plot(minutes, [part.p99 for part in parts], color="#dd8452")
    latency.set_ylabel("p99, ms")
    latency.set_ylim(bottom=0)
    latency.set_xlabel("minutes")
    first = parts[0].bundle_id
    swapped = next((part.minute for part in parts if part.bundle_id != first), None)
    for axes in (memory, latency):
        axes.spines[["top", "right"]].set_visible(False)
        if swapped is not None:
            axes.axvline(swapped, color="#888888", linestyle="--", linewidth=1)
    figure.tight_layout()
    figure.savefig(file)
    plt.close(figure)


if __name__ == "__main__":
    main()
