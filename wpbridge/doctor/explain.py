"""Why an action does not run: everything that is in its way, the most decisive first.

:func:`gather` asks the queue once; :func:`explain` judges what it brought, and asks nothing.
Nothing is changed.
"""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final

from wpbridge import app
from wpbridge.action import UPKEEP_HOOKS, ActionId, Status
from wpbridge.codec import schedule
from wpbridge.doctor.findings import number, span
from wpbridge.executors.handlers import Handler
from wpbridge.executors.routes import Decision
from wpbridge.queue.facade import Queue
from wpbridge.runner.identity import Identity, identity, is_dead
from wpbridge.site.config import Settings
from wpbridge.site.moments import iso
from wpbridge.site.rules import Limit
from wpbridge.store.base import RunnerRecord
from wpbridge.store.queueing.edits import REQUEUED, STALE_SECONDS
from wpbridge.store.reading.pending import fault_of
from wpbridge.store.reading.survey import CAP, SIGHT, Rows
from wpbridge.store.records import ENDED, LogEntry, Pause, Record, Wait
from wpbridge.store.running.limits import Key, Wanted, limits_of
from wpbridge.store.structure.server import Server

RETRIED: Final = "action retry"
"""How the log row of an action begins that a handler put off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that is in the way, or that tells how it stands."""

    code: str
    """Stable: for programs."""
    text: str
    """What, and why."""
    fix: str = ""
    """One command; empty where there is nothing to do, or nothing to be done by a command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why an action is not running."""

    id: ActionId
    hook: str
    status: str
    verdict: str
    """One line."""
    reasons: tuple[Reason, ...]
    """All that apply, the most decisive first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A wpbridge runner, and whether it lives."""

    runner: RunnerRecord
    is_dead: bool

    def __str__(self) -> str:
        age = span(self.runner.beat_age_seconds)
        return f"wpbridge on {self.runner.host}, pid {self.runner.pid} (last beat {age} ago)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that an explanation rests on."""

    record: Record
    now: datetime
    log: tuple[LogEntry, ...] = ()
    waits: tuple[Wait, ...] = ()
    pauses: tuple[Pause, ...] = ()
    """In force."""
    limits: Mapping[Key, Limit] = field(default_factory=dict)
    """Of the settings, that count for it, where they leave no room just now."""
    decision: Decision
    owns_site: bool = False
    """The plugin's own runners are off."""
    callback: bool | None = None
    """Whether PHP has a callback; None when it was not asked."""
    may_ask: bool = False
    """Whether there is a WordPress to ask."""
    fails_missing: bool = False
    """The settings say that actions without a callback fail."""
    is_held: bool = False
    """A runner found within the last day that PHP has no callback for its hook."""
    runners: tuple[Holder, ...] = ()
    contexts: Mapping[str, datetime] | None = None
    """Runners that the log of the last hour names; None where that does not matter."""
    last_attempt: datetime | None = None
    """Of any action."""
    ahead: int = 0
    """Due actions that a claim takes first, capped."""
    zone: tzinfo = UTC
    """Times are told in it."""

    @property
    def is_due(self) -> bool:
        """By its date alone."""
        due = self.record.scheduled_at
        return self.record.is_dated and (due is None or due <= self.now)

    @property
    def last_line(self) -> str:
        """The newest row of its log; empty for none."""
        return self.log[-1].message if self.log else ""

    @property
    def sign_age_seconds(self) -> float | None:
        """How long ago its holder gave a sign; None for never."""
        last = self.record.last_attempt_at
        return None if last is None else (self.now - last).total_seconds()

    @property
    def is_stale(self) -> bool:
        """Whether the plugin's cleaner would take its holder for dead."""
        return self.sign_age_seconds is None or self.sign_age_seconds >= STALE_SECONDS

    @property
    def holder(self) -> Holder | None:
        """The wpbridge runner that has it; None for none, and for PHP's."""
        claim = self.record.claim_id
        return next((one for one in self.runners if claim and claim in one.runner.claims), None)


def gather(
    queue: Queue,
    action_id: int,
    settings: Settings,
    handlers: Mapping[str, Handler],
    *,
    now: datetime,
    left_out: Sequence[str] = (),
    callback: bool | None = None,
    may_ask: bool = False,
    me: Identity | None = None,
    zone: tzinfo = UTC,
) -> Facts:
    """Ask the queue; ActionNotFound when there is no such action.

    Args:
        queue: the site's.
        action_id: which.
        settings: say what is run here.
        handlers: hooks with a handler or a webhook.
        now: aware.
        left_out: modules of handlers that were not loaded.
        callback: whether PHP has one, if that was asked.
        may_ask: whether there is a WordPress that could be asked.
        me: this process; runners of the same host are judged by their process ids.
        zone: that times are told in.
    """
    record = queue.get(action_id)
    store = queue.store
    rows = Rows(store, Server(store))
    this = me or identity()
    is_pending = record.status == Status.PENDING
    routes = app.routes_of(settings, handlers, left_out=left_out)
    return Facts(
        record=record,
        now=now,
        log=tuple(store.parts.reading.logs([record.id])),
        waits=tuple(queue.waits_of([record.id])) if is_pending else (),
        pauses=tuple(queue.pauses()),
        limits=_full_limits(queue, record, settings, now) if is_pending else {},
        decision=routes.decide(record.hook, record.group),
        owns_site=settings.owns_site,
        callback=callback,
        may_ask=may_ask,
        fails_missing=settings.missing_callback == "fail",
        is_held=is_pending and record.hook in store.parts.held.hooks(),
        runners=tuple(
            Holder(runner=runner, is_dead=is_dead(runner, this)) for runner in store.other_runners()
        ),
        contexts=rows.contexts(now - SIGHT) if is_pending else None,
        last_attempt=rows.last_attempt() if is_pending else None,
        ahead=rows.ahead_of(record, now) if is_pending and not record.claim_id else 0,
        zone=zone,
    )


def _full_limits(
    queue: Queue, record: Record, settings: Settings, now: datetime
) -> dict[Key, Limit]:
    wanted, limits = Wanted(record.hook, record.group), queue.store.parts.limits
    found = limits_of(settings.limits, wanted)
    is_full = found and not queue.store.session.run(
        lambda c: limits.admit(c, [wanted], settings.limits, most=1, now=now, spends=False)
    )
    return found if is_full else {}


def explain(facts: Facts) -> Explanation:
    """Judge; pure."""
    record = facts.record
    if record.status in ENDED:
        reasons = [_ended(facts)]
    elif record.status == Status.IN_PROGRESS:
        reasons = [_running(facts)]
    elif record.status != Status.PENDING:
        text = f"its status is {record.status!r}, which no runner knows"
        reasons = [Reason(code="unknown-status", text=text)]
    else:
        reasons = [reason for judge in _PENDING for reason in judge(facts)] or [_due()]
    return Explanation(
        id=record.id,
        hook=record.hook,
        status=record.status,
        verdict=_verdict(record, reasons),
        reasons=tuple(reasons),
    )


def _verdict(record: Record, reasons: Sequence[Reason]) -> str:
    more = len(reasons) - 1
    others = f" (and {more} more reason{'' if more == 1 else 's'})" if more else ""
    return f"action {record.id} ({record.hook}): {_WORDS[reasons[0].code]}{others}"


_WORDS: Final[Mapping[str, str]] = {
    "ended": "it has ended",
    "unknown-status": "no runner knows its status",
    "running": "it is running",
    "running-dead": "it was running when its runner died",
    "running-stale": "it runs, but nobody gives a sign",
    "claimed": "a runner has it and will start it",
    "claimed-by-dead": "a dead wpbridge runner has it",
    "claim-stale": "a dead PHP runner has it, it seems",
    "held": "it waits for an action that will not complete",
    "waits-for": "it waits for other actions",
    "no-date": "it has no date and never becomes due",
    "retry-later": "it will be tried again later",
    "future": "it is not due yet",
    "paused": "it is paused",
    "limited": "a limit of the settings leaves it no room",
    "upkeep": "it is left to the plugin",
    "no-handler": "nothing here runs it",
    "no-callback": "PHP has no callback for it",
    "not-asked": "nothing else is in its way, but PHP was not asked for a callback",
    "foreign-schedule": "only PHP can run it",
    "corrupt": "its data cannot be read",
    "no-runner": "nobody is running",
    "behind": "others come first",
    "handlers-not-loaded": "nobody looked whether a handler runs it",
    "due": "nothing is in its way",
}
"""Each code in a few words."""
CODES: Final = tuple(_WORDS)


# What is no more pending


def _ended(facts: Facts) -> Reason:
    record = facts.record
    at = facts.log[-1].at if facts.log else record.last_attempt_at
    when = f" at {iso(at, facts.zone)}" if at else ""
    said = f"; its log ends with: {facts.last_line}" if facts.log else ""
    may_requeue = record.status == Status.FAILED and not facts.last_line.startswith(REQUEUED)
    fix = f"wpbridge requeue {record.id}" if may_requeue else ""
    return Reason(code="ended", text=f"it is {record.status}{when}{said}", fix=fix)


def _running(facts: Facts) -> Reason:
    record, holder = facts.record, facts.holder
    since = next(
        (entry.at for entry in reversed(facts.log) if entry.message.startswith("action started")),
        record.last_attempt_at,
    )
    began = f" since {iso(since, facts.zone)}" if since else ""
    if holder is not None and holder.is_dead:
        text = f"it was started by {holder}, which is gone; the next run puts it back or fails it"
        return Reason(code="running-dead", text=text, fix="wpbridge claim-and-run")
    if holder is not None:
        return Reason(code="running", text=f"it runs{began}, by {holder}")
    age = facts.sign_age_seconds
    if not facts.is_stale:
        sign = f", last sign {span(age)} ago" if age is not None else ""
        return Reason(code="running", text=f"it runs{began} in one of PHP's runners{sign}")
    last = f"{span(age)} ago" if age is not None else "never"
    text = (
        f"it runs{began} in one of PHP's runners, whose last sign came {last}: it takes long, or"
        " was killed; the plugin's cleaner fails it, and its recurring chain ends"
    )
    return Reason(code="running-stale", text=text, fix="wp action-scheduler run --batches=1")


# What is pending: each of these names what is in the way, if it is


def _claimed(facts: Facts) -> Iterator[Reason]:
    claim, holder = facts.record.claim_id, facts.holder
    if not claim:
        return
    if holder is not None and holder.is_dead:
        text = f"claim {claim} is of {holder}, which is gone; the next run puts it back"
        yield Reason(code="claimed-by-dead", text=text, fix="wpbridge claim-and-run")
    elif holder is not None:
        yield Reason(code="claimed", text=f"claim {claim} is of {holder}: it starts in its turn")
    elif facts.is_stale:
        age = facts.sign_age_seconds
        last = f"{span(age)} ago" if age is not None else "never"
        text = f"claim {claim} is one of PHP's runners', whose last sign came {last}"
        yield Reason(code="claim-stale", text=text, fix="wpbridge release-claims --stale")
    else:
        ago = span(facts.sign_age_seconds or 0)
        text = f"claim {claim} is one of PHP's runners', made {ago} ago: it starts in its turn"
        yield Reason(code="claimed", text=text)


def _waiting(facts: Facts) -> Iterator[Reason]:
    failed = [w for w in facts.waits if w.status in (Status.FAILED, Status.CANCELED)]
    held = [wait for wait in failed if wait.on_failed == "hold"]
    if held:
        told = ", ".join(f"action {wait.after_id} ({wait.status})" for wait in held)
        ids = " ".join(str(wait.after_id) for wait in held)
        yield Reason(
            code="held",
            fix=f"wpbridge requeue {ids}",
            text=f"it waits for {told}, and is held until that is done again",
        )
    rest = [wait for wait in facts.waits if wait not in held]
    if rest:
        told = ", ".join(f"action {w.after_id} ({w.status or 'gone'})" for w in rest)
        yield Reason(code="waits-for", text=f"it waits for {told}; a run sees when they have ended")


def _undated(facts: Facts) -> Iterator[Reason]:
    if not facts.record.is_dated and not facts.waits:
        yield Reason(
            code="no-date",
            text="its date is NULL and it waits for nothing: no runner takes it",
            fix=f"wpbridge reschedule {facts.record.id} --at now",
        )


def _early(facts: Facts) -> Iterator[Reason]:
    due = facts.record.scheduled_at
    if due is None or due <= facts.now:
        return
    wait = span((due - facts.now).total_seconds())
    at = iso(due, facts.zone)
    when = f"due in {wait}, at {at} (`wpbridge run {facts.record.id}` starts it now)"
    if facts.last_line.startswith(RETRIED):
        text = f"its handler put it off: {facts.last_line}; it is {when}"
        yield Reason(code="retry-later", text=text)
    else:
        yield Reason(code="future", text=f"it is {when}")


def _paused(facts: Facts) -> Iterator[Reason]:
    record = facts.record
    for pause in facts.pauses:
        if pause.kind == "all":
            what, flags = "everything", "--all"
        elif pause.name == (record.hook if pause.kind == "hook" else record.group):
            what = f"{pause.kind} {pause.name!r}"
            flags = f"--{pause.kind} {shlex.quote(pause.name)}"
        else:
            continue
        end = f"until {iso(pause.until, facts.zone)}" if pause.until else "until resumed"
        why = f": {pause.reason}" if pause.reason else ""
        text = f"{what} is paused {end}{why}"
        yield Reason(code="paused", text=text, fix=f"wpbridge resume {flags}")


def _limited(facts: Facts) -> Iterator[Reason]:
    if facts.limits and facts.is_due and not facts.record.claim_id:
        told = ", ".join(
            f"{key.kind} {key.name!r} {_held_to(limit)}" for key, limit in facts.limits.items()
        )
        text = f"there is no room just now: {told}; it starts when there is"
        yield Reason(code="limited", text=text)


def _held_to(limit: Limit) -> str:
    rate = limit.rate
    told = [f"has {limit.max_concurrency} at once"] if limit.max_concurrency else []
    if rate:
        told.append(f"starts {rate.count} in {span(rate.per.total_seconds())}")
    return " and ".join(told)


def _unrouted(facts: Facts) -> Iterator[Reason]:
    decision, hook = facts.decision, facts.record.hook
    if decision.to == "leave" and hook in UPKEEP_HOOKS:
        yield Reason(code="upkeep", text=f"wpbridge leaves it: {decision.why}")
    elif decision.to == "leave":
        text = f"wpbridge leaves hook {hook!r} alone ({decision.why}); {_left_to(facts)}"
        yield Reason(code="no-handler", text=text, fix="wpbridge hooks")
    if facts.callback is False and decision.to in {"php", "leave"}:
        text = f"WordPress has no callback for {hook!r}, its plugin may be inactive"
        yield Reason(
            code="no-callback",
            text=f"{text}; {_unrun(facts)}",
            fix="wp plugin list --status=inactive",
        )


def _unrun(facts: Facts) -> str:
    """What becomes of an action without a callback."""
    if facts.decision.to == "php":
        return "wpbridge fails it" if facts.fails_missing else "wpbridge holds it back"
    return "nobody runs it" if facts.owns_site else "the plugin's runner fails it"


def _unasked(facts: Facts) -> Iterator[Reason]:
    """What PHP would have to say, where it is PHP that runs it and nobody has asked."""
    hook, to = facts.record.hook, facts.decision.to
    is_left = to == "leave" and facts.may_ask and not facts.owns_site and hook not in UPKEEP_HOOKS
    if facts.callback is not None or not (to == "php" or is_left):
        return
    php = " --php" if to == "php" else ""
    fix = f"wpbridge explain {facts.record.id}{php} --ask-wordpress"
    if facts.is_held and to == "php":
        text = (
            f"a run of the last day found that WordPress has no callback for {hook!r};"
            f" {_unrun(facts)}; it was not asked just now"
        )
        yield Reason(code="no-callback", text=text, fix=fix)
    else:
        text = (
            f"not asked: whether WordPress has a callback for {hook!r}; without one {_unrun(facts)}"
        )
        yield Reason(code="not-asked", text=text, fix=fix)


def _left_to(facts: Facts) -> str:
    if facts.owns_site:
        return "nobody else runs it: owns_site is on"
    seen = set(facts.contexts or ()) - {"wpbridge"}
    unseen = "" if seen else ", which has not been seen for an hour"
    return f"the plugin's own runner takes it{unseen}"


def _foreign(facts: Facts) -> Iterator[Reason]:
    found = schedule.class_of(facts.record.schedule[: schedule.PREFIX_BYTES])
    if found is not None and found not in schedule.KNOWN_CLASSES:
        text = f"its schedule is of {found}, a class of another plugin: only PHP's runner takes it"
        yield Reason(code="foreign-schedule", text=text)


def _corrupt(facts: Facts) -> Iterator[Reason]:
    fault = fault_of(facts.record.args, facts.record.schedule)
    if fault is not None:
        text = f"it fails as soon as it starts: {fault[0]}"
        yield Reason(code="corrupt", text=text, fix=f"wpbridge cancel {facts.record.id}")


def _alone(facts: Facts) -> Iterator[Reason]:
    """Whoever has it, runs; and what is not due needs nobody yet."""
    if facts.record.claim_id or not facts.is_due:
        return
    live = [str(one) for one in facts.runners if not one.is_dead]
    if live or facts.contexts is None or facts.contexts:
        return
    if facts.last_attempt and facts.now - facts.last_attempt < SIGHT:
        # A run that has held or put back all that it took leaves no other sign.
        return
    beats = [str(one) for one in facts.runners]
    last = f"; known are {', '.join(beats)}" if beats else ""
    if facts.last_attempt:
        last += f"; the last attempt of any action was {iso(facts.last_attempt, facts.zone)}"
    text = f"no runner, wpbridge's or PHP's, has been seen for an hour{last}"
    yield Reason(code="no-runner", text=text, fix="wpbridge claim-and-run")


def _behind(facts: Facts) -> Iterator[Reason]:
    if facts.ahead and facts.is_due and not facts.record.claim_id:
        text = (
            f"{number(facts.ahead, CAP)} due action(s) come first, by priority"
            f" (its own is {facts.record.priority}), attempts and date"
        )
        yield Reason(code="behind", text=text)


def _not_looked_up(facts: Facts) -> Iterator[Reason]:
    if facts.decision.to == "unknown":
        text = f"whether it is run here was not looked up: {facts.decision.why}"
        yield Reason(code="handlers-not-loaded", text=text)


def _due() -> Reason:
    return Reason(code="due", text="it is due and free: the next run takes it")


_PENDING: Final[tuple[Callable[[Facts], Iterator[Reason]], ...]] = (
    _claimed,
    _waiting,
    _undated,
    _early,
    _paused,
    _limited,
    _unrouted,
    _foreign,
    _corrupt,
    _alone,
    _behind,
    _unasked,
    _not_looked_up,
)
