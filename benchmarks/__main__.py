"""Prints what this machine makes of the product, as one table. `make bench` runs it."""

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

# As in the service: one thread, so that a ratio compares two ways and not two thread pools.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.server import Client, running_server
from models.fusion import OUTPUT_SCALE, MetaFusion
from models.meta_layer import LowRankMetaLayer
from training.config import FitConfig
from training.data.dataset import Dataset
from training.data.synthetic import make_synthetic
from training.evaluate import evaluate
from training.export import export
from training.loop import Fitted, fit

PUTS: Final = 200
REQUESTS: Final = 2000
FUSIONS: Final = 10
# Enough for a bundle of the true sizes; what it has learnt does not matter here.
CONFIG: Final = FitConfig(max_epochs=2)
PACKAGES: Final = ("torch", "faiss-cpu", "fastapi", "uvicorn", "numpy")


class Measure(NamedTuple):
    """What was measured, and what came out."""

    subject: str
    figures: str


def main() -> None:
    """Measure everything and print the table."""
    console = Console(soft_wrap=True, highlight=False)
    table = Table("measured", "figures", title="benchmarks", caption=_machine(), show_lines=True)
    dataset = make_synthetic(videos=2000, users=1000, seed=0)
    fitted = fit(dataset, CONFIG)
    with tempfile.TemporaryDirectory() as folder:
        bundles = Path(folder) / "bundles"
        metrics = evaluate(dataset, "test", fitted.users, fitted.videos)
        export(fitted, dataset, CONFIG, bundles, metrics=metrics, seed=0)
        with running_server(bundles, Path(folder) / "events.db") as client:
            measures = [_recommendations(client, dataset), _puts(client, dataset)]
    measures.append(_fusion(fitted, dataset))
    for measure in measures:
        table.add_row(*measure)
    console.print(table)


def _machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cores = f"{os.cpu_count()} cores ({os.getloadavg()[0]:.1f} busy before)"
    return f"{cores}, {platform.machine()}, Python {platform.python_version()}, {packages}"


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


def _fusion(fitted: Fitted, dataset: Dataset) -> Measure:
    """Fuse the catalog as we do, and by forming every video's own weight matrices."""
    fusion = fitted.fusion
    if fusion is None:
        raise RuntimeError("MetaMMF was fitted without a fusion network")
    torch.set_num_threads(1)
    present = torch.from_numpy(dataset.present)
    rows = fusion.standardise(torch.from_numpy(dataset.joined_features), present)
    with torch.no_grad():
        gap = (fusion(rows, present) - _explicit(fusion, rows, present)).abs().max().item()
        ours = _best_time(lambda: fusion(rows, present))
        theirs = _best_time(lambda: _explicit(fusion, rows, present))
    return Measure(
        f"fusing {dataset.videos} videos: our way against per-video weight matrices, one thread",
        f"{ours * 1000:.1f} ms against {theirs * 1000:.1f} ms: {theirs / ours:.0f} times faster, "
        f"largest difference {gap:.0e}",
    )


def _explicit(fusion: MetaFusion, rows: Tensor, present: Tensor) -> Tensor:
    """Return what `fusion` does, computed by the definition: (B, D)."""
    widths = torch.tensor(fusion.widths)
    inputs = torch.where(present.repeat_interleave(widths, dim=1), rows, fusion.missing)
    signal = fusion.signal(inputs)
    for depth, layer in enumerate(fusion.layers):
        if depth:
            inputs = torch.nn.functional.leaky_relu(inputs, 0.01)
        inputs = torch.bmm(inputs[:, None, :], _weights(layer, signal))[:, 0]
    return inputs * OUTPUT_SCALE


def _weights(layer: torch.nn.Module, signal: Tensor) -> Tensor:
    """Return every video's own weight matrix: (B, I, O)."""
    if not isinstance(layer, LowRankMetaLayer):
        raise TypeError(f"expected a meta layer, got {type(layer).__name__}")
    gates = signal @ layer.signal_factor.T
    return (layer.input_factor * gates[:, None, :]) @ layer.output_factor + layer.base


def _best_time(call: Callable[[], Tensor]) -> float:
    """Return the shortest of some runs: the one that others disturbed least."""
    took = []
    for _ in range(FUSIONS):
        started = time.perf_counter()
        call()
        took.append(time.perf_counter() - started)
    return min(took)


if __name__ == "__main__":
    main()
