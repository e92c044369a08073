"""The site's signing secret is rotated: a new one is made, and old ones end."""

from collections.abc import Callable
from dataclasses import replace

from wpbridge.dataclass import dataclass
from wpbridge.store.opened import OpenStore
from wpbridge.store.rows.signing import CURRENT, newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What a rotation does. Secrets are named by their fingerprints, damaged ones by nothing."""

    new: str = ""
    """The secret that was made; empty before it is there."""
    kept: str = ""
    """The secret that stays valid as the previous one; empty for none."""
    ended: tuple[str, ...] = ()
    """The secrets that are deleted."""


def rotate(
    store: OpenStore, *, keep_previous: bool, dry_run: bool, confirm: Callable[[Rotation], None]
) -> Rotation:
    """Make a new signing secret, and delete all others but the newest valid one.

    Args:
        store: the site's.
        keep_previous: whether the newest valid secret stays valid.
        dry_run: change nothing, and say what would be done.
        confirm: is asked before anything is changed, and raises to stop it.

    Raises:
        Contention: another process has rotated it meanwhile. Nothing was changed.
    """
    rows = store.signing.stored()
    current = next((row.fingerprint for row in rows if row.place == CURRENT), "")
    kept = newest(rows) if keep_previous else None
    plan = Rotation(
        kept=kept.fingerprint if kept else "",
        ended=tuple(row.fingerprint for row in rows if row is not kept),
    )
    if dry_run:
        return plan
    confirm(plan)
    now = store.signing.rotate(expected=current, keep_previous=keep_previous)
    return replace(plan, new=next(row.fingerprint for row in now if row.place == CURRENT))
