"""Jobs as the documents that clients read, over HTTP and in callbacks."""

import json
from datetime import UTC, datetime
from typing import Any

from wpbridge.codec import args as args_codec
from wpbridge.codec.jsontext import is_finite
from wpbridge.errors import CodecError
from wpbridge.queue.jobs import Job


def moment(at: datetime | None) -> str | None:
    """Return a date as RFC 3339 text in UTC."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def args_of(text: bytes) -> Any:
    """Return args as JSON values; their text where JSON cannot tell them."""
    try:
        mapping = args_codec.decode(text).mapping
    except CodecError:
        return text.decode("utf-8", "replace")
    return mapping if is_finite(mapping) else text.decode("utf-8", "replace")


def job_document(job: Job, base_path: str = "", *, with_result: bool = False) -> dict[str, Any]:
    """Return a job as its client reads it."""
    stored, action = job.stored, job.action
    progress = None
    if stored is not None and stored.progress is not None:
        progress = {"fraction": stored.progress, "text": stored.progress_text}
    found: dict[str, Any] = {
        "job": job.record.uuid,
        "status": job.status,
        "action_id": action.id,
        "hook": action.hook,
        "args": args_of(action.args),
        "group": action.group,
        "created_at": moment(job.record.created_at),
        "due_at": moment(action.scheduled_at),
        "started_at": moment(job.started_at),
        "ended_at": moment(job.ended_at),
        "attempts": action.attempts,
        "progress": progress,
        "links": links_of(address_of(job.record.uuid, base_path)),
    }
    if with_result and (text := result_of(job)) is not None:
        found["result"] = json.loads(text)
    return found


def links_of(address: str) -> dict[str, str]:
    """Return the addresses of a job and of what belongs to it."""
    return {"self": address, "result": f"{address}/result", "events": f"{address}/events"}


def result_of(job: Job) -> str | None:
    """Return what the handler of a complete job returned, as JSON; None where there is nothing.

    An earlier run of the same action may have left something, which does not count any more.
    """
    return job.stored.result if job.status == "complete" and job.stored else None


def address_of(uuid: str, base_path: str) -> str:
    """Return the path of a job."""
    return f"{base_path}/v1/jobs/{uuid}"
