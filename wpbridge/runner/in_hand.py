"""What a runner holds just now, and what it has done so far."""

from dataclasses import dataclass, field
from typing import NamedTuple

from wpbridge.action import Action, ActionId, ClaimId
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
    lost: int = 0
    """Ended by somebody else while we held them."""
    reclaimed: int = 0
    """Put back from dead runners."""
    batches: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Held:
    """What is known of a call that has not ended and whose claim is ours."""

    marked: bool = False
    """Its start is in the tables."""
    told: bool = False
    """That it started."""
    is_suspect: bool = False
    """A dead runner held it."""


class Ended(NamedTuple):
    """An ending that is not written yet."""

    ending: Ending
    report: Report | None
    """How the run went, to be told once it is settled; None when nothing is to be told."""


@dataclass(slots=True)
class Hold:
    """All of it; nothing of what has ended stays."""

    held: dict[Call, Held] = field(default_factory=dict)
    """By the call, since the old call of an action may still run when a new claim has it again."""
    claims: dict[ClaimId, set[ActionId]] = field(default_factory=dict)
    careful: list[Call] = field(default_factory=list)
    """To be marked before they are called."""
    endings: list[Ended] = field(default_factory=list)
    """To be written."""
    unrun: list[Action] = field(default_factory=list)
    """To be put back as they were."""
    booked: list[Report] = field(default_factory=list)
    """Ended by the plugin's runner: how is in the tables."""

    def is_empty(self) -> bool:
        """Whether nothing runs, waits or is to be written."""
        return not (self.held or self.endings or self.unrun or self.booked)

    def drop(self, call: Call) -> None:
        """Forget a call that is not ours any more, or that was put back."""
        self.held.pop(call, None)
        self.claims[call.action.claim_id].discard(call.action.id)

    def finished_claims(self) -> list[ClaimId]:
        """Claims that hold nothing any more, and are forgotten here."""
        finished = [claim for claim, ids in self.claims.items() if not ids]
        for claim in finished:
            del self.claims[claim]
        return finished

    def clear(self) -> None:
        """Others have it all."""
        self.held.clear()
        self.claims.clear()
        for heap in (self.careful, self.endings, self.unrun, self.booked):
            heap.clear()
