"""The outcomes that a call of an action can have, and the requests that a handler may raise.

An executor returns an :data:`Outcome` and writes no row. The runner writes it into the tables.
Handlers choose the texts in outcomes, so each text goes through :func:`plain` first.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from wpbridge.dataclass import dataclass

MOST_CHARACTERS: Final = 65_535
"""How long a text in an outcome may be. A message in the logs table has room for as many bytes."""


def exact(text: object, *, most: int = MOST_CHARACTERS) -> str:
    """Return a value's text as an exact ``str`` that UTF-8 can hold, cut after ``most`` characters.

    Half a surrogate pair becomes its escape. The function raises what the value's ``__str__``
    raises.
    """
    exact_text = str.__str__(str(text))[:most]
    return exact_text.encode("utf-8", "backslashreplace").decode()[:most]


def plain(value: object, *, most: int = MOST_CHARACTERS) -> str:
    """Return the same as :func:`exact`, or a replacement text where the value's methods raise."""
    try:
        return exact(value, most=most)
    except BaseException as error:  # noqa: BLE001 - a handler's own class may do anything
        return f"(unprintable: {class_name(value)} raises {class_name(error)})"


def class_name(value: object) -> str:
    """Return the name of a value's class, even if the class overrides ``__name__``."""
    return exact(type.__dict__["__name__"].__get__(type(value)), most=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """The handler returned."""

    result: str | None = None
    """What it returned, as JSON in ASCII; None where it returned None."""
    left_out: str = ""
    """Why what it returned is not kept; empty where it is, or where it returned None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The handler raised an error, or the action could not be run at all."""

    reason: str
    """One line or more for the action's log."""
    error_type: str = ""
    """The class name of the error, for events and counts."""
    detail: str = ""
    """What the plugin's log row does not say: the error's class and line, PHP's last output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """The same row is to run again later."""

    after: timedelta
    reason: str = ""
    attempt: int = 0
    """The number of the coming attempt, if a retry rule decided. 0 if the handler asked for it."""
    of: int = 0
    """How many attempts the retry rule allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snoozed:
    """The same row is to run later. This attempt does not count as a failure."""

    until: datetime
    """Aware."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """The handler asked to cancel the action."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrun:
    """The action was not run. The runner puts its row back as it was."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """The plugin's own code ran the action and wrote its ending into the tables."""

    failure: Failed | None = None
    """The failure, if it failed. The runner settles it where the plugin could not do so."""


Outcome = Completed | Failed | Retried | Snoozed | Canceled | Unrun | Booked


class LogLine(NamedTuple):
    """One row for the log of an action."""

    message: str
    at: datetime
    """Aware UTC."""


class Progress(NamedTuple):
    """How far an action says it is."""

    fraction: float
    """From 0 to 1."""
    text: str
    at: datetime
    """Aware UTC."""


def line_of(said: Any, now: datetime) -> LogLine:
    """Turn what a handler put into its list of log lines into a row that can be written.

    A handler may put anything into that list, so any value is accepted. A date that is not an
    aware UTC ``datetime`` becomes ``now``.
    """
    line = said if type(said) is LogLine else LogLine(message=said, at=now)
    is_ours = type(line.at) is datetime and line.at.tzinfo is UTC
    return LogLine(message=plain(line.message), at=line.at if is_ours else now)


class Retry(Exception):
    """A handler raises this to have the same action run again later.

    Args:
        after: how long to wait, in seconds or as a timedelta; not negative.
        reason: a text for the action's log.
    """

    def __init__(self, after: float | timedelta, reason: str = "") -> None:
        super().__init__(reason)
        self.after = after if isinstance(after, timedelta) else timedelta(seconds=after)
        if self.after < timedelta(0):
            raise ValueError("Retry(after=…) cannot lie in the past")
        self.reason = reason


class Snooze(Exception):
    """A handler raises this to have the same action run at another time.

    Unlike :class:`Retry` it says that nothing went wrong. Neither counts against ``max_attempts``.

    Args:
        until: an aware datetime, or a timedelta from now.
        reason: a text for the action's log.
    """

    def __init__(self, until: datetime | timedelta, reason: str = "") -> None:
        super().__init__(reason)
        if isinstance(until, datetime) and until.tzinfo is None:
            raise ValueError("Snooze(until=…) needs a date with a time zone")
        self.until = until
        self.reason = reason


class Cancel(Exception):
    """A handler raises this to end its action as canceled."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
