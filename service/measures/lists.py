"""The metrics of lists: how many, from what, how short, and how good a few of them are.

Counting is on the way of every answer: no call here takes more than two microseconds for twenty
places, so series are looked up once and what was shown is marked in a fixed number of bits.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SOURCES: Final = ("personal", "fold_in", "similar", "trending", "popular", "fresh")
# What a list as a whole stands on; a fallback has nothing personal in it.
Basis = Literal["personal", "fold_in", "fallback", "similar", "trending", "fresh"]
BASES: Final[tuple[Basis, ...]] = (
    "personal",
    "fold_in",
    "fallback",
    "similar",
    "trending",
    "fresh",
)
LENGTHS: Final = ("full", "short", "empty")
REASONS: Final = ("gone", "hidden", "expired", "seen", "excluded", "mismatch")
STEPS: Final = ("represent", "filter", "retrieve", "rank")
STEP_SECONDS: Final = (
    *(0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
)
# Cosines; none below 0, for what is summed must not fall.
SCORES: Final = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1)
TOGETHER: Final = (1, 2, 4, 8, 16)
WINDOW_SECONDS: Final = 600.0
MARKS: Final = 1 << 20


class Shown:
    """Estimates how many different videos were shown within a window, in a mebibyte.

    Each id marks one of `MARKS` places; how many are left unmarked tells how many ids there were
    (linear counting: within 1 % up to a million). To be used from one thread.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin a window."""
        self._clock = clock
        self._marks = bytearray(MARKS)
        self._ends = clock() + WINDOW_SECONDS
        self._last: float | None = None

    def mark(self, video_ids: Sequence[str]) -> None:
        """Take note that these were shown."""
        marks, within = self._marks, MARKS - 1
        for video_id in video_ids:
            marks[hash(video_id) & within] = 1

    def estimate(self) -> float:
        """Return how many were shown in the last whole window, or so far in the first one."""
        now = self._clock()
        if now < self._ends and self._last is not None:
            return self._last
        unmarked = max(1, self._marks.count(0))
        found = round(-MARKS * math.log(unmarked / MARKS))
        if now >= self._ends:
            self._last, self._ends = found, now + WINDOW_SECONDS
            self._marks = bytearray(MARKS)
        return found


class ListMetrics:
    """What was recommended."""

    def __init__(self, registry: CollectorRegistry, *, clock: Callable[[], float]) -> None:
        """Register all of them; `clock` may begin anywhere."""
        places = Counter(
            "reco_recommendations", "Videos recommended, by source.", ["source"], registry=registry
        )
        lists = Counter(
            "reco_lists",
            "Lists answered, by what they stand on and whether they have all places asked for.",
            ["basis", "length"],
            registry=registry,
        )
        self.together = Histogram(
            "reco_lists_together",
            "Lists that were answered in one pass, for requests of the same moment.",
            buckets=TOGETHER,
            registry=registry,
        )
        self._arrivals = Counter(
            "reco_recommended_arrivals",
            "Videos recommended that the bundle had never met.",
            registry=registry,
        )
        self._places = {source: places.labels(source) for source in SOURCES}
        self._lists = {
            basis: {length: lists.labels(basis, length) for length in LENGTHS} for basis in BASES
        }
        self._shown = Shown(clock)
        different = Gauge(
            "reco_recommended_videos",
            "Different videos recommended within 10 minutes, estimated.",
            registry=registry,
        )
        different.set_function(self._shown.estimate)

    def count(
        self,
        video_ids: Sequence[str],
        sources: Sequence[str],
        *,
        k: int,
        arrivals: int,
        basis: Basis | None = None,
    ) -> None:
        """Count a list of which `k` places were asked for; without a `basis` it is a user's."""
        length = len(sources)
        left = length
        for source, counter in self._places.items():
            number = sources.count(source)
            if number:
                counter.inc(number)
                left -= number
                if not left:
                    break
        if arrivals:
            self._arrivals.inc(arrivals)
        self._shown.mark(video_ids)
        told = "full" if length >= k else "short" if length else "empty"
        self._lists[basis or _basis_of(sources)][told].inc()


class InspectionMetrics:
    """What was found when a few lists were made again, with every video compared."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register all of them."""
        outcomes = Counter(
            "reco_inspections",
            "Lists of users that were made again beside the serving, to be looked at.",
            ["outcome"],
            registry=registry,
        )
        self.done, self.failed = outcomes.labels("done"), outcomes.labels("failed")
        self._expected = Counter(
            "reco_inspected_places",
            "Places of inspected lists for which exact search knows the best videos.",
            registry=registry,
        )
        self._found = Counter(
            "reco_inspected_places_right",
            "Those of them for which the index found one of the best: live recall.",
            registry=registry,
        )
        self._candidates = Counter(
            "reco_inspected_candidates",
            "Videos that suit as well as the last place of an inspected list, shown or not.",
            registry=registry,
        )
        filtered = Counter(
            "reco_inspected_filtered",
            "Those of them that were not to be shown, by the first reason.",
            ["reason"],
            registry=registry,
        )
        self._filtered = {reason: filtered.labels(reason) for reason in REASONS}
        steps = Histogram(
            "reco_list_step_seconds",
            "Time that each step of an inspected list took.",
            ["step"],
            buckets=STEP_SECONDS,
            registry=registry,
        )
        self._steps = {step: steps.labels(step) for step in STEPS}
        self._score = Histogram(
            "reco_top_score",
            "The best score of an inspected list, a cosine.",
            buckets=SCORES,
            registry=registry,
        )

    def observe_steps(self, seconds: Mapping[str, float]) -> None:
        """Record how long each step took."""
        for step, took in seconds.items():
            self._steps[step].observe(took)

    def observe_search(
        self, *, expected: int, found: int, filtered: Mapping[str, int], top_score: float
    ) -> None:
        """Record what exact search says of one list."""
        self._expected.inc(expected)
        self._found.inc(found)
        self._candidates.inc(expected + sum(filtered.values()))
        for reason, number in filtered.items():
            self._filtered[reason].inc(number)
        self._score.observe(max(0.0, top_score))


def _basis_of(sources: Sequence[str]) -> Basis:
    if "personal" in sources:
        return "personal"
    return "fold_in" if "fold_in" in sources else "fallback"
