"""Changes of everything that a filter matches: what it would be done to, and its beginning."""

import json
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from wpbridge.errors import InputError
from wpbridge.queue import bulk, fields
from wpbridge.queue.bulk_filters import Filter
from wpbridge.queue.commands import Command, command_of
from wpbridge.queue.jobs import JobQueue
from wpbridge.web.pages import actions
from wpbridge.web.pages.visit import Visit

_MOST_PINNED: Final = 20_000


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
