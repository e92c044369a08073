"""Count the actions that relays have handed over to Celery and that no worker has started yet.

Such an action is pending in a claim of a relay. Which claims are a relay's, the table of runners
says: see :mod:`wpbridge.store.running.seen_runners`.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from wpbridge.action import ClaimId
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import date
from wpbridge.store.reading.counting import CAP
from wpbridge.store.reading.found import whole
from wpbridge.store.structure.tables import Tables


class HandedActions(NamedTuple):
    """What waits in some claims of relays."""

    by_claim: Mapping[ClaimId, int]
    """Claims in which nothing waits any more are left out."""
    oldest_at: datetime | None
    """When the oldest of these claims was made; None where nothing waits."""

    @property
    def actions(self) -> int:
        """Return how many actions wait; it stops at a cap."""
        return sum(self.by_claim.values())


NOTHING_HANDED = HandedActions({}, None)


def handed_in(tables: Tables, claims: Collection[ClaimId], most: int = CAP) -> HandedActions:
    """Count the pending actions of these claims, up to a cap; the index by claim finds them."""
    if not claims:
        return NOTHING_HANDED
    index = tables.dialect.use_index(tables.layout.claimed_index)
    count = text(
        f"SELECT claim_id, COUNT(*) FROM (SELECT claim_id FROM {tables.names.actions}{index}"
        " WHERE status = 'pending' AND claim_id IN :claims LIMIT :most) AS first GROUP BY claim_id"
    )
    oldest = text(
        f"SELECT MIN(date_created_gmt) FROM {tables.names.claims} WHERE claim_id IN :claims"
    )

    def read(connection: Connection) -> HandedActions:
        rows = connection.execute(count, {"claims": sorted(claims), "most": most}).fetchall()
        found = {ClaimId(whole(claim)): whole(actions) for claim, actions in rows}
        if not found:
            return NOTHING_HANDED
        made = connection.execute(oldest, {"claims": sorted(found)}).scalar()
        return HandedActions(found, date(made))

    return tables.session.run(read)
