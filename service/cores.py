"""How many cores this process may use: of the machine, by its affinity, by its cgroup."""

import os
from pathlib import Path
from typing import Final

ROOT: Final = Path("/")


def cores(root: Path = ROOT) -> float:
    """Return how many cores may be used, whole ones or a share; `root` is where /proc and /sys are.

    Of the cgroup and all above it the narrowest counts, of either version.
    """
    found = float(_by_affinity())
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        folder = root / "sys/fs/cgroup"
        if controllers and "cpu" not in controllers.split(","):
            continue
        # In a container the path may be that of the host, where there is nothing to read.
        above = [Path(path.lstrip("/")), *Path(path.lstrip("/")).parents]
        base = folder / "cpu" if controllers else folder
        found = min([found, *(_quota(base / place) for place in above)])
    return found


def _by_affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(folder: Path) -> float:
    quota, period = [
        *" ".join(_lines(folder / "cpu.max")).split(),
        *_lines(folder / "cpu.cfs_quota_us"),
        *_lines(folder / "cpu.cfs_period_us"),
        "max",
        "max",
    ][:2]
    if not (quota.isdigit() and period.isdigit() and int(period)):
        return float("inf")
    return int(quota) / int(period)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("ascii").splitlines()
    except OSError:
        return []
