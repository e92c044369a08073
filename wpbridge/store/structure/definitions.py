"""Definitions: what the plugin's layouts 5 to 9 have, what a site's tables have, how they change.

The layouts are data. dbDelta, which makes the tables in PHP, adds and never drops, so a site that
grew has more than its layout: an index counts as there when another begins with its columns.
Statements that change a definition wait for the table's lock only for so long: whoever comes after
one that waits, waits too.
"""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from wpbridge.clock import ZERO_DATE
from wpbridge.errors import Contention, StoreError, StoreUnavailable
from wpbridge.store.database.dialect import parse_version, sort_trouble
from wpbridge.store.rows.writes import listed
from wpbridge.store.running.runner_store import SqlStore
from wpbridge.store.schema.layout import TableNames
from wpbridge.store.structure.server import Server

CLAIM_INDEX: Final = (
    "claim_id",
    "status",
    "priority",
    "attempts",
    "scheduled_date_gmt",
    "action_id",
)
"""What the plugin's claim asks for, then its order (action-scheduler PR 1340)."""
CLAIM_INDEX_NAME: Final = "wpbridge_claim"
ONLINE: Final = ", ALGORITHM=INPLACE, LOCK=NONE"
TRIES: Final = 10
_LOCK_WAIT: Final = frozenset({1205})
_STOPPED: Final = 1317
_NOT_ONLINE: Final = frozenset({1845, 1846})
_LOOK_SECONDS: Final = 0.5
_PAUSE_SECONDS: Final = 1.0


Progress: TypeAlias = Callable[[float | None], None]


# What the plugin's layouts have


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as a layout defines it; types without the width that integers are shown in."""

    type: str
    null: bool = False
    default: str | None = None
    auto: bool = False
    since: int = 5

    @property
    def definition(self) -> str:
        """As it stands in a statement; the character set is left to the table."""
        parts = [self.type, "NULL" if self.null else "NOT NULL"]
        if self.auto:
            parts.append("AUTO_INCREMENT")
        elif self.default is not None:
            parts.append(f"DEFAULT '{self.default}'")
        return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index as the plugin makes it, and which layouts ask for it."""

    columns: tuple[str, ...]
    lengths: Mapping[str, int] = field(default_factory=dict)
    """Of columns that are indexed in part."""
    since: int = 5
    until: int = 9
    enough: int = 0
    """So many of its columns are enough; 0: all of them."""

    @property
    def name(self) -> str:
        """The plugin's."""
        return "_".join(self.columns)

    @property
    def asked(self) -> tuple[str, ...]:
        """The columns an index must begin with."""
        return self.columns[: self.enough or len(self.columns)]

    @property
    def definition(self) -> str:
        """The columns, as they stand in a statement on MySQL."""
        return ", ".join(
            f"{column}({self.lengths[column]})" if column in self.lengths else column
            for column in self.columns
        )


_ID: Final = "bigint unsigned"
_DATE: Final = Column(type="datetime", null=True, default=ZERO_DATE)
COLUMNS: Final[Mapping[str, Mapping[str, Column]]] = {
    "actions": {
        "action_id": Column(type=_ID, auto=True),
        "hook": Column(type="varchar(191)"),
        "status": Column(type="varchar(20)"),
        "scheduled_date_gmt": _DATE,
        "scheduled_date_local": _DATE,
        "priority": Column(type="tinyint unsigned", default="10", since=7),
        "args": Column(type="varchar(191)", null=True),
        "schedule": Column(type="longtext", null=True),
        "group_id": Column(type=_ID, default="0"),
        "attempts": Column(type="int", default="0"),
        "last_attempt_gmt": _DATE,
        "last_attempt_local": _DATE,
        "claim_id": Column(type=_ID, default="0"),
        "extended_args": Column(type="varchar(8000)", null=True),
        "unique_key": Column(type="", null=True, since=9),
    },
    "claims": {"claim_id": Column(type=_ID, auto=True), "date_created_gmt": _DATE},
    "groups": {"group_id": Column(type=_ID, auto=True), "slug": Column(type="varchar(255)")},
    "logs": {
        "log_id": Column(type=_ID, auto=True),
        "action_id": Column(type=_ID),
        "message": Column(type="text"),
        "log_date_gmt": _DATE,
        "log_date_local": _DATE,
    },
}
"""In the plugin's order; an empty type is one that compares with nothing."""
INDEXES: Final[Mapping[str, tuple[Index, ...]]] = {
    "actions": (
        # 3.7.0 made these two longer without a new number: a site at 7 may have either.
        Index(columns=("hook", "status", "scheduled_date_gmt"), lengths={"hook": 163}, since=8),
        Index(columns=("status", "scheduled_date_gmt"), since=8),
        Index(columns=("hook",), until=7),
        Index(columns=("status",), until=7),
        Index(columns=("scheduled_date_gmt",)),
        Index(columns=("args",)),
        Index(columns=("group_id",)),
        Index(columns=("last_attempt_gmt",)),
        Index(columns=("claim_id", "status", "scheduled_date_gmt"), until=7),
        Index(columns=("claim_id", "status", "priority", "scheduled_date_gmt"), since=8),
        Index(columns=("status", "last_attempt_gmt"), since=8),
        Index(columns=("status", "claim_id"), since=8),
    ),
    "claims": (Index(columns=("date_created_gmt",)),),
    "groups": (Index(columns=("slug",), lengths={"slug": 191}),),
    "logs": (Index(columns=("action_id",)), Index(columns=("log_date_gmt",))),
}
"""Beside the primary keys."""


def columns_of(schema: int) -> dict[str, dict[str, Column]]:
    """What a layout has, by the tables' short names."""
    return {
        table: {name: column for name, column in columns.items() if column.since <= schema}
        for table, columns in COLUMNS.items()
    }


def indexes_of(schema: int) -> dict[str, list[Index]]:
    """What a layout has, by the tables' short names."""
    return {
        table: [index for index in indexes if index.since <= schema <= index.until]
        for table, indexes in INDEXES.items()
    }


# What a site's tables have


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundColumn:
    """A column as the server tells of it."""

    type: str
    null: bool
    default: str | None
    auto: bool
    collation: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTable:
    """A table as the server tells of it."""

    name: str
    columns: Mapping[str, FoundColumn]
    indexes: Mapping[str, tuple[str, ...]]
    unique: frozenset[str]
    """Names of the indexes that are."""
    engine: str = ""
    collation: str = ""
    rows: int = 0
    """About."""
    size_bytes: int = 0

    def has_index(self, columns: Sequence[str]) -> bool:
        """Whether an index begins with these columns."""
        wanted = tuple(columns)
        return any(found[: len(wanted)] == wanted for found in self.indexes.values())


# Statements


TAKE_ZERO: Final = "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"
"""So that defaults may be zero dates, and rows with the id 0 keep it when ids begin to be given."""


def to_innodb(table: FoundTable) -> str:
    """Give it transactions."""
    return f"ALTER TABLE {table.name} ENGINE=InnoDB"


def set_default(table: FoundTable, name: str, column: Column) -> str:
    """Give a column its default; no row is touched."""
    return f"ALTER TABLE {table.name} ALTER COLUMN {name} SET DEFAULT '{column.default}'"


def modify(table: FoundTable, name: str, column: Column) -> str:
    """Define a column as its layout does."""
    return f"ALTER TABLE {table.name} MODIFY COLUMN {name} {column.definition}"


def give_ids(table: FoundTable, name: str, column: Column, first: int) -> str:
    """Let the server give ids, from ``first`` on unless it is 0; with the primary key for it."""
    key = "" if table.indexes.get("PRIMARY") == (name,) else f"ADD PRIMARY KEY ({name}), "
    begin = f", AUTO_INCREMENT={first}" if first else ""
    return f"ALTER TABLE {table.name} {key}MODIFY COLUMN {name} {column.definition}{begin}"


def renumber_zeros(table: FoundTable, name: str, least: int) -> str:
    """Give each row with the id 0 one of its own, above all others and not below ``least``."""
    return (
        f"UPDATE {table.name}, (SELECT @wpbridge_id := GREATEST({least}, COALESCE(MAX({name}), 0)"
        f" + 1) - 1 FROM {table.name}) AS top SET {name} = (@wpbridge_id := @wpbridge_id + 1)"
        f" WHERE {name} = 0"
    )


def add_primary_key(table: FoundTable, columns: Sequence[str]) -> str:
    """Have the server refuse rows that are there."""
    return f"ALTER TABLE {table.name} ADD PRIMARY KEY ({', '.join(columns)})"


def begin_ids(table: FoundTable, first: int) -> str:
    """No lower id is given from now on."""
    return f"ALTER TABLE {table.name} AUTO_INCREMENT={first}"


def is_plain(default: str | None) -> bool:
    """Whether a default is none, or a plain number or date, which can stand in a statement."""
    return default is None or re.fullmatch(r"[0-9 :.-]{1,30}", default) is not None


def default_back(table: FoundTable, name: str, before: str | None) -> str:
    """Give a column the default back that it had, which must be plain."""
    if not is_plain(before):
        raise ValueError(before)
    if before is None:
        back = "SET DEFAULT NULL" if table.columns[name].null else "DROP DEFAULT"
    else:
        back = f"SET DEFAULT '{before}'"
    return f"ALTER TABLE {table.name} ALTER COLUMN {name} {back}"


def index_name(table: str, index: Index, *, is_mysql: bool) -> str:
    """The plugin's name; on SQLite the one that WordPress's own layer gives it."""
    return index.name if is_mysql else f"{table}__{index.name}"


def add_index(table: FoundTable, index: Index, *, is_mysql: bool) -> str:
    """Add an index of a layout's."""
    name = index_name(table.name, index, is_mysql=is_mysql)
    if is_mysql:
        return f"ALTER TABLE {table.name} ADD INDEX {name} ({index.definition})"
    return f'CREATE INDEX "{name}" ON "{table.name}" ({", ".join(index.columns)})'


def drop_index(table: FoundTable, index: Index, *, is_mysql: bool) -> str:
    """Drop an index of a layout's."""
    name = index_name(table.name, index, is_mysql=is_mysql)
    return f"ALTER TABLE {table.name} DROP INDEX {name}" if is_mysql else f'DROP INDEX "{name}"'


def collate(table: FoundTable, wanted: str) -> str:
    """All texts into one collation, one by one: CONVERT TO would turn a text into a mediumtext."""
    charset = f"CHARACTER SET {wanted.partition('_')[0]} COLLATE {wanted}"
    parts = [f"DEFAULT {charset}"]
    for name, column in table.columns.items():
        if column.collation is not None and column.collation != wanted:
            null = "NULL" if column.null else "NOT NULL"
            default = "" if column.default is None else f" DEFAULT '{column.default}'"
            parts.append(f"MODIFY COLUMN {name} {column.type} {charset} {null}{default}")
    return f"ALTER TABLE {table.name} {', '.join(parts)}"


def claim_index(table: FoundTable, *, is_mysql: bool) -> tuple[str, str, str]:
    """The name of the index for claims, what adds it, what drops it."""
    columns = ", ".join(CLAIM_INDEX)
    if not is_mysql:
        # An index's name is the whole database's.
        name = f"{table.name}__{CLAIM_INDEX_NAME}"
        return name, f'CREATE INDEX "{name}" ON "{table.name}" ({columns})', f'DROP INDEX "{name}"'
    name, alter = CLAIM_INDEX_NAME, f"ALTER TABLE {table.name}"
    return (
        name,
        f"{alter} ADD INDEX {name} ({columns}){ONLINE}",
        f"{alter} DROP INDEX {name}{ONLINE}",
    )


class Definitions:
    """One site's tables: how they are defined, and changing that."""

    def __init__(
        self,
        store: SqlStore,
        watcher: SqlStore | None = None,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """``watcher``: a second store of the same site; asked how far a statement is."""
        self.store = store
        self.server = Server(store)
        self._watcher = watcher
        self._pause = pause

    @property
    def names(self) -> TableNames:
        """The site's."""
        return self.store.names

    def table(self, short: str) -> FoundTable | None:
        """One of the plugin's tables by its short name; None where there is none."""
        return self.look(str(getattr(self.names, short)))

    def look(self, name: str) -> FoundTable | None:
        """A table by its name; None where there is none."""
        look = self._look_mysql if self.server.is_mysql else self._look_sqlite
        return self.store.session.run(lambda c: look(c, name))

    def _look_mysql(self, connection: Connection, name: str) -> FoundTable | None:
        of = "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :t"
        told = _rows(
            connection,
            "SELECT ENGINE, TABLE_COLLATION, TABLE_ROWS, COALESCE(DATA_LENGTH, 0)"
            f" + COALESCE(INDEX_LENGTH, 0) FROM information_schema.TABLES {of}",
            t=name,
        )
        if not told:
            return None
        columns = _rows(
            connection,
            "SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, COLLATION_NAME"
            f" FROM information_schema.COLUMNS {of} ORDER BY ORDINAL_POSITION",
            t=name,
        )
        keys = _rows(
            connection,
            "SELECT INDEX_NAME, COLUMN_NAME, NON_UNIQUE FROM information_schema.STATISTICS"
            f" {of} ORDER BY INDEX_NAME, SEQ_IN_INDEX",
            t=name,
        )
        return FoundTable(
            name=name,
            columns={
                str(column): FoundColumn(
                    type=_plain_type(str(kind)),
                    null=str(null) == "YES",
                    default=_plain_default(default),
                    auto="auto_increment" in str(extra).lower(),
                    collation=None if collation is None else str(collation),
                )
                for column, kind, null, default, extra, collation in columns
            },
            indexes=_columns_by_index(keys),
            unique=frozenset(str(index) for index, _, repeats in keys if not int(repeats)),
            engine=str(told[0][0]),
            collation=str(told[0][1]),
            rows=int(told[0][2] or 0),
            size_bytes=int(told[0][3]),
        )

    def _look_sqlite(self, connection: Connection, name: str) -> FoundTable | None:
        columns = _rows(
            connection,
            'SELECT name, type, "notnull", dflt_value FROM pragma_table_info(:t)',
            t=name,
        )
        if not columns:
            return None
        own = {name: self.names.keys_of_tables.get(name, "")}
        giving = self.server.dialect.key_columns(connection, own).get(name)
        keys = _rows(
            connection,
            'SELECT l.name, i.name, l."unique" FROM pragma_index_list(:t) AS l'
            " JOIN pragma_index_info(l.name) AS i ORDER BY l.name, i.seqno",
            t=name,
        )
        return FoundTable(
            name=name,
            columns={
                str(column): FoundColumn(
                    type=str(kind).lower(),
                    null=not needed,
                    default=_plain_default(default),
                    auto=giving is not None and giving.gives_ids and column == own[name],
                    collation=None,
                )
                for column, kind, needed, default in columns
            },
            indexes=_columns_by_index(keys),
            unique=frozenset(str(index) for index, _, is_unique in keys if is_unique),
        )

    def written(self, name: str) -> str:
        """A table's definition as the server writes it, with its indexes."""
        if self.server.is_mysql:
            told = self.store.session.run(lambda c: _rows(c, f"SHOW CREATE TABLE {name}"))
            return str(told[0][1])
        told = self.store.session.run(
            lambda c: _rows(
                c,
                "SELECT sql FROM sqlite_master WHERE tbl_name = :t AND sql IS NOT NULL"
                " ORDER BY type DESC, name",
                t=name,
            )
        )
        return ";\n".join(str(row[0]) for row in told)

    def wrong_ids(self, table: str, column: str) -> tuple[int, int]:
        """How many rows have the id 0, how many another row's; reads the whole table."""
        [[zeros]] = self._ask(f"SELECT COUNT(*) FROM {table} WHERE {column} = 0")
        [[count, distinct]] = self._ask(
            f"SELECT COUNT(*), COUNT(DISTINCT {column}) FROM {table} WHERE {column} <> 0"
        )
        return int(zeros), int(count) - int(distinct)

    def has_copies(self, table: str, columns: Sequence[str]) -> bool:
        """Whether two rows are the same in these columns."""
        listed = ", ".join(columns)
        asked = f"SELECT {listed} FROM {table} GROUP BY {listed} HAVING COUNT(*) > 1 LIMIT 1"
        return bool(self._ask(asked))

    def first_free_id(self, short: str) -> int:
        """The lowest id that a new row may get: above those that rows of other tables name."""
        names = self.names
        naming = {
            "actions": [
                (table, "action_id")
                for table in (names.logs, names.keys, names.waits, names.zones, names.suspects)
            ],
            "claims": [(names.actions, "claim_id")],
            "groups": [(names.actions, "group_id")],
        }
        highest = 0
        for table, column in naming.get(short, ()):
            found = self.look(table)
            if found is not None and column in found.columns:
                [[named]] = self._ask(f"SELECT MAX({column}) FROM {table}")
                highest = max(highest, int(named or 0))
        return highest + 1

    def _ask(self, statement: str) -> Sequence[Sequence[Any]]:
        return self.store.session.run(lambda c: _rows(c, statement))

    def can_work_online(self) -> bool:
        """Whether the server can add an index beside writers: MySQL 5.6, MariaDB 10.0."""
        told = self.store.session.run(lambda c: str(c.execute(text("SELECT VERSION()")).scalar()))
        kind, version = parse_version(told)
        return version >= ((10, 0, 0) if kind == "MariaDB" else (5, 6, 0))

    def explain_claim(self) -> tuple[str | None, bool]:
        """The index that the plugin's own claim uses, and whether it sorts.

        On MySQL as its subselect from 3.9.3 on; what it updates is found so in older ones, too.
        """
        table = self.names.actions
        priority = "priority, " if self.store.layout.has_priority else ""
        claim = (
            f"SELECT action_id FROM {table} WHERE claim_id = 0 AND scheduled_date_gmt <="
            f" {self.server.dialect.db_now} AND status = 'pending' ORDER BY {priority}attempts,"
            " scheduled_date_gmt, action_id LIMIT 25"
        )
        if not self.server.is_mysql:
            told = " ".join(
                str(row[3])
                for row in self.store.session.run(lambda c: _rows(c, f"EXPLAIN QUERY PLAN {claim}"))
            )
            used = re.search(r"USING (?:COVERING )?INDEX (\S+)", told)
            return used[1] if used else None, "TEMP B-TREE" in told
        plan = self.store.session.run(
            lambda c: [dict(row) for row in c.execute(text(f"EXPLAIN {claim}")).mappings()]
        )[0]
        key = plan.get("key")
        return None if key is None else str(key), "filesort" in str(plan.get("Extra") or "")

    # Changing them

    def run(
        self,
        statement: str,
        *,
        lock_wait_seconds: float = 5.0,
        tries: int = TRIES,
        told: Progress = lambda _percent: None,
    ) -> None:
        """Run a statement that changes a definition; an interrupt has the server take it back.

        Args:
            statement: just one.
            lock_wait_seconds: how long it may wait for the table; so long others wait behind it.
            tries: to get the table.
            told: now and then, how far it is in percent; None where the server does not tell.

        Raises:
            Contention: others held the table each time.
            StoreUnavailable: the server went away; it may go on with it.
            StoreError: the server refuses it, or somebody stopped it.
        """
        for number in range(1, tries + 1):
            try:
                self._attempt(statement, lock_wait_seconds, told)
            except _TableHeld:
                if number == tries:
                    raise Contention(
                        f"the table was in use {tries} times for {lock_wait_seconds:g} s: a long"
                        " transaction holds it (SHOW PROCESSLIST); try again later, or with a"
                        " longer --lock-wait"
                    ) from None
                # Those who waited behind us go first.
                self._pause(_PAUSE_SECONDS)
            else:
                return

    def _attempt(self, statement: str, lock_wait_seconds: float, told: Progress) -> None:
        if not self.server.is_mysql:
            self.store.session.transact(lambda c: c.execute(text(statement)).close())
            return
        prepare = [
            f"SET SESSION lock_wait_timeout = {max(1, round(lock_wait_seconds))}",
            # Rows with the id 0 keep it when ids begin to be given.
            "SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',NO_AUTO_VALUE_ON_ZERO')",
        ]

        def work(connection: Connection) -> None:
            _be_patient(connection)
            for one in prepare:
                connection.exec_driver_sql(one)
            _execute(connection, statement)

        if self._watcher is None:
            self.store.session.run(work)
        else:
            self._watched(work, self._watcher, told)

    def _watched(
        self, work: Callable[[Connection], None], watcher: SqlStore, told: Progress
    ) -> None:
        """The statement runs in a thread, so that it can be asked after and be stopped."""
        ids: list[int] = []
        failure: list[BaseException] = []
        # An interrupt of Thread.join makes Python take the thread for ended (3.11).
        ended = threading.Event()

        def noted(connection: Connection) -> None:
            ids[:] = [int(_rows(connection, "SELECT CONNECTION_ID()")[0][0])]
            work(connection)

        def run() -> None:
            try:
                self.store.session.run(noted)
            except BaseException as error:  # noqa: BLE001 - raised below, where it is waited for
                failure.append(error)
            finally:
                ended.set()

        threading.Thread(target=run, name="ddl", daemon=True).start()
        try:
            while not ended.wait(_LOOK_SECONDS):
                told(watcher.session.run(lambda c: _progress(c, ids)))
        except BaseException:
            # Again and again: the first may have come before the statement did.
            while not ended.is_set():
                with contextlib.suppress(StoreError):
                    watcher.session.run(lambda c: _kill(c, ids))
                ended.wait(_LOOK_SECONDS)
            raise
        if failure:
            raise failure[0]


class _TableHeld(Exception):
    """Not a driver's error: the session would try again at once."""


def _execute(connection: Connection, statement: str) -> None:
    """Once, whatever happens: the session would begin again what was stopped or cut off."""
    try:
        connection.exec_driver_sql(statement.replace("%", "%%"))
    except DBAPIError as error:
        code = error.orig.args[0] if error.orig is not None and error.orig.args else None
        if code in _LOCK_WAIT:
            raise _TableHeld from None
        if code == _STOPPED:
            raise StoreError(
                "somebody stopped the statement (KILL QUERY); nothing of it is left"
            ) from None
        trouble = sort_trouble(error.orig or error)
        if trouble.gone or error.connection_invalidated:
            raise StoreUnavailable(
                f"{trouble.error}; the server may be at it still: look (SHOW PROCESSLIST) before"
                " you begin again"
            ) from None
        if code in _NOT_ONLINE:
            raise StoreError(
                f"the server cannot do this beside writers ({error.orig}): at a quiet hour, run"
                " what --sql prints without its last words, ALGORITHM and LOCK"
            ) from None
        raise


def _be_patient(connection: Connection) -> None:
    """A definition may take hours to change; the driver has no other way to say so."""
    driver: Any = connection.connection.driver_connection
    driver._read_timeout = None  # noqa: SLF001


def _progress(connection: Connection, ids: Sequence[int]) -> float | None:
    """How far a connection's statement is, in percent; None where nobody tells (MySQL).

    MariaDB tells it of a table that is written anew in the list of processes; of what InnoDB does
    online only in a number for the whole server.
    """
    try:
        rows = _rows(
            connection,
            "SELECT STAGE, MAX_STAGE, PROGRESS, STATE FROM information_schema.PROCESSLIST"
            f" WHERE ID IN {listed(ids or [0])}",
        )
        online = _rows(connection, "SHOW GLOBAL STATUS LIKE 'innodb_onlineddl_pct_progress'")
    except DBAPIError:
        return None
    if not rows:
        return None
    [(stage, stages, percent, state)] = rows
    if int(stages or 0):
        return min(100.0, ((max(float(stage), 1.0) - 1.0) * 100.0 + float(percent)) / int(stages))
    return int(online[0][1]) / 100.0 if online and state == "altering table" else None


def _kill(connection: Connection, ids: Sequence[int]) -> None:
    for one in ids:
        connection.exec_driver_sql(f"KILL QUERY {one}").close()


def _rows(connection: Connection, statement: str, **values: object) -> Sequence[Sequence[Any]]:
    return connection.execute(text(statement), values).fetchall()


def _columns_by_index(keys: Sequence[Sequence[Any]]) -> dict[str, tuple[str, ...]]:
    """From rows of index and column, in the index's order."""
    found: dict[str, tuple[str, ...]] = {}
    for index, column, *_ in keys:
        found[str(index)] = (*found.get(str(index), ()), str(column))
    return found


def _plain_type(told: str) -> str:
    """``bigint(20) unsigned`` as ``bigint unsigned``: newer servers show no width."""
    return re.sub(r"\b(tinyint|smallint|mediumint|int|bigint)\(\d+\)", r"\1", told.lower())


def _plain_default(told: object) -> str | None:
    """MariaDB quotes what it tells, and tells NULL as a word."""
    if told is None or str(told) == "NULL":
        return None
    return str(told).removeprefix("'").removesuffix("'")
