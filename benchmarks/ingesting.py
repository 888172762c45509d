"""Prints what of the fusion network's own rate is left through HTTP, in every form of numbers.

One service process with a SQLite log, two batches under way at any time, every one fsynced, fused
and visible before it is answered. Beside it, in a process of one thread, `Fuser.fuse` alone on the
same features. `python -m benchmarks.ingesting` or `make bench` runs it.
"""

import argparse
import base64
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

from benchmarks.machine import cpu_seconds, machine
from benchmarks.planting import SAMPLE, Floats, made_up, plant
from benchmarks.record import record
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


# How numbers are written, as JSON of six decimals or as base64 of a type, and how they are sent.
FORMS: Final = (
    ("JSON", "batches"),
    ("float32", "batches"),
    ("float16", "batches"),
    ("float16", "import"),
)
BYTES: Final = {"float32": "<f4", "float16": "<f2"}


class Batch(NamedTuple):
    """Bodies to send, without ids, and the features of one of them: name to (N, F)."""

    features: dict[str, Floats]
    size: int
    form: str

    def body(self, number: int) -> bytes:
        """Return the JSON of this batch, its videos named after `number`."""
        return f'{{"videos":[{",".join(self.rows(number))}]}}'.encode()

    def rows(self, number: int) -> Iterator[str]:
        """Yield the JSON of each video."""
        texts = {name: _texts(matrix, self.form) for name, matrix in self.features.items()}
        for row in range(self.size):
            told = ",".join(f'"{name}":{text[row]}' for name, text in texts.items())
            yield f'{{"video_id":"b{number}-{row}","features":{{{told}}}}}'


def main() -> None:
    """Measure every case and print the table."""
    table = Table(
        "features, hidden layers",
        "numbers as",
        "bytes a video",
        "videos a batch",
        "Fuser.fuse alone, videos a second",
        "through HTTP (least to most)",
        "share",
        "CPU a video, alone and through HTTP, µs",
        title=f"bulk ingest, {SENDERS} batches under way",
        caption=machine(),
    )
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="a file of figures that these are written into")
    file, figures = parser.parse_args().json, dict[str, str]()
    for name, widths, hidden in CASES:
        with tempfile.TemporaryDirectory() as scratch:
            for row in _case(Path(scratch), widths, hidden):
                case = f"{name}: {sum(widths.values())}, {hidden}"
                table.add_row(case, *row)
                figures[f"{case}, {row[0]}"] = f"{row[5]} of the bare network; {row[6]} µs of CPU"
    Console(soft_wrap=True, highlight=False).print(table)
    record(file, "ingest", figures)


def _case(
    scratch: Path, widths: Mapping[Modality, int], hidden: tuple[int, ...]
) -> Iterator[tuple[str, ...]]:
    folder = plant(scratch / "bundles", videos=2000, widths=widths, hidden=hidden)
    fuser = Fuser(read_bundle(folder))
    for form, way in FORMS:
        batch = _batch(widths, form)
        rows = [{name: m[row] for name, m in batch.features.items()} for row in range(batch.size)]
        alone = batch.size / median(_seconds(partial(fuser.fuse, rows)) for _ in range(ROUNDS))
        begun = time.thread_time()
        fuser.fuse(rows)
        alone_cpu = (time.thread_time() - begun) / batch.size
        send, body = (_send, batch.body) if way == "batches" else (_import, _lines(batch))
        bodies = iter([body(number) for number in range(BATCHES * (ROUNDS + 1))])
        home = scratch / f"{form}-{way}"
        home.mkdir()
        with event_log("sqlite", home) as url, running_server(folder.parent, url) as client:
            rates, used = list[float](), 0.0
            for number in range(ROUNDS + 1):
                these = [next(bodies) for _ in range(BATCHES)]
                took = _seconds(partial(send, client, these))
                if number:  # the first round warms up
                    rates.append(BATCHES * batch.size / took)
                else:
                    used = cpu_seconds(client.pid)
            used = cpu_seconds(client.pid) - used
        yield (
            f"{form}, {way}",
            f"{len(these[0]) / batch.size:,.0f}",
            f"{batch.size}",
            f"{alone:,.0f}",
            f"{median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})",
            f"{median(rates) / alone:.2f}",
            f"{1e6 * alone_cpu:.0f}, {1e6 * used / (ROUNDS * BATCHES * batch.size):.0f}",
        )


def _batch(widths: Mapping[Modality, int], form: str) -> Batch:
    """Return a batch as large as a body may be."""
    features = made_up(LARGEST_BATCH, np.random.default_rng(0), widths)
    whole = Batch(features, LARGEST_BATCH, form)
    size = min(LARGEST_BATCH, LARGEST_BATCH * LARGEST_BODY // len(whole.body(1_000_000)))
    return Batch({name: matrix[:size] for name, matrix in features.items()}, size, form)


def _texts(matrix: Floats, form: str) -> list[str]:
    if form == "JSON":
        return [json.dumps(row) for row in matrix.astype(float).round(6).tolist()]
    rows = (base64.b64encode(row.tobytes()).decode() for row in matrix.astype(BYTES[form]))
    return [f'{{"dtype":"{form}","data":"{row}"}}' for row in rows]


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


def _lines(batch: Batch) -> Callable[[int], bytes]:
    return lambda number: "".join(f"{row}\n" for row in batch.rows(number)).encode()


def _import(client: Client, bodies: list[bytes]) -> None:
    """Send `bodies` as one; it must be taken whole."""
    path, body = "/v1/videos:import", b"".join(bodies)
    status, answer = client.ask("POST", path, body, kind="application/x-ndjson")
    told = json.loads(answer.splitlines()[-1])
    if status != 200 or told["accepted"] != body.count(b"\n"):  # noqa: PLR2004
        raise RuntimeError(f"{status} {answer[-200:]!r}")


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
