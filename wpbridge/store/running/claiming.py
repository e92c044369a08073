"""Claim actions: find them without a lock, lock them by primary key, take them at once.

docs/explain/claims.md explains it. The claim's transaction must not read without a lock before it
has locked: see :meth:`wpbridge.store.running.limits.Limits.admit`.
"""

import functools
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from wpbridge.action import Action, ActionId, Claim, ClaimId, Status
from wpbridge.clock import to_text
from wpbridge.dataclass import dataclass
from wpbridge.errors import StoreError
from wpbridge.outcome import LogLine
from wpbridge.site.rules import Limit
from wpbridge.store.base import Claimed, ClaimFilter, Ending, Portion, StartPlan
from wpbridge.store.database.connection import Connection
from wpbridge.store.database.texts import as_bytes, date, number
from wpbridge.store.opened import OpenStore
from wpbridge.store.queueing.pauses import is_paused, narrowed
from wpbridge.store.rows.writes import LostRaceError
from wpbridge.store.running.action_rows import ActionRow, ActionRows, in_order
from wpbridge.store.running.candidates import Candidate, Finder, has_known_schedule
from wpbridge.store.running.crowd import MOST_BATCHES, Crowd
from wpbridge.store.running.endings import CarriedEndings
from wpbridge.store.running.fences import Handed
from wpbridge.store.running.limits import Limits, Wanted, names_of
from wpbridge.store.running.ownership import Ownership
from wpbridge.store.running.site_keys import SiteKeys
from wpbridge.store.running.suspects import Suspects

CLAIM_TRIES: Final = 6
CLOCKS_APART: Final = timedelta(seconds=5)
"""So far a worker's clock may be behind that of the relay which has found an action due."""
FURTHEST: Final = 5_000
"""So far a claim looks behind rows that others have locked: each holds up to 500 in one claim."""
UNANSWERED_MESSAGE: Final = (
    "action put back via wpbridge: the database's answer to its claim was lost"
)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a claim is to take."""

    now: datetime
    limit: int
    only: ClaimFilter
    start_plan: StartPlan | None
    portion: Portion


def _unclaimed(actions: Sequence[Action]) -> Claimed | None:
    """Return what a claim would take, as a claim that is none."""
    claim = Claim(id=ClaimId(0), actions=tuple(actions))
    none = frozenset[ActionId]()
    ids = [action.id for action in actions]
    return Claimed(claim.id, ids, none, none, lambda: claim) if actions else None


class Claiming:
    """Makes the claims of one runner."""

    def __init__(
        self,
        store: OpenStore,
        limits: Limits,
        suspects: Suspects,
        ownership: Ownership,
        *,
        has_broker: bool,
    ) -> None:
        self._session = store.session
        self._groups = store.groups
        self._pauses = store.pauses
        self._writes = store.writes
        self._limits = limits
        self._suspects = suspects
        self._ownership = ownership
        self._is_more = False
        """More is likely to be due, so it is not asked."""
        self._crowd = Crowd()
        self._finder = Finder(store.tables, has_known_schedule, store.groups.slug_on)
        keys = SiteKeys(store.tables)
        self.rows = ActionRows(
            store.tables,
            store.groups,
            store.zones,
            keys,
            store.traces,
            through=store.keys.through if has_broker else None,
        )

    def claim_due(
        self,
        *,
        now: datetime,
        limit: int,
        only: ClaimFilter,
        dry_run: bool = False,
        start_plan: StartPlan | None = None,
        portion: Portion = len,
        carried: CarriedEndings | None = None,
    ) -> Claimed | None:
        """See :class:`wpbridge.store.protocol.Store`.

        ``carried`` are endings that are to be written with the claim. It says afterwards whether
        they were: they are not where there was nothing to claim.
        """
        if only.hooks is not None and not only.hooks:
            return None
        wanted = _Wanted(now, limit, only, start_plan, portion)
        if only.ids is not None:
            return self._claim_ids(only.ids, wanted, dry_run=dry_run)
        only_now = self._unpaused(only, now) if self._has_due(now) else None
        if only_now is None:
            return None
        claim = self._claim_found(replace(wanted, only=only_now), carried, dry_run=dry_run)
        # After a full claim more is usually due.
        self._is_more = claim is not None and len(claim.ids) >= limit
        return claim

    def _has_due(self, now: datetime) -> bool:
        if self._is_more:
            self._is_more = False
            return True
        return self._session.run(lambda c: self._finder.is_any_due(c, to_text(now)))

    def _unpaused(self, only: ClaimFilter, now: datetime) -> ClaimFilter | None:
        return narrowed(only, self._pauses.in_force(now))

    def _claim_found(
        self, wanted: _Wanted, carried: CarriedEndings | None, *, dry_run: bool
    ) -> Claimed | None:
        only, now = wanted.only, wanted.now
        groups = None if only.groups is None else self._groups.ids(only.groups)
        if groups is not None and not groups:
            raise StoreError(f"no such group: {', '.join(sorted(only.groups or ()))}")
        excluded = frozenset(self._groups.ids(only.exclude_groups))
        full = self._limits.full()
        attempt = 1
        while attempt <= CLAIM_TRIES:
            is_crowded = attempt == 1 and not (dry_run or only.limits)
            batches = self._crowd.batches if is_crowded else 4 ** (attempt - 1)
            find = functools.partial(
                self._finder.find,
                now=to_text(now),
                limit=min(wanted.limit * batches, max(wanted.limit, FURTHEST)),
                only=only.without(names_of(full, "hook"), names_of(full, "group")),
                groups=groups,
                excluded_groups=excluded,
            )
            found = self._session.run(find)
            if not found:
                return None
            if dry_run:
                return self._seen(found, wanted)
            most = wanted.portion([one.hook for one in found[: wanted.limit]])
            if only.limits:
                self._prepare_limits(found, only)
            # What was tried before is locked, and what lies next to it probably, too.
            ids = [one.id for one in (found[-most:] if attempt > 1 else found)]
            claim = self._claim(ids, replace(wanted, limit=most), carried, due=now)
            if claim is not None:
                return claim
            # Its endings are written now, or have to be written by themselves.
            carried = None
            known, full = full, full | self._limits.full()
            if full == known:
                self._crowd.met(batches)
                # Others had locked or claimed all of these, so the search goes further.
                self._session.pause(0.002 * attempt)
                attempt += 1
        return None

    def _prepare_limits(self, found: Sequence[Candidate], only: ClaimFilter) -> None:
        # Slugs are read here already: a claim may read nothing before it has its locks.
        slug = self._groups.slug
        wanted = [Wanted(one.hook, slug(one.group)) for one in found]
        self._limits.prepare(only.limits, wanted)

    def _seen(self, found: Sequence[Candidate], would: _Wanted) -> Claimed | None:
        """Return what a claim would take, and change nothing."""
        rows = self.rows.load([one.id for one in found])
        actions = in_order(self.rows.actions(rows))
        wanted = [Wanted(action.hook, action.group) for action in actions]
        places = self._session.run(
            lambda c: self._limits.admit(
                c, wanted, would.only.limits, most=would.limit, now=would.now, spends=False
            )
        )
        actions = [actions[place] for place in places]
        return _unclaimed(actions)

    def _claim_ids(
        self, ids: Collection[ActionId], wanted: _Wanted, *, dry_run: bool
    ) -> Claimed | None:
        """Claim free pending actions that somebody named, whatever their date."""
        rows = [
            row
            for row in self.rows.load(sorted(ids))
            if row.status == Status.PENDING
            and not row.claim_id
            and has_known_schedule(as_bytes(row.schedule)[:100])
        ]
        found = in_order(self.rows.actions(rows))[: wanted.limit]
        if dry_run or not found:
            return _unclaimed(found)
        without_limits = replace(wanted, only=replace(wanted.only, limits=()))
        return self._claim([action.id for action in found], without_limits, None, due=None)

    def _claim(
        self,
        ids: Sequence[int],
        wanted: _Wanted,
        carried: CarriedEndings | None,
        *,
        due: datetime | None,
    ) -> Claimed | None:
        """Claim those of the actions that are still free, and due at ``due`` if it is given."""
        lock = self.rows.lock_due if due is not None else self.rows.lock_any
        moment = {} if due is None else {"now": to_text(due)}
        limit, limits, now = wanted.limit, wanted.only.limits, wanted.now

        def claim(connection: Connection) -> tuple[Claimed | None, bool]:
            rows: list[ActionRow] = []
            for met in range(min(MOST_BATCHES, ceil(len(ids) / limit))):
                some = ids[met * limit : (met + 1) * limit]
                if rows := self.rows.read(connection, lock, sorted(some), **moment):
                    self._crowd.met(met)
                    break
            rank = {action_id: place for place, action_id in enumerate(ids)}
            free = sorted(rows, key=lambda row: rank[row.id])
            mine = self._admitted(connection, free, limit, limits, now) if limits else free[:limit]
            return self._write(connection, mine, wanted, carried)

        try:
            return self._committed(claim, carried)
        except LostRaceError:
            return None

    def claim_handed(
        self,
        handed: Collection[Handed],
        *,
        now: datetime,
        start_plan: StartPlan | None,
        carried: CarriedEndings | None,
        runs: Callable[[str, str], bool] = lambda _hook, _group: True,
    ) -> Claimed | None:
        """Take over those of these actions that still wait where their fences say; None for none.

        What is paused, or not due any more, is freed instead: its relay finds that out. What
        ``runs`` says no to, by hook and group slug, stays where it is: its relay names it again
        later, perhaps to a worker that can run it.

        Raises LostRaceError when an ending of ``carried`` was not ours any more: nothing is
        written.
        """
        fences = {one.action_id: one for one in handed}
        wanted = _Wanted(now, len(fences), ClaimFilter(), start_plan, len)
        pauses = self._pauses.in_force(now)

        def claim(connection: Connection) -> tuple[Claimed | None, bool]:
            rows = self.rows.read(connection, self.rows.lock_named, sorted(fences))
            theirs = [row for row in rows if number(row.claim_id) == fences[row.id].claim_id]
            standing = self._ownership.standing(connection, {fences[row.id] for row in theirs})
            mine: list[ActionRow] = []
            for row in theirs:
                slug = self._groups.slug_on(connection, number(row.group_id))
                if fences[row.id] not in standing or not runs(str(row.hook), slug):
                    continue
                due = date(row.scheduled_date_gmt)
                is_due = due is None or due <= now + CLOCKS_APART
                if is_due and not is_paused(pauses, str(row.hook), slug):
                    mine.append(row)
                else:
                    self._writes.free(connection, [row.id], fences[row.id].claim_id)
            return self._write(connection, mine, wanted, carried)

        return self._committed(claim, carried)

    def _write(
        self,
        connection: Connection,
        rows: Sequence[ActionRow],
        wanted: _Wanted,
        carried: CarriedEndings | None,
    ) -> tuple[Claimed | None, bool]:
        """Claim locked rows and write the endings; tell also whether our own row was written."""
        unknown = self._drop_unknown(connection, wanted.now)
        made = self._take_rows(connection, rows, wanted) if rows else None
        settling = None if carried is None else carried.settle(connection)
        if made or unknown or settling:
            self._ownership.write(
                connection,
                gained=[made.id] if made else (),
                lost=settling.lost if settling else (),
                once=settling.once if settling else None,
                is_seen=True,
            )
        return made, bool(made or unknown or settling)

    def _committed(
        self,
        claim: Callable[[Connection], tuple[Claimed | None, bool]],
        carried: CarriedEndings | None,
    ) -> Claimed | None:
        """Make a claim in a transaction, and remember it. Raises LostRaceError."""
        made, is_written = self._session.transact(claim)
        if is_written:
            self._ownership.keep()
        if made is not None:
            self._suspects.in_hand |= made.suspects
        if carried is not None:
            carried.keep()
        return made

    def _take_rows(
        self, connection: Connection, rows: Sequence[ActionRow], wanted: _Wanted
    ) -> Claimed:
        """Put locked rows into a new claim."""
        claim_id, plan = self._writes.new_claim(connection, wanted.now), wanted.start_plan
        make = self.rows.later(rows, claim=claim_id, on=connection)
        ids = [row.id for row in rows]
        started: frozenset[ActionId] = frozenset()
        if plan is not None:
            actions = make()
            make = lambda: actions  # noqa: E731 - they are there already
            started = frozenset(plan.chosen(actions)) & frozenset(ids)
        held: defaultdict[ClaimId, list[ActionId]] = defaultdict(list)
        for row in rows:
            held[ClaimId(number(row.claim_id))].append(row.id)
        for before, some in held.items():
            self._take(connection, some, started, claim_id, before, wanted)
        suspects = self._suspects.among(connection, ids)

        def claim() -> Claim:
            return Claim(id=claim_id, actions=tuple(make()), started=started, suspects=suspects)

        return Claimed(claim_id, ids, started, suspects, claim)

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

    def _take(  # noqa: PLR0917 - what is known of the rows
        self,
        connection: Connection,
        ids: Sequence[ActionId],
        started: frozenset[ActionId],
        claim_id: ClaimId,
        held: ClaimId,
        wanted: _Wanted,
    ) -> None:
        """Put rows of one claim, or free ones, into ours, and mark some of them as started."""
        begun = [one for one in ids if one in started]
        taken = 0
        for some, is_start in (([i for i in ids if i not in started], False), (begun, True)):
            if some:
                taken += self._writes.take(
                    connection, some, claim_id, wanted.now, held=held, is_start=is_start
                )
        if begun and wanted.start_plan:
            line = wanted.start_plan.log_line
            self._writes.insert_logs(connection, [(action_id, line) for action_id in begun])
        if taken != len(ids):
            raise LostRaceError

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
