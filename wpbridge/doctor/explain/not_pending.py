"""Say how it stands with actions that are running or have ended."""

from wpbridge.action import Status
from wpbridge.doctor.explain.facts import Facts
from wpbridge.doctor.explain.verdict import Reason
from wpbridge.doctor.findings import span
from wpbridge.site.moments import iso
from wpbridge.store.queueing.edits import REQUEUED


def ended(facts: Facts) -> Reason:
    """Say how it ended, and whether it can be run once more."""
    record = facts.record
    at = facts.log[-1].at if facts.log else record.last_attempt_at
    when = f" at {iso(at, facts.zone)}" if at else ""
    said = f"; its log ends with: {facts.last_line}" if facts.log else ""
    may_requeue = record.status == Status.FAILED and not facts.last_line.startswith(REQUEUED)
    fix = f"wpbridge requeue {record.id}" if may_requeue else ""
    return Reason(code="ended", text=f"it is {record.status}{when}{said}", fix=fix)


def running(facts: Facts) -> Reason:
    """Say who runs it, and whether that runner is still alive."""
    record, holder = facts.record, facts.holder
    since = next(
        (entry.at for entry in reversed(facts.log) if entry.message.startswith("action started")),
        record.last_attempt_at,
    )
    began = f" since {iso(since, facts.zone)}" if since else ""
    if holder is not None and holder.is_dead:
        text = f"it was started by {holder}, which is gone; the next run puts it back or fails it"
        return Reason(code="running-dead", text=text, fix="wpbridge claim-and-run")
    if holder is not None:
        return Reason(code="running", text=f"it runs{began}, by {holder}")
    age = facts.sign_age_seconds
    if not facts.is_stale:
        sign = f", last sign {span(age)} ago" if age is not None else ""
        return Reason(code="running", text=f"it runs{began} in one of PHP's runners{sign}")
    last = f"{span(age)} ago" if age is not None else "never"
    text = (
        f"it runs{began} in one of PHP's runners, whose last sign came {last}: it takes long, or"
        " was killed; the plugin's cleaner fails it, and its recurring chain ends"
    )
    return Reason(code="running-stale", text=text, fix="wp action-scheduler run --batches=1")
