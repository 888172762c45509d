"""The composition root of the service: everything is wired here and handed down."""

import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

from eventlog.log import open_event_log
from service.api import interactions, operations, recommendations, users, videos
from service.api.decoding import body_schemas
from service.api.dependencies import Services, refuse_stray_query
from service.api.middleware import BodyLimit, EncodedPath, RequestMetrics
from service.api.problems import add_problem_handlers
from service.api.schemas import Problem
from service.catalog.edit import Feedback
from service.catalog.follower import Follower
from service.catalog.loading import Loader
from service.catalog.replay import Replay
from service.catalog.shelf import Shelf
from service.catalog.store import Catalog
from service.settings import Settings
from service.telemetry import Telemetry


def create_app(settings: Settings) -> FastAPI:
    """Return the application; files and threads are opened when its lifespan begins."""
    telemetry = Telemetry()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        event_log = open_event_log(settings.event_log, poll_seconds=settings.log_poll_seconds)
        catalog = Catalog(telemetry)
        replay = Replay(telemetry, Feedback(settings.kind_weights, settings.history_limit))
        follower = Follower(
            catalog,
            Loader(Shelf(settings.bundles, telemetry), event_log, replay, telemetry),
            event_log,
            replay,
            telemetry,
            clock=time.time,
            bundle_poll=settings.bundle_poll_seconds,
        )
        workers = ThreadPoolExecutor(settings.worker_threads, thread_name_prefix="worker")
        app.state.services = Services(
            settings, catalog, follower, event_log, telemetry, workers, time.time
        )
        follower.start()
        try:
            yield
        finally:
            await follower.stop()
            workers.shutdown(wait=True)
            await event_log.close()

    app = FastAPI(
        title="MetaMMF recommender",
        description="Recommends micro-videos, learns of new ones, and of what users do.",
        lifespan=lifespan,
        dependencies=[Depends(refuse_stray_query)],
        redirect_slashes=False,
        responses={422: {"model": Problem}, 503: {"model": Problem}},
    )
    for module in (recommendations, videos, interactions, users, operations):
        app.include_router(module.router)
    add_problem_handlers(app)
    # The last one added sees a request first.
    app.add_middleware(EncodedPath)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(RequestMetrics, telemetry=telemetry)
    _describe_bodies(app)
    return app


def _describe_bodies(app: FastAPI) -> None:
    """Put the schemas of bodies that routes read by themselves into OpenAPI."""
    generate = app.openapi

    def openapi() -> dict[str, object]:
        document = generate()
        document["components"]["schemas"].update(body_schemas())
        return document

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way
