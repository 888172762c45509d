"""A trace tells what was done for a request, and when each replica could show what it brought."""

import gzip
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from eventlog.events import VideoUpserted, decode, encode
from service.app import create_app
from service.errors import MissingExtra
from tests.support.asking import asking
from tests.support.server import REPOSITORY, Api, eventually, features, serving, settings_for

otlp = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="the extra `tracing` is away"
)

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
UNSENT = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
SHORT = "/v1/users/user-00000/recommendations?k=3"
STEPS = ["represent", "filter", "retrieve", "rank"]


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """Take in spans as an OTLP collector does; yield its address and what has come."""
    spans: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            said = otlp.ExportTraceServiceRequest.FromString(body)
            for resource in said.resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces", spans
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def traced(
    bundles: Path, log: Path, monkeypatch: pytest.MonkeyPatch, **more: Any
) -> Iterator[tuple[Api, list[Any]]]:
    """The application with a collector; what has come is complete when the block ends."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with (
        collector() as (url, spans),
        Api(settings_for(bundles, log, traces=url, **more)) as api,
    ):
        yield api.ready(), spans


def said(span: Any) -> dict[str, Any]:
    """Return the attributes of a span."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_a_list_is_traced_step_by_step_below_the_client_s_span(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with traced(trained, tmp_path / "log.db", monkeypatch, traces_share=0.0) as (api, spans):
        reply = api.get(SHORT, headers={**SENT, "X-Request-ID": "mine"}).json()
        eventually(lambda: len(spans) == 1 + len(STEPS))
    (root,) = [span for span in spans if span.parent_span_id.hex() == PARENT]
    assert root.name == "GET /v1/users/{user_id}/recommendations"
    told = said(root)
    assert told["http.response.status_code"] == 200
    assert told["reco.request_id"] == "mine"
    assert told["reco.bundle_id"] == reply["bundle_id"]
    steps = sorted((s for s in spans if s is not root), key=lambda s: s.start_time_unix_nano)
    assert [span.name for span in steps] == STEPS
    assert {span.parent_span_id for span in steps} == {root.span_id}
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert "user-00000" not in str(spans)


@pytest.mark.parametrize("case", [(UNSENT, 1.0, 0), ({}, 0.0, 0), ({}, 1.0, 1)])
def test_a_client_decides_if_its_trace_is_kept_and_chance_decides_else(
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[dict[str, str], float, int],
) -> None:
    headers, share, kept = case
    with traced(trained, tmp_path / "log.db", monkeypatch, traces_share=share) as (api, spans):
        api.get("/v1/model", headers=headers)
    assert len([span for span in spans if span.name == "GET /v1/model"]) == kept


def test_a_traced_list_is_the_one_that_is_not_traced(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with traced(trained, tmp_path / "log.db", monkeypatch, traces_share=0.0) as (api, _):
        assert api.get(SHORT, headers=SENT).content == api.get(SHORT).content


def test_what_is_not_traced_is_recorded_as_before() -> None:
    event = VideoUpserted(video_id="v", features={}, metadata={}, recorded_at=1.0)
    assert b"trace" not in encode(event)
    assert decode(encode(event)) == event


@pytest.mark.e2e
def test_each_replica_tells_when_it_could_show_a_video_within_the_trace_that_brought_it(
    trained: Path, tmp_path: Path
) -> None:
    arguments = ("--bundles", str(trained), "--event-log", f"sqlite:///{tmp_path}/events.db")
    with collector() as (url, spans):
        env = {"RECO_TRACES": url, "RECO_TRACES_SHARE": "0", "OTEL_BSP_SCHEDULE_DELAY": "50"}
        with serving(*arguments, env=env) as one, serving(*arguments, env=env) as two:
            for process in (one, two):
                process.wait_for("(Ready)")
            with asking(one.url) as client:
                body = {"features": features(1)}
                put = client.put("/v1/videos/new", json=body, headers=SENT)
                assert put.status_code == 201
                client.put("/v1/videos/untraced", json={"features": features(2)})
            eventually(lambda: [span.name for span in spans].count("visible") == 2)
    shown = [span for span in spans if span.name == "visible"]
    (root,) = [span for span in spans if span.name == "PUT /v1/videos/{video_id}"]
    assert len(shown) == 2
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert {span.parent_span_id for span in shown} == {root.span_id}
    # A replica may have read more at once.
    assert all(said(span)["reco.position"] >= put.json()["position"] for span in shown)
    assert all(0 < s.end_time_unix_nano - s.start_time_unix_nano < 30e9 for s in shown)


def test_nothing_of_opentelemetry_s_sdk_is_loaded_unless_traces_are_wanted() -> None:
    code = (
        "import sys; from service.app import create_app; from service.settings import Settings; "
        "create_app(Settings()); "
        "sys.exit(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False)  # noqa: S603
    assert done.returncode == 0


def test_an_extra_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "service.tracing", None)
    with pytest.raises(
        MissingExtra, match=r"RECO_TRACES needs an extra: pip install '.\[tracing\]'"
    ):
        create_app(
            settings_for(tmp_path, tmp_path / "log.db", traces="http://127.0.0.1:1/v1/traces")
        )
