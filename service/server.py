"""Runs the application under uvicorn and says on the terminal how to talk to it."""

import asyncio
import gc
import json
import shlex
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np
import structlog
import uvicorn
from fastapi import FastAPI
from rich.console import Console

from eventlog.log import open_event_log
from service.app import create_app
from service.catalog.view import View
from service.group import Member, run_group
from service.keys import read_keys
from service.logs import configure_logging
from service.settings import Settings

DRAIN_SECONDS = 10
# An event loop of several that has not turned for so long is given up, and its process replaced.
HANG_SECONDS = 60
# A batch of videos is made of some ten thousand; Python's 700 is a fifth of its time.
YOUNG_OBJECTS = 20_000
# How long a worker computes before the event loop gets its turn. With Python's 5 ms the loop takes
# twice as long to refuse what is too much, and no more is done.
SWITCH_SECONDS = 0.0005
CURL = "curl -sS"
CURL_WITH_KEY = 'curl -sS -H "authorization: Bearer $KEY"'

log = structlog.get_logger()


def serve(settings: Settings, *, example: Path | None) -> None:
    """Serve until interrupted. Into `example` goes a made-up video that the curl lines send.

    Raises:
        AddressTaken: several processes are wanted, and none can listen where they should.
        EventLogError: the event log cannot be opened.
        KeysError: there is a file of keys, and it cannot be read.
        MissingExtra: a setting wants what is not installed.
        NoMeetingPlace: several processes are wanted, and there is no folder for temporary files.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
    configure_logging(level=settings.log_level, style=settings.log_format)
    # Fails here, in plain words, if the log cannot be opened; the application opens its own.
    asyncio.run(open_event_log(settings.event_log).close())
    _tell_who_may_ask(settings)
    run = partial(_run, settings, example)
    if settings.processes == 1:
        run(None)
    else:
        run_group(
            settings.processes,
            settings.host,
            settings.port,
            run,
            patience=DRAIN_SECONDS + 5,
            silence=HANG_SECONDS,
        )


def _run(settings: Settings, example: Path | None, member: Member | None) -> None:
    """Serve in this process, alone or as the `member` of a group."""
    if member is not None:
        configure_logging(
            level=settings.log_level, style=settings.log_format, process=member.number
        )
    for number in (signal.SIGINT, signal.SIGTERM):
        # Uvicorn drains, then raises the signal again: asked to end, we have ended well.
        signal.signal(number, lambda *_: sys.exit(0))
    app = create_app(settings, member)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,  # ids of users would be in it; ours is `service.api.tracking`
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    server = _Server(config, app, example, settings, member)
    server.run(list(member.sockets) if member else None)
    if not server.started:
        sys.exit(1)


def _tell_who_may_ask(settings: Settings) -> None:
    """Say it in the log; a file of keys that cannot be read stops the start.

    Raises:
        KeysError: that is so.
    """
    if settings.api_keys is not None:
        log.info("API keys are needed", keys=len(read_keys(settings.api_keys)))
    elif settings.exposed:
        log.warning(
            "no API keys: whoever reaches this host may read, write and erase",
            host=settings.host,
            mend="docs/security.md",
        )
    else:
        log.info("no API keys: whoever is on this machine may do all", host=settings.host)


class _Server(uvicorn.Server):
    """Uvicorn's server, with a greeting once there is something to answer from."""

    def __init__(
        self,
        config: uvicorn.Config,
        app: FastAPI,
        example: Path | None,
        settings: Settings,
        member: Member | None,
    ) -> None:
        super().__init__(config)
        self._app = app
        self._example = example
        self._settings = settings
        self._member = member
        self._greeting: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then greet beside the serving."""
        if self._member is not None:
            asyncio.get_running_loop().add_reader(self._member.parent, self._orphaned)
            self._beating = asyncio.create_task(_beat(self._member))
        await super().startup(sockets)
        if not all(map(_listens, sockets or ())):
            log.error("another program listens at this address")
            await self.shutdown()
            sys.exit(1)
        if self.started and self._member is not None:
            self._member.rise()
        if self.started:
            self._greeting = asyncio.create_task(self._greet())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop to greet, then to listen."""
        if self._greeting is not None:
            self._greeting.cancel()
        await super().shutdown(sockets)

    def _orphaned(self) -> None:
        """End, for who would start us again and end us is gone."""
        if self._member is not None:
            asyncio.get_running_loop().remove_reader(self._member.parent)
        log.error("the process that started this one is gone")
        self.should_exit = True

    async def _greet(self) -> None:
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        root = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        # Plain text with no wrapping: these lines are made to be copied. One process says them.
        member = self._member
        quiet = member is not None and (member.number > 0 or not member.first)
        console = Console(soft_wrap=True, highlight=False, markup=False, quiet=quiet)
        console.print(f"Listening on {root}; loading the bundle …")
        view = await self._app.state.services.follower.first_view()
        # What is there by now stays: no full collection looks at it again, 60 ms each time.
        gc.collect()
        gc.freeze()
        if quiet:
            return
        console.print(f"Ready: bundle {view.bundle_id}.")
        if self._settings.console == "on":
            console.print(f"Console: {root}/console")
        if self._settings.docs == "on":
            console.print(f"API documentation: {root}/docs")
        console.print("Try:")
        curl = CURL_WITH_KEY if self._settings.api_keys else CURL
        try:
            lines = _curl_lines(view, root, curl, self._example)
        except OSError as error:
            console.print(f"  (the example could not be written: {error})")
            lines = _curl_lines(view, root, curl, None)
        for line in lines:
            console.print(f"  {line}")


def _listens(one: socket.socket) -> bool:
    """Tell if a socket listens: uvloop closes one that could not, and does not say so."""
    try:
        return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False


async def _beat(member: Member) -> None:
    while True:
        member.beat()
        await asyncio.sleep(1)


def _curl_lines(view: View, root: str, curl: str, example: Path | None) -> list[str]:
    bundle = view.snapshot.bundle
    user = quote(bundle.user_ids[0], safe="")
    video = "my-first-video" if example else quote(bundle.video_ids[0], safe="")
    lines = [f"{curl} '{root}/v1/users/{user}/recommendations?k=5'"]
    if example:
        features = view.snapshot.fuser.example(np.random.default_rng(0))
        body = {"features": features, "metadata": {"title": "My first video", "tags": ["new"]}}
        example.parent.mkdir(parents=True, exist_ok=True)
        example.write_text(json.dumps(body), "utf-8")
        lines.append(
            f"{curl} -X PUT '{root}/v1/videos/{video}' "
            f"-H 'content-type: application/json' --data {shlex.quote(f'@{example}')}"
        )
    lines.append(f"{curl} '{root}/v1/videos/{video}/similar?k=5'")
    return lines
