"""The metrics of what comes in: received, and what became of it."""

from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

Sent = Literal["video", "interaction"]
SENT: Final[tuple[Sent, ...]] = ("video", "interaction")
Reason = Literal["invalid", "not ready", "key reused", "log away", "log full"]
REASONS: Final[tuple[Reason, ...]] = (
    "invalid",
    "not ready",
    "key reused",
    "log away",
    "log full",
)
SIZES: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)


class IngestMetrics:
    """Videos and interactions, each by itself. What is received is accepted or rejected."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register all of them."""
        self._received = Counter(
            "reco_ingest_received",
            "Videos and interactions that were sent; a body that cannot be read is one.",
            ["kind"],
            registry=registry,
        )
        self._accepted = Counter(
            "reco_ingest_accepted",
            "Those that are durable in the event log, retried ones too.",
            ["kind"],
            registry=registry,
        )
        self._rejected = Counter(
            "reco_ingest_rejected",
            "Those that were not recorded, by reason.",
            ["kind", "reason"],
            registry=registry,
        )
        self._batch = Histogram(
            "reco_ingest_batch_size",
            "Videos or interactions that were recorded by one append.",
            ["kind"],
            buckets=SIZES,
            registry=registry,
        )
        for kind in SENT:
            self._received.labels(kind)
            self._accepted.labels(kind)
            self._batch.labels(kind)
            for reason in REASONS:
                self._rejected.labels(kind, reason)

    def accept(self, kind: Sent, count: int) -> None:
        """Count what one append recorded."""
        self._received.labels(kind).inc(count)
        self._accepted.labels(kind).inc(count)
        self._batch.labels(kind).observe(count)

    def reject(self, kind: Sent, reason: Reason, count: int = 1) -> None:
        """Count what was not recorded."""
        self._received.labels(kind).inc(count)
        self._rejected.labels(kind, reason).inc(count)
