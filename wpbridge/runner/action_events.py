"""From reports and endings to events. Pure: the loop says when."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypedDict, assert_never

from wpbridge.action import Action, ActionId, ClaimId
from wpbridge.events import (
    ActionCanceled,
    ActionCompleted,
    ActionEvent,
    ActionFailed,
    ActionLost,
    ActionRetried,
    ActionSnoozed,
    ActionStarted,
    BatchSettled,
)
from wpbridge.executors.base import Report
from wpbridge.outcome import (
    Booked,
    Canceled,
    Completed,
    Failed,
    Retried,
    Snoozed,
    Unrun,
)
from wpbridge.store.base import Ending


class _About(TypedDict):
    at: datetime
    site: str
    action_id: ActionId
    hook: str
    group: str
    claim_id: ClaimId
    attempt: int
    action: Action


def _about(action: Action, at: datetime, site: str) -> _About:
    return {
        "at": at,
        "site": site,
        "action_id": action.id,
        "hook": action.hook,
        "group": action.group,
        "claim_id": action.claim_id,
        "attempt": action.attempts + 1,
        "action": action,
    }


def started(action: Action, at: datetime, site: str) -> ActionStarted:
    """The event of an action that was handed to its handler."""
    due = action.scheduled_at
    waited = None if due is None else max(timedelta(0), at - due)
    return ActionStarted(**_about(action, at, site), waited=waited)


def settled(endings: Sequence[Ending], at: datetime, site: str, took: timedelta) -> BatchSettled:
    """The event of endings that one transaction has written."""
    keys = tuple((ending.action.claim_id, ending.action.id) for ending in endings)
    return BatchSettled(at=at, site=site, actions=len(keys), took=took, endings=keys)


def lost(report: Report, site: str) -> ActionLost:
    """The event of an action whose ending was not ours to write."""
    return ActionLost(**_about(report.call.action, report.ended_at, site))


def ended(report: Report, site: str) -> ActionEvent | None:  # noqa: PLR0911 - one for each outcome
    """The event of an ending that is true in the tables; None for what was not run at all."""
    about, took = _about(report.call.action, report.ended_at, site), report.took
    match outcome := report.outcome:
        case Completed():
            return ActionCompleted(**about, took=took)
        case Failed(reason=reason, error_type=error_type):
            return ActionFailed(**about, took=took, reason=reason, error_type=error_type)
        case Retried(after=after, reason=reason, attempt=attempt, of=of):
            return ActionRetried(
                **about, took=took, after=after, reason=reason, next_attempt=attempt, of=of
            )
        case Snoozed(until=until, reason=reason):
            return ActionSnoozed(**about, until=until, reason=reason)
        case Canceled(reason=reason):
            return ActionCanceled(**about, reason=reason)
        case Unrun():
            return None
        case Booked(failure=failure):
            if failure is None:
                return ActionCompleted(**about, took=took)
            return ActionFailed(
                **about, took=took, reason=failure.reason, error_type=failure.error_type
            )
        case _:
            assert_never(outcome)
