"""Which modalities are left when some are taken away: all combinations. Knows counts alone."""

import numpy as np
from numpy.typing import NDArray


def combinations_of(modalities: int) -> NDArray[np.bool_]:
    """Return every set of M = `modalities`: (2^M, M); row n has modality m if bit m of n is set."""
    numbers = np.arange(1 << modalities)[:, None]
    found: NDArray[np.bool_] = (numbers >> np.arange(modalities) & 1).astype(bool)
    return found
