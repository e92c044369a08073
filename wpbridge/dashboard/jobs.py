"""Jobs of the HTTP gateway over all API keys, the deliveries of their callbacks, and the keys."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from wpbridge.access.keys import read_allowed
from wpbridge.action import CALLBACK_HOOK, ActionId, Status
from wpbridge.codec import args as args_codec
from wpbridge.dataclass import dataclass
from wpbridge.errors import CodecError
from wpbridge.executors.callback import TRIES
from wpbridge.queue.jobs import Job, JobQueue
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import LogEntry, Record

Shown: TypeAlias = Literal["failed", "waiting", "complete", "canceled"]
"""Which deliveries are shown: waiting ones are pending or running."""
SHOWN: Final[Mapping[Shown, tuple[Status, ...]]] = {
    "failed": (Status.FAILED,),
    "waiting": (Status.IN_PROGRESS, Status.PENDING),
    "complete": (Status.COMPLETE,),
    "canceled": (Status.CANCELED,),
}
PAGE: Final = 50
"""So many jobs are on a page."""
DELIVERIES: Final = 50
"""So many of the newest deliveries of a status are shown."""
_MOST: Final = 255
"""So much of a text from args is shown."""
_FAILED: Final = "action failed via wpbridge: "
_POSTED: Final = ("; given up after ", "the receiver answers 410 ")
"""What the last failure says if something was posted; without it no try was made."""
_TRY: Final = re.compile(rf"\btry ([0-9]+) of {TRIES}: (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An action that tells a client that its job has ended."""

    action_id: ActionId
    status: str
    job: str
    """The job's id; empty where the args are none that wpbridge has written."""
    target: str
    """The host that is called, without path and query, which may hold a secret; or the hook."""
    tries: int
    answer: str
    """What the last try got, or why it was refused; empty before the first one."""
    answered_at: datetime | None
    next_at: datetime | None
    """When it is tried next; None for one that has ended."""
    is_waiting: bool
    """Its job has not ended yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySeen:
    """An API key, without its secret."""

    name: str
    rights: tuple[str, ...]
    hooks: tuple[str, ...]
    groups: tuple[str, ...]
    callback_hosts: tuple[str, ...]
    created_at: datetime | None
    used_at: datetime | None
    """When it was last used, to the minute; None for never."""
    expires_at: datetime | None
    state: Literal["valid", "expired", "revoked"]
    has_two: bool
    """Its secret was rotated, and the old one still counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsSeen:
    """What the page of jobs shows."""

    jobs: tuple[Job, ...]
    following: str | None
    """The id before which the next page begins; None at the end."""
    shown: Shown
    deliveries: tuple[Delivery, ...]
    has_more: bool
    """Whether there are more deliveries than are shown."""
    keys: tuple[KeySeen, ...]


def jobs_of(
    queue: JobQueue, *, before: str = "", key_name: str | None = None, shown: Shown = "failed"
) -> JobsSeen:
    """Return a page of jobs, the newest first, with deliveries and keys.

    Args:
        queue: of the site.
        before: only jobs that are older than this id.
        key_name: only those of this API key.
        shown: which deliveries.
    """
    page, following = queue.jobs_of(key_name, before=before, limit=PAGE)
    deliveries, has_more = queue.ask(lambda store: deliveries_of(store, shown))
    keys = queue.ask(keys_of)
    return JobsSeen(
        jobs=tuple(page),
        following=following,
        shown=shown,
        deliveries=deliveries,
        has_more=has_more,
        keys=keys,
    )


def deliveries_of(store: OpenStore, shown: Shown) -> tuple[tuple[Delivery, ...], bool]:
    """Return the newest deliveries in some statuses, and whether there are more."""
    ids: list[ActionId] = []
    has_more = False
    for status in SHOWN[shown]:
        found = store.newest.of_hook(CALLBACK_HOOK, status, most=DELIVERIES + 1)
        has_more = has_more or len(found) > DELIVERIES
        ids += found[:DELIVERIES]
    records = store.reading.existing(ids)
    entries: dict[ActionId, list[LogEntry]] = {}
    for entry in store.reading.logs(list(records)):
        entries.setdefault(entry.action_id, []).append(entry)
    told = [_delivery(records[i], entries.get(i, ())) for i in ids if i in records]
    return tuple(told[:DELIVERIES]), has_more or len(told) > DELIVERIES


def _delivery(record: Record, entries: Sequence[LogEntry]) -> Delivery:
    args = _args(record)
    missed = [(entry, found) for entry in entries if (found := _TRY.search(entry.message))]
    failed = [entry for entry in entries if entry.message.startswith(_FAILED)]
    answer, answered_at, tries = "", None, len(missed)
    if record.status == Status.FAILED and failed:
        answer, answered_at = failed[-1].message.removeprefix(_FAILED), failed[-1].at
        tries += any(words in answer for words in _POSTED)
    elif missed:
        answer, answered_at = missed[-1][1][2].strip(), missed[-1][0].at
    is_live = record.status in (Status.PENDING, Status.IN_PROGRESS)
    return Delivery(
        action_id=record.id,
        status=record.status,
        job=str(args.get("job", ""))[:_MOST],
        target=_target(args),
        tries=tries + (record.status == Status.COMPLETE),
        answer=answer,
        answered_at=answered_at,
        next_at=record.scheduled_at if is_live else None,
        is_waiting=is_live and not record.is_dated,
    )


def _args(record: Record) -> Mapping[str, object]:
    try:
        told = args_codec.decode(record.args).mapping
    except CodecError:
        return {}
    return {str(key): value for key, value in told.items()} if isinstance(told, dict) else {}


def _target(args: Mapping[str, object]) -> str:
    if "hook" in args:
        return str(args["hook"])[:_MOST]
    try:
        parts = urlsplit(str(args.get("url", "")))
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}"[:_MOST] if parts.hostname else ""


def keys_of(store: OpenStore) -> tuple[KeySeen, ...]:
    """Return the API keys by name, those that count first. No secret and no hash is among it."""
    found: list[KeySeen] = []
    for record in store.api_keys.all():
        allowed = read_allowed(record.rights)
        revoked, expired = record.revoked_at is not None, record.is_expired
        found.append(
            KeySeen(
                name=record.name,
                rights=allowed.rights,
                hooks=allowed.hooks,
                groups=allowed.groups,
                callback_hosts=allowed.callback_hosts,
                created_at=record.created_at,
                used_at=record.used_at,
                expires_at=record.expires_at,
                state="revoked" if revoked else "expired" if expired else "valid",
                has_two=len(record.hashes) > 1,
            )
        )
    return tuple(sorted(found, key=lambda one: (one.state != "valid", one.name)))
