"""Reach one site's tables, and look at what is there.

What the tables should look like is described in :mod:`wpbridge.store.schema.tables`.
"""

from dataclasses import replace

from wpbridge.dataclass import dataclass
from wpbridge.site.zone import Zone
from wpbridge.store.base import StoreInfo
from wpbridge.store.database.connection import Connection, DBAPIError, text
from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.session import Session, Transactor
from wpbridge.store.schema.ids import complaint, lost
from wpbridge.store.schema.layout import (
    NEWEST_SCHEMA,
    OLDEST_SCHEMA,
    STORE_OPTION,
    Layout,
    TableNames,
    layout_of,
)
from wpbridge.store.structure.own_tables import OwnTables


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """Holds the way to one site's tables, before they are looked at. It connects at first use."""

    session: Session
    names: TableNames
    dialect: Dialect

    def close(self) -> None:
        """Close the connection."""
        self.session.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Holds one site's tables as they were found, and the session that runs work on them."""

    session: Transactor
    names: TableNames
    dialect: Dialect
    """The dialect. It knows which server this is."""
    layout: Layout
    zone: Zone
    """The site's own time zone."""
    own: OwnTables

    def borrowed(self, session: Transactor, own: OwnTables | None) -> "Tables":
        """Return the same tables in a transaction of the caller's, which has its own character set.

        ``own`` makes our tables on another connection, where others see them before the caller
        commits. With None they are made in the transaction itself.
        """
        spoken = session.run(self.dialect.charset_of)
        layout = replace(self.layout, texts=self.layout.texts.spoken(spoken))
        if own is None:
            own = OwnTables(session, self.names, self.dialect)
            own.look()
        return replace(self, session=session, layout=layout, own=own)


def look(way: Connected) -> tuple[Tables, StoreInfo]:
    """Look at a site's tables and change nothing.

    Where the tables may only be read, the session refuses to write from now on, with the reason.

    Raises:
        SchemaError: a table or a column that wpbridge cannot do without is missing.
    """
    return way.session.run(lambda connection: _look(way, connection))


def _look(way: Connected, connection: Connection) -> tuple[Tables, StoreInfo]:
    dialect, names = way.dialect, way.names
    server = dialect.version(connection)
    layout = _layout(way, connection)
    broken = complaint(lost(names, dialect.key_columns(connection, names.keys_of_tables)))
    options = _options(connection, names)
    zone = Zone.from_options(options.get("timezone_string"), options.get("gmt_offset"))
    schema = _schema_number(options.get(STORE_OPTION))
    own = OwnTables(way.session, names, dialect)
    own.look()
    problems = _problems(schema, layout, own.refusal)
    problems += [broken] if broken else []
    way.session.refusal = "; ".join(problems)
    tables = Tables(
        session=way.session, names=names, dialect=dialect, layout=layout, zone=zone, own=own
    )
    info = StoreInfo(
        server=server,
        driver=dialect.driver,
        schema=schema,
        layout=layout.describe(),
        writable=not problems,
        zone=str(zone),
        skip_locked=dialect.can_skip_locked,
        problems=tuple(problems),
        notes=tuple(note for note in [own.note] if note),
    )
    return tables, info


def _layout(way: Connected, connection: Connection) -> Layout:
    dialect, names = way.dialect, way.names
    plugins = ("actions", "claims", "groups", "logs")
    found = {name: dialect.columns(connection, getattr(names, name)) for name in plugins}
    layout = layout_of(
        names.prefix,
        {name: columns for name, columns in found.items() if columns},
        dialect.indexes(connection, names.actions),
        plain_tables=tuple(dialect.without_transactions(connection, names.queue)),
    )
    return replace(layout, texts=dialect.texts(connection, names.all))


def _options(connection: Connection, names: TableNames) -> dict[str, str]:
    """Return the options of WordPress that we need; empty where there is no such table."""
    statement = f"SELECT option_name, option_value FROM {names.options}"
    try:
        rows = connection.execute(
            text(f"{statement} WHERE option_name IN :names"),
            {"names": [STORE_OPTION, "timezone_string", "gmt_offset"]},
        )
        return {str(name): str(value) for name, value in rows}
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return {}


def _schema_number(option: str | None) -> int | None:
    lead = (option or "").split(".", maxsplit=1)[0]
    return int(lead) if lead.isdigit() else None


def _problems(schema: int | None, layout: Layout, refusal: str) -> list[str]:
    problems = [refusal] if refusal else []
    if schema is not None and schema > NEWEST_SCHEMA:
        problems.append(
            f"store schema {schema} is newer than wpbridge knows ({NEWEST_SCHEMA}): reading only;"
            " upgrade wpbridge"
        )
    if schema is not None and schema < OLDEST_SCHEMA:
        problems.append(
            f"store schema {schema} is older than wpbridge supports ({OLDEST_SCHEMA}): reading"
            " only; update Action Scheduler"
        )
    if layout.plain_tables:
        name, *more = layout.plain_tables
        others = f", nor {', '.join(more)}" if more else ""
        problems.append(
            f"{name} has no transactions (MyISAM){others}: reading only; convert it with"
            " ALTER TABLE … ENGINE=InnoDB"
        )
    return problems
