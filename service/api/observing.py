"""Counts every list that is answered, and has a few of them inspected beside the serving."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from typing import Final

import structlog

from service.catalog.view import View
from service.measures.lists import Basis
from service.recommend.inspecting import inspect
from service.recommend.recommendation import Recommendation
from service.recommend.request import Request
from service.telemetry import Telemetry

log = structlog.get_logger()

# After an inspection there is none for so many times as long: it compares every video, and shall
# not take more than a fiftieth of a core.
REST_TIMES: Final = 49


class Observer:
    """To be asked from the event loop; inspections have a thread of their own, one at a time."""

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        share: float,
        rest_times: float = REST_TIMES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Inspect a `share` of the lists of users at most; 0 for none."""
        self._lists = telemetry.lists
        self._inspections = telemetry.inspections
        self._every = ceil(1 / share) if share else 0
        self._left = self._every
        self._rest_times = rest_times
        self._clock = clock
        self._not_before = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inspector")

    def count_for_user(self, view: View, request: Request, found: list[Recommendation]) -> None:
        """Count a user's list, and have it inspected if it is its turn."""
        self.count(view, found, k=request.k)
        self._left -= 1
        if not self._left:
            self._left = self._every
            if self._clock() >= self._not_before:
                self._not_before = float("inf")
                self._thread.submit(self._inspect, view, request)

    def count(
        self, view: View, found: Sequence[Recommendation], *, k: int, basis: Basis | None = None
    ) -> None:
        """Count a list; one without a `basis` is a user's."""
        video_ids, _, sources = zip(*found, strict=True) if found else ((), (), ())
        arrivals = sum(map(view.arrived, video_ids)) if view.overlay.delta.count else 0
        self._lists.count(video_ids, sources, k=k, arrivals=arrivals, basis=basis)

    def close(self) -> None:
        """Wait for what is being inspected."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _inspect(self, view: View, request: Request) -> None:
        started = self._clock()
        try:
            inspection = inspect(view, request)
        except Exception:  # beside the serving: nobody waits who could be told
            self._inspections.failed.inc()
            log.exception("inspection failed")
        else:
            self._inspections.observe_steps(inspection.seconds)
            if inspection.compared is not None:
                self._inspections.observe_search(**inspection.compared._asdict())
            self._inspections.done.inc()
        now = self._clock()
        self._not_before = now + self._rest_times * (now - started)
