"""Chooses videos that suit and are unlike each other. Knows scores and vectors; no ids, no views.

Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
"""

from typing import Final

import numpy as np

from service.catalog.index import Doubles, Floats

# So many candidates are looked at for each place, and so many at least.
POOL_TIMES: Final = 4
POOL_LEAST: Final = 100


def pool_size(k: int, diversity: float) -> int:
    """Return how many candidates to choose `k` from."""
    return max(POOL_LEAST, POOL_TIMES * k) if diversity else k


def diversified(scores: Doubles, vectors: Floats, k: int, diversity: float) -> list[int]:
    """Return the places of `k` candidates in the order in which they are chosen.

    `scores: (N,)` descend, `vectors: (N, D)` have unit length. Next is always the candidate of
    largest λ r - (1 - λ) s, where λ is 1 - `diversity`, r the score scaled so that the pool goes
    from 0 to 1, and s the largest cosine with what was chosen before. Ties go to the better score.
    """
    if not diversity:
        return list(range(min(k, len(scores))))
    spread = float(scores[0] - scores[-1]) if len(scores) else 0.0
    relevance = (scores - scores[-1]) / spread if spread else np.zeros(len(scores))
    wide = vectors.astype(np.float64)
    similarity = np.full(len(scores), -np.inf)
    left = np.ones(len(scores), dtype=bool)
    chosen: list[int] = []
    while len(chosen) < min(k, len(scores)):
        penalty = diversity * similarity if chosen else 0.0
        marginal = np.where(left, (1 - diversity) * relevance - penalty, -np.inf)
        place = int(np.argmax(marginal))
        chosen.append(place)
        left[place] = False
        # Not a matrix product, whose last bits depend on what else is in the pool; this sums row by
        # row, in a twentieth of the time of (wide * wide[place]).sum(axis=1).
        similarity = np.maximum(similarity, np.einsum("ij,j->i", wide, wide[place]))
    return chosen
