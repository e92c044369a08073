"""What a runner has in hand just now, and what it has done so far."""

from collections.abc import Iterable
from dataclasses import field
from typing import NamedTuple

from wpbridge.action import Action, ActionId, ClaimId
from wpbridge.dataclass import dataclass
from wpbridge.executors.base import Call, Report
from wpbridge.store.base import Ending


@dataclass(slots=True, kw_only=True)
class Totals:
    """What a run did, in actions."""

    claimed: int = 0
    complete: int = 0
    failed: int = 0
    retried: int = 0
    canceled: int = 0
    released: int = 0
    held: int = 0
    """Not run and put back: no callback, or no WordPress to run them."""
    handed: int = 0
    """Handed over to workers, or canceled before one has started them."""
    lost: int = 0
    """Ended by somebody else while we had them in hand."""
    reclaimed: int = 0
    """Put back from dead runners."""
    batches: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class CallState:
    """What is known of a call that has not ended and whose claim is ours."""

    is_marked: bool = False
    """Its start mark is in the tables."""
    is_told: bool = False
    """The event of its start was sent."""
    is_suspect: bool = False
    """A dead runner had its action in hand."""


class Ended(NamedTuple):
    """An ending that is not written yet."""

    ending: Ending
    report: Report | None
    """How the run went, for the event that follows; None when no event follows."""


@dataclass(slots=True)
class InHand:
    """Everything that a runner has in hand; nothing of what has ended stays."""

    calls: dict[Call, CallState] = field(default_factory=dict)
    """By the call, since the old call of an action may still run when a new claim has it again."""
    claims: dict[ClaimId, set[ActionId]] = field(default_factory=dict)
    to_mark: list[Call] = field(default_factory=list)
    """Calls whose start mark must be written before the call."""
    endings: list[Ended] = field(default_factory=list)
    """Endings to be written."""
    unrun: list[Action] = field(default_factory=list)
    """Actions to be put back as they were."""
    ended_by_plugin: list[Report] = field(default_factory=list)
    """The plugin's runner wrote the endings; the tables tell which."""
    ran: set[str] = field(default_factory=set)
    """The hooks of which an action has ended since it was last looked which hooks are held."""

    def is_empty(self) -> bool:
        """Return whether nothing runs, waits or is to be written."""
        return not (self.calls or self.endings or self.unrun or self.ended_by_plugin)

    def drop(self, calls: Iterable[Call]) -> None:
        """Forget calls that are not ours any more, or that were put back."""
        for call in calls:
            self.calls.pop(call, None)
            self.claims[call.action.claim_id].discard(call.action.id)

    def finished_claims(self) -> list[ClaimId]:
        """Forget the claims of which nothing is in hand any more, and return them."""
        finished = [claim for claim, ids in self.claims.items() if not ids]
        for claim in finished:
            del self.claims[claim]
        return finished

    def clear(self) -> int:
        """Forget everything, since others have it; return how many actions that were."""
        lost = len(self.calls) + len(self.endings)
        self.calls.clear()
        self.claims.clear()
        for heap in (self.to_mark, self.endings, self.unrun, self.ended_by_plugin):
            heap.clear()
        return lost
