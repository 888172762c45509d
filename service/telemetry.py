"""Every metric, by name. Knows no room of the service; all of them are handed it."""

import time
from typing import Final, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from service.measures.catalog import CatalogMetrics
from service.measures.engine import EngineMetrics
from service.measures.ingest import IngestMetrics
from service.measures.lists import InspectionMetrics, ListMetrics

FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# Reads, writes and imports have places of their own (`service.api.protection`).
Kind = Literal["read", "write", "import"]
KINDS: Final[tuple[Kind, ...]] = ("read", "write", "import")
REFUSALS: Final = (
    "unknown key",
    "scope",
    "body too large",
    "body too slow",
    "bodies full",
    "line full",
    "line slow",
)

# A bound at 2 ms: nothing should keep the event loop for longer.
LAGS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Telemetry:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        """Register every metric at zero, so that none is missing before its first event."""
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self.requests = Counter(
            "http_requests",
            "Requests answered, by route template; unmatched stands for every unknown path.",
            ["route", "method", "code"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "http_request_duration_seconds",
            "Time from the first byte of a request to the last of its answer.",
            ["route", "method"],
            buckets=FAST,
            registry=registry,
        )
        self.requests_working = Gauge(
            "reco_requests_in_work", "Requests being worked on.", ["kind"], registry=registry
        )
        self.requests_waiting = Gauge(
            "reco_requests_waiting", "Requests in line for a place.", ["kind"], registry=registry
        )
        self.requests_refused = Counter(
            "reco_requests_refused",
            "Requests that no route saw, by reason.",
            ["reason"],
            registry=registry,
        )
        self.device = Gauge(
            "reco_device_info",
            "Where it is fused and searched: cpu or cuda.",
            ["fusion", "search"],
            registry=registry,
        )
        self.loop_lag = Histogram(
            "reco_event_loop_lag_seconds",
            "How late the event loop came to what was due, looked at 20 times a second.",
            buckets=LAGS,
            registry=registry,
        )
        self.lists = ListMetrics(registry, clock=time.monotonic)
        self.inspections = InspectionMetrics(registry)
        self.ingest = IngestMetrics(registry)
        self.catalog = CatalogMetrics(registry)
        self.engine = EngineMetrics(registry)
        self.ingest_to_visible = Histogram(
            "reco_ingest_to_visible_seconds",
            "Time from receiving a video to its being recommendable in this process.",
            buckets=FAST,
            registry=registry,
        )
        self.fusion_seconds = Histogram(
            "reco_fusion_seconds",
            "Time to fuse one batch of arrivals.",
            buckets=FAST,
            registry=registry,
        )
        self.events_quarantined = Counter(
            "reco_events_quarantined", "Events that could not be applied.", registry=registry
        )
        self.events_lost = Counter(
            "reco_event_log_losses",
            "Times the log had lost events behind our position; it was read anew from a bundle.",
            registry=registry,
        )
        self.ready = Gauge(
            "reco_ready", "1 if /readyz answers 200, so that traffic may come.", registry=registry
        )
        self.event_log_errors = Counter(
            "reco_event_log_errors", "Failed calls of the event log.", ["op"], registry=registry
        )
        self.follower_failures = Counter(
            "reco_follower_failures", "Unexpected failures of a loop.", ["loop"], registry=registry
        )
        for metric, values in (
            (self.requests_working, KINDS),
            (self.requests_waiting, KINDS),
            (self.requests_refused, REFUSALS),
            (self.event_log_errors, ("append", "read", "trim")),
            (self.follower_failures, ("event log", "bundle")),
        ):
            for value in values:
                metric.labels(value)
