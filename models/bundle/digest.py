"""Recognises the features a video was trained on when they come again. Knows bytes alone."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.modality import Modality, in_order


def feature_digest(features: Mapping[Modality, NDArray[Any]]) -> int:
    """Return 64 bits that tell float32 `features[m]: (F_m,)` apart, absent or all zero alike."""
    given = {modality: features[modality] for modality in in_order(features)}
    joined = np.concatenate([np.empty(0, "<f4"), *given.values()])
    widths: dict[str, int] = {modality: len(values) for modality, values in given.items()}
    return feature_digests(joined[None], widths)[0]


def feature_digests(rows: NDArray[Any], widths: Mapping[str, int]) -> list[int]:
    """Return the digest of each of `rows: (N, F)`: features of `widths`, joined in order."""
    plain = rows.astype("<f4") + np.float32(0)  # -0.0 becomes 0.0
    blocks, start = [], 0
    for modality in in_order(widths):
        block = plain[:, start : start + widths[modality]]
        start += widths[modality]
        raw = memoryview(block.tobytes())
        blocks.append((modality.encode(), np.any(block, axis=1).tolist(), raw, 4 * block.shape[1]))
    digests = []
    for row in range(len(plain)):
        digest = hashlib.sha256()
        for name, known, raw, size in blocks:
            if known[row]:
                digest.update(name)
                digest.update(raw[row * size : (row + 1) * size])
        digests.append(int.from_bytes(digest.digest()[:8], "little", signed=True))
    return digests
