"""Jobs and actions as the documents that clients read."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from starlette.responses import Response

from wpbridge.codec import schedule
from wpbridge.queue.job_documents import (
    address_of,
    args_of,
    job_document,
    links_of,
    moment,
    result_of,
)
from wpbridge.queue.jobs import Submitted
from wpbridge.store.records import Record

__all__ = (
    "NO_HEADERS",
    "action_document",
    "address_of",
    "job_document",
    "json_answer",
    "moment",
    "new_job_document",
    "result_of",
)

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


def new_job_document(done: Submitted, base_path: str) -> dict[str, Any]:
    """Return a job that has just been added as its client reads it; nothing is read again."""
    record, action = done.job, done.action
    assert record is not None and action is not None  # noqa: S101, PT018 - it is new
    self_link = address_of(record.uuid, base_path)
    return {
        "job": record.uuid,
        "status": done.status,
        "action_id": record.action_id,
        "hook": action.hook,
        "args": args_of(action.args.encode()),
        "group": action.group,
        "created_at": moment(record.created_at),
        "due_at": None if done.status == "waiting" else moment(action.scheduled_at),
        "started_at": None,
        "ended_at": None,
        "attempts": 0,
        "progress": None,
        "links": links_of(self_link),
    }


def action_document(record: Record, zone: str | None = None) -> dict[str, Any]:
    """Return an action as operators read it."""
    recurrence = schedule.recurring(record.schedule)
    told: str | None = None
    if isinstance(recurrence, schedule.Cron):
        told = recurrence.expression
    elif isinstance(recurrence, schedule.Interval):
        told = f"{recurrence.seconds} s"
    return {
        "id": record.id,
        "hook": record.hook,
        "status": record.status,
        "args": args_of(record.args),
        "group": record.group,
        "priority": record.priority,
        "attempts": record.attempts,
        "scheduled_at": moment(record.scheduled_at),
        "last_attempt_at": moment(record.last_attempt_at),
        "claim_id": record.claim_id,
        "recurrence": told,
        "tz": zone,
    }


def json_answer(told: Any, status: int = 200, headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """Return a JSON answer that nobody keeps."""
    # In ASCII, half a surrogate pair that stands in a row is no trouble.
    return Response(
        json.dumps(told), status, {"Cache-Control": "no-store", **headers}, "application/json"
    )
