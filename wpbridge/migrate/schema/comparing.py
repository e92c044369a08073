"""Compares the tables with the plugin's layouts, and says what mends them.

What is mended is what loses nothing: an import's forgotten AUTO_INCREMENT, defaults and indexes,
tables without transactions, collations that differ. Nothing is dropped and no type gets narrower.
Missing tables and columns are the plugin's to make; it is told which command does that.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import SchemaError
from wpbridge.migrate.schema.deviations import Deviation, Fix
from wpbridge.migrate.schema.lost_ids import lost_ids, lost_own_keys, low_ids
from wpbridge.store.schema import alterations
from wpbridge.store.schema.ddl import ONLINE
from wpbridge.store.schema.description import Column
from wpbridge.store.schema.found import FoundColumn, FoundTable
from wpbridge.store.schema.layout import NEWEST_SCHEMA, OLDEST_SCHEMA, STORE_OPTION
from wpbridge.store.schema.tables import BY_NAME, CLAIMED_INDEX, PRIORITY_CLAIM_INDEX
from wpbridge.store.structure.definitions import Definitions

REPAIR: Final = "let the plugin do it: wp action-scheduler fix-schema"
_DEMARCATION: Final = "action_scheduler_hybrid_store_demarkation"
_STRICT: Final = frozenset({"STRICT_TRANS_TABLES", "STRICT_ALL_TABLES", "TRADITIONAL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a comparison found."""

    schema: int
    """The layout that it was held against."""
    told: bool
    """Whether an option tells it; else it was read off the tables."""
    deviations: tuple[Deviation, ...]

    @property
    def is_fine(self) -> bool:
        """Tell whether there are only notes."""
        return all(one.severity == "note" for one in self.deviations)

    @property
    def fixes(self) -> list[Fix]:
        """The fixes, in the order in which they are to be run."""
        return [one.fix for one in self.deviations if one.fix is not None]


# Comparing


def verify(definitions: Definitions) -> Comparison:
    """Compare the tables with the layout that the plugin's option names, or with the nearest one.

    Raises:
        SchemaError: there are no such tables at all.
    """
    tables = {short: definitions.table(short) for short in BY_NAME}
    if not any(tables.values()):
        raise SchemaError(
            f"no tables {definitions.names.prefix}actionscheduler_*: check --table-prefix, or"
            f" {REPAIR}"
        )
    options = definitions.server.options(STORE_OPTION, _DEMARCATION)
    lead = options.get(STORE_OPTION, "").partition(".")[0]
    told = int(lead) if lead.isdigit() and len(lead) < 4 else None  # noqa: PLR2004 - a small number
    actions = tables["actions"]
    schema = _nearest(told) if told is not None else _layout_of(actions) if actions else 8
    found = [*_version(told)]
    first = options.get(_DEMARCATION, "")
    first_id = int(first) if first.isdecimal() else 0
    examined = _Examination(definitions, schema, first_id)
    for short, table in tables.items():
        if table is None:
            name = str(getattr(definitions.names, short))
            found.append(_missing(short, f"no table {name}", "the table"))
        else:
            found += examined.of(short, table)
    there = {short: table for short, table in tables.items() if table is not None}
    found += lost_own_keys(definitions)
    found += _collations(there)
    found += low_ids(definitions, there["actions"], first_id) if "actions" in there else []
    found += _modes(definitions)
    return Comparison(schema=schema, told=told is not None, deviations=tuple(found))


def _nearest(told: int) -> int:
    return min(max(told, OLDEST_SCHEMA), NEWEST_SCHEMA)


def _layout_of(actions: FoundTable) -> int:
    """Return which layout a table has. Nothing that matters tells 5 and 6 apart."""
    if "unique_key" in actions.columns:
        return 9
    if "priority" not in actions.columns:
        return 6
    newer = (PRIORITY_CLAIM_INDEX, CLAIMED_INDEX)
    return 8 if any(actions.has_index(index.columns) for index in newer) else 7


def _version(told: int | None) -> Iterator[Deviation]:
    expected = f"{OLDEST_SCHEMA} to {NEWEST_SCHEMA}"
    if told is not None and told > NEWEST_SCHEMA:
        yield Deviation(
            item=STORE_OPTION,
            found=str(told),
            expected=expected,
            severity="problem",
            advice="upgrade wpbridge; until then it only reads",
        )
    if told is not None and told < OLDEST_SCHEMA:
        yield Deviation(
            item=STORE_OPTION,
            found=str(told),
            expected=expected,
            severity="problem",
            advice="update Action Scheduler",
        )


def _missing(item: str, found: str, expected: str) -> Deviation:
    return Deviation(item=item, found=found, expected=expected, severity="problem", advice=REPAIR)


class _Examination:
    """Compares each table with its layout."""

    def __init__(self, definitions: Definitions, schema: int, first_id: int) -> None:
        self._definitions = definitions
        self._ddl = definitions.ddl
        self._schema = schema
        self._first_id = first_id
        """Ids below belong to posts."""

    def of(self, short: str, table: FoundTable) -> Iterator[Deviation]:
        """Find what differs in one table.

        The engine comes first, since later fixes go online on InnoDB.
        """
        if table.is_plain:
            yield Deviation(
                item=short,
                found=table.engine,
                expected="InnoDB",
                severity="problem",
                fix=Fix(statement=alterations.to_innodb(table), online=False, table=table.name),
            )
        for name, column in BY_NAME[short].columns_of(self._schema).items():
            there = table.columns.get(name)
            if there is None:
                yield _missing(f"{short}.{name}", "no such column", column.type or "a text, unique")
            else:
                yield from self._column(short, table, name, there, column)
        yield from self._keys(short, table)

    def _column(
        self, short: str, table: FoundTable, name: str, there: FoundColumn, column: Column
    ) -> Iterator[Deviation]:
        item = f"{short}.{name}"
        if column.auto:
            yield from lost_ids(self._definitions, short, table, self._first_id)
        if not self._ddl.can_alter:
            return
        if column.type and there.type != column.type:
            yield Deviation(
                item=item,
                found=there.type,
                expected=column.type,
                severity="warning",
                advice="whoever changed it may have had a reason: compare, then MODIFY by hand",
            )
            return
        is_date = column.type == "datetime"
        if there.null != column.null and not column.auto:
            fix = self._modify(table, name, column) if is_date else None
            yield Deviation(
                item=item,
                found="NULL" if there.null else "NOT NULL",
                expected="NULL" if column.null else "NOT NULL",
                severity="warning",
                fix=fix,
                advice="" if fix else "look for rows with NULL first, then MODIFY by hand",
            )
        elif there.default != column.default and not column.auto:
            yield self._other_default(item, table, name, there, column)

    def _other_default(
        self, item: str, table: FoundTable, name: str, there: FoundColumn, column: Column
    ) -> Deviation:
        needs = column.default is not None
        return Deviation(
            item=item,
            found=f"default {there.default or 'NULL'}",
            expected=f"default {column.default or 'NULL'}",
            # Without one an insert of the plugin fails, or leaves NULL, which its cleaner skips.
            severity="warning" if needs else "note",
            fix=Fix(
                statement=alterations.set_default(table, name, column),
                online=True,
                table=table.name,
                made={"column": name, "default": column.default, "before": there.default}
                if alterations.is_plain(there.default)
                else None,
            )
            if needs
            else None,
        )

    @staticmethod
    def _modify(table: FoundTable, name: str, column: Column) -> Fix:
        return Fix(
            statement=alterations.modify(table, name, column), online=False, table=table.name
        )

    def _keys(self, short: str, table: FoundTable) -> Iterator[Deviation]:
        for index in BY_NAME[short].indexes_of(self._schema):
            if table.has_index(index.columns) or not set(index.columns) <= set(table.columns):
                continue
            columns = ", ".join(index.columns)
            yield Deviation(
                item=f"{short} ({columns})",
                found="no such index",
                expected="an index",
                severity="warning",
                fix=Fix(
                    statement=self._ddl.add_index(table.name, index),
                    online=table.changes_online,
                    table=table.name,
                    made={"index": self._ddl.index_name(table.name, index)},
                ),
            )
        if short == "actions" and "unique_key" in table.columns:
            uniques = [table.indexes[name] for name in table.unique]
            if ("unique_key",) not in uniques:
                yield Deviation(
                    item="actions (unique_key)",
                    found="no such index",
                    expected="a unique index",
                    severity="problem",
                    advice=REPAIR,
                )


def _collations(tables: dict[str, FoundTable]) -> Iterator[Deviation]:
    """Find tables and texts with another collation. Which one is right is WordPress's affair."""
    kinds = Counter(
        kind
        for table in tables.values()
        for kind in (table.collation, *(c.collation for c in table.columns.values()))
        if kind
    )
    if len(kinds) <= 1:
        if any(not kind.startswith("utf8mb4") for kind in kinds):
            yield Deviation(
                item="collation",
                found=next(iter(kinds)),
                expected="utf8mb4",
                severity="note",
                advice="emoji in args are refused; WordPress's own tables are the measure",
            )
        return
    # The widest character set wins, so that no character is lost; then what the actions have.
    widest = [kind for kind in kinds if kind.startswith("utf8mb4")] or list(kinds)
    actions = tables.get("actions")
    own = actions.collation if actions is not None else ""
    wanted = own if own in widest else max(widest, key=lambda kind: kinds[kind])
    for short, table in tables.items():
        others = sorted(
            {table.collation, *(c.collation for c in table.columns.values() if c.collation)}
            - {wanted}
        )
        if others:
            yield Deviation(
                item=f"{short} collation",
                found=", ".join(others),
                expected=wanted,
                severity="warning",
                fix=Fix(
                    statement=alterations.collate(table, wanted), online=False, table=table.name
                ),
            )


def _modes(definitions: Definitions) -> Iterator[Deviation]:
    """Find SQL modes that hinder other clients.

    WordPress and wpbridge take them out of their sessions.
    """
    told = definitions.server.variables("sql_mode", scope="GLOBAL").get("sql_mode", "")
    modes = set(told.split(","))
    if "NO_ZERO_DATE" in modes and modes & _STRICT:
        yield Deviation(
            item="sql_mode",
            found="NO_ZERO_DATE and strict",
            expected="as WordPress sets its sessions",
            severity="note",
            advice=(
                "WordPress and wpbridge are not hindered; another client must begin with SET"
                " SESSION sql_mode = '' before it writes to these tables or alters them"
            ),
        )


# As statements


def script(definitions: Definitions, fixes: Sequence[Fix]) -> list[str]:
    """Return the statements for another client, in order, with what it must run before them."""
    lines = [f"{statement_of(fix)};" for fix in fixes]
    return [*(f"{one};" for one in definitions.ddl.before_script), *lines] if lines else []


def statement_of(fix: Fix) -> str:
    """Return a fix as the statement that is run."""
    return fix.statement + (ONLINE if fix.online else "")
