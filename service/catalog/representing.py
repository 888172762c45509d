"""Where a user's vector goes with what they met, and an arrival's with who liked it.

Knows unit vectors and weights, numbers in and numbers out; nothing of ids, views or logs. What is
asked for a user is summed row by row, in the order given, never by a matrix product, whose last
bits depend on where in memory its rows lie: the same inputs give the same bytes.
"""

from typing import Final

import numpy as np

from models.geometry import SHORTEST, Doubles, Floats, Geometry

# All constants were chosen on validation, one set for all data sets: see docs/feedback.md.
# What somebody nothing is known of likes: so many times the mean user vector.
TYPICAL: Final = 3.0
# How many units of evidence a trained vector weighs, to begin with and for each interaction.
PRIOR: Final = 8.0
PRIOR_EACH: Final = 0.25
# How many viewers the content of an arrival weighs.
CONTENT: Final = 4.0


def fold_in(
    geometry: Geometry,
    vectors: Floats,
    weights: Doubles,
    *,
    trained: Floats | None = None,
    interactions: int = 0,
) -> Floats | None:
    """Return the unit vector of a user who met `vectors: (N, D)` with `weights: (N,)`: (D,).

    Regularised least squares: the u that minimises |u - p|^2 - 2 sum w (v - c) u, lengths measured
    by the covariance of all videos plus a ridge, c their centre. The prior p is the `trained: (D,)`
    vector, the stronger the more training `interactions` it comes from; the mean user for who has
    none, since a vector that was never trained says nothing. A negative weight moves away.
    Without evidence it is the trained vector itself, or None.
    """
    if not interactions:
        trained = None
    evidence = (weights[:, None] * (vectors - geometry.centre)).sum(axis=0)
    if not _length(evidence) > SHORTEST:
        return trained
    if trained is None:
        prior = TYPICAL * geometry.typical
    else:
        prior = (PRIOR + PRIOR_EACH * interactions) * trained.astype(np.float64)
    return _unit(prior + (geometry.evening * evidence).sum(axis=1), otherwise=trained)


def warmed(content: Floats, gained: Doubles) -> Floats:
    """Return the unit vector of an arrival of unit `content: (D,)`: (D,).

    `gained: (D,)` is the sum over its viewers of weight times user vector less the mean user
    (`Geometry.typical`): what everybody has in common tells nothing of this video. Where nothing
    was gained, or it cancels the content, the content stands.
    """
    if not _length(gained) > SHORTEST:
        return content
    warm = _unit(CONTENT * content.astype(np.float64) + gained, otherwise=content)
    return content if warm is None else warm


def _unit(vector: Doubles, *, otherwise: Floats | None) -> Floats | None:
    length = _length(vector)
    return (vector / length).astype(np.float32) if length > SHORTEST else otherwise


def _length(vector: Doubles) -> float:
    return float(np.sqrt((vector * vector).sum()))
