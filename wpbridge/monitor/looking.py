"""Ask the tables for what the alerting rules look at."""

from datetime import datetime, timedelta
from typing import Final

from wpbridge.monitor.advising import advice_of
from wpbridge.monitor.facts import Facts
from wpbridge.monitor.growth import WEEK, growth_of
from wpbridge.monitor.history import history_in
from wpbridge.monitor.readings import read
from wpbridge.site.config import Settings
from wpbridge.store.opened import OpenStore

_HOUR: Final = timedelta(hours=1)


def facts_of(store: OpenStore, now: datetime, settings: Settings) -> Facts:
    """Return what is known of a queue. The settings say what advice aims at.

    Raises:
        StoreError: the tables cannot be asked.
    """
    readings = read(store, now)
    minute = now.replace(second=0, microsecond=0)
    counts = store.stats.between(minute - _HOUR, now)
    five, quarter, hour = (
        history_in([count for count in counts if count.begin >= minute - span], minute - span, now)
        for span in (timedelta(minutes=5), timedelta(minutes=15), _HOUR)
    )
    return Facts(
        at=now,
        readings=readings,
        five_minutes=five,
        quarter_hour=quarter,
        hour=hour,
        advice=advice_of(
            store,
            readings,
            target_wait=settings.advise_target_wait,
            limits=settings.limits,
        ),
        growth=growth_of(store.sizes.since(now - WEEK)),
    )
