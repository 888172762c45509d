"""The axes along which vectors extend furthest: what to keep where fewer columns must do."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Floats, Rows

# Vectors summed up at once: bounds what is held in float64.
BLOCK: Final = 1 << 14


def moments(parts: Sequence[Floats], rows: Rows) -> NDArray[np.float64]:
    """Return the mean outer product of `rows` of the `parts: M x (N, D)`, side by side."""
    width = sum(part.shape[1] for part in parts)
    found = np.zeros((width, width))
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        joined = np.hstack([part[some] for part in parts]).astype(np.float64)
        found += joined.T @ joined
    return found / max(1, len(rows))


def principal_axes(extent: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the first `count` principal axes, (N, count), of what has moments `extent: (N, N)`.

    Not centred; the one along which it extends furthest first.
    """
    axes: NDArray[np.float64] = np.linalg.eigh(extent)[1]
    return axes[:, ::-1][:, :count]
