"""Sees to it that Milvus holds what is served, and knows whether it answers. Knows the shelf.

All that takes long, and every look whether Milvus is back, is done in a thread of its own: a
request pays for a Milvus that is away once, with the time it gives a search.
"""

import os
import socket
import uuid
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Final

import structlog

from models.bundle.errors import BundleError
from models.bundle.reader import Bundle, list_bundle_ids, read_current_id
from service.catalog.index import Index
from service.catalog.milvus.address import Address, read_address, whole
from service.catalog.milvus.engine import Engine, EngineAway
from service.catalog.milvus.index import MilvusIndex
from service.catalog.milvus.publishing import Publisher, drop_turns
from service.measures.engine import EngineMetrics

log = structlog.get_logger()

PAUSE: Final = 1.0
END_SECONDS: Final = 5.0
NOT_YET: Final = "Milvus does not hold this bundle yet"


def open_keeper(
    url: str,
    token: str,
    root: Path,
    metrics: EngineMetrics,
    note: Callable[[str], None],
    *,
    search_seconds: float,
) -> "Keeper":
    """Return who looks after the bundles of `root` in the Milvus at `url`; nothing is begun."""
    address = read_address(url)
    engine = Engine(address, token, search_seconds=search_seconds)
    return Keeper(address, engine, root, metrics, note)


class Keeper:
    """Makes the indexes of bundles; the one that is served it keeps in Milvus."""

    def __init__(
        self,
        address: Address,
        engine: Engine,
        root: Path,
        metrics: EngineMetrics,
        note: Callable[[str], None],
    ) -> None:
        """Call `note` with why Milvus does not answer for what is served; "" once it does."""
        self._address = address
        self._engine = engine
        self._root = root
        self._metrics = metrics
        self._note = note
        self._served: MilvusIndex | None = None
        self._stopped, self._woken = Event(), Event()
        owner = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex}"
        self._publisher = Publisher(engine, owner=owner, stopped=self._stopped)
        self._thread = Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin to look after what will be served."""
        self._thread.start()

    def close(self) -> None:
        """End, in the middle of whatever is done: it can be taken up again."""
        self._stopped.set()
        self._woken.set()
        self._engine.disconnect()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)

    def index(self, bundle: Bundle, own: Index) -> MilvusIndex:
        """Return the index of a bundle whose `own` index stands in where Milvus does not answer.

        It is available at once if Milvus holds the bundle, and is not waited for if it is away.
        """
        collection = self._address.collection(bundle.bundle_id)
        index = MilvusIndex(
            self._engine, collection, bundle.videos, own, self._metrics, on_failure=self._fail
        )
        try:
            self._engine.connect()
            if self._engine.meant_by(whole(collection)):
                index.ask(bundle.videos[:1], 1)
                index.available = True
        except EngineAway as error:
            log.warning("index engine away", fault=str(error))
        return index

    def serve(self, index: Index) -> None:
        """Keep this index in Milvus from now on."""
        if isinstance(index, MilvusIndex) and index is not self._served:
            self._served = index
            if not index.available:
                self._note(NOT_YET)
            self._woken.set()

    def push(self, index: MilvusIndex) -> None:
        """Return once Milvus holds the bundle and has answered.

        Raises:
            EngineAway: it does not.
        """
        self._engine.connect()
        self._publisher.publish(index.content)
        index.ask(index.content.vectors[:1], 1)
        index.available = True

    def state(self, bundle_id: str) -> str:
        """Return what answers and whether it holds a bundle, if there is one.

        Raises:
            EngineAway: nobody answers.
        """
        self._engine.connect()
        found = f"Milvus {self._engine.version()} at {self._address.uri}"
        if not bundle_id:
            return found
        holds = self._engine.meant_by(whole(self._address.collection(bundle_id)))
        return f"{found}, which {'holds' if holds else 'does not hold yet'} {bundle_id}"

    def _fail(self, index: MilvusIndex, fault: str) -> None:
        if index is self._served:
            self._note(fault)
            self._woken.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.wait()
            self._woken.clear()
            index = self._served
            if index is None or self._stopped.is_set():
                continue
            try:
                self.push(index)
                if index is self._served:
                    self._note("")
                self._tidy(index)
            except EngineAway as error:
                self._tell(index, str(error))
            except Exception as error:
                # Whatever it was, requests are answered; it must be tried again, and be seen.
                log.exception("keeper failed")
                self._tell(index, repr(error))

    def _tell(self, index: MilvusIndex, fault: str) -> None:
        """Say what went wrong, and have it tried again."""
        if self._stopped.is_set():
            return
        if not index.available:
            self._note(fault)
        self._metrics.errors.labels("publish").inc()
        log.warning("index engine away", fault=fault)
        self._engine.disconnect()
        self._woken.set()
        self._stopped.wait(PAUSE)

    def _tidy(self, index: MilvusIndex) -> None:
        """Let the alias stand for what is served; drop what is of bundles that are gone.

        Bundles that are newer than the current one may be on their way to our shelf.
        """
        try:
            current = read_current_id(self._root)
        except BundleError:
            return
        if self._address.collection(current) == index.content.collection:
            self._engine.point(self._address.current, index.content.collection)
        log.info("index engine answers", collection=index.content.collection)
        there, names = set(list_bundle_ids(self._root)), self._engine.names()
        for name in names:
            bundle_id = self._address.bundle_id(name)
            if bundle_id and bundle_id not in there and bundle_id < current:
                drop_turns(self._engine, name, names)
                self._engine.drop(name)
                log.info("collection dropped", collection=name, whole=whole(name))
