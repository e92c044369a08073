"""The messages to Celery's workers, as texts. Pure.

They are tasks in version 2 of Celery's message protocol, and JSON alone. A wake-up names an action
and its fence, and holds nothing of the action: args stay in the table. An action that is enqueued
through the broker is in its message as a whole. There is never an ETA, since a broker that
redelivers what waits too long would run it twice.
"""

import json
import uuid
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from wpbridge.action import Action, ActionId, ClaimId, Status
from wpbridge.clock import from_timestamp
from wpbridge.codec import schedule, traceparents
from wpbridge.errors import InputError

RUN_TASK: Final = "wpbridge.run"
"""The task that runs an action of the table: its args are those of :class:`Wake`."""
THROUGH_TASK: Final = "wpbridge.through"
"""The task that runs an action which only its message holds, as :class:`WholeAction` says."""
_LATEST: Final = 253_402_300_799
"""The last second of the year 9999."""
_NOT_SHOWN: Final = "..."


class Message(NamedTuple):
    """One message, ready to be sent."""

    queue: str
    headers: Mapping[str, Any]
    properties: Mapping[str, Any]
    body: bytes
    priority: int | None
    """From 0 to 9, the most urgent; None for none."""


class Wake(NamedTuple):
    """What a message says: which action waits in which claim of which relay."""

    site: str
    action_id: int
    claim_id: int
    relay: str
    """The relay's name; see :mod:`wpbridge.store.running.fences`."""


def wake(told: Wake, *, queue: str, hook: str, priority: int | None = None) -> Message:
    """Return the message that wakes a worker. Flower shows the hook as the task's name."""
    return task(RUN_TASK, [*told], queue=queue, hook=hook, priority=priority)


def task(name: str, args: list[Any], *, queue: str, hook: str, priority: int | None) -> Message:
    """Return the message of a task."""
    task_id = uuid.uuid4().hex
    headers = {
        "lang": "py",
        "task": name,
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "group": None,
        "shadow": hook,
        "eta": None,
        "expires": None,
        "retries": 0,
        "timelimit": [None, None],
        # Celery writes this into its log. Where it is empty, it writes the args.
        "argsrepr": _NOT_SHOWN,
        "kwargsrepr": _NOT_SHOWN,
        "ignore_result": True,
    }
    body = json.dumps([args, {}, {}], separators=(",", ":")).encode()
    return Message(queue, headers, {"correlation_id": task_id}, body, priority)


class WholeAction(NamedTuple):
    """An action that is enqueued through the broker."""

    site: str
    key: str
    """Its idempotency key, a UUID of version 7."""
    hook: str
    args: str
    """Canonical JSON, as a row has it."""
    group: str
    priority: int
    enqueued_at: int
    """Unix seconds."""
    traceparent: str


def whole(told: WholeAction, *, queue: str, priority: int | None = None) -> Message:
    """Return the message that holds an action as a whole."""
    return task(THROUGH_TASK, [*told], queue=queue, hook=told.hook, priority=priority)


def wake_of(args: Any) -> Wake:
    """Read the args of a wake-up. Raises InputError for what is none of ours."""
    return Wake(*_read(args, Wake))


def whole_of(args: Any) -> WholeAction:
    """Read the args of a message that holds an action. Raises InputError as :func:`wake_of`."""
    told = WholeAction(*_read(args, WholeAction))
    try:
        f"{told.key}{told.hook}{told.args}{told.group}".encode()
    except UnicodeEncodeError:
        raise InputError("a message that is none of wpbridge's: half a surrogate pair") from None
    if told.enqueued_at > _LATEST:
        raise InputError("a message that is none of wpbridge's: a date that no row holds")
    return told


def action_of(told: WholeAction, number: int) -> Action:
    """Return the action that a message holds.

    It has no row, so the ``number``, which lies below 0, stands for its id and for its claim's.
    """
    return Action(
        id=ActionId(number),
        hook=told.hook,
        status=Status.PENDING,
        scheduled_at=from_timestamp(told.enqueued_at),
        priority=told.priority,
        args=told.args.encode(),
        schedule=schedule.encode(schedule.Async()),
        group_id=0,
        group=told.group,
        attempts=0,
        claim_id=ClaimId(number),
        traceparent=traceparents.checked(told.traceparent),
        make_key=lambda: told.key,
    )


def _read(args: Any, kind: type[NamedTuple]) -> list[Any]:
    wanted = list(kind.__annotations__.values())
    if not isinstance(args, list | tuple) or len(args) != len(wanted):
        raise InputError(f"a message that is none of wpbridge's: not {len(wanted)} args")
    for value, one in zip(args, wanted, strict=True):
        if type(value) is not one or (one is int and not 0 <= value < 1 << 63):
            raise InputError("a message that is none of wpbridge's: an arg of another kind")
    return [*args]
