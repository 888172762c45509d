"""Looks at what a service needs before it is started. Knows settings; starts nothing."""

import asyncio
import socket
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from eventlog.errors import EventLogError
from eventlog.log import open_event_log
from eventlog.position import Position
from models.bundle.errors import BundleError
from models.bundle.reader import read_bundle, read_current_id
from service.catalog.snapshot import Snapshot
from service.errors import ServiceError
from service.keys import KeysError, read_keys
from service.settings import Settings

PACKAGES = ("torch", "faiss-cpu", "faiss-gpu", "fastapi", "uvicorn", "pydantic", "redis")


class Finding(NamedTuple):
    """One thing looked at."""

    subject: str
    good: bool
    text: str


def examine(settings: Settings) -> list[Finding]:
    """Look at packages, the current bundle, the event log, the port and who may ask."""
    checks: dict[str, Callable[[Settings], str]] = {
        "packages": _packages,
        "bundle": _bundle,
        "event log": _event_log,
        "port": _port,
        "access": _access,
    }
    findings = []
    for subject, check in checks.items():
        try:
            findings.append(Finding(subject, good=True, text=check(settings)))
        except (BundleError, EventLogError, KeysError, ServiceError, OSError) as error:
            findings.append(Finding(subject, good=False, text=str(error)))
    return findings


def _packages(_: Settings) -> str:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    if not any(text.startswith("faiss") for text in found):
        raise OSError("neither faiss-cpu nor faiss-gpu is installed: pip install '.[cpu]'")
    return ", ".join(found)


def _bundle(settings: Settings) -> str:
    bundle = read_bundle(settings.bundles / read_current_id(settings.bundles))
    Snapshot(bundle)
    return f"{bundle.bundle_id}: {bundle.manifest.videos} videos, {bundle.manifest.users} users"


def _event_log(settings: Settings) -> str:
    return (
        f"{settings.event_log.partition('://')[0]}, head {asyncio.run(_head(settings)) or 'empty'}"
    )


async def _head(settings: Settings) -> Position:
    event_log = open_event_log(settings.event_log)
    try:
        return await event_log.head()
    finally:
        await event_log.close()


def _port(settings: Settings) -> str:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((settings.host, settings.port))
    return f"{settings.host}:{settings.port} is free"


def _access(settings: Settings) -> str:
    if settings.api_keys is not None:
        keys = read_keys(settings.api_keys)
        expired = sum(key.expired(time.time()) for key in keys)
        return f"{len(keys)} API keys in {settings.api_keys}, {expired} of them expired"
    if settings.exposed:
        raise KeysError(
            f"whoever reaches {settings.host} may read, write and erase: make keys with "
            "`python -m service keys create` and name their file in RECO_API_KEYS"
        )
    return f"no API keys: whoever is on this machine may do all ({settings.host} is loopback)"
