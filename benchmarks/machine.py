"""Names the machine that a figure was measured on."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Final

PACKAGES: Final = ("torch", "faiss-cpu", "fastapi", "uvicorn", "numpy")


def machine() -> str:
    """Return cores and how many were busy, threads, versions: a figure without it says nothing."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    busy = f"{os.cpu_count()} cores ({os.getloadavg()[0]:.1f} busy before)"
    threads = f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}"
    return (
        f"{busy}, {platform.machine()}, {threads}, Python {platform.python_version()}, {packages}"
    )


def cpu_seconds(pid: int) -> float:
    """Return what a process has used of the cores, all of its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_in_mib(pid: int) -> dict[str, float]:
    """Return what the kernel says of the memory of a process, in MiB, by its names: Rss, Pss."""
    told = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    sizes = re.findall(r"^(\w+):\s+(\d+) kB$", told, re.MULTILINE)
    return {name: int(kib) / 1024 for name, kib in sizes}
