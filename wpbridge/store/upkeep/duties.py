"""Say which one runner of a site has a duty, by the database's clock.

A duty has one date: from then on it may be taken. Taking it moves that date a little ahead, so
another runner soon follows one that dies or hangs. A runner at work moves the date on, and one that
is done moves it to the next time. Two runners that both believe to have it do no harm, since each
of their steps checks what the rows say.
"""

from typing import Final, Literal, TypeAlias

from wpbridge.store.database.connection import Connection, text
from wpbridge.store.schema.tables import DUTIES
from wpbridge.store.structure.tables import Tables

Duty: TypeAlias = Literal["claims", "retention", "old_rows", "history", "alerts"]
LEASE_SECONDS: Final = 60
"""A runner that gives no sign for so long loses its duty to another."""
_FAR_SECONDS: Final = 172_800
"""A date that is farther ahead comes from a clock that was wrong."""


class Duties:
    """The duties of one site."""

    def __init__(self, tables: Tables) -> None:
        names, dialect = tables.names, tables.dialect
        self._session = tables.session
        self._own = tables.own
        self._table = table = names.duties
        self._dialect = dialect
        now, lease = dialect.db_now, dialect.db_in(LEASE_SECONDS)
        is_due = f"(due_gmt <= {now} OR due_gmt > {dialect.db_in(_FAR_SECONDS)})"
        self._look = text(f"SELECT {is_due} FROM {table} WHERE duty = :duty")
        self._enter = text(
            DUTIES.insert_into(table, dialect.insert_ignore, holder="''", due_gmt=now, left_to="''")
        )
        self._take = text(
            f"UPDATE {table} SET holder = :holder, due_gmt = {lease}"
            f" WHERE duty = :duty AND {is_due}"
        )
        self._keep = text(
            f"UPDATE {table} SET due_gmt = {lease} WHERE duty = :duty AND holder = :holder"
        )
        self._leave_to = text(f"UPDATE {table} SET left_to = :name WHERE duty = :duty")
        self._left_to = text(f"SELECT left_to FROM {table} WHERE duty = :duty")

    def take(self, duty: Duty, holder: str) -> bool:
        """Take the duty if it is due and nobody else is quicker. Return whether it is ours now."""
        self._own.ensure(self._table)
        given = {"duty": duty, "holder": holder}

        def take(connection: Connection) -> bool:
            # Mostly it is not due, which is seen without writing.
            is_due = connection.execute(self._look, {"duty": duty}).scalar()
            if is_due is None:
                connection.execute(self._enter, {"duty": duty})
            elif not int(is_due):
                return False
            return bool(connection.execute(self._take, given).rowcount)

        return self._session.run(take)

    def keep(self, duty: Duty, holder: str) -> bool:
        """Go on with the duty. Return False when another has taken it."""
        given = {"duty": duty, "holder": holder}
        return self._session.run(lambda c: bool(c.execute(self._keep, given).rowcount))

    def give_back(self, duty: Duty, holder: str, *, after_seconds: int) -> None:
        """Give the duty back: it is due for anybody after so many seconds."""
        statement = text(
            f"UPDATE {self._table} SET due_gmt = {self._dialect.db_in(after_seconds)}"
            " WHERE duty = :duty AND holder = :holder"
        )
        given = {"duty": duty, "holder": holder}
        self._session.run(lambda c: c.execute(statement, given))

    def left_to(self, duty: Duty) -> str:
        """Return who was last seen doing the duty in our place; empty for nobody."""
        found = self._session.run(lambda c: c.execute(self._left_to, {"duty": duty}).scalar())
        return str(found or "")

    def sign_age_seconds(self, duty: Duty) -> float | None:
        """Return how long ago, within a few seconds, a runner took the duty or was done with it.

        None where none ever did. The date of a duty shows it, since both move that date on.
        """
        if not self._own.has(self._table):
            return None
        age = self._dialect.age_seconds("due_gmt")
        ask = text(f"SELECT {age} FROM {self._table} WHERE duty = :duty AND holder <> ''")
        found = self._session.run(lambda c: c.execute(ask, {"duty": duty}).scalar())
        if found is None or float(found) < -_FAR_SECONDS:
            return None
        return max(0.0, float(found) + LEASE_SECONDS)

    def leave_to(self, duty: Duty, name: str) -> None:
        """Note who does the duty in our place."""
        given = {"duty": duty, "name": name}
        self._session.run(lambda c: c.execute(self._leave_to, given))
