"""Whole rows, thousands at a time: read as they are, and added as they are, in any status.

Reading goes by windows of ids and holds one window. What is added has a key each, in our own
table and in the same transaction, so that adding the same again, or going on after a crash, adds
nothing twice.
"""

import bisect
import itertools
import sys
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from sqlalchemy import BindParameter, Connection, bindparam, text

from wpbridge.action import ActionId, Status
from wpbridge.clock import ZERO_DATE, to_text
from wpbridge.errors import Contention, Unfit
from wpbridge.store.database.portions import SMALL, portions, room, text_size
from wpbridge.store.database.texts import listed
from wpbridge.store.reading.reading import Reading
from wpbridge.store.records import Query
from wpbridge.store.rows.groups import Groups
from wpbridge.store.rows.inserts import Inserts
from wpbridge.store.schema.layout import TableNames
from wpbridge.store.schema.text_columns import Place
from wpbridge.store.structure.tables import Tables

WINDOW: Final = 1_000
"""Rows read at a time, at most."""
WINDOW_BYTES: Final = 8 << 20
"""Rows read at a time have so many bytes together, or one row alone has more."""
BATCH: Final = 2_000
"""Rows added in one transaction."""
DEFAULT_PRIORITY: Final = 10
_TRIES: Final = 5
_PLAIN: Final[Mapping[str | None, str]] = {
    None: "NULL",
    ZERO_DATE: f"'{ZERO_DATE}'",
    **{s.value: f"'{s.value}'" for s in Status},
}
"""What most rows have in some of their columns, as SQL."""
ORIGIN: Final = 48
"""Digits of a key that are the same for all that comes from one queue."""


@dataclass(slots=True, kw_only=True)
class WholeRow:
    """An action with all that belongs to it, as the tables hold it; dates are texts, or NULL.

    Nobody changes one; frozen ones take thrice as long to make, and there are millions.
    """

    id: int
    """Where it was read."""
    hook: str
    status: str
    scheduled: str | None
    scheduled_local: str | None
    args: str | None
    """The columns, long texts with their md5 in this one."""
    extended_args: str | None
    schedule: str | None
    group: str
    """The slug."""
    priority: int = DEFAULT_PRIORITY
    attempts: int = 0
    last_attempt: str | None = ZERO_DATE
    last_attempt_local: str | None = ZERO_DATE
    is_claimed: bool = False
    """When it was read; what is added never is."""
    logs: tuple[tuple[str, str | None, str | None], ...] = ()
    """Message, date, local date."""
    zone: tuple[str, str] | None = None
    """Cron expression and time zone, for one that is not read in UTC."""
    waits: tuple[tuple[int, str], ...] = ()
    """Ids that it waits for, where it was read, and what a failure of theirs means."""


@dataclass(slots=True, kw_only=True)
class Fate:
    """What became of a row that was to be added."""

    id: ActionId | None
    """Its id here; None when it was refused as not unique, or would be added by a trial."""
    is_new: bool
    why: str = ""
    """Why it cannot be added at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An action that was added before, under a key."""

    id: ActionId
    hook: str | None
    args: str | None
    """As they are; None where the action is gone."""

    def why_not(self, row: WholeRow) -> str:
        """Why it is not the same as ``row``, whose key it has; empty if it is."""
        if self.hook is None or (self.hook, self.args) == (row.hook, row.args):
            return ""
        return (
            f"id {row.id} was another action's (hook {self.hook}) when it was added before: give"
            " the queue it comes from another name, with --origin"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """An action that was added under a key, as it is now."""

    key: str
    id: ActionId
    status: str
    is_held: bool
    """Running, or claimed."""
    mark: str
    """See :func:`mark_of`."""
    is_waited_for: bool
    """By an action that does not come from the same queue."""


def mark_of(
    status: str, scheduled: str | None, attempts: int, last_attempt: str | None, logs: int
) -> str:
    """Of what running, ending and rescheduling leave in an action; a claim alone leaves nothing."""
    tried = "" if status == "pending" else last_attempt
    return f"{zlib.crc32(f'{status} {scheduled} {attempts} {tried} {logs}'.encode()):08x}"


@dataclass(slots=True)
class Spans:
    """Ids in few numbers: rows of one statement have consecutive ones."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    """First and last."""

    def add(self, number: int) -> None:
        """One more, above all others."""
        if self.spans and self.spans[-1][1] + 1 == number:
            self.spans[-1] = (self.spans[-1][0], number)
        else:
            self.spans.append((number, number))

    def __contains__(self, number: int) -> bool:
        place = bisect.bisect(self.spans, number, key=lambda span: span[0]) - 1
        return place >= 0 and number <= self.spans[place][1]


class _Raced(Exception):
    """Some of the rows are known, or another process has added them: rolled back."""


class Bulk:
    """Reads and adds whole rows of one site."""

    def __init__(self, tables: Tables, reading: Reading, groups: Groups, inserts: Inserts) -> None:
        names, layout, dialect = tables.names, tables.layout, tables.dialect
        self._session = tables.session
        self._names = names
        self._layout = layout
        self._dialect = dialect
        self._reading = reading
        self._groups = groups
        self._inserts = inserts
        self._own = tables.own
        self._group_ids: dict[str, int] = {}
        """Of slugs written before: rows of groups are never deleted."""
        self._room = room(dialect.most_bytes)
        self._meets_known = True
        """Whether the last rows had some that were added before; then the next are looked up."""
        self._mark = mark = "%s" if dialect.name == "mysql" else "?"
        priority = "a.priority" if layout.has_priority else str(DEFAULT_PRIORITY)
        extended = "a.extended_args" if layout.has_extended_args else "NULL"
        self._columns = (
            "a.action_id, a.hook, a.status, a.scheduled_date_gmt, a.scheduled_date_local, a.args,"
            f" {extended}, a.schedule, a.group_id, {priority}, a.attempts, a.last_attempt_gmt,"
            " a.last_attempt_local, a.claim_id"
        )
        lengths = [f"COALESCE(LENGTH({one}), 0)" for one in ("a.args", extended, "a.schedule")]
        self._length = " + ".join(lengths)
        numbers = ["claim_id", "group_id", "attempts"]
        numbers += ["priority"] if layout.has_priority else []
        texts = ["hook", "scheduled_date_gmt", "scheduled_date_local", "args", "schedule"]
        often = ["status", "last_attempt_gmt", "last_attempt_local"]
        often += ["extended_args"] if layout.has_extended_args else []
        columns = ", ".join([*numbers, *texts, *often])
        self._insert = f"INSERT INTO {names.actions} ({columns}) VALUES "
        self._texts = ",".join([mark] * len(texts))
        ids: BindParameter[int] = bindparam("ids", expanding=True)
        self._logs = text(
            f"SELECT action_id, message, log_date_gmt, log_date_local FROM {names.logs}"
            " WHERE action_id IN :ids ORDER BY log_id"
        ).bindparams(ids)
        self._log_lengths = text(
            f"SELECT action_id, SUM(LENGTH(message)) FROM {names.logs}"
            " WHERE action_id IN :ids GROUP BY action_id"
        ).bindparams(ids)
        self._zones = text(
            f"SELECT action_id, expression, zone FROM {names.zones} WHERE action_id IN :ids"
        ).bindparams(ids)
        self._waits = text(
            f"SELECT action_id, after_id, on_failed FROM {names.waits} WHERE action_id IN :ids"
            " ORDER BY action_id, after_id"
        ).bindparams(ids)
        self._known = (
            "SELECT k.key_hash, k.action_id, a.hook, a.args"
            f" FROM {names.keys} k LEFT JOIN {names.actions} a ON a.action_id = k.action_id"
            " WHERE k.key_hash IN "
        )
        is_mysql = dialect.name == "mysql"
        self._lock_groups = text(
            f"SELECT group_id FROM {names.groups} WHERE group_id IN :ids ORDER BY group_id"
            f"{' FOR UPDATE' if is_mysql else ''}"
        ).bindparams(ids)
        self._same = text(
            f"SELECT 1 FROM {names.actions} WHERE hook = :hook AND args = :args"
            " AND status IN ('pending', 'in-progress') AND group_id = :group_id LIMIT 1"
        )
        self._keep = (
            f"{dialect.insert_ignore} INTO {names.keys} (key_hash, action_id, created_gmt) VALUES "
        )
        self._wait = text(
            f"{dialect.insert_ignore} INTO {names.waits} (action_id, after_id, on_failed)"
            f" SELECT action_id, :after, :on_failed FROM {names.actions} WHERE action_id = :id"
            # What was let go already has a date, and waits no more.
            " AND status = 'pending' AND scheduled_date_gmt IS NULL"
        )
        self._statuses = text(
            f"SELECT status, COUNT(*) FROM {names.actions}"
            " WHERE action_id BETWEEN :first AND :last GROUP BY status"
        )

    # Reading

    def identity(self) -> str:
        """Which queue this is, told by the server itself: the same by socket, network or name."""
        if self._dialect.name != "mysql":
            file = self._session.run(
                lambda c: c.execute(text("SELECT file FROM pragma_database_list")).scalar()
            )
            return f"sqlite:{file or ''}:{self._names.prefix}"
        told = self._session.run(
            lambda c: c.execute(text("SELECT @@hostname, @@port, DATABASE()")).one()
        )
        return f"mysql:{told[0]}:{told[1]}:{told[2]}:{self._names.prefix}"

    def highest(self) -> int:
        """The highest id there is."""
        statement = text(f"SELECT MAX(action_id) FROM {self._names.actions}")
        return int(self._session.run(lambda c: c.execute(statement).scalar()) or 0)

    def read(
        self, query: Query, *, logs: bool = True, size: int = WINDOW
    ) -> Iterator[list[WholeRow]]:
        """The actions meant, by id, a window at a time: each as it is at that moment.

        What is added meanwhile is left out, so that it comes to an end. How large the rows are is
        asked first: a schedule alone may have 4 GiB.
        """
        where, given = self._reading.where(query)
        if where is None:
            return
        lists: list[BindParameter[object]] = [
            bindparam(name, expanding=True) for name, v in given.items() if isinstance(v, list)
        ]
        joint = f"{where} AND" if where else " WHERE"
        wanted = (
            f" FROM {self._names.actions} a{joint} a.action_id > :last_id"
            " AND a.action_id <= :end_id ORDER BY a.action_id LIMIT :window"
        )
        sizes = text(f"SELECT a.action_id, {self._length}{wanted}").bindparams(*lists)
        statement = text(f"SELECT {self._columns}{wanted}").bindparams(*lists)
        end, last = self.highest(), 0
        while True:
            values = {**given, "last_id": last, "end_id": end, "window": size}
            found = self._session.run(lambda c: self._sizes(c, sizes, values, logs=logs))  # noqa: B023 - run at once
            for part in portions(found, most=size, room=WINDOW_BYTES, size_of=lambda one: one[1]):
                span = {**values, "last_id": last, "end_id": part[-1][0]}
                window = self._session.run(lambda c: self._window(c, statement, span, logs=logs))  # noqa: B023 - run at once
                last = part[-1][0]
                if window:
                    yield window
            if len(found) < size:
                return

    def _sizes(
        self, connection: Connection, statement: object, values: Mapping[str, object], *, logs: bool
    ) -> list[tuple[int, int]]:
        """Ids, and about how many characters the row of each has, with its logs."""
        found = connection.execute(statement, values).fetchall()  # type: ignore[call-overload]
        ids = [int(row[0]) for row in found]
        told: dict[int, int] = {}
        if logs and ids:
            lengths = connection.execute(self._log_lengths, {"ids": ids})
            told = {int(i): int(length or 0) for i, length in lengths}
        return [(i, int(row[1] or 0) + told.get(i, 0)) for i, row in zip(ids, found, strict=True)]

    def in_windows(self, ids: Sequence[ActionId]) -> Iterator[list[ActionId]]:
        """Ids in their order, as many at a time as their rows may be read at once."""
        statement = text(
            f"SELECT a.action_id, {self._length} FROM {self._names.actions} a"
            " WHERE a.action_id IN :ids"
        ).bindparams(bindparam("ids", expanding=True))
        if ids:
            sizes = dict(
                self._session.run(lambda c: self._sizes(c, statement, {"ids": ids}, logs=True))
            )
            yield from portions(
                ids, most=len(ids), room=WINDOW_BYTES, size_of=lambda one: sizes.get(one, 0)
            )

    def on(self, connection: Connection, ids: Sequence[ActionId]) -> list[WholeRow]:
        """These actions with all that belongs to them, read in the caller's transaction."""
        if not ids:
            return []
        statement = text(
            f"SELECT {self._columns} FROM {self._names.actions} a WHERE a.action_id IN :ids"
            " ORDER BY a.action_id"
        ).bindparams(bindparam("ids", expanding=True))
        return self._window(connection, statement, {"ids": ids}, logs=True)

    def _window(
        self, connection: Connection, statement: object, values: Mapping[str, object], *, logs: bool
    ) -> list[WholeRow]:
        rows = connection.execute(statement, values).fetchall()  # type: ignore[call-overload]
        ids = [int(row[0]) for row in rows]
        told = self._logs_of(connection, ids) if logs and ids else {}
        zones, waits = self._own_of(connection, ids) if ids else ({}, {})
        slug = self._groups.slug_on
        return [
            WholeRow(
                id=row[0],
                hook=_text(row[1]) or "",
                status=str(row[2]),
                scheduled=_text(row[3]),
                scheduled_local=_text(row[4]),
                args=_text(row[5]),
                extended_args=_text(row[6]),
                schedule=_text(row[7]),
                group=slug(connection, int(row[8])),
                priority=int(row[9]),
                attempts=int(row[10]),
                last_attempt=_text(row[11]),
                last_attempt_local=_text(row[12]),
                is_claimed=bool(row[13]),
                logs=tuple(told.get(row[0], ())),
                zone=zones.get(row[0]),
                waits=tuple(waits.get(row[0], ())),
            )
            for row in rows
        ]

    def _logs_of(
        self, connection: Connection, ids: Sequence[int]
    ) -> Mapping[int, list[tuple[str, str | None, str | None]]]:
        found: defaultdict[int, list[tuple[str, str | None, str | None]]] = defaultdict(list)
        for i, message, gmt, local in connection.execute(self._logs, {"ids": ids}):
            found[i].append((_text(message) or "", _text(gmt), _text(local)))
        return found

    def _own_of(
        self, connection: Connection, ids: Sequence[int]
    ) -> tuple[Mapping[int, tuple[str, str]], Mapping[int, list[tuple[int, str]]]]:
        zones: dict[int, tuple[str, str]] = {}
        waits: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
        if self._own.has(self._names.zones):
            for i, expression, zone in connection.execute(self._zones, {"ids": ids}):
                zones[i] = (str(expression), str(zone))
        if self._own.has(self._names.waits):
            for i, after, on_failed in connection.execute(self._waits, {"ids": ids}):
                waits[i].append((int(after), str(on_failed)))
        return zones, waits

    # Adding

    def known(self, keys: Sequence[str]) -> dict[str, Known]:
        """The actions that keys (64 hexadecimal digits) have made here before."""
        if not self._own.has(self._names.keys):
            return {}
        return self._session.run(lambda c: self._known_on(c, keys))

    def same(self, row: WholeRow) -> bool:
        """Whether a pending or running action here has the same hook, args and group."""
        group_id = self._groups.first(row.group)
        if group_id is None or self.why_not([row])[0]:
            return False
        return self._session.run(lambda c: self._is_same(c, row, group_id))

    def why_not(self, rows: Sequence[WholeRow]) -> list[str]:
        """Of each row why the tables cannot hold it; empty if they can."""
        # What is ASCII can only be too long, which the server says.
        if all(_is_ascii(row) for row in rows):
            return [""] * len(rows)
        return self._session.run(lambda c: [self.fault(c, row) for row in rows])

    def fault(self, connection: Connection, row: WholeRow) -> str:
        """The same of one row, in the caller's transaction."""
        texts, names = self._layout.texts, self._names
        if fault := texts.fault(connection, _texts_of(names, row)):
            return fault
        # Longer log rows are cut, and bytes that are no text are written out, here as everywhere.
        place = (names.logs, "message")
        messages = [texts.written_out(log[0]) for log in row.logs]
        logs = (texts.why_not(connection, place, told, any_length=True) for told in messages)
        return next((f"log: {why}" for why in logs if why), "")

    def add(
        self, keyed: Sequence[tuple[str, WholeRow]], *, unique: bool, now: datetime
    ) -> list[Fate]:
        """Add rows in one transaction, each under its key; a crash leaves all of them or none.

        A row that the tables cannot hold is refused, and the others are added without it, in
        parts; what the database would cut or convert it refuses.

        Args:
            keyed: with keys as in :meth:`known`, none twice; :data:`BATCH` at most is wise.
            unique: refuse pending ones that are there already.
            now: for the keys.

        Raises:
            Contention: another process adds the same rows.
        """
        faults = self.why_not([row for _, row in keyed])
        if any(faults):
            fit = [one for one, why in zip(keyed, faults, strict=True) if not why]
            added = iter(self.add(fit, unique=unique, now=now) if fit else ())
            return [Fate(id=None, is_new=False, why=why) if why else next(added) for why in faults]
        try:
            return self._add_all(keyed, unique=unique, now=now)
        except Unfit as error:
            if len(keyed) == 1:
                return [Fate(id=None, is_new=False, why=str(error))]
            half = len(keyed) // 2
            return [
                fate
                for part in (keyed[:half], keyed[half:])
                for fate in self.add(part, unique=unique, now=now)
            ]

    def _add_all(
        self, keyed: Sequence[tuple[str, WholeRow]], *, unique: bool, now: datetime
    ) -> list[Fate]:
        names = self._names
        has_zones = any(row.zone for _, row in keyed)
        self._own.ensure(names.keys, *([names.zones] if has_zones else []))
        for slug in {row.group for _, row in keyed} - self._group_ids.keys():
            self._group_ids[slug] = self._groups.ensure(slug)
        known_before: list[Collection[str]] = []

        def add(connection: Connection) -> list[Fate]:
            with self._dialect.strict(connection):
                return self._add(connection, keyed, unique, now, known_before)

        for _ in range(_TRIES):
            try:
                return self._session.transact(add)
            except _Raced:
                self._meets_known = True
        raise Contention("another process adds the same actions; try again")

    def _add(
        self,
        connection: Connection,
        keyed: Sequence[tuple[str, WholeRow]],
        unique: bool,  # noqa: FBT001 - the caller's
        now: datetime,
        known_before: list[Collection[str]],
    ) -> list[Fate]:
        groups = self._group_ids
        # Of a COMMIT that was never answered: what was not known before it was made by us.
        was_ours = self._session.in_doubt
        if unique:
            # Before anything is read: what others have added meanwhile is to be seen.
            ids = sorted({groups[row.group] for _, row in keyed})
            connection.execute(self._lock_groups, {"ids": ids}).close()
        known: dict[str, Known] = {}
        # Else the keys themselves refuse what is known, and all of this is done again.
        if self._meets_known or was_ours or unique:
            known = self._known_on(connection, [key for key, _ in keyed])
            self._meets_known = bool(known)
        fresh = [(key, row) for key, row in keyed if key not in known]
        if unique:
            fresh = self._not_there(connection, fresh, groups)
        made = dict(
            zip(
                (key for key, _ in fresh),
                self.insert_rows(connection, [row for _, row in fresh], groups),
                strict=True,
            )
        )
        if fresh:
            self._keep_keys(connection, made, now)
            self._inserts.raw_logs(
                connection, ((made[key], *log) for key, row in fresh for log in row.logs)
            )
            self._keep_zones(connection, [(made[key], row) for key, row in fresh], groups)
        was_known = known_before[-1] if known_before and was_ours else known
        known_before.append(known)
        return [
            Fate(id=one.id, is_new=key not in was_known, why=one.why_not(row))
            if (one := known.get(key)) is not None
            else Fate(id=made.get(key), is_new=key in made)
            for key, row in keyed
        ]

    def _known_on(self, connection: Connection, keys: Sequence[str]) -> dict[str, Known]:
        known: dict[str, Known] = {}
        for part in self._by_key(keys):
            # Hexadecimal digits only: nothing in them has to be quoted.
            wanted = ",".join([f"'{key}'" for key in part])
            for row in connection.exec_driver_sql(f"{self._known}({wanted})"):
                known[str(row[0])] = Known(
                    id=ActionId(int(row[1])), hook=_text(row[2]), args=_text(row[3])
                )
        return known

    def _by_key(self, keys: Iterable[str]) -> Iterator[list[str]]:
        """Keys in portions that a statement may name, each with an id and a date."""
        return portions(keys, most=BATCH, room=self._room, size_of=lambda key: SMALL + len(key))

    def added_on(self, connection: Connection, keys: Sequence[str], at: datetime) -> list[Added]:
        """What was added under these keys at just that ``now``, locked in this transaction.

        ``keys``: of one queue, which tells itself by their first :data:`ORIGIN` digits.
        """
        if not keys:
            return []
        names = self._names
        lock = " FOR UPDATE" if self._dialect.name == "mysql" else ""
        wanted = ",".join([f"'{key}'" for key in keys])
        # No text(): the engine keeps what it has compiled, some hundreds of statements this long.
        rows = connection.exec_driver_sql(
            "SELECT k.key_hash, a.action_id, a.status, a.claim_id, a.scheduled_date_gmt,"
            f" a.attempts, a.last_attempt_gmt FROM {names.keys} k JOIN {names.actions} a"
            f" ON a.action_id = k.action_id WHERE k.key_hash IN ({wanted})"
            f" AND k.created_gmt = '{to_text(at)}' ORDER BY a.action_id{lock}"
        ).fetchall()
        ids = listed([int(row[1]) for row in rows] or [0])
        logs = self._pairs(
            connection,
            f"SELECT action_id, COUNT(*) FROM {names.logs} WHERE action_id IN {ids}"
            " GROUP BY action_id",
        )
        waited_for: dict[int, int] = {}
        if self._own.has(names.waits):
            waited_for = self._pairs(
                connection,
                f"SELECT w.after_id, COUNT(*) FROM {names.waits} w LEFT JOIN {names.keys} k"
                " ON k.action_id = w.action_id"
                f" AND SUBSTR(k.key_hash, 1, {ORIGIN}) = '{keys[0][:ORIGIN]}'"
                f" WHERE w.after_id IN {ids} AND k.key_hash IS NULL GROUP BY w.after_id",
            )
        return [
            Added(
                key=str(key),
                id=ActionId(int(i)),
                status=str(status),
                is_held=status == "in-progress" or (status == "pending" and bool(claim)),
                mark=mark_of(
                    str(status), _text(scheduled), int(attempts), _text(tried), logs.get(int(i), 0)
                ),
                is_waited_for=int(i) in waited_for,
            )
            for key, i, status, claim, scheduled, attempts, tried in rows
        ]

    @staticmethod
    def _pairs(connection: Connection, statement: str) -> dict[int, int]:
        return {int(one): int(two) for one, two in connection.exec_driver_sql(statement)}

    def _not_there(
        self,
        connection: Connection,
        keyed: Sequence[tuple[str, WholeRow]],
        groups: Mapping[str, int],
    ) -> list[tuple[str, WholeRow]]:
        """Without pending ones whose like is there, or stands before them."""
        seen: set[tuple[str, str | None, int]] = set()
        found: list[tuple[str, WholeRow]] = []
        for key, row in keyed:
            group_id = groups[row.group]
            if row.status == "pending":
                mine = (row.hook, row.args, group_id)
                if mine in seen or self._is_same(connection, row, group_id):
                    continue
                seen.add(mine)
            found.append((key, row))
        return found

    def _is_same(self, connection: Connection, row: WholeRow, group_id: int) -> bool:
        values = {"hook": row.hook, "args": row.args, "group_id": group_id}
        return connection.execute(self._same, values).first() is not None

    def insert_rows(
        self, connection: Connection, rows: Sequence[WholeRow], groups: Mapping[str, int]
    ) -> list[ActionId]:
        """In the caller's transaction, without their logs; ``groups``: ids by slug."""
        made: list[ActionId] = []
        for part in portions(rows, most=BATCH, room=self._room, size_of=_size):
            values: list[object] = []
            marks: list[str] = []
            for row in part:
                values += (row.hook, row.scheduled, row.scheduled_local, row.args, row.schedule)
                often = [row.status, row.last_attempt, row.last_attempt_local]
                if self._layout.has_extended_args:
                    often.append(row.extended_args)
                # What needs no quoting is written as it is: the driver takes long to quote.
                values += [value for value in often if value not in _PLAIN]
                plain = ",".join([_PLAIN.get(value, self._mark) for value in often])
                priority = f",{row.priority:d}" if self._layout.has_priority else ""
                numbers = f"0,{groups[row.group]:d},{row.attempts:d}{priority}"
                marks.append(f"({numbers},{self._texts},{plain})")
            statement = self._insert + ",".join(marks) + self._dialect.returning("action_id")
            done = connection.exec_driver_sql(statement, tuple(values))
            given = self._dialect.new_ids(connection, done, len(part), self._names.actions)
            made += [ActionId(one) for one in given]
        return made

    def _keep_keys(
        self, connection: Connection, ids: Mapping[str, ActionId], now: datetime
    ) -> None:
        # Hexadecimal digits and numbers: nothing in it has to be quoted.
        at = to_text(now)
        for part in self._by_key(sorted(ids)):
            rows = ",".join([f"('{key}',{ids[key]},'{at}')" for key in part])
            if connection.exec_driver_sql(self._keep + rows).rowcount != len(part):
                raise _Raced

    def _keep_zones(
        self,
        connection: Connection,
        rows: Iterable[tuple[ActionId, WholeRow]],
        groups: Mapping[str, int],
    ) -> None:
        zoned = [
            (action_id, row.hook, row.args, groups[row.group], *row.zone)
            for action_id, row in rows
            if row.zone is not None
        ]
        mark = f"({', '.join([self._mark] * 6)})"
        for part in portions(
            zoned,
            most=BATCH,
            room=self._room,
            size_of=lambda row: SMALL + text_size("".join(map(str, row))),
        ):
            connection.exec_driver_sql(
                f"INSERT INTO {self._names.zones}"
                " (action_id, hook, args, group_id, expression, zone) VALUES"
                f" {','.join([mark] * len(part))}",
                tuple(value for row in part for value in row),
            )

    def wait(self, waits: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """Let actions wait for others, both named by their keys; returns those still unknown."""
        if not waits:
            return []
        self._own.ensure(self._names.keys, self._names.waits)
        keys = sorted({key for wait in waits for key in wait[:2]})

        def add(connection: Connection) -> list[tuple[str, str, str]]:
            ids: dict[str, ActionId] = {}
            for start in range(0, len(keys), BATCH):
                known = self._known_on(connection, keys[start : start + BATCH])
                ids |= {key: one.id for key, one in known.items()}
            for one, after, on_failed in waits:
                if one in ids and after in ids:
                    values = {"id": ids[one], "after": ids[after], "on_failed": on_failed}
                    connection.execute(self._wait, values)
            return [wait for wait in waits if wait[0] not in ids or wait[1] not in ids]

        return self._session.transact(add)

    # Looking again

    def statuses_in(self, spans: Spans) -> dict[str, int]:
        """How many of these ids have each status."""
        found: defaultdict[str, int] = defaultdict(int)
        for first, last in spans.spans:
            values = {"first": first, "last": last}
            rows = self._session.run(
                lambda c, v=values: c.execute(self._statuses, v).fetchall()  # type: ignore[misc]
            )
            for status, count in rows:
                found[str(status)] += int(count)
        return dict(found)

    def again(self, ids: Sequence[ActionId], *, logs: bool) -> dict[int, WholeRow]:
        """These rows as they are now; waits, which name other ids, left out."""
        # Without ids a query means all there are.
        pages = self.read(Query(ids=tuple(ids)), logs=logs) if ids else iter(())
        return {row.id: replace(row, waits=()) for row in itertools.chain.from_iterable(pages)}


def in_memory(row: WholeRow) -> int:
    """The bytes of memory that a row takes, roughly."""
    texts = (row.hook, row.args, row.extended_args, row.schedule, row.group)
    logs = sum(SMALL + sys.getsizeof(log[0]) for log in row.logs)
    return SMALL * (1 + len(row.waits)) + sum(map(sys.getsizeof, texts)) + logs


def _is_ascii(row: WholeRow) -> bool:
    zone = row.zone or ()
    told = f"{row.hook}{row.args}{row.extended_args}{row.schedule}{row.group}{''.join(zone)}"
    return told.isascii() and all(log[0].isascii() for log in row.logs)


def _texts_of(names: TableNames, row: WholeRow) -> Iterator[tuple[str, Place, str | None]]:
    """The texts of a row by their names, and where they are to stand."""
    for name, told in (
        ("hook", row.hook),
        ("args", row.args),
        ("extended_args", row.extended_args),
        ("schedule", row.schedule),
    ):
        yield name, (names.actions, name), told
    yield "group", (names.groups, "slug"), row.group
    if row.zone is not None:
        yield "hook", (names.zones, "hook"), row.hook
        yield "cron", (names.zones, "expression"), row.zone[0]
        yield "tz", (names.zones, "zone"), row.zone[1]


def _size(row: WholeRow) -> int:
    """What a row takes in a statement, roughly."""
    return SMALL + text_size(f"{row.hook}{row.args}{row.extended_args}{row.schedule}")


def _text(value: object) -> str | None:
    """As text whatever the driver gives; bytes that are no UTF-8 are kept as surrogates."""
    if value is None or isinstance(value, str):
        return value
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
