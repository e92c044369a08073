"""Write the starts, endings and releases of one runner, each in one transaction.

Each returns what it has really changed.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from wpbridge.action import Action, ActionId, ClaimId, Status
from wpbridge.outcome import LogLine
from wpbridge.store.base import Ending
from wpbridge.store.database.connection import Connection
from wpbridge.store.opened import OpenStore
from wpbridge.store.rows.results import Results
from wpbridge.store.rows.writes import LostRaceError, Writes
from wpbridge.store.running.limits import Limits
from wpbridge.store.running.ownership import Ownership
from wpbridge.store.running.suspects import Suspects
from wpbridge.telling.log import tell


class _StatusChange(NamedTuple):
    """A change of an action's status that is about to be written."""

    action: Action
    before: Status
    after: Status

    def is_ahead(self, status: str, claim: ClaimId) -> bool:
        """Tell whether a row is as it was before the change, so that we may change it."""
        return status == self.before and claim == self.action.claim_id

    def is_behind(self, status: str, claim: ClaimId) -> bool:
        """Tell whether a row is as the change leaves it."""
        freed = self.after is Status.PENDING
        return status == self.after and claim == (0 if freed else self.action.claim_id)


class Settling:
    """Endings that are about to be written, and the claims in which nothing is left then."""

    def __init__(
        self,
        endings: Sequence[Ending],
        now: datetime,
        lost: frozenset[ClaimId],
        *,
        once: frozenset[ActionId],
        suspects: Suspects,
        writes: Writes,
        results: Results,
    ) -> None:
        self.endings = endings
        self.lost = lost
        self.once = once
        """The started actions that must not start a second time, once this is written."""
        self.changes = {
            e.action.id: _StatusChange(
                e.action, Status.IN_PROGRESS if e.marked else Status.PENDING, e.status
            )
            for e in endings
        }
        self._now = now
        self._suspects = suspects
        self._writes = writes
        self._results = results

    def is_empty(self) -> bool:
        """Return whether there is nothing to write."""
        return not (self.endings or self.lost)

    def write(self, connection: Connection, ids: frozenset[ActionId]) -> None:
        """Write those of these actions. Raises LostRaceError when one is not ours any more."""
        ours = [ending for ending in self.endings if ending.action.id in ids]
        self._writes.end(connection, ours, self._now)
        results = [(e.action.id, e.result) for e in ours if e.result is not None]
        if results and self._results.is_kept():
            self._results.write(connection, results, self._now)
        over = {e.action.id for e in ours if e.status is not Status.PENDING}
        self._suspects.clear(connection, self._suspects.in_hand & over)
        if ids != self.changes.keys():
            self._free_strays(connection)
        self._writes.finish(connection, self.lost)

    def _free_strays(self, connection: Connection) -> None:
        """Put back rows that are pending in our claim though they should be running or have ended.

        Somebody has set them back, or the server forgot their start. Their claim is freed now.
        """
        claims = {ending.action.id: ending.action.claim_id for ending in self.endings}
        states = self._writes.states(connection, sorted(claims))
        for action_id, (status, claim) in states.items():
            if status == Status.PENDING and claim == claims[action_id]:
                self._writes.free(connection, [action_id], claim)


class Endings:
    """Writes what becomes of the actions that one runner has in hand."""

    def __init__(
        self, store: OpenStore, limits: Limits, suspects: Suspects, ownership: Ownership
    ) -> None:
        self._session = store.session
        self._dialect = store.dialect
        self._writes = store.writes
        self._results = store.results
        self._limits = limits
        self._suspects = suspects
        self._ownership = ownership
        self._has_warned = False

    def start(
        self, started: Sequence[tuple[Action, Sequence[LogLine]]], *, now: datetime, once: bool
    ) -> frozenset[ActionId]:
        """See :class:`wpbridge.store.protocol.Store`."""
        wanted = {action.id: (action, lines) for action, lines in started}
        if once:
            self._warn_of_forgetfulness()
        held_once = self._ownership.once | set(wanted) if once else self._ownership.once

        def start(connection: Connection, ids: frozenset[ActionId]) -> None:
            self._ownership.write(connection, once=held_once)
            self._writes.start(connection, [wanted[i][0] for i in sorted(ids)], now)
            self._writes.insert_logs(
                connection, [(i, line) for i in wanted if i in ids for line in wanted[i][1]]
            )

        changes = {
            i: _StatusChange(action, Status.PENDING, Status.IN_PROGRESS)
            for i, (action, _) in wanted.items()
        }
        marked = self._settling(start, changes)
        self._ownership.keep()
        return marked

    def _warn_of_forgetfulness(self) -> None:
        """Warn once where at most once cannot be promised, since the server may forget a start."""
        if self._has_warned:
            return
        self._has_warned = True
        if reason := self._session.run(self._dialect.forgets):
            tell("store.forgetful", reason=f"{reason}: an action may start more than once then")

    def settle(
        self, endings: Sequence[Ending], *, now: datetime, finished: Collection[ClaimId] = ()
    ) -> frozenset[ActionId]:
        """See :class:`wpbridge.store.protocol.Store`."""
        settling = self.settling(endings, now=now, finished=finished)
        if settling.is_empty():
            return frozenset()

        def settle(connection: Connection, ids: frozenset[ActionId]) -> None:
            settling.write(connection, ids)
            self._ownership.write(connection, lost=settling.lost, once=settling.once)

        done = self._settling(settle, settling.changes)
        self._ownership.keep()
        self.note(settling, done)
        return done

    def settling(
        self, endings: Sequence[Ending], *, now: datetime, finished: Collection[ClaimId]
    ) -> "Settling":
        """Prepare the writing of endings, in a transaction of their own or in that of a claim."""
        return Settling(
            endings,
            now,
            frozenset(finished),
            once=self._ownership.once - {ending.action.id for ending in endings},
            suspects=self._suspects,
            writes=self._writes,
            results=self._results,
        )

    def settle_on(self, connection: Connection, settling: "Settling") -> frozenset[ActionId]:
        """Write endings in the transaction of a claim, which also writes the row of the runner.

        Returns the actions whose endings were still ours to write, as :meth:`settle` does. Raises
        LostRaceError when some were not; nothing of the transaction may then be committed, and the
        endings have to be settled by themselves.
        """
        if self._session.in_doubt:
            return self._one_by_one(connection, settling.write, settling.changes)
        everything = frozenset(settling.changes)
        settling.write(connection, everything)
        return everything

    def note(self, settling: "Settling", done: frozenset[ActionId]) -> None:
        """Remember what has been settled, once it is committed."""
        self._suspects.in_hand -= done
        self._limits.freed(ending.action for ending in settling.endings)

    def _settling(
        self,
        work: Callable[[Connection, frozenset[ActionId]], None],
        turns: dict[ActionId, _StatusChange],
    ) -> frozenset[ActionId]:
        """Do the work for all; if some are lost, look which are still ours and do it for those.

        What a commit without an answer has done is found done, and counts as done.
        """
        everything = frozenset(turns)

        def one_by_one(connection: Connection) -> frozenset[ActionId]:
            return self._one_by_one(connection, work, turns)

        def together(connection: Connection) -> frozenset[ActionId]:
            if self._session.in_doubt:
                return one_by_one(connection)
            work(connection, everything)
            return everything

        try:
            return self._session.transact(together)
        except LostRaceError:
            return self._session.transact(one_by_one)

    def _one_by_one(
        self,
        connection: Connection,
        work: Callable[[Connection, frozenset[ActionId]], None],
        turns: dict[ActionId, _StatusChange],
    ) -> frozenset[ActionId]:
        states = self._writes.states(connection, sorted(turns))
        ours = frozenset(i for i, row in states.items() if turns[i].is_ahead(*row))
        done = frozenset(i for i, row in states.items() if turns[i].is_behind(*row))
        work(connection, ours)
        return ours | done if self._session.in_doubt else ours

    def release(self, actions: Sequence[Action], *, finished: Collection[ClaimId] = ()) -> int:
        """See :class:`wpbridge.store.protocol.Store`."""
        lost = set(finished)
        if not (actions or lost):
            return 0

        def release(connection: Connection) -> int:
            freed = 0
            for claim in {action.claim_id for action in actions}:
                ids = [a.id for a in actions if a.claim_id == claim]
                freed += self._writes.free(connection, ids, claim)
            self._writes.finish(connection, lost)
            self._ownership.write(connection, lost=lost)
            return len(actions) if self._session.in_doubt else freed

        freed = self._session.transact(release)
        self._ownership.keep()
        self._suspects.in_hand -= {action.id for action in actions}
        self._limits.freed(actions)
        return freed

    def heartbeat(self, in_hand: Sequence[ActionId], *, now: datetime) -> bool:
        """See :class:`wpbridge.store.protocol.Store`."""
        if not in_hand:
            return self._session.run(self._ownership.beat)

        def beat(connection: Connection) -> bool:
            self._writes.touch(connection, in_hand, self._ownership.claims, now)
            return self._ownership.beat(connection)

        return self._session.transact(beat)


class CarriedEndings:
    """Endings of what ran before, which are written in the transaction of the next claim."""

    def __init__(self, endings: Endings, settling: Settling) -> None:
        self._endings = endings
        self._settling = settling
        self._tried: frozenset[ActionId] = frozenset()
        self.settled: frozenset[ActionId] | None = None
        """The actions that were still ours to end; None when the endings are not written."""

    def settle(self, connection: Connection) -> Settling:
        """Write the endings. Raises LostRaceError as :meth:`Endings.settle_on` does."""
        self._tried = self._endings.settle_on(connection, self._settling)
        return self._settling

    def keep(self) -> None:
        """Remember that they are written, once the transaction is committed."""
        self._endings.note(self._settling, self._tried)
        self.settled = self._tried
