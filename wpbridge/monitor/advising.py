"""Ask the tables what advice needs beside the readings, and advise."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from wpbridge.monitor.advice import Advice, Seen, advise
from wpbridge.monitor.due_parts import parts_of
from wpbridge.monitor.handed_hooks import history_here
from wpbridge.monitor.history import History, history_of
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.due import SCANNED
from wpbridge.store.reading.due_pairs import Pair

if TYPE_CHECKING:
    from wpbridge.monitor.handed_hooks import IsHanded
    from wpbridge.site.rules import Limit

LATELY: Final = timedelta(minutes=5)
"""Arrivals and service time are those of this time."""
LONGER: Final = timedelta(hours=1)
"""Where nothing has ended lately, as with long actions, service time is that of this time."""


def advice_of(
    store: OpenStore,
    readings: Seen,
    *,
    target_wait: timedelta,
    limits: Sequence["Limit"] = (),
    held: Collection[str] | None = None,
    history: History | None = None,
    pairs: Sequence[Pair] | None = None,
    most: int = SCANNED,
    is_handed: "IsHanded | None" = None,
) -> Advice:
    """Return what is advised for a site's queue.

    Args:
        store: the site's store.
        readings: what its tables show now.
        target_wait: for how long an action may be due before it starts.
        limits: the rules of the settings.
        held: the hooks that are held; None to ask for them.
        history: what :func:`lately` has found; None to ask for it.
        pairs: the oldest due actions by hook and group; None to ask for them.
        most: so many of the oldest due actions are sorted, and as many of the newest if that is not
            all.
        is_handed: which actions the routes hand to Celery; None for none. They need no place.
    """
    seconds = target_wait.total_seconds()
    parts = None
    if readings.due:
        parts = parts_of(
            _sample(store, readings, pairs, most),
            store.due_pairs.running() if limits else (),
            pauses=readings.pauses,
            limits=limits,
            held=store.held.hooks() if held is None else held,
            target_wait_seconds=seconds,
            is_handed=is_handed,
        )
    history = history or lately(store, readings)
    if is_handed is None:
        return advise(readings, history, seconds, parts=parts)
    seen = _SeenHere(readings, is_handed)
    return advise(seen, history_here(history, is_handed), seconds, parts=parts)


class _SeenHere:
    """What the tables show, but for what runs in workers of Celery."""

    def __init__(self, readings: Seen, is_handed: "IsHanded") -> None:
        self.at, self.places = readings.at, readings.places
        self.due, self.cap, self.oldest_due = readings.due, readings.cap, readings.oldest_due
        self.running = {h: n for h, n in readings.running.items() if not is_handed(h, None)}
        self.running_longest_seconds = readings.running_longest_seconds
        self.pauses, self.last_run = readings.pauses, readings.last_run


def _sample(
    store: OpenStore, readings: Seen, oldest: Sequence[Pair] | None, most: int
) -> Sequence[Pair]:
    """Return the oldest due actions by pair, and where these are not all, as many of the newest."""
    pairs = store.due_pairs.due(readings.at, most=most) if oldest is None else oldest
    if sum(pair.actions for pair in pairs) < most:
        return pairs
    return [*pairs, *store.due_pairs.newest(readings.at, most=most)]


def lately(store: OpenStore, readings: Seen) -> History:
    """Return the history that advice is made of."""
    history = history_of(store, readings.at - LATELY, readings.at)
    if history.service_seconds is None and (readings.due or readings.running):
        longer = history_of(store, readings.at - LONGER, readings.at)
        return replace(history, service_seconds=longer.service_seconds)
    return history


def facts(advice: Advice) -> dict[str, Any]:
    """Return what programs are told of an advice."""
    return {
        "workers_now": advice.workers_now,
        "workers_advised": advice.workers_advised,
        "reason": advice.reason,
        "obstacle": advice.obstacle,
        "arrivals_per_second": _rounded(advice.arrivals_per_second),
        "service_seconds": _rounded(advice.service_seconds),
        "due": advice.due,
        "target_wait_seconds": advice.target_wait_seconds,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
