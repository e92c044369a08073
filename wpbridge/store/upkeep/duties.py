"""Duties that one runner of a site has at a time: whose turn it is, by the database's clock.

A duty has one date: when it may be taken. Taking it moves that date a little ahead, so a holder
that dies or hangs is followed by another soon; a holder at work moves it on, and one that is done
moves it to the next time. Two that both believe to hold it do no harm: each step of theirs is
guarded by what the rows say.
"""

from typing import Final, Literal, TypeAlias

from sqlalchemy import Connection, text

from wpbridge.store.structure.tables import Tables

Duty: TypeAlias = Literal["claims", "retention"]
LEASE_SECONDS: Final = 60
"""How long a holder may give no sign before another takes its duty."""
_FAR_SECONDS: Final = 172_800
"""A date so far ahead comes from a clock that was wrong."""


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
            f"{dialect.insert_ignore} INTO {table} (duty, holder, due_gmt, left_to)"
            f" VALUES (:duty, '', {now}, '')"
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
        """Take it if it is due and nobody else is quicker."""
        self._own.ensure(self._table)
        given = {"duty": duty, "holder": holder}

        def take(connection: Connection) -> bool:
            # Mostly it is not due, and nothing has to be written to see that.
            is_due = connection.execute(self._look, {"duty": duty}).scalar()
            if is_due is None:
                connection.execute(self._enter, {"duty": duty})
            elif not int(is_due):
                return False
            return bool(connection.execute(self._take, given).rowcount)

        return self._session.run(take)

    def keep(self, duty: Duty, holder: str) -> bool:
        """Go on with it; False when another has taken it."""
        given = {"duty": duty, "holder": holder}
        return self._session.run(lambda c: bool(c.execute(self._keep, given).rowcount))

    def give_back(self, duty: Duty, holder: str, *, after_seconds: int) -> None:
        """Have it done again after so long, by whoever comes first."""
        statement = text(
            f"UPDATE {self._table} SET due_gmt = {self._dialect.db_in(after_seconds)}"
            " WHERE duty = :duty AND holder = :holder"
        )
        given = {"duty": duty, "holder": holder}
        self._session.run(lambda c: c.execute(statement, given))

    def left_to(self, duty: Duty) -> str:
        """Who was seen doing it in our place, when somebody last looked; empty for nobody."""
        found = self._session.run(lambda c: c.execute(self._left_to, {"duty": duty}).scalar())
        return str(found or "")

    def sign_age_seconds(self, duty: Duty) -> float | None:
        """How long ago a runner took the duty or was done with it, a few seconds more or less.

        None where none ever did. The date of a duty tells it, since both move that date on.
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
        """Note who does it in our place."""
        given = {"duty": duty, "name": name}
        self._session.run(lambda c: c.execute(self._leave_to, given))
