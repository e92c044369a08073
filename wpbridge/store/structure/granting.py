"""Write the GRANT statements of an account, for the tables that one site has.

All rights are on single tables. So the name of the database stands in them as it is: only in rights
on a whole database are ``_`` and ``%`` patterns, and a backslash before them is for those alone.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.store.database.connection import Connection
from wpbridge.store.schema.layout import TableNames
from wpbridge.store.schema.purposes import Purpose, rights_in
from wpbridge.store.structure.tables import Connected

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The statements for one account."""

    statements: Sequence[str]
    missing: Sequence[str]
    """Tables of our own that are not there, so that no rights on them can be granted."""


def account_of(text: str) -> str:
    """Return ``USER@HOST`` as a statement has it.

    Raises:
        InputError: it names no host, or holds a character that no name has.
    """
    user, at, host = text.rpartition("@")
    if not (at and user and host) or _UNPRINTABLE.search(text):
        raise InputError(
            "--account: write USER@HOST, such as wpbridge@localhost; the host % stands for any"
        )
    return f"{quoted(user)}@{quoted(host)}"


def quoted(name: str) -> str:
    """Return a name in backticks, which stand in names of any SQL mode."""
    return f"`{name.replace('`', '``')}`"


def grants(way: Connected, purpose: Purpose, account: str, *, creates: bool) -> Granted:
    """Return the statements for an account of a purpose, on a site of MariaDB or MySQL.

    Tables of WordPress's and columns of theirs that are not there are left out.

    Args:
        way: the site's tables.
        purpose: one of those of :mod:`wpbridge.store.schema.purposes`.
        account: as :func:`account_of` returns it.
        creates: whether the account makes those of our own tables that are missing.
    """
    place = quoted(way.session.address.name or "")
    columns = way.session.run(lambda c: _columns(way, c, purpose))
    statements, missing = [], []
    for table, rights in tables_of(way.names, purpose).items():
        there, is_ours = columns[table], table in way.names.own
        if not there and is_ours and not (creates or purpose.makes_tables):
            missing.append(table)
        elif there or is_ours:
            listed = list(_fitting(rights, there))
            if not there and "CREATE" not in listed:
                # Whoever makes the first of the tables writes the facts of the site.
                listed += ["INSERT"] * (table == way.names.site) + ["CREATE"]
            if listed:
                on = f"{place}.{quoted(table)}"
                statements.append(f"GRANT {', '.join(listed)} ON {on} TO {account};")
    return Granted(statements=statements, missing=missing)


def tables_of(names: TableNames, purpose: Purpose) -> dict[str, str]:
    """Return, by the whole name of each table, the rights of a purpose on it."""
    found = {str(getattr(names, name)): rights for name, rights in purpose.rights.items()}
    wordpress = purpose.of_wordpress.items()
    return found | {names.of_wordpress(name): rights for name, rights in wordpress}


def _columns(way: Connected, connection: Connection, purpose: Purpose) -> dict[str, list[str]]:
    return {
        table: way.dialect.columns(connection, table) for table in tables_of(way.names, purpose)
    }


def _fitting(rights: str, there: Sequence[str]) -> Iterator[str]:
    """Yield the rights, those on columns without the columns that the table lacks.

    Rights on columns of a table that is not there yet cannot be granted: they are on all of it.
    """
    known = {name.lower() for name in there}
    for right, columns in rights_in(rights):
        if not (columns and there):
            yield right
        elif kept := [column for column in columns if column.lower() in known]:
            yield f"{right} ({', '.join(kept)})"
