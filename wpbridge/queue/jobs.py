"""Jobs: actions that a client adds over HTTP, follows under an id of their own, and may cancel.

The gateway stands on this alone: docs/explain/gateway.md.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any, Final, Literal, Self, TypeAlias, TypeVar

from wpbridge.action import OWN_HOOKS, ActionId, NewAction, Status, is_own_hook
from wpbridge.codec.keys import new_uuid
from wpbridge.dataclass import dataclass
from wpbridge.errors import ActionNotFound, InputError
from wpbridge.queue.enqueue import Enqueue, led_by, request_of
from wpbridge.queue.facade import Queue
from wpbridge.queue.noting import QueueNoting
from wpbridge.store.opened import OpenStore
from wpbridge.store.queueing.jobs import NewJob
from wpbridge.store.records import JobRecord, Record, Sign, StoredResult
from wpbridge.store.rows.idempotency import hashed
from wpbridge.telling import traces

T = TypeVar("T")
JobStatus: TypeAlias = Literal[
    "scheduled", "waiting", "pending", "running", "retrying", "complete", "failed", "canceled"
]
ENDED: Final[frozenset[str]] = frozenset({"complete", "failed", "canceled"})
"""The statuses that a job keeps."""
_OF_STATUS: Final[Mapping[str, JobStatus]] = {
    Status.IN_PROGRESS: "running",
    Status.COMPLETE: "complete",
    Status.FAILED: "failed",
    Status.CANCELED: "canceled",
}


class JobGone(ActionNotFound):
    """The job was there, and its action has been deleted since."""

    def __init__(self, message: str | None = None, *, key_name: str = "") -> None:
        """Take the message, and the API key that added the job."""
        super().__init__(message)
        self.key_name = key_name


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What a client asks for."""

    new: Enqueue
    """The action. Its ``key`` is the whole idempotency key, made by :func:`scoped_key`."""
    key_name: str
    """The API key for which it is added."""
    fingerprint: str = ""
    """What the idempotency key stands for (:func:`fingerprint_of`)."""
    traceparent: str = ""
    callback: Enqueue | None = None
    """What runs when the job has ended; its args come from :attr:`uuid` and nothing else."""
    uuid: str = field(default_factory=new_uuid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What became of a request."""

    job: JobRecord | None
    """The job, old or new; None when it was refused."""
    is_new: bool = False
    action: NewAction | None = None
    """What was added, where it is new."""
    status: JobStatus = "pending"
    """Of a new one, at this moment."""
    refusal: Literal["", "key-reused", "not-unique"] = ""
    """Why it was refused: its idempotency key stands for another body, or its like is pending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as its client sees it."""

    record: JobRecord
    action: Record
    status: JobStatus
    started_at: datetime | None
    ended_at: datetime | None
    stored: StoredResult | None

    @property
    def sign(self) -> "Sign":
        """Return what tells one state of the job from another (:meth:`JobQueue.signs`)."""
        stored = self.stored
        return Sign(
            action_id=self.action.id,
            status=self.action.status,
            attempts=self.action.attempts,
            is_dated=self.action.is_dated,
            progress=None if stored is None else stored.progress,
            progress_text="" if stored is None else stored.progress_text,
        )


def scoped_key(*parts: str) -> str:
    """Return the idempotency key of a client's key in its scope: who, method and path."""
    return json.dumps(["http", *parts])


def fingerprint_of(body: Any) -> str:
    """Return the SHA-256 of a body's canonical JSON: the order of names does not matter."""
    told = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def status_of(action: Record, *, is_waiting: bool, now: datetime) -> JobStatus:
    """Return a job's status by its action."""
    if action.status != Status.PENDING:
        return _OF_STATUS.get(action.status, "failed")
    if is_waiting or not action.is_dated:
        return "waiting"
    if action.attempts:
        return "retrying"
    is_later = action.scheduled_at is not None and action.scheduled_at > now
    return "scheduled" if is_later else "pending"


class JobQueue(QueueNoting, Queue):
    """A queue that also adds jobs and looks at them."""

    @classmethod
    def beside(cls, queue: Queue) -> Self:
        """Return a queue of jobs on the connection of a queue. The threads of both take turns."""
        return cls(
            lambda: queue.store,
            clock=queue._clock,  # noqa: SLF001 - one more view of the same queue
            close_store=False,
            lock=queue._lock,  # noqa: SLF001
            open_through=queue._through,  # noqa: SLF001
        )

    def ask(self, work: Callable[[OpenStore], T]) -> T:
        """Return what a function finds in the store, which no other thread uses meanwhile."""
        with self._turn() as parts:
            return work(parts)

    def prepared(self, asked: JobRequest) -> NewJob:
        """Return what the store is asked to add for a request.

        Raises:
            InputError: something is wrong with it, or the tables cannot hold it.
            ActionNotFound: it is to wait for an action that is not there.
        """
        now = self._now()
        request = request_of(asked.new, now)
        if is_own_hook(asked.new.hook):
            raise InputError(f"hook: hooks that begin with {OWN_HOOKS} are wpbridge's own")
        if asked.callback is not None and (asked.new.cron or asked.new.interval):
            raise InputError("callback: a recurring job has no end that it could tell")
        callback = None if asked.callback is None else request_of(asked.callback, now)
        if callback is not None and traces.are_made():
            callback = led_by(callback, asked.traceparent)
        with self._turn() as parts:
            if request.after:
                self._known(request.after)
            parts.adding.check(request)
            if callback is not None:
                parts.adding.check(callback)
        return NewJob(
            uuid=asked.uuid,
            request=request,
            key_name=asked.key_name,
            fingerprint=asked.fingerprint,
            traceparent=asked.traceparent,
            callback=None if callback is None else callback.action,
        )

    def submit(self, jobs: Sequence[NewJob], *, whole: bool = False) -> list[Submitted]:
        """Add prepared jobs in one transaction, and return what became of each, in their order.

        A request whose idempotency key was used before gets the job that the key has made. Daemons
        of this host are woken when something is due.

        Raises:
            NotWhole: with ``whole``, one of them was refused. Nothing is added then.
            StoreError: the database refused, or does not answer.
        """
        now = self._now()
        with self._turn() as parts:
            added = parts.jobs.add(jobs, by=self._unique_by, now=now, whole=whole)
            if any(job.request.action.scheduled_at <= now for job in jobs):
                self.wake()
            replayed = [
                job.request.key
                for job, done in zip(jobs, added, strict=True)
                if not done.is_new and job.request.key
            ]
            known = parts.jobs.of_keys(replayed)
        found: list[Submitted] = []
        for job, done in zip(jobs, added, strict=True):
            if done.is_new and done.id is not None:
                found.append(
                    Submitted(
                        job=_made(job, done.id, now),
                        is_new=True,
                        action=job.request.action,
                        status=_first_status(job, now),
                    )
                )
            elif done.id is None:
                found.append(Submitted(job=None, refusal="not-unique"))
            else:
                found.append(_replayed(job, known.get(job.request.key)))
        return found

    def job(self, uuid: str) -> Job | None:
        """Return a job; None when there never was one of this id.

        Raises:
            JobGone: its action has been deleted.
        """
        with self._turn() as parts:
            record = parts.jobs.find(uuid)
            if record is None:
                return None
            seen = self._seen(parts, [record])
        if not seen:
            name = record.key_name
            raise JobGone(f"the action of job {uuid} has been deleted", key_name=name)
        return seen[0]

    def jobs(self, uuids: Sequence[str]) -> list[Job]:
        """Return those of the jobs that there are, and whose action is there."""
        with self._turn() as parts:
            return self._seen(parts, parts.jobs.find_all(uuids))

    def due(self, cap: int) -> int:
        """Return how many actions are due and not held, counted up to a cap."""
        now = self._now()
        with self._turn() as parts:
            held = parts.due.held(now, parts.held.hooks())
            return parts.due.count(now, cap=cap, held=held)

    def signs(self, uuids: Sequence[str]) -> dict[str, Sign]:
        """Return the signs of jobs by one statement; without those whose action is gone."""
        with self._turn() as parts:
            return parts.jobs.signs(uuids)

    def jobs_of(
        self, key_name: str | None, *, before: str = "", limit: int = 50
    ) -> tuple[list[Job], str | None]:
        """Return a page of the jobs of an API key, the newest first, and where the next begins.

        With None it is a page of the jobs of all keys. Jobs whose action is gone are left out, so a
        page may have fewer than ``limit``.
        """
        with self._turn() as parts:
            if key_name is None:
                records = parts.jobs.newest(before=before, most=limit + 1)
            else:
                records = parts.jobs.of_key_name(key_name, before=before, most=limit + 1)
            page = records[:limit]
            following = page[-1].uuid if len(records) > limit else None
            return self._seen(parts, page), following

    def _seen(self, parts: OpenStore, records: Sequence[JobRecord]) -> list[Job]:
        ids = [record.action_id for record in records]
        actions = parts.reading.existing(ids)
        waiting = {wait.action_id for wait in parts.reading.waits_of(ids)}
        results = parts.results.of(ids)
        started: dict[ActionId, datetime] = {}
        for entry in parts.reading.logs(ids) if ids else ():
            # PHP's runners write it too, each with its own context behind it.
            if entry.message.startswith("action started") and entry.at is not None:
                started[entry.action_id] = entry.at
        now = self._now()
        found: list[Job] = []
        for record in records:
            action = actions.get(record.action_id)
            if action is None:
                continue
            status = status_of(action, is_waiting=action.id in waiting, now=now)
            found.append(
                Job(
                    record=record,
                    action=action,
                    status=status,
                    started_at=started.get(action.id),
                    ended_at=action.last_attempt_at if status in ENDED else None,
                    stored=results.get(action.id),
                )
            )
        return found


def _made(job: NewJob, action_id: ActionId, now: datetime) -> JobRecord:
    return JobRecord(
        uuid=job.uuid,
        action_id=action_id,
        key_name=job.key_name,
        key_hash=hashed(job.request.key) if job.request.key else "",
        fingerprint=job.fingerprint,
        traceparent=job.traceparent,
        created_at=now.replace(microsecond=0),
    )


def _first_status(job: NewJob, now: datetime) -> JobStatus:
    if job.request.after:
        return "waiting"
    return "scheduled" if job.request.action.scheduled_at > now else "pending"


def _replayed(job: NewJob, known: JobRecord | None) -> Submitted:
    """Return the job that an idempotency key has made, if it stands for the same body."""
    if known is None or known.fingerprint != job.fingerprint:
        return Submitted(job=None, refusal="key-reused")
    return Submitted(job=known)
