"""Changes of everything that a filter matches: what it would be done to, and its beginning."""

import json
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from wpbridge.action import BULK_HOOK
from wpbridge.dashboard.detail import Detail
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.queue import bulk, fields
from wpbridge.queue.bulk_filters import Filter
from wpbridge.queue.commands import Command, command_of
from wpbridge.queue.jobs import JobQueue
from wpbridge.web.pages import actions
from wpbridge.web.pages.texts import N_
from wpbridge.web.pages.visit import Visit

_MOST_PINNED: Final = 20_000
_WORDS: Final[Mapping[str, str]] = {
    "status": N_("Status"),
    "hook": N_("Hook"),
    "group": N_("Group"),
    "search": N_("In hook or args"),
    "args": N_("Args, exactly"),
    "since": N_("Date from"),
    "until": N_("Date to"),
    "ended_since": N_("Last attempt from"),
    "ended_until": N_("Last attempt to"),
    "priority": N_("Priority"),
    "claim": N_("Claim"),
    "fingerprint": N_("Failures alike"),
}
"""What the parts of a filter are called, by their names in an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What has become of a change of everything that matches."""

    command: Command
    count: int
    """How many matched when it began."""
    changed: int | None
    """How many were changed; None as long as it has not ended well."""
    skipped: Mapping[str, int]
    """How many were left as they are, by the reason."""


def outcome_of(detail: Detail) -> Outcome | None:
    """Return what the action of a bulk has done; None for any other action."""
    if detail.record.hook != BULK_HOOK:
        return None
    try:
        meant = bulk.Bulk.of(json.loads(detail.record.args))
        result = json.loads((detail.stored and detail.stored.result) or "null")
    except (ValueError, RecursionError, AttributeError, InputError):
        return None
    told = result if isinstance(result, dict) else {}
    changed, skipped = told.get("changed"), told.get("skipped")
    return Outcome(
        command=command_of(meant.verb),
        count=meant.count,
        changed=changed if type(changed) is int else None,
        skipped={
            str(why): count
            for why, count in (skipped if isinstance(skipped, dict) else {}).items()
            if type(count) is int
        },
    )


async def preview(visit: Visit) -> Response:
    """Show what a change would be done to, and ask for the count."""
    command = command_of(visit.query("verb"))
    if not visit.may(command.role):
        return visit.render("refused.html", 403, needed=command.role)
    given = {name: visit.query(name) for name in actions.FIELDS}
    chosen = actions.filter_of(given, visit.now())
    given_fields = {one.name: visit.query(parameter_of(one.name)) for one in command.fields}
    told = fields.filled_in(command.fields, given_fields)
    if any(one.is_required and one.name not in told for one in command.fields):
        return visit.render(
            "bulk.html",
            command=command,
            chosen=chosen,
            values=told,
            words=_WORDS,
            found=None,
            pinned="",
            named=parameter_of,
        )
    meant = Filter(query=chosen.query, fingerprint=given["fingerprint"])
    found = await visit.ask(
        lambda queue: bulk.preview(queue, command.verb, meant, told, zone=visit.zone)
    )
    return visit.render(
        "bulk.html",
        command=command,
        chosen=chosen,
        values=told,
        words=_WORDS,
        found=found,
        pinned=json.dumps(found.pinned),
    )


def parameter_of(field: str) -> str:
    """Return what the address calls a field of a change: a filter has its own names there."""
    return f"new_{field}" if field in actions.FIELDS else field


async def start(visit: Visit) -> Response:
    """Add the action that changes everything that was pinned, if the count was typed."""
    pinned = _pinned(visit.sent("pinned"))
    command = _command(pinned)
    if not visit.may(command.role):
        return visit.render("refused.html", 403, needed=command.role)
    meant = bulk.Bulk.of(pinned)

    def begin(queue: JobQueue) -> int:
        return bulk.start(
            queue,
            meant,
            visit.sent("count"),
            who=visit.person.name,
            address=visit.address,
            refusal=visit.parts.refusal(queue),
        )

    made = await visit.change(begin)
    return visit.done("bulk", visit.url(f"actions/{made}"))


def _pinned(told: str) -> Mapping[str, object]:
    """Return what a preview has pinned, as its form has sent it back."""
    try:
        found = json.loads(told) if len(told) <= _MOST_PINNED else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError("pinned: begin with the preview")
    return found


def _command(pinned: Mapping[str, object]) -> Command:
    verb = pinned.get("verb")
    return command_of(verb if isinstance(verb, str) else "")
