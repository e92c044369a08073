"""Free the pending rows of a claim whose runner has shown no sign of life for long."""

from datetime import datetime

from wpbridge.action import ActionId, ClaimId
from wpbridge.clock import to_text
from wpbridge.outcome import LogLine
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.rows.inserts import Inserts
from wpbridge.store.structure.tables import Tables
from wpbridge.store.upkeep.cleaning import RESET


class StaleClaims:
    """Frees claims of one site that nobody keeps fresh."""

    def __init__(self, tables: Tables, inserts: Inserts) -> None:
        self._session = tables.session
        self._inserts = inserts
        actions, claims = tables.names.actions, tables.names.claims
        # The claim index lets these two find few rows among millions that keep their claim.
        stale = (
            "claim_id = :claim AND status = 'pending'"
            " AND (last_attempt_gmt <= :before OR last_attempt_gmt IS NULL)"
        )
        self._find = text(f"SELECT action_id FROM {actions} WHERE {stale}{tables.dialect.row_lock}")
        self._free = text(f"UPDATE {actions} SET claim_id = 0 WHERE action_id IN :ids AND {stale}")
        self._drop = text(
            f"DELETE FROM {claims} WHERE claim_id = :claim"
            f" AND NOT EXISTS (SELECT 1 FROM {actions} a WHERE a.claim_id = :claim"
            " AND a.status IN ('pending', 'in-progress'))"
        )

    def free(self, claim: ClaimId, *, before: datetime, now: datetime) -> list[ActionId]:
        """Free the pending rows of a claim that have shown no sign of life since ``before``.

        It does what `reset_timeouts` of the plugin's cleaner does. The claim's own row goes when no
        pending or running row is left in it. Returns the freed actions.
        """
        given = {"claim": claim, "before": to_text(before)}

        def free(connection: Connection) -> list[ActionId]:
            rows = connection.execute(self._find, given).fetchall()
            found = sorted(ActionId(int(action)) for (action,) in rows)
            if found:
                connection.execute(self._free, {"ids": found, **given})
                line = LogLine(message=RESET, at=now)
                self._inserts.logs(connection, [(i, line) for i in found])
            connection.execute(self._drop, {"claim": claim})
            return found

        return self._session.transact(free)
