"""The view that is served and what is wrong with it. Knows no bundle, no log and no event loop.

Any thread may ask; one line of views is published, by one assignment each.
"""

from service.catalog.view import View
from service.errors import NotReady
from service.telemetry import Telemetry


class Catalog:
    """What answers are given from."""

    def __init__(self, telemetry: Telemetry) -> None:
        """Begin with nothing to answer from."""
        self._telemetry = telemetry
        self._view: View | None = None
        self._caught_up = False
        self._bundle_fault = ""
        self._log_fault = ""
        self._loss = ""
        self._index_fault = ""

    @property
    def view(self) -> View:
        """The view to answer from; pin it for the whole request.

        Raises:
            NotReady: nothing has been loaded; says why.
        """
        if self._view is None:
            raise NotReady(self._reasons() or "the bundle is being loaded")
        return self._view

    @property
    def latest(self) -> View | None:
        """The view to answer from, if there is one."""
        return self._view

    @property
    def unready(self) -> str:
        """Why no traffic should come here; empty if it may.

        That the log cannot be read for a while is no reason: it would take every replica away.
        """
        if self._view is None:
            return self._reasons() or "the bundle is being loaded"
        if self._loss:
            return self._loss
        return "" if self._caught_up else f"not caught up with the event log: {self._log_fault}"

    @property
    def degraded(self) -> str:
        """What answers from the view suffer from; empty if from nothing."""
        suffered = []
        if self._bundle_fault:
            suffered.append("the current bundle cannot be used, serving the last good one")
        if self._loss:
            suffered.append("events were lost, answers may be wrong")
        elif self._log_fault or not self._caught_up:
            suffered.append("the event log cannot be read, answers may be out of date")
        if self._index_fault:
            suffered.append("the index engine is away, the bundle's own index answers")
        return "; ".join(suffered)

    @property
    def lost(self) -> bool:
        """Whether the log has lost events that the view should have been told."""
        return bool(self._loss)

    def show(self, view: View, *, caught_up: bool = True) -> None:
        """Answer from `view` from now on; `caught_up` tells if it has read the log at all."""
        if self._view is None or self._view.snapshot is not view.snapshot:
            self._tell_bundle(view)
        self._view = view
        if caught_up:
            self._caught_up = True
        self._telemetry.catalog.observe_view(
            live_videos=view.live_videos, rows=view.rows, arrivals=view.overlay.delta.count
        )
        self._tell_state()

    def note_log(self, fault: str) -> None:
        """Take note of what is wrong with reading the log; "" for nothing."""
        self._log_fault = fault
        self._tell_state()

    def note_bundle(self, fault: str) -> None:
        """Take note of what is wrong with the bundle that should be served; "" for nothing."""
        self._bundle_fault = fault
        self._tell_state()

    def note_loss(self, loss: str) -> None:
        """Take note of what events are gone that the view has not read; "" for none."""
        self._loss = loss
        self._tell_state()

    def note_index(self, fault: str) -> None:
        """Take note of why the index engine does not answer; "" for nothing."""
        self._index_fault = fault
        self._tell_state()

    def _tell_bundle(self, view: View) -> None:
        manifest = view.snapshot.manifest
        self._telemetry.catalog.observe_bundle(
            view.bundle_id,
            created_at=manifest.created_at,
            metrics=manifest.metrics,
            index_recall=manifest.index.recall_at_20,
        )

    def _tell_state(self) -> None:
        self._telemetry.ready.set(0 if self.unready else 1)
        self._telemetry.catalog.observe_faults(
            {
                "bundle": bool(self._bundle_fault),
                "event log": bool(self._log_fault) or not self._caught_up,
                "events lost": bool(self._loss),
                "index": bool(self._index_fault),
            }
        )

    def _reasons(self) -> str:
        return "; ".join(filter(None, (self._bundle_fault, self._log_fault)))
