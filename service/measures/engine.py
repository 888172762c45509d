"""The metrics of an index past one machine: how fast it answers, and how often it does not."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

SECONDS: Final = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1)


class EngineMetrics:
    """What Milvus does for this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register all of them."""
        self.seconds = Histogram(
            "reco_index_engine_seconds",
            "Time that a search took in the index engine, with the way there and back.",
            buckets=SECONDS,
            registry=registry,
        )
        self.fallbacks = Counter(
            "reco_index_fallbacks",
            "Searches that the bundle's own index answered in place of the engine.",
            registry=registry,
        )
        self.errors = Counter(
            "reco_index_engine_errors",
            "Failed calls of the index engine.",
            ["op"],
            registry=registry,
        )
        for op in ("search", "publish"):
            self.errors.labels(op)
