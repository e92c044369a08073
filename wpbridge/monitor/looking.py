"""Ask the tables for what the alerting rules look at."""

import re
from datetime import datetime, timedelta
from typing import Final

from wpbridge.action import CALLBACK_HOOK
from wpbridge.monitor.advising import advice_of
from wpbridge.monitor.facts import CONTENTION, Facts
from wpbridge.monitor.growth import WEEK, growth_of
from wpbridge.monitor.handed_hooks import handed_by
from wpbridge.monitor.history import history_in
from wpbridge.monitor.readings import read
from wpbridge.site.config import Settings
from wpbridge.store.opened import OpenStore
from wpbridge.telling.counting import DB_ERROR

_FIVE: Final = timedelta(minutes=5)
_QUARTER: Final = timedelta(minutes=15)
_HOUR: Final = timedelta(hours=1)


def facts_of(store: OpenStore, now: datetime, settings: Settings) -> Facts:
    """Return what is known of a queue. The settings say what advice aims at.

    Raises:
        StoreError: the tables cannot be asked.
    """
    is_handed = handed_by(settings)
    readings = read(store, now, is_handed)
    minute = now.replace(second=0, microsecond=0)
    begin = {span: minute - span for span in (_FIVE, _QUARTER, _HOUR)}
    counts = [
        count
        for count in store.stats.between(begin[_QUARTER], now)
        if not (count.outcome == DB_ERROR and re.fullmatch(CONTENTION, count.hook))
    ]
    lately = [count for count in counts if count.begin >= begin[_FIVE]]
    callbacks = store.stats.of_hook(CALLBACK_HOOK, begin[_HOUR], now)
    return Facts(
        at=now,
        readings=readings,
        five_minutes=history_in(lately, begin[_FIVE], now),
        quarter_hour=history_in(counts, begin[_QUARTER], now),
        callbacks=history_in(callbacks, begin[_HOUR], now),
        advice=advice_of(
            store,
            readings,
            target_wait=settings.advise_target_wait,
            limits=settings.limits,
            pairs=readings.due_pairs,
            is_handed=is_handed,
        ),
        growth=growth_of(store.sizes.since(now - WEEK)),
    )
