"""Make spans of what happens, where somebody has asked for traces: docs/explain/tracing.md.

There is one tracer in a process, as there is one log, because the current span belongs to a thread
and not to a site. Nothing is imported and nothing happens before :func:`start` is called.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from wpbridge.errors import ConfigError

if TYPE_CHECKING:
    from wpbridge.action import Action
    from wpbridge.events import Event, Subscriber

INSTALL: Final = "pip install 'wpbridge[otel]'"
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Span(Protocol):
    """What is noted of something while it goes on."""

    traceparent: str
    """Names the span to others. Empty when there is none."""
    headers: Mapping[str, str]
    """What a request sends along, so that its receiver can go on with the trace."""

    def added(self, ids: Iterable[int | None]) -> None:
        """Note which actions were added; None stands for one that was refused."""
        ...

    def answered(self, status: int) -> None:
        """Note the status of an answer."""
        ...


class Attempt(Protocol):
    """The span of one attempt of an action, which ends when its ending stands in the tables."""

    traceparent: str


class Tracer(Protocol):
    """Makes spans."""

    def producing(
        self, hooks: Sequence[str], group: str, parent: str
    ) -> AbstractContextManager[Span]:
        """See :func:`producing`."""
        ...

    def requesting(self, method: str, url: str) -> AbstractContextManager[Span]:
        """See :func:`requesting`."""
        ...

    def attempt(self, action: "Action") -> Attempt:
        """See :func:`attempt`."""
        ...

    def current(self, attempt: Attempt) -> AbstractContextManager[object]:
        """See :func:`current`."""
        ...

    def inside(self, traceparent: str) -> AbstractContextManager[object]:
        """See :func:`inside`."""
        ...

    def subscribers(self) -> "list[tuple[type[Event], Subscriber]]":
        """See :func:`subscribers`."""
        ...


class _Process:
    """The tracer of this process."""

    tracer: Tracer | None = None


class _NoSpan:
    """Stands for a span where no traces are made."""

    traceparent = ""
    headers = _NO_HEADERS

    def added(self, ids: Iterable[int | None]) -> None:
        """Do nothing."""

    def answered(self, status: int) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let whatever was raised go on."""


_NO_SPAN: Final = _NoSpan()


def start(endpoint: str | None = None) -> None:
    """Make traces from now on, unless this process makes them already.

    Args:
        endpoint: where OTLP is spoken over HTTP, such as ``http://127.0.0.1:4318``. None for what
            the variables ``OTEL_EXPORTER_OTLP_…`` say.

    Raises:
        ConfigError: OpenTelemetry is not installed, or refuses what its variables say.
    """
    if _Process.tracer is None:
        try:
            from wpbridge.telling.tracing import begun  # noqa: PLC0415 - an extra
        except ModuleNotFoundError as error:
            raise ConfigError(f"traces need {error.name}: install it with `{INSTALL}`") from None
        try:
            use(begun(endpoint))
        except ValueError as error:
            told = "OpenTelemetry refuses what its variables OTEL_… say"
            raise ConfigError(f"{told}: {error}") from error


def use(tracer: Tracer | None) -> None:
    """Make traces with this tracer, or none any more."""
    _Process.tracer = tracer


def are_made() -> bool:
    """Return whether this process makes traces."""
    return _Process.tracer is not None


def producing(
    hooks: Sequence[str], group: str, *, parent: str = ""
) -> AbstractContextManager[Span]:
    """Return the span of adding actions of these hooks.

    ``parent`` is the traceparent of a request that asked for it. Without one, the span belongs to
    the span that is current.
    """
    tracer = _Process.tracer
    return _NO_SPAN if tracer is None else tracer.producing(hooks, group, parent)


def requesting(method: str, url: str) -> AbstractContextManager[Span]:
    """Return the span of an HTTP request, inside of the span that is current."""
    tracer = _Process.tracer
    return _NO_SPAN if tracer is None else tracer.requesting(method, url)


def attempt(action: "Action") -> Attempt | None:
    """Begin the span of an attempt. The caller keeps it until the action's event was sent."""
    tracer = _Process.tracer
    return None if tracer is None else tracer.attempt(action)


def current(of: Attempt | None) -> AbstractContextManager[object]:
    """Make the span of an attempt the current one of this thread."""
    tracer = _Process.tracer
    return _NO_SPAN if tracer is None or of is None else tracer.current(of)


def inside(traceparent: str) -> AbstractContextManager[object]:
    """Make a span of another process the current one of this thread."""
    tracer = _Process.tracer
    return _NO_SPAN if tracer is None or not traceparent else tracer.inside(traceparent)


def subscribers() -> "list[tuple[type[Event], Subscriber]]":
    """Return what makes spans of a runner's events."""
    tracer = _Process.tracer
    return [] if tracer is None else tracer.subscribers()
