"""Prints what share of the least a web framework can do is left with real recommendations.

The service and a bare endpoint with the same reply, one process each on one core, wrk on the other,
in turn. `python -m benchmarks.serving` or `make bench` runs it; `--videos 1000000 --cache FOLDER`
for larger catalogs, `--json FILE` writes the figures down.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine, memory_in_mib
from benchmarks.planting import USERS, made_up, plant
from benchmarks.record import record
from benchmarks.server import Client, running, running_server
from benchmarks.wrk import K, Load, loaded, pin, said
from models.bundle.reader import Bundle, list_bundle_ids, read_bundle

SIZES: Final = (10_000, 100_000)
SEEN: Final = 300
ROUNDS: Final = 5
SECONDS: Final = 4
# Enough to keep one core busy; with so many more wrk only waits longer.
BUSY_CONNECTIONS: Final = 16
# Clients that think between two requests; so many that few are ever held up by another's.
CALM_CONNECTIONS: Final = 64
LOAD: Final = 0.7
JUDGED: Final = 300
ARRIVALS, BATCH = 200, 20
JSON: Final = {"content-type": "application/json"}


class Figures(NamedTuple):
    """One size: the service and the ceiling."""

    videos: int
    kind: str
    ratio: float
    spread: tuple[float, float]
    rate: float
    ceiling_rate: float
    cpu: float
    ceiling_cpu: float
    p50: float
    p99: float
    ceiling_p50: float
    ceiling_p99: float
    recall: float
    late: float
    ceiling_late: float
    boot: float
    beside: float
    arrivals: float
    resident: float
    own: float


def main() -> None:
    """Measure each size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--cache", type=Path, help="where planted bundles are kept")
    parser.add_argument("--json", type=Path, help="a file of figures that these are written into")
    chosen = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for videos in chosen.videos:
            bundles = planted(chosen.cache or Path(scratch), videos)
            log = f"sqlite:///{scratch}/events-{videos}.db"
            found.append(_measure(bundles, log, chosen.rounds, chosen.seconds))
    Console(soft_wrap=True, highlight=False).print(_table(found))
    record(chosen.json, "serving", _told(found))


def _measure(bundles: Path, log: str, rounds: int, seconds: int) -> Figures:
    command = [sys.executable, "-m", "benchmarks.ceiling"]
    with running(command, {}) as ceiling, running_server(bundles, log) as service:
        for one in (ceiling, service):
            pin(one.pid)
            loaded(one, BUSY_CONNECTIONS, 2)
        busy = [
            (
                loaded(service, BUSY_CONNECTIONS, seconds),
                loaded(ceiling, BUSY_CONNECTIONS, seconds),
            )
            for _ in range(rounds)
        ]
        rates = [median(each[side].rate for each in busy) for side in (0, 1)]
        calm: list[list[Load]] = []
        late: tuple[list[float], list[float]] = [], []
        for _ in range(rounds):
            calm.append([])
            for one, rate, found in zip((service, ceiling), rates, late, strict=True):
                with _looking(one, found):
                    calm[-1].append(loaded(one, CALM_CONNECTIONS, seconds, LOAD * rate))
        bundle = read_bundle(bundles / list_bundle_ids(bundles)[0])
        recall = recall_of(service, bundle)  # before anything arrives
        beside, arrived = [], list[float]()
        for _ in range(rounds):
            alone = loaded(service, BUSY_CONNECTIONS, seconds).rate
            with arriving(service.port, arrived):
                beside.append(loaded(service, BUSY_CONNECTIONS, seconds).rate / alone)
        ratios = sorted(mine.rate / bare.rate for mine, bare in busy)
        resident, own = memory_of(service.pid)
        return Figures(
            videos=bundle.manifest.videos,
            kind=f"{bundle.manifest.index.kind}, nprobe {bundle.manifest.index.nprobe}",
            ratio=median(ratios),
            spread=(ratios[0], ratios[-1]),
            rate=median(mine.rate for mine, _ in busy),
            ceiling_rate=median(bare.rate for _, bare in busy),
            cpu=median(mine.cpu for mine, _ in busy),
            ceiling_cpu=median(bare.cpu for _, bare in busy),
            p50=median(mine.p50 for mine, _ in calm),
            p99=median(mine.p99 for mine, _ in calm),
            ceiling_p50=median(bare.p50 for _, bare in calm),
            ceiling_p99=median(bare.p99 for _, bare in calm),
            recall=recall,
            late=median(late[0]),
            ceiling_late=median(late[1]),
            boot=service.ready_after,
            beside=median(beside),
            arrivals=median(arrived),
            resident=resident,
            own=own,
        )


def planted(root: Path, videos: int) -> Path:
    """Return a folder in `root` with a planted bundle of so many videos, an old one if there is."""
    folder = root / f"serving-{videos}"
    if not list_bundle_ids(folder):
        folder.mkdir(parents=True, exist_ok=True)
        plant(folder, videos=videos, seen_each=SEEN, seen_near=True)
    return folder


@contextmanager
def _looking(service: Client, late: list[float]) -> Iterator[None]:
    """Add to `late` which share of the looks within the block found the loop over 2 ms late."""
    before = _looks(service)
    yield
    looks, in_time = (after - was for after, was in zip(_looks(service), before, strict=True))
    late.append(1 - in_time / looks)


def _looks(service: Client) -> tuple[float, float]:
    """Return how often the event loop was looked at, and how often it was 2 ms late at most."""
    told = service.ask("GET", "/metrics")[1].decode()
    whole, in_time = (
        float(said(rf'reco_event_loop_lag_seconds_bucket{{le="{bound}"}} (\S+)', told))
        for bound in (r"\+Inf", r"0\.002")
    )
    return whole, in_time


@contextmanager
def arriving(port: int, arrived: list[float]) -> Iterator[None]:
    """Send ARRIVALS new videos a second, in batches, until the block ends.

    How many a second were taken is added to `arrived`: fewer, if the service is too busy.

    Raises:
        RuntimeError: one was refused.
    """
    ended = threading.Event()

    def send() -> float:
        rng, connection = np.random.default_rng(), HTTPConnection("127.0.0.1", port, timeout=20)
        started = due = time.monotonic()
        while not ended.is_set():
            connection.request("POST", "/v1/videos:batch", _batch(rng), JSON)
            answer = connection.getresponse()
            results = json.loads(answer.read())["results"]
            if any(one["status"] != 201 for one in results):  # noqa: PLR2004
                raise RuntimeError(f"{answer.status} {results}")
            due += BATCH / ARRIVALS
            ended.wait(due - time.monotonic())
        sent = (due - started) * ARRIVALS
        return sent / (time.monotonic() - started)

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        try:
            yield
        finally:
            ended.set()
            arrived.append(sending.result())


def _batch(rng: np.random.Generator) -> bytes:
    features = made_up(BATCH, rng)
    videos = [
        {
            "video_id": f"new-{rng.integers(1 << 62)}",
            "features": {
                name: {"dtype": "float32", "data": b64encode(rows[place].tobytes()).decode()}
                for name, rows in features.items()
            },
        }
        for place in range(BATCH)
    ]
    return json.dumps({"videos": videos}).encode()


def memory_of(pid: int) -> tuple[float, float]:
    """Return resident MiB of a process, and those that it shares with no file."""
    sizes = memory_in_mib(pid)
    return sizes["Rss"], sizes["Anonymous"]


def recall_of(client: Client, bundle: Bundle) -> float:
    """Return which share of the exact lists of users the service gives, seen videos left out."""
    shares = []
    for row in np.linspace(0, USERS - 1, JUDGED).astype(int).tolist():
        scores = bundle.videos @ bundle.users[row]
        starts = bundle.seen_starts
        scores[np.asarray(bundle.seen_videos[starts[row] : starts[row + 1]])] = -np.inf
        exact = {bundle.video_ids[place] for place in np.argpartition(scores, -K)[-K:]}
        # Connections that are idle are closed, and comparing 10⁷ videos takes seconds.
        asked = Client(client.port, client.pid, 0)
        answer = asked.get(f"/v1/users/{bundle.user_ids[row]}/recommendations?k={K}")
        shares.append(len(exact & {each["video_id"] for each in answer["recommendations"]}) / K)
    return float(np.mean(shares))


def _table(found: Sequence[Figures]) -> Table:
    table = Table(
        "videos",
        "index",
        "of the ceiling",
        "a second, service / ceiling",
        "CPU ms each, service / ceiling",
        f"p50, p99 ms at {LOAD:.0%} load, service / ceiling",
        "recall@20",
        f"with {ARRIVALS} arrivals a second (taken)",
        "loop over 2 ms late, service / ceiling",
        "boot, s",
        "resident MiB, of it own",
        title=f"lists of {K} for known users who have seen {SEEN}",
        caption=machine(),
    )
    for one in found:
        table.add_row(
            f"{one.videos:,}",
            one.kind,
            f"{one.ratio:.2f} ({one.spread[0]:.2f} to {one.spread[1]:.2f})",
            f"{one.rate:,.0f} / {one.ceiling_rate:,.0f}",
            f"{one.cpu:.3f} / {one.ceiling_cpu:.3f}",
            f"{one.p50:.1f}, {one.p99:.1f} / {one.ceiling_p50:.1f}, {one.ceiling_p99:.1f}",
            f"{one.recall:.3f}",
            f"{one.beside:.2f} ({one.arrivals:.0f})",
            f"{one.late:.0%} / {one.ceiling_late:.0%}",
            f"{one.boot:.1f}",
            f"{one.resident:.0f}, {one.own:.0f}",
        )
    return table


def _told(found: Sequence[Figures]) -> dict[str, Any]:
    """Return the figures by number of videos, as in 1e5."""
    return {
        f"{one.videos:.0e}".replace("e+0", "e"): {
            **one._asdict(),
            "recall@20": one.recall,
            "p99_ratio": one.p99 / one.ceiling_p99,
            "machine": machine(),
        }
        for one in found
    }


if __name__ == "__main__":
    main()
