"""The metrics of many sites: a few numbers for each, from the last look at its tables."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from wpbridge.action import Status
from wpbridge.monitor.followed_sites import Followed
from wpbridge.monitor.repeating import KEPT_SECONDS
from wpbridge.monitor.site_look import SiteLook
from wpbridge.telling.metrics import OTHER
from wpbridge.telling.numbers import Numbers

MOST_SITES: Final = 2_000
"""So many sites have series; blogs of networks count as sites. Each has seven series at most."""
_KEPT: Final = timedelta(seconds=KEPT_SECONDS)


def numbers_of(followed: Followed, now: datetime) -> dict[str, Numbers]:
    """Return the numbers of each site by its name.

    A site that nobody could look at has one number alone, which says so.
    """
    looks = (look for name in followed.places for look in followed.looks.get(name, ()))
    return {look.name: _numbers(look, now) for look in islice(looks, MOST_SITES)}


def _numbers(look: SiteLook, now: datetime) -> Numbers:
    found = Numbers()
    is_known = not look.problem and now - look.at <= _KEPT
    found.set("wpbridge_scrape_success", value=float(is_known))
    if is_known:
        for name, labels, value in _values(look, now):
            if value is not None:
                found.set(name, *labels, value=value)
    return found


def _values(look: SiteLook, now: datetime) -> Iterator[tuple[str, tuple[str, ...], float | None]]:
    """Yield metrics, their labels and values. Groups are not told apart: all of them are other."""
    oldest = 0.0 if look.oldest_due is None else (now - look.oldest_due).total_seconds()
    yield "wpbridge_due_actions", (OTHER,), look.due
    yield "wpbridge_oldest_due_age_seconds", (OTHER,), max(0.0, oldest)
    yield "wpbridge_actions", (Status.FAILED,), look.failed_rows
    yield "wpbridge_actions", (Status.IN_PROGRESS,), look.running
    for kind, at in look.last_runs.items():
        yield "wpbridge_last_run_timestamp_seconds", (kind,), at.timestamp()
