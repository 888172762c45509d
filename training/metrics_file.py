"""Tells Prometheus how a training goes, in a file for node exporter's textfile collector.

Knows metrics and one file; nothing of networks. The file is replaced whole, after each epoch.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge, Info, write_to_textfile

from training.checkpoint import EpochReport
from training.data.dataset import Dataset

SIZES: Final = ("users", "videos", "cold videos", "interactions")


class MetricsFile:
    """The metrics of one training; without a `path` they are kept and told to nobody."""

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.time) -> None:
        """Register all of them; nothing is written yet."""
        self._path = path
        self._clock = clock
        self.registry = CollectorRegistry()
        self._running = self._gauge("running", "1 while it goes on.")
        self._succeeded = self._gauge("succeeded", "1 if it has ended with a bundle.")
        self._started = self._gauge("started_timestamp_seconds", "When it began, in Unix seconds.")
        self._finished = self._gauge("finished_timestamp_seconds", "When it ended; 0 before.")
        self._size = self._gauge("dataset_size", "How much it learns from.", "of")
        self._epoch = self._gauge("epoch", "The last epoch that is done.")
        self._max_epochs = self._gauge("max_epochs", "The most epochs there may be.")
        self._member = self._gauge("member", "Which member of an ensemble it is about, from 1.")
        self._loss = self._gauge("loss", "Mean loss of the last epoch.")
        self._validation = self._gauge(
            "validation_metric", "What was last measured on validation.", "group", "metric"
        )
        self._best = self._gauge("best_validation_recall", "Best overall recall@20 on validation.")
        self._test = self._gauge(
            "test_metric", "What was measured of the bundle on test.", "group", "metric"
        )
        self._bundle = Info(
            "reco_training_bundle", "The bundle that was written.", registry=self.registry
        )
        for size in SIZES:
            self._size.labels(size)

    def begin(self, dataset: Dataset) -> None:
        """Tell that training begins.

        Raises:
            OSError: the file cannot be written.
        """
        self._running.set(1)
        self._member.set(1)
        self._started.set(self._clock())
        sizes = (dataset.users, dataset.videos, int(dataset.cold.sum()), len(dataset.train))
        for size, number in zip(SIZES, sizes, strict=True):
            self._size.labels(size).set(number)
        self._write()

    def also(self, show: Callable[[EpochReport], None]) -> Callable[[EpochReport], None]:
        """Return what shows an epoch by `show` and tells it here too."""

        def report(epoch: EpochReport) -> None:
            show(epoch)
            self.observe(epoch)

        return report

    def observe(self, report: EpochReport) -> None:
        """Tell how it stands after an epoch."""
        self._epoch.set(report.epoch)
        self._max_epochs.set(report.max_epochs)
        self._member.set(report.member)
        self._loss.set(report.loss)
        if report.best is not None:
            self._best.set(report.best)
        for group, figures in (report.judged or {}).items():
            for name, value in figures.items():
                self._validation.labels(group, name).set(value)
        self._write_if_possible()

    def succeed(self, bundle_id: str, metrics: Mapping[str, Any]) -> None:
        """Tell that there is a bundle, and what was measured of it."""
        self._bundle.info({"bundle_id": bundle_id})
        for name, value in metrics.items():
            figures = value if isinstance(value, Mapping) else {name: value}
            group = name if isinstance(value, Mapping) else "overall"
            for metric, figure in figures.items():
                self._test.labels(group, metric).set(figure)
        self._succeeded.set(1)

    def end(self) -> None:
        """Tell that it has ended, well or not."""
        self._running.set(0)
        self._finished.set(self._clock())
        self._write_if_possible()

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"reco_training_{name}", text, labels, registry=self.registry)

    def _write(self) -> None:
        if self._path is not None:
            write_to_textfile(str(self._path), self.registry)

    def _write_if_possible(self) -> None:
        # Hours of training are not to end for a full disk elsewhere.
        with contextlib.suppress(OSError):
            self._write()


@contextmanager
def told_in(path: Path | None, dataset: Dataset) -> Iterator[MetricsFile]:
    """Yield the metrics of a training that begins now and ends with the block.

    Raises:
        OSError: the file cannot be written.
    """
    file = MetricsFile(path)
    file.begin(dataset)
    try:
        yield file
    finally:
        file.end()
