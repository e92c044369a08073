"""Finds the action that stands for an event: it has its key, or recurs like the event."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from wpbridge.action import ActionId, Status
from wpbridge.codec import schedule
from wpbridge.codec.wp_cron import Event
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import Query, Record

Likeness: TypeAlias = tuple[str, bytes, int]
"""Hook, args and interval."""


def key_of(event: Event) -> str:
    """Return what names an event for ever. Each site has its own table of keys."""
    interval = b"%d" % event.interval()
    parts = (b"%d" % event.date, event.hook, event.key, event.args().encode(), interval)
    return "wp-cron:" + hashlib.sha256(b"\0".join(parts)).hexdigest()


def copy_key_of(event: Event) -> str:
    """Return what names an event of a file, whose action is only a copy.

    A recurring one has other dates whenever somebody looks.
    """
    interval = event.interval()
    date = b"%d" % (0 if interval else event.date)
    parts = (date, event.hook, event.key, event.args().encode(), b"%d" % interval)
    return "wp-cron-file:" + hashlib.sha256(b"\0".join(parts)).hexdigest()


def standing(
    parts: OpenStore, events: Sequence[Event], name: Callable[[Event], str] = key_of
) -> tuple[dict[Event, Record], list[ActionId]]:
    """Return the actions that stand for events: they wait, run, or have run.

    One that was canceled stands for nothing any more, nor does one that is gone, since the plugin
    deletes canceled ones at once; the ids of such, whose keys are to be forgotten, come second.
    """
    made = parts.keys.made([name(event) for event in events])
    ids = tuple(made.values())
    rows = {r.id: r for r in parts.reading.find(Query(ids=ids, limit=0))} if ids else {}
    found: dict[Event, Record] = {}
    for event in events:
        record = rows.get(made.get(name(event), ActionId(0)))
        if record and record.status != Status.CANCELED and is_of(record, event):
            found[event] = record
    stand = {record.id for record in found.values()}
    return found, [action_id for action_id in ids if action_id not in stand]


def copied(
    parts: OpenStore, events: Sequence[Event], there: Collection[Likeness]
) -> tuple[set[Event], list[ActionId]]:
    """Return the same of copies. A recurring one stands only while its chain goes on."""
    found, void = standing(parts, events, copy_key_of)
    over = {
        event: record
        for event, record in found.items()
        if event.interval() and not record.is_live and likeness(event) not in there
    }
    return found.keys() - over.keys(), [*void, *(record.id for record in over.values())]


def is_of(record: Record, event: Event) -> bool:
    """Tell whether a row has the event's very hook and args."""
    return (record.hook, record.args) == (event.name(), event.args().encode())


def likeness(event: Event) -> Likeness | None:
    """Return what the runs of a recurring event have in common. None for a single event."""
    interval = event.interval()
    return (event.name(), event.args().encode(), interval) if interval else None


def likeness_of(record: Record) -> Likeness | None:
    """Return the same of an action. It is compared as bytes; the database's comparison is wider."""
    found = schedule.recurring(record.schedule)
    if not isinstance(found, schedule.Interval):
        return None
    return record.hook, record.args, found.seconds


def repeating(hooks: tuple[str, ...], group: str) -> Query:
    """Make a query for pending and running actions.

    Only some of them repeat: :func:`likeness_of`.
    """
    live = (Status.PENDING, Status.IN_PROGRESS)
    return Query(hooks=hooks, groups=(group,), statuses=live, limit=0)
