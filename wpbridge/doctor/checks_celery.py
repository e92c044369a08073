"""Check the way of actions to Celery: routes, the broker, relays, and workers that start them.

The broker is asked where the settings name one, and only then: nothing else loads what asks it.
"""

from collections.abc import Iterator
from typing import Final

from wpbridge.app.broker_sight import BrokerSight, look_at_broker
from wpbridge.doctor.checks_runners import LATE_SECONDS
from wpbridge.doctor.examination import Check
from wpbridge.doctor.examined_site import ExaminedSite
from wpbridge.doctor.explain.pending import CELERY_WORKER
from wpbridge.doctor.findings import Finding, note, number, ok, problem, some, span, warning
from wpbridge.store.reading.handed_actions import handed_in
from wpbridge.store.running.seen_runners import CELERY, RELAY

RELAY_COMMAND: Final = "wpbridge relay"
RESENDS: Final = 2
"""What has waited for a worker for so many times ``resend_after`` waits for long."""
_NOTHING: Final = "nothing goes to Celery"


def celery_routes(examined: ExaminedSite) -> Finding:
    """Is there a broker for what routes hand to Celery?"""
    settings = examined.settings
    told = [n for n, route in enumerate(settings.routes, 1) if route.to == "celery"]
    if not told:
        return ok(f"no route is one to Celery; {_NOTHING}")
    names = some([f"route {number_}" for number_ in told])
    if settings.celery_broker is None:
        return problem(
            f"{names} to Celery, but [celery] broker is not set (WPBRIDGE_CELERY_BROKER)",
            "wpbridge leaves these actions alone",
            fix="wpbridge config show",
            count=len(told),
        )
    return ok(f"{names} to Celery, and there is a broker", count=len(told))


def broker(examined: ExaminedSite) -> list[Finding]:
    """Does the broker answer, and does it keep what it is given?"""
    sight = look_at_broker(examined.settings)
    if sight is None:
        return [ok(f"no broker is set; {_NOTHING}")]
    if sight.missing:
        return [
            problem(
                f"the broker {sight.address} was not asked: this Python lacks"
                f" {some([*sight.missing])}",
                "no relay starts from here",
                fix=f"pip install 'wpbridge[{sight.extra}]'",
            )
        ]
    if sight.fault:
        return [
            problem(
                f"{sight.address}: {sight.fault}",
                "nothing new is handed to Celery until it answers; nothing is lost",
                fix=f"{RELAY_COMMAND} --dry-run",
            )
        ]
    return [*_of_redis(sight)] or [ok(f"the broker {sight.address} answers")]


def _of_redis(sight: BrokerSight) -> Iterator[Finding]:
    told = sight.durability
    if told is None:
        return
    if told.appendonly is None or told.maxmemory_policy is None:
        yield note(
            f"the broker {sight.address} does not say how it keeps messages (CONFIG GET)",
            "it may lose messages when it stops or is full",
        )
    if told.appendonly == "no":
        yield warning(
            f"the broker {sight.address} writes no file of what it gets (appendonly is no)",
            "actions enqueued through the broker are lost with it; other messages are sent again",
            fix="redis-cli CONFIG SET appendonly yes",
        )
    if told.maxmemory_policy not in (None, "noeviction"):
        yield warning(
            f"the broker {sight.address} forgets messages when its memory is full"
            f" (maxmemory-policy is {told.maxmemory_policy})",
            "actions enqueued through the broker may be lost; handed actions start later",
            fix="redis-cli CONFIG SET maxmemory-policy noeviction",
        )


def relays(examined: ExaminedSite) -> Finding:
    """Does a relay hand over what is due for Celery?"""
    is_handed = examined.is_handed
    if is_handed is None:
        return ok(_NOTHING)
    living = examined.living(RELAY)
    pairs = [p for p in examined.due_pairs if is_handed(p.hook, p.group)]
    due = sum(pair.actions - pair.claimed for pair in pairs)
    if living:
        return ok(f"{living} relay(s) live; {number(due)} due action(s) are yet to be handed over")
    if not due:
        return note("no relay lives", "what becomes due for Celery waits", fix=RELAY_COMMAND)
    ages = [(examined.now - pair.oldest).total_seconds() for pair in pairs if pair.oldest]
    cause = f"{number(due)} action(s) are due that a route hands to Celery, and no relay lives"
    effect = "nobody hands them over"
    make = problem if max(ages, default=LATE_SECONDS) >= LATE_SECONDS else warning
    return make(cause, effect, fix=RELAY_COMMAND, count=due)


def handed(examined: ExaminedSite) -> Finding:
    """Do workers of Celery start what was handed over?"""
    claims = [c for one in examined.seen if one.about.kind == RELAY for c in one.runner.claims]
    found = handed_in(examined.store.tables, claims)
    workers = examined.living(CELERY)
    told = f"{number(found.actions)} action(s) handed to Celery wait for a worker"
    if not found.actions or found.oldest_at is None:
        return ok(f"no action waits for a worker of Celery; {workers} live(s)", count=0)
    age = (examined.now - found.oldest_at).total_seconds()
    if workers or age < RESENDS * examined.settings.celery_resend_after.total_seconds():
        return ok(f"{told}; {workers} live(s)", count=found.actions)
    return problem(
        f"{told}, the first for {span(age)}, and no worker of Celery lives",
        "nobody starts them",
        fix=CELERY_WORKER,
        count=found.actions,
    )


CHECKS: Final = (
    Check(name="celery-routes", look=celery_routes, needs="nothing"),
    Check(name="broker", look=broker, needs="nothing"),
    Check(name="relays", look=relays),
    Check(name="handed", look=handed),
)
