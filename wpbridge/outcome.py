"""What a run can say: the outcomes, and the two requests a handler may raise.

An executor returns an :data:`Outcome` and writes no row; the runner makes it true in the tables.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


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
