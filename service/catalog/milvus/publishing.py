"""Puts the vectors of a bundle into Milvus once, whoever and however many ask for it.

Knows rows and vectors; nothing of what is served. Whoever is killed here is taken over from.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import Final

import structlog

from service.catalog.index import Floats
from service.catalog.milvus.address import is_turn, turn, whole
from service.catalog.milvus.engine import Engine, EngineAway

log = structlog.get_logger()

BATCH: Final = 10_000
# Who has added nothing for so long is taken over from.
PATIENCE: Final = 30.0
LOOK: Final = 0.5
# Milvus makes no collection without a vector.
LEAST_WIDTH: Final = 2


@dataclass(frozen=True, eq=False)
class Content:
    """What a collection is to hold: `vectors: (V, D)`, looked for in `lists` cells or exactly (0).

    In cells they may be `rounded` to a byte a column. It is filled `batch` rows at a time.
    """

    collection: str
    vectors: Floats
    lists: int
    batch: int = BATCH
    rounded: bool = False


class Publisher:
    """One of those who may fill a collection; `owner` is what no other is called."""

    def __init__(
        self, engine: Engine, *, owner: str, stopped: Event, patience: float = PATIENCE
    ) -> None:
        """Take over from whoever adds nothing for `patience` seconds, until `stopped` is set."""
        self._engine = engine
        self._owner = owner
        self._stopped = stopped
        self._patience = patience

    def publish(self, content: Content) -> None:
        """Return once Milvus holds `content`, indexed and ready to be searched.

        Raises:
            EngineAway: it does not, or it was stopped. Asked again, it goes on from where it was.
        """
        name, engine = content.collection, self._engine
        if not engine.meant_by(whole(name)):
            engine.make(name, content.vectors.shape[1], note="vectors of a bundle by row")
        engine.prepare(name, content.lists, rounded=content.rounded)
        seen, since = (-1, -1), time.monotonic()
        while not engine.meant_by(whole(name)):
            now = (engine.count(name), self._turns(name))
            if now != seen:
                seen, since = now, time.monotonic()
            count, turns = now
            if count == len(content.vectors):
                self._finish(content)
            elif turns == 0 or time.monotonic() - since > self._patience:
                self._fill(content, turns + 1)
            else:
                self._wait()

    def _fill(self, content: Content, number: int) -> None:
        """Add what is missing, if this turn is ours and until somebody takes another one."""
        name, vectors = content.collection, content.vectors
        if not self._engine.make(turn(name, number), LEAST_WIDTH, note=self._owner):
            return
        start = self._whole_rows(content)
        if start < len(vectors):
            self._engine.delete_from(name, start)
        log.info("filling the index engine", collection=name, start=start, rows=len(vectors))
        for first in range(start, len(vectors), content.batch):
            if self._stopped.is_set():
                raise EngineAway("stopped")
            if self._turns(name) != number:
                return
            self._engine.insert(name, first, vectors[first : first + content.batch])

    def _whole_rows(self, content: Content) -> int:
        """Return how many rows from the first on are there, each once: whole batches of them."""
        low, high = 0, len(content.vectors) // content.batch
        while low < high:
            middle = (low + high + 1) // 2
            rows = middle * content.batch
            if self._engine.count(content.collection, below=rows) == rows:
                low = middle
            else:
                high = middle - 1
        return low * content.batch

    def _finish(self, content: Content) -> None:
        """See that all rows are indexed and say so. Any number may do it at once."""
        name = content.collection
        self._engine.flush(name)
        while not self._engine.is_indexed(name, len(content.vectors)):
            self._wait()
        self._engine.point(whole(name), name)
        drop_turns(self._engine, name, self._engine.names())

    def _turns(self, name: str) -> int:
        return sum(is_turn(each, name) for each in self._engine.names())

    def _wait(self) -> None:
        if self._stopped.wait(LOOK):
            raise EngineAway("stopped")


def drop_turns(engine: Engine, collection: str, names: Sequence[str]) -> None:
    """Drop the empty collections that those who filled `collection` have left behind."""
    for name in names:
        if is_turn(name, collection):
            engine.drop(name)
