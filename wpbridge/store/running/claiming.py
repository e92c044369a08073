"""Claim actions: find them without a lock, lock them by primary key, take them at once.

docs/explain/claims.md explains it. The claim's transaction must not read without a lock before it
has locked: see :meth:`wpbridge.store.running.limits.Limits.admit`.
"""

import functools
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from wpbridge.action import Action, ActionId, Claim, ClaimId, Status
from wpbridge.clock import to_text
from wpbridge.errors import StoreError
from wpbridge.outcome import LogLine
from wpbridge.site.rules import Limit
from wpbridge.store.base import ClaimFilter, Ending, StartPlan
from wpbridge.store.database.connection import Connection
from wpbridge.store.database.texts import as_bytes, number
from wpbridge.store.opened import OpenStore
from wpbridge.store.queueing.pauses import narrowed
from wpbridge.store.rows.writes import LostRaceError
from wpbridge.store.running.action_rows import ActionRow, ActionRows, in_order
from wpbridge.store.running.candidates import Candidate, Finder, has_known_schedule
from wpbridge.store.running.limits import Limits, Wanted, names_of
from wpbridge.store.running.ownership import Ownership
from wpbridge.store.running.site_keys import SiteKeys
from wpbridge.store.running.suspects import Suspects

CLAIM_TRIES: Final = 6
UNANSWERED_MESSAGE: Final = (
    "action put back via wpbridge: the database's answer to its claim was lost"
)


class Claiming:
    """Makes the claims of one runner."""

    def __init__(
        self, store: OpenStore, limits: Limits, suspects: Suspects, ownership: Ownership
    ) -> None:
        self._session = store.session
        self._groups = store.groups
        self._pauses = store.pauses
        self._writes = store.writes
        self._limits = limits
        self._suspects = suspects
        self._ownership = ownership
        self._finder = Finder(store.tables, has_known_schedule, store.groups.slug_on)
        keys = SiteKeys(store.tables)
        self.rows = ActionRows(store.tables, store.groups, store.zones, keys)

    def claim_due(
        self,
        *,
        now: datetime,
        limit: int,
        only: ClaimFilter,
        dry_run: bool = False,
        start_plan: StartPlan | None = None,
    ) -> Claim | None:
        """See :class:`wpbridge.store.base.Store`."""
        if only.hooks is not None and not only.hooks:
            return None
        if only.ids is not None:
            return self._claim_ids(only.ids, now, limit, dry_run=dry_run, start_plan=start_plan)
        only_now = self._unpaused(only, now) if self._has_due(now) else None
        return self._claim_found(only_now, now, limit, dry_run, start_plan) if only_now else None

    def _has_due(self, now: datetime) -> bool:
        return self._session.run(lambda c: self._finder.is_any_due(c, to_text(now)))

    def _unpaused(self, only: ClaimFilter, now: datetime) -> ClaimFilter | None:
        return narrowed(only, self._pauses.in_force(now))

    def _claim_found(
        self,
        only: ClaimFilter,
        now: datetime,
        limit: int,
        dry_run: bool,  # noqa: FBT001
        start_plan: StartPlan | None,
    ) -> Claim | None:
        groups = None if only.groups is None else self._groups.ids(only.groups)
        if groups is not None and not groups:
            raise StoreError(f"no such group: {', '.join(sorted(only.groups or ()))}")
        excluded = frozenset(self._groups.ids(only.exclude_groups))
        full = self._limits.full()
        attempt = 1
        while attempt <= CLAIM_TRIES:
            find = functools.partial(
                self._finder.find,
                now=to_text(now),
                limit=limit * attempt,
                only=only.without(names_of(full, "hook"), names_of(full, "group")),
                groups=groups,
                excluded_groups=excluded,
            )
            found = self._session.run(find)
            if not found:
                return None
            if dry_run:
                return self._seen(found, limit, only, now)
            if only.limits:
                self._prepare_limits(found, only)
            claim = self._claim(
                [one.id for one in found], limit, now, now, start_plan, limits=only.limits
            )
            if claim is not None:
                return claim
            known, full = full, full | self._limits.full()
            if full == known:
                # Others had locked or claimed all of these, so the search goes further.
                self._session.pause(0.002 * attempt)
                attempt += 1
        return None

    def _prepare_limits(self, found: Sequence[Candidate], only: ClaimFilter) -> None:
        # Slugs are read here already: a claim may read nothing before it has its locks.
        slug = self._groups.slug
        wanted = [Wanted(one.hook, slug(one.group)) for one in found]
        self._limits.prepare(only.limits, wanted)

    def _seen(
        self, found: Sequence[Candidate], limit: int, only: ClaimFilter, now: datetime
    ) -> Claim | None:
        """Return what a claim would take, and change nothing."""
        rows = self.rows.load([one.id for one in found])
        actions = in_order(self.rows.actions(rows))
        wanted = [Wanted(action.hook, action.group) for action in actions]
        places = self._session.run(
            lambda c: self._limits.admit(c, wanted, only.limits, most=limit, now=now, spends=False)
        )
        actions = [actions[place] for place in places]
        return Claim(id=ClaimId(0), actions=tuple(actions)) if actions else None

    def _claim_ids(
        self,
        ids: Collection[ActionId],
        now: datetime,
        limit: int,
        *,
        dry_run: bool,
        start_plan: StartPlan | None,
    ) -> Claim | None:
        """Claim free pending actions that somebody named, whatever their date."""
        rows = [
            row
            for row in self.rows.load(sorted(ids))
            if row.status == Status.PENDING
            and not row.claim_id
            and has_known_schedule(as_bytes(row.schedule)[:100])
        ]
        found = in_order(self.rows.actions(rows))[:limit]
        if not found:
            return None
        if dry_run:
            return Claim(id=ClaimId(0), actions=tuple(found))
        return self._claim([action.id for action in found], limit, None, now, start_plan)

    def _claim(
        self,
        ids: Sequence[int],
        limit: int,
        due: datetime | None,
        now: datetime,
        start_plan: StartPlan | None,
        *,
        limits: Sequence[Limit] = (),
    ) -> Claim | None:
        """Claim those of the actions that are still free, and due at ``due`` if it is given."""
        lock = self.rows.lock_due if due is not None else self.rows.lock_any
        moment = {} if due is None else {"now": to_text(due)}

        def claim(connection: Connection) -> tuple[Claim | None, bool]:
            """Return the claim, and whether our own row was written."""
            rows = self.rows.read(connection, lock, sorted(ids), **moment)
            rank = {action_id: place for place, action_id in enumerate(ids)}
            free = sorted(rows, key=lambda row: rank[row.id])
            mine = self._admitted(connection, free, limit, limits, now) if limits else free[:limit]
            unknown = self._drop_unknown(connection, now)
            if not mine:
                if unknown:
                    self._ownership.write(connection, unknown=unknown)
                return None, bool(unknown)
            claim_id = self._writes.new_claim(connection, now)
            self._ownership.write(connection, gained=[claim_id], unknown=unknown)
            actions = tuple(in_order(self.rows.actions(mine, claim=claim_id, on=connection)))
            started = self._take(connection, actions, claim_id, now, start_plan)
            suspects = self._suspects.among(connection, [a.id for a in actions])
            return Claim(id=claim_id, actions=actions, started=started, suspects=suspects), True

        try:
            made, is_written = self._session.transact(claim)
        except LostRaceError:
            return None
        if is_written:
            self._ownership.keep()
        return made

    def _admitted(
        self,
        connection: Connection,
        rows: Sequence[ActionRow],
        most: int,
        limits: Sequence[Limit],
        now: datetime,
    ) -> list[ActionRow]:
        """Return as many of the locked rows, in their order, as the limits leave room for."""
        slug = functools.partial(self._groups.slug_on, connection)
        wanted = [Wanted(str(row.hook), slug(number(row.group_id))) for row in rows]
        places = self._limits.admit(connection, wanted, limits, most=most, now=now)
        return [rows[place] for place in places]

    def _take(
        self,
        connection: Connection,
        actions: Sequence[Action],
        claim_id: ClaimId,
        now: datetime,
        plan: StartPlan | None,
    ) -> frozenset[ActionId]:
        """Put the actions into the claim. Return those that are marked as started with it."""
        chosen = frozenset(plan.chosen(actions)) if plan else frozenset()
        started = [action.id for action in actions if action.id in chosen]
        waiting = [action.id for action in actions if action.id not in chosen]
        taken = self._writes.take(connection, waiting, claim_id, now) if waiting else 0
        if started and plan:
            taken += self._writes.take_started(connection, started, claim_id, now)
            lines = [(action_id, plan.log_line) for action_id in started]
            self._writes.insert_logs(connection, lines)
        if taken != len(actions):
            raise LostRaceError
        return frozenset(started)

    def _drop_unknown(self, connection: Connection, now: datetime) -> set[ClaimId]:
        """Undo claims whose commit succeeded without an answer; none of their actions ran.

        Return these claims, which our own row still names.
        """
        unknown = self._ownership.look(connection)
        for claim_id in unknown:
            rows = self.rows.read(connection, self.rows.of_claims, [claim_id])
            actions = self.rows.actions(rows, on=connection)
            if waiting := [a.id for a in actions if a.status is Status.PENDING]:
                self._writes.free(connection, waiting, claim_id)
            logs = (LogLine(message=UNANSWERED_MESSAGE, at=now),)
            started = [
                Ending(action=a, status=Status.PENDING, at=now, marked=True, logs=logs)
                for a in actions
                if a.status is Status.IN_PROGRESS
            ]
            self._writes.end(connection, started, now)
        self._writes.delete_claims(connection, unknown)
        return unknown
