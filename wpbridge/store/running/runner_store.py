"""The store as one runner sees it, on MariaDB/MySQL and SQLite alike.

It is not safe for several threads: the runner's loop owns it. The steps live in
:mod:`~wpbridge.store.running.claiming`, :mod:`~wpbridge.store.running.endings` and
:mod:`~wpbridge.store.running.adoption`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from wpbridge.action import Action, ActionId, Claim, ClaimId, NewAction, RunnerId, Status
from wpbridge.outcome import LogLine, Progress
from wpbridge.store.base import (
    Adopted,
    ClaimAndSettled,
    ClaimFilter,
    Ending,
    Portion,
    RunnerRecord,
    Sight,
    StartPlan,
)
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import number
from wpbridge.store.opened import OpenStore
from wpbridge.store.queueing.adding import Request
from wpbridge.store.records import Pause
from wpbridge.store.running.adoption import Adoption
from wpbridge.store.running.claiming import Claiming
from wpbridge.store.running.endings import CarriedEndings, Endings
from wpbridge.store.running.limits import Limits
from wpbridge.store.running.looks import IdleLook
from wpbridge.store.running.ownership import Ownership
from wpbridge.store.running.suspects import Suspects
from wpbridge.store.structure.tables import Connected, look


class RunnerStore:
    """See :class:`wpbridge.store.protocol.Store`."""

    def __init__(self, store: OpenStore, *, has_broker: bool = False) -> None:
        """``has_broker``: there may be rows of what was enqueued through a broker."""
        self.parts = store
        self.session = store.session
        self.names = store.names
        self._pid_started = ""
        self._has_registered = False
        """Whether the tables have to be read anew: they were, when the store was opened."""
        self._limits = Limits(store.tables, store.groups)
        self._ownership = Ownership(store.tables)
        self._suspects = suspects = Suspects(store.tables)
        self._claiming = Claiming(
            store, self._limits, suspects, self._ownership, has_broker=has_broker
        )
        self._rows = self._claiming.rows
        self._endings = Endings(store, self._limits, suspects, self._ownership)
        self._adoption = Adoption(store, self._rows, suspects, self._ownership)
        self._idle_look = IdleLook(store.tables)

    @property
    def is_remote(self) -> bool:
        """See :class:`Store`."""
        return not self.parts.dialect.is_file

    # Ownership

    def register(
        self,
        *,
        host: str,
        boot: str,
        pid: int,
        pid_started: str,
        wake_address: str = "",
        places: int = 1,
    ) -> RunnerId:
        """See :class:`Store`."""
        store = self.parts
        if self._has_registered:
            # A runner that begins anew reads the tables anew: its server may have forgotten some.
            look(Connected(session=store.session, names=store.names, dialect=store.dialect))
        self._has_registered = True
        store.check_writable()
        self._pid_started = pid_started[:64]
        store.own.prepare()
        self._suspects.in_hand = frozenset()
        if self.session.run(store.keys.has_through):
            # Also where the settings have no broker any more: the attempts of an action have one
            # key.
            self._rows.read_through(store.keys.through)
        return self.session.transact(
            lambda c: self._ownership.enter(
                c,
                host=host,
                boot=boot,
                pid=pid,
                pid_started=pid_started,
                wake_address=wake_address,
                places=places,
            )
        )

    def tell_places(self, places: int) -> None:
        """See :class:`Store`."""
        self.session.run(lambda c: self._ownership.tell_places(c, places))

    def tell_about(self, about: str) -> None:
        """See :class:`Store`."""
        self.session.run(lambda c: self._ownership.tell_about(c, about))

    def wish(self) -> str:
        """See :class:`Store`."""
        return self.session.run(self._ownership.wish)

    def carry_wish(self, wish: str) -> None:
        """See :class:`Store`."""
        self.session.run(lambda c: self._ownership.carry_wish(c, wish))

    def unregister(self) -> None:
        """See :class:`Store`."""
        if self._ownership.id is not None and not self._ownership.claims:
            self.session.run(self._ownership.leave)

    def other_runners(self) -> Sequence[RunnerRecord]:
        """See :class:`Store`."""
        return self._adoption.other_runners()

    def adopt(self, runner: RunnerRecord) -> Adopted | None:
        """See :class:`Store`."""
        return self._adoption.adopt(runner)

    def orphans(self, *, now: datetime) -> Sequence[Action]:
        """See :class:`Store`."""
        return self._adoption.orphans(now=now)

    def adopt_orphans(
        self, claims: Collection[ClaimId], *, once: Collection[ActionId]
    ) -> Adopted | None:
        """See :class:`Store`."""
        return self._adoption.adopt_orphans(claims, once=once)

    def suspect(self, ids: Collection[ActionId]) -> None:
        """See :class:`Store`."""
        self._adoption.suspect(ids)

    def whoami(self) -> tuple[int, str] | None:
        """Return id and start of our row in the table of runners, for PHP workers to look up.

        On SQLite it is None: WordPress's driver does not know tables that others made.
        """
        me = self._ownership.id
        return (
            (me, self._pid_started) if me is not None and self.parts.dialect.php_sees_ours else None
        )

    @property
    def runner_name(self) -> str:
        """Return by what fences name this runner."""
        return self._ownership.name

    # Claiming, starting, ending

    def claim_due(
        self,
        *,
        now: datetime,
        limit: int,
        only: ClaimFilter,
        dry_run: bool = False,
        start_plan: StartPlan | None = None,
        portion: Portion = len,
    ) -> Claim | None:
        """See :class:`Store`."""
        claimed = self._claiming.claim_due(
            now=now,
            limit=limit,
            only=only,
            dry_run=dry_run,
            start_plan=start_plan,
            portion=portion,
        )
        return None if claimed is None else claimed.make()

    def claim_and_settle(
        self,
        endings: Sequence[Ending],
        *,
        finished: Collection[ClaimId],
        now: datetime,
        limit: int,
        only: ClaimFilter,
        start_plan: StartPlan | None,
        portion: Portion,
        meanwhile: Callable[[], bool] | None = None,
    ) -> ClaimAndSettled:
        """See :class:`Store`."""
        # Limits count what runs: what has ended must be committed before they are asked.
        is_alone = bool(only.limits) or not (endings or finished)
        settling = self._endings.settling(endings, now=now, finished=finished)
        carried = None if is_alone else CarriedEndings(self._endings, settling)
        with self.session.meanwhile(meanwhile):
            claimed = self._claiming.claim_due(
                now=now,
                limit=limit,
                only=only,
                start_plan=start_plan,
                portion=portion,
                carried=carried,
            )
        return ClaimAndSettled(claim=claimed, settled=None if carried is None else carried.settled)

    def still_claimed(self, actions: Sequence[Action]) -> frozenset[ActionId]:
        """See :class:`Store`."""
        claims = {action.id: action.claim_id for action in actions}
        if not claims:
            return frozenset()
        rows = self._rows.load(sorted(claims))
        pending = self._rows.actions([row for row in rows if row.status == Status.PENDING])
        return frozenset(a.id for a in pending if a.claim_id == claims[a.id])

    def waiting(self, claims: Collection[ClaimId]) -> frozenset[ActionId]:
        """See :class:`Store`."""
        if not claims:
            return frozenset()
        return frozenset(self.session.run(lambda c: self.parts.writes.waiting(c, claims)))

    def states(self, actions: Sequence[Action]) -> dict[ActionId, tuple[str, ClaimId]]:
        """See :class:`Store`."""
        ids = sorted(action.id for action in actions)
        if not ids:
            return {}
        rows = self._rows.load(ids)
        return {row.id: (str(row.status), ClaimId(number(row.claim_id))) for row in rows}

    def start(
        self, started: Sequence[tuple[Action, Sequence[LogLine]]], *, now: datetime, once: bool
    ) -> frozenset[ActionId]:
        """See :class:`Store`."""
        return self._endings.start(started, now=now, once=once)

    def settle(
        self, endings: Sequence[Ending], *, now: datetime, finished: Collection[ClaimId] = ()
    ) -> frozenset[ActionId]:
        """See :class:`Store`."""
        return self._endings.settle(endings, now=now, finished=finished)

    def release(self, actions: Sequence[Action], *, finished: Collection[ClaimId] = ()) -> int:
        """See :class:`Store`."""
        return self._endings.release(actions, finished=finished)

    def heartbeat(self, in_hand: Sequence[ActionId], *, now: datetime) -> bool:
        """See :class:`Store`."""
        return self._endings.heartbeat(in_hand, now=now)

    def glance(self, *, now: datetime, silent_seconds: float) -> Sight:
        """See :class:`Store`."""

        def look(connection: Connection) -> Sight:
            return self._idle_look.look(
                connection, now=now, silent_seconds=silent_seconds, runner=self._ownership.id
            )

        return self.session.run(look)

    def count_failures(
        self, hook: str, *, failed: int, is_fresh: bool, most: int, pause: Pause, now: datetime
    ) -> bool:
        """See :class:`Store`."""
        limits, pauses = self._limits, self.parts.pauses
        self.parts.own.ensure(self.names.limits, self.names.pauses)

        def count(connection: Connection) -> bool:
            is_over = limits.count_failures(
                connection, hook, failed=failed, is_fresh=is_fresh, most=most
            )
            if not is_over or any(p.name == hook for p in pauses.in_force_on(connection, now)):
                return False
            pauses.add_on(connection, [pause], now)
            return True

        return self.session.transact(count)

    # Logs, inserts, counts

    def tell_held(self, hooks: Collection[str]) -> Sequence[str]:
        """See :class:`Store`."""
        return self.parts.held.tell(hooks)

    def held_hooks(self) -> frozenset[str]:
        """See :class:`Store`."""
        return self.parts.held.hooks()

    def forget_held(self, hooks: Collection[str]) -> None:
        """See :class:`Store`."""
        self.parts.held.forget(hooks)

    def log(self, lines: Iterable[tuple[ActionId, LogLine]]) -> None:
        """See :class:`Store`."""
        rows = list(lines)
        if rows:
            self.session.transact(lambda c: self.parts.writes.insert_logs(c, rows))

    def advance(self, steps: Mapping[ActionId, Progress]) -> None:
        """See :class:`Store`."""
        self.parts.results.advance(steps)

    def insert(self, actions: Sequence[NewAction], *, now: datetime) -> Sequence[ActionId]:
        """See :class:`Store`."""
        added = self.parts.adding.add([Request(action=a) for a in actions], by="group", now=now)
        return [one.id for one in added if one.id is not None]

    def catch_up(self, *, now: datetime) -> int:
        """See :class:`Store`."""
        waits, zones = self.parts.waits, self.parts.zones
        moved = self.session.run(waits.moved)
        released = self.session.transact(lambda c: waits.release(c, moved, now)) if moved else 0
        if zones.are_there and self.session.run(zones.has_ended):
            released += len(self.session.transact(lambda c: zones.repair(c, now)))
        return released

    def said(self, ids: Sequence[ActionId], start: str) -> dict[ActionId, int]:
        """See :class:`Store`."""
        if not ids:
            return {}
        statement = text(
            f"SELECT action_id, COUNT(*) FROM {self.names.logs} WHERE action_id IN :ids"
            " AND message LIKE :start GROUP BY action_id"
        )
        values = {"ids": sorted(ids), "start": f"{start}%"}
        rows = self.session.run(lambda c: c.execute(statement, values).fetchall())
        return {ActionId(int(action_id)): int(count) for action_id, count in rows}

    def counts(self) -> dict[str, int]:
        """See :class:`Store`."""
        return self.parts.counting.statuses()

    def close(self) -> None:
        """See :class:`Store`."""
        self.session.close()
