"""Recognises the features a video was trained on when they come again. Knows bytes alone."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.modality import Modality, in_order


def feature_digest(features: Mapping[Modality, NDArray[Any]]) -> int:
    """Return 64 bits that tell float32 `features[m]: (F_m,)` apart, absent or all zero alike."""
    digest = hashlib.sha256()
    for modality in in_order(features):
        values = np.asarray(features[modality], dtype="<f4")
        if values.any():
            digest.update(modality.encode() + (values + 0.0).tobytes())  # -0.0 becomes 0.0
    return int.from_bytes(digest.digest()[:8], "little", signed=True)
