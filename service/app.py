"""The composition root of the service: everything is wired here and handed down."""

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fastapi import Depends, FastAPI
from starlette.datastructures import State
from starlette.middleware.errors import ServerErrorMiddleware

from eventlog.log import open_event_log
from service.api import imports, interactions, operations, recommendations, users, videos
from service.api.application import Application
from service.api.console import console_router
from service.api.dependencies import Services, refuse_stray_query
from service.api.describing import complete
from service.api.express import Express
from service.api.middleware import EncodedPath, RequestMetrics
from service.api.observing import Observer
from service.api.problems import add_problem_handlers, answer_bug
from service.api.protection.access import Access
from service.api.protection.admission import Admission
from service.api.protection.bodies import Bodies
from service.api.protection.cors import Cors
from service.api.protection.headers import DOCS, OPENAPI, SecurityHeaders
from service.api.protection.room import Room
from service.api.replies import Problem
from service.api.tracking import AccessLog, RequestIds
from service.catalog.device import choose_devices
from service.catalog.edit import Feedback
from service.catalog.follower import Follower
from service.catalog.lagging import watch_lag
from service.catalog.loading import Loader
from service.catalog.replay import Replay
from service.catalog.shelf import Shelf
from service.catalog.store import Catalog
from service.errors import MissingExtra
from service.group import Member
from service.keys import Keyring
from service.loop_lag import watch_loop
from service.pushing import keeper_for
from service.settings import Settings
from service.siblings import Siblings
from service.telemetry import KINDS, Kind, Telemetry

if TYPE_CHECKING:
    from service.tracing import Tracing

# Imports at once: each may last for hours, and two keep the event log and the network busy.
IMPORTS: Final = 2
# How long a process of several waits for something to answer from before it listens.
PATIENCE_SECONDS: Final = 10.0
# The same for one that replaces another, where others have begun to listen.
LONG_PATIENCE_SECONDS: Final = 300.0


def create_app(settings: Settings, member: Member | None = None) -> Application:
    """Return the application; files and threads are opened when its lifespan begins.

    As the `member` of a group it begins to listen once there is something to answer from.
    """
    telemetry = Telemetry()
    tracing = _tracing(settings)

    @asynccontextmanager
    async def lifespan(app: Application) -> AsyncIterator[None]:
        event_log = open_event_log(settings.event_log, poll_seconds=settings.log_poll_seconds)
        catalog = Catalog(telemetry)
        replay = Replay(telemetry, Feedback(settings.kind_weights, settings.history_limit))
        keeper = keeper_for(settings, telemetry.engine, catalog.note_index)
        devices = choose_devices(settings.device)
        telemetry.device.labels(devices.fusion, devices.search).set(1)
        indexer = keeper.index if keeper else devices.index
        shelf = Shelf(settings.bundles, telemetry, indexer, device=devices.fusion)
        follower = Follower(
            catalog,
            Loader(shelf, event_log, replay, telemetry, keeper.serve if keeper else None),
            event_log,
            replay,
            telemetry,
            clock=time.time,
            bundle_poll=settings.bundle_poll_seconds,
        )
        workers = ThreadPoolExecutor(settings.worker_threads, thread_name_prefix="worker")
        observer = Observer(telemetry, share=settings.inspected_share)
        siblings = Siblings(telemetry.registry, member)
        app.state.services = Services(
            settings,
            catalog,
            follower,
            event_log,
            telemetry,
            siblings,
            observer,
            workers,
            time.time,
            tracing,
        )
        if tracing is not None:
            follower.trace = tracing.visible
        if keeper is not None:
            keeper.start()
        follower.start()
        await siblings.open()
        await app.prepare()
        watching = asyncio.gather(
            watch_loop(telemetry.loop_lag),
            watch_lag(catalog, event_log, telemetry.catalog, clock=time.time),
            _document(app, follower, workers),
        )
        if member is not None:
            await _something_to_answer_from(follower, member)
        try:
            yield
        finally:
            watching.cancel()
            siblings.close()
            await follower.stop()
            workers.shutdown(wait=True)
            observer.close()
            if tracing is not None:
                await asyncio.to_thread(tracing.close)
            if keeper is not None:
                keeper.close()
            await event_log.close()
            # Last, for a fault in it must not leave anything open.
            with suppress(asyncio.CancelledError):
                await watching

    documented = settings.docs == "on"
    app = Application(
        title="MetaMMF recommender",
        description="Recommends micro-videos, learns of new ones, and of what users do.",
        lifespan=lifespan,
        dependencies=[Depends(refuse_stray_query)],
        redirect_slashes=False,
        responses={422: {"model": Problem}, 503: {"model": Problem}},
        openapi_url=OPENAPI if documented else None,
        docs_url=DOCS if documented else None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    _route(app, settings)
    _protect(app, settings, telemetry)
    _watch(app, settings, telemetry, tracing)
    _describe(app, keys_needed=settings.api_keys is not None)
    return app


def _route(app: Application, settings: Settings) -> None:
    """Give it the routes, and answers to what goes wrong in them."""
    for module in (recommendations, videos, imports, interactions, users, operations):
        app.include_router(module.router)
    if settings.console == "on":
        app.include_router(console_router())
    add_problem_handlers(app)


def _protect(app: Application, settings: Settings, telemetry: Telemetry) -> None:
    """Put between network and routes what docs/security.md lists, in its order from the bottom."""
    rooms: dict[Kind, Room] = {
        kind: Room(
            places=IMPORTS if kind == "import" else settings.max_concurrency,
            line=0 if kind == "import" else settings.max_waiting,
            seconds=settings.max_waiting_seconds,
            working=telemetry.requests_working.labels(kind),
            waiting=telemetry.requests_waiting.labels(kind),
        )
        for kind in KINDS
    }
    bodies = Bodies(max_bytes=settings.max_body_bytes, seconds=settings.body_seconds)
    keyring = Keyring(settings.api_keys, clock=time.time) if settings.api_keys else None
    # The last one added sees a request first.
    take = Express(app.state).take
    app.wrap(Admission, take=take, bodies=bodies, rooms=rooms, telemetry=telemetry)
    app.wrap(Access, keyring=keyring, telemetry=telemetry)
    app.wrap(EncodedPath)
    if settings.cors_origins:
        app.wrap(Cors, origins=settings.cors_origins)
    app.wrap(SecurityHeaders)


def _watch(
    app: Application, settings: Settings, telemetry: Telemetry, tracing: "Tracing | None"
) -> None:
    """Put around all that what counts, tells of, traces and names requests."""
    app.wrap(RequestMetrics, telemetry=telemetry)
    if settings.access_log != "off":
        paths = settings.access_log == "paths"
        app.wrap(AccessLog, paths=paths, served=partial(_served, app.state))
    if tracing is not None:
        from service.api.traced import Traced  # noqa: PLC0415 - it needs the extra

        app.wrap(Traced, tracing=tracing)
    app.wrap(RequestIds)
    app.wrap(ServerErrorMiddleware, handler=answer_bug)


def _tracing(settings: Settings) -> "Tracing | None":
    """Return what traces are sent by, if they are wanted.

    Raises:
        MissingExtra: they are, and it is not installed.
    """
    if settings.traces is None:
        return None
    try:
        from service.tracing import open_tracing  # noqa: PLC0415 - it needs the extra
    except ModuleNotFoundError as error:
        raise MissingExtra("RECO_TRACES", "tracing") from error
    return open_tracing(settings.traces, share=settings.traces_share)


def _served(state: State) -> tuple[str, str] | None:
    """Return the bundle and position that answers are given from."""
    services: Services | None = getattr(state, "services", None)
    view = None if services is None else services.catalog.latest
    return None if view is None else (view.bundle_id, view.position)


async def _something_to_answer_from(follower: Follower, member: Member) -> None:
    """Wait for a view: the other processes answer meanwhile, and this one would only refuse.

    Where there is none to be had somebody has to say so, so not for ever.
    """
    patience = PATIENCE_SECONDS if member.first else LONG_PATIENCE_SECONDS
    with suppress(TimeoutError):
        await asyncio.wait_for(follower.first_view(), patience)


async def _document(app: FastAPI, follower: Follower, workers: Executor) -> None:
    """Have a worker make OpenAPI, lest the first who asks for it hold the event loop.

    It takes a quarter of a second of a processor, so what is served is loaded first.
    """
    if app.openapi_url:
        await follower.first_view()
        await asyncio.get_running_loop().run_in_executor(workers, app.openapi)


def _describe(app: FastAPI, *, keys_needed: bool) -> None:
    """Put into OpenAPI what routes do not declare."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        # FastAPI makes it once and hands it out again.
        return app.openapi_schema or complete(generate(), keys_needed=keys_needed)

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way
