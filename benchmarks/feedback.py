"""Prints how well vectors follow feedback without training: new users, known users, arrivals.

`python -m benchmarks feedback DATASET…` fits the default model on what each data set looked like
earlier, four times for each seed, and judges what the service makes of the rest.
"""

import argparse
import json
import os
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.following import (
    Judged,
    Side,
    Vectors,
    folded_newcomers,
    known_users,
    warmed_arrivals,
)
from benchmarks.machine import machine
from training.bootstrap import paired_difference
from training.config import configure, read_settings
from training.data.dataset import Dataset
from training.data.folder import read_dataset
from training.loop import fit

PARTS: Final = (
    ("new users, folded in", folded_newcomers, ("recall@20 overall", "ndcg@20 overall")),
    ("known users", known_users, ("recall@20 overall", "ndcg@20 overall")),
    (
        "arrivals by viewers revealed",
        warmed_arrivals,
        (
            "recall@20 cold",
            "recall@20 cold among cold",
            "recall@20 warm",
            "recall@20 overall",
        ),
    ),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every data set and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks feedback", description=__doc__)
    parser.add_argument("datasets", type=Path, nargs="+", metavar="DATASET")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", action="append", default=[], help="key=value of the model")
    parser.add_argument("--vectors", type=Path, help="keep vectors here, and fit none twice")
    parser.add_argument(
        "--choosing", action="store_true", help="judge what constants are chosen on"
    )
    chosen = parser.parse_args(arguments)
    settings = read_settings(None, chosen.set)
    side: Side = "choosing" if chosen.choosing else "telling"
    for folder in chosen.datasets:
        dataset = read_dataset(folder)
        for title, measure, columns in PARTS:
            runs = [
                list(
                    measure(dataset, partial(_vectors, chosen.vectors, settings, seed), seed, side)
                )
                for seed in chosen.seeds
            ]
            caption = f"seeds {chosen.seeds}, {chosen.set or 'defaults'}; {machine()}"
            table = _table(f"{dataset.name}: {title} ({side})", columns, runs, caption)
            Console(soft_wrap=True, highlight=False).print(table)


def _vectors(
    keep: Path | None, settings: dict[str, Any], seed: int, name: str, dataset: Dataset
) -> Vectors:
    """Fit `dataset`, or read what was fitted with these settings, which `keep` may hold."""
    told = zlib.crc32(json.dumps(settings, sort_keys=True).encode())
    file = None if keep is None else keep / f"{dataset.name}-{name}-{seed}-{told:08x}.npz"
    if file is not None and file.exists():
        with np.load(file) as held:
            return held["users"], held["videos"]
    fitted = fit(dataset, configure(settings), seed=seed)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, users=fitted.users, videos=fitted.videos)
    return fitted.users, fitted.videos


def _table(
    title: str, columns: Sequence[str], runs: Sequence[Sequence[Judged]], caption: str
) -> Table:
    """Set the seeds' `runs` together, row by row: means, deviations, gains over another row."""
    table = Table("", *columns, "gain, recall@20 overall", title=title, caption=caption)
    rows = list(zip(*runs, strict=True))
    recalls = {same[0].label: _mean_recalls(same) for same in rows}
    for same in rows:
        label, against = same[0].label, same[0].against
        cells = [_shown([run.figures.get(column) for run in same]) for column in columns]
        gain = "" if against is None else _gain(recalls[label], recalls[against])
        table.add_row(label, *cells, gain)
    return table


def _mean_recalls(same: Sequence[Judged]) -> Any:
    """Return each user's mean over the seeds that judged them: (U,), nan for the others."""
    recalls = np.stack([run.recalls for run in same])
    judged = ~np.isnan(recalls)
    total = np.where(judged, recalls, 0).sum(axis=0)
    return np.where(judged.any(axis=0), total / np.maximum(judged.sum(axis=0), 1), np.nan)


def _gain(ours: Any, theirs: Any) -> str:
    mean, low, high = paired_difference(ours, theirs, np.random.default_rng(0))
    share = 1 + mean / float(np.nanmean(theirs))
    return f"{mean:+.4f} [{low:+.4f}, {high:+.4f}], {share:.3f} times"


def _shown(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    spread = f" ± {np.std(known, ddof=1):.4f}" if len(known) > 1 else ""
    return f"{np.mean(known):.4f}{spread}"


if __name__ == "__main__":
    main()
