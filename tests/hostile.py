"""What handlers can raise and return that does harm to whoever looks at it."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from wpbridge import Cancel, Context, Retry, Snooze
from wpbridge.outcome import LogLine


class Harm(BaseException):
    """No Exception: what catches those lets it through."""


def harmful(*names: str, raises: type[BaseException] = Harm) -> Callable[[type], type]:
    """Have methods and attributes of a class raise: a class of the same name, beneath it."""

    def method(*_: object, **__: object) -> Any:
        raise raises("harm")

    def change(kind: type) -> type:
        body = {name: property(method) if name in PROPERTIES else method for name in names}
        return type(kind)(kind.__name__, (kind,), {"__slots__": (), **body})

    return change


PROPERTIES: Final = frozenset(
    {
        "__class__",
        "__dict__",
        "__traceback__",
        "__cause__",
        "__context__",
        "args",
        "after",
        "until",
        "reason",
        "code",
    }
)
TEXTS: Final = ("__str__", "__repr__", "__format__", "__eq__", "__hash__", "__bool__", "__len__")


@harmful(*TEXTS)
class Unprintable(Exception):
    pass


@harmful(*TEXTS, raises=SystemExit)
class Exits(Exception):
    pass


@harmful(*TEXTS, raises=RecursionError)
class Recurses(Exception):
    pass


@harmful(*TEXTS, "__class__", "__dict__", "__traceback__", "__cause__", "__context__", "args")
class Untouchable(BaseException):
    pass


class Empty(Exception):
    """Counts as false."""

    def __len__(self) -> int:
        return 0


class NoText(Exception):
    __str__ = lambda _: 5  # type: ignore[assignment,return-value]  # noqa: E731


@harmful("__format__", "__eq__", "__len__", "__add__", "encode", "strip", "__getitem__", "__str__")
class Text(str):
    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]


class GivesText(Exception):
    def __str__(self) -> str:
        return Text("a text \ud800 of its own class")


class Named(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise Harm


class Nameless(Exception, metaclass=Named):
    pass


@harmful("__lt__", "__gt__", "__add__", "__radd__", "total_seconds", "__format__", "__eq__")
class Span(timedelta):
    __hash__ = None  # type: ignore[assignment]


class Date(datetime):
    def __lt__(self, other: object) -> Any:
        raise Harm

    __gt__ = __sub__ = __add__ = isoformat = timestamp = __lt__  # type: ignore[assignment]


class BadZone(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta | None:
        raise Harm

    tzname = dst = utcoffset  # type: ignore[assignment]


def looped(error: BaseException) -> BaseException:
    """With a cause that leads back to it."""
    other = ValueError("the other")
    error.__cause__, other.__cause__ = other, error
    error.__context__, other.__context__ = other, error
    return error


def deep() -> BaseException:
    """With a chain of causes longer than any stack."""
    error: BaseException = ValueError("the first")
    for n in range(1500):
        following = ValueError(f"{n}")
        following.__cause__ = error
        error = following
    return error


def changed(request: Exception, **attributes: object) -> Exception:
    """A request whose attributes were set past its constructor."""
    for name, value in attributes.items():
        setattr(request, name, value)
    return request


class BareRetry(Retry):
    def __init__(self) -> None:
        """Leaves out what its base needs."""


@harmful("after", "reason")
class RetryWithoutReading(Retry):
    def __init__(self) -> None:
        pass


@harmful("until")
class SnoozeWithoutReading(Snooze):
    def __init__(self) -> None:
        pass


def recurse() -> None:
    recurse()


def groups() -> BaseException:
    return BaseExceptionGroup("all of it", [SystemExit(1), KeyboardInterrupt(), Unprintable()])


EAST: Final = timezone(timedelta(hours=14))

RAISED: Final[Mapping[str, tuple[Callable[[], BaseException], str]]] = MappingProxyType(
    {
        "unprintable": (Unprintable, "failed"),
        "exits when printed": (Exits, "failed"),
        "recurses when printed": (Recurses, "failed"),
        "untouchable": (Untouchable, "failed"),
        "false": (Empty, "failed"),
        "no text": (NoText, "failed"),
        "own text": (GivesText, "failed"),
        "nameless": (Nameless, "failed"),
        "half a pair": (lambda: ValueError("file \ud800 not found"), "failed"),
        "zero bytes": (lambda: ValueError("a\0b\0"), "failed"),
        "endless text": (lambda: ValueError("é" * 3_000_000), "failed"),
        "controls": (lambda: ValueError("\x1b[2J\r\n\u202e"), "failed"),
        "not a text": (lambda: ValueError(b"\xff", object()), "failed"),
        "key error": (lambda: KeyError(Unprintable()), "failed"),
        "looped": (lambda: looped(ValueError("looped")), "failed"),
        "deep": (deep, "failed"),
        "group": (groups, "failed"),
        "interrupt": (KeyboardInterrupt, "failed"),
        "generator exit": (GeneratorExit, "failed"),
        "cancelled": (asyncio.CancelledError, "failed"),
        "stop iteration": (lambda: StopIteration(5), "failed"),
        "memory": (lambda: MemoryError("no"), "failed"),
        "exit": (lambda: SystemExit(Unprintable()), "failed"),
        "exit with a text of its own": (lambda: SystemExit(Text("x")), "failed"),
        "harm": (Harm, "failed"),
        "snooze for ever": (
            lambda: Snooze(datetime.max.replace(tzinfo=ZoneInfo("America/New_York"))),
            "failed",
        ),
        "snooze to the end": (lambda: Snooze(datetime.max.replace(tzinfo=UTC)), "pending"),
        "snooze to the start": (lambda: Snooze(datetime.min.replace(tzinfo=UTC)), "pending"),
        "snooze before the start": (lambda: Snooze(datetime.min.replace(tzinfo=EAST)), "failed"),
        "snooze too long": (lambda: Snooze(timedelta.max), "failed"),
        "snooze back too far": (lambda: Snooze(timedelta.min), "failed"),
        "snooze in a bad zone": (
            lambda: changed(Snooze(timedelta(1)), until=datetime(2026, 1, 1, tzinfo=BadZone())),
            "failed",
        ),
        "snooze without a zone": (
            lambda: changed(Snooze(timedelta(1)), until=datetime(2026, 1, 1)),  # noqa: DTZ001
            "failed",
        ),
        "snooze until a date of its own": (
            lambda: Snooze(Date(2031, 1, 1, tzinfo=UTC), reason=Text("t")),
            "pending",
        ),
        "snooze for a span of its own": (lambda: Snooze(Span(days=1)), "pending"),
        "snooze until nothing": (lambda: changed(Snooze(timedelta(1)), until=None), "failed"),
        "snooze unread": (SnoozeWithoutReading, "failed"),
        "retry too late": (lambda: Retry(timedelta.max), "failed"),
        "retry at the end": (
            lambda: Retry(datetime.max.replace(tzinfo=UTC) - datetime.now(UTC)),
            "either",
        ),
        "retry after a span of its own": (
            lambda: changed(Retry(5), after=Span(seconds=5)),
            "pending",
        ),
        "retry before": (lambda: changed(Retry(5), after=timedelta(seconds=-5)), "failed"),
        "retry after a text": (lambda: changed(Retry(5), after="soon"), "failed"),
        "retry after not a number": (lambda: changed(Retry(5), after=float("nan")), "failed"),
        "bare retry": (BareRetry, "failed"),
        "retry unread": (RetryWithoutReading, "failed"),
        "retry, unprintable": (lambda: Retry(60, reason=Unprintable()), "pending"),  # type: ignore[arg-type]
        "retry, half a pair": (lambda: Retry(60, reason="\udfff"), "pending"),
        "cancel, unprintable": (lambda: Cancel(Unprintable()), "canceled"),  # type: ignore[arg-type]
        "cancel, own text": (lambda: Cancel(Text("own")), "canceled"),
        "cancel, half a pair": (lambda: Cancel("\udfff"), "canceled"),
        "cancel for nothing": (lambda: Cancel(None), "canceled"),  # type: ignore[arg-type]
    }
)
"""By name: what is raised, and the status that the action ends with."""


@harmful(*TEXTS, "__class__", "__dict__", "__await__", "__iter__")
class Returned:
    pass


def speaks(context: Context) -> None:
    """Says what no log takes."""
    context.log("half a \ud800 pair")
    context.log(Text("own"))
    context.log(Unprintable())  # type: ignore[arg-type]
    context.lines.append("no line at all")  # type: ignore[arg-type]
    context.lines.append(LogLine(message=Unprintable(), at=None))  # type: ignore[arg-type]
    context.lines.append(LogLine(message="early", at=datetime.min))  # noqa: DTZ901
    context.lines.append(LogLine(message="own", at=Date(2026, 1, 1, tzinfo=UTC)))
    sys.stdout.write("printed \0 \x1b[2J\n")


RETURNED: Final[Mapping[str, Callable[[Context], object]]] = MappingProxyType(
    {
        "returns": lambda _: Returned(),
        "returns a class": lambda _: Nameless,
        "speaks": speaks,
    }
)
"""By name: handlers that complete all the same."""
