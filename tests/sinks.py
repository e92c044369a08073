"""Receivers on loopback that stand for other services: a collector of OTLP, and a Sentry."""

import contextlib
import gzip
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from wpbridge.telling import traces
from wpbridge.telling.tracing import Tracing


class Sink(http.server.ThreadingHTTPServer):
    """Answers every POST with 200, and remembers its path and its body, unpacked."""

    bodies: list[tuple[str, bytes]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def everything(self) -> bytes:
        """All that has arrived."""
        return b"\n".join(body for _, body in self.bodies)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.bodies.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def sink() -> Iterator[Sink]:
    """One that listens until the block ends."""
    server = Sink(("127.0.0.1", 0), _Handler)
    server.bodies = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Seen:
    """A span as a collector gets it."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent: str
    links: list[str]
    attributes: dict[str, Any]
    is_error: bool
    message: str
    start: int
    end: int

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


def spans_of(bodies: list[tuple[str, bytes]]) -> list[Seen]:
    """The spans of OTLP requests, by the time at which they began."""
    found: list[Seen] = []
    for path, body in bodies:
        assert path == "/v1/traces"
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                found += [_seen(span) for span in scope.spans]
    return sorted(found, key=lambda span: span.start)


def _seen(span: Any) -> Seen:
    return Seen(
        name=span.name,
        kind=span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=[f"00-{link.trace_id.hex()}-{link.span_id.hex()}-01" for link in span.links],
        attributes={one.key: _value(one.value) for one in span.attributes},
        is_error=span.status.code == span.status.STATUS_CODE_ERROR,
        message=span.status.message,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
    )


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


class Collector:
    """What has been sent to a collector by the tracer of this process."""

    def __init__(self, at: Sink, provider: TracerProvider) -> None:
        self.sink = at
        self.provider = provider

    def spans(self, name: str = "") -> list[Seen]:
        """All spans that have ended, or those of a name."""
        self.provider.force_flush()
        return [s for s in spans_of(self.sink.bodies) if name in ("", s.name)]


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """Trace this process, and collect its spans, until the block ends."""
    with sink() as at:
        provider = TracerProvider(shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{at.url}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
        traces.use(Tracing(provider))
        try:
            yield Collector(at, provider)
        finally:
            traces.use(None)
            provider.shutdown()


def envelopes_of(bodies: list[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """The payloads of all items that a Sentry got, each with the type of its item."""
    found: list[dict[str, Any]] = []
    for _, body in bodies:
        lines = body.split(b"\n")[1:]
        for header, payload in zip(lines[::2], lines[1::2], strict=False):
            if header:
                found.append({"item": json.loads(header)["type"], **json.loads(payload)})
    return found
