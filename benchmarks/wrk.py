"""Asks a server for lists by wrk, on a core of its own, and says what came of it."""

import os
import re
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.machine import cpu_seconds
from benchmarks.planting import USERS
from benchmarks.server import Client

K: Final = 20
SERVER_CORE, CLIENT_CORE = 0, 1
SCRIPT: Final = Path(__file__).with_name("users.lua")


class Load(NamedTuple):
    """What wrk saw: requests a second, milliseconds, and CPU milliseconds of the server each."""

    rate: float
    p50: float
    p99: float
    cpu: float


def pin(pid: int) -> None:
    """Keep all threads of a process on one core, so that its rate is that of one core."""
    if os.cpu_count() == 1:
        return
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {SERVER_CORE})


def loaded(
    client: Client, connections: int, seconds: int, rate: float = 0, *, apart: bool = True
) -> Load:
    """Ask for lists of users at random: as fast as can be, or `rate` a second in all.

    `apart` keeps wrk on a core of its own.
    """
    before = cpu_seconds(client.pid)
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s"]
    # Slow is not lost: p99 tells of it.
    command += [
        "--timeout=10s",
        "--latency",
        f"--script={SCRIPT}",
        f"http://127.0.0.1:{client.port}",
        "--",
    ]
    command += [str(USERS), str(K), str(1000 * connections / rate if rate else 0)]
    if apart and os.cpu_count() != 1:
        command = ["taskset", "--cpu-list", str(CLIENT_CORE), *command]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(f"not all requests were answered:\n{told}")
    counted = int(said(r"(\d+) requests in", told))
    return Load(
        rate=float(said(r"Requests/sec:\s+([\d.]+)", told)),
        p50=_milliseconds(said(r"\n +50% +(\S+)", told)),
        p99=_milliseconds(said(r"\n +99% +(\S+)", told)),
        cpu=1000 * (cpu_seconds(client.pid) - before) / counted,
    )


def said(pattern: str, text: str) -> str:
    """Return what the group of `pattern` found in `text`.

    Raises:
        RuntimeError: nothing.
    """
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"nothing says {pattern}:\n{text}")
    return found[1]


def _milliseconds(text: str) -> float:
    number, unit = said(r"^([\d.]+)", text), said(r"([a-z]+)$", text)
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]
