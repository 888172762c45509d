"""Prints what of the fusion network's own rate is left through HTTP, in batches.

One service process with a SQLite log, two batches under way at any time, every one fsynced, fused
and visible before it is answered. Beside it, in a process of one thread, `Fuser.fuse` alone on the
same features. `python -m benchmarks.ingesting` or `make bench` runs it.
"""

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from benchmarks.planting import SAMPLE, Floats, made_up, plant
from benchmarks.server import Client, event_log, running_server
from models.bundle.reader import read_bundle
from models.modality import Modality
from service.catalog.fusing import Fuser

# What the service takes in one body, by default.
LARGEST_BODY: Final = 4 << 20
LARGEST_BATCH: Final = 1000
BATCHES: Final = 12
SENDERS: Final = 2
ROUNDS: Final = 5
# Widths of features and the hidden layers of the network: our default, and the paper's.
CASES: Final[tuple[tuple[str, Mapping[Modality, int], tuple[int, ...]], ...]] = (
    ("sample", SAMPLE, (64,)),
    ("tiktok", {"visual": 128, "acoustic": 128}, (64,)),
    ("movielens", {"visual": 2048, "acoustic": 128, "textual": 100}, (64,)),
    ("movielens", {"visual": 2048, "acoustic": 128, "textual": 100}, (1024, 512, 256)),
)


class Batch(NamedTuple):
    """Bodies to send, without ids, and the features of one of them: name to (N, F)."""

    features: dict[str, Floats]
    size: int

    def body(self, number: int) -> bytes:
        """Return the JSON of this batch, its videos named after `number`."""
        texts = {name: _texts(matrix) for name, matrix in self.features.items()}
        rows = (
            f'{{"video_id":"b{number}-{row}","features":{{'
            + ",".join(f'"{name}":{text[row]}' for name, text in texts.items())
            + "}}"
            for row in range(self.size)
        )
        return f'{{"videos":[{",".join(rows)}]}}'.encode()


def main() -> None:
    """Measure every case and print the table."""
    table = Table(
        "features, hidden layers",
        "videos a batch",
        "Fuser.fuse alone, videos a second",
        "through HTTP (least to most)",
        "share",
        title=f"bulk ingest, {SENDERS} batches under way",
        caption=machine(),
    )
    for name, widths, hidden in CASES:
        with tempfile.TemporaryDirectory() as scratch:
            table.add_row(
                f"{name}: {sum(widths.values())}, {hidden}", *_case(Path(scratch), widths, hidden)
            )
    Console(soft_wrap=True, highlight=False).print(table)


def _case(scratch: Path, widths: Mapping[Modality, int], hidden: tuple[int, ...]) -> Iterator[str]:
    batch = _batch(widths)
    folder = plant(scratch / "bundles", videos=2000, widths=widths, hidden=hidden)
    fuser = Fuser(read_bundle(folder))
    rows = [{name: m[row] for name, m in batch.features.items()} for row in range(batch.size)]
    alone = batch.size / median(_seconds(lambda: fuser.fuse(rows)) for _ in range(ROUNDS))
    bodies = iter([batch.body(number) for number in range(BATCHES * (ROUNDS + 1))])
    with event_log("sqlite", scratch) as url, running_server(folder.parent, url) as client:
        rates = []
        for number in range(ROUNDS + 1):
            these = [next(bodies) for _ in range(BATCHES)]
            took = _seconds(partial(_send, client, these))
            if number:  # the first round warms up
                rates.append(BATCHES * batch.size / took)
    yield f"{batch.size}"
    yield f"{alone:,.0f}"
    yield f"{median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
    yield f"{median(rates) / alone:.2f}"


def _batch(widths: Mapping[Modality, int]) -> Batch:
    """Return a batch as large as a body may be."""
    features = made_up(LARGEST_BATCH, np.random.default_rng(0), widths)
    whole = Batch(features, LARGEST_BATCH)
    size = min(LARGEST_BATCH, LARGEST_BATCH * LARGEST_BODY // len(whole.body(1_000_000)))
    return Batch({name: matrix[:size] for name, matrix in features.items()}, size)


def _texts(matrix: Floats) -> list[str]:
    return [json.dumps(row) for row in matrix.astype(float).round(6).tolist()]


def _send(client: Client, bodies: list[bytes]) -> None:
    """Send `bodies` over SENDERS connections; each must be taken whole."""
    waiting, failures = iter(bodies), list[str]()
    lock = threading.Lock()

    def sender() -> None:
        connection = Client(client.port, client.pid, 0)
        while True:
            with lock:
                body = next(waiting, None)
            if body is None:
                return
            status, answer = connection.ask("POST", "/v1/videos:batch", body)
            if status != 200 or answer.count(b'"status":201') != body.count(b"video_id"):  # noqa: PLR2004
                failures.append(f"{status} {answer[:200]!r}")

    threads = [threading.Thread(target=sender) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
