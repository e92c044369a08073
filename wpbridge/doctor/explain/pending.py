"""Find what may be in the way of a pending action.

Each function yields one kind of reason, as often as it applies; :data:`JUDGES` has them all.
"""

import shlex
from collections.abc import Callable, Iterator
from typing import Final

from wpbridge.action import UPKEEP_HOOKS, Status
from wpbridge.codec import schedule
from wpbridge.doctor.explain.facts import Facts, Holder
from wpbridge.doctor.explain.verdict import Reason
from wpbridge.doctor.findings import number, span
from wpbridge.site.moments import iso
from wpbridge.site.rules import Limit
from wpbridge.store.reading.pending import fault_of
from wpbridge.store.reading.survey import CAP, SIGHT
from wpbridge.store.running.seen_runners import CELERY, RELAY

CELERY_WORKER: Final = "celery -A wpbridge.celery_app worker"
"""What starts a worker of Celery, on any host that has the settings."""
RETRIED: Final = "action retry"
"""How the log row starts of an action that a handler has put off."""


def _claimed(facts: Facts) -> Iterator[Reason]:
    claim, holder = facts.record.claim_id, facts.holder
    if not claim:
        return
    if holder is not None and holder.is_dead:
        text = f"claim {claim} is of {holder}, which is gone; the next run puts it back"
        yield Reason(code="claimed-by-dead", text=text, fix="wpbridge claim-and-run")
    elif holder is not None and holder.kind == RELAY:
        yield _handed(facts, holder)
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


def _handed(facts: Facts, relay: Holder) -> Reason:
    """Say that it waits for a worker of Celery, and whether there is one."""
    text = f"it was handed to Celery{_queue(facts)} by {relay}, in claim {facts.record.claim_id}"
    if facts.living(CELERY):
        return Reason(code="handed", text=f"{text}, and waits for a worker of Celery to start it")
    return Reason(
        code="no-celery-worker",
        text=f"{text}, but no worker of Celery lives that could start it: start one",
        fix=CELERY_WORKER,
    )


def _queue(facts: Facts) -> str:
    """Name the broker's queue; nothing where the route is another one by now."""
    route = facts.decision.route
    return "" if route is None else f"'s queue {route.queue}"


def _unrelayed(facts: Facts) -> Iterator[Reason]:
    """Yield that no relay lives, for a due action that a route hands to Celery."""
    record = facts.record
    if facts.decision.to != "celery" or record.claim_id or not facts.is_due or facts.living(RELAY):
        return
    text = f"{facts.decision.why} hands it to Celery{_queue(facts)}, and no relay lives: start one"
    yield Reason(code="no-relay", text=text, fix="wpbridge relay")


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


def _held(facts: Facts) -> Iterator[Reason]:
    """Yield that a run has met the hook without a callback, where PHP was not asked just now."""
    if facts.is_held and facts.decision.to == "php" and facts.callback is None:
        text = (
            f"a run of the last day found that WordPress has no callback for {facts.record.hook!r}:"
            f" its plugin may be inactive; {_unrun(facts)}; it was not asked just now"
        )
        yield Reason(code="no-callback", text=text, fix=_asking(facts))


def _asking(facts: Facts) -> str:
    handlers = f" --handlers {','.join(facts.loaded)}" if facts.loaded else ""
    php = " --php" if facts.decision.to == "php" else ""
    return f"wpbridge explain {facts.record.id}{handlers}{php} --ask-wordpress"


def _unrun(facts: Facts) -> str:
    """Say what happens to an action without a callback."""
    if facts.decision.to == "php":
        return "wpbridge fails it" if facts.fails_missing else "wpbridge holds it back"
    return "nobody runs it" if facts.owns_site else "the plugin's runner fails it"


def _unasked(facts: Facts) -> Iterator[Reason]:
    """Yield that PHP would have to be asked, where PHP runs the hook and was not asked."""
    hook, to = facts.record.hook, facts.decision.to
    if facts.is_held and to == "php":
        return
    is_left = to == "leave" and facts.may_ask and not facts.owns_site and hook not in UPKEEP_HOOKS
    if facts.callback is not None or not (to == "php" or is_left):
        return
    text = f"not asked: whether WordPress has a callback for {hook!r}; without one {_unrun(facts)}"
    yield Reason(code="not-asked", text=text, fix=_asking(facts))


def _left_to(facts: Facts) -> str:
    if facts.owns_site:
        return "nobody else runs it: owns_site is on"
    seen = set(facts.contexts or ()) - {"wpbridge"}
    if facts.is_alone and not seen:
        return "nobody else runs it: there is no WordPress around this queue"
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
    """Yield that no runner was seen, for an action that is due and not claimed."""
    if facts.record.claim_id or not facts.is_due or facts.decision.to == "celery":
        return
    live = [one for one in facts.runners if one.runs_what_is_due and not one.is_dead]
    if live or facts.contexts is None or facts.contexts:
        return
    if facts.last_attempt and facts.now - facts.last_attempt < SIGHT:
        # A run that has put back all that it claimed leaves no other sign.
        return
    beats = [str(one) for one in facts.runners]
    last = f"; known are {', '.join(beats)}" if beats else ""
    if facts.last_attempt:
        last += f"; the last attempt of any action was {iso(facts.last_attempt, facts.zone)}"
    whose = "" if facts.is_alone else ", wpbridge's or PHP's,"
    text = f"no runner{whose} has been seen for an hour{last}"
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


JUDGES: Final[tuple[Callable[[Facts], Iterator[Reason]], ...]] = (
    _claimed,
    _waiting,
    _undated,
    _early,
    _paused,
    _limited,
    _unrouted,
    _held,
    _foreign,
    _corrupt,
    _unrelayed,
    _alone,
    _behind,
    _unasked,
    _not_looked_up,
)
"""All judges, the most decisive first."""
