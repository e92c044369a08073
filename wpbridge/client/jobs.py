"""Jobs as a client sends them and gets them."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Final, Self
from urllib.parse import quote

from wpbridge.client.errors import BadAnswer
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError

ENDED: Final = frozenset({"complete", "failed", "canceled"})
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

Span = timedelta | float | str
"""How long: a timedelta, seconds, or a text such as ``10m``."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is."""

    fraction: float
    """From 0 to 1."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it was when the gateway answered."""

    id: str
    status: str
    """scheduled, waiting, pending, running, retrying, complete, failed or canceled."""
    action_id: int
    hook: str
    args: Any
    group: str
    created_at: datetime | None
    due_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    attempts: int
    progress: Progress | None
    document: Mapping[str, Any] = field(repr=False, compare=False)
    """What the gateway sent, whole."""

    @property
    def has_ended(self) -> bool:
        """Return whether it is complete, failed or canceled."""
        return self.status in ENDED

    @classmethod
    def of(cls, told: Any) -> Self:
        """Return the job of a document.

        Raises:
            BadAnswer: it is none.
        """
        try:
            progress = told.get("progress")
            return cls(
                id=str(told["job"]),
                status=str(told["status"]),
                action_id=int(told["action_id"]),
                hook=str(told["hook"]),
                args=told["args"],
                group=str(told["group"]),
                created_at=_moment(told.get("created_at")),
                due_at=_moment(told.get("due_at")),
                started_at=_moment(told.get("started_at")),
                ended_at=_moment(told.get("ended_at")),
                attempts=int(told["attempts"]),
                progress=progress and Progress(float(progress["fraction"]), str(progress["text"])),
                document=told,
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        raise BadAnswer("the answer is no job: check the address of the gateway")


def _moment(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)


def path_of(job: Job | str) -> str:
    """Return the path of a job.

    Raises:
        InputError: it is no job, and no id of one.
    """
    told: object = job.id if isinstance(job, Job) else job
    if not isinstance(told, str) or not _ID.fullmatch(told):
        raise InputError("job: a Job, or the id of one")
    return f"/v1/jobs/{quote(told, safe='')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be added; the gateway checks its fields."""

    hook: str
    args: Sequence[Any] | Mapping[str, Any] = ()
    at: datetime | float | str | None = None
    """When: an aware datetime, Unix seconds, or an ISO text."""
    in_: Span | None = None
    """How long from now."""
    cron: str | None = None
    interval: Span | None = None
    tz: str | None = None
    group: str = ""
    priority: int | None = None
    unique: bool = False
    after: Iterable[Job | str] = ()
    """Jobs that must have ended before it runs."""
    callback: Mapping[str, str] | None = None
    """``{"url": …}`` or ``{"hook": …}``: what is told when it has ended."""

    def body(self) -> bytes:
        """Return it as JSON in one line.

        Raises:
            InputError: JSON cannot tell it, or a date has no time zone.
        """
        if isinstance(self.args, str | bytes | bytearray):
            raise InputError("args: a list or a mapping, not a text")
        is_mapping = isinstance(self.args, Mapping)
        behind = [self.after] if isinstance(self.after, Job | str) else self.after
        told = {
            "hook": self.hook,
            "args": dict(self.args) if is_mapping else list(self.args),
            "at": _date(self.at),
            "in": _span(self.in_),
            "cron": self.cron,
            "interval": _span(self.interval),
            "tz": self.tz,
            "group": self.group or None,
            "priority": self.priority,
            "unique": self.unique or None,
            "after": [path_of(job).rpartition("/")[2] for job in behind] or None,
            "callback": self.callback and dict(self.callback),
        }
        kept = {name: value for name, value in told.items() if value is not None}
        try:
            return json.dumps(kept, allow_nan=False).encode("ascii")
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"JSON cannot tell this job: {error}") from None


def _date(told: datetime | float | str | None) -> float | str | None:
    if isinstance(told, datetime):
        if told.tzinfo is None:
            raise InputError("at: a date needs a time zone: datetime(…, tzinfo=UTC)")
        return told.isoformat()
    return told


def _span(told: Span | None) -> float | str | None:
    if not isinstance(told, timedelta):
        return told
    seconds = told.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds
