"""Read the sites of a network from the network's own table."""

from wpbridge.errors import SiteError
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.session import Session


def blogs(session: Session, dialect: Dialect, base_prefix: str) -> list[tuple[int, str, str]]:
    """Return a network's sites: blog id, domain, path. Raises SiteError if there is no network."""
    found = blogs_or_none(session, dialect, base_prefix)
    if found is None:
        raise SiteError(
            f"there is no table {base_prefix}blogs: not a multisite network; leave out --url"
        )
    return found


def blogs_or_none(
    session: Session, dialect: Dialect, base_prefix: str
) -> list[tuple[int, str, str]] | None:
    """Return a network's sites; None where there is no network."""
    table = f"{base_prefix}blogs"

    def look(connection: Connection) -> list[tuple[int, str, str]] | None:
        if not dialect.columns(connection, table):
            return None
        rows = connection.execute(text(f"SELECT blog_id, domain, path FROM {table}"))
        return [(int(blog_id), str(domain), str(path)) for blog_id, domain, path in rows]

    return session.run(look)
