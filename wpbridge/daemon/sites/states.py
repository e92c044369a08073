"""What people are told of a site: what it does now, since when, and why."""

from collections import Counter
from datetime import datetime, timedelta

from wpbridge.daemon.sites.schedule import ScheduledSite
from wpbridge.monitor.sites_state import SiteCondition, SiteState


def condition_of(site: ScheduledSite) -> SiteCondition:
    """Return what a site does now."""
    process = site.process
    if process is not None:
        if process.ending_since is not None:
            return "ending"
        return "running" if process.idle_since is None else "lingering"
    if site.is_bad:
        return "bad"
    if site.due_since is not None:
        return "due"
    return "new" if site.last_look is None else "idle"


def state_of(site: ScheduledSite, now: float, today: datetime) -> SiteState:
    """Return what people are told of a site. ``now`` and ``today`` are the same moment."""

    def date(moment: float) -> datetime:
        return today + timedelta(seconds=moment - now)

    process = site.process
    totals = site.totals + Counter(process.counts if process else {})
    looks_on = process is None and site.user is not None and not site.is_asked
    return SiteState(
        name=site.name,
        place=site.entry.where,
        user=site.user.name if site.user else "",
        condition=condition_of(site),
        reason=site.reason,
        failures=site.failures,
        last_look=site.last_look,
        next_look=date(site.next_look) if looks_on else None,
        due_since=None if site.due_since is None else date(site.due_since),
        last_run=site.last_run,
        last_end=site.last_end,
        runs=site.runs,
        pid=process.child.pid if process else None,
        php_workers=process.php_workers if process else 0,
        in_hand=process.in_hand if process else 0,
        counts={name: count for name, count in sorted(totals.items()) if count},
    )
