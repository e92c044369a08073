"""The metrics that the tables show: from a reading, a history and an advice to numbers."""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from heapq import nsmallest
from typing import Final, NamedTuple

from wpbridge.action import Status
from wpbridge.clock import Clock, SystemClock
from wpbridge.errors import StoreError
from wpbridge.monitor.advice import Advice
from wpbridge.monitor.advising import advice_of, lately
from wpbridge.monitor.handed_hooks import handed_by
from wpbridge.monitor.history import History
from wpbridge.monitor.readings import Readings, read
from wpbridge.monitor.repeating import EVERY_SECONDS, Repeated
from wpbridge.site.celery_kinds import broker_kind
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site, resolve
from wpbridge.store.connect import open_site
from wpbridge.store.opened import OpenStore
from wpbridge.store.running.seen_runners import CELERY, RELAY
from wpbridge.telling.metrics import OTHER
from wpbridge.telling.numbers import Numbers

MOST_GROUPS: Final = 20
"""So many groups, those with the most due actions, have series of their own."""
MOST_STATUSES: Final = 10
"""The plugin's five, and some that other plugins invent."""
KINDS: Final = ("work", "claim-and-run", "run", "serve", RELAY, CELERY)
"""Kinds of runners that are counted."""
SCOPES: Final = ("all", "hook", "group")
"""What a pause can be of."""


class Measured(NamedTuple):
    """What is known of a queue at one moment."""

    readings: Readings
    history: History
    """Of the last five minutes."""
    advice: Advice
    broker: str | None = None
    """The kind of message broker through which actions go to Celery; None for none."""


def measure(store: OpenStore, now: datetime, settings: Settings) -> Measured:
    """Ask the tables once for all that gauges tell. The settings say what is aimed at.

    Raises:
        StoreError: they cannot be asked.
    """
    is_handed = handed_by(settings)
    readings = read(store, now, is_handed)
    history = lately(store, readings)
    advice = advice_of(
        store,
        readings,
        target_wait=settings.advise_target_wait,
        limits=settings.limits,
        history=history,
        pairs=readings.due_pairs,
        is_handed=is_handed,
    )
    return Measured(readings, history, advice, broker_kind(settings.celery_broker))


class CachedGauges(Repeated[Measured]):
    """The gauges of a site, measured over and over on a thread of its own."""

    def __init__(
        self,
        open_store: Callable[[], OpenStore],
        settings: Settings,
        clock: Clock | None = None,
        *,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        """Begin to measure; ``open_store`` opens a store of the site, for the thread alone."""
        ask = partial(measure, settings=settings)
        super().__init__(ask, open_store, clock, every_seconds=every_seconds)

    @classmethod
    def of(
        cls,
        settings: Settings,
        env: Mapping[str, str] = os.environ,
        *,
        every_seconds: float = EVERY_SECONDS,
    ) -> "CachedGauges":
        """Begin to measure the site that these settings mean. Its database may be away."""
        found: list[Site] = []

        def open_store() -> OpenStore:
            if not found:
                found.append(resolve(settings, env))
            return open_site(found[0])

        return cls(open_store, settings, every_seconds=every_seconds)

    def numbers(self) -> Numbers:
        """Return the gauges of now."""
        measured = self.latest()
        if measured is None:
            return gauge_numbers(None, None, None)
        return gauge_numbers(
            measured.readings, measured.advice, measured.history, broker=measured.broker
        )


def numbers_now(store: OpenStore, settings: Settings) -> Numbers:
    """Ask the tables once, and return the gauges. Where they cannot be asked, one says so."""
    try:
        measured = measure(store, SystemClock().now(), settings)
    except StoreError:
        return gauge_numbers(None, None, None)
    return gauge_numbers(
        measured.readings, measured.advice, measured.history, broker=measured.broker
    )


def gauge_numbers(
    readings: Readings | None,
    advice: Advice | None,
    history: History | None,
    *,
    broker: str | None = None,
) -> Numbers:
    """Return the metrics of what the tables show.

    Without a reading there is one number alone, which says so. Unknown numbers are left out, and
    so is what was handed to Celery where there is neither a broker nor a relay.
    """
    found = Numbers()
    found.set("wpbridge_scrape_success", value=float(readings is not None))
    if readings is None:
        return found
    _set_plain(found, readings)
    _set_by_group(found, readings)
    _set_by_status(found, readings)
    for table, rows in readings.table_rows.items():
        found.set("wpbridge_table_rows", table, value=rows)
    for table, size in readings.table_bytes.items():
        found.set("wpbridge_table_bytes", table, value=size)
    paused = Counter(pause.kind for pause in readings.pauses)
    for scope in SCOPES:
        found.set("wpbridge_paused", scope, value=paused[scope])
    for runner, at in readings.last_run.items():
        found.set("wpbridge_last_run_timestamp_seconds", runner, value=at.timestamp())
    for kind in KINDS:
        found.set("wpbridge_runners", kind, value=readings.runners.get(kind, 0))
    if broker or readings.runners.get(RELAY):
        found.set("wpbridge_handed_actions", broker or OTHER, value=readings.handed)
    if history is not None and history.arrivals_per_second is not None:
        _set_arrivals(found, history.arrivals_per_second, history.service_seconds)
    if advice is not None:
        found.set("wpbridge_workers_advised", value=advice.workers_advised)
    return found


def _set_plain(found: Numbers, readings: Readings) -> None:
    told: dict[str, float] = {
        "wpbridge_past_due_actions": readings.past_due,
        "wpbridge_claims_active": readings.claims,
        "wpbridge_running_longest_seconds": readings.running_longest_seconds,
        "wpbridge_recurring_stopped": readings.recurring_stopped,
    }
    for name, value in told.items():
        found.set(name, value=value)


def _set_by_status(found: Numbers, readings: Readings) -> None:
    """Set the counts of the plugin's statuses, also where there is no action, and of a few more."""
    counts = dict.fromkeys(map(str, Status), 0) | dict(readings.counts)
    for place, (status, count) in enumerate(counts.items()):
        found.add("wpbridge_actions", status if place < MOST_STATUSES else OTHER, value=count)


def _set_by_group(found: Numbers, readings: Readings) -> None:
    """Set what is told by group. Where nothing is due, there is a number that says so."""
    due = readings.due_by_group or {"": 0}
    first = {*nsmallest(MOST_GROUPS, due, key=lambda slug: (-due[slug], slug))}
    names = {slug: slug if slug in first else OTHER for slug in due}
    for slug, count in due.items():
        found.add("wpbridge_due_actions", names[slug], value=count)
    ages: dict[str, float] = {}
    for slug in due:
        age = readings.oldest_due_seconds.get(slug, 0.0)
        ages[names[slug]] = max(age, ages.get(names[slug], 0.0))
    for name, age in ages.items():
        found.set("wpbridge_oldest_due_age_seconds", name, value=age)


def _set_arrivals(found: Numbers, arrivals: float, service_seconds: float | None) -> None:
    found.set("wpbridge_arrivals_per_second", value=arrivals)
    if service_seconds is not None:
        found.set("wpbridge_offered_load", value=arrivals * service_seconds)
