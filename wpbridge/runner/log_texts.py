"""The log rows' texts: the plugin's own English, with our context (action-scheduler 3.x, 4.x)."""

from datetime import datetime, timedelta

from wpbridge.outcome import LogLine
from wpbridge.site.moments import iso
from wpbridge.store.base import COMPLETED_MESSAGE, RESET_MESSAGE, STARTED_MESSAGE

CONTEXT = "wpbridge"


def started(at: datetime) -> LogLine:
    """The row of a start, as the plugin's `log_started_action` writes it."""
    return LogLine(message=STARTED_MESSAGE, at=at)


def completed(at: datetime) -> LogLine:
    """The row of a success, as the plugin's `log_completed_action` writes it."""
    return LogLine(message=COMPLETED_MESSAGE, at=at)


def failed(at: datetime, reason: str) -> LogLine:
    """The row of a failure, as the plugin's `log_failed_action` writes it."""
    return LogLine(message=f"action failed via {CONTEXT}: {reason}", at=at)


def detail(at: datetime, text: str) -> LogLine:
    """Our row with what the plugin's message has no place for."""
    return LogLine(message=f"{CONTEXT}: {text}", at=at)


def output(at: datetime, text: str) -> LogLine:
    """Our row with what the handler printed."""
    return LogLine(message=f"action output via {CONTEXT}: {text}", at=at)


def ignored(at: datetime) -> LogLine:
    """The row of an ignored action, as the plugin's `log_ignored_action` writes it."""
    return LogLine(message=f"action ignored via {CONTEXT}", at=at)


def unrun(at: datetime, reason: str) -> LogLine:
    """Our row of an action that was put back without having run."""
    return LogLine(message=f"action put back via {CONTEXT}: {reason}", at=at)


def canceled(at: datetime, reason: str) -> LogLine:
    """As `log_canceled_action`, with the handler's reason."""
    text = f" via {CONTEXT}: {reason}" if reason else ""
    return LogLine(message=f"action canceled{text}", at=at)


RETRY_MESSAGE = f"action retry via {CONTEXT}: retry "
"""How the log row of a retry by a rule begins: counting these counts the failed attempts."""


def retried(at: datetime, after: timedelta, reason: str, *, attempt: int, of: int) -> LogLine:
    """Our row of a retry; ``attempt`` is 0 when its handler asked for it, and no rule."""
    seconds = (
        f"{after.total_seconds():.3g}"
        if after.total_seconds() < 1
        else (f"{after.total_seconds():.0f}")
    )
    text = f": {reason}" if reason else ""
    if attempt:
        return LogLine(message=f"{RETRY_MESSAGE}{attempt} of {of} in {seconds} s{text}", at=at)
    return LogLine(message=f"action retry via {CONTEXT} in {seconds} s{text}", at=at)


def snoozed(at: datetime, until: datetime, reason: str) -> LogLine:
    """Our row of an action that its handler has put off."""
    text = f": {reason}" if reason else ""
    return LogLine(message=f"action snoozed via {CONTEXT} until {iso(until)}{text}", at=at)


def reset(at: datetime, runner: str, others: int, *, is_undated: bool = False) -> LogLine:
    """Ours: the plugin's `action reset` says less. Its beginning tells whether it ran alone."""
    beside = f" with {others} other{'' if others == 1 else 's'}" if others else ""
    held = "; held until it is rescheduled" if is_undated else ""
    return LogLine(message=f"{RESET_MESSAGE}{beside}: its runner ({runner}) is gone{held}", at=at)


def consistently_failing(at: datetime) -> LogLine:
    """The row that ends a chain, as the plugin's `schedule_next_instance` writes it."""
    text = "This action appears to be consistently failing. A new instance will not be scheduled."
    return LogLine(message=text, at=at)


def next_failed(at: datetime, reason: str) -> LogLine:
    """As the plugin's `log_failed_schedule_next_instance` writes it."""
    text = "There was a failure scheduling the next instance of this action"
    return LogLine(message=f"{text}: {reason}", at=at)


def undecodable(action_id: int, error: str) -> str:
    """Return why a row could not be read."""
    return f"There was a failure fetching this action: Action [{action_id}] {error}"
