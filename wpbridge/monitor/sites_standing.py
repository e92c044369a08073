"""How each site of a list stands: by what its daemon tells, and by a look at its tables."""

import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError
from wpbridge.monitor import sites_state
from wpbridge.monitor.followed_sites import Followed
from wpbridge.monitor.site_look import SiteLook
from wpbridge.monitor.sites_state import SitesState, SiteState
from wpbridge.site.site_list import SiteFault

LATE: Final = timedelta(minutes=10)
"""A site whose oldest due action has waited for longer is bad. The alert Backlog begins there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One site. Numbers are None where they are not known."""

    name: str
    """Empty for an entry of the list that is no site."""
    place: str
    state: str
    """That of its daemon, see :data:`wpbridge.monitor.sites_state.SiteCondition`; without one
    ``bad``, ``due``, ``running``, ``idle`` or ``new``."""
    is_bad: bool
    due: int | None = None
    oldest_due: datetime | None = None
    failed: int | None = None
    running: int | None = None
    last_run: datetime | None = None
    reason: str = ""
    """Why it is bad, or waits. Empty where all is well."""
    looked_at: datetime | None = None
    """When the tables were last looked at."""


class Daemon(NamedTuple):
    """What is known of the daemon of a list."""

    state: SitesState | None
    """None where it does not tell, or tells of another list."""
    problem: str = ""
    """What is wrong with it; empty where it works, or where there is none."""


def daemon_of(file: Path, place: Path) -> Daemon:
    """Read the state of the daemon that serves the list at ``place``."""
    # Without a daemon, cron may run the sites. That of another user tells nobody else.
    if not os.access(file, os.R_OK):
        return Daemon(None)
    try:
        state = sites_state.read(file)
    except ConfigError as error:
        return Daemon(None, str(error))
    if Path(state.place) != place:
        return Daemon(None)
    if state.is_old():
        return Daemon(None, f"the daemon with pid {state.pid} has died or hangs: see its log")
    return Daemon(state, state.list_problem)


def standings(
    followed: Followed,
    daemon: SitesState | None,
    now: datetime,
    *,
    late: timedelta | None = LATE,
) -> list[Standing]:
    """Return how the sites of a list stand, in its order; its faults come last.

    Args:
        followed: the list, and the looks at its entries.
        daemon: what the daemon tells; None where there is none.
        now: the present moment.
        late: for how long an action may be due before its site is bad; None for any time.
    """
    told = {} if daemon is None else {site.name: site for site in daemon.sites}
    found = [
        _standing(look, place, told.get(look.name), now, late)
        for name, place in followed.places.items()
        for look in followed.looks.get(name) or [SiteLook(name=name, at=now, is_known=False)]
    ]
    return [*found, *map(_of_fault, followed.faults)]


def bad_first(found: Iterable[Standing]) -> list[Standing]:
    """Return the bad sites before the others, and among these those with the oldest due action."""
    return sorted(
        found,
        key=lambda one: (
            not one.is_bad,
            one.oldest_due is None,
            one.oldest_due.timestamp() if one.oldest_due else 0.0,
            one.name,
        ),
    )


def _standing(
    look: SiteLook, place: str, told: SiteState | None, now: datetime, late: timedelta | None
) -> Standing:
    is_late = late is not None and look.oldest_due is not None and now - look.oldest_due > late
    reason = look.problem or (told.reason if told else "")
    if is_late and not reason:
        reason = "its oldest due action waits for too long: does anybody run this site?"
    is_bad = bool(look.problem) or is_late or (told is not None and told.condition == "bad")
    last = [at for at in (look.last_run, told.last_run if told else None) if at is not None]
    return Standing(
        name=look.name,
        place=place,
        state=_state(look, told),
        is_bad=is_bad,
        due=look.due,
        oldest_due=look.oldest_due,
        failed=look.failed,
        running=look.running,
        last_run=max(last, default=None),
        reason=reason,
        looked_at=look.at if look.is_known else None,
    )


def _state(look: SiteLook, told: SiteState | None) -> str:
    if look.problem:
        return "bad"
    if told is not None:
        return told.condition
    if not look.is_known:
        return "new"
    if look.running:
        return "running"
    return "due" if look.due else "idle"


def _of_fault(fault: SiteFault) -> Standing:
    return Standing(name="", place=fault.place, state="bad", is_bad=True, reason=fault.problem)
