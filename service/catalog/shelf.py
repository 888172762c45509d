"""Which bundles there are and which of them can be used. Knows files; nothing of logs or views."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import structlog

from eventlog.position import START, Position, is_position
from models.bundle import layout
from models.bundle.errors import BundleError, CorruptBundle
from models.bundle.reader import (
    Bundle,
    list_bundle_ids,
    read_bundle,
    read_current_id,
    read_manifest,
)
from service.catalog.index import Index
from service.catalog.snapshot import Snapshot
from service.telemetry import Telemetry

log = structlog.get_logger()

# Names, sizes and times of a bundle's files: a refused one is looked at again once they change.
Stamp = tuple[tuple[str, int, int], ...]
# Given a bundle and the index in it, returns the index to search in.
Indexer = Callable[[Bundle, Index], Index]


class Choice(NamedTuple):
    """Bundles in the order in which they should be tried, and what is wrong with CURRENT."""

    bundle_ids: list[str]
    fault: str


class Shelf:
    """The folder of bundles. A refused bundle is refused again at no cost until it changes."""

    def __init__(
        self,
        root: Path,
        telemetry: Telemetry,
        indexer: Indexer | None = None,
        *,
        device: str = "cpu",
    ) -> None:
        """Keep where the bundles are; without an `indexer` they are searched by their own index.

        Arrivals are fused on the torch `device`.
        """
        self._device = device
        self._root = root
        self._indexer = indexer
        self._telemetry = telemetry
        self._refused: dict[str, tuple[Stamp, BundleError]] = {}

    def choose(self, *, served: str | None) -> Choice:
        """Return what to serve: what CURRENT names, then, with nothing `served`, all others.

        Others are tried newest first.
        """
        fault, wanted = "", []
        try:
            wanted = [read_current_id(self._root)]
        except BundleError as error:
            fault = str(error)
        others = [] if served else list_bundle_ids(self._root)
        return Choice(list(dict.fromkeys([*wanted, *others])), fault)

    def open(self, bundle_id: str) -> Snapshot:
        """Open a bundle, or say again why it was refused if it is still the same.

        Raises:
            BundleError: it is refused.
        """
        folder = self._root / bundle_id
        stamp = _stamp(folder)
        known_stamp, known_error = self._refused.get(bundle_id, ((), None))
        if known_error is not None and known_stamp == stamp:
            raise known_error
        try:
            snapshot = _open(folder, self._device)
        except BundleError as error:
            self.refuse(bundle_id, error)
            raise
        if self._indexer is not None:
            snapshot.index = self._indexer(snapshot.bundle, snapshot.index)
        return snapshot

    def refuse(self, bundle_id: str, error: BundleError) -> None:
        """Take note that a bundle cannot be used as it is."""
        self._refused[bundle_id] = (_stamp(self._root / bundle_id), error)
        self._telemetry.catalog.refusals.inc()
        # A fact, not a bug: the fault says all, a traceback would say nothing more.
        log.error("bundle refused", bundle_id=bundle_id, fault=str(error))

    def oldest_position(self) -> Position:
        """Return the lowest log position that a bundle on the shelf begins from.

        START, if one has read nothing of the log or cannot be read.
        """
        positions = []
        for bundle_id in list_bundle_ids(self._root):
            try:
                manifest = read_manifest(self._root / bundle_id)
            except BundleError:
                return START
            positions.append(Position(manifest.log_position or START))
        # Of different logs: only a person can say which one counts.
        alike = len({position.partition("-")[0] for position in positions}) == 1
        return min(positions) if alike else START


def _open(folder: Path, device: str) -> Snapshot:
    try:
        snapshot = Snapshot(read_bundle(folder), device)
    except OSError as error:
        raise CorruptBundle(folder, f"cannot be read: {error}") from error
    position = snapshot.manifest.log_position
    if position and not is_position(position):
        fault = f"log_position {position[:40]!r} is no position of an event log"
        raise CorruptBundle(folder / layout.MANIFEST, fault)
    return snapshot


def _stamp(folder: Path) -> Stamp:
    try:
        files = [(file.name, file.stat()) for file in sorted(folder.iterdir())]
    except OSError:
        return ()
    return tuple((name, status.st_size, status.st_mtime_ns) for name, status in files)
