"""How sure a difference between two systems is, over the users both were judged on."""

from typing import Final, NamedTuple

import numpy as np

from training.data.dataset import Floats

DRAWS: Final = 10_000
SHARE: Final = 0.95
# Draws made at once: bounds the index matrix to about 64 MiB.
CELLS: Final = 1 << 23


class Difference(NamedTuple):
    """A mean difference and its interval of SHARE."""

    mean: float
    low: float
    high: float


def paired_difference(first: Floats, second: Floats, rng: np.random.Generator) -> Difference:
    """Return the mean of `first - second`: (U,) each, nan for users who were not judged.

    The interval is the paired percentile bootstrap: users are drawn with replacement, each with
    what both systems made of them (Efron and Tibshirani, 1993).
    """
    gains = (first - second).astype(np.float64)
    gains = gains[~np.isnan(gains)]
    if not len(gains):
        return Difference(0.0, 0.0, 0.0)
    block = max(1, CELLS // len(gains))
    means = [
        gains[rng.integers(len(gains), size=(min(block, DRAWS - done), len(gains)))].mean(axis=1)
        for done in range(0, DRAWS, block)
    ]
    tail = (1 - SHARE) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Difference(float(gains.mean()), float(low), float(high))
