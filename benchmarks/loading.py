"""Prints what a large data set costs to load and to train on for one epoch: time and memory.

The set is made up and lies in a temporary folder. Making, loading and training are processes of
their own, so that the peak of one says nothing of another. `python -m benchmarks.loading` or
`make bench` runs it; `--interactions` takes one size or more.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

# As in the service: one thread, so that figures of two machines can be compared.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine

SMALL: Final = 2_000_000
MEBIBYTE: Final = 1 << 20
# A user has 20 interactions, a video 200.
PER_USER, PER_VIDEO = 20, 200
# Full ranking for so many; for everybody it would take longer than all the rest.
JUDGED: Final = 1000
# Every step moves all vectors, so that small steps would take most of an epoch for themselves.
SETTINGS: Final = ("max_epochs=1", "batch_size=65536", "negatives=64")


class Ran(NamedTuple):
    """What a finished process printed, and its peak of resident memory in bytes."""

    output: str
    peak: int


def main() -> None:
    """Measure every size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interactions", type=int, nargs="+", default=[SMALL])
    table = Table(
        "interactions",
        "step",
        "seconds",
        "peak, MiB",
        "bytes each",
        title=f"loading, and one epoch with {', '.join(SETTINGS)}; {JUDGED} users judged",
        caption=machine(),
    )
    for count in parser.parse_args().interactions:
        with tempfile.TemporaryDirectory() as scratch:
            for cells in _rows(count, Path(scratch)):
                table.add_row(f"{count:,}", *cells)
    Console(soft_wrap=True, highlight=False).print(table)


def _rows(count: int, scratch: Path) -> Iterator[tuple[str, ...]]:
    """Make a set of `count` interactions in `scratch`, load it, train on it."""
    folder, run = scratch / "set", scratch / "run"
    sizes = (count, count // PER_USER, count // PER_VIDEO, JUDGED)
    run_module("benchmarks.large_set", folder, *sizes)
    load = run_module("benchmarks.load", folder)
    yield (
        "load",
        f"{float(load.output):.1f}",
        *_memory(load, run_module("training.data.folder"), count),
    )
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    fit = run_module(
        "training", "fit", folder, "--out", scratch / "bundles", "--run", run, *settings
    )
    epoch = json.loads((run / "epochs.jsonl").read_text())["seconds"]
    yield "epoch", f"{epoch:.1f}", *_memory(fit, run_module("training", "--help"), count)


def _memory(ran: Ran, bare: Ran, count: int) -> tuple[str, str]:
    """Return the cells of a peak: whole, and what exceeds a `bare` process, which only imports."""
    return f"{ran.peak / MEBIBYTE:.0f}", f"{(ran.peak - bare.peak) / count:.0f}"


def run_module(module: str, *arguments: object) -> Ran:
    """Run `module` to its end in a process of its own.

    Raises:
        RuntimeError: it failed.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with tempfile.TemporaryFile() as output:
        files = [(os.POSIX_SPAWN_DUP2, output.fileno(), 1)]
        child = os.posix_spawn(sys.executable, command, os.environ, file_actions=files)
        # The usage of this child: that of all children would keep the largest so far.
        status, usage = os.wait4(child, 0)[1:]
        output.seek(0)
        said = output.read().decode()
    if status:
        raise RuntimeError(f"{module} ended with {os.waitstatus_to_exitcode(status)}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Ran(said, usage.ru_maxrss * unit)


if __name__ == "__main__":
    main()
