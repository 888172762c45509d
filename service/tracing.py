"""Traces by OpenTelemetry: the one file that touches it. Knows spans and where they go; no room."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from eventlog.events import Event, VideoUpserted
from service.steps import Step

NANOSECONDS: Final = 1_000_000_000
HEADERS: Final = (b"traceparent", b"tracestate")
CARRIED: Final = "traceparent"


class Tracing:
    """The spans of one process. No span holds the id of a user or a video."""

    def __init__(self, *processors: SpanProcessor, share: float) -> None:
        """Hand ended spans to `processors`; of traces that begin here, keep a `share`."""
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "recommender"}),
            sampler=ParentBasedTraceIdRatio(share),
        )
        for processor in processors:
            self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("service")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def request(self, method: str, headers: Sequence[tuple[bytes, bytes]]) -> Iterator[Span]:
        """Trace a request, as part of the trace that its headers name, if they do."""
        brought = {k.decode(): v.decode("latin-1") for k, v in headers if k in HEADERS}
        above = self._propagator.extract(brought)
        with self._tracer.start_as_current_span(
            method, context=above, kind=SpanKind.SERVER, attributes={"http.request.method": method}
        ) as span:
            yield span

    def recording(self) -> bool:
        """Tell whether the request that is worked on is among those that are kept."""
        return trace.get_current_span().is_recording()

    def steps(self) -> Step:
        """Return what traces the steps of this request, in whatever thread they are done."""
        above = context.get_current()
        return lambda name: self._tracer.start_as_current_span(name, context=above)

    def carried_by(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return `events`, videos among them with the trace in which they were sent."""
        carrier: dict[str, str] = {}
        if self.recording():
            self._propagator.inject(carrier)
        if CARRIED not in carrier:
            return events
        return [
            msgspec.structs.replace(event, trace=carrier[CARRIED])
            if isinstance(event, VideoUpserted)
            else event
            for event in events
        ]

    def visible(self, traceparent: str, began: float, ended: float, **said: str) -> None:
        """Tell that a video can be recommended here: from its recording to now, in Unix seconds."""
        above = self._propagator.extract({CARRIED: traceparent})
        span = self._tracer.start_span(
            "visible", context=above, start_time=int(began * NANOSECONDS), attributes=said
        )
        span.end(int(max(began, ended) * NANOSECONDS))

    def close(self) -> None:
        """Send what waits to be sent."""
        self._provider.shutdown()


def describe(span: Span, *, method: str, route: str, status: int, **said: Any) -> None:
    """Say in a request's span what it was."""
    span.update_name(f"{method} {route}")
    span.set_attributes({"http.route": route, "http.response.status_code": status, **said})
    if status >= 500:  # noqa: PLR2004 - a server error
        span.set_status(Status(StatusCode.ERROR))


def open_tracing(url: str, *, share: float) -> Tracing:
    """Return what sends spans to the OTLP collector at `url`, over HTTP, beside the serving."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - half a second
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    return Tracing(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)), share=share)
