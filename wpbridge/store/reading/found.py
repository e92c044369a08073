"""Turn rows into what people look at: records of actions, and counts by group."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from wpbridge.store.database.texts import date
from wpbridge.store.records import Tally


class RecordRow(NamedTuple):
    """The columns that are read of an action, as the driver gives them."""

    action_id: object
    hook: object
    status: object
    scheduled_date_gmt: object
    priority: object
    args: object
    extended_args: object
    schedule: object
    group_id: object
    attempts: object
    last_attempt_gmt: object
    claim_id: object


class LogRow(NamedTuple):
    """The columns that are read of a log row, as the driver gives them."""

    log_id: object
    action_id: object
    message: object
    log_date_gmt: object


def tallies(rows: Iterable[Sequence[object]]) -> list[Tally]:
    """Make counts of rows with name, status, count, due, oldest due and held."""
    found: dict[str, Tally] = {}
    for name, status, count, due, oldest, held in rows:
        one = Tally(
            name=str(name),
            statuses={str(status): whole(count)},
            due=whole(due),
            oldest_due=date(oldest),
            held=whole(held),
        )
        # Each status may come with another spelling of one name.
        key = one.name.casefold()
        found[key] = joined(found[key], one) if key in found else one
    return list(found.values())


def joined(one: Tally, other: Tally) -> Tally:
    """Add the counts of two groups of actions; the name is the first one's."""
    counts = {
        status: one.statuses.get(status, 0) + other.statuses.get(status, 0)
        for status in (*one.statuses, *other.statuses)
    }
    dues = [d for d in (one.oldest_due, other.oldest_due) if d is not None]
    return replace(
        one,
        statuses=counts,
        due=one.due + other.due,
        oldest_due=min(dues, default=None),
        held=one.held + other.held,
    )


def whole(value: object) -> int:
    """Read a number column; 0 for NULL."""
    return int(str(value or 0))
