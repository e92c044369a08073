"""Advice for ``wpbridge status``: made of what that command knows, and of two or three queries."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from wpbridge.dataclass import dataclass
from wpbridge.monitor.advising import advice_of
from wpbridge.monitor.handed_hooks import handed_by
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import Pause

if TYPE_CHECKING:
    from wpbridge.monitor.advice import Advice
    from wpbridge.queue.status import Status
    from wpbridge.site.config import Settings

DEAD_SECONDS: Final = 45.0
"""A runner that has been silent for so long has no places any more."""
MOST: Final = 1_000
"""So many of the oldest due actions are sorted by what holds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What a status shows of a queue, as advice wants it: see :class:`.advice.Seen`."""

    at: datetime
    places: int
    due: int
    cap: int
    oldest_due: float
    running: Mapping[str, int]
    pauses: Sequence[Pause]
    running_longest_seconds: float = 0.0
    last_run: Mapping[str, datetime]


def advice_at_a_glance(
    store: OpenStore, status: "Status", settings: "Settings", now: datetime
) -> "Advice":
    """Return what is advised, for a status that was just read.

    It may differ from ``wpbridge advise`` where the oldest due actions are unlike the others.
    """
    live = [
        one
        for one in status.runners
        if one.runs_what_is_due and one.runner.beat_age_seconds < DEAD_SECONDS
    ]
    oldest = status.oldest_due
    glance = Glance(
        at=now,
        places=sum(1 if one.places is None else one.places for one in live),
        due=status.due,
        cap=status.due + 1 if status.cap is None else status.cap,
        oldest_due=0.0 if oldest is None else max(0.0, (now - oldest).total_seconds()),
        running=_running(store) if status.counts.get("in-progress") else {},
        pauses=status.pauses,
        last_run={"wpbridge": now} if live else {},
    )
    return advice_of(
        store,
        glance,
        target_wait=settings.advise_target_wait,
        limits=settings.limits,
        held=status.held_hooks,
        most=MOST,
        is_handed=handed_by(settings),
    )


def _running(store: OpenStore) -> Mapping[str, int]:
    found = Counter[str]()
    for pair in store.due_pairs.running(most=MOST):
        found[pair.hook] += pair.actions
    return found
