"""What a run can say: the outcomes, and the requests a handler may raise.

An executor returns an :data:`Outcome` and writes no row; the runner makes it true in the tables.
Texts in outcomes are plain: handlers choose them, so they go through :func:`plain` first.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

MOST_CHARACTERS: Final = 65_535
"""Of a text in an outcome. The logs table holds as many bytes."""


def exact(text: object, *, most: int = MOST_CHARACTERS) -> str:
    """A value's text as an exact ``str`` that can be encoded, cut after ``most`` characters.

    Half a surrogate pair is written as its escape. Raises whatever the value's own methods raise.
    """
    told = str.__str__(str(text))[:most]
    return told.encode("utf-8", "backslashreplace").decode()[:most]


def plain(value: object, *, most: int = MOST_CHARACTERS) -> str:
    """The same of any value, whatever its own methods do; it raises nothing."""
    try:
        return exact(value, most=most)
    except BaseException as error:  # noqa: BLE001 - a handler's own class may do anything
        return f"(unprintable: {class_name(value)} raises {class_name(error)})"


def class_name(value: object) -> str:
    """The name of a value's class, whatever that class says of itself."""
    return exact(type.__dict__["__name__"].__get__(type(value)), most=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """The handler returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The handler raised, or the action could not be run at all."""

    reason: str
    """One line or more for the action's log."""
    error_type: str = ""
    """The class name of the error, for events and counts."""
    detail: str = ""
    """What the plugin's own log row has no place for: class and line, PHP's last output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """The same row shall run again later."""

    after: timedelta
    reason: str = ""
    attempt: int = 0
    """Which attempt comes next, by a rule of retries; 0: the handler asked for it."""
    of: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snoozed:
    """The same row shall run later; this was no attempt that failed."""

    until: datetime
    """Aware."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """The handler asked that the action end without having been done."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrun:
    """Not run at all: the row goes back as it was."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """The plugin's own runner ran it and wrote the tables."""

    failure: Failed | None = None
    """What went wrong; also what to settle where the plugin could not do it itself."""


Outcome = Completed | Failed | Retried | Snoozed | Canceled | Unrun | Booked


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A row for an action's own log."""

    message: str
    at: datetime
    """Aware UTC."""


def line_of(said: Any, now: datetime) -> LogLine:
    """What a handler put into its action's log, as a row that can be written.

    Its list of lines takes anything, and so does this. Dates that are none of ours become ``now``.
    """
    line = said if type(said) is LogLine else LogLine(message=said, at=now)
    is_ours = type(line.at) is datetime and line.at.tzinfo is UTC
    return LogLine(message=plain(line.message), at=line.at if is_ours else now)


class Retry(Exception):
    """Raised by a handler: run this same action again later.

    Args:
        after: seconds, or a timedelta; not negative.
        reason: for the action's log.
    """

    def __init__(self, after: float | timedelta, reason: str = "") -> None:
        super().__init__(reason)
        self.after = after if isinstance(after, timedelta) else timedelta(seconds=after)
        if self.after < timedelta(0):
            raise ValueError("Retry(after=…) cannot lie in the past")
        self.reason = reason


class Snooze(Exception):
    """Raised by a handler: not now; run this same action at another time.

    Unlike :class:`Retry` it says that nothing went wrong. Neither counts against ``max_attempts``.

    Args:
        until: an aware datetime, or a timedelta from now.
        reason: for the action's log.
    """

    def __init__(self, until: datetime | timedelta, reason: str = "") -> None:
        super().__init__(reason)
        if isinstance(until, datetime) and until.tzinfo is None:
            raise ValueError("Snooze(until=…) needs a date with a time zone")
        self.until = until
        self.reason = reason


class Cancel(Exception):
    """Raised by a handler: end this action as canceled."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
