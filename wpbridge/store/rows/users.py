"""Keep the users of the dashboard: names, roles, and hashes of passwords.

Each change writes a row of the audit table in its own transaction, and ends the user's sessions
where it must. WordPress's users are read by :mod:`wpbridge.store.rows.wordpress_users`.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.store.database.connection import Connection, Statement, text
from wpbridge.store.database.texts import date
from wpbridge.store.rows.audit import Audit
from wpbridge.store.rows.sessions import NewSession, Sessions
from wpbridge.store.schema.tables import USERS
from wpbridge.store.structure.tables import Tables

PREFIX: Final = "user:"
"""What stands before the name of a user of wpbridge in sessions and in the audit table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRecord:
    """Holds one row of the table."""

    name: str
    password_hash: str = field(repr=False)
    """As :mod:`wpbridge.access.user_hashes` makes it."""
    role: str
    created_at: datetime | None
    changed_at: datetime | None
    """When the password was set last."""
    used_at: datetime | None
    """When the user signed in last; None for never."""


class Users:
    """The users of one site's dashboard. All dates are by the database's clock."""

    def __init__(self, tables: Tables, audit: Audit, sessions: Sessions) -> None:
        self._session = tables.session
        self._own = tables.own
        self._audit = audit
        self._sessions = sessions
        self._table = table = tables.names.own_users
        now = tables.dialect.db_now
        read = f"SELECT name, password_hash, role, created_gmt, changed_gmt, used_gmt FROM {table}"
        self._all = text(f"{read} ORDER BY name")
        self._one = text(f"{read} WHERE name = :name")
        self._locked = text(f"{read} WHERE name = :name{tables.dialect.row_lock}")
        self._insert = text(
            USERS.insert_into(table, created_gmt=now, changed_gmt=now, used_gmt="NULL")
        )
        self._delete = text(f"DELETE FROM {table} WHERE name = :name")
        self._set_role = text(f"UPDATE {table} SET role = :role WHERE name = :name")
        self._set_password = text(
            f"UPDATE {table} SET password_hash = :password_hash, changed_gmt = {now}"
            " WHERE name = :name"
        )
        self._use = text(
            f"UPDATE {table} SET password_hash = :password_hash, used_gmt = {now}"
            " WHERE name = :name"
        )

    def all(self) -> list[UserRecord]:
        """Return all users by name; none without the table."""
        if not self._own.has(self._table):
            return []
        return self._session.run(lambda c: list(map(_record, c.execute(self._all))))

    def find(self, name: str) -> UserRecord | None:
        """Return the user of exactly this name; None where there is none."""
        if not self._own.has(self._table):
            return None
        return self._session.run(lambda c: self._found(c, self._one, name))

    def add(self, name: str, password_hash: str, *, role: str, who: str) -> None:
        """Add a user.

        Raises:
            InputError: there is a user of this name.
        """
        self._prepare()

        def add(connection: Connection) -> None:
            there = self._found(connection, self._locked, name)
            if there is not None and there.password_hash == password_hash:
                # A COMMIT of ours was never answered, and had been done.
                return
            if there is not None:
                raise InputError(f"there is a user {name} already: choose another name")
            values = {"name": name, "password_hash": password_hash, "role": role}
            connection.execute(self._insert, values)
            self._note(connection, who, "user-add", name, {"role": role})

        self._session.transact(add)

    def remove(self, name: str, *, who: str) -> bool:
        """Remove a user and end the user's sessions; return whether there was one."""
        self._prepare()

        def remove(connection: Connection) -> bool:
            there = self._found(connection, self._locked, name)
            if there is None:
                return False
            connection.execute(self._delete, {"name": name})
            ended = self._sessions.revoke_in(connection, f"{PREFIX}{name}")
            detail = {"role": there.role, "sessions": ended}
            self._note(connection, who, "user-remove", name, detail)
            return True

        return self._session.transact(remove)

    def set_password(self, name: str, password_hash: str, *, who: str) -> bool:
        """Give a user another password and end the user's sessions; return whether there is one."""
        self._prepare()

        def change(connection: Connection) -> bool:
            if self._found(connection, self._locked, name) is None:
                return False
            values = {"name": name, "password_hash": password_hash}
            connection.execute(self._set_password, values)
            ended = self._sessions.revoke_in(connection, f"{PREFIX}{name}")
            self._note(connection, who, "user-password", name, {"sessions": ended})
            return True

        return self._session.transact(change)

    def set_role(self, name: str, role: str, *, who: str) -> bool:
        """Give a user another role; return whether there is one. Sessions go on with it."""
        self._prepare()

        def change(connection: Connection) -> bool:
            there = self._found(connection, self._locked, name)
            if there is None:
                return False
            if there.role != role:
                connection.execute(self._set_role, {"name": name, "role": role})
                detail = {"role": role, "before": there.role}
                self._note(connection, who, "user-role", name, detail)
            return True

        return self._session.transact(change)

    def begin_session(
        self, name: str, new: NewSession, *, expected: str, password_hash: str
    ) -> bool:
        """Begin a session of a user whose password was found to be right.

        Args:
            name: of the user.
            new: the session.
            expected: the hash with which the password was compared.
            password_hash: what the table is to hold: the same, or a newer hash of the password.

        Returns:
            False where the user was removed, or has another password by now. Nothing was written.
        """
        self._prepare()

        def begin(connection: Connection) -> bool:
            there = self._found(connection, self._locked, name)
            if there is None or there.password_hash not in (expected, password_hash):
                return False
            connection.execute(self._use, {"name": name, "password_hash": password_hash})
            self._sessions.insert(connection, new)
            return True

        return self._session.transact(begin)

    def _prepare(self) -> None:
        self._own.ensure(self._table)
        self._sessions.prepare()

    def _note(
        self, connection: Connection, who: str, verb: str, name: str, detail: Mapping[str, object]
    ) -> None:
        self._audit.add(connection, who=who, verb=verb, thing=name, detail=detail)

    @staticmethod
    def _found(connection: Connection, statement: Statement, name: str) -> UserRecord | None:
        row = connection.execute(statement, {"name": name}).first()
        return None if row is None else _record(row)


def _record(row: tuple[object, ...]) -> UserRecord:
    name, password_hash, role, created, changed, used = row
    return UserRecord(
        name=str(name),
        password_hash=str(password_hash),
        role=str(role),
        created_at=date(created),
        changed_at=date(changed),
        used_at=date(used),
    )
