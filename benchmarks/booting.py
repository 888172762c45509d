"""Prints how long a replica takes from its start to ready, with arrivals in the log.

`python -m benchmarks.booting` or `make bench` runs it; `--arrivals` takes another number.
"""

import argparse
import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from benchmarks.planting import made_up, plant
from benchmarks.server import event_log, running_server
from eventlog.events import Event, VideoUpserted
from eventlog.log import open_event_log

ARRIVALS: Final = 100_000
AT_ONCE: Final = 1000
ROUNDS: Final = 3
VIDEOS: Final = 2000


def main() -> None:
    """Measure both logs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arrivals", type=int, default=ARRIVALS)
    arrivals = parser.parse_args().arrivals
    table = Table(
        "event log",
        "arrivals",
        "seconds to ready (least to most)",
        title=f"boot, {ROUNDS} times each",
        caption=machine(),
    )
    for kind in ("sqlite", "redis"):
        for count in (0, arrivals):
            took = _boots(kind, count)
            shown = f"{median(took):.1f} ({min(took):.1f} to {max(took):.1f})"
            table.add_row(kind, f"{count:,}", shown)
    Console(soft_wrap=True, highlight=False).print(table)


def _boots(kind: str, arrivals: int) -> list[float]:
    took = []
    with tempfile.TemporaryDirectory() as scratch, event_log(kind, Path(scratch)) as url:
        bundles = plant(Path(scratch) / "bundles", videos=VIDEOS).parent
        asyncio.run(_record(url, arrivals))
        for _ in range(ROUNDS):
            with running_server(bundles, url) as client:
                if client.get("/v1/model")["videos"] != VIDEOS + arrivals:
                    raise RuntimeError("it was ready before it had read the log")
                took.append(client.ready_after)
    return took


async def _record(url: str, arrivals: int) -> None:
    log = open_event_log(url)
    try:
        for start in range(0, arrivals, AT_ONCE):
            await log.append(list(upserts(start, min(start + AT_ONCE, arrivals))))
    finally:
        await log.close()


def upserts(start: int, end: int) -> Iterator[Event]:
    """Yield the events of new videos, numbered from `start` to before `end`."""
    features = made_up(end - start, np.random.default_rng(start))
    for row in range(end - start):
        raw = {name: matrix[row].tobytes() for name, matrix in features.items()}
        yield VideoUpserted(
            video_id=f"new-{start + row}", features=raw, metadata={}, recorded_at=1.8e9
        )


if __name__ == "__main__":
    main()
