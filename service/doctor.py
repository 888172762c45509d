"""Looks at what a service needs before it is started, and says what mends it. Starts nothing."""

import asyncio
import math
import socket
import stat
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Final, NamedTuple

import faiss

from eventlog.errors import EventLogError
from eventlog.log import open_event_log
from eventlog.position import Position
from eventlog.setup import Doubt
from models.bundle.errors import BundleError
from models.bundle.reader import read_bundle, read_current_id
from service.catalog.milvus.engine import EngineAway
from service.catalog.snapshot import Snapshot
from service.cores import cores
from service.errors import ServiceError
from service.keys import KeysError, read_keys
from service.pushing import engine_state
from service.settings import FAISS, Settings

PACKAGES: Final = ("torch", "faiss-cpu", "faiss-gpu", "fastapi", "uvicorn", "pydantic", "redis")
CREATE: Final = "`python -m service keys create NAME --scope read --file FILE`"


FAULTS: Final = (BundleError, EngineAway, EventLogError, KeysError, ServiceError, OSError)


class Finding(NamedTuple):
    """One thing looked at; `mend` is what to do if it is not good."""

    subject: str
    good: bool
    text: str
    mend: str = ""


class Amiss(Exception):
    """Something was found that is not in order, and is known to be mended by `mend`."""

    def __init__(self, text: str, mend: str) -> None:
        """Keep what to do."""
        self.mend = mend
        super().__init__(text)


def examine(settings: Settings) -> list[Finding]:
    """Look at all there is to look at; what is not in order never hides the rest."""
    findings = []
    for subject, (check, mend) in CHECKS.items():
        try:
            findings.append(Finding(subject, good=True, text=check(settings)))
        except Amiss as amiss:
            findings.append(Finding(subject, good=False, text=str(amiss), mend=amiss.mend))
        except FAULTS as error:
            findings.append(Finding(subject, good=False, text=str(error), mend=mend))
    return findings


def _packages(_: Settings) -> str:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _bundle(settings: Settings) -> str:
    # All of it is verified here: checksums, shapes, lengths of vectors, and that the parts fit.
    bundle = read_bundle(settings.bundles / read_current_id(settings.bundles))
    Snapshot(bundle)
    manifest = bundle.manifest
    widths = ", ".join(f"{name} {width}" for name, width in manifest.modalities.items())
    return (
        f"{bundle.bundle_id}: {len(manifest.files)} files as their checksums say, "
        f"{manifest.videos} videos and {manifest.users} users, {manifest.vector_dim} numbers "
        f"each of length 1; features: {widths}"
    )


def _event_log(settings: Settings) -> str:
    head, doubts = asyncio.run(_ask_log(settings))
    if doubts:
        # All in one go: who mends one should not have to come back for the next.
        faults, mends = zip(*doubts, strict=True)
        raise Amiss("; ".join(faults), "; ".join(mends))
    return f"{settings.event_log.partition('://')[0]}, head {head or 'empty'}"


async def _ask_log(settings: Settings) -> tuple[Position, list[Doubt]]:
    event_log = open_event_log(settings.event_log)
    try:
        return await event_log.head(), await event_log.doubts()
    finally:
        await event_log.close()


def _index(settings: Settings) -> str:
    try:
        current = read_current_id(settings.bundles)
    except BundleError:
        # That is for another finding.
        current = ""
    return engine_state(settings, current)


def _port(settings: Settings) -> str:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((settings.host, settings.port))
    return f"{settings.host}:{settings.port} is free"


def _threads(settings: Settings) -> str:
    each, may = faiss.omp_get_max_threads(), cores()
    text = f"{settings.worker_threads} worker threads of {each} each, {may:g} cores"
    if settings.processes > 1:
        text = f"{settings.processes} processes with {text}"
    if settings.index != FAISS:
        return f"{text}: they wait for the index engine"
    # One more than cores keeps them busy while it waits, in each process; any more take turns.
    most = (math.ceil(may) + settings.processes) // settings.processes
    if settings.processes > math.ceil(may):
        raise Amiss(f"{text}: more processes than cores", f"RECO_PROCESSES={math.ceil(may)}")
    if settings.worker_threads * each > most:
        raise Amiss(
            f"{text}: they would take turns, and all be slow",
            f"OMP_NUM_THREADS=1 and RECO_WORKER_THREADS={min(settings.worker_threads, most)}",
        )
    return text


def _access(settings: Settings) -> str:
    if settings.api_keys is None:
        if settings.exposed:
            raise Amiss(
                f"whoever reaches {settings.host} may read, write and erase",
                f"{CREATE}, and name the file in RECO_API_KEYS",
            )
        return f"no API keys: whoever is on this machine may do all ({settings.host} is loopback)"
    keys, now = read_keys(settings.api_keys), time.time()
    good = [key for key in keys if not key.expired(now)]
    if not good:
        raise Amiss(f"none of {len(keys)} API keys in {settings.api_keys} is good", CREATE)
    if settings.api_keys.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        fault = f"others than its owner may write {settings.api_keys}"
        raise Amiss(fault, f"chmod go-w {settings.api_keys}")
    return f"{len(good)} API keys in {settings.api_keys}, {len(keys) - len(good)} more expired"


MEND_BUNDLE: Final = (
    "`python -m training fit DATASET --out BUNDLES` makes one, `python -m service bundles list` "
    "shows what is there, `python -m service bundles rollback` goes back to the one before"
)
MEND_LOG: Final = (
    "see that the server of RECO_EVENT_LOG runs and can be reached, or that its file is an event "
    "log that this user may write"
)
MEND_INDEX: Final = (
    "see that the server of RECO_INDEX runs and can be reached, and that RECO_INDEX_TOKEN is what "
    "it knows us by; until then the bundle's own index answers"
)
MEND_PORT: Final = "another RECO_PORT (0 for any), or an address of this machine as RECO_HOST"
MEND_KEYS: Final = f"give this user the right to read it; {CREATE} makes one"
# What is looked at, and what helps where a check does not know better.
CHECKS: Final[dict[str, tuple[Callable[[Settings], str], str]]] = {
    "packages": (_packages, ""),
    "bundle": (_bundle, MEND_BUNDLE),
    "event log": (_event_log, MEND_LOG),
    "index": (_index, MEND_INDEX),
    "port": (_port, MEND_PORT),
    "threads": (_threads, ""),
    "access": (_access, MEND_KEYS),
}
