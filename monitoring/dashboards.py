"""The four dashboards: service, catalog and ingest, recommendation quality, training."""

from collections.abc import Sequence

from monitoring.asking import SWAPS, VARIABLES
from monitoring.boards.catalog import CATALOG
from monitoring.boards.quality import QUALITY
from monitoring.boards.service import SERVICE
from monitoring.boards.training import TRAINING
from monitoring.panels import Json, Row, dashboard


def dashboards() -> dict[str, Json]:
    """Return the dashboards by the name of their file."""
    told: Sequence[tuple[str, str, str, Sequence[Row]]] = (
        ("service", "Service", "Does it answer, how fast, and has it room?", SERVICE),
        ("catalog", "Catalog and ingest", "What is served, and does it keep up?", CATALOG),
        ("quality", "Recommendation quality", "What do users get, and is it good?", QUALITY),
        ("training", "Training", "Did the last training go well?", TRAINING),
    )
    return {
        f"{name}.json": dashboard(
            f"reco-{name}",
            f"Recommender: {title}",
            text,
            rows,
            variables=() if name == "training" else VARIABLES,
            annotations=(SWAPS._replace(expr=SWAPS.expr.replace("$instance", ".*")),)
            if name == "training"
            else (SWAPS,),
        )
        for name, title, text, rows in told
    }
