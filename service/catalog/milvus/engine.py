"""Speaks to Milvus, each call with a deadline. Knows collections, rows and vectors; no bundles.

pymilvus is an extra: it is imported when a Milvus is first spoken to, and nowhere else.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from service.catalog.index import Floats, Rows
from service.catalog.milvus.address import Address

# What but a search may take: none of it is done while a request waits.
CALL_SECONDS: Final = 10.0
LOAD_SECONDS: Final = 120.0
CONNECT_SECONDS: Final = 2.0
# Milvus gives no more rows than these at once.
MOST_ROWS: Final = 16_384
LOGGERS: Final = ("pymilvus", "pymilvus.milvus_client")


class EngineAway(Exception):
    """Milvus did not do what it was asked to, in time."""


class Engine:
    """One Milvus, to be asked from any thread."""

    def __init__(self, address: Address, token: str, *, search_seconds: float) -> None:
        """Keep where it is; `connect` connects."""
        self._address = address
        self._token = token
        self._search_seconds = search_seconds
        self._client: Any = None
        self._connecting = threading.Lock()

    def connect(self) -> None:
        """Connect, unless a connection is there.

        Raises:
            EngineAway: nobody answers.
        """
        import pymilvus  # noqa: PLC0415 - an extra

        for name in LOGGERS:
            # It logs each failure with a traceback; we count failures, and tell of the first.
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        with self._connecting, _asked("connect"):
            if self._client is not None:
                return
            self._client = pymilvus.MilvusClient(
                uri=self._address.uri,
                token=self._token,
                db_name=self._address.database,
                timeout=CONNECT_SECONDS,
                dedicated=True,
            )

    def disconnect(self) -> None:
        """Close the connection; whoever waits for an answer is told that there will be none."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def version(self) -> str:
        """Return the version of the server."""
        with _asked("version"):
            return str(self._there.get_server_version(timeout=CALL_SECONDS))

    def search(self, name: str, vectors: Floats, k: int, nprobe: int) -> list[tuple[Rows, Floats]]:
        """Return, for each of `vectors: (B, D)`, rows and inner products of at most `k` near it.

        Best first.

        Nothing is written to a collection that is searched: no consistency need be waited for.

        Raises:
            EngineAway: there is no answer within `search_seconds`.
        """
        with _asked("search"):
            found = self._there.search(
                name,
                list(np.asarray(vectors, dtype=np.float32)),
                limit=k,
                search_params={"params": {"nprobe": nprobe}},
                consistency_level="Eventually",
                timeout=self._search_seconds,
            )
        return [(np.array(f.ids, np.int64), np.array(f.distances, np.float32)) for f in found]

    def names(self) -> list[str]:
        """Return the names of all collections, in order."""
        with _asked("list"):
            return sorted(self._there.list_collections(timeout=CALL_SECONDS))

    def make(self, name: str, width: int, *, note: str) -> bool:
        """Make a collection; return if it is there with this `note` now.

        Of many who make one of the same name with notes of their own, one is told that it is there.
        """
        import pymilvus  # noqa: PLC0415 - an extra

        schema = pymilvus.MilvusClient.create_schema(description=note)
        schema.add_field("row", pymilvus.DataType.INT64, is_primary=True)
        schema.add_field("vector", pymilvus.DataType.FLOAT_VECTOR, dim=width)
        with _asked("make a collection"):
            try:
                self._there.create_collection(name, schema=schema, timeout=CALL_SECONDS)
            except pymilvus.MilvusException:
                if not self._there.has_collection(name, timeout=CALL_SECONDS):
                    raise
            told = self._there.describe_collection(name, timeout=CALL_SECONDS)
        return bool(told["description"] == note)

    def prepare(self, name: str, lists: int, *, rounded: bool) -> None:
        """Say how a collection is to be indexed, in `lists` cells (0: scored exactly), and load it.

        Vectors may be `rounded` to a byte a column, and their scores with them.

        Done already, it is done again at no cost.
        """
        import pymilvus  # noqa: PLC0415 - an extra

        kind = "FLAT" if not lists else "IVF_SQ8" if rounded else "IVF_FLAT"
        params = pymilvus.MilvusClient.prepare_index_params()
        params.add_index(
            "vector", index_type=kind, metric_type="IP", params={"nlist": lists} if lists else {}
        )
        with _asked("index"):
            self._there.create_index(name, params, timeout=CALL_SECONDS)
            self._there.load_collection(name, timeout=LOAD_SECONDS)

    def insert(self, name: str, start: int, vectors: Floats) -> None:
        """Add `vectors: (N, D)` as rows from `start`."""
        rows = [{"row": row, "vector": vector} for row, vector in enumerate(vectors, start)]
        with _asked("insert"):
            self._there.insert(name, rows, timeout=CALL_SECONDS)

    def count(self, name: str, *, below: int | None = None) -> int:
        """Return how many rows there are, or of them how many `below` one; all that was written."""
        with _asked("count"):
            (told,) = self._there.query(
                name,
                filter="" if below is None else f"row < {below}",
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=CALL_SECONDS,
            )
        return int(told["count(*)"])

    def delete_from(self, name: str, start: int) -> None:
        """Delete the rows from `start` on."""
        with _asked("delete"):
            self._there.delete(name, filter=f"row >= {start}", timeout=CALL_SECONDS)

    def flush(self, name: str) -> None:
        """Make what was inserted durable, and due to be indexed."""
        with _asked("flush"):
            self._there.flush(name, timeout=LOAD_SECONDS)

    def is_indexed(self, name: str, rows: int) -> bool:
        """Tell whether all of at least `rows` rows are indexed."""
        with _asked("index"):
            told = self._there.describe_index(name, "vector", timeout=CALL_SECONDS)
        return int(told["total_rows"]) >= rows and int(told["pending_index_rows"]) == 0

    def meant_by(self, alias: str) -> str:
        """Return the collection that an alias stands for; "" if there is no such alias."""
        with _asked("alias"):
            if not self._there.has_collection(alias, timeout=CALL_SECONDS):
                return ""
            told = self._there.describe_collection(alias, timeout=CALL_SECONDS)
            return str(told["collection_name"])

    def point(self, alias: str, name: str) -> None:
        """Let an alias stand for a collection, whatever it stood for."""
        meant = self.meant_by(alias)
        with _asked("alias"):
            if not meant:
                self._there.create_alias(name, alias, timeout=CALL_SECONDS)
            elif meant != name:
                self._there.alter_alias(name, alias, timeout=CALL_SECONDS)

    def drop(self, name: str) -> None:
        """Drop a collection and the aliases that stand for it; others may do so at once."""
        import pymilvus  # noqa: PLC0415 - an extra

        with _asked("drop"):
            try:
                if not self._there.has_collection(name, timeout=CALL_SECONDS):
                    return
                told = self._there.describe_collection(name, timeout=CALL_SECONDS)
                for alias in told["aliases"]:
                    self._there.drop_alias(alias, timeout=CALL_SECONDS)
                self._there.drop_collection(name, timeout=CALL_SECONDS)
            except pymilvus.MilvusException:
                if self._there.has_collection(name, timeout=CALL_SECONDS):
                    raise

    @property
    def _there(self) -> Any:
        client = self._client
        if client is None:
            raise EngineAway("no connection to Milvus")
        return client


@contextmanager
def _asked(what: str) -> Iterator[None]:
    """Turn all that can go wrong with a call into EngineAway.

    Raises:
        EngineAway: the call failed.
    """
    try:
        yield
    except _failures() as error:
        said = str(getattr(error, "message", "") or getattr(error, "details", str)() or error)
        raise EngineAway(f"{what}: {' '.join(said.split())[:200]}") from error


def _failures() -> tuple[type[Exception], ...]:
    """Return what a call can fail with; a connection closed meanwhile makes a ValueError."""
    import grpc  # noqa: PLC0415 - comes with an extra
    import pymilvus  # noqa: PLC0415 - an extra

    return grpc.RpcError, pymilvus.MilvusException, ValueError
