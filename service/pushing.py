"""Wires what keeps bundles in an index engine, for the service and for the command line."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from models.bundle.reader import read_bundle
from service.catalog.milvus.keeper import Keeper, open_keeper
from service.catalog.snapshot import Snapshot
from service.measures.engine import EngineMetrics
from service.settings import FAISS, Settings


def keeper_for(
    settings: Settings, metrics: EngineMetrics, note: Callable[[str], None]
) -> Keeper | None:
    """Return who keeps in Milvus what is served, if that is where it is searched."""
    if settings.index == FAISS:
        return None
    return open_keeper(
        settings.index,
        settings.index_token.get_secret_value() if settings.index_token else "",
        settings.bundles,
        metrics,
        note,
        search_seconds=settings.index_timeout_seconds,
    )


def push(settings: Settings, bundle_id: str) -> bool:
    """Return once the engine holds a bundle, whole and indexed; False if there is no engine.

    Raises:
        BundleError: the bundle is refused.
        EngineAway: the engine does not hold it. Asked again, it goes on from where it was.
    """
    keeper = keeper_for(settings, EngineMetrics(CollectorRegistry()), lambda _: None)
    if keeper is None:
        return False
    snapshot = Snapshot(read_bundle(settings.bundles / bundle_id))
    try:
        keeper.push(keeper.index(snapshot.bundle, snapshot.index))
    finally:
        keeper.close()
    return True


def engine_state(settings: Settings, bundle_id: str) -> str:
    """Return what the engine is and whether it holds a bundle, if there is one.

    Raises:
        EngineAway: it does not answer.
    """
    keeper = keeper_for(settings, EngineMetrics(CollectorRegistry()), lambda _: None)
    if keeper is None:
        return "faiss, in each bundle"
    try:
        return keeper.state(bundle_id)
    finally:
        keeper.close()
