"""Count what a run does, for its history and its metrics: docs/explain/measuring.md.

Endings and starts are counted by the loop, since there are many of them. What is rarer is counted
by subscribers of its events.
"""

from collections.abc import Iterable
from datetime import datetime

from wpbridge.action import Action, Status
from wpbridge.events import ActionRescued, ClaimMade, UpkeepDone
from wpbridge.executors.base import Report
from wpbridge.outcome import Booked, Failed
from wpbridge.runner.in_hand import Ended
from wpbridge.runner.writing_endings import Written
from wpbridge.telling.bus import Bus
from wpbridge.telling.counting import (
    CLAIM,
    PURGED,
    RESCUED,
    Counter,
    Tally,
    What,
    minute_of,
    reason_of,
)

_OUTCOMES = {
    Status.COMPLETE: "complete",
    Status.FAILED: "failed",
    Status.CANCELED: "canceled",
}
"""What an ending counts as, by the status that it leaves. Every other one is a retry."""


def count_endings(
    counter: Counter, told: Iterable[tuple[Ended, Written]], *, now: datetime
) -> None:
    """Count endings that stand in the tables now. What was not ours to end is left out.

    It is done for each action, so they are summed up first: one lock and one key for many.
    """
    found: dict[tuple[str, str, str, str], Tally] = {}
    for one, done in told:
        ending, report = done.ending, one.report
        if not done.is_settled or (ending.status is Status.PENDING and ending.retry_at is None):
            continue
        outcome = _OUTCOMES.get(ending.status, "retried")
        reason = _reason(done.failed, report) if outcome == "failed" else ""
        key = ending.action.hook, ending.action.group, outcome, reason
        tally = found.get(key)
        if tally is None:
            tally = found[key] = Tally()
        tally.add(*_spans(ending.action, report))
    minute = minute_of(now)
    counter.join(
        {
            What(minute, hook, group, outcome, "wpbridge", reason): tally
            for (hook, group, outcome, reason), tally in found.items()
        }
    )


def _spans(action: Action, report: Report | None) -> tuple[float | None, float | None]:
    """Return for how many seconds an action ran, and waited before."""
    if report is None:
        return None, None
    began, due = report.started_at, action.scheduled_at
    waited = None if due is None else max(0.0, (began - due).total_seconds())
    return max(0.0, (report.ended_at - began).total_seconds()), waited


def _reason(failed: Failed | None, report: Report | None) -> str:
    outcome = failed or (report.outcome if report is not None else None)
    if isinstance(outcome, Booked):
        outcome = outcome.failure
    return reason_of(outcome.error_type) if isinstance(outcome, Failed) else "unwritten"


def count_booked(counter: Counter, report: Report, status: str, *, now: datetime) -> None:
    """Count an action that the plugin's own code has ended in a PHP worker of ours."""
    action = report.call.action
    outcome = _OUTCOMES[Status(status)]
    reason = _reason(None, report) if outcome == "failed" else ""
    what = What(minute_of(now), action.hook, action.group, outcome, "wpbridge", reason)
    counter.add(what, *_spans(action, report))


def count_events(bus: Bus, counter: Counter) -> None:
    """Subscribe to the events that are counted."""

    def claimed(event: ClaimMade) -> None:
        counter.add(What(minute_of(event.at), "", "", CLAIM), event.took.total_seconds())

    def rescued(event: ActionRescued) -> None:
        minute = minute_of(event.at)
        counter.add(What(minute, "", "", RESCUED, reason=event.how))
        if event.how == "failed":
            counter.add(What(minute, event.hook, event.group, "failed", reason="crash"))

    def cleaned(event: UpkeepDone) -> None:
        for table, rows in (("actions", event.deleted), ("claims", event.claims)):
            if rows:
                counter.add_many(What(0, "", "", PURGED, reason=table), rows)

    bus.subscribe(ClaimMade, claimed)
    bus.subscribe(UpkeepDone, cleaned)
    bus.subscribe(ActionRescued, rescued)
