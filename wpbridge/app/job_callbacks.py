"""Run a callback: tell the client, or WordPress, that a job has ended.

What may be called is asked anew at each try: a host that was taken from the API key's list since
then gets nothing any more.
"""

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, Final

from wpbridge.access.keys import read_allowed
from wpbridge.codec import jsontext
from wpbridge.codec.callback_urls import CallbackUrl, callback_url, is_literal, refused
from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError, ExecutionError, InputError
from wpbridge.executors.callback import TRIES, Post, deliver
from wpbridge.executors.handlers import Context
from wpbridge.outcome import Snooze
from wpbridge.queue.facade import Queue
from wpbridge.queue.job_documents import job_document
from wpbridge.queue.jobs import ENDED, JobGone, JobQueue
from wpbridge.site.config import Settings
from wpbridge.store.opened import OpenStore

LOOK_AGAIN: Final = timedelta(minutes=1)
"""A job that was requeued before its callback went out is looked at again after this time."""
_TRY: Final = re.compile(rf"\btry [0-9]+ of {TRIES}: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """A job that has ended, as its client is told."""

    document: Mapping[str, Any]
    key_name: str
    """The API key that added it."""


def run(context: Context, settings: Settings) -> None:
    """Run one action of ``wpbridge_callback``.

    Raises:
        Retry, Snooze: it is to be tried again later.
        ExecutionError: it has failed, and is not tried again.
    """
    args = context.args if isinstance(context.args, Mapping) else {}
    uuid = args.get("job")
    if not (isinstance(uuid, str) and ("url" in args) != ("hook" in args)):
        raise ExecutionError("the args of this action are none that wpbridge has written")
    queue = context.queue
    if not isinstance(queue, Queue):
        raise ConfigError("a callback needs the queue of its site")
    jobs = JobQueue.beside(queue)
    ended = _ended(jobs, uuid)
    if "hook" in args:
        _enqueue(context, args, ended)
        return
    hosts = jobs.ask(lambda store: _hosts(store, ended.key_name))
    target = _target(args["url"], hosts, settings)
    secrets = jobs.ask(lambda store: store.signing.callback_secrets(ended.key_name))
    if not secrets:
        raise ExecutionError("the site has no signing secret: run `wpbridge init`")
    tries = sum(1 for entry in queue.logs(context.id) if _TRY.search(entry.message))
    deliver(
        Post(
            target=target,
            id=f"cb_{uuid}",
            body=jsontext.dumps(ended.document).encode(),
            secrets=secrets,
            attempt=tries + 1,
            may_be_private=settings.web_allow_private_callbacks or is_literal(hosts, target),
        )
    )


def _ended(jobs: JobQueue, uuid: str) -> _Ended:
    """Return the job. Raises Snooze while it has not ended."""
    try:
        job = jobs.job(uuid)
    except JobGone as gone:
        return _Ended(document={"job": uuid, "status": "gone"}, key_name=gone.key_name)
    if job is None:
        raise ExecutionError(f"there is no job {uuid} any more")
    if job.status not in ENDED:
        raise Snooze(LOOK_AGAIN, f"job {uuid} is {job.status}: it was requeued meanwhile")
    return _Ended(document=job_document(job, with_result=True), key_name=job.record.key_name)


def _enqueue(context: Context, args: Mapping[str, Any], ended: _Ended) -> None:
    """Add the action that tells WordPress; one, however often this is tried."""
    hook, group = str(args["hook"]), str(args.get("group", ""))
    uuid, status = ended.document["job"], ended.document["status"]
    try:
        told = [uuid, status, ended.document.get("result")]
        context.enqueue(hook, told, group=group, key="hook")
    except InputError as error:
        context.log(f"the result is left out: {error}")
        context.enqueue(hook, [uuid, status, None], group=group, key="hook")


def _target(url: object, hosts: Collection[str], settings: Settings) -> CallbackUrl:
    try:
        target = callback_url(url)
    except ValueError as error:
        raise ExecutionError(f"refused: {error}") from None
    if reason := refused(target, hosts, allow_private=settings.web_allow_private_callbacks):
        raise ExecutionError(f"refused: {reason}")
    return target


def _hosts(store: OpenStore, key_name: str) -> tuple[str, ...]:
    """Return the callback hosts of an API key as they are now; none for one that was revoked.

    A key that has expired still gets the callbacks of the jobs that it has added.
    """
    found = store.api_keys.find(key_name)
    if found is None or found.revoked_at is not None:
        return ()
    return read_allowed(found.rights).callback_hosts
