"""Prints what a search in Milvus costs against one in the bundle's own FAISS index.

The same bundle in both, in turn: searches one after the other in this process, then a service of
each with wrk. All of it runs in a network of its own, where a Milvus may listen as it likes.
`python -m benchmarks.engines` runs it; `--cache FOLDER` keeps planted bundles.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from threading import Event
from typing import Final, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import faiss
import numpy as np
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from benchmarks.machine import cpu_seconds, machine
from benchmarks.server import Client, running_server
from benchmarks.serving import BUSY_CONNECTIONS, planted, recall_of
from benchmarks.wrk import Load, loaded
from models.bundle.reader import Bundle, list_bundle_ids, read_bundle
from service.catalog.index import Index
from service.catalog.milvus.address import read_address
from service.catalog.milvus.engine import Engine
from service.catalog.milvus.index import MilvusIndex
from service.catalog.milvus.publishing import Publisher
from service.catalog.snapshot import Snapshot
from service.measures.engine import EngineMetrics
from tests.support.enclosed import raise_loopback
from tests.support.milvus import ENCLOSE, MilvusServer

VIDEOS: Final = 100_000
K: Final = 20
QUERIES: Final = 1000
SECONDS: Final = 5
ROUNDS: Final = 3
INSIDE: Final = "RECO_BENCHMARK_ENCLOSED"
# Threads that wait for an engine cost no core; with FAISS two are one more than the one core.
THREADS: Final = {"faiss": "2", "milvus": "16"}


class Searched(NamedTuple):
    """Searches one after the other: recall@K, and milliseconds of all and of this process's CPU."""

    recall: float
    p50: float
    p99: float
    cpu: float


def main() -> None:
    """Measure both and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=VIDEOS)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    chosen = parser.parse_args()
    if INSIDE not in os.environ:
        command = [*ENCLOSE, sys.executable, "-m", "benchmarks.engines", *sys.argv[1:]]
        sys.exit(subprocess.run(command, env={**os.environ, INSIDE: "1"}, check=False).returncode)
    raise_loopback()
    with (
        tempfile.TemporaryDirectory() as scratch,
        MilvusServer(Path(scratch), alone=True) as milvus,
    ):
        bundles = planted(chosen.cache or Path(scratch), chosen.videos)
        bundle = read_bundle(bundles / list_bundle_ids(bundles)[0])
        milvus.start()
        console = Console(soft_wrap=True, highlight=False)
        console.print(_searches(milvus, bundle))
        console.print(_services(milvus, bundles, bundle, chosen.rounds, chosen.seconds))


def _searches(milvus: MilvusServer, bundle: Bundle) -> Table:
    empty, started = milvus.resident, time.perf_counter()
    own = Snapshot(bundle).index
    engine = Engine(read_address(milvus.url), "", search_seconds=10)
    engine.connect()
    metrics = EngineMetrics(CollectorRegistry())
    index = MilvusIndex(engine, "searched", bundle.videos, own, metrics, on_failure=_fail)
    Publisher(engine, owner="benchmark", stopped=Event()).publish(index.content)
    index.available = True
    filled = time.perf_counter() - started
    _searched(index, bundle)
    table = Table(
        *("index", f"recall@{K}", "p50 ms", "p99 ms", "CPU ms here"),
        title=f"{QUERIES} searches in {len(bundle.videos):,} videos, one after the other",
        caption=f"Milvus {engine.version()}: filled and indexed in {filled:.0f} s, "
        f"{milvus.resident - empty:.0f} MiB more than {empty:.0f} MiB when empty",
    )
    for name, one in (("FAISS in the bundle", own), ("Milvus", index)):
        told = _searched(one, bundle)
        table.add_row(
            name, f"{told.recall:.3f}", f"{told.p50:.2f}", f"{told.p99:.2f}", f"{told.cpu:.2f}"
        )
    engine.drop("searched")
    engine.disconnect()
    return table


def _searched(index: Index, bundle: Bundle) -> Searched:
    queries = np.asarray(bundle.users[np.arange(QUERIES) % len(bundle.users)])
    truth = faiss.knn(queries, bundle.videos, K, faiss.METRIC_INNER_PRODUCT)[1]
    took, shares, cpu = [], [], time.process_time()
    for query, best in zip(queries, truth, strict=True):
        started = time.perf_counter()
        rows, scores = index.retrieve(query, index.refine * K)
        took.append(1000 * (time.perf_counter() - started))
        if index.refine > 1:
            scores = bundle.videos[rows] @ query
        shares.append(np.isin(best, rows[np.argsort(-scores)][:K]).mean())
    cpu = (time.process_time() - cpu) / QUERIES * 1000
    p50, p99 = np.percentile(took, [50, 99])
    return Searched(float(np.mean(shares)), p50, p99, cpu)


def _services(
    milvus: MilvusServer, bundles: Path, bundle: Bundle, rounds: int, seconds: int
) -> Table:
    table = Table(
        *("index", "lists a second", "of FAISS", "p50, p99 ms at half of that", f"recall@{K}"),
        *("CPU ms a list: service", "Milvus"),
        title=f"a service with {len(bundle.videos):,} videos, users who have seen 300, k={K}",
        caption=machine(),
    )
    with (
        tempfile.TemporaryDirectory() as logs,
        _serving(bundles, logs, "faiss") as own,
        _serving(bundles, logs, milvus.url) as there,
    ):
        _await_engine(there)
        sides = [("FAISS in the bundle", own), ("Milvus", there)]
        busy: dict[str, list[Load]] = {name: [] for name, _ in sides}
        used = []
        for _ in range(rounds):
            for name, side in sides:
                before = cpu_seconds(milvus.pid)
                busy[name].append(loaded(side, BUSY_CONNECTIONS, seconds))
                spent = cpu_seconds(milvus.pid) - before
            used.append(1000 * spent / (busy[name][-1].rate * seconds))
        first = median(load.rate for load in busy[sides[0][0]])
        for name, side in sides:
            rate = median(load.rate for load in busy[name])
            calm = loaded(side, BUSY_CONNECTIONS, seconds, rate / 2)
            table.add_row(
                name,
                f"{rate:,.0f}",
                f"{rate / first:.2f}",
                f"{calm.p50:.1f}, {calm.p99:.1f}",
                f"{recall_of(Client(side.port, side.pid, 0), bundle):.3f}",
                f"{median(load.cpu for load in busy[name]):.2f}",
                f"{median(used):.2f}" if side is there else "",
            )
    return table


@contextmanager
def _serving(bundles: Path, logs: str, index: str) -> Iterator[Client]:
    threads = THREADS["faiss" if index == "faiss" else "milvus"]
    log = f"sqlite:///{logs}/{threads}.db"
    settings = {"index": index, "worker_threads": threads, "index_timeout_seconds": "5"}
    with running_server(bundles, log, inspected_share="0", **settings) as client:
        yield client


def _await_engine(client: Client) -> None:
    """Return once the service has put its bundle into Milvus and is answered by it."""
    while b'reco_degraded{fault="index"} 0.0' not in client.ask("GET", "/metrics")[1]:
        time.sleep(0.5)


def _fail(_: object, fault: str) -> None:
    raise RuntimeError(fault)


if __name__ == "__main__":
    main()
