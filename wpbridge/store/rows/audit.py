"""Keep who changed what through a door: a command, the HTTP gateway or the dashboard.

A row is written in the transaction of the change itself. So no change is without its row, and no
row tells of a change that was not made.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from wpbridge.clock import to_text
from wpbridge.dataclass import dataclass
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import date
from wpbridge.store.schema.tables import AUDIT
from wpbridge.store.structure.tables import Tables

_COLUMNS: Final = "audit_id, at_gmt, who, verb, object, detail"
_NAME_CHARACTERS: Final = 255
_VERB_CHARACTERS: Final = 40


class AuditRow(NamedTuple):
    """A row that was written, but perhaps not committed."""

    id: int
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """Holds one row of the audit table."""

    id: int
    at: datetime | None
    """By the database's clock."""
    who: str
    """Such as ``cli:anna@host``, or ``key:shop``."""
    verb: str
    """What was done, such as ``key-add``."""
    thing: str
    """What it was done to, such as the name of a key."""
    detail: str
    """JSON. It never holds a secret. ``changed`` in it says how many, ``address`` from where."""


class Audit:
    """The audit table of one site."""

    def __init__(self, tables: Tables) -> None:
        self._session = tables.session
        self._own = tables.own
        self._table = table = tables.names.audit
        self._dialect = dialect = tables.dialect
        self._add = text(
            AUDIT.insert_into(table, at_gmt=dialect.db_now) + dialect.returning("audit_id")
        )
        self._date_of = text(f"SELECT at_gmt FROM {table} WHERE audit_id = :before")
        # This locks: where the server has not yet read that COMMIT, it waits for the row's lock.
        self._is_there = text(
            f"SELECT 1 FROM {table} WHERE audit_id = :id AND who = :who AND verb = :verb"
            f" AND object = :object AND detail = :detail{dialect.row_lock}"
        )

    def prepare(self) -> None:
        """Make the table where it is missing. A transaction that adds a row needs it."""
        self._own.ensure(self._table)

    def add(
        self,
        connection: Connection,
        *,
        who: str,
        verb: str,
        thing: str,
        detail: Mapping[str, object],
    ) -> "AuditRow":
        """Write a row in the transaction of the change. Texts that are too long are cut."""
        values: dict[str, object] = {
            "who": who[:_NAME_CHARACTERS],
            "verb": verb[:_VERB_CHARACTERS],
            "object": thing[:_NAME_CHARACTERS],
            "detail": json.dumps(detail, sort_keys=True),
        }
        done = connection.execute(self._add, values)
        [audit_id] = self._dialect.new_ids(connection, done, 1, self._table)
        return AuditRow(audit_id, values)

    def is_there(self, connection: Connection, row: "AuditRow") -> bool:
        """Tell whether a row was committed whose COMMIT got no answer.

        It is compared by id and content, since a server that was restarted may give the id away
        again.
        """
        return connection.execute(self._is_there, {**row.values, "id": row.id}).first() is not None

    def latest(self, most: int) -> list[AuditRecord]:
        """Return the newest rows, the newest first."""
        return self.page(most=most)

    def page(
        self,
        *,
        before_id: int | None = None,
        who: str = "",
        verb: str = "",
        thing: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        most: int = 100,
    ) -> list[AuditRecord]:
        """Return a page of the rows, the newest first, by the index of their dates.

        Args:
            before_id: where the last page ended.
            who: a text that must occur in who made the change, such as ``anna``.
            verb: exactly this change.
            thing: exactly what it was done to, such as ``action 17``.
            since: at this moment or later, in aware UTC.
            until: at this moment or earlier.
            most: so many rows at most.
        """
        if not self._own.has(self._table):
            return []
        values: dict[str, object] = {"most": most}
        parts = []
        for condition, name, value in (
            ("who LIKE :who ESCAPE '!'", "who", _inside(who) if who else None),
            ("verb = :verb", "verb", verb or None),
            ("object = :thing", "thing", thing or None),
            ("at_gmt >= :since", "since", since and to_text(since)),
            ("at_gmt <= :until", "until", until and to_text(until)),
        ):
            if value is not None:
                parts.append(condition)
                values[name] = value
        return self._session.run(lambda c: self._page(c, parts, values, before_id))

    def _page(
        self,
        connection: Connection,
        conditions: Sequence[str],
        values: Mapping[str, object],
        before_id: int | None,
    ) -> list[AuditRecord]:
        parts, given = list(conditions), dict(values)
        if before_id is not None:
            given |= {"before": before_id}
            at = connection.execute(self._date_of, given).scalar()
            if at is None:
                parts.append("audit_id < :before")
            else:
                given["at"] = at
                parts.append("at_gmt <= :at AND (at_gmt < :at OR audit_id < :before)")
        where = f" WHERE {' AND '.join(parts)}" if parts else ""
        order = " ORDER BY at_gmt DESC, audit_id DESC LIMIT :most"
        statement = text(f"SELECT {_COLUMNS} FROM {self._table}{where}{order}")
        return [
            AuditRecord(
                id=int(audit_id),
                at=date(at),
                who=str(told),
                verb=str(verb),
                thing=str(changed),
                detail=str(detail),
            )
            for audit_id, at, told, verb, changed, detail in connection.execute(statement, given)
        ]


def _inside(part: str) -> str:
    for special in "!%_":
        part = part.replace(special, f"!{special}")
    return f"%{part}%"
