"""Answer requests about jobs that are there: look at them, wait for them, cancel them."""

from collections.abc import Mapping

from starlette.responses import Response

from wpbridge.queue.jobs import ENDED, Job, JobGone, JobQueue
from wpbridge.web.calls import Call
from wpbridge.web.documents import NO_HEADERS, job_document, json_answer, result_of
from wpbridge.web.problems import Problem


async def get(call: Call) -> Response:
    """Show one job; with ``wait`` when it has ended, or after so many seconds."""
    job = await found(call, call.path["job"])
    if wait := call.query.get("wait", 0):
        job = await call.parts.watching.ended(job, wait)
        job = await found(call, call.path["job"])
    return job_answer(call, job)


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
    job = await there(call, call.path["job"])
    if not is_own(call, job.record.key_name):
        raise Problem("not-found", "there is no such job")
    if job.status not in (*ENDED, "running"):
        action_id, job_id = job.action.id, job.record.uuid

        def ask(queue: JobQueue) -> None:
            with queue.noted(
                who=call.caller.name, verb="cancel", thing=f"job {job_id}", address=call.address
            ):
                queue.cancel([action_id])

        await call.parts.readers.ask(ask)
        job = await there(call, call.path["job"])
    if job.status != "canceled":
        raise Problem("conflict", f"the job is {job.status}: it cannot be canceled any more")
    return job_answer(call, job)


async def listed(call: Call) -> Response:
    """Show the caller's own jobs, the newest first, page by page."""
    limit, before = int(call.query.get("limit", 50)), str(call.query.get("before", ""))
    name = call.caller.key_name
    page, following = await call.parts.readers.ask(
        lambda q: q.jobs_of(name, before=before, limit=limit)
    )
    told = {"jobs": [job_document(job, call.parts.base_path) for job in page], "next": following}
    return json_answer(told)


async def found(call: Call, uuid: str) -> Job:
    """Return a job that the caller may see. Another's job looks as one that is not there."""
    job = await there(call, uuid)
    if not _may_see(call, job):
        raise Problem("not-found", "there is no such job")
    return job


async def there(call: Call, uuid: str) -> Job:
    """Return a job, whoever asks; raise a Problem or JobGone where none is there any more."""
    try:
        job = await call.parts.readers.ask(lambda q: q.job(uuid))
    except JobGone as gone:
        if not (is_own(call, gone.key_name) or call.caller.only_job == uuid):
            raise Problem("not-found", "there is no such job") from None
        raise
    if job is None:
        raise Problem("not-found", "there is no such job")
    return job


def is_own(call: Call, key_name: str) -> bool:
    """Tell whether a job of this API key is the caller's own, or the caller is an operator."""
    return key_name == call.caller.key_name or call.caller.may("operate")


def _may_see(call: Call, job: Job) -> bool:
    return call.caller.may_see(job.record.key_name, job.record.uuid)


def job_answer(
    call: Call, job: Job, more: Mapping[str, str] = NO_HEADERS, *, with_result: bool = False
) -> Response:
    """Answer 200 with a job as its document."""
    return json_answer(job_document(job, call.parts.base_path, with_result=with_result), 200, more)
