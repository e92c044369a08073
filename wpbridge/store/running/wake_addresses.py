"""Read where the daemons of a site hear wakes."""

from typing import Final, NamedTuple

from wpbridge.store.database.connection import Connection, text
from wpbridge.store.structure.tables import Tables

SILENT_SECONDS: Final = 120
"""PHP sends to no runner that has not beaten for so long."""
_COLUMN: Final = "wake_address"


class WakeAddress(NamedTuple):
    """Where one daemon hears wakes."""

    host: str
    """The name of the daemon's host."""
    addresses: tuple[str, ...]
    """PHP sends to the first one that takes it."""


def wake_addresses(tables: Tables) -> list[WakeAddress]:
    """Return where the living daemons hear wakes; none of those that only poll."""
    session, dialect, table = tables.session, tables.dialect, tables.names.runners
    if not tables.own.has(table):
        return []
    statement = text(
        f"SELECT DISTINCT host, {_COLUMN} FROM {table} WHERE {_COLUMN} <> ''"
        f" AND {dialect.age_seconds('beat_gmt')} <= :silent ORDER BY host, {_COLUMN}"
    )

    def read(connection: Connection) -> list[WakeAddress]:
        if _COLUMN not in dialect.columns(connection, table):
            return []
        rows = connection.execute(statement, {"silent": SILENT_SECONDS})
        return [WakeAddress(str(host), tuple(str(told).split())) for host, told in rows]

    return session.run(read)
