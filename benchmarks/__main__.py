"""Prints what this machine makes of the product, as one table. `make bench` runs it.

`python -m benchmarks feedback DATASET…` measures how vectors follow feedback instead.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

# As in the service: one thread, so that a ratio compares two ways and not two thread pools.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import feedback
from benchmarks.machine import machine
from benchmarks.server import Client, running_server
from training.config import FitConfig
from training.data.dataset import Dataset
from training.data.synthetic import make_synthetic
from training.evaluate import evaluate, inner_products
from training.export import export
from training.loop import fit

PUTS: Final = 200
REQUESTS: Final = 2000
# Enough for a bundle of the true sizes; what it has learnt does not matter here.
CONFIG: Final = FitConfig(max_epochs=2)


class Measure(NamedTuple):
    """What was measured, and what came out."""

    subject: str
    figures: str


def main() -> None:
    """Measure everything and print the table."""
    console = Console(soft_wrap=True, highlight=False)
    table = Table("measured", "figures", title="benchmarks", caption=machine(), show_lines=True)
    dataset = make_synthetic(videos=2000, users=1000, seed=0)
    fitted = fit(dataset, CONFIG)
    with tempfile.TemporaryDirectory() as folder:
        bundles = Path(folder) / "bundles"
        metrics = evaluate(dataset, "test", inner_products(fitted.users, fitted.videos))
        export(fitted, dataset, CONFIG, bundles, metrics=metrics, seed=0)
        with running_server(bundles, f"sqlite:///{folder}/events.db") as client:
            measures = [_recommendations(client, dataset), _puts(client, dataset)]
    for measure in measures:
        table.add_row(*measure)
    console.print(table)


def _puts(client: Client, dataset: Dataset) -> Measure:
    """Time each PUT and the read that shows the video, one after the other."""
    rng = np.random.default_rng(0)
    took = []
    for number in range(PUTS):
        features = {
            name: rng.choice(matrix).astype(float).tolist()
            for name, matrix in dataset.features.items()
        }
        body = json.dumps({"features": features}).encode()
        started = time.perf_counter()
        status, answer = client.ask("PUT", f"/v1/videos/bench-{number}", body)
        if status != 201:  # noqa: PLR2004
            raise RuntimeError(f"PUT: {status} {answer[:200]!r}")
        client.get(f"/v1/videos/bench-{number}")
        took.append(time.perf_counter() - started)
    p50, p99 = np.percentile(took, [50, 99]) * 1000
    return Measure(
        f"from PUT to visible: {PUTS} new videos, each durable, then read back",
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
    )


def _recommendations(client: Client, dataset: Dataset) -> Measure:
    """Compare recommendations with the cheapest request there is, on the same connection."""
    paths = [f"/v1/users/{name}/recommendations?k=20" for name in dataset.user_ids]
    bare = _rate(client, ["/livez"])
    found = _rate(client, paths)
    return Measure(
        f"recommendations, k=20, against the cheapest request: {REQUESTS} of each, one client",
        f"{found:.0f} a second, /livez {bare:.0f} a second: {bare / found:.1f} times the time",
    )


def _rate(client: Client, paths: list[str]) -> float:
    for path in paths[:50]:
        client.get(path)
    started = time.perf_counter()
    for number in range(REQUESTS):
        client.get(paths[number % len(paths)])
    return REQUESTS / (time.perf_counter() - started)


if __name__ == "__main__":
    if sys.argv[1:2] == ["feedback"]:
        feedback.main(sys.argv[2:])
    else:
        main()
