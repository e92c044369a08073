"""Read all facts for an explanation from the queue, once. Nothing is changed."""

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from wpbridge.action import PLUGIN_TIMEOUT_SECONDS, Status
from wpbridge.dataclass import dataclass
from wpbridge.doctor.findings import span
from wpbridge.executors.routes import Decision, Routes
from wpbridge.queue.facade import Queue
from wpbridge.runner.identity import Identity, identity
from wpbridge.runner.liveness import is_dead
from wpbridge.site.config import Settings
from wpbridge.site.rules import Limit
from wpbridge.store.base import RunnerRecord
from wpbridge.store.reading.survey import SIGHT, Rows
from wpbridge.store.records import LogEntry, Pause, Record, Wait
from wpbridge.store.running.limits import Key, Limits, Wanted, limits_of
from wpbridge.store.running.seen_runners import CELERY, RELAY, seen_runners

_LOG_ROWS: Final = 500
"""So many of the newest rows of the log are read."""


_WHO: Final = {RELAY: "the relay", CELERY: "a worker of Celery"}
"""What runners are called that only hand over, or run only what was handed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A wpbridge runner, and whether it is alive."""

    runner: RunnerRecord
    is_dead: bool
    kind: str = ""
    """The command whose process it is; empty where its release does not tell."""

    def __str__(self) -> str:
        age, who = span(self.runner.beat_age_seconds), _WHO.get(self.kind, "wpbridge")
        return f"{who} on {self.runner.host}, pid {self.runner.pid} (last beat {age} ago)"

    @property
    def runs_what_is_due(self) -> bool:
        """Tell whether it looks for due actions and runs them itself."""
        return self.kind not in _WHO


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All facts that an explanation needs."""

    record: Record
    now: datetime
    log: tuple[LogEntry, ...] = ()
    waits: tuple[Wait, ...] = ()
    pauses: tuple[Pause, ...] = ()
    """The pauses that are in force."""
    limits: Mapping[Key, Limit] = field(default_factory=dict)
    """The limits that count for the action and leave no room just now."""
    decision: Decision
    loaded: tuple[str, ...] = ()
    """The modules of handlers that the command line names: no others are loaded."""
    owns_site: bool = False
    """Whether the plugin's own runners are off."""
    is_alone: bool = False
    """Whether there is no WordPress around the queue, so no runner of the plugin's either."""
    callback: bool | None = None
    """Whether PHP has a callback; None when it was not asked."""
    may_ask: bool = False
    """Whether there is a WordPress to ask."""
    companion: str = ""
    """The command that installs the companion plugin; empty where it is there or nobody knows."""
    fails_missing: bool = False
    """Whether the settings say that actions without a callback fail."""
    is_held: bool = False
    """Whether a runner found within the last day that PHP has no callback for its hook."""
    runners: tuple[Holder, ...] = ()
    contexts: Mapping[str, datetime] | None = None
    """The runners that the log of the last hour names; None where that does not matter."""
    last_attempt: datetime | None = None
    """The newest last attempt of any action."""
    ahead: int = 0
    """How many due actions a claim takes first, up to a cap."""
    zone: tzinfo = UTC
    """The time zone in which times are shown."""

    @property
    def is_due(self) -> bool:
        """Tell whether the action is due by its date alone."""
        due = self.record.scheduled_at
        return self.record.is_dated and (due is None or due <= self.now)

    @property
    def last_line(self) -> str:
        """Return the newest row of the action's log; empty for none."""
        return self.log[-1].message if self.log else ""

    @property
    def sign_age_seconds(self) -> float | None:
        """Return the age of the action's last sign of life; None where there was none."""
        last = self.record.last_attempt_at
        return None if last is None else (self.now - last).total_seconds()

    @property
    def is_stale(self) -> bool:
        """Tell whether the plugin's cleaner would take the action's runner for dead."""
        return self.sign_age_seconds is None or self.sign_age_seconds >= PLUGIN_TIMEOUT_SECONDS

    def living(self, kind: str) -> tuple[Holder, ...]:
        """Return the runners of one kind that are alive."""
        return tuple(one for one in self.runners if one.kind == kind and not one.is_dead)

    @property
    def holder(self) -> Holder | None:
        """Return the wpbridge runner that has the action in hand; None for none, and for PHP's."""
        claim = self.record.claim_id
        return next((one for one in self.runners if claim and claim in one.runner.claims), None)


def gather(
    queue: Queue,
    action_id: int,
    settings: Settings,
    routes: Routes,
    *,
    now: datetime,
    callback: bool | None = None,
    may_ask: bool = False,
    companion: str = "",
    me: Identity | None = None,
    zone: tzinfo = UTC,
) -> Facts:
    """Read the facts about an action from the queue.

    Args:
        queue: the site's queue.
        action_id: the action.
        settings: the rules that are in force here.
        routes: where each hook goes.
        now: an aware moment.
        callback: whether PHP has a callback for the hook; None when PHP was not asked.
        may_ask: whether there is a WordPress that could be asked.
        companion: the command that installs the companion plugin, where that is missing.
        me: this process; runners of the same host are judged by their process ids.
        zone: the time zone in which times are shown.

    Raises:
        ActionNotFound: there is no such action.
    """
    record = queue.get(action_id)
    store = queue.store
    this = me or identity()
    return Facts(
        record=record,
        now=now,
        log=tuple(store.log_ends.newest(record.id, _LOG_ROWS)),
        pauses=tuple(queue.pauses()),
        decision=routes.decide(record.hook, record.group),
        loaded=settings.handlers if settings.sources.get("handlers", "flag") == "flag" else (),
        owns_site=settings.owns_site,
        callback=callback,
        may_ask=may_ask,
        companion=companion,
        fails_missing=settings.missing_callback == "fail",
        runners=tuple(
            Holder(runner=one.runner, is_dead=is_dead(one.runner, this), kind=one.about.kind)
            for one in seen_runners(store.tables)
        ),
        zone=zone,
        **(_of_pending(queue, record, settings, now) if record.status == Status.PENDING else {}),
    )


def _of_pending(queue: Queue, record: Record, settings: Settings, now: datetime) -> dict[str, Any]:
    """Read what matters only while an action is pending."""
    rows = Rows(queue.store.tables)
    return {
        "is_alone": not queue.store.options.are_there(),
        "waits": tuple(queue.waits_of([record.id])),
        "limits": _full_limits(queue, record, settings, now),
        "is_held": record.hook in queue.store.held.hooks(),
        "contexts": rows.contexts(now - SIGHT),
        "last_attempt": rows.last_attempt(),
        "ahead": 0 if record.claim_id else rows.ahead_of(record, now),
    }


def _full_limits(
    queue: Queue, record: Record, settings: Settings, now: datetime
) -> dict[Key, Limit]:
    store, wanted = queue.store, Wanted(record.hook, record.group)
    limits = Limits(store.tables, store.groups)
    found = limits_of(settings.limits, wanted)
    is_full = found and not store.session.run(
        lambda c: limits.admit(c, [wanted], settings.limits, most=1, now=now, spends=False)
    )
    return found if is_full else {}
