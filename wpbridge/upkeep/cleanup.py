"""Cleans a queue: deletes what ended long ago, frees stale claims, and ends duplicate chains.

Each works in small steps, each step one short transaction, so that runners beside it hardly notice;
what is stopped in the middle has done its steps so far and goes on from there next time.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Final

from wpbridge.action import PLUGIN_TIMEOUT_SECONDS, ActionId, ClaimId, Status
from wpbridge.codec import schedule
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.patterns import matches
from wpbridge.queue.facade import Queue
from wpbridge.site.rules import Keep
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import ClaimRecord, Query, Record
from wpbridge.store.running.ownership import runners as runners_of
from wpbridge.store.upkeep.retention import KEEP, Expiry

BATCH_SIZE: Final = 500
LOG_WINDOW: Final = 20_000
"""Ids of the logs table looked at in one step."""
_STALE: Final = timedelta(seconds=PLUGIN_TIMEOUT_SECONDS)
YOUNG: Final = f"it is younger than {PLUGIN_TIMEOUT_SECONDS} s, so a runner may be about to use it"
ORPHAN_KEY_AGE: Final = timedelta(days=1)
"""A claims row without actions is normal between the two steps of a claim."""
PLUGIN_STATUSES: Final = (Status.COMPLETE, Status.CANCELED)
"""What the plugin's cleaner deletes in every version."""


# What ended long ago


def expiries(
    rules: Sequence[Keep],
    *,
    now: datetime,
    hooks: Iterable[str] = (),
    statuses: Sequence[Status] = PLUGIN_STATUSES,
) -> list[Expiry]:
    """Return what is old, by the rules in order, then by the plugin's own for ``statuses``.

    Args:
        rules: of the settings.
        now: aware.
        hooks: all there are, to find those that a pattern means.
        statuses: of the last, general rule.
    """
    known = sorted(hooks)
    found: list[Expiry] = []
    decided: defaultdict[Status, set[str]] = defaultdict(set)
    closed: set[Status] = set()
    for rule in rules:
        for status in [Status(rule.status)] if rule.status else list(KEEP):
            if status in closed:
                continue
            others = tuple(sorted(decided[status]))
            if rule.hook is None:
                closed.add(status)
                if rule.keep is not None:
                    found.append(Expiry(status=status, before=now - rule.keep, except_hooks=others))
                continue
            named = [
                hook for hook in known if matches(rule.hook, hook) and hook not in decided[status]
            ]
            decided[status].update(named)
            if named and rule.keep is not None:
                found.append(Expiry(status=status, before=now - rule.keep, hooks=tuple(named)))
    return found + [
        Expiry(status=s, before=now - KEEP[s], except_hooks=tuple(sorted(decided[s])))
        for s in statuses
        if s not in closed
    ]


def delete_expired(
    store: OpenStore,
    expiry: Expiry,
    *,
    batch_size: int = BATCH_SIZE,
    batches: int = 0,
    pause_seconds: float = 0.0,
    tick: Callable[[int], None] = lambda _count: None,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Delete old rows batch by batch, and return how many.

    Args:
        store: the site's.
        expiry: which.
        batch_size: rows a transaction.
        batches: at most so many; 0: until nothing is left.
        pause_seconds: between batches.
        tick: told of each batch.
        sleep: waits so many seconds.
    """
    deleted = done = 0
    while not batches or done < batches:
        ids = store.retention.oldest(expiry, batch_size)
        if not ids:
            break
        count = store.retention.delete(ids, expiry)
        deleted += count
        done += 1
        tick(count)
        if not count:
            # Somebody else deletes the same rows.
            break
        if pause_seconds:
            sleep(pause_seconds)
    return deleted


def clean(
    store: OpenStore,
    wanted: Sequence[Expiry],
    *,
    now: datetime,
    batch_size: int = BATCH_SIZE,
    batches: int = 0,
    pause_seconds: float = 0.0,
    tick: Callable[[int], None] = lambda _count: None,
) -> list[int]:
    """Delete all that is old, then idempotency keys without an action; how many of each expiry.

    ``batches``: at most so many for all expiries together; 0: no limit. The other arguments are
    those of :func:`delete_expired`.
    """
    counts: list[int] = []
    done = 0

    def counted(count: int) -> None:
        nonlocal done
        done += 1
        tick(count)

    for expiry in wanted:
        is_over = batches > 0 and done >= batches
        count = (
            0
            if is_over
            else delete_expired(
                store,
                expiry,
                batch_size=batch_size,
                batches=batches - done if batches else 0,
                pause_seconds=pause_seconds,
                tick=counted,
            )
        )
        counts.append(count)
    store.retention.forget_keys(now - ORPHAN_KEY_AGE)
    return counts


def delete_orphan_logs(
    store: OpenStore, *, dry_run: bool = False, tick: Callable[[int], None] = lambda _count: None
) -> int:
    """Delete log rows whose action is gone, and return how many there were."""
    found, after = 0, 0
    while True:
        ids, end = store.retention.orphan_logs(after, LOG_WINDOW)
        found += len(ids) if dry_run else store.retention.delete_logs(ids)
        tick(LOG_WINDOW)
        if not end:
            return found
        after = end


# Stale claims


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """Claims that were looked at, and what became of them."""

    actions: tuple[ActionId, ...] = ()
    """Free again."""
    claims: tuple[ClaimId, ...] = ()
    """Their rows are gone: nothing is under them."""
    left: dict[ClaimId, str] = field(default_factory=dict)
    """Left as they are, and why."""


def judge(claim: ClaimRecord, *, ours: frozenset[ClaimId], now: datetime) -> str | None:
    """Return why a claim must be left alone. None when its waiting rows may be freed."""
    if claim.id in ours:
        return "a wpbridge runner holds it: claim-and-run puts back what dead ones left"
    if claim.is_orphan:
        is_young = claim.created_at is not None and now - claim.created_at < _STALE
        return YOUNG if is_young else None
    last = claim.last_attempt_at
    if last is not None and now - last < _STALE:
        return f"its holder gave a sign {(now - last).total_seconds():.0f} s ago"
    if not claim.pending:
        return "its actions run, or died running: the plugin's cleaner fails them"
    return None


def free_claims(
    store: OpenStore,
    claims: Sequence[ClaimRecord],
    *,
    ours: frozenset[ClaimId],
    now: datetime,
    dry_run: bool = False,
) -> Freed:
    """Free waiting rows of stale claims, as the plugin's cleaner does, and delete empty claims."""
    actions: list[ActionId] = []
    gone: list[ClaimId] = []
    left: dict[ClaimId, str] = {}
    before = now - _STALE
    for claim in claims:
        reason = judge(claim, ours=ours, now=now)
        if reason is not None:
            left[claim.id] = reason
        elif claim.is_orphan:
            # The database's clock has the last word on its age.
            if dry_run or store.cleaning.drop_empty([claim.id]):
                gone.append(claim.id)
            else:
                left[claim.id] = YOUNG
        elif dry_run:
            query = Query(claim=claim.id, statuses=(Status.PENDING,), limit=0, order="id")
            actions += [record.id for record in store.reading.find(query)]
        else:
            actions += store.stale_claims.free(claim.id, before=before, now=now)
    return Freed(actions=tuple(actions), claims=tuple(gone), left=left)


def release(
    queue: Queue,
    ids: Collection[int] = (),
    *,
    stale: bool = False,
    empty: bool = False,
    now: datetime,
    dry_run: bool = False,
) -> Freed:
    """Free these claims, those whose holder is gone, or those that hold nothing.

    Claims of wpbridge's own runners are left alone, whether these live or not.

    Raises:
        InputError: there is no claim with one of these ids.
    """
    found = queue.store.reading.claims()
    if unknown := set(ids) - {claim.id for claim in found}:
        raise InputError(f"there is no claim {', '.join(map(str, sorted(unknown)))}")
    return free_claims(
        queue.store,
        [c for c in found if c.id in ids or (empty if c.is_orphan else stale)],
        ours=frozenset(c for runner in runners_of(queue.store.tables) for c in runner.claims),
        now=now,
        dry_run=dry_run,
    )


# Duplicate chains


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Pending actions that are the same recurring chain more than once."""

    keep: Record
    """The one that is due first."""
    extra: tuple[Record, ...]


def duplicate_chains(store: OpenStore, query: Query) -> list[Chain]:
    """Find pending recurring actions that are alike in hook, args, group and recurrence.

    What is alike in the first three the database says, as the plugin's own lookups do; a cron in
    another time zone is another recurrence. Those without a date, which wait for other actions, do
    not count.
    """
    found: list[Chain] = []
    for hook, args, group_id in store.reading.repeated(query):
        alike = store.reading.of_identity(hook, args, group_id)
        zones = store.reading.zones_of([record.id for record in alike])
        kinds: defaultdict[object, list[Record]] = defaultdict(list)
        for record in alike:
            repeats = schedule.recurring(record.schedule)
            if repeats is not None and record.is_dated:
                kinds[repeats.period, zones.get(record.id)].append(record)
        for records in kinds.values():
            ordered = sorted(records, key=lambda r: (str(r.scheduled_at or ""), r.id))
            if len(ordered) > 1:
                found.append(Chain(keep=ordered[0], extra=tuple(ordered[1:])))
    return found


def end_duplicates(store: OpenStore, chains: Sequence[Chain], *, now: datetime) -> list[ActionId]:
    """Cancel all but the first of each chain. Each log says which action goes on."""
    done: list[ActionId] = []
    for chain in chains:
        reason = f"duplicate of action {chain.keep.id}, which goes on"
        # A runaway plugin makes a hundred thousand of one.
        for start in range(0, len(chain.extra), BATCH_SIZE):
            ids = [record.id for record in chain.extra[start : start + BATCH_SIZE]]
            done += store.edits.cancel(ids, now=now, reason=reason)
    return done
