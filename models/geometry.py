"""How the vectors of a bundle lie: where its videos and users are, how videos differ.

Knows unit vectors, numbers in and numbers out; nothing of ids or files. It is asked of a bundle
once, when it is written, so that every replica has the same bytes.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

# How strongly the directions in which all videos differ are evened out, as a share of the mean.
# Chosen on validation, one for all data sets: see docs/feedback.md.
RIDGE: Final = 1.0
# Below this length a sum is rounding errors and has no direction.
SHORTEST: Final = 1e-6
VIDEOS_AT_ONCE: Final = 1 << 16


class Geometry(NamedTuple):
    """`centre: (D,)` of all videos, `typical: (D,)` of the users that were trained.

    `evening: (D, D)` shrinks the directions in which all videos differ much anyway; what it makes
    of a video is one unit of evidence, in the mean. Where all users are one and the same it is 0:
    what anybody met says nothing of them there.
    """

    centre: Doubles
    evening: Doubles
    typical: Doubles


def survey(users: Floats, videos: Floats) -> Geometry:
    """Measure `users: (U, D)`, only those with a training interaction, and `videos: (V, D)`."""
    width = videos.shape[1]
    centre = videos.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((width, width))
    for start in range(0, len(videos), VIDEOS_AT_ONCE):
        offsets = videos[start : start + VIDEOS_AT_ONCE] - centre
        covariance += offsets.T @ offsets
    covariance /= len(videos)
    scale = float(np.trace(covariance)) / width
    typical = users.mean(axis=0, dtype=np.float64) if len(users) else np.zeros(width)
    if len(users) > 1 and np.ptp(users, axis=0).max() <= SHORTEST:
        return Geometry(centre, np.zeros((width, width)), typical)
    if scale <= SHORTEST**2:
        return Geometry(centre, np.eye(width), typical)
    evening = np.linalg.inv(covariance / scale + RIDGE * np.eye(width))
    evening /= np.sqrt(np.trace(evening @ covariance @ evening))
    return Geometry(centre, evening, typical)
