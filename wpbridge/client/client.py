"""The client: a method for each thing that can be done with jobs."""

import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Self

from wpbridge.client.errors import BadAnswer
from wpbridge.client.events import Event, events
from wpbridge.client.jobs import Job, NewJob, Span, path_of
from wpbridge.client.wire import Wire
from wpbridge.errors import InputError

LONGEST_POLL_SECONDS: Final = 30
MOST_IN_BATCH: Final = 1_000
_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")


class Client:
    """Adds jobs through a gateway, and follows them to their end.

    Use it as a context manager, or call :meth:`close`. One thread at a time may use it.
    """

    def __init__(
        self, url: str, key: str, *, timeout: float = 10.0, patience: float = 60.0
    ) -> None:
        """Take the address of a gateway, with its base path, and a key or token.

        Args:
            url: such as ``https://example.com/queue``.
            key: what ``wpbridge keys add`` or ``wpbridge keys token`` printed.
            timeout: the seconds after which one try is given up.
            patience: the seconds in which a request that may do better is tried again. After that
                its last failure is raised.

        Raises:
            InputError: one of them cannot be used.
        """
        self._wire = Wire(url, key, timeout=timeout, patience=patience)

    def __repr__(self) -> str:
        return f"<Client {self._wire.url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    def enqueue(
        self,
        hook: str,
        args: Sequence[Any] | Mapping[str, Any] = (),
        *,
        at: datetime | float | str | None = None,
        in_: Span | None = None,
        cron: str | None = None,
        interval: Span | None = None,
        tz: str | None = None,
        group: str = "",
        priority: int | None = None,
        unique: bool = False,
        after: Iterable[Job | str] = (),
        callback: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Job:
        """Add a job, and return it once it is committed.

        The fields are those of :class:`NewJob`. The idempotency key is made here, and stays the
        same over all tries, so the job is added once whatever happens on the way. Give ``key``
        where the call itself may be repeated, such as the number of an order.

        Raises:
            InputError: something cannot be sent.
            Problem, BadAnswer, Unreachable: the gateway did not add it. After Unreachable nobody
                knows whether it did: call again with the same ``key``.
        """
        new = NewJob(
            hook=hook,
            args=args,
            at=at,
            in_=in_,
            cron=cron,
            interval=interval,
            tz=tz,
            group=group,
            priority=priority,
            unique=unique,
            after=after,
            callback=callback,
        )
        headers = {"Content-Type": "application/json", **self._idempotency(key)}
        return Job.of(self._wire.ask("POST", "/v1/jobs", body=new.body(), headers=headers))

    def enqueue_many(self, jobs: Iterable[NewJob], *, key: str | None = None) -> list[Job]:
        """Add up to 1,000 jobs in one transaction: all of them, or none.

        Raises:
            InputError: there are more, or something cannot be sent.
            Problem, BadAnswer, Unreachable: as :meth:`enqueue`. ``more["line"]`` of a Problem is
                the number of the job that is meant, from 1.
        """
        lines = [job.body() for job in jobs]
        if len(lines) > MOST_IN_BATCH:
            raise InputError(f"jobs: at most {MOST_IN_BATCH:,} in one transaction: call it twice")
        if not lines:
            return []
        headers = {"Content-Type": "application/x-ndjson", **self._idempotency(key)}
        told = self._wire.ask("POST", "/v1/jobs:batch", body=b"\n".join(lines), headers=headers)
        return _jobs(told)

    def get(self, job: Job | str) -> Job:
        """Return a job as it is now. A Problem of the kind ``gone``: its action was deleted."""
        return Job.of(self._wire.ask("GET", path_of(job)))

    def wait(self, job: Job | str, seconds: float) -> Job:
        """Return a job as soon as it has ended, or as it is after so many seconds."""
        until = time.monotonic() + seconds
        while True:
            left = max(0.0, until - time.monotonic())
            poll = min(left, LONGEST_POLL_SECONDS)
            told = self._wire.ask(
                "GET",
                path_of(job),
                params={"wait": f"{poll:.3f}"},
                timeout=poll + self._wire.timeout,
                patience=min(self._wire.patience, left),
            )
            found = Job.of(told)
            if found.has_ended or time.monotonic() >= until:
                return found

    def result(self, job: Job | str) -> Any:
        """Return what the job's handler returned.

        Raises:
            Problem: of the kind ``no-result`` while there is none.
        """
        return self._wire.ask("GET", f"{path_of(job)}/result")

    def events(self, job: Job | str) -> Iterator[Event]:
        """Yield the job as it is, then each change, until it has ended.

        A stream that is cut is taken up where it was.

        Raises:
            Problem: also of the kind ``gone``, when the action is deleted meanwhile.
        """
        return events(self._wire, f"{path_of(job)}/events")

    def cancel(self, job: Job | str) -> Job:
        """Cancel a job that has not started.

        Raises:
            Problem: of the kind ``conflict`` when it runs or has ended.
        """
        return Job.of(self._wire.ask("DELETE", path_of(job)))

    def jobs(self, *, page: int = 50) -> Iterator[Job]:
        """Yield the jobs of this key, the newest first; ``page`` of them with each request."""
        params: dict[str, Any] = {"limit": page}
        while True:
            told = self._wire.ask("GET", "/v1/jobs", params=params)
            yield from _jobs(told)
            if not told.get("next"):
                return
            params["before"] = str(told["next"])

    def _idempotency(self, key: str | None) -> dict[str, str]:
        """Return the header with the idempotency key. A ticket is one itself, and needs none."""
        if not self._wire.is_token:
            return {"Idempotency-Key": _quoted(key)}
        if key is not None:
            raise InputError("key: a ticket is the idempotency key itself; leave this out")
        return {}


def _jobs(told: Any) -> list[Job]:
    if not (isinstance(told, dict) and isinstance(told.get("jobs"), list)):
        raise BadAnswer("the answer is no list of jobs: check the address of the gateway")
    return [Job.of(one) for one in told["jobs"]]


def _quoted(key: str | None) -> str:
    """Return an idempotency key as its header has it: a new one when none is given."""
    told = str(uuid.uuid4()) if key is None else key
    if not _KEY.fullmatch(told):
        raise InputError("key: 1 to 255 visible ASCII characters")
    return '"' + told.replace("\\", "\\\\").replace('"', '\\"') + '"'
