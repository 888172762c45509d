"""Prints what training steps cost as interactions grow, and what a second process gains.

Made-up sets in a temporary folder, a process for each figure. `python -m benchmarks.training_scale`
runs it; `--plot FILE` draws peak memory against interactions.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

# As in the service: one thread a process, so that two processes are twice as many.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks.loading import JUDGED, PER_USER, PER_VIDEO, run_module
from benchmarks.machine import machine

SIZES: Final = (200_000, 2_000_000)
STEPS: Final = 4
LIGHT_GCN: Final = 'model="metammf-lightgcn"'
DRAWN: Final = "neighbours=[10, 5]"
WAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "features, all embeddings": ('optimiser="dense"',),
    "features, rows": ('optimiser="rows"',),
    "LightGCN, whole graph": (LIGHT_GCN,),
    "LightGCN, neighbours 10, 5": (LIGHT_GCN, DRAWN, 'optimiser="rows"'),
}
# The set, and the ways, whose steps one process and two take in turn.
SHARED: Final = 2_000_000
TOGETHER: Final[Mapping[str, tuple[str, ...]]] = {
    "features, rows, batch 2,048": ('optimiser="rows"', "batch_size=2048"),
    "the same, layers 1024, 512, 256": (
        'optimiser="rows"',
        "batch_size=2048",
        "hidden_dims=[1024, 512, 256]",
    ),
    "features, rows, batch 16,384": ('optimiser="rows"', "batch_size=16384"),
    "LightGCN, whole graph, batch 2,048": (LIGHT_GCN, "batch_size=2048"),
    "LightGCN, neighbours, batch 2,048": (LIGHT_GCN, DRAWN, 'optimiser="rows"', "batch_size=2048"),
    "LightGCN, neighbours, batch 16,384": (
        LIGHT_GCN,
        DRAWN,
        'optimiser="rows"',
        "batch_size=16384",
    ),
}
ROUNDS: Final = 3
TEAM: Final = ("--standalone", "--nproc-per-node=2", "-m", "--", "benchmarks.steps")

Figures = dict[str, Any]


def main() -> None:
    """Measure every size and way, then the team, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interactions", type=int, nargs="*", default=SIZES)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--no-team", action="store_true")
    asked = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False)
    if asked.interactions:
        console.print(_growth(asked.interactions, asked.plot, Console(stderr=True)))
    if not asked.no_team:
        headers = ("way", "alone, s", "two, s", "speed-up", "CPU s alone", "CPU s of each")
        table = Table(*headers, title="one process and two", caption=machine())
        for cells in _shared():
            table.add_row(*cells)
        console.print(table)


def _growth(sizes: Sequence[int], plot: Path | None, progress: Console) -> Table:
    headers = ("interactions", "way", "step, s", "all vectors, s", "peak, MiB")
    table = Table(*headers, title="steps as interactions grow", caption=machine())
    peaks: dict[str, list[tuple[int, float]]] = {way: [] for way in WAYS}
    for count in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            for way, figures in _grown(count, Path(scratch) / "set"):
                peak = figures["peak"]
                peaks[way].append((count, peak))
                times = f"{figures['step']:.3f}", f"{figures['vectors']:.2f}"
                cells = f"{count:,}", way, *times, f"{peak:.0f}"
                progress.print(*cells, highlight=False)
                table.add_row(*cells)
    if plot is not None:
        _draw(peaks, plot)
    return table


def _grown(count: int, folder: Path) -> Iterator[tuple[str, Figures]]:
    _make(count, folder)
    for way, settings in WAYS.items():
        ran = run_module("benchmarks.steps", folder, STEPS, *settings)
        yield way, json.loads(ran.output)


def _make(count: int, folder: Path) -> None:
    sizes = (count, count // PER_USER, count // PER_VIDEO, JUDGED)
    run_module("benchmarks.large_set", folder, *sizes)


def _shared() -> Iterator[tuple[str, ...]]:
    """Let one process and two take the same steps, in turn; the fastest of each counts."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "set"
        _make(SHARED, folder)
        for way, settings in TOGETHER.items():
            alone, two = [], []
            for _ in range(ROUNDS):
                one = run_module("benchmarks.steps", folder, STEPS, *settings)
                both = run_module("torch.distributed.run", *TEAM, folder, STEPS, *settings)
                alone.append(json.loads(one.output))
                two.append(json.loads(both.output))
            wall = [min(one["step"] for one in some) for some in (alone, two)]
            work = [min(one["cpu"] for one in some) for some in (alone, two)]
            times = (*wall, wall[0] / wall[1], *work)
            yield way, *(f"{figure:.3f}" for figure in times)


def _draw(peaks: Mapping[str, list[tuple[int, float]]], file: Path) -> None:
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for (way, points), marker in zip(peaks.items(), "osD^", strict=True):
        axes.loglog(*zip(*points, strict=True), marker=marker, label=way)
    axes.set(xlabel="interactions", ylabel="peak memory, MiB")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_minor_formatter("{x:,.0f}")
    axes.grid(which="both", alpha=0.3)
    axes.legend(frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
