"""Make a site's tables where there are none, and remove our own."""

from wpbridge.store.database.connection import Connection, text
from wpbridge.store.structure.own_tables import OwnTables
from wpbridge.store.structure.tables import Connected, Tables


def create_tables(way: Connected, *, everything: bool) -> None:
    """Make our own tables, and with ``everything`` the plugin's tables that are missing.

    On SQLite ``everything`` also makes the file.
    """
    if everything:
        way.dialect.make_database(way.session.address)

    def create(connection: Connection) -> None:
        for statement in way.dialect.ddl.plugin(way.names) if everything else ():
            connection.execute(text(statement))

    way.session.run(create)
    OwnTables(way.session, way.names, way.dialect).ensure()


def drop_tables(way: Connected | Tables) -> None:
    """Remove our own tables. The plugin's are never removed."""
    OwnTables(way.session, way.names, way.dialect).drop()
