"""Prints what another process of a group takes in memory, and how long its replacement takes.

The same bundle served by one, two and three processes behind one port (`serve --processes`), asked
for lists by wrk, on all cores. `python -m benchmarks.sharing` runs it; `--cache FOLDER` keeps the
planted bundles, `--json FILE` writes the figures down.
"""

import argparse
import os
import re
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine, memory_in_mib
from benchmarks.record import record
from benchmarks.server import Client, running_server
from benchmarks.serving import planted
from benchmarks.wrk import loaded

SIZES: Final = (100_000, 1_000_000)
GROUPS: Final = (1, 2, 3)
SECONDS: Final = 5
# Of a kernel that spreads connections by chance: enough for a fair share to each process.
CONNECTIONS: Final = 64
PATIENCE_SECONDS: Final = 60


class Taken(NamedTuple):
    """What so many processes take together: MiB, lists a second, seconds to be whole again."""

    videos: int
    processes: int
    memory: float
    rate: float
    whole_again: float


def main() -> None:
    """Measure each size and group and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, nargs="+", default=SIZES)
    parser.add_argument("--cache", type=Path, help="where planted bundles are kept")
    parser.add_argument("--json", type=Path, help="a file of figures that these are written into")
    chosen = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for videos in chosen.videos:
            bundles = planted(chosen.cache or Path(scratch), videos)
            found += [
                _measure(bundles, f"sqlite:///{scratch}/{videos}-{processes}.db", videos, processes)
                for processes in GROUPS
            ]
    Console(soft_wrap=True, highlight=False).print(_table(found))
    record(chosen.json, "processes", _told(found))


def _measure(bundles: Path, log: str, videos: int, processes: int) -> Taken:
    with running_server(bundles, log, processes=str(processes)) as service:
        _whole(service, processes)
        rate = loaded(service, CONNECTIONS, SECONDS, apart=False).rate
        # Of each its own, and its part of what it shares: nothing counts twice.
        everyone = service.pid, *_children(service.pid)
        memory = sum(memory_in_mib(pid)["Pss"] for pid in everyone)
        whole_again = 0.0
        if processes > 1:
            victim = _children(service.pid)[-1]
            os.kill(victim, signal.SIGKILL)
            started = time.perf_counter()
            while victim in _children(service.pid):
                time.sleep(0.01)
            _whole(service, processes)
            whole_again = time.perf_counter() - started
        return Taken(videos, processes, memory, rate, whole_again)


def _whole(service: Client, processes: int) -> None:
    """Wait until all are ready.

    Raises:
        RuntimeError: they are not within a minute.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        # A connection of its own each time: one may be to who is gone.
        told = Client(service.port, service.pid, 0).ask("GET", "/metrics")[1].decode()
        if len(re.findall(r"^reco_ready\S* 1\.0$", told, re.MULTILINE)) == processes:
            return
        time.sleep(0.02)
    raise RuntimeError(f"{processes} processes are not ready")


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _table(found: Sequence[Taken]) -> Table:
    table = Table(
        "videos",
        "processes",
        "MiB together",
        "more than with one fewer",
        "lists a second",
        "whole again after a kill, s",
        title="processes behind one port",
        caption=machine(),
    )
    for place, one in enumerate(found):
        before = found[place - 1].memory if one.processes > 1 else 0.0
        table.add_row(
            f"{one.videos:,}",
            str(one.processes),
            f"{one.memory:.0f}",
            f"{one.memory - before:.0f}" if before else "",
            f"{one.rate:,.0f}",
            f"{one.whole_again:.1f}" if one.whole_again else "",
        )
    return table


def _told(found: Sequence[Taken]) -> dict[str, float]:
    """Return figures of the groups by what they are of."""
    told: dict[str, float] = {}
    for one in found:
        of = f"{one.videos:,} videos, {one.processes} processes"
        told[f"{of}: MiB together"] = round(one.memory)
        told[f"{of}: lists a second"] = round(one.rate)
        if one.whole_again:
            told[f"{of}: seconds to be whole again after a kill"] = round(one.whole_again, 1)
    return told


if __name__ == "__main__":
    main()
