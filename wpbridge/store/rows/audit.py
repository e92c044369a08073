"""Keep who changed what through a door: a command, the HTTP gateway or the dashboard.

A row is written in the transaction of the change itself. So no change is without its row, and no
row tells of a change that was not made.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import date
from wpbridge.store.schema.tables import AUDIT
from wpbridge.store.structure.tables import Tables

_NAME_CHARACTERS: Final = 255
_VERB_CHARACTERS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """Holds one row of the audit table."""

    at: datetime | None
    """By the database's clock."""
    who: str
    """Such as ``cli:anna@host``, or ``key:shop``."""
    verb: str
    """What was done, such as ``key-add``."""
    thing: str
    """What it was done to, such as the name of a key."""
    detail: str
    """JSON. It never holds a secret."""


class Audit:
    """The audit table of one site."""

    def __init__(self, tables: Tables) -> None:
        self._session = tables.session
        self._own = tables.own
        self._table = table = tables.names.audit
        self._add = text(AUDIT.insert_into(table, at_gmt=tables.dialect.db_now))
        self._latest = text(
            f"SELECT at_gmt, who, verb, object, detail FROM {table}"
            " ORDER BY audit_id DESC LIMIT :most"
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
    ) -> None:
        """Write a row in the transaction of the change. Texts that are too long are cut."""
        values: dict[str, object] = {
            "who": who[:_NAME_CHARACTERS],
            "verb": verb[:_VERB_CHARACTERS],
            "object": thing[:_NAME_CHARACTERS],
            "detail": json.dumps(detail, sort_keys=True),
        }
        connection.execute(self._add, values)

    def latest(self, most: int) -> list[AuditRecord]:
        """Return the newest rows, the newest first."""
        if not self._own.has(self._table):
            return []
        rows = self._session.run(lambda c: c.execute(self._latest, {"most": most}).fetchall())
        return [
            AuditRecord(
                at=date(at),
                who=str(who),
                verb=str(verb),
                thing=str(changed),
                detail=str(detail),
            )
            for at, who, verb, changed, detail in rows
        ]
