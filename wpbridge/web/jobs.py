"""Answer requests about jobs: add them, look at them, wait for them, cancel them."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from wpbridge.action import is_own_hook
from wpbridge.clock import SystemClock
from wpbridge.errors import InputError
from wpbridge.queue.callbacks import callback_of
from wpbridge.queue.enqueue import Enqueue, moment_of
from wpbridge.queue.jobs import (
    ENDED,
    Job,
    JobGone,
    JobQueue,
    JobRequest,
    fingerprint_of,
    new_uuid,
    scoped_key,
)
from wpbridge.site.moments import parse_duration
from wpbridge.store.queueing.jobs import NotWhole
from wpbridge.web import bodies
from wpbridge.web.calls import Call
from wpbridge.web.declarations import NEW_JOB
from wpbridge.web.documents import address_of, job_document, new_job_document, result_of
from wpbridge.web.problems import Problem, problem_of
from wpbridge.web.writer import Misfit

LONGEST_WAIT_SECONDS: Final = 30.0
MOST_IN_BATCH: Final = 1_000
RETRY_AFTER: Final = "1"
"""The seconds after which a client may look at a new job."""
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_KEY_HEADER: Final = "Idempotency-Key"
_KEY: Final = re.compile(r"[\x21\x23-\x7e]{1,255}")
_QUOTED: Final = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"')
_WAIT: Final = re.compile(r"\s*wait\s*=\s*([0-9]{1,6})\s*(?:;.*)?", re.IGNORECASE)
_NEW_JOB: Final = bodies.checker(NEW_JOB)


# Adding


async def add(call: Call) -> Response:
    """Add one job; answer 202 when it is committed."""
    asked = await requested(call, call.body, _idempotency_key(call))
    [done] = await call.parts.writer.add([asked])
    if done.job is None:
        raise _refused(done.refusal)
    wait = _preferred_wait(call) if call.caller.may("read") else None
    headers = {} if wait is None else {"Preference-Applied": f"wait={wait:g}"}
    if not done.is_new:
        headers["Idempotency-Replayed"] = "true"
    if done.is_new and not wait:
        told = new_job_document(done, call.parts.base_path)
        return _accepted(call, done.job.uuid, await _with_token(call, told), headers)
    job = await _there(call, done.job.uuid)
    if wait:
        job = await call.parts.watching.ended(job, wait)
        if job.status in ENDED:
            job = await found(call, job.record.uuid)
            return _answer(call, job, headers, with_result=True)
    told = await _with_token(call, job_document(job, call.parts.base_path))
    return _accepted(call, done.job.uuid, told, headers)


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
    key = _idempotency_key(call)
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
        done = await call.parts.writer.add(asked)
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
    headers = {"Cache-Control": "no-store", "Retry-After": RETRY_AFTER}
    if key and not any(one.is_new for one in done):
        headers["Idempotency-Replayed"] = "true"
    return JSONResponse({"jobs": told}, 202, headers)


async def requested(call: Call, told: dict[str, Any], key: str, *, whole: str = "") -> JobRequest:
    """Return what a body asks for, once it is known that its caller may ask for it.

    ``whole`` stands for the batch to which the body belongs.
    """
    hook, group = told["hook"], told.get("group", "")
    if is_own_hook(hook) or not call.caller.may_enqueue(hook, group):
        raise Problem("not-allowed", "this key does not add actions of this hook and group")
    key = _ticket_key(call, told, key)
    after = await _behind(call, told.get("after", ()))
    name, uuid = call.caller.key_name, new_uuid()
    scope = scoped_key(name, call.request.method, call.request.scope["path"], key) if key else ""
    return JobRequest(
        uuid=uuid,
        callback=await _callback(call, told, uuid),
        new=enqueue_of(told, after=after, key=scope),
        key_name=name,
        fingerprint=fingerprint_of([told, whole] if whole else told),
        traceparent=_traceparent(call),
    )


def _ticket_key(call: Call, told: dict[str, Any], key: str) -> str:
    """Return the idempotency key: for a ticket its own id. It allows nothing but its action."""
    ticket = call.caller.ticket
    if ticket is None:
        return key
    if key:
        raise Problem(
            "invalid", "a ticket is the idempotency key itself: leave this out", field=_KEY_HEADER
        )
    if more := sorted(told.keys() - {"hook", "args", "group"}):
        raise Problem("not-allowed", f"a ticket does not allow {', '.join(more)}", field=more[0])
    if not ticket.fits(told["hook"], told.get("group", ""), told.get("args", [])):
        raise Problem("not-allowed", "the ticket was made for other args", field="args")
    return ticket.id


async def _callback(call: Call, told: dict[str, Any], uuid: str) -> Enqueue | None:
    """Return what is to run when the job has ended; None where nothing is asked for."""
    if "callback" not in told:
        return None
    caller, parts = call.caller, call.parts
    made = callback_of(
        told["callback"],
        uuid=uuid,
        hosts=caller.callback_hosts,
        allow_private=parts.allow_private,
        may_enqueue=caller.may_enqueue,
    )
    if refusal := await parts.readers.ask(parts.refusal):
        raise Problem("conflict", refusal, field="callback")
    return made


def enqueue_of(told: dict[str, Any], *, after: Sequence[int] = (), key: str = "") -> Enqueue:
    """Return the action that a body means; raise a Problem for what does not go together."""
    at: Any = told.get("at")
    if "in" in told:
        if "at" in told:
            raise Problem("invalid", "give at or in, not both", field="in")
        at = _span(told["in"])
    elif at is not None:
        try:
            at = moment_of(at, SystemClock().now())
        except InputError as error:
            raise Problem("invalid", f"at: {error}", field="at") from None
    return Enqueue(
        hook=told["hook"],
        args=told.get("args", ()),
        at=at,
        interval=told.get("interval"),
        cron=told.get("cron"),
        tz=told.get("tz"),
        group=told.get("group", ""),
        priority=told.get("priority", 10),
        unique=told.get("unique", False),
        key=key,
        after=tuple(after),
    )


def _span(told: float | str) -> timedelta:
    try:
        if isinstance(told, str):
            return parse_duration(told, "in")
        span = timedelta(seconds=told)
    except (InputError, OverflowError, ValueError) as error:
        raise Problem("invalid", f"in: {error}".replace("in: in: ", "in: "), field="in") from None
    if span < timedelta(0):
        raise Problem("invalid", "in: not in the past", field="in")
    return span


async def _behind(call: Call, uuids: Sequence[str]) -> list[int]:
    """Return the actions of jobs that another is to wait for."""
    if not uuids:
        return []
    wanted = list(dict.fromkeys(uuids))
    seen = {j.record.uuid: j for j in await call.parts.readers.ask(lambda q: q.jobs(wanted))}
    for uuid in wanted:
        if uuid not in seen or not _is_own(call, seen[uuid].record.key_name):
            raise Problem("invalid", f"after: there is no job {uuid}", field="after")
    return [seen[uuid].action.id for uuid in wanted]


def _idempotency_key(call: Call) -> str:
    """Return the header's key; quoted, as the draft has it, and bare are the same."""
    told = call.header("idempotency-key")
    if not told and "idempotency-key" not in call.request.headers:
        return ""
    quoted = _QUOTED.fullmatch(told)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else told
    if not (quoted or _KEY.fullmatch(told)):
        raise Problem(
            "bad-request",
            "Idempotency-Key: 1 to 255 visible ASCII characters, quoted or bare",
            field=_KEY_HEADER,
        )
    return key


def _preferred_wait(call: Call) -> float | None:
    """Return how long the client prefers to wait for the end; None when it does not say."""
    told = ", ".join(call.request.headers.getlist("prefer"))
    waits = [found for part in told.split(",") if (found := _WAIT.fullmatch(part))]
    return min(LONGEST_WAIT_SECONDS, float(waits[0][1])) if waits else None


def _traceparent(call: Call) -> str:
    told = call.header("traceparent")
    return told if re.fullmatch(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", told) else ""


def _refused(refusal: str, **more: Any) -> Problem:
    if refusal == "key-reused":
        return Problem(
            "key-reused",
            "this Idempotency-Key was used with another body: take a new one",
            field=_KEY_HEADER,
            **more,
        )
    return Problem("not-unique", "wait until the other one has ended", **more)


# Looking


async def get(call: Call) -> Response:
    """Show one job; with ``wait`` when it has ended, or after so many seconds."""
    job = await found(call, call.path["job"])
    if wait := call.query.get("wait", 0):
        job = await call.parts.watching.ended(job, min(LONGEST_WAIT_SECONDS, wait))
        job = await found(call, call.path["job"])
    return _answer(call, job)


async def result(call: Call) -> Response:
    """Answer with what the handler returned, and nothing around it."""
    job = await found(call, call.path["job"])
    text = result_of(job)
    if text is None:
        is_over = job.status in ENDED
        detail = f"the job is {job.status}" + (" and has none" if is_over else ", and not over yet")
        raise Problem("no-result", detail, retry_after_seconds=None if is_over else 1.0)
    return Response(text, 200, {"Cache-Control": "no-store"}, "application/json")


async def cancel(call: Call) -> Response:
    """Cancel a job that has not started; one that is canceled already stays so."""
    job = await _there(call, call.path["job"])
    if not _is_own(call, job.record.key_name):
        raise Problem("not-found", "there is no such job")
    if job.status not in (*ENDED, "running"):
        action_id, job_id = job.action.id, job.record.uuid

        def ask(queue: JobQueue) -> None:
            with queue.noted(who=call.caller.name, verb="cancel", thing=f"job {job_id}"):
                queue.cancel([action_id])

        await call.parts.readers.ask(ask)
        job = await _there(call, call.path["job"])
    if job.status != "canceled":
        raise Problem("conflict", f"the job is {job.status}: it cannot be canceled any more")
    return _answer(call, job)


async def listed(call: Call) -> Response:
    """Show the caller's own jobs, the newest first, page by page."""
    limit, before = int(call.query.get("limit", 50)), str(call.query.get("before", ""))
    name = call.caller.key_name
    page, following = await call.parts.readers.ask(
        lambda q: q.jobs_of(name, before=before, limit=limit)
    )
    told = {"jobs": [job_document(job, call.parts.base_path) for job in page], "next": following}
    return JSONResponse(told, 200, {"Cache-Control": "no-store"})


async def found(call: Call, uuid: str) -> Job:
    """Return a job that the caller may see. Another's job looks as one that is not there."""
    job = await _there(call, uuid)
    if not _may_see(call, job):
        raise Problem("not-found", "there is no such job")
    return job


async def _there(call: Call, uuid: str) -> Job:
    try:
        job = await call.parts.readers.ask(lambda q: q.job(uuid))
    except JobGone as gone:
        if not (_is_own(call, gone.key_name) or call.caller.only_job == uuid):
            raise Problem("not-found", "there is no such job") from None
        raise
    if job is None:
        raise Problem("not-found", "there is no such job")
    return job


def _is_own(call: Call, key_name: str) -> bool:
    """Tell whether a job of this API key is the caller's own, or the caller is an operator."""
    return key_name == call.caller.key_name or call.caller.may("operate")


def _may_see(call: Call, job: Job) -> bool:
    return call.caller.may_see(job.record.key_name, job.record.uuid)


def _accepted(call: Call, uuid: str, told: dict[str, Any], more: Mapping[str, str]) -> Response:
    address = address_of(uuid, call.parts.base_path)
    return _json(told, 202, {"Location": address, "Retry-After": RETRY_AFTER, **more})


def _answer(
    call: Call, job: Job, more: Mapping[str, str] = NO_HEADERS, *, with_result: bool = False
) -> Response:
    return _json(job_document(job, call.parts.base_path, with_result=with_result), 200, more)


def _json(told: dict[str, Any], status: int, headers: Mapping[str, str]) -> Response:
    # In ASCII, half a surrogate pair that stands in a row is no trouble.
    return Response(
        json.dumps(told), status, {"Cache-Control": "no-store", **headers}, "application/json"
    )
