"""Fences: by what a worker recognizes that an action still waits for it.

A relay claims an action and names it to a worker in a message. The message may come late, twice, or
after the relay has died. So the message names the relay's claim and the relay itself. Only while
that relay's row is there, and names the claim, and the action waits in it, may the worker take the
action over. The claim's id alone is not enough: MySQL 5.7 gives out ids again after a restart.
"""

import re

from wpbridge.action import FREE, ActionId, ClaimId
from wpbridge.dataclass import dataclass
from wpbridge.store.base import RunnerRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """An action that somebody has named to a worker, and its fence."""

    action_id: ActionId
    claim_id: ClaimId = FREE
    """The relay's claim. An action that waits in no claim may be named, too."""
    relay: str = ""
    """The relay, as :func:`runner_name` names it."""

    @property
    def relay_id(self) -> int:
        """Return the id of the relay's row; 0 where the name is none of a runner."""
        told = self.relay.partition(".")[0]
        return int(told) if re.fullmatch(r"[0-9]{1,18}", told) else 0


def runner_name(runner: RunnerRecord) -> str:
    """Return a short name of one runner, which no other process ever has."""
    import hashlib  # noqa: PLC0415 - loads OpenSSL, and a look at runners needs no names

    told = f"{runner.host}\0{runner.boot}\0{runner.pid}\0{runner.pid_started}"
    return f"{runner.id}.{hashlib.sha256(told.encode()).hexdigest()[:12]}"
