"""Who holds each claim, and whether its holder still lives."""

from datetime import datetime
from typing import Literal

from wpbridge.action import PLUGIN_TIMEOUT_SECONDS, ClaimId
from wpbridge.dataclass import dataclass
from wpbridge.queue.facade import Queue
from wpbridge.runner.identity import identity
from wpbridge.runner.liveness import is_dead
from wpbridge.store.base import RunnerRecord
from wpbridge.store.records import ClaimRecord
from wpbridge.store.running.seen_runners import seen_runners


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedClaim:
    """A claim and its holder."""

    claim: ClaimRecord
    runner: RunnerRecord | None
    """The wpbridge runner that holds it; None for one of PHP's."""
    kind: str
    """Of that runner, such as ``relay``; empty where nobody tells."""
    state: Literal["live", "dead", "stale", "empty"]


def owned_claims(queue: Queue, now: datetime) -> list[OwnedClaim]:
    """Return all claims of a queue with their holders."""
    seen = seen_runners(queue.store.tables)
    ours = {claim: one.runner for one in seen for claim in one.runner.claims}
    kinds = {claim: one.about.kind for one in seen for claim in one.runner.claims}
    return [
        OwnedClaim(
            claim=claim,
            runner=ours.get(claim.id),
            kind=kinds.get(claim.id, ""),
            state=_state(claim, ours, now),
        )
        for claim in queue.store.reading.claims()
    ]


def _state(
    claim: ClaimRecord, ours: dict[ClaimId, RunnerRecord], now: datetime
) -> Literal["live", "dead", "stale", "empty"]:
    if claim.is_orphan:
        return "empty"
    if claim.id in ours:
        return "dead" if is_dead(ours[claim.id], identity()) else "live"
    last = claim.last_attempt_at
    age = None if last is None else (now - last).total_seconds()
    # The plugin's cleaner judges the same way.
    return "stale" if age is None or age >= PLUGIN_TIMEOUT_SECONDS else "live"
