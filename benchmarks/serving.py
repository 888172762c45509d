"""Prints what share of the least a web framework can do is left with real recommendations.

The service and a bare endpoint with the same reply, one process each on one core, wrk on the other,
in turn. `python -m benchmarks.serving` or `make bench` runs it; `--videos 1000000 --cache FOLDER`
for larger catalogs, `--json FILE` writes the figures down.
"""

import argparse
import json
import os
import re
import subprocess
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

from benchmarks.machine import machine
from benchmarks.planting import USERS, made_up, plant
from benchmarks.record import record
from benchmarks.server import Client, running, running_server
from models.bundle.reader import Bundle, list_bundle_ids, read_bundle

SIZES: Final = (10_000, 100_000)
SEEN: Final = 300
K: Final = 20
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
SERVER_CORE, CLIENT_CORE = 0, 1
TICK: Final = os.sysconf("SC_CLK_TCK")
MEBIBYTE: Final = 1 << 20
SCRIPT: Final = Path(__file__).with_name("users.lua")


class Load(NamedTuple):
    """What wrk saw: requests a second, milliseconds, and CPU milliseconds of the server each."""

    rate: float
    p50: float
    p99: float
    cpu: float


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
            bundles = _planted((chosen.cache or Path(scratch)) / f"serving-{videos}", videos)
            log = f"sqlite:///{scratch}/events-{videos}.db"
            found.append(_measure(bundles, log, chosen.rounds, chosen.seconds))
    Console(soft_wrap=True, highlight=False).print(_table(found))
    record(chosen.json, "serving", _told(found))


def _measure(bundles: Path, log: str, rounds: int, seconds: int) -> Figures:
    command = [sys.executable, "-m", "benchmarks.ceiling"]
    with running(command, {}) as ceiling, running_server(bundles, log) as service:
        for one in (ceiling, service):
            _pin(one.pid)
            _loaded(one, BUSY_CONNECTIONS, 2)
        busy = [
            (
                _loaded(service, BUSY_CONNECTIONS, seconds),
                _loaded(ceiling, BUSY_CONNECTIONS, seconds),
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
                    calm[-1].append(_loaded(one, CALM_CONNECTIONS, seconds, LOAD * rate))
        bundle = read_bundle(bundles / list_bundle_ids(bundles)[0])
        recall = _recall(service, bundle)  # before anything arrives
        beside, arrived = [], list[float]()
        for _ in range(rounds):
            alone = _loaded(service, BUSY_CONNECTIONS, seconds).rate
            with _arriving(service.port, arrived):
                beside.append(_loaded(service, BUSY_CONNECTIONS, seconds).rate / alone)
        ratios = sorted(mine.rate / bare.rate for mine, bare in busy)
        resident, own = _memory(service.pid)
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


def _planted(folder: Path, videos: int) -> Path:
    if not list_bundle_ids(folder):
        folder.mkdir(parents=True, exist_ok=True)
        plant(folder, videos=videos, seen_each=SEEN, seen_near=True)
    return folder


def _pin(pid: int) -> None:
    """Keep all threads of a process on one core, so that its rate is that of one core."""
    if os.cpu_count() == 1:
        return
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {SERVER_CORE})


def _loaded(client: Client, connections: int, seconds: int, rate: float = 0) -> Load:
    """Ask for lists of users at random: as fast as can be, or `rate` a second in all."""
    before = _cpu(client.pid)
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s"]
    # Slow is not lost: p99 tells of it.
    command += [
        "--timeout=10s",
        "--latency",
        f"--script={SCRIPT}",
        f"http://127.0.0.1:{client.port}",
        "--",
    ]
    command += [str(USERS), str(K), str(1000 * connections / rate if rate else 0)]
    if os.cpu_count() != 1:
        command = ["taskset", "--cpu-list", str(CLIENT_CORE), *command]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(f"not all requests were answered:\n{told}")
    counted = int(_said(r"(\d+) requests in", told))
    return Load(
        rate=float(_said(r"Requests/sec:\s+([\d.]+)", told)),
        p50=_milliseconds(_said(r"\n +50% +(\S+)", told)),
        p99=_milliseconds(_said(r"\n +99% +(\S+)", told)),
        cpu=1000 * (_cpu(client.pid) - before) / counted,
    )


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
        float(_said(rf'reco_event_loop_lag_seconds_bucket{{le="{bound}"}} (\S+)', told))
        for bound in (r"\+Inf", r"0\.002")
    )
    return whole, in_time


@contextmanager
def _arriving(port: int, arrived: list[float]) -> Iterator[None]:
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


def _said(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"wrk did not say {pattern}:\n{text}")
    return found[1]


def _milliseconds(text: str) -> float:
    number, unit = _said(r"^([\d.]+)", text), _said(r"([a-z]+)$", text)
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def _cpu(pid: int) -> float:
    """Return the CPU seconds that a process has used, in user code and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _memory(pid: int) -> tuple[float, float]:
    """Return resident MiB of a process, and those that it shares with no file."""
    told = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    sizes = {name: int(kib) for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", told, re.MULTILINE)}
    return sizes["Rss"] / 1024, sizes["Anonymous"] / 1024


def _recall(client: Client, bundle: Bundle) -> float:
    """Return which share of the exact lists of users the service gives, seen videos left out."""
    shares = []
    for row in np.linspace(0, USERS - 1, JUDGED).astype(int).tolist():
        scores = bundle.videos @ bundle.users[row]
        starts = bundle.seen_starts
        scores[np.asarray(bundle.seen_videos[starts[row] : starts[row + 1]])] = -np.inf
        exact = {bundle.video_ids[place] for place in np.argsort(-scores, kind="stable")[:K]}
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
