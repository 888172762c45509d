"""The metrics of all processes that share a port, whichever of them is asked.

Each tells the others its own over a socket in a folder of theirs, so that one scrape has them all,
each sample with the label `process`.
"""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.group import Member

# A sibling that takes longer is left out: a scrape should not wait for who hangs.
PATIENCE_SECONDS: Final = 1.0

log = structlog.get_logger()


class Family(msgspec.Struct, array_like=True):
    """A metric with its samples: name, labels, value."""

    name: str
    about: str
    kind: str
    unit: str
    samples: Sequence[tuple[str, dict[str, str], float]]


class Gathered(Collector):
    """The metrics of several processes, as what encodes them wants them."""

    def __init__(self, told: Iterable[tuple[int, Sequence[Family]]]) -> None:
        """Put the families of each process, by its number, together."""
        self._metrics: dict[str, Metric] = {}
        for number, families in told:
            for family in families:
                self._add(family, str(number))

    def _add(self, family: Family, process: str) -> None:
        metric = self._metrics.get(family.name)
        if metric is None:
            metric = Metric(family.name, family.about, family.kind, family.unit)
            self._metrics[family.name] = metric
        for name, labels, value in family.samples:
            metric.add_sample(name, {**labels, "process": process}, value)

    def collect(self) -> Iterable[Metric]:
        """Return them, one of a name."""
        return self._metrics.values()


class Siblings:
    """This process and those that share its port, if it is the `member` of a group."""

    def __init__(self, registry: CollectorRegistry, member: Member | None) -> None:
        """Open nothing yet; `registry` holds this process's own metrics."""
        self._registry, self._member = registry, member
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to tell the others."""
        if self._member is None:
            return
        path = self._member.folder / str(self._member.number)
        try:
            # Who cleans up temporary files may have taken it; nobody else is to look into it.
            path.parent.mkdir(mode=0o700, exist_ok=True)
            # Of a process that had this number before.
            path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._tell, path)
        except OSError as error:
            log.warning("others cannot tell the metrics of this process", fault=str(error))

    def close(self) -> None:
        """Tell no more."""
        if self._server is not None:
            self._server.close()

    async def gather(self) -> Collector:
        """Return the metrics of all who answer; one's own as they are where nobody else is."""
        member = self._member
        if member is None:
            return self._registry
        others = [number for number in range(member.size) if number != member.number]
        answers = await asyncio.gather(
            *(self._ask(number, member.folder / str(number)) for number in others)
        )
        told = dict(zip(others, answers, strict=True))
        return Gathered(sorted([*told.items(), (member.number, self._own())]))

    async def _ask(self, number: int, path: Path) -> Sequence[Family]:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    return msgspec.msgpack.decode(await reader.read(), type=list[Family])
                finally:
                    writer.close()
        except TimeoutError:
            log.warning("a process does not answer", sibling=number)
            return []
        except (OSError, msgspec.DecodeError):
            # It has ended, in the middle of its answer or before: who forked it says so.
            return []

    async def _tell(self, _: Any, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(msgspec.msgpack.encode(self._own()))
            await writer.drain()
        except OSError:
            # Who asked has gone.
            return
        finally:
            writer.close()

    def _own(self) -> list[Family]:
        return [
            Family(
                metric.name,
                metric.documentation,
                metric.type,
                metric.unit,
                [(sample.name, sample.labels, sample.value) for sample in metric.samples],
            )
            for metric in self._registry.collect()
        ]
