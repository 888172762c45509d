"""Prints how long those who are let in wait when three times as much is asked as can be done.

An open loop of lists from one client, at 0.7 and at 3 times what a busy closed loop gets, in turn.
`python -m benchmarks.overload` or `make bench` runs it, in a minute.
"""

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from benchmarks.planting import USERS, plant
from benchmarks.pool import Pool
from benchmarks.server import event_log, running_server
from benchmarks.wrk import CLIENT_CORE, SERVER_CORE

VIDEOS: Final = 10_000
LOADS: Final = (0.7, 3.0)
ROUNDS: Final = 3
SECONDS: Final = 6
# The first second of each load is not counted: the line fills up, connections are made.
WARM_UP: Final = 1
# Kept open, as a proxy does; more than the server lets in, so that some always meet a refusal.
CONNECTIONS: Final = 256
# Closed loops that keep the server busy and never fill its places.
BUSY: Final = 16
SERVED, REFUSED = 200, 503
HOST: Final = "127.0.0.1"


class Seen(NamedTuple):
    """Seconds of those served and refused, how late the client was, and how long all took."""

    served: list[float]
    refused: list[float]
    late: list[float]
    seconds: float


def main() -> None:
    """Measure capacity, then each load in turn, and print the table."""
    with (
        tempfile.TemporaryDirectory() as folder,
        event_log("sqlite", Path(folder)) as url,
        running_server(plant(Path(folder) / "bundles", videos=VIDEOS).parent, url) as server,
    ):
        _pin(server.pid)
        capacity = asyncio.run(_busy(server.port))
        runs: dict[float, list[Seen]] = {load: [] for load in LOADS}
        for seed in range(ROUNDS):
            for load in LOADS:
                runs[load].append(asyncio.run(_loaded(server.port, load * capacity, seed)))
    calm, storm = ([_p99(run.served) for run in runs[load]] for load in LOADS)
    ratios = [high / low for low, high in zip(calm, storm, strict=True)]
    table = Table(
        "asked, of capacity",
        "served a second",
        "refused",
        "p50, ms",
        "p99, ms (least to most)",
        "refusal p99, ms",
        "client late p99, ms",
        title=f"capacity {capacity:.0f} lists of 20 a second; {ROUNDS} runs of {SECONDS} s each",
        caption=f"p99 of those let in at {LOADS[1]:g}x over that at {LOADS[0]:g}x: "
        f"{np.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})\n{machine()}",
    )
    for load in LOADS:
        table.add_row(f"{load:g}", *_shown(runs[load]))
    Console(soft_wrap=True, highlight=False).print(table)


def _pin(pid: int) -> None:
    """Give server and client a core each, where there are two."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {SERVER_CORE})
        os.sched_setaffinity(0, {CLIENT_CORE})


async def _busy(port: int) -> float:
    """Return how many lists a second busy closed loops get."""
    until = time.perf_counter() + SECONDS
    counted = time.perf_counter() + WARM_UP
    done = 0

    async def ask(pool: Pool, number: int) -> None:
        nonlocal done
        while (now := time.perf_counter()) < until:
            answer = await pool.ask("GET", _path(number))
            _expect(answer.status == SERVED, answer)
            number += BUSY
            done += now >= counted

    async with Pool(port) as pool:
        await asyncio.gather(*(ask(pool, number) for number in range(BUSY)))
    return done / (SECONDS - WARM_UP)


async def _loaded(port: int, rate: float, seed: int) -> Seen:
    """Send `rate` requests a second, whether or not earlier ones are answered."""
    loop = asyncio.get_running_loop()
    seen = Seen([], [], [], SECONDS - WARM_UP)
    users = np.random.default_rng(seed).integers(USERS, size=int(rate * SECONDS)).tolist()
    idle: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        _, made = await loop.create_connection(lambda: _Connection(idle, seen), HOST, port)
        idle.put_nowait(made)
    started = time.perf_counter()
    for number, user in enumerate(users):
        due = started + number / rate
        # Behind or not, what has come is read before more is sent.
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        (await idle.get()).ask(_path(user), due, counts=number >= rate * WARM_UP)
    until = time.perf_counter() + SECONDS
    while len(seen.late) > len(seen.served) + len(seen.refused):
        _expect(time.perf_counter() < until, "some were never answered")
        await asyncio.sleep(0.01)
    return seen


class _Connection(asyncio.Protocol):
    """One request at a time: an answer is noted in `seen`, and the connection is idle again.

    Streams would cost as much as the server's refusal does.
    """

    def __init__(self, idle: "asyncio.Queue[_Connection]", seen: Seen) -> None:
        self._idle, self._seen = idle, seen
        self._came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def ask(self, path: str, due: float, *, counts: bool) -> None:
        self._sent, self._counts = time.perf_counter(), counts
        if counts:
            self._seen.late.append(self._sent - due)
        self._transport.write(f"GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, end, body = self._came.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or -1)
        if not end or len(body) < length:
            return
        took, status, self._came = time.perf_counter() - self._sent, int(head[9:12]), b""
        _expect(length >= 0 and status in {SERVED, REFUSED}, head)
        if self._counts:
            (self._seen.served if status == SERVED else self._seen.refused).append(took)
        self._idle.put_nowait(self)


def _path(number: int) -> str:
    return f"/v1/users/user-{number % USERS:05d}/recommendations?k=20"


def _expect(good: bool, answer: Any) -> None:  # noqa: FBT001
    if not good:
        raise RuntimeError(f"{answer}")


def _p99(seconds: list[float]) -> float:
    return float(np.percentile(seconds, 99)) if seconds else 0.0


def _shown(runs: list[Seen]) -> list[str]:
    p50 = np.median([np.percentile(run.served, 50) for run in runs]) * 1000
    p99s = np.array([_p99(run.served) for run in runs]) * 1000
    served = np.median([len(run.served) / run.seconds for run in runs])
    share = np.median([len(run.refused) / len(run.late) for run in runs])
    return [
        f"{served:.0f}",
        f"{share:.0%}",
        f"{p50:.1f}",
        f"{np.median(p99s):.1f} ({p99s.min():.1f} to {p99s.max():.1f})",
        f"{np.median([_p99(run.refused) for run in runs]) * 1000:.1f}",
        f"{np.median([_p99(run.late) for run in runs]) * 1000:.1f}",
    ]


if __name__ == "__main__":
    main()
