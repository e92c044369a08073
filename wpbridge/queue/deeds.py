"""The functions of the table of changes: each takes a queue, actions, and the fields' values."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from wpbridge.action import OWN_HOOKS, is_own_hook
from wpbridge.codec import schedule
from wpbridge.errors import InputError
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.jobs import JobQueue
from wpbridge.queue.workers import set_wish
from wpbridge.store.queueing.adding import Added
from wpbridge.store.records import Change, Pause, Query
from wpbridge.store.running.wishes import Wish

Told: TypeAlias = Mapping[str, Any]
"""The values of the fields that were given, as :func:`wpbridge.queue.fields.read` returns them."""
_Which: TypeAlias = Iterable[int] | Query


def run(queue: JobQueue, which: _Which, told: Told) -> Change:
    """Make pending actions due now, and wake the daemons of this host."""
    del told
    return queue.make_due(which)


def cancel(queue: JobQueue, which: _Which, told: Told) -> Change:
    """Cancel pending actions."""
    return queue.cancel(which, reason=told.get("reason", ""))


def requeue(queue: JobQueue, which: _Which, told: Told) -> Change:
    """Add a new action for each that has ended."""
    return queue.requeue(which, at=told.get("at"), again=told.get("again", False))


def reschedule(queue: JobQueue, which: _Which, told: Told) -> Change:
    """Move pending actions to another date."""
    return queue.reschedule(which, at=told["at"])


def priority(queue: JobQueue, which: _Which, told: Told) -> Change:
    """Give pending actions another priority."""
    return queue.set_priority(which, told["priority"])


def delete(queue: JobQueue, which: _Which, told: Told) -> Change:
    """Delete actions and their logs."""
    del told
    return queue.delete(which)


def edit_schedule(queue: JobQueue, which: _Which, told: Told) -> Change:
    """Give one recurring action another recurrence.

    With an interval and no date it keeps the date of its next run.

    Raises:
        InputError: neither an interval nor a cron expression is given, or the action does not
            recur.
    """
    if ("interval" in told) == ("cron" in told):
        raise InputError("cron: give either an interval or a cron expression")
    if told.get("interval") is not None and not told["interval"]:
        raise InputError("interval: a second at least")
    [one] = () if isinstance(which, Query) else which
    record = queue.get(one)
    if schedule.recurring(record.schedule) is None:
        raise InputError(f"action {one} does not recur: reschedule moves it")
    # A new interval counts from the next run on, while a cron expression says itself when that is.
    kept = {"at": record.scheduled_at} if "interval" in told and record.scheduled_at else {}
    return queue.reschedule([one], **{**kept, **told})


def pause(queue: JobQueue, which: _Which, told: Told) -> Change:
    """Pause one hook, one group, or everything."""
    del which
    scope = _scope(told)
    found = queue.pause(**scope, until=told.get("for"), reason=told.get("reason", ""))
    return _of_pauses(found)


def resume(queue: JobQueue, which: _Which, told: Told) -> Change:
    """End the pause of one hook, one group, or all pauses."""
    del which
    return _of_pauses(queue.resume(**_scope(told)))


def enqueue(queue: JobQueue, which: _Which, told: Told) -> Change:
    """Add an action.

    Raises:
        InputError: something is wrong with it, or it is unique and its like is pending or running.
    """
    del which
    if is_own_hook(told["hook"]):
        raise InputError(f"hook: hooks that begin with {OWN_HOOKS} are wpbridge's own")
    made = queue.enqueue(Enqueue(**told))
    if made is None:
        raise InputError("unique: an action like it is pending or running")
    return Change(ids=(made,))


def quiet_worker(queue: JobQueue, which: _Which, told: Told) -> Change:
    """Have one runner claim nothing more, until it is woken."""
    return _wished(queue, which, told, "quiet")


def wake_worker(queue: JobQueue, which: _Which, told: Told) -> Change:
    """Let one runner claim again."""
    return _wished(queue, which, told, "")


def stop_worker(queue: JobQueue, which: _Which, told: Told) -> Change:
    """Have one runner end after what runs."""
    return _wished(queue, which, told, "stop")


def _wished(queue: JobQueue, which: _Which, told: Told, wish: Wish) -> Change:
    del which
    is_new = set_wish(queue, told["runner"], wish)
    return Change(things=(f"runner {told['runner']}",) if is_new else ())


def added(result: object) -> int:
    """Count the new actions that a transaction has added; other transactions make groups."""
    rows = result if isinstance(result, list) else []
    return sum(1 for one in rows if isinstance(one, Added) and one.is_new)


def scope_of(told: Told) -> str:
    """Return what is paused, resumed, added or told something, as the audit table names it."""
    if told.get("everything"):
        return "everything"
    return ", ".join(f"{kind} {told[kind]}" for kind in ("hook", "group", "runner") if kind in told)


def _scope(told: Told) -> dict[str, Any]:
    """Return what is meant. Everything must be meant in words."""
    everything = bool(told.get("everything"))
    if ("hook" in told) + ("group" in told) + everything != 1:
        raise InputError("give one of hook, group, and everything")
    return {
        "hooks": [told["hook"]] if "hook" in told else [],
        "groups": [told["group"]] if "group" in told else [],
        "everything": everything,
    }


def _of_pauses(pauses: Iterable[Pause]) -> Change:
    return Change(
        things=tuple(
            "everything" if pause.kind == "all" else f"{pause.kind} {pause.name}"
            for pause in pauses
        )
    )
