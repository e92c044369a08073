"""Sum up the statistics of long times in the database: by hour, by hook, by group.

A busy site has some hundred thousand rows of minutes. Their numbers are summed by SQL. Buckets are
texts, which are summed here; those of an hour are kept in memory, and read again only when its
number of endings is another one.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from wpbridge.clock import bound_text, from_text
from wpbridge.store.database.connection import text
from wpbridge.store.database.texts import as_bytes, listed
from wpbridge.store.rows.groups import Groups
from wpbridge.store.rows.stats import HOURS_KEPT
from wpbridge.store.schema.charsets import to_bytes
from wpbridge.store.schema.charsets import to_text as from_bytes
from wpbridge.store.structure.tables import Tables
from wpbridge.telling.counting import ENDINGS
from wpbridge.telling.metrics import DURATION_BOUNDS, WAIT_BOUNDS

MOST_NAMES: Final = 1_000
"""So many hooks or groups with the most endings are told apart; the others are left out."""
_HOUR: Final = timedelta(hours=1)
_NEW: Final = timedelta(days=3)
"""What is older has a row for an hour, where newer times have one for each minute."""
_NEW_STEP: Final = timedelta(hours=12)
_OLD_STEP: Final = timedelta(days=15)
"""So much of newer and of older times is summed up by one statement, so that none takes long."""
_PIECE: Final = 6
"""The buckets of so many hours are read by one statement, so that none takes long."""
_PIECE_OF_PART: Final = 48
"""The same of one hook or group."""
_NONE: Final[Mapping[str, int]] = dict.fromkeys(ENDINGS, 0)


class HourSum(NamedTuple):
    """What ended within one hour."""

    begin: datetime
    endings: Mapping[str, int]
    """By outcome; all four are there."""
    duration_seconds: float
    """Of all of them together, as are the waits."""
    wait_seconds: float

    @property
    def actions(self) -> int:
        """Return how many ended."""
        return sum(self.endings.values())


class NameSum(NamedTuple):
    """What ended of one hook or group."""

    name: str
    """The hook, exactly; or the slug of the group, empty for no group."""
    endings: Mapping[str, int]
    duration_seconds: float
    wait_seconds: float

    @property
    def actions(self) -> int:
        """Return how many ended."""
        return sum(self.endings.values())


class Buckets(NamedTuple):
    """How many endings lie in each bucket, see :mod:`wpbridge.telling.metrics`."""

    durations: tuple[int, ...] = (0,) * (len(DURATION_BOUNDS) + 1)
    waits: tuple[int, ...] = (0,) * (len(WAIT_BOUNDS) + 1)

    def joined(self, other: "Buckets") -> "Buckets":
        """Return the sum of both."""
        return Buckets(
            tuple(a + b for a, b in zip(self.durations, other.durations, strict=True)),
            tuple(a + b for a, b in zip(self.waits, other.waits, strict=True)),
        )


class Part(NamedTuple):
    """Which rows of the statistics count: all, or those of one hook or one group."""

    hook: str | None = None
    group: str | None = None
    """The slug; empty for no group."""


ALL: Final = Part()


class SummedStats:
    """Sums of one site's statistics."""

    def __init__(self, tables: Tables, groups: Groups) -> None:
        names, dialect = tables.names, tables.dialect
        self._session = tables.session
        self._own = tables.own
        self._groups = groups
        self._table = names.stats
        self._exact = dialect.as_bytes("hook")
        outcomes = ", ".join(f"'{outcome}'" for outcome in ENDINGS)
        # The index by span and begin, or the primary key, which begins with both, finds the rows.
        self._rows_of = (
            f"FROM {names.stats} WHERE span IN ('minute', 'hour') AND begin_gmt >= :since"
            f" AND begin_gmt < :until AND outcome IN ({outcomes})"
        )
        self._known: dict[datetime, tuple[int, Buckets]] = {}
        """The buckets of each hour of all hooks, with the number of endings that they are of."""

    def is_kept(self) -> bool:
        """Return whether the site has statistics."""
        return self._own.has(self._table)

    def hours(self, since: datetime, until: datetime, part: Part = ALL) -> list[HourSum]:
        """Return the hours in which anything ended, the oldest first.

        The hour counts in which ``since`` lies, as far as it begins then or later.
        """
        where, values = self._where(part)
        rows = self._stepwise(
            "SELECT SUBSTR(begin_gmt, 1, 13) AS begin_hour, outcome, SUM(actions),"
            f" SUM(duration_seconds), SUM(wait_seconds) {self._rows_of}{where}"
            " GROUP BY begin_hour, outcome ORDER BY begin_hour",
            since,
            until,
            values,
        )
        found: dict[datetime, HourSum] = {}
        for told, outcome, actions, duration, wait in rows:
            begin = from_text(f"{told}:00:00")
            if begin is not None:
                known = found.get(begin, HourSum(begin, _NONE, 0.0, 0.0))
                found[begin] = HourSum(
                    begin,
                    {**known.endings, str(outcome): known.endings[outcome] + int(actions)},
                    known.duration_seconds + float(duration),
                    known.wait_seconds + float(wait),
                )
        return list(found.values())

    def hooks(self, since: datetime, until: datetime) -> list[NameSum]:
        """Return the hooks of which anything ended, those with the most endings first."""
        rows = self._named(self._exact, since, until)
        return _named((from_bytes(as_bytes(name)), *told) for name, *told in rows)

    def groups(self, since: datetime, until: datetime) -> list[NameSum]:
        """Return the groups of which anything ended, those with the most endings first."""
        rows = self._named("group_id", since, until)
        return _named((self._groups.slug(int(name)), *told) for name, *told in rows)

    def _named(self, column: str, since: datetime, until: datetime) -> Iterator[Sequence[Any]]:
        return self._stepwise(
            f"SELECT {column} AS name, outcome, SUM(actions) AS ended, SUM(duration_seconds),"
            f" SUM(wait_seconds) {self._rows_of} GROUP BY name, outcome ORDER BY ended DESC"
            f" LIMIT {MOST_NAMES * len(ENDINGS)}",
            since,
            until,
            {},
        )

    def buckets(self, hours: Sequence[HourSum], part: Part = ALL) -> dict[datetime, Buckets]:
        """Return the buckets of hours, by their beginning.

        Those of all hooks are kept in memory. They are read anew for an hour in which meanwhile
        more has ended.
        """
        if part != ALL:
            return self._read(hours, part)
        missing = [h for h in hours if self._known.get(h.begin, (-1,))[0] != h.actions]
        read = self._read(missing, part)
        self._known |= {h.begin: (h.actions, read.get(h.begin, Buckets())) for h in missing}
        if self._known:
            oldest = max(self._known) - HOURS_KEPT - timedelta(days=1)
            self._known = {at: told for at, told in self._known.items() if at > oldest}
        return {h.begin: self._known[h.begin][1] for h in hours}

    def _read(self, hours: Sequence[HourSum], part: Part) -> dict[datetime, Buckets]:
        where, values = self._where(part)
        found: dict[datetime, Buckets] = {}
        for since, until in _pieces(
            [hour.begin for hour in hours], _PIECE if part == ALL else _PIECE_OF_PART
        ):
            rows = self._rows(
                f"SELECT SUBSTR(begin_gmt, 1, 13), durations, waits {self._rows_of}{where}",
                since,
                until,
                values,
            )
            for told, durations, waits in rows:
                begin = from_text(f"{told}:00:00")
                buckets = Buckets(_counts(durations, DURATION_BOUNDS), _counts(waits, WAIT_BOUNDS))
                if begin is not None:
                    found[begin] = found[begin].joined(buckets) if begin in found else buckets
        return found

    def _where(self, part: Part) -> tuple[str, dict[str, object]]:
        """Return the condition of a part. A hook is compared exactly, as the table keeps it."""
        where, values = "", dict[str, object]()
        if part.hook is not None:
            where, values = f" AND {self._exact} = :hook", {"hook": exact_bytes(part.hook)}
        if part.group is not None:
            where += f" AND group_id IN {listed(self._groups.ids([part.group]) or [-1])}"
        return where, values

    def _stepwise(
        self, statement: str, since: datetime, until: datetime, values: Mapping[str, object]
    ) -> Iterator[Sequence[Any]]:
        """Yield the rows of one statement for each step of a time; the caller sums them up."""
        while since < until:
            is_new = since >= until - _NEW
            end = min(since + (_NEW_STEP if is_new else _OLD_STEP), until)
            if not is_new:
                end = min(end, until - _NEW)
            yield from self._rows(statement, since, end, values)
            since = end

    def _rows(
        self, statement: str, since: datetime, until: datetime, values: Mapping[str, object]
    ) -> Sequence[Sequence[Any]]:
        if not self.is_kept():
            return ()
        given = {**values, "since": bound_text(since), "until": bound_text(until)}
        return self._session.run(lambda c: c.execute(text(statement), given).fetchall())


def exact_bytes(name: str) -> bytes:
    """Return the bytes with which a name is compared; those of no name where it is no text."""
    try:
        return to_bytes(name)
    except UnicodeEncodeError:
        return b"\xff"


def _named(rows: Iterator[tuple[Any, ...]]) -> list[NameSum]:
    found: dict[str, NameSum] = {}
    for name, outcome, actions, duration, wait in rows:
        known = found.get(name, NameSum(name, _NONE, 0.0, 0.0))
        endings = {**known.endings, outcome: known.endings[outcome] + int(actions)}
        found[name] = NameSum(
            name,
            endings,
            known.duration_seconds + float(duration),
            known.wait_seconds + float(wait),
        )
    return sorted(found.values(), key=lambda one: (-one.actions, one.name))[:MOST_NAMES]


def _pieces(begins: Collection[datetime], most: int) -> Iterator[tuple[datetime, datetime]]:
    """Yield times of at most so many hours that hold these hours, and no other one."""
    first: datetime | None = None
    last: datetime | None = None
    for begin in sorted(begins):
        if first is None or last is None:
            first = begin
        elif begin - last > _HOUR or begin - first >= most * _HOUR:
            yield first, last + _HOUR
            first = begin
        last = begin
    if first is not None and last is not None:
        yield first, last + _HOUR


def _counts(told: object, bounds: Sequence[float]) -> tuple[int, ...]:
    """Return the buckets that a text holds; a damaged one counts as empty."""
    try:
        found = tuple(map(int, str(told).split(",")))
    except ValueError:
        found = ()
    return found if len(found) == len(bounds) + 1 else (0,) * (len(bounds) + 1)
