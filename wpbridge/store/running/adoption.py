"""Take over claims that others left: those of dead runners and those that no row names."""

from collections.abc import Collection, Sequence
from datetime import datetime

from wpbridge.action import Action, ActionId, ClaimId, RunnerId
from wpbridge.store.base import Adopted, RunnerRecord
from wpbridge.store.database.connection import Connection
from wpbridge.store.opened import OpenStore
from wpbridge.store.rows.writes import LostRaceError
from wpbridge.store.running.action_rows import ActionRows
from wpbridge.store.running.orphans import Orphans
from wpbridge.store.running.ownership import Ownership
from wpbridge.store.running.suspects import Suspects


class Adoption:
    """Takes over, for one runner, what others had in hand."""

    def __init__(
        self, store: OpenStore, rows: ActionRows, suspects: Suspects, ownership: Ownership
    ) -> None:
        self._session = store.session
        self._names = store.names
        self._own = store.own
        self._orphans = Orphans(store.tables)
        self._rows = rows
        self._suspects = suspects
        self._ownership = ownership

    def other_runners(self) -> Sequence[RunnerRecord]:
        """See :class:`wpbridge.store.protocol.Store`."""
        if not self._own.has(self._names.runners):
            return []
        everyone = self._session.run(self._ownership.everyone)
        return [runner for runner in everyone if runner.id != self._ownership.id]

    def adopt(self, runner: RunnerRecord) -> Adopted | None:
        """See :class:`wpbridge.store.protocol.Store`."""

        def take_over(connection: Connection) -> RunnerRecord | None:
            found = self._ownership.take_over(connection, runner)
            if found is None and runner.claims:
                # Perhaps we took it over before, and only the answer to that commit was lost.
                ours = self._ownership.look(connection)
                found = runner if ours.issuperset(runner.claims) else None
            if found is not None and found.claims and self._is_locked(connection, found.claims):
                raise LostRaceError
            if found is not None:
                once = self._ownership.once | found.once
                self._ownership.write(connection, gained=found.claims, once=once)
            return found

        try:
            found = self._session.transact(take_over)
        except LostRaceError:
            return None
        if found is None:
            return None
        self._ownership.keep()
        return Adopted(runner=found, actions=self._actions_of(found.claims))

    def orphans(self, *, now: datetime) -> Sequence[Action]:
        """See :class:`wpbridge.store.protocol.Store`."""
        ids = self._session.run(lambda c: self._orphans.find(c, now))
        return self._rows.actions(self._rows.load(ids)) if ids else []

    def adopt_orphans(
        self, claims: Collection[ClaimId], *, once: Collection[ActionId]
    ) -> Adopted | None:
        """See :class:`wpbridge.store.protocol.Store`."""
        wanted = sorted(claims)

        def adopt(connection: Connection) -> None:
            # The locks come first, so that the other runners' rows are then read as they are now.
            is_locked = self._is_locked(connection, wanted)
            others = self._orphans.owned(connection) - self._ownership.claims
            if is_locked or others.intersection(wanted):
                raise LostRaceError
            all_once = self._ownership.once | set(once)
            self._ownership.write(connection, gained=wanted, once=all_once)

        try:
            self._session.transact(adopt)
        except LostRaceError:
            return None
        self._ownership.keep()
        runner = RunnerRecord(
            id=RunnerId(0),
            host="",
            boot="",
            pid=0,
            pid_started="",
            version="",
            beat_age_seconds=0.0,
            claims=tuple(wanted),
            once=frozenset(once),
        )
        return Adopted(runner=runner, actions=self._actions_of(wanted))

    def suspect(self, ids: Collection[ActionId]) -> None:
        """See :class:`wpbridge.store.protocol.Store`."""
        if ids:
            self._own.ensure(self._names.suspects)
            self._session.transact(lambda c: self._suspects.add(c, ids))
            self._suspects.in_hand |= set(ids)

    def _is_locked(self, connection: Connection, claims: Sequence[ClaimId]) -> bool:
        """Tell whether another connection locks rows of these claims.

        A runner that was stopped in the middle of a transaction does. Whoever waited for its locks
        could not beat meanwhile, and would be taken for dead as well. Servers that cannot skip
        locked rows do wait here.
        """
        ids = {"ids": list(claims)}
        free = connection.execute(self._rows.lock_of_claims, ids).fetchall()
        return len(free) < len(self._rows.read(connection, self._rows.of_claims, claims))

    def _actions_of(self, claims: Sequence[ClaimId]) -> tuple[Action, ...]:
        if not claims:
            return ()
        rows = self._session.run(lambda c: self._rows.read(c, self._rows.of_claims, claims))
        return tuple(self._rows.actions(rows))
