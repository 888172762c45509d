"""Keeps figures in a JSON file, a section a subject, and draws docs/benchmarks.md from it.

`python -m benchmarks.record docs/benchmarks.json` writes the page and its picture beside the file.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.machine import machine

PICTURE: Final = "images/serving.png"
SOAKED: Final = "images/soak.png"
GOALS: Final = {"1e5": 0.65, "1e6": 0.5}
# Sections of which the page has a plain table, and their titles.
OTHERS: Final = {
    "fusion": "Fusion",
    "ingest": "Bulk ingest",
    "soak": "A soak",
    "event loop": "What holds the event loop",
    "processes": "Several processes behind one port",
}


def record(file: Path | None, section: str, figures: Mapping[str, Any]) -> None:
    """Put `figures` into a `section` of the JSON `file`, beside what is there; None is no file."""
    if file is None:
        return
    told: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    told[section] = {**told.get(section, {}), **figures, "machine": machine()}
    file.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


def main(file: Path) -> None:
    """Write the page and the picture from the figures in `file`."""
    told = json.loads(file.read_text("utf-8"))
    serving = {size: one for size, one in told["serving"].items() if size != "machine"}
    _draw(serving, file.parent / PICTURE)
    page = "\n".join([HEAD, *_serving(serving), *_others(told)])
    file.with_suffix(".md").write_text(page, "utf-8")


HEAD: Final = """# Benchmarks

Written by `python -m benchmarks.record docs/benchmarks.json`; the figures are those that
`make bench FIGURES=docs/benchmarks.json` measured last. How each is measured, and how to read it:
[benchmarks/README.md](../benchmarks/README.md). How the service came to be as fast:
[performance.md](performance.md).
"""
SERVING: Final = f"""## Lists, against a bare endpoint

One process on one core, wrk on the other; 20 videos for known users who have seen 300, a third of
the nearest ones. The ceiling is a FastAPI endpoint that returns the same typed reply, always the
same one, and does nothing else.

![Share of the ceiling by size]({PICTURE})
"""
COLUMNS: Final = (
    "videos",
    "index",
    "of the ceiling",
    "lists a second / ceiling",
    "CPU ms each / ceiling",
    "p99 ms at 70 % load / ceiling",
    "recall@20",
    "with 200 arrivals a second",
    "loop over 2 ms late at 70 % load / ceiling",
    "boot, s",
    "own MiB",
)


def _serving(serving: Mapping[str, Any]) -> list[str]:
    lines = [SERVING, f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for one in serving.values():
        low, high = one["spread"]
        lines.append(
            f"| {one['videos']:,} | {one['kind']} "
            f"| **{one['ratio']:.2f}** ({low:.2f} to {high:.2f}) "
            f"| {one['rate']:,.0f} / {one['ceiling_rate']:,.0f} "
            f"| {one['cpu']:.3f} / {one['ceiling_cpu']:.3f} "
            f"| {one['p99']:.1f} / {one['ceiling_p99']:.1f} ({one['p99_ratio']:.1f} times) "
            f"| {one['recall@20']:.3f} | {one['beside']:.2f} of the rate "
            f"| {one['late']:.0%} / {one['ceiling_late']:.0%} | {one['boot']:.1f} "
            f"| {one['own']:.0f} |"
        )
    machines = dict.fromkeys(one["machine"] for one in serving.values())
    return [*lines, "", *machines, ""]


def _others(told: Mapping[str, Any]) -> list[str]:
    lines = []
    for section, title in OTHERS.items():
        if section not in told:
            continue
        figures = {name: value for name, value in told[section].items() if name != "machine"}
        lines += [f"## {title}", "", "| measured | figure |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in figures.items()]
        lines += ["", told[section]["machine"], ""]
        if section == "soak":
            lines += [f"![Memory and latency over time]({SOAKED})", ""]
    return lines


def _draw(serving: Mapping[str, Any], file: Path) -> None:
    """Draw bars of the share of the ceiling, with its spread and the goals."""
    figure, axes = plt.subplots(figsize=(6, 3.2), dpi=110)
    sizes, shares = list(serving), [one["ratio"] for one in serving.values()]
    errors = [
        [one["ratio"] - one["spread"][0] for one in serving.values()],
        [one["spread"][1] - one["ratio"] for one in serving.values()],
    ]
    axes.bar(sizes, shares, yerr=errors, color="#4c72b0", width=0.6, capsize=4)
    for place, size in enumerate(sizes):
        if size in GOALS:
            axes.hlines(GOALS[size], place - 0.4, place + 0.4, colors="#c44e52", linestyles="--")
    axes.set_ylim(0, 1)
    axes.set_xlabel("videos")
    axes.set_ylabel("share of the ceiling")
    axes.set_title("Lists a second, against a bare endpoint (dashes: goals)", fontsize=10)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
    plt.close(figure)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
