"""How a queue stands: what there is, what is due, what is paused, and who runs."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

from wpbridge.dataclass import dataclass
from wpbridge.site.config import Settings
from wpbridge.site.zone import shown_zone
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.counting import CAP
from wpbridge.store.reading.handed_actions import handed_in
from wpbridge.store.records import Pause
from wpbridge.store.running.seen_runners import RELAY, SeenRunner, seen_runners


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a queue stands at one moment."""

    counts: Mapping[str, int]
    """Actions by status."""
    due: int
    """Without the held ones."""
    oldest_due: datetime | None
    held: int
    """Due actions that are held back, since WordPress has no callback for their hooks."""
    held_hooks: Sequence[str]
    runners: Sequence[SeenRunner]
    """Those of wpbridge."""
    handed: int
    """Actions that relays have handed to Celery and that no worker has started yet."""
    pauses: Sequence[Pause]
    """Those in force."""
    zone: tzinfo
    """Times are shown to people in it."""
    cap: int | None
    """How far counts and :attr:`due` were counted: one that has reached it means so many or more.
    None if they are exact."""


def status_of(
    store: OpenStore, settings: Settings, now: datetime, *, cap: int | None = CAP
) -> Status:
    """Ask the queue. With None as cap, count every action.

    Raises:
        StoreError: it cannot be asked.
    """
    hooks = store.held.hooks()
    held = store.due.held(now, hooks)
    oldest = store.due.oldest(now, hooks=hooks)
    runners = seen_runners(store.tables)
    claims = [c for one in runners if one.about.kind == RELAY for c in one.runner.claims]
    return Status(
        counts=store.counting.statuses(cap=cap),
        due=store.due.count(now, cap=cap, held=held),
        oldest_due=oldest.at if oldest else None,
        held=held,
        held_hooks=sorted(hooks),
        runners=runners,
        handed=handed_in(store.tables, claims).actions,
        pauses=store.pauses.in_force(now),
        zone=shown_zone(settings.tz, store.tables.zone),
        cap=cap,
    )
