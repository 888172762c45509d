"""The metrics of what is served: bundle, index, view, and how far it is behind the log."""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import nan
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

FAULTS: Final = ("bundle", "event log", "events lost", "index")
EVENTS: Final = (1, 2, 5, 10, 25, 50, 100, 250, 512)


class CatalogMetrics:
    """What a process answers from, and how old it is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register all of them."""
        self._videos = Gauge(
            "reco_index_videos", "Videos that are live now, hidden ones too.", registry=registry
        )
        self._arrivals = Gauge(
            "reco_index_arrivals", "Rows that arrivals take beside the bundle's.", registry=registry
        )
        self._tombstones = Gauge(
            "reco_index_tombstones",
            "Rows whose video was deleted or replaced; a search passes over them.",
            registry=registry,
        )
        self._bundle = Info("reco_bundle", "The bundle that is served.", registry=registry)
        self._generation = Gauge(
            "reco_index_generation",
            "Bundles that this process has begun to serve; 0 before the first.",
            registry=registry,
        )
        self._created = Gauge(
            "reco_bundle_created_timestamp_seconds",
            "When the bundle that is served was made, in Unix seconds.",
            registry=registry,
        )
        self._loaded = Gauge(
            "reco_bundle_loaded_timestamp_seconds",
            "When this process began to serve it.",
            registry=registry,
        )
        self._index_recall = Gauge(
            "reco_bundle_index_recall",
            "Recall@20 of its index against exact search, as training measured it.",
            registry=registry,
        )
        self._offline = Gauge(
            "reco_bundle_offline_metric",
            "What training measured of it on the test split.",
            ["group", "metric"],
            registry=registry,
        )
        self._degraded = Gauge(
            "reco_degraded",
            "1 if answers suffer from it: they carry X-Degraded.",
            ["fault"],
            registry=registry,
        )
        self.lag_entries = Gauge(
            "reco_follower_lag_entries",
            "Events of the log that are not in the view yet.",
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "reco_follower_lag_seconds",
            "How long ago the view was last seen to hold all of the log; 0 if it does.",
            registry=registry,
        )
        self.applied = Histogram(
            "reco_applied_events",
            "Events that were made into one view together.",
            buckets=EVENTS,
            registry=registry,
        )
        self.refusals = Counter(
            "reco_bundle_refusals", "Bundles that failed verification.", registry=registry
        )
        for fault in FAULTS:
            self._degraded.labels(fault)

    def observe_bundle(
        self,
        bundle_id: str,
        *,
        created_at: str,
        metrics: Mapping[str, Any],
        index_recall: float,
    ) -> None:
        """Record that another bundle is served."""
        self._bundle.info({"bundle_id": bundle_id})
        self._generation.inc()
        self._created.set(_moment(created_at))
        self._loaded.set_to_current_time()
        self._index_recall.set(index_recall)
        self._offline.clear()
        for group, name, value in numbers_in(metrics):
            self._offline.labels(group, name).set(value)

    def observe_view(self, *, live_videos: int, rows: int, arrivals: int) -> None:
        """Record what is live now."""
        self._videos.set(live_videos)
        self._arrivals.set(arrivals)
        self._tombstones.set(rows - live_videos)

    def observe_faults(self, faults: Mapping[str, bool]) -> None:
        """Record which of `FAULTS` answers suffer from."""
        for fault, suffered in faults.items():
            self._degraded.labels(fault).set(suffered)


def numbers_in(metrics: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """Return (group, metric, value) of offline `metrics`, where what is of no group is overall."""
    found = []
    for name, value in metrics.items():
        figures = value if isinstance(value, Mapping) else {name: value}
        group = name if isinstance(value, Mapping) else "overall"
        found += [(group, n, float(v)) for n, v in figures.items() if isinstance(v, int | float)]
    return found


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
