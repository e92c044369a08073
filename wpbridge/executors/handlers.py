"""What people write handlers with: the marks of a function, and the context it may ask for.

`@hook`, `@middleware` and `@on` only mark functions; `loading` collects what is marked. So an
import registers nothing, and the same module serves many sites.
"""

import inspect
import logging
import math
import time
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, TypeVar, overload

from wpbridge.action import ActionId
from wpbridge.codec.keys import key_of
from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError
from wpbridge.events import Event
from wpbridge.outcome import LogLine, Progress, plain

E = TypeVar("E", bound=Event)
F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")


class Enqueuer(Protocol):
    """What a handler adds actions with: the site's :class:`wpbridge.queue.facade.Queue`."""

    def enqueue_async(
        self, hook: str, args: Sequence[Any] | Mapping[str, Any] = (), **more: Any
    ) -> ActionId | None:
        """Enqueue an action that runs once, as soon as possible."""
        ...

    def schedule_single(
        self, at: Any, hook: str, args: Sequence[Any] | Mapping[str, Any] = (), **more: Any
    ) -> ActionId | None:
        """Enqueue an action that runs once, at a date."""
        ...


HOOKS_MARK: Final = "__wpbridge_hooks__"
AROUND_MARK: Final = "__wpbridge_around__"
EVENTS_MARK: Final = "__wpbridge_events__"
"""The attributes of a function that hold what it is marked with."""
PROGRESS_CHARACTERS: Final = 255
_LONGEST_SECONDS = 366 * 86400.0


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler may know of the action it runs, and do beside it.

    A parameter annotated ``Context`` receives it.
    """

    id: ActionId
    hook: str
    group: str
    attempt: int
    """The number of this attempt, counted from 1."""
    scheduled_at: datetime | None
    """Aware UTC; None for a row without a date."""
    args: Mapping[str, Any] | Sequence[Any]
    """The args as decoded, keys and all; the handler's parameters get the values only."""
    logger: logging.LoggerAdapter[logging.Logger]
    site: str
    """The queue's name, for people: the folder, database or address that the runner was given."""
    now: Callable[[], datetime]
    lines: list[LogLine] = field(default_factory=list, repr=False)
    steps: list[Progress] = field(default_factory=list, repr=False)
    open_queue: Callable[[], Enqueuer] | None = field(default=None, repr=False)
    deadline: datetime | None = None
    """When this attempt's time limit is reached, in aware UTC; None for no limit."""
    over_at: float | None = field(default=None, repr=False)
    """The deadline on the monotonic clock, which nobody can set."""
    stopping: Callable[[], bool] = field(default=lambda: False, repr=False)
    key: str = field(default="", repr=False)
    """The idempotency key, in a context that was made by hand and is to have a certain one."""
    make_key: Callable[[], str] = field(default=str, repr=False)
    """Makes the idempotency key as the queue gives it; few handlers ask for it."""

    def seconds_left(self) -> float | None:
        """Return the seconds until the deadline, 0.0 once it has passed; None for no limit."""
        return None if self.over_at is None else max(0.0, self.over_at - time.monotonic())

    def is_over(self) -> bool:
        """Tell whether the time limit is reached, so that a loop can end by itself."""
        return self.seconds_left() == 0.0

    def is_stopping(self) -> bool:
        """Tell whether the runner wants to end: a long handler may stop now and raise ``Retry``."""
        return self.stopping()

    @property
    def queue(self) -> Enqueuer:
        """Return the site's queue, with a connection of its own. Its calls commit at once.

        A handler that is run again adds again. Give ``key=`` where that does harm.
        """
        if self.open_queue is None:
            raise ConfigError("this handler runs without a queue to enqueue into")
        return self.open_queue()

    def enqueue(
        self,
        hook: str,
        args: Sequence[Any] | Mapping[str, Any] = (),
        *,
        at: Any = None,
        key: str = "",
        **more: Any,
    ) -> ActionId | None:
        """Add an action to the same site's queue; takes what ``Queue.enqueue_async`` takes.

        Args:
            hook: the hook of the new action.
            args: the args of the new action.
            at: a date or a span from now; None for as soon as possible.
            key: with it a second attempt of this action adds nothing; it counts for this one alone.
            more: group, priority, unique, after, …
        """
        scoped = f"{self.idempotency_key}/{key}" if key else ""
        if at is None:
            return self.queue.enqueue_async(hook, args, key=scoped, **more)
        return self.queue.schedule_single(at, hook, args, key=scoped, **more)

    def log(self, message: str) -> None:
        """Write a row into the action's own log; it appears within a second."""
        self.lines.append(LogLine(message=plain(message), at=self.now()))

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far this action is; whoever asks for it sees that within a second or two.

        Args:
            fraction: from 0 to 1. What lies outside counts as the nearer end.
            text: up to 255 characters for people; a longer one is cut.

        Raises:
            ValueError: the fraction is no number.
        """
        share = float(fraction)
        if math.isnan(share):
            raise ValueError("progress: a number from 0 to 1, not NaN")
        share = min(1.0, max(0.0, share))
        self.steps.append(Progress(share, plain(text, most=PROGRESS_CHARACTERS), self.now()))

    @property
    def idempotency_key(self) -> str:
        """Return a text that is the same for all attempts of this action, and for no other work.

        In a context that was made by hand, for a test, it is made of the id and the hook.
        """
        told = self.key or self.make_key()
        return told or key_of(site_id="", blog="", action_id=self.id, hook=self.hook, args=b"")


Middleware: TypeAlias = Callable[[Context], Iterator[None]]
M = TypeVar("M", bound=Middleware)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """A callable for a hook, with what its signature says."""

    hook: str
    function: Callable[..., Any]
    is_async: bool
    at_most_once: bool = False
    timeout: timedelta | None = None
    """The limit of one attempt; None for that of the settings, zero for no limit."""
    isolate: bool = False
    """Whether it runs in a process of its own, which is killed at the time limit."""
    context_names: tuple[str, ...] = ()
    """The parameters annotated Context, which are passed by name."""
    most_values: int | None = None
    """How many positional values it takes; None for any. As in PHP, more are dropped."""
    source: str = ""
    """The module and name, for messages."""
    around: tuple[Middleware, ...] = ()
    """The middleware that runs around each call, the first one outermost."""

    @property
    def wants_context(self) -> bool:
        """Whether the handler or its middleware takes a context.

        To make one takes longer than a small handler.
        """
        return bool(self.context_names or self.around)

    def call(self, values: Sequence[Any], context: Context | None) -> Any:
        """Call it as PHP calls a callback: values in order, and those that are too many dropped.

        ``context`` may be None where none is wanted.
        """
        if not self.around:
            return self._call(values, context)
        if self.is_async:
            return self._await(values, context)
        with ExitStack() as stack:
            self._enter(stack, context)
            return self._call(values, context)

    async def _await(self, values: Sequence[Any], context: Context | None) -> Any:
        """Run the middleware in the handler's own task, so that context variables hold."""
        with ExitStack() as stack:
            self._enter(stack, context)
            return await self._call(values, context)

    def _enter(self, stack: ExitStack, context: Context | None) -> None:
        assert context is not None, "middleware wants one"  # noqa: S101 - see wants_context
        for each in self.around:
            stack.enter_context(contextmanager(each)(context))

    def _call(self, values: Sequence[Any], context: Context | None) -> Any:
        taken = values if self.most_values is None else values[: self.most_values]
        return self.function(*taken, **dict.fromkeys(self.context_names, context))

    def limit(self, default: timedelta | None) -> timedelta | None:
        """Return the limit of one attempt, given that of the settings; None for no limit."""
        return (default if self.timeout is None else self.timeout) or None


class _Mark(NamedTuple):
    hook: str
    at_most_once: bool
    timeout: timedelta | None
    isolate: bool


def hook(
    name: str,
    *,
    at_most_once: bool = False,
    timeout: timedelta | float | None = None,
    isolate: bool = False,
) -> Callable[[F], F]:
    """Mark a sync or async function as the handler of a hook.

    Args:
        name: the hook, exactly; compared with case and accents.
        at_most_once: the start is committed before the call, and a crash in the middle fails the
            action instead of running it again. The default is at least once.
        timeout: for one attempt, as a timedelta or seconds; 0 for no limit, None for that of the
            settings. What happens then: docs/explain/time-limits.md.
        isolate: call it in a process of its own, which a hang, crash or leak cannot leave, and
            which is killed at the time limit with all it has started.
    """
    if not name or len(name) > 191:  # noqa: PLR2004 - the column's width
        raise ConfigError(f"a hook has 1 to 191 characters, not {len(name)}")
    told = _Mark(name, at_most_once, _span(timeout), isolate)

    def mark(function: F) -> F:
        setattr(function, HOOKS_MARK, [*getattr(function, HOOKS_MARK, ()), told])
        return function

    return mark


def middleware(function: M) -> M:
    """Mark a generator function with one ``yield``, which is run around each handler's call.

    As in :func:`contextlib.contextmanager`: what the handler raises is raised at the ``yield``, a
    request such as ``Retry`` too, and what is not raised again there is gone. What it raises
    itself, before or after, is the call's own outcome.
    """
    has_yield: bool = inspect.isgeneratorfunction(function)
    if not has_yield:
        raise ConfigError(f"middleware {_source(function)} is no plain function with a yield")
    setattr(function, AROUND_MARK, True)
    return function


@overload
def on(kind: type[E], /) -> Callable[[Callable[[E], R]], Callable[[E], R]]: ...


@overload
def on(first: type[Event], second: type[Event], /, *more: type[Event]) -> Callable[[F], F]: ...


def on(*kinds: type[Event]) -> Callable[[F], F]:
    """Have a function called with each event of these kinds, or of kinds that belong to one.

    It is called by the runner's loop, which waits for it; what it raises is logged and hurts
    nobody. docs/reference/events.md has the kinds.
    """
    if not (kinds and all(map(_is_kind, kinds))):
        raise ConfigError("@on names one or more of the classes in wpbridge.events")

    def mark(function: F) -> F:
        if inspect.iscoroutinefunction(function):
            raise ConfigError(f"{_source(function)} is async: @on takes plain functions")
        setattr(function, EVENTS_MARK, (*getattr(function, EVENTS_MARK, ()), *kinds))
        return function

    return mark


def _is_kind(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Event)


def _source(function: Callable[..., Any]) -> str:
    """Return the module and name, for messages."""
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', '?')}"


def _span(timeout: timedelta | float | None) -> timedelta | None:
    if timeout is None:
        return None
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
    if not (math.isfinite(seconds) and 0 <= seconds <= _LONGEST_SECONDS):
        raise ConfigError(f"timeout={timeout}: a limit is seconds or a timedelta, up to a year")
    return timedelta(seconds=seconds)


def describe(
    hook_name: str,
    function: Callable[..., Any],
    *,
    at_most_once: bool = False,
    timeout: timedelta | float | None = None,
    isolate: bool = False,
) -> Handler:
    """Make a handler from a callable's signature; the other arguments are those of :func:`hook`."""
    source = _source(function)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        signature = inspect.Signature([inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)])
    hints = _hints(function)
    contexts = tuple(
        name
        for name, parameter in signature.parameters.items()
        if hints.get(name, parameter.annotation) in (Context, "Context", "wpbridge.Context")
    )
    positional = [
        parameter
        for name, parameter in signature.parameters.items()
        if name not in contexts
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values())
    _check_order(signature, contexts, source)
    return Handler(
        hook=hook_name,
        function=function,
        is_async=inspect.iscoroutinefunction(function),
        at_most_once=at_most_once,
        timeout=_span(timeout),
        isolate=isolate,
        context_names=contexts,
        most_values=None if takes_any else len(positional),
        source=source,
    )


def _check_order(signature: inspect.Signature, contexts: Sequence[str], source: str) -> None:
    """Refuse a Context before plain parameters: the first value would be passed in its place."""
    seen_context = ""
    for name, parameter in signature.parameters.items():
        if name in contexts:
            if parameter.kind is not parameter.KEYWORD_ONLY:
                seen_context = name
        elif seen_context and parameter.kind in (
            parameter.POSITIONAL_ONLY,
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.VAR_POSITIONAL,
        ):
            raise ConfigError(f"{source}: put the Context parameter {seen_context!r} last")


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception:  # noqa: BLE001 - a hint that cannot be resolved is no reason not to run
        return {}
