"""Measures how far the view is behind the event log. Knows both; changes neither."""

import asyncio
from collections.abc import Callable
from typing import Final

from eventlog.errors import EventLogUnavailable
from eventlog.log import EventLog
from eventlog.position import distance
from service.catalog.store import Catalog
from service.measures.catalog import CatalogMetrics

SECONDS: Final = 1.0


async def watch_lag(
    catalog: Catalog, event_log: EventLog, metrics: CatalogMetrics, *, clock: Callable[[], float]
) -> None:
    """Compare again and again; where the log cannot be asked, the seconds go on."""
    current_at = clock()
    while True:
        # The view first: what is recorded in between is no lag of it.
        view, asked_at = catalog.latest, clock()
        try:
            head = await event_log.head()
        except EventLogUnavailable:
            head = None
        if view is not None and head is not None:
            behind = distance(view.position, head)
            metrics.lag_entries.set(behind)
            if not behind:
                current_at = asked_at
        seen = view is not None and current_at == asked_at
        metrics.lag_seconds.set(0 if seen else max(0.0, clock() - current_at))
        await asyncio.sleep(SECONDS)
