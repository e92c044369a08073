"""The one module that holds OpenTelemetry: it makes spans, and has them sent by OTLP over HTTP.

The names of attributes are those of OpenTelemetry's conventions for messaging, HTTP and databases
where these have one, and begin with ``wpbridge.`` elsewhere. No span holds args, and no message of
an error goes into one before its args are masked. A span waits in memory until it is sent by a
thread; when many wait, new ones are dropped. So a receiver that is away blocks nothing.
"""

import atexit
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from wpbridge import __version__
from wpbridge.action import Action, ActionId, ClaimId
from wpbridge.codec import traceparents
from wpbridge.events import (
    ActionCanceled,
    ActionCompleted,
    ActionEvent,
    ActionFailed,
    ActionLost,
    ActionRetried,
    ActionSnoozed,
    BatchSettled,
    Event,
    RunnerPresumedDead,
    Subscriber,
)
from wpbridge.outcome import class_name
from wpbridge.telling import masking, traces

FLUSH_SECONDS: Final = 2.0
"""So long the end of a process waits for what is still to be sent."""
SYSTEM: Final = "action_scheduler"
_PATH: Final = "/v1/traces"
_OUTCOMES: Final[Mapping[type[Event], str]] = {
    ActionCompleted: "complete",
    ActionFailed: "failed",
    ActionRetried: "retried",
    ActionSnoozed: "snoozed",
    ActionCanceled: "canceled",
    ActionLost: "lost",
}
_Key: TypeAlias = tuple[ClaimId, ActionId]


class _Span:
    """See :class:`wpbridge.telling.traces.Span`."""

    def __init__(self, span: trace.Span, parent: str = "") -> None:
        self._span = span
        self.traceparent = _traceparent(span) or parent
        self.headers: Mapping[str, str] = {}
        if self.traceparent:
            self.headers = {"traceparent": self.traceparent}

    def added(self, ids: Iterable[int | None]) -> None:
        """Note the number of new actions, and the id of a single one."""
        found = [one for one in ids if one is not None]
        self._span.set_attribute("wpbridge.added", len(found))
        if len(found) == 1:
            self._span.set_attribute("messaging.message.id", str(found[0]))

    def answered(self, status: int) -> None:
        """Note the status of an answer; one of 400 and more is an error."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= 400:  # noqa: PLR2004 - where HTTP's errors begin
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(trace.StatusCode.ERROR)


class _Attempt:
    """See :class:`wpbridge.telling.traces.Attempt`."""

    def __init__(self, span: trace.Span) -> None:
        self.span = span
        self.traceparent = _traceparent(span)


class Tracing:
    """See :class:`wpbridge.telling.traces.Tracer`."""

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._tracer = provider.get_tracer("wpbridge", __version__)
        self._attempts: WeakValueDictionary[_Key, _Attempt] = WeakValueDictionary()
        """What runs, for as long as its call is in hand."""

    @contextmanager
    def producing(self, hooks: Sequence[str], group: str, parent: str) -> Iterator[traces.Span]:
        """Make the span of adding actions."""
        attributes = {**_messaging("send", "enqueue"), "wpbridge.group": group}
        if len(set(hooks)) == 1:
            attributes |= {"messaging.destination.name": hooks[0], "wpbridge.hook": hooks[0]}
        span = self._tracer.start_span(
            _named("enqueue", hooks),
            context=_remote(parent),
            kind=trace.SpanKind.PRODUCER,
            attributes=attributes,
        )
        if len(hooks) > 1:
            span.set_attribute("messaging.batch.message_count", len(hooks))
        with _ended(span):
            yield _Span(span, parent)

    @contextmanager
    def requesting(self, method: str, url: str) -> Iterator[traces.Span]:
        """Make the span of a request. The path of its URL stays out: there may be a token in it."""
        attributes: dict[str, str | int] = {"http.request.method": method, **_place(url)}
        span = self._tracer.start_span(method, kind=trace.SpanKind.CLIENT, attributes=attributes)
        with _ended(span):
            yield _Span(span)

    def attempt(self, action: Action) -> _Attempt:
        """Begin a trace of its own, with a link to what led to the action."""
        link = traceparents.ids_of(action.traceparent)
        span = self._tracer.start_span(
            f"run {action.hook}",
            context=Context(),
            kind=trace.SpanKind.CONSUMER,
            links=[] if link is None else [trace.Link(_context_of(*link))],
            attributes={
                **_messaging("process", "run"),
                "messaging.destination.name": action.hook,
                "messaging.message.id": str(action.id),
                "wpbridge.hook": action.hook,
                "wpbridge.group": action.group,
                "wpbridge.action_id": action.id,
                "wpbridge.attempt": action.attempts + 1,
            },
        )
        found = self._attempts[action.claim_id, action.id] = _Attempt(span)
        return found

    def current(self, attempt: traces.Attempt) -> AbstractContextManager[object]:
        """Make its span the current one. What a handler raises is not recorded in it."""
        span = attempt.span if isinstance(attempt, _Attempt) else trace.INVALID_SPAN
        return trace.use_span(span, record_exception=False, set_status_on_exception=False)

    def inside(self, traceparent: str) -> AbstractContextManager[object]:
        """Make a span of another process the current one."""
        ids = traceparents.ids_of(traceparent)
        span = trace.INVALID_SPAN if ids is None else trace.NonRecordingSpan(_context_of(*ids))
        return trace.use_span(span, record_exception=False, set_status_on_exception=False)

    def subscribers(self) -> list[tuple[type[Event], Subscriber]]:
        """Return what ends the spans of attempts."""
        return [
            (BatchSettled, self._settled),
            (RunnerPresumedDead, self._dropped),
            *((kind, self._ended) for kind in _OUTCOMES),
        ]

    def _settled(self, event: BatchSettled) -> None:
        """Show in each attempt of a batch the transaction that wrote its ending."""
        for key in event.endings:
            if (attempt := self._attempts.get(key)) is not None:
                span = self._tracer.start_span(
                    "settle",
                    context=trace.set_span_in_context(attempt.span, Context()),
                    kind=trace.SpanKind.CLIENT,
                    attributes={
                        **_messaging("settle", "settle"),
                        "db.operation.name": "settle",
                        "db.operation.batch.size": event.actions,
                    },
                    start_time=_nanoseconds(event.at - event.took),
                )
                span.end(_nanoseconds(event.at))

    def _ended(self, event: ActionEvent) -> None:
        attempt = self._attempts.pop((event.claim_id, event.action_id), None)
        if attempt is None:
            return
        span = attempt.span
        span.set_attribute("wpbridge.outcome", _OUTCOMES[type(event)])
        span.set_attribute("wpbridge.site", event.site)
        if isinstance(event, ActionFailed):
            span.set_attribute("error.type", event.error_type or "Failed")
        if isinstance(event, ActionFailed | ActionRetried) and not _is_wish(event):
            told = masking.masked(event.reason, event.action)
            span.set_status(trace.StatusCode.ERROR, told)
        span.end(_nanoseconds(event.at))

    def _dropped(self, event: RunnerPresumedDead) -> None:
        """End all attempts. Nobody will say how they went: others have their actions now."""
        for key, attempt in list(self._attempts.items()):
            del self._attempts[key]
            attempt.span.set_attribute("wpbridge.outcome", "lost")
            attempt.span.end(_nanoseconds(event.at))


def begun(endpoint: str | None) -> Tracing:
    """Return what makes spans with the provider that the program has set up, or with our own.

    Our own is set up by the variables ``OTEL_…``, and becomes that of the whole process, so that
    the spans of handlers go the same way.
    """
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        name = os.environ.get("OTEL_SERVICE_NAME") or _named_service() or "wpbridge"
        resource = Resource.create({"service.name": name, "service.version": __version__})
        # The end of the process must not wait for as long as the SDK would.
        own = TracerProvider(resource=resource, shutdown_on_exit=False)
        to = None if endpoint is None else f"{endpoint.rstrip('/').removesuffix(_PATH)}{_PATH}"
        own.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=to)))
        trace.set_tracer_provider(own)
        atexit.register(_Flush(own).finish)
        provider = own
    return Tracing(provider)


class _Flush:
    """Sends what is left at the end of the process, within a limit of time.

    The SDK's own flush knows no limit. No thread can be started at the end, so one waits for it.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._begin()
        # A copy of the process has no threads but one.
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._is_due, self._is_done = threading.Event(), threading.Event()
        threading.Thread(target=self._wait, name="wpbridge-traces", daemon=True).start()

    def _wait(self) -> None:
        self._is_due.wait()
        try:
            self._provider.force_flush()
        finally:
            self._is_done.set()

    def finish(self) -> None:
        """Send what is left; return when it is sent, or when the time is over."""
        self._is_due.set()
        self._is_done.wait(FLUSH_SECONDS)


def _named_service() -> str:
    told = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")
    pairs = dict(one.split("=", 1) for one in told if "=" in one)
    return pairs.get("service.name", "").strip()


@contextmanager
def _ended(span: trace.Span) -> Iterator[None]:
    """End a span. Of an error only the class is noted, since its message may hold args."""
    try:
        yield
    except BaseException as error:
        span.set_attribute("error.type", class_name(error))
        span.set_status(trace.StatusCode.ERROR)
        raise
    finally:
        span.end()


def _is_wish(event: ActionFailed | ActionRetried) -> bool:
    """Return whether the handler asked to run again, which is no error."""
    return isinstance(event, ActionRetried) and not event.next_attempt


def _messaging(kind: str, name: str) -> dict[str, str | int]:
    return {
        "messaging.system": SYSTEM,
        "messaging.operation.type": kind,
        "messaging.operation.name": name,
    }


def _named(verb: str, hooks: Sequence[str]) -> str:
    return f"{verb} {hooks[0]}" if len(set(hooks)) == 1 else verb


def _place(url: str) -> dict[str, str | int]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443}.get(parts.scheme, 80)
    except ValueError:
        return {}
    return {"url.scheme": parts.scheme, "server.address": parts.hostname or "", "server.port": port}


def _remote(traceparent: str) -> Context | None:
    """Return the context of a request's span; None for the current one."""
    ids = traceparents.ids_of(traceparent)
    if ids is None:
        return None
    return trace.set_span_in_context(trace.NonRecordingSpan(_context_of(*ids)), Context())


def _context_of(trace_id: int, span_id: int, flags: int) -> trace.SpanContext:
    return trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(flags))


def _traceparent(span: trace.Span) -> str:
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 0xFF:02x}"


def _nanoseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000


_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
