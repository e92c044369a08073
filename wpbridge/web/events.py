"""Tell a client what becomes of a job while it happens, as server-sent events.

Each event is the whole job, so who has missed some has lost nothing. The id of an event is made of
what it tells: a client that comes back with the id of the last one it got is sent only what is new.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import Response, StreamingResponse

from wpbridge.queue.jobs import ENDED, Job, JobGone
from wpbridge.web import jobs
from wpbridge.web.calls import Call
from wpbridge.web.documents import job_document

ALIVE_SECONDS: Final = 15.0
"""After so long without news a comment is sent, so that nobody takes the line for dead."""
LONGEST_SECONDS: Final = 3600.0
"""A stream ends after so long; the client comes back by itself."""


async def events(call: Call) -> Response:
    """Stream a job's changes until it has ended."""
    job = await jobs.found(call, call.path["job"])
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _told(call, job, call.header("last-event-id")), 200, headers, "text/event-stream"
    )


async def _told(call: Call, job: Job, last_id: str) -> AsyncIterator[bytes]:
    until = asyncio.get_running_loop().time() + LONGEST_SECONDS
    yield b"retry: 1000\n\n"
    if event_id(job) != last_id:
        yield _event(call, job)
    if job.status in ENDED:
        return
    watching = call.parts.watching
    async with watching.watch(job) as watcher:
        while not watching.is_ending and (left := until - asyncio.get_running_loop().time()) > 0:
            try:
                news = await watcher.next(min(ALIVE_SECONDS, left))
            except JobGone:
                yield b"event: gone\ndata: {}\n\n"
                return
            if news is None:
                if not watching.is_ending:
                    yield b": alive\n\n"
                continue
            yield _event(call, news)
            if news.status in ENDED:
                return


def event_id(job: Job) -> str:
    """Return the id of the event that tells this state of a job."""
    return hashlib.sha256(repr(job.sign).encode()).hexdigest()[:16]


def _event(call: Call, job: Job) -> bytes:
    told = json.dumps(job_document(job, call.parts.base_path, with_result=True))
    return f"id: {event_id(job)}\nevent: {job.status}\ndata: {told}\n\n".encode()
