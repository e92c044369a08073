"""How a queue stands: what there is, what is due, what is paused, and who runs."""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from wpbridge.site.config import Settings
from wpbridge.site.resolve import resolve
from wpbridge.site.zone import shown_zone
from wpbridge.store.base import RunnerRecord
from wpbridge.store.connect import open_site
from wpbridge.store.records import Pause
from wpbridge.store.running.ownership import runners

DUE_CAP: Final = 100_000
"""Due actions are counted up to here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a queue stands at one moment."""

    counts: Mapping[str, int]
    """Actions by status."""
    due: int
    """Without the held ones; never more than :data:`DUE_CAP`."""
    oldest_due: datetime | None
    held: int
    """Due actions that are held back, since WordPress has no callback for their hooks."""
    held_hooks: Sequence[str]
    runners: Sequence[RunnerRecord]
    """Those of wpbridge."""
    pauses: Sequence[Pause]
    """Those in force."""
    zone: tzinfo
    """Times are shown to people in it."""


def status_of(settings: Settings, now: datetime) -> Status:
    """Ask the queue that these settings mean.

    Raises:
        ConfigError, SiteError, StoreError: it cannot be asked.
    """
    with closing(open_site(resolve(settings, os.environ))) as store:
        hooks = store.held.hooks()
        held = store.due.held(now, hooks)
        oldest = store.due.oldest(now, hooks=hooks)
        return Status(
            counts=store.reading.statuses(),
            due=store.due.count(now, cap=DUE_CAP, held=held),
            oldest_due=oldest.at if oldest else None,
            held=held,
            held_hooks=sorted(hooks),
            runners=runners(store.tables),
            pauses=store.pauses.in_force(now),
            zone=shown_zone(settings.tz, store.inserts.zone),
        )
