"""When a call is made again, and after how long. Knows failures; nothing of HTTP clients."""

import random
from dataclasses import dataclass, field
from typing import Final

from client.errors import RecommenderError


@dataclass(frozen=True)
class Retries:
    """How often a call is made, and how long is waited in between.

    The wait is drawn between nothing and a bound that doubles from `first_seconds` to
    `most_seconds`, so that many clients do not come back at once. A Retry-After is waited for
    beside, unless it is longer than `most_seconds`.
    """

    attempts: int = 4
    first_seconds: float = 0.1
    most_seconds: float = 10.0
    rng: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    def pause(self, failure: RecommenderError, attempt: int) -> float | None:
        """Return how long to wait after `failure` of the attempt, counted from 1; None to give up.

        Only for calls that may be repeated.
        """
        asked = failure.retry_after or 0.0
        if not failure.passing or attempt >= self.attempts or asked > self.most_seconds:
            return None
        bound = min(self.most_seconds, self.first_seconds * 2.0 ** (attempt - 1))
        return asked + self.rng.uniform(0, bound)


NEVER: Final = Retries(attempts=1)
