"""Prints how long a new video takes to be visible, here and on another replica, under load.

An open loop from one client: 200 new videos and 50 lists a second, whether or not earlier ones are
answered; times count from when a request was due. `python -m benchmarks.arriving` or `make bench`
runs it.
"""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from benchmarks.planting import USERS, made_up, plant
from benchmarks.pool import Pool
from benchmarks.server import event_log, running_server

ARRIVALS: Final = 200
READS: Final = 50
SECONDS: Final = 10
SEEDS: Final = (0, 1, 2)
# The first second of each run warms connections up and is not counted.
WARM_UP: Final = 1
VIDEOS: Final = 2000


class Times(NamedTuple):
    """Seconds of each request, by what was asked, and how many arrivals a second were met.

    `late` is how late the client's own timer was: what the machine adds, whatever is asked.
    """

    here: list[float]
    elsewhere: list[float]
    reads: list[float]
    late: list[float]
    achieved: float


def main() -> None:
    """Measure each log and print the table."""
    table = Table(
        "event log",
        "from PUT to",
        "p50, ms",
        "p99, ms (least to most)",
        "most, ms",
        "arrivals a second",
        title=f"{ARRIVALS} arrivals and {READS} lists a second, {len(SEEDS)} runs of {SECONDS} s",
        caption=machine(),
    )
    for kind, replicas in (("sqlite", 1), ("redis", 1), ("redis", 2)):
        runs = [_measure(kind, replicas, seed) for seed in SEEDS]
        achieved = f"{min(run.achieved for run in runs):.0f}"
        name = f"{kind}, {replicas} replica{'s' * (replicas > 1)}"
        table.add_row(name, "visible here", *_shown([run.here for run in runs]), achieved)
        if replicas > 1:
            elsewhere = _shown([run.elsewhere for run in runs])
            table.add_row("", "visible on the other replica", *elsewhere, achieved)
        table.add_row("", "a list of 20", *_shown([run.reads for run in runs]), "")
        table.add_row("", "(the client's timer)", *_shown([run.late for run in runs]), "")
    Console(soft_wrap=True, highlight=False).print(table)


def _measure(kind: str, replicas: int, seed: int) -> Times:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bundles = plant(Path(folder) / "bundles", videos=VIDEOS).parent
        url = stack.enter_context(event_log(kind, Path(folder)))
        servers = [stack.enter_context(running_server(bundles, url)) for _ in range(replicas)]
        return asyncio.run(_load([server.port for server in servers], seed))


async def _load(ports: list[int], seed: int) -> Times:
    rng = np.random.default_rng(seed)
    arrivals = ARRIVALS * (SECONDS + WARM_UP)
    features = made_up(arrivals, rng)
    bodies = [
        json.dumps(
            {"features": {m: rows[n].astype(float).tolist() for m, rows in features.items()}}
        )
        for n in range(arrivals)
    ]
    users = rng.integers(USERS, size=READS * (SECONDS + WARM_UP))
    times = Times([], [], [], [], 0.0)
    async with Pool(ports[0]) as here, Pool(ports[-1]) as elsewhere:

        async def arrive(number: int, due: float) -> None:
            path = f"/v1/videos/new-{number}"
            answer = await here.ask("PUT", path, bodies[number].encode())
            # The answer comes once the video can be recommended here; a header says where not.
            _expect(answer.status == 201 and "x-degraded" not in answer.headers, answer)  # noqa: PLR2004
            times.here.append(time.perf_counter() - due)
            if len(ports) > 1:
                position = json.loads(answer.body)["position"]
                answer = await elsewhere.ask("GET", f"{path}?min_position={position}")
                _expect(answer.status == 200, answer)  # noqa: PLR2004
                times.elsewhere.append(time.perf_counter() - due)

        async def read(number: int, due: float) -> None:
            path = f"/v1/users/user-{users[number]:05d}/recommendations?k=20"
            answer = await elsewhere.ask("GET", path)
            _expect(answer.status == 200, answer)  # noqa: PLR2004
            times.reads.append(time.perf_counter() - due)

        started = time.perf_counter()
        late = await asyncio.gather(
            _every(1 / ARRIVALS, arrivals, arrive), _every(1 / READS, len(users), read)
        )
        achieved = arrivals / (time.perf_counter() - started)
        # One of them is asked for, lest the header alone be believed.
        shown = await here.ask("GET", f"/v1/videos/new-{arrivals - 1}")
        _expect(shown.status == 200, shown)  # noqa: PLR2004
    return Times(
        times.here[ARRIVALS * WARM_UP :],
        times.elsewhere[ARRIVALS * WARM_UP :],
        times.reads[READS * WARM_UP :],
        late[0][ARRIVALS * WARM_UP :],
        achieved,
    )


async def _every(
    seconds: float, count: int, request: Callable[[int, float], Awaitable[None]]
) -> list[float]:
    """Make `count` requests, each when it is due, and wait for all; return how late each was."""
    started = time.perf_counter()
    under_way, late = [], []
    for number in range(count):
        due = started + number * seconds
        await asyncio.sleep(due - time.perf_counter())
        late.append(time.perf_counter() - due)
        under_way.append(asyncio.ensure_future(request(number, due)))
    await asyncio.gather(*under_way)
    return late


def _expect(good: bool, answer: Any) -> None:  # noqa: FBT001
    if not good:
        raise RuntimeError(f"{answer}")


def _shown(runs: list[list[float]]) -> tuple[str, str, str]:
    p50 = np.median([np.percentile(run, 50) for run in runs]) * 1000
    p99s = np.array([np.percentile(run, 99) for run in runs]) * 1000
    spread = f"{np.median(p99s):.1f} ({p99s.min():.1f} to {p99s.max():.1f})"
    return f"{p50:.1f}", spread, f"{max(map(max, runs)) * 1000:.0f}"


if __name__ == "__main__":
    main()
