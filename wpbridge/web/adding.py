"""Add jobs, and answer when they are committed."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from wpbridge.queue.jobs import ENDED, JobRequest, Submitted
from wpbridge.store.queueing.jobs import NotWhole
from wpbridge.telling import traces
from wpbridge.web import bodies
from wpbridge.web.calls import Call
from wpbridge.web.declarations import NEW_JOB
from wpbridge.web.documents import address_of, job_document, json_answer, new_job_document
from wpbridge.web.job_requests import KEY_HEADER, idempotency_key, preferred_wait, requested
from wpbridge.web.jobs import found, job_answer, there
from wpbridge.web.problems import Problem, problem_of
from wpbridge.web.writer import Misfit

MOST_IN_BATCH: Final = 1_000
RETRY_AFTER: Final = "1"
"""The seconds after which a client may look at a new job."""
_NEW_JOB: Final = bodies.checker(NEW_JOB)


async def add(call: Call) -> Response:
    """Add one job; answer 202 when it is committed."""
    if "through" in call.body:
        return await _send(call)
    asked = await requested(call, call.body, idempotency_key(call))
    [done] = await _added(call, [asked])
    if done.job is None:
        raise _refused(done.refusal)
    wait = preferred_wait(call) if call.caller.may("read") else None
    headers = {} if wait is None else {"Preference-Applied": f"wait={wait:g}"}
    if not done.is_new:
        headers["Idempotency-Replayed"] = "true"
    if done.is_new and not wait:
        told = new_job_document(done, call.parts.base_path)
        return _accepted(call, done.job.uuid, await _with_token(call, told), headers)
    job = await there(call, done.job.uuid)
    if wait:
        job = await call.parts.watching.ended(job, wait)
        if job.status in ENDED:
            job = await found(call, job.record.uuid)
            return job_answer(call, job, headers, with_result=True)
    told = await _with_token(call, job_document(job, call.parts.base_path))
    return _accepted(call, done.job.uuid, told, headers)


async def _send(call: Call) -> Response:
    """Enqueue a job through the broker; answer 202 when that has confirmed it."""
    if idempotency_key(call):
        raise Problem(
            "invalid", "through: nothing is compared there: leave this out", field=KEY_HEADER
        )
    if "callback" in call.body:
        raise Problem("invalid", "callback: not through Celery", field="callback")
    asked = await requested(call, call.body, "")
    sent = await call.parts.sender.send(asked.new)
    told = {
        "through": "celery",
        "key": sent.key,
        "hook": asked.new.hook,
        "group": asked.new.group,
        "action_id": sent.action_id,
    }
    return json_answer(told, 202)


async def _added(call: Call, asked: Sequence[JobRequest]) -> list[Submitted]:
    """Have jobs added, which keep the span of it. Without one they keep that of the request."""
    hooks, groups = [one.new.hook for one in asked], {one.new.group for one in asked}
    group = groups.pop() if len(groups) == 1 else ""
    with traces.producing(hooks, group, parent=asked[0].traceparent) as span:
        if span.traceparent:
            asked = [replace(one, traceparent=span.traceparent) for one in asked]
        done = await call.parts.writer.add(asked)
        span.added(one.job.action_id for one in done if one.job is not None and one.is_new)
        return done


async def _with_token(call: Call, told: dict[str, Any]) -> dict[str, Any]:
    """Give who came with a ticket a token by which the job can be followed."""
    if call.caller.ticket is None:
        return told
    uuid = told["job"]
    return {**told, "token": await call.parts.readers.ask(lambda q: q.job_token(uuid))}


async def add_batch(call: Call) -> Response:
    """Add the jobs of a body with one JSON object a line, all of them or none."""
    lines = [line for line in call.body.split(b"\n") if line.strip()]
    if not 1 <= len(lines) <= MOST_IN_BATCH:
        raise Problem("invalid", f"send 1 to {MOST_IN_BATCH:,} lines, not {len(lines):,}")
    call.parts.rates.take(call.caller, len(lines) - 1)
    key = idempotency_key(call)
    # The key stands for the whole body, and each line has a key of its own.
    whole = hashlib.sha256(b"\n".join(lines)).hexdigest()
    asked: list[JobRequest] = []
    for number, line in enumerate(lines, 1):
        try:
            body = bodies.value_of(line)
            _NEW_JOB(body)
            own = f"{key}#{number}" if key else ""
            asked.append(await requested(call, body, own, whole=whole))
        except Problem as problem:
            problem.more["line"] = number
            raise
    try:
        done = await _added(call, asked)
    except NotWhole as error:
        # An idempotency key stands for the whole body.
        line = {} if error.refusal == "key-reused" else {"line": error.place + 1}
        raise _refused(error.refusal, **line) from None
    except Misfit as error:
        misfit = problem_of(error.error)
        misfit.more["line"] = error.place + 1
        raise misfit from None
    if done[0].job is None:
        raise _refused(done[0].refusal, line=1)
    uuids = [one.job.uuid for one in done if one.job is not None]
    jobs = {job.record.uuid: job for job in await call.parts.readers.ask(lambda q: q.jobs(uuids))}
    told = [job_document(jobs[uuid], call.parts.base_path) for uuid in uuids if uuid in jobs]
    headers = {"Retry-After": RETRY_AFTER}
    if key and not any(one.is_new for one in done):
        headers["Idempotency-Replayed"] = "true"
    return json_answer({"jobs": told}, 202, headers)


def _refused(refusal: str, **more: Any) -> Problem:
    if refusal == "key-reused":
        return Problem(
            "key-reused",
            "this Idempotency-Key was used with another body: take a new one",
            field=KEY_HEADER,
            **more,
        )
    return Problem("not-unique", "wait until the other one has ended", **more)


def _accepted(call: Call, uuid: str, told: dict[str, Any], more: Mapping[str, str]) -> Response:
    address = address_of(uuid, call.parts.base_path)
    return json_answer(told, 202, {"Location": address, "Retry-After": RETRY_AFTER, **more})
