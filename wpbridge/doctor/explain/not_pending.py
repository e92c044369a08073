"""Say how it stands with actions that are running or have ended."""

from typing import Final

from wpbridge.action import Status
from wpbridge.doctor.explain.facts import Facts
from wpbridge.doctor.explain.verdict import Reason
from wpbridge.doctor.findings import span
from wpbridge.site.moments import iso
from wpbridge.store.queueing.edits import REQUEUED

_NO_CALLBACKS: Final = "will not be executed as no callbacks are registered."
"""How the plugin's log row ends of an action whose hook has no callback in PHP."""


def ended(facts: Facts) -> Reason:
    """Say how it ended, and whether it can be run once more."""
    record = facts.record
    at = facts.log[-1].at if facts.log else record.last_attempt_at
    when = f" at {iso(at, facts.zone)}" if at else ""
    said = f"; its log ends with: {facts.last_line}" if facts.log else ""
    if record.status == Status.FAILED and _was_taken_by_php(facts):
        return _after_php(facts, f"it is {record.status}{when}{said}")
    may_requeue = record.status == Status.FAILED and not facts.last_line.startswith(REQUEUED)
    fix = f"wpbridge requeue {record.id}" if may_requeue else ""
    return Reason(code="ended", text=f"it is {record.status}{when}{said}", fix=fix)


def _was_taken_by_php(facts: Facts) -> bool:
    """Tell whether PHP's runner failed it for want of a callback, and a handler here may run it."""
    may_be_ours = facts.decision.to in {"python", "webhook", "celery", "unknown"}
    return may_be_ours and facts.last_line.endswith(_NO_CALLBACKS)


def _after_php(facts: Facts, text: str) -> Reason:
    """Say that the companion plugin comes first, where it is missing: PHP would fail it again."""
    why, requeue = facts.decision.why, f"wpbridge requeue {facts.record.id}"
    text = f"{text} (PHP's runner took it, and PHP has no callback for {facts.record.hook!r})"
    ours = (
        "if wpbridge runs it" if facts.decision.to == "unknown" else "since wpbridge runs it here"
    )
    if not facts.companion:
        return Reason(code="ended", text=f"{text}; {ours} ({why}), requeue it", fix=requeue)
    text = f"{text}; {ours} ({why}), install the companion plugin first, then `{requeue}`"
    return Reason(code="ended", text=text, fix=facts.companion)


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
