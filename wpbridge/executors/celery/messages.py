"""The messages that wake a Celery worker, as texts. Pure.

They are tasks in version 2 of Celery's message protocol, and JSON alone. A message names an action
and its fence, and holds nothing of the action: args stay in the table. There is never an ETA, since
a broker that redelivers what waits too long would run it twice.
"""

import json
import uuid
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from wpbridge.errors import InputError

RUN_TASK: Final = "wpbridge.run"
"""The task that runs an action of the table: its args are those of :class:`Wake`."""
_WORDS: Final = 4


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
        "argsrepr": "",
        "kwargsrepr": "",
        "ignore_result": True,
    }
    body = json.dumps([args, {}, {}], separators=(",", ":")).encode()
    return Message(queue, headers, {"correlation_id": task_id}, body, priority)


def wake_of(args: Any) -> Wake:
    """Read the args of a message. Raises InputError for what is none of ours."""
    is_ours = isinstance(args, list | tuple) and len(args) == _WORDS
    if is_ours:
        site, action_id, claim_id, relay = args
        texts = isinstance(site, str) and isinstance(relay, str)
        if texts and all(type(n) is int and 0 < n < 1 << 63 for n in (action_id, claim_id)):
            return Wake(site, action_id, claim_id, relay)
    raise InputError("a message that is no wake-up of wpbridge")
