"""Keep who is signed in to the dashboard, so that each session can be ended before its time.

A row has the hash of a session's id, and never the id. All dates are by the database's clock.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from wpbridge.dataclass import dataclass
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import date
from wpbridge.store.rows.audit import Audit
from wpbridge.store.schema.tables import SESSIONS
from wpbridge.store.structure.tables import Tables

KEPT_SECONDS: Final = 86_400
"""So long after its end a session's row is kept."""
_PIECE: Final = 500
"""So many old rows each new session removes."""
MOST_LISTED: Final = 1000


class NewSession(NamedTuple):
    """A session that begins."""

    id_hash: str
    """SHA-256 of its id, in hexadecimal digits."""
    person: str
    """Such as ``user:anna``."""
    source: str
    role: str
    seconds: int
    """How long it lasts."""
    address: str
    """From where, for the audit table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """Holds one row of a session that counts."""

    person: str
    source: str
    role: str
    """What it was when the session began."""
    created_at: datetime | None
    expires_at: datetime | None


class Sessions:
    """The sessions of one site's dashboard."""

    def __init__(self, tables: Tables, audit: Audit) -> None:
        self._dialect = dialect = tables.dialect
        self._session = tables.session
        self._own = tables.own
        self._audit = audit
        self._table = table = tables.names.sessions
        now = dialect.db_now
        counts = f"revoked_gmt IS NULL AND expires_gmt > {now}"
        read = f"SELECT person, source, role, created_gmt, expires_gmt FROM {table}"
        self._one = text(f"{read} WHERE id_hash = :id_hash AND {counts}")
        # By the index of the dates, the newest first. Sessions are short, so few rows count.
        self._all = text(
            f"{read} WHERE {counts} ORDER BY expires_gmt DESC, id_hash LIMIT {MOST_LISTED}"
        )
        revoke = f"UPDATE {table} SET revoked_gmt = {now} WHERE {counts}"
        self._revoke_one = text(f"{revoke} AND id_hash = :id_hash")
        self._revoke_person = text(f"{revoke} AND person = :person")
        self._revoke_all = text(revoke)
        self._old = text(
            f"SELECT id_hash FROM {table} WHERE expires_gmt <= {dialect.db_in(-KEPT_SECONDS)}"
            f" ORDER BY expires_gmt LIMIT {_PIECE}"
        )
        self._remove = text(f"DELETE FROM {table} WHERE id_hash IN :hashes")

    def begin(self, new: NewSession) -> None:
        """Add a session of somebody who is no user of wpbridge; note it in the audit table."""
        self.prepare()
        self._session.transact(lambda c: self.insert(c, new))

    def insert(self, connection: Connection, new: NewSession) -> None:
        """Add a session in a transaction of the caller, and remove some that are long over."""
        insert = SESSIONS.insert_into(
            self._table,
            self._dialect.insert_ignore,
            created_gmt=self._dialect.db_now,
            expires_gmt=self._dialect.db_in(new.seconds),
            revoked_gmt="NULL",
        )
        given = new._asdict()
        values = {name: given[name] for name in ("id_hash", "person", "source", "role")}
        if not connection.execute(text(insert), values).rowcount:
            # A COMMIT of ours was never answered, and had been done.
            return
        detail = {"source": new.source, "role": new.role, "address": new.address}
        self._note(connection, new.person, "sign-in", new.person, detail)
        hashes = [str(one) for (one,) in connection.execute(self._old)]
        if hashes:
            connection.execute(self._remove, {"hashes": hashes})

    def find(self, id_hash: str) -> SessionRecord | None:
        """Return a session; None where there is none, and where it has ended or was revoked."""
        if not self._own.has(self._table):
            return None
        row = self._session.run(lambda c: c.execute(self._one, {"id_hash": id_hash}).first())
        return None if row is None else _record(row)

    def all(self) -> list[SessionRecord]:
        """Return the sessions that count, at most :data:`MOST_LISTED` of them."""
        if not self._own.has(self._table):
            return []
        return self._session.run(lambda c: list(map(_record, c.execute(self._all))))

    def end(self, id_hash: str, *, who: str) -> bool:
        """End one session because its person signs out; return whether it had counted."""
        self.prepare()

        def end(connection: Connection) -> bool:
            done = bool(connection.execute(self._revoke_one, {"id_hash": id_hash}).rowcount)
            if done:
                self._note(connection, who, "sign-out", who, {})
            return done

        return self._session.transact(end)

    def revoke(self, person: str | None, *, who: str) -> int:
        """End the sessions of a person, or of all with None; return how many had counted."""
        self.prepare()

        def revoke(connection: Connection) -> int:
            ended = self.revoke_in(connection, person)
            if ended:
                self._note(connection, who, "sessions-revoke", person or "*", {"sessions": ended})
            return ended

        return self._session.transact(revoke)

    def revoke_in(self, connection: Connection, person: str | None) -> int:
        """End the sessions of a person in a transaction of the caller, who notes why."""
        if person is None:
            return int(connection.execute(self._revoke_all).rowcount)
        return int(connection.execute(self._revoke_person, {"person": person}).rowcount)

    def prepare(self) -> None:
        """Make the tables where they are missing. A transaction that adds a session needs them."""
        self._own.ensure(self._table)
        self._audit.prepare()

    def _note(
        self, connection: Connection, who: str, verb: str, thing: str, detail: Mapping[str, object]
    ) -> None:
        self._audit.add(connection, who=who, verb=verb, thing=thing, detail=detail)


def _record(row: tuple[object, ...]) -> SessionRecord:
    person, source, role, created, expires = row
    return SessionRecord(
        person=str(person),
        source=str(source),
        role=str(role),
        created_at=date(created),
        expires_at=date(expires),
    )
