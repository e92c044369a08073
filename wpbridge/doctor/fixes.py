"""Mend what ``doctor --fix`` mends, and nothing else. Each step is safe beside running claims.

It never touches running rows, rows that a living runner has in hand, or the plugin's schema and
options. Each repair is done in short transactions over rows named by primary key, which are looked
at once more. One that dies in the middle has done its steps so far, and goes on there next time.
"""

from collections.abc import Callable, Collection
from typing import Final

from wpbridge.action import ActionId, ClaimId
from wpbridge.dataclass import dataclass
from wpbridge.doctor.checks_claims import stale
from wpbridge.doctor.checks_rows import belongs_to_posts
from wpbridge.doctor.checks_signing import signing_secret
from wpbridge.doctor.examined_site import ExaminedSite
from wpbridge.errors import WpbridgeError
from wpbridge.store.structure.own_steps import VERSION
from wpbridge.upkeep import cleanup

BATCH: Final = 500
CORRUPT: Final = "its data cannot be read: {why}"
"""What the log of a canceled corrupt action says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One repair that was done, or would be."""

    check: str
    """The name of the check that finds it."""
    done: str
    """What was done, in words."""
    count: int
    """How many rows, claims or tables it was."""
    failed: bool = False


def mend(
    examined: ExaminedSite, only: Collection[str] = (), *, dry_run: bool = False
) -> list[Repair]:
    """Mend what can be mended safely. Leave out repairs that had nothing to do.

    Args:
        examined: the site; its tables must be there.
        only: the names of checks; empty for all.
        dry_run: change nothing, and say what would be done.
    """
    return [
        repair
        for check, deed in _MENDS.items()
        if (not only or check in only) and (repair := _mended(check, deed, examined, dry_run))
    ]


def _mended(
    check: str,
    deed: "_Mend",
    examined: ExaminedSite,
    dry_run: bool,  # noqa: FBT001
) -> Repair | None:
    try:
        count, what = deed(examined, dry_run)
    except WpbridgeError as error:
        return Repair(check=check, done=f"failed: {error}", count=0, failed=True)
    if not count:
        return None
    return Repair(check=check, done=f"{'would have ' if dry_run else ''}{what}", count=count)


_Mend = Callable[[ExaminedSite, bool], tuple[int, str]]
"""Takes a site, and whether to change nothing. Returns how many, and the deed as a participle."""


def _own_tables(examined: ExaminedSite, dry_run: bool) -> tuple[int, str]:  # noqa: FBT001
    own = examined.store.own
    own.look()
    missing = [table for table in examined.store.names.own if not own.has(table)]
    done = [f"made {', '.join(missing)}"] if missing else []
    if own.note:
        done += [f"brought wpbridge's own tables forward to version {VERSION}"]
    if done and not dry_run:
        own.ensure()
    return max(len(missing), len(done)), " and ".join(done)


def _signing_secret(examined: ExaminedSite, dry_run: bool) -> tuple[int, str]:  # noqa: FBT001
    """Make the secret where something uses it, as the check says."""
    if not signing_secret(examined).fixable:
        return 0, ""
    is_made = dry_run or examined.store.signing.make()
    return int(is_made), "made the site's signing secret"


def _stale_claims(examined: ExaminedSite, dry_run: bool) -> tuple[int, str]:  # noqa: FBT001
    """Free stale claims as the plugin's cleaner does; no wpbridge runner's rows are among them."""
    wanted = set(stale(examined))
    records = [c for c in examined.store.reading.claims() if c.id in wanted]
    freed = cleanup.free_claims(
        examined.store, records, ours=_ours(examined), now=examined.now, dry_run=dry_run
    )
    return len(freed.actions), f"freed {len(freed.actions):,} waiting action(s) of dead runners"


def _orphan_claims(examined: ExaminedSite, dry_run: bool) -> tuple[int, str]:  # noqa: FBT001
    cleaning, after, count = examined.store.cleaning, 0, 0
    while found := cleaning.empty_claims(BATCH, after=after):
        count += len(found) if dry_run else cleaning.drop_empty(found)
        after = found[-1]
    return count, f"dropped {count:,} empty claim(s)"


def _ours(examined: ExaminedSite) -> frozenset[ClaimId]:
    return frozenset(claim for runner in examined.runners for claim in runner.claims)


def _orphan_logs(examined: ExaminedSite, dry_run: bool) -> tuple[int, str]:  # noqa: FBT001
    if belongs_to_posts(examined):
        return 0, ""
    count = cleanup.delete_orphan_logs(examined.store, dry_run=dry_run)
    return count, f"deleted {count:,} log row(s) whose action is gone"


def _unique_keys(examined: ExaminedSite, dry_run: bool) -> tuple[int, str]:  # noqa: FBT001
    after, count = 0, 0
    while ids := examined.rows.kept_keys(after, BATCH):
        count += len(ids) if dry_run else examined.store.edits.drop_unique_keys(ids)
        after = ids[-1]
    return count, f"taken the unique key from {count:,} ended action(s)"


def _corrupt_rows(examined: ExaminedSite, dry_run: bool) -> tuple[int, str]:  # noqa: FBT001
    """Cancel corrupt rows as the plugin does since 4.0, but leave their logs."""
    found = {
        one.id: one.why
        for one in examined.rows.pending().unreadable
        if one.is_hopeless and not one.is_claimed
    }
    count = 0
    for action_id, why in found.items():
        count += 1 if dry_run else _canceled(examined, action_id, why)
    return count, f"canceled {count:,} action(s) that nobody can read"


def _canceled(examined: ExaminedSite, action_id: ActionId, why: str) -> int:
    """Cancel an action while it is free: a runner that has claimed it meanwhile sees for itself."""
    done = examined.store.edits.cancel(
        [action_id], now=examined.now, reason=CORRUPT.format(why=why), only_free=True
    )
    return len(done)


_MENDS: Final[dict[str, _Mend]] = {
    "own-tables": _own_tables,
    "signing-secret": _signing_secret,
    "stale-claims": _stale_claims,
    "orphan-claims": _orphan_claims,
    "orphan-logs": _orphan_logs,
    "unique-keys": _unique_keys,
    "corrupt-rows": _corrupt_rows,
}
FIXABLE: Final = frozenset(_MENDS)
"""The checks whose findings can be mended."""
