"""Prints how long single callbacks hold the event loop while lists are asked for and videos arrive.

What the loop does between two looks for sockets adds up (`reco_event_loop_lag_seconds`); this tells
how long any one thing in it takes, and what an endpoint that does nothing has of that. `python -m
benchmarks.holding` runs it, in three minutes.
"""

import argparse
import asyncio
import os
import runpy
import signal
import sys
import tempfile
import time
from array import array
from asyncio.events import Handle
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from benchmarks.record import record
from benchmarks.server import Client, running
from benchmarks.serving import BUSY_CONNECTIONS, CALM_CONNECTIONS, LOAD, arriving, planted
from benchmarks.wrk import loaded, pin

SIZES: Final = (100_000, 1_000_000)
SECONDS: Final = 20
# Milliseconds that nothing is to take.
LIMIT: Final = 2.0
# Tells a child that it is one, and where to write.
WRITE_TO: Final = "HOLDING_WRITE_TO"
# A module that serves, watched.
WATCHED: Final = (sys.executable, "-m", "benchmarks.holding")
# So many kinds of callbacks are named.
WORST: Final = 3


class Held(NamedTuple):
    """Callbacks under one load: milliseconds of CPU and of the clock (N,), and the worst ones."""

    server: str
    load: str
    cpu: NDArray[np.float64]
    wall: NDArray[np.float64]
    worst: list[str]

    @property
    def over(self) -> int:
        """How many took more of the CPU than anything is to take."""
        return int((self.cpu > LIMIT).sum())


def main() -> None:
    """Measure each size without and with arrivals, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--cache", type=Path, help="where planted bundles are kept")
    parser.add_argument("--json", type=Path, help="a file of figures that these are written into")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = _bare(Path(scratch), chosen.seconds)
        for videos in chosen.videos:
            bundles = planted(chosen.cache or Path(scratch), videos)
            found += _measure(bundles, Path(scratch), videos, chosen.seconds)
    Console(soft_wrap=True, highlight=False).print(_table(found))
    record(chosen.json, "event loop", dict(map(_told, found)))


def _bare(scratch: Path, seconds: int) -> list[Held]:
    """Measure the endpoint that the service is held against: what is of framework and machine."""
    written = scratch / "held-bare.npz"
    with running([*WATCHED, "benchmarks.ceiling"], {WRITE_TO: str(written)}) as bare:
        pin(bare.pid)
        loaded(bare, BUSY_CONNECTIONS, 2)
        rate = LOAD * loaded(bare, BUSY_CONNECTIONS, 4).rate
        span = _calm(bare, seconds, rate)
    with np.load(written, allow_pickle=False) as told:
        return [_held("bare endpoint", "one reply", span, told)]


def _measure(bundles: Path, scratch: Path, videos: int, seconds: int) -> list[Held]:
    written = scratch / f"held-{videos}.npz"
    command = [*WATCHED, "service", "serve", "--port", "0"]
    command += ["--bundles", str(bundles), "--event-log", f"sqlite:///{scratch}/{videos}.db"]
    settings = {WRITE_TO: str(written), "RECO_LOG_LEVEL": "warning"}
    with running(command, settings) as service:
        pin(service.pid)
        loaded(service, BUSY_CONNECTIONS, 2)
        rate = LOAD * loaded(service, BUSY_CONNECTIONS, 4).rate
        spans = {"lists": _calm(service, seconds, rate)}
        with arriving(service.port, []):
            spans["lists, 200 arrivals a second"] = _calm(service, seconds, rate)
    with np.load(written, allow_pickle=False) as told:
        server = f"{videos:,} videos"
        return [_held(server, load, span, told) for load, span in spans.items()]


def _calm(service: Client, seconds: int, rate: float) -> tuple[float, float]:
    """Ask for `rate` lists a second, and return from when to when."""
    started = time.monotonic()
    loaded(service, CALM_CONNECTIONS, seconds, rate)
    return started, time.monotonic()


def _held(server: str, load: str, span: tuple[float, float], told: Any) -> Held:
    at, cpu, wall = told["at"], 1000 * told["cpu"], 1000 * told["wall"]
    within = (span[0] <= at) & (at <= span[1])
    cpu, wall, names = cpu[within], wall[within], told["names"][told["name"][within]]
    over = Counter(names[cpu > LIMIT].tolist())
    worst = [f"{name}: {count}" for name, count in over.most_common(WORST)]
    return Held(server, load, cpu, wall, worst)


def _table(found: Sequence[Held]) -> Table:
    table = Table(
        "server",
        f"at {LOAD:.0%} load",
        "callbacks",
        "CPU ms: p50, p99, p99.9, longest",
        "ms by the clock: the same",
        f"over {LIMIT:g} ms of CPU",
        "which",
        title="what holds the event loop (asyncio's own)",
        caption=machine(),
    )
    for one in found:
        table.add_row(
            one.server,
            one.load,
            f"{len(one.cpu):,}",
            _quantiles(one.cpu),
            _quantiles(one.wall),
            f"{one.over} ({one.over / len(one.cpu):.4%})",
            "; ".join(one.worst),
        )
    return table


def _quantiles(milliseconds: NDArray[np.float64]) -> str:
    return ", ".join(f"{value:.2f}" for value in np.percentile(milliseconds, [50, 99, 99.9, 100]))


def _told(one: Held) -> tuple[str, str]:
    return (
        f"{one.server}, {one.load}: one callback, p50, p99, p99.9, longest",
        f"{_quantiles(one.cpu)} ms of CPU; {one.over} of {len(one.cpu):,} over {LIMIT:g} ms",
    )


@contextmanager
def _watched(file: Path) -> Iterator[None]:
    """Write to `file`, at the end, when each callback within ended and how long it took."""
    at, cpu, wall, name = array("d"), array("d"), array("d"), array("i")
    names: dict[str, int] = {}
    run = Handle._run  # noqa: SLF001 - there is no other way to see every callback

    def watched(self: Any) -> None:
        told = names.setdefault(_name(self._callback), len(names))
        clock, own = time.perf_counter(), time.thread_time()
        run(self)
        cpu.append(time.thread_time() - own)
        wall.append(time.perf_counter() - clock)
        at.append(time.monotonic())
        name.append(told)

    Handle._run = watched  # type: ignore[method-assign] # noqa: SLF001
    try:
        yield
    finally:
        Handle._run = run  # type: ignore[method-assign] # noqa: SLF001
        np.savez(file, at=at, cpu=cpu, wall=wall, name=name, names=list(names))


def _name(callback: Any) -> str:
    """Return what a callback does: the coroutine of a task's step, else its own name."""
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return str(getattr(owner.get_coro(), "__qualname__", "task"))
    return str(getattr(callback, "__qualname__", callback))


def _serve() -> None:
    """Be a module that serves, on asyncio's own loop: of uvloop's nothing is seen from Python."""
    sys.modules["uvloop"] = None  # type: ignore[assignment]
    # Uvicorn raises the signal again once it has drained, and there is something to write yet.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    module = sys.argv.pop(1)
    with _watched(Path(os.environ[WRITE_TO])):
        runpy.run_module(module, run_name="__main__")


if __name__ == "__main__":
    if WRITE_TO in os.environ:
        _serve()
    else:
        main()
