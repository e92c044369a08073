"""Answer operators who change everything that a filter matches: first a preview, then the count."""

from typing import Any, Final

from starlette.responses import Response

from wpbridge.queue.bulk import BulkRefused, preview, start
from wpbridge.queue.bulk_filters import Filter
from wpbridge.queue.commands import COMMANDS, command_of
from wpbridge.queue.jobs import JobQueue
from wpbridge.web.actions import query_of
from wpbridge.web.calls import Call
from wpbridge.web.declarations import ACTION_ID, FILTERS, Schema
from wpbridge.web.documents import action_document, json_answer
from wpbridge.web.problems import Problem

_PAGES: Final = ("after_id", "order", "limit")
_FILTER: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "properties": {
        **{name: schema for name, schema in FILTERS.items() if name not in _PAGES},
        "fingerprint": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "Failures with this in common, as `wpbridge failures` shows it.",
        },
    },
}
BULK: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["verb", "filter"],
    "properties": {
        "verb": {"enum": [one.verb for one in COMMANDS.values() if one.kind == "actions"]},
        "filter": _FILTER,
        "fields": {
            "type": "object",
            "description": "What the change asks for, as in the route for one action.",
        },
        "up_to_id": {
            **ACTION_ID,
            "description": "The highest id that is meant, as the preview has told it.",
        },
        "dry_run": {"type": "boolean", "description": "Only count."},
        "count": {
            "type": "integer",
            "minimum": 0,
            "description": "The count that the preview has told. Without it nothing is changed.",
        },
    },
}
"""The body of a change of everything that matches."""
STARTED: Final[Schema] = {
    "type": "object",
    "properties": {"action_id": ACTION_ID, "count": {"type": "integer"}},
}
PREVIEW: Final[Schema] = {
    "type": "object",
    "properties": {
        "count": {"type": "integer"},
        "is_capped": {"type": "boolean"},
        "up_to_id": {"type": "integer"},
        "sample": {"type": "array"},
    },
}


async def change(call: Call) -> Response:
    """Count what a change would be done to, or add the action that makes it."""
    told = call.body
    command = command_of(told["verb"])
    if not call.caller.may(command.right):
        raise Problem("not-allowed", f"{command.verb} needs the right {command.right}")
    is_start = not told.get("dry_run", False)
    if is_start and "count" not in told:
        raise Problem("invalid", "count: give the count of a preview, or dry_run", field="count")
    given = dict(told["filter"])
    meant = Filter(fingerprint=given.pop("fingerprint", ""), query=query_of(given))

    def ask(queue: JobQueue) -> dict[str, Any]:
        fields = told.get("fields", {})
        seen = preview(queue, command.verb, meant, fields, up_to_id=told.get("up_to_id"))
        if not is_start:
            return {
                "count": seen.count,
                "is_capped": seen.is_capped,
                "up_to_id": seen.bulk.up_to_id,
                "sample": [action_document(one) for one in seen.sample],
            }
        if seen.count != told["count"]:
            told_now = f"{seen.count:,} actions match now, not {told['count']:,}"
            raise Problem("conflict", f"count: {told_now}: look at a new preview", field="count")
        made = start(
            queue,
            seen.bulk,
            told["count"],
            who=call.caller.name,
            address=call.address,
            refusal=call.parts.refusal(queue),
        )
        return {"action_id": made, "count": seen.count}

    try:
        return json_answer(await call.parts.readers.ask(ask), 202 if is_start else 200)
    except BulkRefused as refused:
        raise Problem("conflict", str(refused)) from None
