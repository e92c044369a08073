"""Keep how many actions ended, minute by minute and later hour by hour, and how long they took.

A row counts the endings of one hook in one group with one outcome. Its buckets count durations and
waits up to a bound each, so that percentiles of many rows can be read from their sums. Rows of
other outcomes are samples (docs/explain/measuring.md), which are joined alike. Minutes are summed
up to hours when they are old, and hours are deleted at last.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from wpbridge.clock import bound_text, to_text
from wpbridge.dataclass import dataclass
from wpbridge.store.database.connection import Connection, Statement, text
from wpbridge.store.database.texts import date
from wpbridge.store.schema.tables import STATS
from wpbridge.store.structure.tables import Tables
from wpbridge.telling.metrics import DURATION_BOUNDS, WAIT_BOUNDS

Span: TypeAlias = Literal["minute", "hour"]
MINUTES_KEPT: Final = timedelta(days=2)
HOURS_KEPT: Final = timedelta(days=90)
_NO_DURATIONS: Final = (0,) * (len(DURATION_BOUNDS) + 1)
_NO_WAITS: Final = (0,) * (len(WAIT_BOUNDS) + 1)
_KEY: Final = ", ".join(STATS.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What ended of one hook in one group with one outcome, within one minute or hour."""

    begin: datetime
    """Aware UTC: the beginning of the minute or hour."""
    hook: str
    group_id: int
    outcome: str
    """``complete``, ``failed``, ``canceled`` or ``retried``; or the name of a sample."""
    actions: int = 1
    duration_seconds: float = 0.0
    """Of all of them together, as are the waits: from an action's date to its start."""
    wait_seconds: float = 0.0
    durations: tuple[int, ...] = _NO_DURATIONS
    """How many lie in each bucket, see :mod:`wpbridge.telling.metrics`."""
    waits: tuple[int, ...] = _NO_WAITS

    @property
    def place(self) -> tuple[str, str, int, str]:
        """Return what tells one row of a span from another."""
        return to_text(self.begin), self.hook, self.group_id, self.outcome

    def joined(self, other: "Count") -> "Count":
        """Return the sum of two counts of one place."""
        return replace(
            self,
            actions=self.actions + other.actions,
            duration_seconds=self.duration_seconds + other.duration_seconds,
            wait_seconds=self.wait_seconds + other.wait_seconds,
            durations=_sum(self.durations, other.durations),
            waits=_sum(self.waits, other.waits),
        )


class Stats:
    """The statistics of one site."""

    def __init__(self, tables: Tables) -> None:
        names, dialect = tables.names, tables.dialect
        self._session = tables.session
        self._own = tables.own
        self._table = table = names.stats
        changed = [name for name in STATS.given if name not in STATS.key]
        self._write = text(STATS.insert_into(table) + dialect.or_update(_KEY, *changed))
        columns = ", ".join(name for name in STATS.given if name != "span")
        self._of = text(
            f"SELECT {columns} FROM {table} WHERE span = :span AND begin_gmt >= :since"
            f" AND begin_gmt < :until ORDER BY begin_gmt{dialect.row_lock}"
        )
        self._read = text(self._of.text.removesuffix(dialect.row_lock))
        # One statement: while minutes become an hour, it sees either of them.
        self._between = text(
            f"SELECT {columns} FROM {table} WHERE span IN ('minute', 'hour')"
            " AND begin_gmt >= :since AND begin_gmt < :until ORDER BY begin_gmt"
        )
        self._of_hook = text(
            f"SELECT {columns} FROM {table} WHERE span = 'minute' AND begin_gmt >= :since"
            " AND begin_gmt < :until AND hook = :hook ORDER BY begin_gmt"
        )
        self._oldest = text(f"SELECT MIN(begin_gmt) FROM {table} WHERE span = :span")
        self._delete = text(
            f"DELETE FROM {table} WHERE span = :span AND begin_gmt >= :since AND begin_gmt < :until"
        )

    def is_kept(self) -> bool:
        """Return whether the site has the table."""
        return self._own.has(self._table)

    def add(self, counts: Iterable[Count]) -> None:
        """Add counts of minutes to what is there, in one transaction."""
        told = list(counts)
        if told and self.is_kept():
            self._session.transact(lambda c: self.add_on(c, told))

    def add_on(self, connection: Connection, counts: Iterable[Count]) -> None:
        """Do the same as :meth:`add` in a transaction of the caller."""
        new = _together(counts)
        if new and self.is_kept():
            since = min(count.begin for count in new)
            until = max(count.begin for count in new) + timedelta(seconds=1)
            self._add(connection, "minute", new, since, until)

    def _add(
        self,
        connection: Connection,
        span: Span,
        new: Sequence[Count],
        since: datetime,
        until: datetime,
    ) -> None:
        there = {count.place: count for count in self._rows(connection, span, since, until)}
        for count in new:
            known = there.get(count.place)
            told = count if known is None else known.joined(count)
            connection.execute(self._write, {"span": span, **_values(told)})

    def of(self, span: Span, since: datetime, until: datetime) -> list[Count]:
        """Return the counts of a time in rows of one span, the oldest first."""
        return self._found(self._read, since, until, span=span)

    def between(self, since: datetime, until: datetime) -> list[Count]:
        """Return the counts of minutes and hours that begin within a time, the oldest first.

        Each ending is in one of them, if the time begins with an hour: an old hour has one row, a
        newer one has a row for each minute.
        """
        return self._found(self._between, since, until)

    def of_hook(self, hook: str, since: datetime, until: datetime) -> list[Count]:
        """Return the counts of one hook's minutes within a time, the oldest first."""
        return self._found(self._of_hook, since, until, hook=hook)

    def _found(
        self, statement: Statement, since: datetime, until: datetime, **more: object
    ) -> list[Count]:
        if not self.is_kept():
            return []
        values = {"since": bound_text(since), "until": bound_text(until), **more}
        return self._session.run(
            lambda c: [_count(row) for row in c.execute(statement, values).fetchall()]
        )

    def first(self) -> datetime | None:
        """Return the earliest minute or hour that is kept; None where nothing is."""
        if not self.is_kept():
            return None
        minute = self._session.run(lambda c: self._first(c, "minute"))
        found = (minute, self._session.run(lambda c: self._first(c, "hour")))
        return min((at for at in found if at is not None), default=None)

    def roll_up(self, now: datetime) -> bool:
        """Sum up the oldest hour of old minutes, and delete the oldest old hours.

        It is one short transaction. Returns whether there is more to do.
        """
        if not self.is_kept():
            return False
        return self._session.transact(lambda c: self._roll_up(c, now))

    def _roll_up(self, connection: Connection, now: datetime) -> bool:
        begin = self._first(connection, "minute")
        if begin is not None and begin < (now - MINUTES_KEPT).replace(minute=0, second=0):
            hour = begin.replace(minute=0, second=0, microsecond=0)
            end = hour + timedelta(hours=1)
            minutes = self._rows(connection, "minute", hour, end)
            summed = _together(replace(count, begin=hour) for count in minutes)
            self._add(connection, "hour", summed, hour, end)
            self._remove(connection, "minute", hour, end)
            return True
        begin = self._first(connection, "hour")
        if begin is not None and begin < now - HOURS_KEPT:
            self._remove(connection, "hour", begin, begin + timedelta(hours=1))
            return True
        return False

    def _first(self, connection: Connection, span: Span) -> datetime | None:
        return date(connection.execute(self._oldest, {"span": span}).scalar())

    def _remove(self, connection: Connection, span: Span, since: datetime, until: datetime) -> None:
        values = {"span": span, "since": to_text(since), "until": to_text(until)}
        connection.execute(self._delete, values)

    def _rows(
        self, connection: Connection, span: Span, since: datetime, until: datetime
    ) -> list[Count]:
        values = {"span": span, "since": to_text(since), "until": to_text(until)}
        return [_count(row) for row in connection.execute(self._of, values).fetchall()]


def _together(counts: Iterable[Count]) -> list[Count]:
    """Return one count for each place, in the order in which all writers lock them."""
    found: dict[tuple[str, str, int, str], Count] = {}
    for count in counts:
        known = found.get(count.place)
        found[count.place] = count if known is None else known.joined(count)
    return [found[place] for place in sorted(found)]


def _values(count: Count) -> dict[str, object]:
    return {
        "begin_gmt": to_text(count.begin),
        "hook": count.hook,
        "group_id": count.group_id,
        "outcome": count.outcome,
        "actions": count.actions,
        "duration_seconds": count.duration_seconds,
        "wait_seconds": count.wait_seconds,
        "durations": ",".join(map(str, count.durations)),
        "waits": ",".join(map(str, count.waits)),
    }


def _count(row: Sequence[object]) -> Count:
    begin, hook, group, outcome, actions, duration, wait, durations, waits = row
    at = date(begin)
    assert at is not None
    return Count(
        begin=at,
        hook=str(hook),
        group_id=int(str(group)),
        outcome=str(outcome),
        actions=int(str(actions)),
        duration_seconds=float(str(duration)),
        wait_seconds=float(str(wait)),
        durations=_buckets(durations, _NO_DURATIONS),
        waits=_buckets(waits, _NO_WAITS),
    )


def _buckets(told: object, none: tuple[int, ...]) -> tuple[int, ...]:
    """Return the buckets that a text holds; a damaged one counts as empty."""
    parts = str(told).split(",")
    good = len(parts) == len(none) and all(p.isascii() and p.isdigit() for p in parts)
    return tuple(map(int, parts)) if good else none


def _sum(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True))
